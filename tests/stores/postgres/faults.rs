//! Faults between the writer and a real server. The numbers in parentheses are those of the project's
//! list of faults; `FAULTS=full` in the environment makes the counts those of that list.
//!
//! The oracle: what the pipeline took is stored exactly once, streams and ledger are whole, and the
//! tally adds up.

mod order;
mod outage;
mod poison;
mod replicas;
mod reply;

use std::collections::BTreeMap;

use tower_activity::{
    pipeline::{Pipeline, ShutdownReport},
    query::Filter,
    record::{Actor, Record},
    store::{Read as _, postgres::PostgresStore},
};

use crate::{suite::newest, table::Row};

/// Reports what came of a fault: all of it is stored, once.
fn report(fault: &'static str, runs: usize, stored: usize) {
    let (runs, stored) = (runs as u64, stored as u64);
    Row { fault, runs, sent: stored, stored, ..Row::default() }.report();
}

/// Records the creation of the orders `from..to`, which must be taken.
fn create(pipeline: &Pipeline, orders: std::ops::Range<usize>) {
    let recorder = pipeline.recorder();
    for order in orders {
        let record = Record::by(Actor::user("ana")).created("order", &order.to_string());
        assert!(recorder.record(record).is_accepted(), "order {order}");
    }
}

/// Asserts that the store holds the orders `0..count` once each, that every stream is whole, that the
/// ledger has no holes, and that each of its entries finds its records.
async fn assert_whole(store: &PostgresStore, count: usize) {
    let records = store.records(&Filter::new(), &newest(10_000_000)).await.unwrap().records;
    let mut orders: Vec<usize> = records
        .iter()
        .filter(|record| record.action == "create")
        .map(|record| record.entity_id.parse().unwrap())
        .collect();
    orders.sort_unstable();
    assert!(orders.into_iter().eq(0..count), "each order once");
    let rows = assert_streams_are_whole(store).await;
    assert_eq!(rows, records.len());
}

/// Returns the number of rows.
async fn assert_streams_are_whole(store: &PostgresStore) -> usize {
    let entries = store.entries(0, 10_000_000).await.unwrap();
    assert!(entries.iter().map(|entry| entry.position).eq(1..=entries.len() as i64));
    let mut stands: BTreeMap<_, i64> = BTreeMap::new();
    let mut rows = 0;
    for entry in &entries {
        let last = stands.entry(entry.new.writer_id).or_default();
        assert_eq!(entry.new.first_seq, *last + 1);
        *last = entry.new.last_seq;
        let records = store.entry_records(entry).await.unwrap();
        let seqs = records.iter().map(|record| record.seq);
        assert!(seqs.eq(entry.new.first_seq..=entry.new.last_seq));
        rows += records.len();
    }
    let storage = tower_activity::store::Maintain::storage(store).await.unwrap();
    assert_eq!(storage.rows, rows as i64);
    rows
}

/// Asserts that everything that was received is stored.
fn assert_all_stored(report: &ShutdownReport, count: usize) {
    let figures = (report.received, report.stored, report.queued, report.dropped.total());
    assert_eq!(figures, (count as u64, count as u64, 0, 0), "{report}");
}
