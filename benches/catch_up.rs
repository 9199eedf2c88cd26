//! How fast a spool catches up with a store that was away: what an earlier process left, from the start of the next one
//! until all of it is stored, against the plain writer, which is given batches that are ready.
//!
//! `scripts/bench catch_up [--rounds 11] [--records 100000]`
//!
//! Each case has a database of its own in each round. The folder of `TMPDIR` is written to: it has to lie on the disk that is
//! meant, not in memory.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/database.rs"]
mod database;

use std::{
    cell::Cell,
    path::Path,
    time::{Duration, Instant},
};

use common::{Case, argument, interleave, is_test, paired, sample::Stream};
use tokio::runtime::Runtime;
use tower_activity::{
    PostgresStore, SqliteStore,
    pipeline::{DEFAULT_BATCH_ROWS, Pipeline, internals::Spool},
    record::internals,
    store::{Append, Appender as _, Batch},
};

const CAP: u64 = 4 << 30;
/// Longer than any round takes: only a defect meets it.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let rounds = argument("--rounds", if is_test() { 1 } else { 11 });
    let records = argument("--records", if is_test() { 50 } else { 100_000 });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    println!("catch_up: {records} records, {rounds} rounds, in {}", folder.path().display());
    println!("SQLite");
    measure(&runtime, folder.path(), rounds, records, async |name| {
        let path = folder.path().join(name);
        (SqliteStore::open(path.to_str().unwrap()).await.unwrap(), None)
    });
    match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) => {
            println!("Postgres");
            measure(&runtime, folder.path(), rounds, records, async |name| {
                let database = database::Database::create(&url, name).await;
                (PostgresStore::open(&database.url).await.unwrap(), Some(database))
            });
        }
        Err(_) if is_test() => println!("Postgres: not run, TEST_POSTGRES_URL names no server"),
        Err(_) => {
            eprintln!("catch_up: TEST_POSTGRES_URL names no server; `scripts/bench` starts one");
            std::process::exit(1);
        }
    }
}

fn measure<S: Append + Clone>(
    runtime: &Runtime,
    folder: &Path,
    rounds: usize,
    records: usize,
    open: impl AsyncFn(&str) -> (S, Option<database::Database>),
) {
    let turn = Cell::new(0);
    let next = |kind: &str| {
        turn.set(turn.get() + 1);
        format!("{kind}_{}", turn.get())
    };
    let ours = Case::new("ours: what an earlier process left", || {
        runtime.block_on(async {
            let (store, database) = open(&next("ours")).await;
            let spool = fill(folder, records);
            let start = Instant::now();
            let pipeline = Pipeline::builder(store).spool(spool.path()).start().await.unwrap();
            // What it left, and that it ended without a word.
            let count = records as u64 + 1;
            while pipeline.tally().drained < count {
                assert!(start.elapsed() < PATIENCE, "{:?}", pipeline.tally());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let took = start.elapsed();
            pipeline.shutdown(PATIENCE).await;
            drop(pipeline);
            remove(database).await;
            (count, took)
        })
    });
    let plain = Case::new("plain: an appender, and batches that are ready", || {
        runtime.block_on(async {
            let (store, database) = open(&next("plain")).await;
            let mut stream = Stream::new(1);
            let batches: Vec<_> = (0..records)
                .step_by(DEFAULT_BATCH_ROWS)
                .map(|done| stream.batch(DEFAULT_BATCH_ROWS.min(records - done)))
                .collect();
            let mut appender = store.connect().await.unwrap();
            let start = Instant::now();
            for batch in &batches {
                appender.append(Batch::new(batch).unwrap()).await.unwrap();
            }
            let took = start.elapsed();
            drop((appender, store));
            remove(database).await;
            (records as u64, took)
        })
    });
    let mut cases = [ours, plain];
    interleave(&mut cases, rounds);
    for case in &cases {
        println!("  {}", case.line());
    }
    let (ratio, low, high) = paired(&cases[1], &cases[0], |plain, ours| plain / ours);
    println!("  ratio ours / plain: {ratio:.2} ({low:.2}–{high:.2})");
}

async fn remove(database: Option<database::Database>) {
    if let Some(database) = database {
        database.drop().await;
    }
}

/// Makes the spool of a process that recorded this much and was killed while the store was away.
fn fill(folder: &Path, records: usize) -> tempfile::TempDir {
    let spool = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir_in(folder)
        .unwrap();
    let open = Spool::open(spool.path(), Duration::from_millis(50), CAP).unwrap();
    let (mut bytes, mut last) = (Vec::new(), None);
    for record in Stream::new(1).batch(records) {
        bytes.clear();
        internals::write(&record, &mut bytes);
        last = Some(open.append(&bytes).unwrap());
    }
    assert!(last.is_none_or(|last| open.wait(last)));
    open.close();
    spool
}
