//! cargo run --example quickstart
//!
//! A shop on http://127.0.0.1:3000 whose every change is recorded in a SQLite file. This file is the
//! wiring, the part to copy; `shop.rs` is the shop, without one line about recording.

mod auth;
mod demo;
mod page;
mod settings;
mod shop;
mod terminal;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state, serve};
use settings::{Settings, Store, Trouble};
use tokio::net::TcpListener;
use tower_activity::{ActivityLayer, Keys, Pipeline, Rules, SqliteStore, access};
use tower_http::catch_panic::CatchPanicLayer;

#[tokio::main]
async fn main() -> Result<(), Trouble> {
    let settings = Settings::read()?;
    let listener = settings.listen().await?;
    #[cfg(feature = "postgres")]
    if settings.is_postgres() {
        let store = tower_activity::PostgresStore::open(&settings.store).await?;
        return run(&settings, listener, store).await;
    }
    run(&settings, listener, SqliteStore::open(&settings.store).await?).await
}

async fn run(settings: &Settings, listener: TcpListener, store: impl Store) -> Result<(), Trouble> {
    let keys = Keys::open(&settings.keys)?;
    let held = demo::fill_if_asked(settings, &store, &keys).await?;
    let rules = Rules::rest().with_file(&settings.rules)?;
    let mut builder = Pipeline::builder(store).rules(rules).keys(keys);
    if let Some(mode) = settings.mode {
        builder = builder.mode(mode);
    }
    if let Some(folder) = &settings.spool {
        builder = builder.spool(folder); // on a disk that outlives the process
    }
    let activity = Arc::new(builder.start().await?);
    let terminal = terminal::open(settings, &listener, held, &activity)?;
    let stop = terminal.stop.clone();

    let (shop, sessions) = (shop::Shop::open(), auth::Sessions::default());
    let app = Router::new()
        .merge(shop::members(&shop))
        .layer(from_fn_with_state(sessions.clone(), auth::members))
        .merge(auth::router(&sessions))
        .merge(shop::public(&shop))
        .merge(page::router())
        .nest_service("/activity", activity.router(access::development())) // on this machine only
        .layer(ActivityLayer::new(activity.recorder())) // last, outside authentication
        .layer(CatchPanicLayer::new()); // but inside this, so that panics are seen

    let server = serve(listener, app.into_make_service_with_connect_info::<SocketAddr>());
    let (asked, log) = (stop.clone().wait(), Arc::clone(&activity));
    let server = server.with_graceful_shutdown(async move {
        asked.await;
        log.hang_up(); // whoever follows the log live holds the server no longer
    });
    stop.within(Duration::from_secs(5), server).await?;
    terminal.close(activity.shutdown(Duration::from_secs(5)).await).await;
    Ok(())
}
