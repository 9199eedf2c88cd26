//! cargo run --example transactional
//!
//! A record that exists if and only if the application's transaction commits: one commit, one rollback, and the
//! trail that they leave.

use std::{error::Error, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{Request, StatusCode},
    routing::post,
};
use serde::Serialize;
use sqlx::{Sqlite, SqlitePool, Transaction, sqlite::SqliteConnectOptions};
use tower::ServiceExt as _;
use tower_activity::{
    Activity, ActivityLayer, Pipeline, Recorder, SqliteStore,
    query::{Filter, PageRequest},
    store::{Outbox as _, Read as _, sqlite::SqliteOutbox},
};

#[derive(Serialize)]
struct Order {
    id: i64,
    state: String,
    total: i64,
}

async fn load(transaction: &mut Transaction<'_, Sqlite>, id: i64) -> Result<Order, sqlx::Error> {
    let (id, state, total) = sqlx::query_as("SELECT id, state, total FROM orders WHERE id = ?")
        .bind(id)
        .fetch_one(&mut **transaction)
        .await?;
    Ok(Order { id, state, total })
}

/// Returns what was to be paid.
async fn set_paid(transaction: &mut Transaction<'_, Sqlite>, id: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("UPDATE orders SET state = 'paid' WHERE id = ? RETURNING total")
        .bind(id)
        .fetch_one(&mut **transaction)
        .await
}

/// Takes a payment. What it changes and what is recorded of it are one transaction.
async fn pay(
    State((pool, recorder)): State<(SqlitePool, Recorder)>,
    Path(id): Path<i64>,
    activity: Activity,
    amount: String,
) -> Result<StatusCode, StatusCode> {
    activity.actor("ana");
    let failed = |error: Box<dyn Error>| {
        println!("  rolled back: {error}");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let paid = async {
        let mut transaction = pool.begin().await?;
        // Who, from where, in which request: the handle knows.
        let record = activity.record().verb("pay").on("order", &id.to_string());
        // Reads, writes, reads again, and records what that changed.
        let (total, _) = recorder
            .write_in(
                &mut transaction,
                record,
                |transaction| Box::pin(load(transaction, id)),
                |transaction| Box::pin(set_paid(transaction, id)),
            )
            .await?;
        if amount.parse::<i64>()? < total {
            return Err("too little money".into());
        }
        transaction.commit().await?;
        Ok(StatusCode::NO_CONTENT)
    };
    paid.await.map_err(failed)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = SqliteConnectOptions::new().filename(folder.path().join("shop.db"));
    let pool = SqlitePool::connect_with(file.create_if_missing(true)).await?;
    let orders = "CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT NOT NULL, total INTEGER NOT NULL); \
                  INSERT INTO orders VALUES (55, 'open', 100), (56, 'open', 100)";
    sqlx::raw_sql(orders).execute(&pool).await?;

    // The outbox is in the shop's database, the log in one of its own.
    let outbox = SqliteOutbox::new(&pool);
    outbox.migrate().await?;
    let log = folder.path().join("activity.db");
    let store = SqliteStore::open(log.to_str().ok_or("a path that is text")?).await?;
    let activity = Pipeline::builder(store.clone()).outbox(outbox).start().await?;

    let app = Router::new()
        .route("/orders/{id}/pay", post(pay))
        .with_state((pool.clone(), activity.recorder()))
        .layer(ActivityLayer::new(activity.recorder()));
    for (order, amount) in [(55, "100"), (56, "1")] {
        let path = format!("/orders/{order}/pay");
        let request = Request::post(&path).header("x-request-id", format!("request-{order}"));
        let answer = app.clone().oneshot(request.body(Body::from(amount))?).await?;
        println!("POST {path} of {amount}: {}", answer.status());
    }

    activity.flush().await;
    // Both records of a request carry its id; one is there for every request, one for every commit.
    let payments = Filter::new().any_of("action", ["pay"])?;
    let page = store.records(&payments, &PageRequest::newest(10)).await?;
    for record in page.records.iter().rev() {
        println!(
            "{} · {:<11} · {} · {} {}",
            record.request_id,
            record.origin.as_str(),
            record.sentence(),
            record.outcome.as_str(),
            record.changes.as_str(),
        );
    }
    println!("{}", activity.shutdown(Duration::from_secs(5)).await);
    pool.close().await;
    Ok(())
}
