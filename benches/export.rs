//! Rows per second out of a log, as a client gets them from `GET /export?format=csv`: ours against
//! `COPY … TO STDOUT (FORMAT csv)` on Postgres and against the `sqlite3` shell on SQLite, the same rows and
//! the same columns; every other format beside them; and the memory that twenty exports at once take.
//!
//! `scripts/bench export [--rows 200000] [--rounds 5]`, or with a server of your own
//! `TEST_POSTGRES_URL=postgres://… cargo bench --bench export --features postgres`

#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/database.rs"]
mod database;

use std::{
    cell::RefCell,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use common::{Case, argument, cpu_time, interleave, is_test, paired, sample::Stream};
use database::Database;
use futures_util::TryStreamExt as _;
use http_body_util::BodyExt as _;
use sqlx::{Executor as _, postgres::PgPoolCopyExt as _};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use tower_activity::{
    Pipeline, SqliteStore,
    access::{self, Grant, Permission, Permissions},
    record::{Actor, Field, Record},
    store::{Append, Appender as _, Batch, postgres::PostgresStore},
};

fn main() {
    let rows = if is_test() { 1_000 } else { argument("--rows", 200_000) };
    let rounds = if is_test() { 1 } else { argument("--rounds", 5) };
    println!("export: {rows} rows of {} columns, {rounds} rounds", Record::FIELDS.len());
    // As many threads as a service has.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    sqlite(&runtime, rows, rounds);
    match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) => postgres(&runtime, &url, rows, rounds),
        Err(_) if is_test() => println!("postgres: not run, TEST_POSTGRES_URL names no server"),
        Err(_) => {
            eprintln!("export: TEST_POSTGRES_URL names no server; `scripts/bench` starts one");
            std::process::exit(1);
        }
    }
}

async fn fill<S: Append>(store: &S, rows: usize) {
    let mut appender = store.connect().await.unwrap();
    let mut stream = Stream::new(1);
    let mut left = rows;
    while left > 0 {
        let batch = stream.batch(left.min(5_000));
        appender.append(Batch::new(&batch).unwrap()).await.unwrap();
        left -= batch.len();
    }
}

/// The API over a store, for somebody who may do everything.
async fn router<S: Append>(store: S) -> (Pipeline, Router) {
    let pipeline = Pipeline::builder(store).start().await.unwrap();
    let access = access::from_fn(|_| async {
        Ok(Grant::new(Actor::user("bench"), Permissions::admin().with(Permission::Export)))
    });
    let router = pipeline.router(access);
    (pipeline, router)
}

async fn open(router: &Router, format: &str) -> Body {
    // Without the exports' own records, so that there are as many rows in each round.
    let path = format!("/export?format={format}&category=activity");
    let request = http::Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert!(response.status().is_success());
    response.into_body()
}

/// Takes an export to its end; returns how many bytes and line ends there were.
async fn drain(mut body: Body) -> (u64, u64) {
    let (mut bytes, mut lines) = (0, 0);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.unwrap().into_data() {
            bytes += data.len() as u64;
            lines += data.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
    }
    (bytes, lines)
}

/// A case that exports everything in a format.
fn ours<'a>(
    runtime: &'a Runtime,
    router: &'a Router,
    format: &'static str,
    rows: usize,
    cpu: &'a RefCell<(Duration, u64)>,
) -> Case<'a> {
    Case::new(format!("ours: /export?format={format}"), move || {
        let (start, before) = (Instant::now(), cpu_time());
        let body = runtime.block_on(open(router, format));
        let (_, lines) = runtime.block_on(async { tokio::spawn(drain(body)).await.unwrap() });
        let took = start.elapsed();
        assert!(lines >= rows as u64);
        if format == "csv" {
            let mut cpu = cpu.borrow_mut();
            cpu.0 += cpu_time().saturating_sub(before);
            cpu.1 += rows as u64;
        }
        (rows as u64, took)
    })
}

fn report(cases: &[Case<'_>], rival: &str, cpu: &RefCell<(Duration, u64)>) {
    for case in cases {
        println!("  {}", case.line());
    }
    let (ratio, low, high) = paired(&cases[0], &cases[1], |ours, rival| ours / rival);
    println!("  time of ours / {rival}: {ratio:.2} ({low:.2}–{high:.2}), target ≤ 0.81");
    let (cpu, count) = *cpu.borrow();
    let each = cpu.as_secs_f64() * 1e6 / count.max(1) as f64;
    println!("  processor time of ours: {each:.2} µs a row");
}

/// Twenty exports at once, each drained: what they add to the memory of the process.
fn twenty(runtime: &Runtime, router: &Router) {
    // The kernel forgets the peak when it is told so.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = memory("VmRSS:");
    runtime.block_on(async {
        let bodies = futures_util::future::join_all((0..20).map(|_| open(router, "csv"))).await;
        let draining = bodies.into_iter().map(|body| tokio::spawn(drain(body)));
        futures_util::future::join_all(draining).await;
    });
    let peak = memory("VmHWM:");
    println!(
        "  20 exports at once: {} MiB at most over {before} MiB before{}",
        peak.saturating_sub(before),
        if reset { "" } else { " (the peak of the whole run)" }
    );
}

fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    found.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
        / 1024
}

fn columns() -> String {
    Record::FIELDS.iter().map(Field::name).collect::<Vec<_>>().join(", ")
}

fn sqlite(runtime: &Runtime, rows: usize, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("activity.db");
    let store = runtime.block_on(SqliteStore::open(file.to_str().unwrap())).unwrap();
    runtime.block_on(fill(&store, rows));
    let (pipeline, router) = runtime.block_on(router(store));
    println!("\nSQLite");
    let cpu = RefCell::default();
    let mut cases = vec![ours(runtime, &router, "csv", rows, &cpu)];
    if Command::new("sqlite3").arg("--version").stdout(Stdio::null()).status().is_ok() {
        cases.push(Case::new("sqlite3 -csv -header, newest first", || {
            let start = Instant::now();
            shell(&file, "order by occurred_at desc, id desc");
            (rows as u64, start.elapsed())
        }));
    } else {
        println!("  no `sqlite3` here (Debian package sqlite3): not compared");
    }
    for format in ["jsonl", "ocsf", "cloudevents"] {
        cases.push(ours(runtime, &router, format, rows, &cpu));
    }
    interleave(&mut cases, rounds);
    report(&cases, "sqlite3 shell", &cpu);
    drop(cases);
    twenty(runtime, &router);
    drop(router);
    runtime.block_on(pipeline.shutdown(Duration::from_secs(5)));
}

fn shell(file: &Path, order: &str) {
    let sql =
        format!("select {} from activity_records where category = 'activity' {order}", columns());
    let status = Command::new("sqlite3")
        .args(["-csv", "-header", "-readonly"])
        .arg(file)
        .arg(sql)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

fn postgres(runtime: &Runtime, server: &str, rows: usize, rounds: usize) {
    let database = runtime.block_on(Database::create(server, "export"));
    let store = runtime.block_on(PostgresStore::open(&database.url)).unwrap();
    runtime.block_on(fill(&store, rows));
    let pool = runtime.block_on(sqlx::PgPool::connect(&database.url)).unwrap();
    runtime.block_on(async { pool.execute("vacuum analyze").await.unwrap() });
    let (pipeline, router) = runtime.block_on(router(store));
    println!("\nPostgres");
    let cpu = RefCell::default();
    let copy = |order: &'static str| {
        let pool = &pool;
        move || {
            let sql = format!(
                "copy (select {} from activity.records where category = 'activity' {order}) \
                 to stdout (format csv, header)",
                columns()
            );
            let start = Instant::now();
            runtime.block_on(async {
                let mut chunks = pool.copy_out_raw(&sql).await.unwrap();
                while chunks.try_next().await.unwrap().is_some() {}
            });
            (rows as u64, start.elapsed())
        }
    };
    let mut cases = vec![
        ours(runtime, &router, "csv", rows, &cpu),
        Case::new("COPY … TO STDOUT csv, in no order", copy("")),
        Case::new("COPY … newest first", copy("order by occurred_at desc, id desc")),
    ];
    for format in ["jsonl", "ocsf", "cloudevents"] {
        cases.push(ours(runtime, &router, format, rows, &cpu));
    }
    interleave(&mut cases, rounds);
    report(&cases, "COPY", &cpu);
    drop(cases);
    twenty(runtime, &router);
    drop(router);
    runtime.block_on(async {
        pipeline.shutdown(Duration::from_secs(5)).await;
        pool.close().await;
        database.drop().await;
    });
}
