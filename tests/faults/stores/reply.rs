//! Commits whose answer never comes: the connection is cut (9), or the process dies (67).

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _, raw_sql};
use tower_activity::{
    PostgresStore,
    record::WriterId,
    store::{Append as _, Appender as _},
};

use super::{
    PATIENCE,
    app::App,
    child::Settings,
    load::{Book, send},
    oracle::{Log, judge},
    proxy::{COMMIT, Proxy, Trick},
    server::Database,
    soon, until,
};
use crate::table::times;

/// (9) The commit succeeds and the connection is cut before the reply; or it is cut before the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_lost_stores_nothing_twice() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    PostgresStore::open(&database.url()).await.unwrap();
    let proxy = Proxy::before(&database, COMMIT).await;
    let settings = Settings::new(proxy.url(&database), folder.path().join("spool"));
    let app = App::start(&settings, folder.path()).await;
    app.settled().await;
    let (book, cuts) = (Book::default(), times(9, 1_000));
    for cut in 0..cuts {
        proxy.play([if cut % 3 == 2 { Trick::CutBeforeMessage } else { Trick::CutBeforeReply }]);
        send(app.address, 5, &book).await;
        until("the trick is played", async || proxy.left() == 0).await;
        app.settled().await;
    }
    let tally = app.tally().await;
    assert!(tally["retries"] >= cuts as u64, "{tally:?}");
    assert!(tally["duplicates"] > 0, "what was found stored is not sent again: {tally:?}");
    let report = app.stop().await;
    assert_eq!((report["stored"], report["dropped"]), (5 * cuts as u64, 0));
    judge("9 reply cut", cuts, &book, &Log::Postgres(database.url())).await;
}

/// Returns a number that a question to the database is answered with.
async fn number(database: &mut PgConnection, sql: &'static str) -> i64 {
    database.fetch_one(raw_sql(sql)).await.unwrap().get(0)
}

/// The stream of the one append whose COMMIT has not arrived: it holds the stream's lock.
const STREAM: &str = "select key from (select (l.classid::bigint << 32) | l.objid::bigint as key \
                      from pg_locks l join pg_database d on d.oid = l.database \
                      where d.datname = current_database() and l.locktype = 'advisory' and l.granted) held \
                      where key in (select writer_id from activity.ledger_entries)";
const WAITING: &str = "select count(*)::bigint from pg_locks l join pg_database d on d.oid = l.database \
                       where d.datname = current_database() and locktype = 'advisory' and not granted";
const LAST: &str =
    "select coalesce(max(last_seq), 0) from activity.ledger_entries where writer_id = ";

/// (67) The process dies with its COMMIT on the way, or done and not answered for. The next one is given the same
/// folder, and asks where the stream stands before that COMMIT has arrived. Both it and somebody else who asks wait for
/// the outcome: nobody is told what was so before, and nothing is sent beside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_with_a_commit_under_way_stores_nothing_twice() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    // However long a lock is held here: nobody gives up.
    let patience = 2 * PATIENCE;
    let store = PostgresStore::open(&database.url()).await.unwrap().with_deadline(patience);
    let proxy = Proxy::before(&database, COMMIT).await;
    let settings = |url| Settings::new(url, folder.path().join("spool")).deadline(patience);
    let mut app = App::start(&settings(proxy.url(&database)), folder.path()).await;
    app.settled().await;
    let mut looks = database.connect().await;
    let (book, rounds) = (Book::default(), times(3, 100));
    for round in 0..rounds {
        let is_held = round % 3 != 2;
        proxy.play([if is_held { Trick::Hold } else { Trick::CutBeforeReply }]);
        send(app.address, 5, &book).await;
        if is_held {
            soon("the commit is on its way", proxy.held()).await;
        } else {
            until("the commit is done", async || proxy.left() == 0).await;
        }
        app.kill().await;
        let asked = if is_held {
            let stream = number(&mut looks, STREAM).await;
            let sql = AssertSqlSafe(format!("{LAST}{stream}"));
            let before: i64 = looks.fetch_one(raw_sql(sql)).await.unwrap().get(0);
            let store = store.clone();
            let asking = tokio::spawn(async move {
                store.connect().await.unwrap().position(WriterId::new(stream)).await.unwrap()
            });
            Some((before, asking))
        } else {
            None
        };
        app = App::start(&settings(database.url()), folder.path()).await;
        if let Some((before, asking)) = asked {
            until("both wait for the outcome", async || {
                assert!(!asking.is_finished(), "answered before the outcome was certain");
                number(&mut looks, WAITING).await >= 2
            })
            .await;
            let stored = Log::Postgres(database.url()).count().await;
            assert_eq!(stored, 5 * round, "it has not sent them beside");
            proxy.let_go();
            let told = soon("an answer", asking).await.unwrap();
            assert!(told > before, "told of {told}, which is how it stood before the commit");
        }
        Log::Postgres(database.url()).arrived(&book).await;
        let tally = app.settled().await;
        assert_eq!(tally["retries"], 0, "nothing was sent that the store had: {tally:?}");
        // And it goes on as the one that dies next.
        app.stop().await;
        app = App::start(&settings(proxy.url(&database)), folder.path()).await;
        app.settled().await;
    }
    assert_eq!(app.stop().await["dropped"], 0);
    judge("67 death between commit and answer", rounds, &book, &Log::Postgres(database.url()))
        .await;
}
