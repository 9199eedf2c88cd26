//! Workers of an outbox that are killed as processes: each transaction that committed has its record, once.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{PgPool, SqlitePool, sqlite::SqliteConnectOptions};
use tower_activity::{
    Pipeline, PostgresStore, Record, SqliteStore,
    record::Actor,
    store::{Append, Outbox, postgres::PostgresOutbox, sqlite::SqliteOutbox},
};

use crate::{
    chance::Chance,
    process::{Place, for_a_while, signal},
    role::{STORE, end_with_the_test, variable},
    server::Database,
    table::{Row, times},
};

/// Where the orders are.
const APP: &str = "FAULTS_APP";
/// Whether there are new ones.
const COMMITS: &str = "FAULTS_COMMITS";

macro_rules! worker {
    ($name:ident, $pool:ty, $table:literal) => {
        async fn $name<S: Append>(pool: $pool, outbox: impl Outbox, store: S) {
            outbox.migrate().await.unwrap();
            sqlx::query($table).execute(&pool).await.unwrap();
            let builder = Pipeline::builder(store).outbox(outbox).batch_rows(20);
            let pipeline = builder.batch_age(Duration::from_millis(2)).start().await.unwrap();
            println!("ready");
            let recorder = pipeline.recorder();
            for n in 0.. {
                if variable::<u32>(COMMITS).is_none() {
                    break;
                }
                let mut transaction = pool.begin().await.unwrap();
                let insert = "INSERT INTO orders (state) VALUES ('new') RETURNING id";
                let id: i64 =
                    sqlx::query_scalar(insert).fetch_one(&mut *transaction).await.unwrap();
                let record = Record::by(Actor::user("ana")).created("order", &id.to_string());
                recorder.record_in(&mut transaction, record).await.unwrap();
                // Now and then not.
                if n % 7 == 6 {
                    transaction.rollback().await.unwrap();
                } else {
                    transaction.commit().await.unwrap();
                    println!("committed");
                }
            }
            pipeline.flush().await;
            pipeline.shutdown(Duration::from_secs(30)).await;
            println!("stopped");
        }
    };
}

worker!(
    in_sqlite,
    SqlitePool,
    "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT)"
);
worker!(
    in_postgres,
    PgPool,
    "CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY, state text)"
);

async fn sqlite(file: &str) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(60));
    SqlitePool::connect_with(options).await.unwrap()
}

/// The worker, when the environment asks for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker() {
    let Some(app) = variable::<String>(APP) else { return };
    end_with_the_test();
    let store: String = variable(STORE).unwrap();
    if app.starts_with("postgres:") {
        let pool = PgPool::connect(&app).await.unwrap();
        let outbox = PostgresOutbox::new(&pool);
        in_postgres(pool, outbox, PostgresStore::open(&store).await.unwrap()).await;
    } else {
        let pool = sqlite(&app).await;
        let outbox = SqliteOutbox::new(&pool);
        in_sqlite(pool, outbox, SqliteStore::open(&store).await.unwrap()).await;
    }
}

/// Kills one worker after another; `pass` lets the lease of a dead one pass, which takes ten seconds otherwise.
async fn killed(place: Place, rounds: usize, pass: impl AsyncFn()) -> Place {
    let mut chance = Chance::new("outbox");
    let place = place.with(COMMITS, 1);
    for _ in 0..rounds {
        let mut worker = place.run("outbox::worker");
        let mut left = 5 + chance.below(60);
        while left > 0 {
            let line = worker.line().await.expect("it commits");
            left -= usize::from(line.contains("committed"));
        }
        for_a_while(chance.below(5_000)).await;
        assert!(signal(worker.id(), "KILL").await);
        assert!(!worker.ended().await.success());
        pass().await;
    }
    // The last one has nothing to do but what the others left.
    let place = place.without(COMMITS);
    let mut worker = place.run("outbox::worker");
    while worker.line().await.is_some() {}
    assert!(worker.ended().await.success());
    place
}

fn assert_once(fault: &'static str, rounds: usize, committed: &[i64], recorded: &[String]) {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for id in recorded {
        *counts.entry(id.parse().unwrap()).or_default() += 1;
    }
    let lost: Vec<_> = committed.iter().filter(|id| !counts.contains_key(id)).collect();
    let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    let made_up: Vec<_> = counts.keys().filter(|id| !committed.contains(id)).collect();
    Row {
        fault,
        runs: rounds as u64,
        sent: committed.len() as u64,
        stored: counts.len() as u64,
        lost: lost.len() as u64,
        duplicated: doubled.len() as u64,
        gaps: 0,
    }
    .report();
    assert!(!committed.is_empty());
    assert!(lost.is_empty() && doubled.is_empty(), "lost {lost:?}, stored twice {doubled:?}");
    assert!(made_up.is_empty(), "rolled back, and recorded: {made_up:?}");
}

/// An outbox worker that is killed, SQLite: the log in the same file, and in another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_recorded_once_however_often_workers_were_killed_in_sqlite() {
    let rounds = times(2, 50);
    for (fault, log) in [
        ("outbox worker killed, SQLite", "app.db"),
        ("outbox worker killed, SQLite, two files", "log.db"),
    ] {
        let place = Place::new();
        let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
        let (app, log) = (at("app.db"), at(log));
        let place = place.with(APP, &app).with(STORE, &log);
        let pass = async || {
            let pool = sqlite(&app).await;
            let sql = "UPDATE activity_outbox_stream SET holder = NULL, held_until = NULL";
            sqlx::query(sql).execute(&pool).await.unwrap();
            pool.close().await;
        };
        let _place = killed(place, rounds, pass).await;
        let orders =
            sqlx::query_scalar("SELECT id FROM orders").fetch_all(&sqlite(&app).await).await;
        let sql = "SELECT entity_id FROM activity_records WHERE action = 'create'";
        let records = sqlx::query_scalar(sql).fetch_all(&sqlite(&log).await).await;
        assert_once(fault, rounds, &orders.unwrap(), &records.unwrap());
    }
}

/// An outbox worker that is killed, Postgres, the log in another database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_recorded_once_however_often_workers_were_killed_in_postgres() {
    let rounds = times(2, 50);
    let (app, log) = (Database::new().await, Database::new().await);
    let place = Place::new().with(APP, app.url()).with(STORE, log.url());
    let sql = "update activity.outbox_stream set holder = null, held_until = null";
    let _place = killed(place, rounds, async || app.execute(sql).await).await;
    let mut connection = app.connect().await;
    let orders = sqlx::query_scalar("select id from orders").fetch_all(&mut connection).await;
    let sql = "select entity_id from activity.records where action = 'create'";
    let records = sqlx::query_scalar(sql).fetch_all(&mut log.connect().await).await;
    assert_once("outbox worker killed, Postgres", rounds, &orders.unwrap(), &records.unwrap());
}
