//! What evidence costs: ledger and commitments in an append, verifying a log and what came since, proving a record, and
//! taking a month out while others append.
//!
//! `scripts/bench evidence [--rows 1000000] [--rounds 15] [--only append|log|ends] [--store sqlite|postgres]`
//!
//! A log of so many records is filled by the store's own appender, all of one month, and everything but the appends is asked
//! of it: at a tenth of its length and at all of it. At its end the month goes. `ends` leaves the verifying of all of it
//! out, which takes longest.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/database.rs"]
mod database;

use std::{
    env,
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use common::{Case, argument, interleave, is_test, paired, quantile, sample::Stream};
use database::Database;
use tokio::runtime::Runtime;
use tower_activity::{
    PostgresStore, SqliteStore,
    ledger::verify::Verdict,
    pipeline::Pipeline,
    query::{Filter, PageRequest},
    record::{Canonical, Category, Record, Seal, Seals, WriterId},
    rules::{Keep, RetentionPolicy},
    store::{
        Append, Appender, Audit, Batch, Erase, Evidence, Maintain, Read, Register, Retain,
        make_checkpoint, prove,
    },
    time::{Clock as _, ManualClock, SystemClock, Timestamp},
};

const BATCH: usize = 5_000;
const SEED: [u8; 32] = [9; 32];
/// Longer than anything here takes: only a defect meets it.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Reads `--only WORD` and the like; everything where it is left out.
fn wants(name: &str, word: &str) -> bool {
    let mut arguments = env::args();
    arguments
        .find(|argument| argument == name)
        .is_none_or(|_| arguments.next().as_deref() == Some(word))
}

fn is_of_log() -> bool {
    wants("--only", "log") || wants("--only", "ends")
}

fn main() {
    let rows = argument("--rows", if is_test() { 400 } else { 1_000_000 });
    let rounds = argument("--rounds", if is_test() { 1 } else { 15 });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    println!("evidence: {rows} records, {rounds} rounds, in {}", folder.path().display());
    if wants("--store", "sqlite") {
        let open = |name: &str| {
            let path = folder.path().join(format!("{name}.db"));
            runtime.block_on(SqliteStore::open(path.to_str().unwrap())).unwrap()
        };
        println!("\nSQLite");
        if wants("--only", "append") {
            let on = runtime.block_on(open("on").connect()).unwrap();
            let off = runtime.block_on(open("off").connect()).unwrap().without_proofs();
            share(&runtime, on, off, rounds);
        }
        if is_of_log() {
            log(&runtime, &open("log"), rows, rounds);
        }
    }
    if !wants("--store", "postgres") {
        return;
    }
    let Ok(server) = env::var("TEST_POSTGRES_URL") else {
        println!(
            "\nPostgres: not run, TEST_POSTGRES_URL names no server; `scripts/bench` starts one"
        );
        return assert!(is_test(), "half of it was not measured");
    };
    println!("\nPostgres");
    let open = |name: &str| {
        let database = runtime.block_on(Database::create(&server, name));
        let store = runtime.block_on(PostgresStore::open(&database.url)).unwrap();
        (database, store.with_deadline(PATIENCE))
    };
    if wants("--only", "append") {
        let ((one, with), (other, without)) = (open("on"), open("off"));
        let on = runtime.block_on(with.connect()).unwrap();
        let off = runtime.block_on(without.connect()).unwrap().without_proofs();
        share(&runtime, on, off, rounds);
        runtime.block_on(async { (one.drop().await, other.drop().await) });
    }
    if is_of_log() {
        let (database, store) = open("log");
        log(&runtime, &store, rows, rounds);
        runtime.block_on(database.drop());
    }
}

/// Appends with ledger and commitments, and without: no salt is drawn or stored, and nothing is hashed. What is left of the
/// ledger is the row of each batch, from which a stream knows where it stands.
fn share<A: Appender>(runtime: &Runtime, on: A, off: A, rounds: usize) {
    let rows = if is_test() { 10 } else { BATCH };
    let case = |name: &str, mut appender: A, seals: bool| {
        let mut stream = Stream::new(1);
        Case::new(name, move || {
            let mut batch = stream.batch(rows);
            batch.iter_mut().for_each(|record| record.seals = Seals::default());
            let start = Instant::now();
            if seals {
                batch.iter_mut().for_each(|record| record.seal(rand::random()));
            }
            runtime.block_on(appender.append(Batch::new(&batch).unwrap())).unwrap();
            (rows as u64, start.elapsed())
        })
    };
    let mut cases = [
        case("append, with ledger and commitments", on, true),
        case("append, without", off, false),
    ];
    interleave(&mut cases, rounds);
    for case in &cases {
        println!("  {}", case.line());
    }
    let (share, low, high) = paired(&cases[0], &cases[1], |on, off| 100.0 * (on - off) / on);
    println!(
        "  share of ledger and commitments: {share:.1} % ({low:.1} to {high:.1}), target ≤ 5 %"
    );
}

fn log<S>(runtime: &Runtime, store: &S, rows: usize, rounds: usize)
where
    S: Append + Read + Maintain + Register + Evidence + Erase + Retain + Clone,
{
    let mut stream = Stream::new(1);
    let tenth = (rows / 10).max(1);
    runtime.block_on(async {
        fill(store, &mut stream, tenth).await;
        let short = since(store, &mut stream, rounds).await;
        fill(store, &mut stream, rows - tenth).await;
        let long = since(store, &mut stream, rounds).await;
        println!(
            "  verify what came since: {:.1} ms behind {tenth} records, {:.1} ms behind {rows}: {:.2} times, target 1",
            short * 1e3,
            long * 1e3,
            long / short
        );
        if wants("--only", "log") {
            verify(store, rounds).await;
        }
        proofs(store, rounds).await;
        retention(store).await;
    });
}

async fn fill<S: Append>(store: &S, stream: &mut Stream, rows: usize) {
    let mut appender = store.connect().await.unwrap();
    let mut left = rows;
    while left > 0 {
        let batch = stream.batch(left.min(BATCH));
        appender.append(Batch::new(&batch).unwrap()).await.unwrap();
        left -= batch.len();
    }
}

/// Returns the median of the seconds that it takes to verify one batch more.
async fn since<S: Append + Read + Evidence>(store: &S, stream: &mut Stream, rounds: usize) -> f64 {
    let now = SystemClock::default().now();
    let mut state = Audit::new(store).run_on(now, |_progress| {}).await.unwrap().1.unwrap();
    let mut took = Vec::new();
    for _ in 0..rounds {
        fill(store, stream, if is_test() { 10 } else { BATCH }).await;
        let start = Instant::now();
        let audit = Audit::new(store).since(state).run_on(now, |_progress| {});
        let (report, after) = audit.await.unwrap();
        took.push(start.elapsed().as_secs_f64());
        assert_eq!((report.verdict(), report.since.is_some()), (Verdict::Unaltered, true));
        state = after.unwrap();
    }
    quantile(&took, 0.5)
}

/// Verifies all of it, against reading the same rows and hashing bytes of each once: what is left cannot be had for less
/// from this store.
async fn verify<S: Read + Evidence>(store: &S, rounds: usize) {
    let (mut all, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut records = 0;
    for _ in 0..rounds.min(5) {
        let start = Instant::now();
        let report = Audit::new(store).run(|_progress| {}).await.unwrap();
        all.push(start.elapsed().as_secs_f64());
        assert_eq!(report.verdict(), Verdict::Unaltered);
        records = report.records;
        let start = Instant::now();
        let mut canonical = Canonical::new();
        let mut from = 1;
        loop {
            let rows =
                store.record_rows(WriterId::new(1), from, i64::MAX - 1, 2_000).await.unwrap();
            let Some(last) = rows.last() else { break };
            from = last.seq + 1;
            for row in &rows {
                let bytes = canonical.encode(&row.record().unwrap());
                black_box(tower_activity::ledger::leaf_hash(bytes));
            }
        }
        bare.push(start.elapsed().as_secs_f64());
        ratios.push(all[all.len() - 1] / bare[bare.len() - 1]);
    }
    let (all, bare) = (quantile(&all, 0.5), quantile(&bare, 0.5));
    println!(
        "  verify: {:.2} s of {records} records, {:.2} s a million, target 10; reading and hashing by turns {bare:.2} s, \
         {:.2} times",
        all,
        all * 1e6 / records as f64,
        quantile(&ratios, 0.5)
    );
}

async fn proofs<S: Read + Evidence>(store: &S, rounds: usize) {
    let start = Instant::now();
    make_checkpoint(store, &[SEED], SystemClock::default().now()).await.unwrap().unwrap();
    println!("  checkpoint of all of it: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let head = store.head().await.unwrap();
    let mut took = Vec::new();
    for n in 0..rounds as i64 * 10 {
        // Entries and places in them all over the log.
        let position = n * 7_919 % head;
        let entry = store.entries(position, 1).await.unwrap().remove(0);
        let seq = entry.new.first_seq + n * 104_729 % entry.new.count();
        let row = store.record_rows(entry.new.writer_id, seq, seq, 1).await.unwrap().remove(0);
        let record = row.record().unwrap();
        let start = Instant::now();
        assert!(prove(store, &record).await.unwrap().is_some());
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!(
        "  proof: {:.2} ms ({:.2}–{:.2}), p99 {:.2}, in {head} entries, target ≤ 5",
        quantile(&took, 0.5),
        quantile(&took, 0.25),
        quantile(&took, 0.75),
        quantile(&took, 0.99)
    );
}

/// Takes the month out while somebody appends to another: after how long nobody sees it any more, how long the longest append
/// takes, and when its files are given back, which the file system may take longer for than all the rest.
async fn retention<S>(store: &S)
where
    S: Append + Read + Maintain + Register + Evidence + Erase + Retain + Clone,
{
    let rows = store.storage().await.unwrap().rows;
    while store.fold(100_000).await.unwrap().behind() > 0 {}
    let now: Timestamp = "2028-01-01T12:00:00Z".parse().unwrap();
    let policy = RetentionPolicy::default().keep(Category::Activity, Keep::Days(30)).unwrap();
    let builder = Pipeline::builder(store.clone()).clock(ManualClock::at(now));
    let pipeline = builder.retention_policy(policy).start().await.unwrap();
    let stop = AtomicBool::new(false);
    let appends = async {
        let mut appender = store.connect().await.unwrap();
        let (mut seq, mut longest, mut count) = (0, Duration::ZERO, 0_u64);
        while !stop.load(Ordering::Relaxed) || count == 0 {
            seq += 1;
            let batch = [later(seq, now)];
            let start = Instant::now();
            appender.append(Batch::new(&batch).unwrap()).await.unwrap();
            longest = longest.max(start.elapsed());
            count += 1;
        }
        (longest, count)
    };
    let start = Instant::now();
    let ends = async {
        let run = pipeline.run_retention(|_| {}).await.unwrap();
        stop.store(true, Ordering::Relaxed);
        (start.elapsed(), run)
    };
    let seen = async {
        loop {
            let page = store.records(&Filter::new(), &PageRequest::oldest(1)).await.unwrap();
            if page.records.first().is_some_and(|record| record.occurred_at >= now) {
                return start.elapsed();
            }
        }
    };
    let ((longest, count), (took, run), gone) = tokio::join!(appends, ends, seen);
    assert_eq!(run.ended.len(), 1, "the month went");
    pipeline.shutdown(PATIENCE).await;
    assert_eq!(
        store.records(&Filter::new(), &PageRequest::oldest(1)).await.unwrap().records.len(),
        1
    );
    println!(
        "  retention of {rows} records of one month: gone after {:.0} ms, target 1 000, and given back after {:.0} ms; {count} \
         appends meanwhile, the longest {:.0} ms, target 200",
        gone.as_secs_f64() * 1e3,
        took.as_secs_f64() * 1e3,
        longest.as_secs_f64() * 1e3
    );
}

/// A record of another month, which is kept.
fn later(seq: i64, now: Timestamp) -> Box<Record> {
    let mut record = Stream::new(2).batch(1).remove(0);
    record.occurred_at = now.saturating_add(Duration::from_millis(seq.unsigned_abs()));
    record.id = tower_activity::record::RecordId::new(record.occurred_at, rand::random());
    (record.writer_id, record.seq) = (WriterId::new(2), seq);
    record.seals.set(tower_activity::record::Group::Identity, Seal::Empty);
    record.seal([[1; 16]; 4]);
    record
}
