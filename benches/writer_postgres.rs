//! Rows per second into Postgres: ours against raw COPY BINARY of the very same bytes, into a table of the
//! same shape with the same indexes, in a database of its own; the processor time of the client; and what
//! ledger and commitments take.
//!
//! `scripts/bench writer_postgres [--rounds 15]`, or with a server of your own
//! `TEST_POSTGRES_URL=postgres://… cargo bench --bench writer_postgres --features postgres`

#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/database.rs"]
mod database;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use common::{Case, argument, cpu_time, interleave, is_test, paired, sample::Stream};
use database::Database;
use futures_util::TryStreamExt as _;
use sqlx::{Connection as _, Executor as _, PgConnection, postgres::PgPoolCopyExt as _};
use tower_activity::{
    ledger::new_entries,
    record::{Canonical, Record},
    store::{Append as _, Appender as _, Batch, postgres::PostgresStore},
};

const LEAF: &str = "activity.records_2026_03_activity";

fn main() {
    let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
        if is_test() {
            println!("writer_postgres: not run, TEST_POSTGRES_URL names no server");
            return;
        }
        eprintln!("writer_postgres: TEST_POSTGRES_URL names no server; `scripts/bench` starts one");
        std::process::exit(1);
    };
    let rounds = argument("--rounds", if is_test() { 1 } else { 15 });
    let batches = if is_test() { 1 } else { 4 };
    println!(
        "writer_postgres: {} columns, nine indexes, {rounds} rounds",
        Record::FIELDS.len() + 8
    );
    for rows in [1_000, 5_000] {
        measure(&url, if is_test() { 10 } else { rows }, batches, rounds);
    }
}

fn measure(server: &str, rows: usize, batches: usize, rounds: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (ours_db, donor_db, rival_db) = runtime.block_on(async {
        (
            Database::create(server, &format!("ours_{rows}")).await,
            Database::create(server, &format!("donor_{rows}")).await,
            Database::create(server, &format!("rival_{rows}")).await,
        )
    });

    let store = runtime.block_on(PostgresStore::open(&ours_db.url)).unwrap();
    let mut appender = runtime.block_on(store.connect()).unwrap();
    let mut stream = Stream::new(1);
    let ours_cpu = std::cell::RefCell::new((Duration::ZERO, 0_u64));
    let ours = Case::new("ours: append, with ledger and commitments", || {
        let input: Vec<_> = (0..batches).map(|_| stream.batch(rows)).collect();
        let (start, cpu) = (Instant::now(), cpu_time());
        for batch in &input {
            runtime.block_on(appender.append(Batch::new(batch).unwrap())).unwrap();
        }
        let took = start.elapsed();
        let mut total = ours_cpu.borrow_mut();
        total.0 += cpu_time().saturating_sub(cpu);
        total.1 += (rows * batches) as u64;
        ((rows * batches) as u64, took)
    });

    // The donor encodes what the rival sends, so that nothing but COPY is left to it.
    let donor = runtime.block_on(PostgresStore::open(&donor_db.url)).unwrap();
    let mut donor_appender = runtime.block_on(donor.connect()).unwrap();
    let donor_pool = runtime.block_on(sqlx::PgPool::connect(&donor_db.url)).unwrap();
    let mut donor_stream = Stream::new(2);
    let (_rival_store, mut rival_connection) = runtime.block_on(async {
        let store = PostgresStore::open(&rival_db.url).await.unwrap();
        let mut connection = PgConnection::connect(&rival_db.url).await.unwrap();
        connection.execute("select activity.make_leaf('2026-03', 'activity')").await.unwrap();
        (store, connection)
    });
    let rival = Case::new("raw COPY BINARY of ready bytes, no ledger", || {
        let input: Vec<Vec<u8>> = (0..batches)
            .map(|_| {
                let batch = donor_stream.batch(rows);
                runtime.block_on(async {
                    let batch = Batch::new(&batch).unwrap();
                    donor_appender.append(batch).await.unwrap();
                    let sql = format!(
                        "copy (select * from {LEAF} where seq between {} and {} order by seq) to stdout (format binary)",
                        batch.first_seq(),
                        batch.last_seq()
                    );
                    let chunks = donor_pool.copy_out_raw(&sql).await.unwrap();
                    chunks.try_collect::<Vec<_>>().await.unwrap().concat()
                })
            })
            .collect();
        let start = Instant::now();
        for bytes in input {
            runtime.block_on(async {
                rival_connection.execute("begin").await.unwrap();
                let sql = format!("copy {LEAF} from stdin (format binary)");
                let mut copy = rival_connection.copy_in_raw(&sql).await.unwrap();
                copy.send(bytes).await.unwrap();
                copy.finish().await.unwrap();
                rival_connection.execute("commit").await.unwrap();
            });
        }
        ((rows * batches) as u64, start.elapsed())
    });

    let mut hashed = Stream::new(3);
    let mut canonical = Canonical::new();
    let hashing = Case::new("ledger and commitments alone", || {
        let input: Vec<_> = (0..batches).map(|_| hashed.batch(rows)).collect();
        let start = Instant::now();
        for batch in &input {
            black_box(new_entries(batch, &mut canonical));
        }
        ((rows * batches) as u64, start.elapsed())
    });

    let mut cases = [ours, rival, hashing];
    interleave(&mut cases, rounds);
    println!("\n{rows} rows a batch, {} rows a round", rows * batches);
    for case in &cases {
        println!("  {}", case.line());
    }
    let target = if rows >= 5_000 { "0.90" } else { "0.85" };
    let (ratio, low, high) = paired(&cases[1], &cases[0], |rival, ours| rival / ours);
    println!("  ratio ours / raw COPY: {ratio:.2} ({low:.2}–{high:.2}), target ≥ {target}");
    let (share, low, high) = paired(&cases[2], &cases[0], |hash, ours| 100.0 * hash / ours);
    println!("  share of ledger and commitments: {share:.1} % ({low:.1}–{high:.1})");
    drop(cases);
    let (cpu, count) = *ours_cpu.borrow();
    println!(
        "  processor time of the client: {:.2} µs a row, target ≤ 2",
        cpu.as_secs_f64() * 1e6 / count as f64
    );

    runtime.block_on(async {
        donor_pool.close().await;
        for database in [ours_db, donor_db, rival_db] {
            database.drop().await;
        }
    });
}
