//! Questions to a full log: ours against the naive one (one table, an index on each column, OFFSET,
//! COUNT(*)), which holds the same records in a database of the same kind.
//!
//! `scripts/bench reading --store sqlite --rows 2000000`, `scripts/bench reading --store postgres --rows 10000000`
//!
//! Filling takes much longer than asking: `--folder DIR` (SQLite) and `--database NAME` (Postgres) keep what was
//! filled, and a later run with the same `--rows` asks it again.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)]
#[path = "../common/database.rs"]
mod database;
mod naive;
mod ours;
mod skewed;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use common::{argument, cpu_time, is_test, quantile};
use ours::Ours;
use tower_activity::{
    PostgresStore, SqliteStore,
    store::{Append, Appender as _, Batch, Maintain},
};

/// Rows of a page.
const PAGE: usize = 50;

/// What is asked, of both. The number picks other values each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Newest,
    ByActor,
    ByEntity,
    ActionInDay,
    ByTenant,
    ByAddress,
    Deep,
    RareWord,
    CommonWord,
    CountOfAction,
    CountOfActor,
    Estimate,
    StatsDay,
    StatsAll,
    Facets,
}

impl Question {
    const ALL: [Self; 15] = [
        Self::Newest,
        Self::ByActor,
        Self::ByEntity,
        Self::ActionInDay,
        Self::ByTenant,
        Self::ByAddress,
        Self::Deep,
        Self::RareWord,
        Self::CommonWord,
        Self::CountOfAction,
        Self::CountOfActor,
        Self::Estimate,
        Self::StatsDay,
        Self::StatsAll,
        Self::Facets,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest page",
            Self::ByActor => "page by actor",
            Self::ByEntity => "page by entity",
            Self::ActionInDay => "page by action and day",
            Self::ByTenant => "page by tenant",
            Self::ByAddress => "page by address",
            Self::Deep => "page in the middle of the log",
            Self::RareWord => "page by a rare word",
            Self::CommonWord => "page by a common word",
            Self::CountOfAction => "count of an action, capped",
            Self::CountOfActor => "count of an actor, capped",
            Self::Estimate => "estimate of a route",
            Self::StatsDay => "stats, last day",
            Self::StatsAll => "stats, all time",
            Self::Facets => "facets, all time",
        }
    }

    /// What it may take, in milliseconds.
    const fn target(self) -> f64 {
        match self {
            Self::Newest
            | Self::ByActor
            | Self::ByEntity
            | Self::ActionInDay
            | Self::ByTenant
            | Self::ByAddress
            | Self::Deep => 0.5,
            Self::RareWord | Self::CommonWord => 10.0,
            Self::CountOfAction | Self::CountOfActor | Self::Estimate | Self::StatsDay => 2.0,
            Self::StatsAll | Self::Facets => 15.0,
        }
    }

    /// Reading the whole log takes seconds: fewer rounds tell as much.
    const fn is_slow_naively(self) -> bool {
        matches!(
            self,
            Self::Deep
                | Self::RareWord
                | Self::CommonWord
                | Self::CountOfAction
                | Self::Estimate
                | Self::StatsAll
                | Self::Facets
        )
    }
}

fn main() {
    let rows = argument("--rows", if is_test() { 3_000 } else { 200_000 }) as u64;
    let rounds = argument("--rounds", if is_test() { 1 } else { 21 });
    let stores: Vec<String> =
        named("--store").map_or_else(|| vec!["sqlite".into(), "postgres".into()], |one| vec![one]);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for store in &stores {
        match store.as_str() {
            "sqlite" => runtime.block_on(sqlite(rows, rounds)),
            "postgres" => match std::env::var("TEST_POSTGRES_URL") {
                Ok(url) => runtime.block_on(postgres(&url, rows, rounds)),
                Err(_) if is_test() => {
                    println!("reading: Postgres is not run, TEST_POSTGRES_URL names no server");
                }
                Err(_) => {
                    eprintln!(
                        "reading: TEST_POSTGRES_URL names no server; `scripts/bench` starts one"
                    );
                    std::process::exit(1);
                }
            },
            other => {
                eprintln!("reading: --store {other} is unknown; there are sqlite and postgres");
                std::process::exit(1);
            }
        }
    }
}

/// Returns what stands after a name on the command line.
fn named(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

async fn sqlite(rows: u64, rounds: usize) {
    let thrown_away = tempfile::tempdir().unwrap();
    let folder = named("--folder").map_or_else(|| thrown_away.path().to_owned(), PathBuf::from);
    let (path, naive) = (folder.join("activity.db"), folder.join("naive.db"));
    println!("SQLite, {rows} rows, {rounds} rounds");
    let is_full = naive.exists();
    let store = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
    if is_full {
        skewed::begins_with(store.storage().await.unwrap().oldest.unwrap());
    } else {
        let indexes = naive::Indexes::set_aside(&path);
        fill(&store, rows, || indexes.put_back()).await;
        let begun = Instant::now();
        naive::Sqlite::copy(&path, &naive);
        println!("  the naive log in {:.0} s", begun.elapsed().as_secs_f64());
    }
    let naive = naive::Sqlite::open(&naive);
    ask(&mut Ours::new(store, rows), &mut naive::Naive::Sqlite(naive), rounds).await;
}

async fn postgres(url: &str, rows: u64, rounds: usize) {
    let (database, is_full) = naive::Database::create(url, named("--database")).await;
    println!("Postgres, {rows} rows, {rounds} rounds");
    let store =
        PostgresStore::open(database.url()).await.unwrap().with_deadline(Duration::from_secs(600));
    if is_full {
        skewed::begins_with(store.storage().await.unwrap().oldest.unwrap());
    } else {
        fill(&store, rows, || {}).await;
        let begun = Instant::now();
        naive::Postgres::copy(database.url()).await;
        println!("  the naive log in {:.0} s", begun.elapsed().as_secs_f64());
    }
    let naive = naive::Postgres::open(database.url()).await;
    let store = store.with_deadline(PostgresStore::DEFAULT_DEADLINE);
    ask(&mut Ours::new(store, rows), &mut naive::Naive::Postgres(naive), rounds).await;
    database.drop().await;
}

/// Appends the records, makes the text index, and folds everything.
async fn fill<S>(store: &S, rows: u64, appended: impl FnOnce())
where
    S: Append + Maintain,
{
    let begun = Instant::now();
    let mut skewed = skewed::Skewed::new(rows);
    let mut appender = store.connect().await.unwrap();
    let (mut done, mut told) = (0_u64, Instant::now());
    loop {
        let batch = skewed.batch(5_000);
        let Some(batch) = Batch::new(&batch) else { break };
        appender.append(batch).await.unwrap();
        done += batch.records().len() as u64;
        if told.elapsed() > Duration::from_secs(20) {
            println!("  {done} of {rows} rows, {} s", begun.elapsed().as_secs());
            told = Instant::now();
        }
    }
    appended();
    println!("  {rows} rows in {:.0} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    store.make_index(tower_activity::store::Index::Text).await.unwrap();
    println!("  text index in {:.0} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    told = begun;
    loop {
        let folded = store.fold(100).await.unwrap();
        if folded.behind() == 0 {
            break;
        }
        if told.elapsed() > Duration::from_secs(20) {
            println!("  folded up to {}, {} s", folded.position, begun.elapsed().as_secs());
            told = Instant::now();
        }
    }
    println!("  rollups in {:.0} s", begun.elapsed().as_secs_f64());
    let storage = store.storage().await.unwrap();
    println!("  {} MiB", storage.bytes / 1024 / 1024);
}

/// Asks every question of both, interleaved, and prints medians with quartiles; of ours the processor time of
/// this process too, which a busy machine does not change.
async fn ask(ours: &mut Ours, naive: &mut naive::Naive, rounds: usize) {
    println!("  load average: {}", load());
    println!(
        "  {:32} {:>24} {:>7} {:>8} {:>28} {:>8}",
        "", "ours, ms", "target", "cpu, ms", "naive, ms", "ratio"
    );
    for question in Question::ALL {
        let rounds = if question.is_slow_naively() { rounds.min(5) } else { rounds };
        let (mut us, mut them, mut spent) = (Vec::new(), Vec::new(), Vec::new());
        let (mut found, mut found_naively) = (0, 0);
        // Every connection of a pool learns of the schema with its first questions.
        let begun = Instant::now();
        for round in 0..32 {
            ours.ask(question, round % rounds as u64).await;
            if begun.elapsed() > Duration::from_secs(1) {
                break;
            }
        }
        for round in 0..=rounds as u64 {
            let (begun, before) = (Instant::now(), cpu_time());
            found = ours.ask(question, round).await;
            let took = begun.elapsed();
            let cpu = cpu_time().saturating_sub(before);
            let begun = Instant::now();
            found_naively = naive.ask(question, round).await;
            let naively = begun.elapsed();
            // The first warms both.
            if round > 0 {
                us.push(took.as_secs_f64() * 1e3);
                spent.push(cpu.as_secs_f64() * 1e3);
                them.push(naively.as_secs_f64() * 1e3);
            }
        }
        let line = |samples: &[f64]| {
            let q = |q| quantile(samples, q);
            format!("{:>9.2} ({:.2}–{:.2})", q(0.5), q(0.25), q(0.75))
        };
        let (target, median) = (question.target(), quantile(&us, 0.5));
        println!(
            "  {:32} {:>24} {target:>5}{:>2} {:>8.2} {:>28} {:>7.1}x   found {found} and {found_naively}",
            question.name(),
            line(&us),
            if median > target { " !" } else { "" },
            quantile(&spent, 0.5),
            line(&them),
            quantile(&them, 0.5) / median,
        );
    }
    println!("  load average: {}", load());
}

/// How busy the machine is besides.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}
