//! Memory while the store is locked and records keep coming: within the queue's budget.
//!
//! `cargo bench --bench memory [-- --records 200000]`
//!
//! Another connection holds SQLite's write lock for the whole run. The heap is counted by the allocator,
//! so that the figure is that of the records alone; afterwards the tally must add up to the last record.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{argument, is_test};
use tower_activity::{
    pipeline::{DEFAULT_QUEUE, DEFAULT_QUEUE_BYTES, Pipeline},
    record::{Actor, Record},
    store::sqlite::SqliteStore,
};

fn main() {
    let records = argument("--records", if is_test() { 1_000 } else { 200_000 });
    println!(
        "memory: {records} records against a locked store; queue of {DEFAULT_QUEUE} records and {} MiB",
        DEFAULT_QUEUE_BYTES >> 20
    );
    for kib in [0, 1, 30] {
        measure(records, kib);
    }
}

fn measure(records: usize, kib: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("activity.db");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(SqliteStore::open(path.to_str().unwrap())).unwrap();
    let pipeline = runtime.block_on(Pipeline::builder(store).start()).unwrap();
    runtime.block_on(pipeline.flush());
    let lock = rusqlite::Connection::open(&path).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let recorder = pipeline.recorder();
    let padding = "x".repeat(kib * 1024);
    // Counted for this thread: it makes every record, and frees those that do not fit. The writer, which
    // waits for the lock, frees none.
    let heap = allocation_counter::measure(|| {
        for n in 0..records {
            let mut record =
                Record::by(Actor::user("ana")).verb("update").on("order", &n.to_string());
            if kib > 0 {
                record = record.metadata(&serde_json::json!({ "note": padding }));
            }
            // Dropped when it does not fit: the tally below says how many were.
            let _admission = recorder.record(record);
        }
    });
    let peak = heap.bytes_max;
    let before = pipeline.tally();
    lock.execute_batch("ROLLBACK").unwrap();
    let report = runtime.block_on(pipeline.shutdown(Duration::from_secs(60)));
    let budget = DEFAULT_QUEUE_BYTES as f64;
    println!(
        "  {kib:>2} KiB more a record: heap at most {:>5.1} MiB = {:.2} of the budget (target ≤ 1.10); \
         received {} = queued {} + stored {} + dropped {}; then {report}",
        peak as f64 / f64::from(1 << 20),
        peak as f64 / budget,
        before.received,
        before.queued,
        before.stored,
        before.dropped.total(),
    );
}
