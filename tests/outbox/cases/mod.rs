//! The cases, for whichever database `App` is in.

mod transactions;
mod trouble;
pub(super) mod workers;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tower_activity::{
    Pipeline, Record,
    query::{Filter, PageRequest},
    record::Actor,
    store::{Outbox, Read},
};

use super::{App, FAR, OUTBOX, Pool, STREAM};
use crate::kill::{Step, Trap, Trapped};

/// A record that can be told from others.
pub(super) fn created(order: i64) -> Record {
    Record::by(Actor::user("ana")).created("order", &order.to_string())
}

pub(super) async fn started(app: &App, count: usize) -> Vec<Pipeline> {
    started_on(app, || app.outbox(), count).await
}

async fn started_on<O: Outbox>(app: &App, outbox: impl Fn() -> O, count: usize) -> Vec<Pipeline> {
    let mut pipelines = Vec::new();
    for _ in 0..count {
        let builder = Pipeline::builder(app.log.clone()).outbox(outbox());
        let builder = builder.batch_age(Duration::from_millis(5)).batch_rows(50);
        pipelines.push(builder.start().await.unwrap());
    }
    pipelines
}

async fn start(app: &App) -> Pipeline {
    started(app, 1).await.remove(0)
}

/// Far longer than anything here takes on a busy machine: only a defect meets it.
pub(super) const LONG: Duration = Duration::from_secs(600);

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("in good time")
}

pub(super) async fn flush(pipelines: &[Pipeline]) {
    for pipeline in pipelines {
        within(pipeline.flush()).await;
    }
}

pub(super) async fn stop(pipelines: Vec<Pipeline>) {
    for pipeline in pipelines {
        let report = pipeline.shutdown(LONG).await;
        assert_eq!((report.queued, report.dropped.total()), (0, 0), "{report}");
    }
}

/// Commits one order with its record.
async fn commit(app: &App, pipeline: &Pipeline, order: i64) {
    let mut transaction = app.pool.begin().await.unwrap();
    sqlx::query("INSERT INTO orders (id, state) VALUES ($1, 'new')")
        .bind(order)
        .execute(&mut *transaction)
        .await
        .unwrap();
    pipeline.recorder().record_in(&mut transaction, created(order)).await.unwrap();
    transaction.commit().await.unwrap();
}

pub(super) async fn all<S: Read>(log: &S) -> Vec<Record> {
    // A page says what it has when the time is up: on a machine that stalls, that would not be all.
    let every = PageRequest { patience: LONG, ..PageRequest::newest(1_000_000) };
    let page = log.records(&Filter::new(), &every).await.unwrap();
    assert!(page.complete);
    page.records
}

/// The orders whose creation is in the log, in no order.
pub(super) async fn orders<S: Read>(log: &S) -> Vec<i64> {
    let records = all(log).await;
    let orders = records.iter().filter(|record| record.action == "create");
    orders.map(|record| record.entity_id.parse().unwrap()).collect()
}

/// Asserts that these orders are in the log once each, and that its streams are whole.
pub(super) async fn assert_each_once<S: Read>(log: &S, expected: &[i64]) {
    let mut there = orders(log).await;
    there.sort_unstable();
    let expected: BTreeSet<i64> = expected.iter().copied().collect();
    assert!(there.iter().eq(expected.iter()), "{there:?} instead of {expected:?}");
    let entries = log.entries(0, 1_000_000).await.unwrap();
    assert!(entries.iter().map(|entry| entry.position).eq(1..=entries.len() as i64));
    let mut stands: BTreeMap<_, i64> = BTreeMap::new();
    for entry in &entries {
        let last = stands.entry(entry.new.writer_id).or_default();
        assert_eq!(entry.new.first_seq, *last + 1, "{}", entry.new.writer_id);
        *last = entry.new.last_seq;
    }
}

async fn waiting(app: &App) -> i64 {
    app.number(&format!("SELECT count(*) FROM {OUTBOX}")).await
}

/// What a lease does when nobody renews it.
async fn let_the_lease_pass(app: &App) {
    app.execute(&format!("UPDATE {STREAM} SET holder = NULL, held_until = NULL")).await;
}

/// Runs a worker on a runtime of its own, which ends at the step; false when the worker was done before.
async fn killed_at(app: &App, step: Step, passes: usize, polls: usize) -> bool {
    let trap = Trap::new(step, passes, polls);
    let log = Trapped { inner: app.log.clone(), trap: trap.clone() };
    let outbox = Trapped { inner: app.outbox(), trap: trap.clone() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let working = runtime.spawn(async move {
        let builder = Pipeline::builder(log).outbox(outbox).batch_rows(2);
        let pipeline = builder.start().await.unwrap();
        pipeline.flush().await;
    });
    let reached = tokio::select! {
        () = trap.reached() => true,
        _ = working => false,
    };
    runtime.shutdown_background();
    reached
}
