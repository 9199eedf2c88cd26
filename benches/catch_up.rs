//! How fast a spool catches up with a store that was away: what an earlier process left, from the start of the next one
//! until all of it is stored, against the plain writer, which is given batches that are ready, and against itself where it
//! reads and sends by turns.
//!
//! `scripts/bench catch_up [--rounds 11] [--records 100000] [--delay-ms 0] [--store sqlite|postgres|elsewhere]`
//!
//! `--delay-ms` has each append answered so much later, as by a network. A store `elsewhere` takes that time and next to
//! none of this machine's: its work is done where it is. Without the option it takes what Postgres does here.
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
    MemoryStore, PostgresStore, SqliteStore,
    pipeline::{DEFAULT_BATCH_ROWS, Pipeline, internals::Spool},
    record::{WriterId, internals},
    store::{AnyStore, Append, Appended, Appender, Batch, StoreError},
};

const CAP: u64 = 4 << 30;
/// Longer than any round takes: only a defect meets it.
const PATIENCE: Duration = Duration::from_secs(600);
/// What an append of 5 000 records takes Postgres on the machine of `benches/README.md`.
const ELSEWHERE: usize = 165;

fn main() {
    let rounds = argument("--rounds", if is_test() { 1 } else { 11 });
    let records = argument("--records", if is_test() { 50 } else { 100_000 });
    let delay = argument("--delay-ms", 0);
    let wanted = std::env::args().skip_while(|arg| arg != "--store").nth(1);
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    println!(
        "catch_up: {records} records, {rounds} rounds, each append {delay} ms later, in {}",
        folder.path().display()
    );
    let scene = Scene { runtime: &runtime, folder: folder.path(), rounds, records };
    if is_wanted("sqlite") {
        println!("SQLite");
        scene.measure(async |name| {
            let path = folder.path().join(name);
            let store = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
            (Later::new(store, delay), None)
        });
    }
    match std::env::var("TEST_POSTGRES_URL") {
        _ if !is_wanted("postgres") => {}
        Ok(url) => {
            println!("Postgres");
            scene.measure(async |name| {
                let database = database::Database::create(&url, name).await;
                let store = PostgresStore::open(&database.url).await.unwrap();
                (Later::new(store, delay), Some(database))
            });
        }
        Err(_) if is_test() => println!("Postgres: not run, TEST_POSTGRES_URL names no server"),
        Err(_) => {
            eprintln!("catch_up: TEST_POSTGRES_URL names no server; `scripts/bench` starts one");
            std::process::exit(1);
        }
    }
    if is_wanted("elsewhere") {
        let delay = if delay > 0 || is_test() { delay } else { ELSEWHERE };
        println!("elsewhere: {delay} ms for each append");
        scene.measure(async |_| (Later::new(MemoryStore::new(), delay), None));
    }
}

/// A store whose appends are answered later.
#[derive(Clone)]
struct Later<S> {
    inner: S,
    delay: Duration,
}

impl<S> Later<S> {
    fn new(inner: S, millis: usize) -> Self {
        Self { inner, delay: Duration::from_millis(millis as u64) }
    }
}

impl<S: Append> Append for Later<S> {
    type Appender = Later<S::Appender>;

    async fn connect(&self) -> Result<Self::Appender, StoreError> {
        Ok(Later { inner: self.inner.connect().await?, delay: self.delay })
    }

    fn keep_commits(&self) {
        self.inner.keep_commits();
    }

    fn reader(&self) -> Option<AnyStore> {
        self.inner.reader()
    }
}

impl<A: Appender> Appender for Later<A> {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        self.inner.position(writer_id).await
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        let appended = self.inner.append(batch).await?;
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        Ok(appended)
    }
}

/// What the cases of every store have in common.
struct Scene<'a> {
    runtime: &'a Runtime,
    folder: &'a Path,
    rounds: usize,
    records: usize,
}

impl Scene<'_> {
    fn measure<S: Append + Clone>(
        &self,
        open: impl AsyncFn(&str) -> (Later<S>, Option<database::Database>),
    ) {
        let turn = Cell::new(0);
        let next = |kind: &str| {
            turn.set(turn.get() + 1);
            format!("{kind}_{}", turn.get())
        };
        let (next, open) = (&next, &open);
        let ours = |name: &str, is_ahead: bool| {
            Case::new(name, move || {
                self.runtime.block_on(async {
                    let (store, database) = open(&next("ours")).await;
                    let done = self.ours(store, is_ahead).await;
                    remove(database).await;
                    done
                })
            })
        };
        let plain = Case::new("plain: an appender, and batches that are ready", || {
            self.runtime.block_on(async {
                let (store, database) = open(&next("plain")).await;
                let done = self.plain(store).await;
                remove(database).await;
                done
            })
        });
        let mut cases = [
            ours("ours: what an earlier process left", true),
            ours("the same, read and sent by turns", false),
            plain,
        ];
        interleave(&mut cases, self.rounds);
        for case in &cases {
            println!("  {}", case.line());
        }
        for (what, of, to) in
            [("ours / plain", 2, 0), ("by turns / plain", 2, 1), ("ours / by turns", 1, 0)]
        {
            let (ratio, low, high) = paired(&cases[of], &cases[to], |rival, ours| rival / ours);
            println!("  ratio {what}: {ratio:.3} ({low:.3}–{high:.3})");
        }
    }

    async fn ours<S: Append>(&self, store: S, is_ahead: bool) -> (u64, Duration) {
        let spool = fill(self.folder, self.records);
        let start = Instant::now();
        let builder = Pipeline::builder(store).spool(spool.path());
        let builder = if is_ahead { builder } else { builder.without_reading_ahead() };
        let pipeline = builder.start().await.unwrap();
        // What it left, and that it ended without a word.
        let count = self.records as u64 + 1;
        while pipeline.tally().drained < count {
            assert!(start.elapsed() < PATIENCE, "{:?}", pipeline.tally());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = start.elapsed();
        pipeline.shutdown(PATIENCE).await;
        (count, took)
    }

    async fn plain<S: Append>(&self, store: S) -> (u64, Duration) {
        let mut stream = Stream::new(1);
        let batches: Vec<_> = (0..self.records)
            .step_by(DEFAULT_BATCH_ROWS)
            .map(|done| stream.batch(DEFAULT_BATCH_ROWS.min(self.records - done)))
            .collect();
        let mut appender = store.connect().await.unwrap();
        let start = Instant::now();
        for batch in &batches {
            appender.append(Batch::new(batch).unwrap()).await.unwrap();
        }
        (self.records as u64, start.elapsed())
    }
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
