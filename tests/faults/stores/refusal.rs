//! Databases that refuse: read-only (10), a wrong password, a missing table (11), rows that they cannot take (24).
//! Nothing is given up, it is said aloud, and it goes on by itself.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use sqlx::{Connection as _, Executor as _, raw_sql};

use super::{
    app::App,
    child::Settings,
    cluster::Cluster,
    load::{Book, Client, send},
    oracle::{Log, judge, judge_with_stubs},
    server::{Database, execute},
    until,
};
use crate::table::times;

const TERMINATE: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
                         where datname = current_database() and pid <> pg_backend_pid()";

/// Sends some requests, and asserts that they are held while the database refuses.
async fn held(app: &App, book: &Book) {
    let count = times(40, 2_000);
    send(app.address, count, book).await;
    app.retried(3).await;
    let tally = app.tally().await;
    // And perhaps that the log was looked at in the minute before.
    let looked = tally["spooled"] - count as u64;
    assert!(looked <= 1 && tally["quarantined"] == 0, "{tally:?}");
}

/// (10) A database that is made read-only: held, nothing quarantined, and readable all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_turns_read_only_is_waited_for() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    tower_activity::PostgresStore::open(&database.url()).await.unwrap();
    let settings = Settings::new(database.url(), folder.path().join("spool"));
    let app = App::start(&settings, folder.path()).await;
    let (book, rounds) = (Book::default(), times(1, 20));
    let read_only = |to: &str| {
        format!("alter database {} set default_transaction_read_only = {to}", database.name())
    };
    for _ in 0..rounds {
        send(app.address, 20, &book).await;
        app.settled().await;
        execute(database.admin(), &read_only("on")).await;
        database.execute(TERMINATE).await;
        held(&app, &book).await;
        let (status, _) = app.ask("GET", "/log/records?limit=1").await;
        assert_eq!(status, 200, "the log is there");
        execute(database.admin(), &read_only("off")).await;
        database.execute(TERMINATE).await;
        app.settled().await;
    }
    let report = app.stop().await;
    // That the log was looked at is a record too: one for all that happens within a minute, however often.
    let looked = report["stored"] - book.seen() as u64;
    assert!((1..=rounds as u64).contains(&looked), "{report:?}");
    assert_eq!((report["received"], report["quarantined"]), (report["stored"], 0), "{report:?}");
    judge("10 database read-only", rounds, &book, &Log::Postgres(database.url())).await;
}

/// (11) A password that is wrong until somebody puts it right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_said_aloud_and_waited_out() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    cluster.execute("create role app login superuser password 'right-one'").await;
    cluster
        .reload("host all app 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
        .await;
    let url = cluster.url().replace("postgres@", "app:right-one@");
    let lets_in = async || sqlx::PgConnection::connect(&url).await.is_ok();
    let settings = Settings::new(&url, folder.path().join("spool"));
    let app = App::start(&settings, folder.path()).await;
    let (book, rounds) = (Book::default(), times(1, 20));
    for _ in 0..rounds {
        send(app.address, 20, &book).await;
        app.settled().await;
        cluster.execute("alter role app password 'another'").await;
        until("the server wants another one", async || !lets_in().await).await;
        cluster.execute(TERMINATE).await;
        held(&app, &book).await;
        cluster.execute("alter role app password 'right-one'").await;
        app.settled().await;
    }
    assert_loud(&app);
    assert!(!app.said().contains("right-one"), "no password is ever said");
    let report = app.stop().await;
    assert_eq!((report["stored"], report["quarantined"]), (book.seen() as u64, 0));
    judge("11 wrong password", rounds, &book, &cluster.log()).await;
}

fn assert_loud(app: &App) {
    let said = app.said();
    assert!(said.contains("ERROR") && said.contains("held"), "{said}");
}

/// (11) A table that is missing until somebody brings it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_table_is_said_aloud_and_waited_for() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    tower_activity::PostgresStore::open(&database.url()).await.unwrap();
    let settings = Settings::new(database.url(), folder.path().join("spool"));
    let app = App::start(&settings, folder.path()).await;
    let (book, rounds) = (Book::default(), times(1, 20));
    for _ in 0..rounds {
        send(app.address, 20, &book).await;
        app.settled().await;
        database.execute("alter table activity.ledger_entries rename to elsewhere").await;
        held(&app, &book).await;
        database.execute("alter table activity.elsewhere rename to ledger_entries").await;
        app.settled().await;
    }
    assert_loud(&app);
    let report = app.stop().await;
    assert_eq!((report["stored"], report["quarantined"]), (book.seen() as u64, 0));
    judge("11 table missing", rounds, &book, &Log::Postgres(database.url())).await;
}

/// (24) One, ten and a hundred rows in five hundred that the database cannot take, and that nobody could know of
/// before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_the_database_cannot_take_become_stubs_and_the_others_are_stored() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let log = Log::Postgres(database.url());
    tower_activity::PostgresStore::open(&database.url()).await.unwrap();
    // An index that somebody added: it has no room for long incompressible text.
    database.execute("create index on activity.records (description, reason)").await;
    let mut settings = Settings::new(database.url(), folder.path().join("spool"));
    let kept = folder.path().join("quarantine.jsonl");
    settings.quarantine = Some(kept.clone());
    let app = App::start(&settings, folder.path()).await;
    let book = Book::default();
    app.settled().await;
    // A hundred take long where hashing is not optimised.
    let counts: &[usize] = if times(1, 3) > 1 { &[1, 10, 100] } else { &[1, 10] };
    let mut bad = 0;
    for (round, poisoned) in counts.iter().enumerate() {
        // So that they are there all at once.
        let mut holding = database.connect().await;
        holding
            .execute(raw_sql("begin; lock table activity.ledger_entries in exclusive mode"))
            .await
            .unwrap();
        let mut good = Client::connect(app.address, &book).await.unwrap();
        for number in 0..500 {
            if number % (500 / poisoned) == 250 % (500 / poisoned) {
                let client = Client::connect(app.address, &book).await.unwrap();
                client.header("x-poison", round * 1_000 + number).send_all(1).await;
                bad += 1;
            } else {
                good.send_all(1).await;
            }
        }
        holding.execute(raw_sql("rollback")).await.unwrap();
        holding.close().await.unwrap();
        app.settled().await;
    }
    let report = app.stop().await;
    assert_eq!((report["stored"], report["quarantined"]), (book.seen() as u64, bad));
    let kept = fs::read_to_string(kept).unwrap();
    let of = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
    let id = |line: Value| line["record"]["request_id"].as_str().unwrap().to_owned();
    let stubs: BTreeSet<_> = kept.lines().map(|line| id(of(line))).collect();
    assert_eq!(stubs.len() as u64, bad);
    let verdict = judge_with_stubs("24 poison rows", counts.len(), &book, &log, &stubs).await;
    let stubs = verdict.records.iter().filter(|record| record.reason == "quarantined");
    assert_eq!(stubs.count() as u64, bad);
}
