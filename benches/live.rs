//! How long a record takes from the request that made it to somebody who listens, as an SSE client of
//! `GET /live/sse` sees it: in the process that recorded it, and at another replica on the same database;
//! and a burst to many listeners at once.
//!
//! `scripts/bench live [--rounds 200] [--listeners 100]`

#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/database.rs"]
mod database;

use std::time::{Duration, Instant};

use axum::{Router, body::Body};
use common::{argument, is_test, quantile};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_activity::{
    Pipeline, PostgresStore, SqliteStore,
    access::{self, Grant, Permissions},
    record::{Actor, Record},
    store::Append,
};

fn main() {
    let rounds = argument("--rounds", if is_test() { 3 } else { 200 });
    let listeners = argument("--listeners", if is_test() { 2 } else { 100 });
    let burst = if is_test() { 50 } else { 10_000 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("activity.db");
        println!("SQLite, {rounds} records, one at a time");
        let open = async || SqliteStore::open(path.to_str().unwrap()).await.unwrap();
        measure(open().await, open().await, rounds, listeners, burst).await;
        match std::env::var("TEST_POSTGRES_URL") {
            Ok(url) => {
                let database = database::Database::create(&url, "live").await;
                println!("Postgres, {rounds} records, one at a time");
                let open = async || PostgresStore::open(&database.url).await.unwrap();
                measure(open().await, open().await, rounds, listeners, burst).await;
                database.drop().await;
            }
            Err(_) if is_test() => println!("Postgres: not run, TEST_POSTGRES_URL names no server"),
            Err(_) => {
                eprintln!("live: TEST_POSTGRES_URL names no server; `scripts/bench` starts one");
                std::process::exit(1);
            }
        }
    });
}

async fn measure<S: Append>(here: S, there: S, rounds: usize, listeners: usize, burst: usize) {
    let (here, there) = (service(here).await, service(there).await);
    let mut near = Listener::open(&here.1).await;
    let mut far = Listener::open(&there.1).await;
    let (mut nearby, mut far_off) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let name = format!("round-{round}");
        let begun = Instant::now();
        record(&here.0, &name);
        let (one, other) = tokio::join!(near.until(&name, begun), far.until(&name, begun));
        // The first warms both.
        if round > 0 {
            nearby.push(one.as_secs_f64() * 1e3);
            far_off.push(other.as_secs_f64() * 1e3);
        }
    }
    line("in the process that recorded it", &nearby);
    line("at another replica (asks every 200 ms)", &far_off);

    let mut all = join_all((0..listeners).map(|_| Listener::open(&here.1))).await;
    let begun = Instant::now();
    for n in 0..burst {
        record(&here.0, &format!("burst-{n}"));
        // Requests come from outside; a loop that never waits would fill the queue instead.
        if n % 500 == 499 {
            here.0.flush().await;
        }
    }
    let recorded = begun.elapsed();
    let last = format!("burst-{}", burst - 1);
    let took: Vec<f64> = join_all(all.iter_mut().map(|one| one.until(&last, begun)))
        .await
        .iter()
        .map(|took| (*took - recorded.min(*took)).as_secs_f64() * 1e3)
        .collect();
    println!(
        "  {burst} records to {listeners} listeners: recorded in {:.0} ms, then",
        recorded.as_secs_f64() * 1e3
    );
    line("the last record at each of them", &took);
    drop((near, far, all));
    for (pipeline, _) in [here, there] {
        pipeline.shutdown(Duration::from_secs(5)).await;
    }
}

fn line(name: &str, samples: &[f64]) {
    let q = |q| quantile(samples, q);
    println!("  {name:42} {:>7.2} ms ({:.2}–{:.2}), p99 {:.2}", q(0.5), q(0.25), q(0.75), q(0.99));
}

async fn service<S: Append>(store: S) -> (Pipeline, Router) {
    let pipeline = Pipeline::builder(store).start().await.unwrap();
    let access =
        access::from_fn(|_| async { Ok(Grant::new(Actor::user("bench"), Permissions::admin())) });
    let router = pipeline.router(access);
    (pipeline, router)
}

fn record(pipeline: &Pipeline, id: &str) {
    let record = Record::by(Actor::user("ana")).verb("update").on("order", id);
    assert!(pipeline.recorder().record(record).is_accepted());
}

/// Somebody who reads `/live/sse`.
struct Listener(Body);

impl Listener {
    async fn open(router: &Router) -> Self {
        let request =
            http::Request::get("/live/sse?entity_type=order").body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert!(response.status().is_success(), "{response:?}");
        let mut listener = Self(response.into_body());
        // The first heartbeat says that it has begun.
        listener.until("heartbeat", Instant::now()).await;
        listener
    }

    /// Reads on until something is named, and returns how long after the beginning that was.
    async fn until(&mut self, name: &str, begun: Instant) -> Duration {
        let ends = format!("{name}\"");
        loop {
            let frame = self.0.frame().await.expect("it goes on for ever").unwrap();
            let Ok(data) = frame.into_data() else { continue };
            let text = String::from_utf8_lossy(&data);
            if text.contains(&ends) {
                return begun.elapsed();
            }
        }
    }
}
