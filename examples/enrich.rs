//! cargo run --example enrich
//!
//! What a handler may add to the record of its request: names, a reason, what changed.

use std::{error::Error, time::Duration};

use axum::{Json, Router, body::Body, extract::Path, http::Request, routing::put};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_activity::{
    Activity, ActivityLayer, Pipeline,
    query::{Filter, PageRequest},
    record::{Actor, Field},
    store::{MemoryStore, Read as _},
};

async fn reprice(activity: Activity, Path(id): Path<u64>, Json(after): Json<Value>) -> Json<Value> {
    let before = json!({ "name": "Blue lamp", "price": 4900, "token": "t-1" });
    activity
        .actor(Actor::user("ana").named("Ana Diaz")) // usually said by the authentication
        .tenant("north")
        .entity_name("Blue lamp")
        .reason("spring sale")
        .changes(&before, &after)
        .target("promotion", 7, "because_of")
        .metadata("approved_by", "bob");
    println!("PUT /products/{id}");
    Json(after)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::new();
    let pipeline = Pipeline::builder(store.clone()).start().await?;
    let app = Router::new()
        .route("/products/{id}", put(reprice))
        .layer(ActivityLayer::new(pipeline.recorder()));

    let request = Request::put("/products/3")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"name":"Blue lamp","price":3900,"token":"t-2"}"#))?;
    let response = app.oneshot(request).await?;
    println!("{}\n", response.status());

    pipeline.shutdown(Duration::from_secs(5)).await;
    let updates = Filter::new().any_of("action", ["update"])?;
    for record in store.records(&updates, &PageRequest::newest(10)).await?.records {
        println!("{}", record.sentence());
        // Fields named like secrets are told of, their values are not.
        for name in ["entity_name", "reason", "changes", "targets", "metadata", "tenant_id"] {
            let value = Field::named(name).map(|field| field.value(&record));
            println!("  {name}: {}", serde_json::to_string(&value)?);
        }
    }
    Ok(())
}
