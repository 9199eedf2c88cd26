//! Several services on one database, one of which is killed again and again (33), and what becomes of the requests
//! that it was at.

use std::collections::BTreeMap;

use tokio::sync::watch;

use super::{
    app::App,
    child::Settings,
    load::{Book, Client, Load},
    oracle::{Log, judge},
    server::Database,
    until,
};
use crate::{oracle::Stored, table::times};

const REPLICAS: usize = 4;

/// (33) Four services, each with a folder of its own; one after the other is killed, and started again on what it
/// left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_again_and_again_loses_nothing() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let log = Log::Postgres(database.url());
    tower_activity::PostgresStore::open(&database.url()).await.unwrap();
    let settings: Vec<_> = (0..REPLICAS)
        .map(|replica| Settings::new(database.url(), folder.path().join(format!("{replica}"))))
        .collect();
    let (book, mut apps, mut addresses) = (Book::default(), Vec::new(), Vec::new());
    for settings in &settings {
        let app = App::start(settings, folder.path()).await;
        addresses.push(watch::Sender::new(app.address));
        apps.push(app);
    }
    let load = Load::start(&addresses, 2, &book);
    let kills = times(4, 120);
    for kill in 0..kills {
        // In the middle of things: sometimes before anything of this life is stored.
        load.answered(10 + 40 * (kill % 3)).await;
        let replica = kill % REPLICAS;
        apps.remove(replica).kill().await;
        let next = App::start(&settings[replica], folder.path()).await;
        addresses[replica].send_replace(next.address);
        apps.insert(replica, next);
    }
    load.answered(20).await;
    load.stop().await;
    log.arrived(&book).await;
    for app in apps {
        let report = app.stop().await;
        assert_eq!((report["spooled"], report["dropped"]), (0, 0));
    }
    judge("33 replicas, one killed", kills, &book, &log).await;
}

/// A process is killed while it answers one request and thinks about another: the next one tells of each, once.
async fn tells_once(mode: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("activity.db");
    let log = Log::Sqlite(file.clone());
    let store = format!("sqlite:{}", file.display());
    let settings = Settings::new(store, folder.path().join("spool")).mode(mode);
    let (book, rounds) = (Book::default(), times(2, 50));
    for _ in 0..rounds {
        let app = App::start(&settings, folder.path()).await;
        let mut done = Client::connect(app.address, &book).await.unwrap();
        done.send_all(3).await;
        let mut answering = Client::connect(app.address, &book).await.unwrap().path("/streams/7");
        answering.send_head().await;
        let mut thinking = Client::connect(app.address, &book).await.unwrap().path("/hangs/8");
        // Over the same wire behind it nothing can be asked; so over another whether it has come in.
        let sent = tokio::spawn(async move { thinking.send().await });
        until("it is in the handler", async || app.ask("GET", "/hanging").await.1 == "1").await;
        app.kill().await;
        assert!(sent.await.unwrap().is_err());
    }
    let app = App::start(&settings, folder.path()).await;
    log.arrived(&book).await;
    app.settled().await;
    let ended = async || -> Vec<Stored> {
        let records = log.records().await;
        // The last word of the stream, which says so too, is of the process and not of a request.
        let tells = |r: &Stored| r.reason == "process_ended" && r.action != "stopped";
        records.into_iter().filter(tells).collect()
    };
    // Only of a strict one anything is on the disk before its answer has a head.
    let per_round = if mode == "strict" { 2 } else { 1 };
    until("each is told of", async || ended().await.len() >= per_round * rounds).await;
    app.stop().await;
    // Whoever starts later finds nothing left to tell.
    for _ in 0..2 {
        App::start(&settings, folder.path()).await.stop().await;
    }
    let told = ended().await;
    let by_status = told.iter().fold(BTreeMap::new(), |mut counts, record| {
        *counts.entry((record.status, record.outcome.clone())).or_insert(0) += 1;
        counts
    });
    // What was said at the head is known, but nobody got a whole answer; of a strict one there is the intent too.
    let mut expected = BTreeMap::from([((Some(201), "aborted".to_owned()), rounds)]);
    if mode == "strict" {
        expected.insert((None, "unknown".to_owned()), rounds);
    }
    assert_eq!(by_status, expected, "{told:?}");
    let fault = if mode == "strict" { "1 process ended, strict" } else { "1 process ended" };
    judge(fault, rounds, &book, &log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_in_flight_when_the_process_died_is_told_of_once() {
    tells_once("durable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_was_in_flight_when_the_process_died_is_told_of_once() {
    tells_once("strict").await;
}
