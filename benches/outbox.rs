//! What a record costs a transaction of the application: `record_in` against the row that one would write by
//! hand into a table of one's own, both on top of a transaction that makes an order.
//!
//! What is measured are the transactions: few at a time, so that a noisy neighbour hits all cases alike. The worker
//! moves what they committed, into a log in another database, between one case and the next.
//!
//! `scripts/bench outbox [--rounds 101]`

#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/database.rs"]
mod database;

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use common::{Case, argument, interleave, is_test, paired};
use sqlx::{
    PgPool, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::runtime::Runtime;
use tower_activity::{
    Pipeline, PostgresStore, SqliteStore,
    record::{Actor, Record},
    store::{Outbox as _, postgres::PostgresOutbox, sqlite::SqliteOutbox},
};

/// What is told of an order beside that it is there.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    Nothing,
    Row,
    Record,
}

/// What such a table has in an application that keeps one.
const TABLE: &str =
    "CREATE TABLE audit (id BIGINT PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL,
    action TEXT NOT NULL, entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, details TEXT);
    CREATE TABLE orders (id BIGINT PRIMARY KEY, state TEXT NOT NULL)";

/// Makes an order and tells of it; the same on both databases, whose types are not.
macro_rules! transaction {
    ($pool:ident, $pipeline:ident, $order:ident, $told:ident) => {
        let mut transaction = $pool.begin().await.unwrap();
        sqlx::query("INSERT INTO orders (id, state) VALUES ($1, 'new')")
            .bind($order)
            .execute(&mut *transaction)
            .await
            .unwrap();
        let id = $order.to_string();
        match $told {
            Told::Nothing => {}
            Told::Row => {
                let row = "INSERT INTO audit VALUES ($1, '2026-03-01T00:00:00Z', $2, 'create', 'order', $3, '{}')";
                let row = sqlx::query(row).bind($order).bind("ana").bind(id);
                row.execute(&mut *transaction).await.unwrap();
            }
            Told::Record => {
                let record = Record::by(Actor::user("ana")).created("order", &id);
                $pipeline.recorder().record_in(&mut transaction, record).await.unwrap();
            }
        }
        transaction.commit().await.unwrap();
    };
}

fn main() {
    let rounds = argument("--rounds", if is_test() { 1 } else { 101 });
    let count = if is_test() { 3 } else { 20 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    println!("outbox: {rounds} rounds of {count} transactions; SQLite, WAL, synchronous FULL");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("app.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(60));
    let (pool, pipeline) = runtime.block_on(async {
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let outbox = SqliteOutbox::new(&pool);
        outbox.migrate().await.unwrap();
        sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
        let log = folder.path().join("log.db");
        let log = SqliteStore::open(log.to_str().unwrap()).await.unwrap();
        (pool, Pipeline::builder(log).outbox(outbox).start().await.unwrap())
    });
    measure(&runtime, &pipeline, rounds, count, async |order, told| {
        transaction!(pool, pipeline, order, told);
    });
    runtime.block_on(pipeline.shutdown(Duration::from_secs(30)));

    match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) => on_postgres(&runtime, &url, rounds, count),
        Err(_) if is_test() => println!("Postgres: not run, TEST_POSTGRES_URL names no server"),
        Err(_) => {
            eprintln!("outbox: TEST_POSTGRES_URL names no server; `scripts/bench` starts one");
            std::process::exit(1);
        }
    }
}

fn on_postgres(runtime: &Runtime, url: &str, rounds: usize, count: u64) {
    println!("Postgres");
    let (app, log, pool, pipeline) = runtime.block_on(async {
        let app = database::Database::create(url, "outbox_app").await;
        let log = database::Database::create(url, "outbox_log").await;
        let pool = PgPool::connect(&app.url).await.unwrap();
        let outbox = PostgresOutbox::new(&pool);
        outbox.migrate().await.unwrap();
        sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
        let store = PostgresStore::open(&log.url).await.unwrap();
        let pipeline = Pipeline::builder(store).outbox(outbox).start().await.unwrap();
        (app, log, pool, pipeline)
    });
    measure(runtime, &pipeline, rounds, count, async |order, told| {
        transaction!(pool, pipeline, order, told);
    });
    runtime.block_on(async {
        pipeline.shutdown(Duration::from_secs(30)).await;
        pool.close().await;
        app.drop().await;
        log.drop().await;
    });
}

fn measure(
    runtime: &Runtime,
    pipeline: &Pipeline,
    rounds: usize,
    count: u64,
    transaction: impl AsyncFn(i64, Told),
) {
    let (next, transaction) = (Cell::new(0), &transaction);
    let case = |name: &str, told| {
        let next = &next;
        Case::new(name, move || {
            // What the last case left behind is not this one's.
            runtime.block_on(pipeline.flush());
            let start = Instant::now();
            runtime.block_on(async {
                for _ in 0..count {
                    transaction(next.replace(next.get() + 1), told).await;
                }
            });
            (count, start.elapsed())
        })
    };
    let mut cases = [
        case("an order", Told::Nothing),
        case("an order and a row by hand", Told::Row),
        case("an order and record_in", Told::Record),
    ];
    interleave(&mut cases, rounds);
    for case in &cases {
        let (low, high) = case.quartiles();
        println!(
            "  {:28} {:>6.0} µs ({:.0}–{:.0})",
            case.name,
            case.median() / 1e3,
            low / 1e3,
            high / 1e3
        );
    }
    for (case, name) in [(&cases[1], "the row"), (&cases[2], "record_in")] {
        let (more, low, high) = paired(case, &cases[0], |with, without| (with - without) / 1e3);
        println!("  {name} adds {more:+.0} µs ({low:+.0} to {high:+.0})");
    }
}
