//! Databases that stop (5), that are slow (7), that come and go (8).

use sqlx::Executor as _;

use super::{
    PATIENCE,
    app::App,
    child::Settings,
    cluster::Cluster,
    load::{Book, send, send_with},
    oracle::{Log, judge},
    server::Database,
    until,
};
use crate::table::times;

/// (5) Requests go on while the database is down: they wait on the disk, not in memory, and are stored when it is
/// back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stops_loses_nothing_and_fills_no_memory() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let settings = Settings::new(cluster.url(), folder.path().join("spool"));
    let app = App::start(&settings, folder.path()).await;
    // Ten minutes of 500 a second; or fewer large ones, much more than may stay in memory.
    let (count, bytes) = (times(800, 300_000), times(60_000, 1_500));
    let book = Book::default();
    let padded = async |count| {
        send_with(app.address, count, &book, |client| client.header("x-pad", bytes)).await;
    };
    padded(100).await;
    app.settled().await;
    let before = app.resident();

    cluster.crash().await;
    padded(count).await;
    let tally = app.tally().await;
    assert_eq!((tally["spooled"], tally["queued"]), (count as u64, 0), "they wait on the disk");
    // The queue of these services holds 4 MiB, a batch of theirs one; allocators keep some more.
    let grown = app.resident().saturating_sub(before);
    eprintln!("{} KiB more for {} KiB that wait", grown >> 10, (count * bytes) >> 10);
    assert!(grown < 24 << 20 && count * bytes > 40 << 20, "{grown} of {} bytes", count * bytes);

    cluster.up().await;
    app.settled().await;
    let report = app.stop().await;
    assert_eq!((report["stored"], report["dropped"]), (count as u64 + 100, 0));
    judge("5 database stopped", 1, &book, &cluster.log()).await;
    eprintln!("the slowest answer took {:?}", book.notes().slowest);
}

/// (7) A database that takes its time: requests do not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_database_is_not_waited_for() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let log = Log::Postgres(database.url());
    tower_activity::PostgresStore::open(&database.url()).await.unwrap();
    let mut settings = Settings::new(database.url(), folder.path().join("spool"));
    settings.batch_rows = 20;
    // Longer than anybody is patient here: it is slow, and not away.
    let settings = settings.deadline(2 * PATIENCE);
    let app = App::start(&settings, folder.path()).await;
    app.settled().await;
    // Every append takes until the test lets it go.
    let slow = "create function slow() returns trigger language plpgsql as \
                'begin perform pg_advisory_xact_lock_shared(7); return null; end'; \
                create trigger slow before insert on activity.ledger_entries \
                for each statement execute function slow()";
    database.execute(slow).await;
    let mut gate = database.connect().await;
    let mut turn = async |sql: &'static str| {
        gate.execute(sql).await.unwrap();
    };
    turn("select pg_advisory_lock(7)").await;
    let (book, count) = (Book::default(), times(400, 40_000));
    // Nothing of this is stored, and all of it is answered.
    send(app.address, count, &book).await;
    let before = app.tally().await;
    assert_eq!((before["spooled"], before["retries"]), (count as u64, 0), "{before:?}");
    let mut stored = before["stored"];
    for _ in 0..times(3, 30) {
        turn("select pg_advisory_unlock(7)").await;
        until("it goes on", async || app.tally().await["stored"] > stored).await;
        turn("select pg_advisory_lock(7)").await;
        stored = app.tally().await["stored"];
    }
    turn("select pg_advisory_unlock(7)").await;
    let tally = app.settled().await;
    assert_eq!(tally["retries"], 0, "{tally:?}");
    let report = app.stop().await;
    assert_eq!((report["stored"], report["dropped"]), (count as u64, 0));
    judge("7 database slow", 1, &book, &log).await;
}

/// (8) Down and up again and again, also before the service has caught up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_flaps_is_caught_up_with() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let settings = Settings::new(cluster.url(), folder.path().join("spool"));
    let app = App::start(&settings, folder.path()).await;
    let (book, rounds) = (Book::default(), times(2, 300));
    let sent = async || send(app.address, 20, &book).await;
    for round in 0..rounds {
        tokio::join!(sent(), cluster.crash());
        sent().await;
        tokio::join!(sent(), cluster.up());
        if round % 2 == 1 {
            let stored = app.tally().await["stored"];
            until("it catches up", async || app.tally().await["stored"] > stored).await;
        }
    }
    app.settled().await;
    let report = app.stop().await;
    assert_eq!((report["stored"], report["dropped"]), (book.seen() as u64, 0));
    judge("8 database flapping", rounds, &book, &cluster.log()).await;
}
