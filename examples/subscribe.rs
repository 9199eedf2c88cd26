//! cargo run --example subscribe
//!
//! Watching the log as it is written: whatever is denied, as soon as it is committed.

use std::{error::Error, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    routing::delete,
};
use tower::ServiceExt as _;
use tower_activity::{ActivityLayer, Pipeline, query::Filter, store::MemoryStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pipeline = Pipeline::builder(MemoryStore::new()).start().await?;

    let mut denied = pipeline.subscribe(Filter::new().any_of("outcome", ["denied"])?);
    let watcher = tokio::spawn(async move {
        // Ends when the pipeline has been shut down.
        while let Some(next) = denied.next().await {
            match next {
                Ok(record) => println!("{}", record.sentence()),
                Err(lagged) => println!("{lagged}"),
            }
        }
    });

    let app = Router::new()
        .route("/products/{id}", delete(async || StatusCode::FORBIDDEN))
        .route("/orders/{id}", delete(async || StatusCode::NO_CONTENT))
        .layer(ActivityLayer::new(pipeline.recorder()));
    for path in ["/orders/55", "/products/3", "/orders/56", "/products/4"] {
        let request = Request::delete(path).body(Body::empty())?;
        println!("DELETE {path}: {}", app.clone().oneshot(request).await?.status());
    }

    let report = pipeline.shutdown(Duration::from_secs(5)).await;
    watcher.await?;
    println!("{report}");
    Ok(())
}
