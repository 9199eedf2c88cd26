//! Databases that do not answer (6), and services that stand still inside an append (68).

use std::time::Duration;

use super::{
    PATIENCE,
    app::App,
    child::Settings,
    cluster::Cluster,
    load::{Book, send},
    oracle::{Log, judge},
    proxy::{COMMIT, Proxy, ROWS, Trick},
    server::Database,
    soon,
};
use crate::{process::signal, table::times};

/// (6) Every process of the server stands still: calls to it end with their deadline, and no request hangs. A strict
/// request asks for the disk, not for the database: it is answered as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_is_given_up_and_no_request_hangs() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let (book, rounds) = (Book::default(), times(1, 10));
    for round in 0..rounds {
        for mode in ["durable", "strict"] {
            let spool = folder.path().join(format!("{mode}-{round}"));
            let settings = Settings::new(cluster.url(), spool).mode(mode);
            // Who waits for a call that has no end is found out: he has none either.
            let patient = settings.clone().deadline(2 * PATIENCE);
            let app = App::start(&patient, folder.path()).await;
            send(app.address, 20, &book).await;
            app.settled().await;
            let frozen = cluster.freeze().await;
            let during = times(100, 1_000);
            send(app.address, during, &book).await;
            assert_eq!(app.tally().await["spooled"], during as u64);
            drop(frozen);
            app.settled().await;
            let report = app.stop().await;
            assert_eq!((report["stored"], report["dropped"]), (20 + during as u64, 0));

            // And calls do have an end.
            let app = App::start(&settings.deadline(Duration::from_secs(1)), folder.path()).await;
            app.settled().await;
            let frozen = cluster.freeze().await;
            send(app.address, 20, &book).await;
            app.retried(2).await;
            // Whoever asks for the log is told that it is away.
            let (status, _) = app.ask("GET", "/log/records").await;
            assert_eq!(status, 503);
            let (status, _) = app.ask("GET", "/log/health").await;
            assert!(status == 200 || status == 503, "{status}");
            assert_eq!(app.tally().await["spooled"], 20);
            drop(frozen);
            app.settled().await;
            let report = app.stop().await;
            assert_eq!((report["stored"], report["dropped"]), (20, 0));
        }
    }
    judge("6 database frozen", 2 * rounds, &book, &cluster.log()).await;
    eprintln!("the slowest answer took {:?}", book.notes().slowest);
}

/// (68) A service stands still, with rows or a COMMIT on their way; the other one goes on, and the first does when it
/// wakes up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_freezes_inside_an_append_holds_up_no_other() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    tower_activity::PostgresStore::open(&database.url()).await.unwrap();
    let deadline = Duration::from_secs(2);
    let settings =
        |url: String, name| Settings::new(url, folder.path().join(name)).deadline(deadline);
    let other = App::start(&settings(database.url(), "other"), folder.path()).await;
    let (book, rounds) = (Book::default(), times(1, 30));
    for (marker, name) in [(COMMIT, "commit"), (ROWS, "rows")] {
        let proxy = Proxy::before(&database, marker).await;
        let app = App::start(&settings(proxy.url(&database), name), folder.path()).await;
        send(app.address, 4, &book).await;
        app.settled().await;
        for _ in 0..rounds {
            proxy.play([Trick::Hold]);
            send(app.address, 4, &book).await;
            soon("it is amid its append", proxy.held()).await;
            assert!(signal(app.pid(), "STOP").await);
            send(other.address, 40, &book).await;
            other.settled().await;
            assert!(signal(app.pid(), "CONT").await);
            proxy.let_go();
            app.settled().await;
        }
        assert_eq!(proxy.left(), 0);
        assert_eq!(app.stop().await["dropped"], 0);
    }
    assert_eq!(other.stop().await["dropped"], 0);
    judge("68 client frozen in its append", 2 * rounds, &book, &Log::Postgres(database.url()))
        .await;
}
