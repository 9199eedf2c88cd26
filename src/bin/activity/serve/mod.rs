//! `activity serve`: a collector and API of its own, for services in any language.

mod access;
mod settings;
mod stop;

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use access::ApiKeys;
use axum::Router;
use settings::Settings;
use stop::Stop;
use tokio::net::TcpListener;
use tower_activity::{
    Pipeline, Rules,
    access::{self as parts, Access},
    store::{AnyStore, Append, Maintain, Read, Register},
};

use crate::{
    arguments::{Common, Serve},
    diagnostics,
    store::{self, Store},
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Serve) -> Result<ExitCode, Trouble> {
    let settings = Settings::read(common, arguments)?;
    diagnostics::to_stderr();
    match Store::open(&settings.common).await? {
        Store::Sqlite(store) => serve(&settings, store).await,
        Store::Postgres(store) => serve(&settings, store).await,
    }
}

async fn serve<S>(settings: &Settings, store: S) -> Result<ExitCode, Trouble>
where
    S: Append + Read + Maintain + Register + Clone,
{
    let keys = ApiKeys::of(AnyStore::new(store.clone()));
    let closed = keys.any().await?;
    if !closed && !settings.listen.ip().is_loopback() {
        return Err(Trouble::new(format!(
            "there is no API key, so the log would stand open on {}: make one with `activity key new NAME`, or \
             listen on 127.0.0.1",
            settings.listen
        )));
    }
    let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
        Trouble::new(format!("could not listen on {}: {error}", settings.listen))
    })?;

    let mut rules = Rules::rest();
    if let Some(file) = &settings.rules {
        rules = rules.with_file(file)?;
    }
    let mut builder = Pipeline::builder(store).rules(rules).service(&settings.service);
    match store::keys(&settings.common)? {
        Some(keys) => builder = builder.keys(keys),
        None => eprintln!(
            "activity: there are no keys: sessions and attempted accounts are left out, and cursors end \
             with this process; name a file with --keys"
        ),
    }
    let activity = builder.start().await.map_err(|error| Trouble::of(&error))?;
    let address = listener.local_addr()?;
    let app = if closed {
        mount(&activity, keys)
    } else {
        eprintln!("activity: there is no API key yet: open for everybody on this machine");
        mount(&activity, parts::development())
    };
    eprintln!("activity: records  http://{address}/records");
    eprintln!("activity: store    {}", store::shown(settings.common.store()));

    let stop = Stop::on_signal()?;
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>());
    let served = tokio::select! {
        served = server.with_graceful_shutdown(stop.clone().wait()) => served,
        // A client that keeps its connection does not hold up the end.
        () = stop.clone().wait_and(settings.grace) => Ok(()),
    };
    let report = activity.shutdown(Duration::from_secs(10)).await;
    eprintln!("activity: {report}");
    served?;
    Ok(ExitCode::SUCCESS)
}

/// At the root, as a service that is nothing else has it, and under `/activity`, as in an app.
fn mount(activity: &Pipeline, access: impl Access) -> Router {
    let api = activity.router(access);
    Router::new().nest("/activity", api.clone()).merge(api)
}
