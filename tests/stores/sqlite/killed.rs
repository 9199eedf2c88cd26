//! Processes that are killed, without a spool.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use tower_activity::{
    Filter, Pipeline,
    record::{Actor, Record},
    store::{CompletenessRequest, Maintain as _, Read as _, StreamEnd, sqlite::SqliteStore},
};

use super::InFile;
use crate::suite::{Fixture as _, newest};

const ROUNDS: usize = 3;
const STORE: &str = "TEST_KILLED_STORE";

/// Records without end, as a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(path) = std::env::var(STORE) else { return };
    let store = SqliteStore::open(&path).await.unwrap();
    let pipeline = Pipeline::builder(store)
        .service("shop")
        .batch_age(Duration::from_millis(1))
        .start()
        .await
        .unwrap();
    for n in 0.. {
        let record = Record::by(Actor::user("ana")).created("order", &n.to_string());
        assert!(pipeline.recorder().record(record).is_accepted());
        if n % 10 == 0 {
            pipeline.flush().await;
            println!("stored {n}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_killed_is_told_of_by_the_next_one() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let mut stored = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite::killed::child", "--nocapture"])
            .env(STORE, fixture.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = lines.map_while(Result::ok).filter_map(|line| {
            // The harness writes in front of the first.
            line.rsplit_once("stored ").and_then(|(_, n)| n.trim().parse::<usize>().ok())
        });
        stored.push(told.nth(2 + 3 * round).expect("it records"));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    let pipeline = Pipeline::builder(store.clone()).service("shop").start().await.unwrap();
    let unclean = async || {
        let found = store.completeness(&CompletenessRequest::newest(100)).await.unwrap();
        let is_unclean = |end| matches!(end, StreamEnd::Unclean { .. });
        found.streams.into_iter().filter(|stream| is_unclean(stream.end)).collect::<Vec<_>>()
    };
    let all = async {
        while unclean().await.len() < ROUNDS {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("each is told of");
    pipeline.shutdown(Duration::from_secs(20)).await;

    let unclean = unclean().await;
    assert!(unclean.iter().all(|stream| stream.is_whole() && !stream.is_complete()));
    let filter = Filter::new().any_of("action", ["gap"]).unwrap();
    let gaps = store.records(&filter, &newest(100)).await.unwrap().records;
    assert_eq!(gaps.len(), ROUNDS, "once each, though each of the later processes looked");
    // What a flush had answered for is there, and nothing beside the end is missing.
    for (stream, stored) in unclean.iter().rev().zip(stored) {
        let filter = Filter::new().any_of("action", ["create"]).unwrap();
        let page = store.records(&filter, &newest(100_000)).await.unwrap();
        let mut orders: Vec<usize> = page
            .records
            .iter()
            .filter(|record| record.writer_id == stream.writer_id)
            .map(|record| record.entity_id.parse().unwrap())
            .collect();
        orders.sort_unstable();
        assert!(orders.iter().copied().eq(0..orders.len()), "{orders:?}");
        assert!(stored < orders.len(), "{stored} was answered for: {orders:?}");
    }
}
