//! ACTIVITY_STORE=postgres://user:password@localhost/log cargo run --example postgres --features postgres
//!
//! The log in Postgres: one service, a database for the log beside that of the application.

use std::{env, error::Error, net::SocketAddr, time::Duration};

use axum::{Json, Router, extract::Path, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_activity::{
    ActivityLayer, Pipeline, Rules,
    query::{Filter, PageRequest},
    store::{Read as _, postgres::PostgresStore},
};

async fn cancel(Path(id): Path<u64>) -> Json<Value> {
    Json(json!({ "id": id, "status": "cancelled" }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Ok(url) = env::var("ACTIVITY_STORE") else {
        return Err("ACTIVITY_STORE is not set: name a database, as in postgres://user:password@localhost/log".into());
    };
    // Makes schema and leaves where they are missing; an ordinary owner of the database suffices.
    let store = PostgresStore::open(&url).await?;
    let activity =
        Pipeline::builder(store.clone()).rules(Rules::rest()).service("shop").start().await?;

    let app = Router::new()
        .route("/orders/{id}/cancel", post(cancel))
        .layer(ActivityLayer::new(activity.recorder())); // last
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("curl -X POST http://{}/orders/55/cancel, then Ctrl-C", listener.local_addr()?);

    let stop = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stop)
        .await?;
    let report = activity.shutdown(Duration::from_secs(5)).await;

    let cancelled = Filter::new().any_of("action", ["cancel"])?;
    for record in store.records(&cancelled, &PageRequest::newest(10)).await?.records.iter().rev() {
        println!("{} {}", record.occurred_at, record.sentence());
    }
    println!("{report}");
    Ok(())
}
