//! cargo run --example quickstart
//!
//! A shop on http://127.0.0.1:3000 whose every change is recorded in a SQLite file. This file is the
//! wiring, the part to copy; `shop.rs` is the shop, without one line about recording.

mod auth;
mod demo;
mod page;
mod records;
mod settings;
mod shop;
mod terminal;

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use settings::{Settings, Trouble};
use tower_activity::{
    ActivityLayer, Pipeline, Rules, SqliteStore, privacy::Keys, query::Filter, store::Store,
};
use tower_http::catch_panic::CatchPanicLayer;

#[tokio::main]
async fn main() -> ExitCode {
    terminal::exit(run().await)
}

async fn run() -> Result<(), Trouble> {
    let settings = Settings::read()?;
    let listener = settings.listen().await?;
    let stop = terminal::Stop::on_signal()?;

    let store = SqliteStore::open(&settings.store).await?;
    let activity = Pipeline::builder(store.clone())
        .rules(Rules::rest().with_file(&settings.rules)?)
        .keys(Keys::open(&settings.keys)?)
        .start()
        .await?;

    let (shop, sessions) = (shop::Shop::open(), auth::Sessions::default());
    let app = Router::new()
        .merge(shop::members(&shop))
        .layer(from_fn_with_state(sessions.clone(), auth::members))
        .merge(shop::public(&shop))
        .merge(auth::router(&sessions))
        .layer(ActivityLayer::new(activity.recorder())) // last, outside authentication
        .layer(CatchPanicLayer::new());

    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stop.wait())
        .await?;
    let report = activity.shutdown(Duration::from_secs(5)).await;
    terminal::say(report);
    Ok(())
}
