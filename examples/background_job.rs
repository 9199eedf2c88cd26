//! cargo run --example background_job
//!
//! Records without a request: what a nightly job does, under one actor and one reason.

use std::{error::Error, time::Duration};

use tower_activity::{
    Pipeline,
    pipeline::{Context, Scoped},
    query::{Filter, PageRequest},
    record::{Actor, Outcome, Record},
    store::{MemoryStore, Read as _},
};

/// Cancels what nobody paid. Any task or thread may hold a clone of `log`.
async fn expire_orders(log: Scoped) {
    for (order, refundable) in [("55", true), ("56", true), ("57", false)] {
        // The context names actor, channel and reason, so that each line says only what is its own.
        let record = Record::by(Actor::anonymous()).cancelled("order", order);
        log.record(if refundable {
            record
        } else {
            record.outcome(Outcome::Failure, "payment_pending")
        });
    }
    let summary = Record::by(Actor::anonymous())
        .verb("expire_orders")
        .metadata(&serde_json::json!({ "cancelled": 2 }));
    log.record(summary);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::new();
    let pipeline = Pipeline::builder(store.clone()).service("shop").start().await?;

    let job = Context::new()
        .actor(Actor::system("order-expiry"))
        .channel("nightly")
        .correlation_id("run-2026-01-31")
        .reason("unpaid for 14 days");
    tokio::spawn(expire_orders(pipeline.recorder().scope(job))).await?;

    let report = pipeline.shutdown(Duration::from_secs(5)).await;
    let nightly = Filter::new().any_of("channel", ["nightly"])?;
    for record in store.records(&nightly, &PageRequest::newest(10)).await?.records.iter().rev() {
        println!("{} (because: {})", record.sentence(), record.reason);
    }
    println!("{report}");
    Ok(())
}
