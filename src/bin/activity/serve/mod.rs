//! `activity serve`: a collector and API of its own, for services in any language.
//!
//! Speaks HTTP; TLS is a proxy's. When the store cannot be reached at the start it ends with an error, so that
//! whoever started it knows, and starts it again; when the store goes away later it waits.

mod access;
mod settings;
mod stop;

use std::{io, net::SocketAddr, process::ExitCode, sync::Arc};

use access::{ApiKeys, Door};
use axum::Router;
use settings::Settings;
use stop::Stop;
use tokio::net::TcpListener;
use tower_activity::{
    Pipeline, Rules,
    access::Access,
    store::{AnyStore, Append, Erase, Evidence, Maintain, Read, Register, Retain},
};

use crate::{
    arguments::{Common, Serve},
    diagnostics, out,
    store::{self, Store},
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Serve) -> Result<ExitCode, Trouble> {
    let settings = Settings::read(common, arguments)?;
    let rules = rules(&settings)?;
    diagnostics::to_stderr();
    match Store::to_serve(&settings.common).await? {
        Store::Sqlite(store) => serve(&settings, rules, store).await,
        Store::Postgres(store) => serve(&settings, rules, store).await,
    }
}

/// Reads the rules before the store is made: a mistake in them leaves nothing behind.
fn rules(settings: &Settings) -> Result<Rules, Trouble> {
    let mut rules = Rules::rest();
    if let Some(file) = &settings.rules {
        rules = rules.with_file(file)?;
        rules.check()?;
    }
    Ok(rules)
}

async fn serve<S>(settings: &Settings, rules: Rules, store: S) -> Result<ExitCode, Trouble>
where
    S: Append + Read + Maintain + Register + Evidence + Erase + Retain + Clone,
{
    let stop = Stop::on_signal()?;
    let keys = ApiKeys::of(AnyStore::new(store.clone()));
    let count = keys.count().await?;
    let loopback = settings.listen.ip().to_canonical().is_loopback();
    if count.working == 0 && !loopback {
        return Err(Trouble::new(format!(
            "there is no API key, so the log would stand open on {}: make one with `activity key new NAME`, or \
             listen on 127.0.0.1",
            settings.listen
        )));
    }
    let listener = listen(settings.listen).await?;
    let address = listener.local_addr()?;

    let named = rules.defaults().service().map(str::to_owned);
    let service = settings.service.clone().or(named).unwrap_or_else(|| "activity".to_owned());
    if let Some(scratch) = store.scratch().await? {
        out::note(format!(
            "this is a scratch copy of what is archived in {}, and not the log: what is recorded here stays here",
            scratch.from
        ));
    }
    let archive = store::archive([settings.archive.as_deref(), rules.retention_archive()])?;
    let mut builder = Pipeline::builder(store).rules(rules).service(service);
    if let Some(archive) = archive {
        builder = builder.archive(archive);
    }
    if let Some(environment) = &settings.environment {
        builder = builder.environment(environment);
    }
    if let Some(file) = &settings.quarantine {
        builder = builder.quarantine(file);
    }
    if let Some(mode) = settings.mode {
        builder = builder.mode(mode);
    }
    if let Some(folder) = &settings.spool {
        builder = builder.spool(folder);
    }
    if let Some(schedule) = settings.retention {
        builder = builder.retention_schedule(schedule);
    }
    match store::keys(&settings.common)? {
        Some(keys) => builder = builder.keys(keys),
        None => out::note(
            "there are no keys: sessions and attempted accounts are left out, and cursors end with this \
             process; name a file with --keys or ACTIVITY_KEYS",
        ),
    }
    let activity = Arc::new(builder.start().await.map_err(|error| Trouble::of(&error))?);
    let app = mount(&activity, Door::new(keys, loopback), &settings.allow_origins);
    let from = store::shown(settings.common.store());
    out::note(format!("serving http://{address} from {from}; {}", count.said()));

    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>());
    let (stopping, ending) = (stop.clone(), Arc::clone(&activity));
    let signal = async move {
        stopping.wait().await;
        out::note("stopping: no new connections, and what was taken in is stored");
        // A live session does not end by itself.
        ending.hang_up();
    };
    let served = tokio::select! {
        served = server.with_graceful_shutdown(signal) => served,
        // A client that keeps its connection does not hold up the end.
        () = stop.clone().wait_and(settings.grace) => Ok(()),
    };
    let report = activity.shutdown(settings.drain).await;
    out::note(format!("stopped: {report}"));
    served?;
    // What was taken in and is not stored is lost: whoever started this should know.
    let lost = report.dropped.total() + report.queued;
    Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Trouble> {
    TcpListener::bind(address).await.map_err(|error| {
        let port = address.port();
        Trouble::new(match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "could not listen on {address}: the port is taken; end the program that has it, or name another \
                 with --port or PORT (0 takes a free one)"
            ),
            io::ErrorKind::PermissionDenied => format!(
                "could not listen on {address}: port {port} is not allowed; name one above 1023 with --port or \
                 PORT"
            ),
            _ => format!("could not listen on {address}: {error}"),
        })
    })
}

/// At the root, as a service that is nothing else has it, and under `/activity`, as in an app.
fn mount(activity: &Pipeline, access: impl Access, origins: &[String]) -> Router {
    let api = origins.iter().fold(activity.api(access), |api, origin| api.allow_origin(origin));
    let api = api.into_router();
    // Not `nest`, which shows `/activity/` to no inner router.
    Router::new().nest_service("/activity", api.clone()).merge(api)
}
