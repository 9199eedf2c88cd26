//! The pipeline from outside: what it promises while stores fail, hang and lie.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod accounting;
#[cfg(unix)]
mod durable;
#[cfg(unix)]
mod ended;
mod errors;
mod memory;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(target_os = "linux")]
mod replaced;
mod scheduled;
mod scripted;
mod shutdown;
mod start;
mod waits;
#[cfg(unix)]
mod warned;

use std::time::Duration;

use tower_activity::{
    pipeline::{Pipeline, PipelineBuilder},
    record::{Actor, Category, Record},
    store::Append,
};

/// A manual record that can be told from others.
fn numbered(n: usize) -> Record {
    Record::by(Actor::user("ana")).updated("order", &n.to_string())
}

/// One that takes the security lane.
fn login(n: usize) -> Record {
    Record::by(Actor::user("ana"))
        .verb("login")
        .on("user", &n.to_string())
        .category(Category::Authentication)
}

/// The ids of the things in `records` that `numbered` and `login` made, in their order.
fn numbers<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<usize> {
    records.into_iter().filter_map(|record| record.entity_id.parse().ok()).collect()
}

fn quick<S: Append>(store: S) -> PipelineBuilder<S> {
    Pipeline::builder(store).batch_age(Duration::from_millis(5))
}

/// Far longer than any of these takes to end, on a machine that stalls as well.
const SOON: Duration = Duration::from_secs(120);
