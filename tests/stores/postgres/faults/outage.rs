//! Servers that go and come back (8), and settings that are wrong until somebody puts them right (11).

use std::{cell::RefCell, io, sync::Once, time::Duration};

use tower_activity::{
    pipeline::Pipeline,
    store::{Append as _, Appender as _, StoreErrorKind, postgres::PostgresStore},
};

use super::{assert_all_stored, assert_whole, create, report};
use crate::{
    postgres::{batch, store},
    records::stream,
    server::{Database, Server, execute},
    table::times,
    tried::Tried,
};

/// (8) Down and up again, with records arriving all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_flaps_costs_nothing_but_time() {
    let server = Server::start();
    let database = Database::on(&server.url()).await;
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
    pipeline.flush().await;
    let mut count = 0;
    let rounds = times(3, 300);
    for round in 0..rounds {
        create(&pipeline, count..count + 10);
        server.crash();
        create(&pipeline, count + 10..count + 20);
        count += 20;
        let tally = pipeline.tally();
        assert_eq!(tally.received, tally.stored + tally.queued);
        server.up();
        // Every other time it goes down again before the writer is known to have caught up.
        if round % 2 == 0 {
            pipeline.flush().await;
            assert_eq!(pipeline.tally().stored, count as u64);
        }
    }
    server.ready().await;
    let ended = pipeline.shutdown(Duration::from_secs(60)).await;
    assert_all_stored(&ended, count);
    assert_whole(&store, count).await;
    report("8 database flapping, without a spool", rounds, count);
}

thread_local! {
    /// What was said through `tracing` on this thread: that of a test with a runtime of its own.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Writes to [`SAID`].
#[derive(Clone, Copy)]
struct Said;

impl Said {
    fn text() -> String {
        SAID.with_borrow(String::clone)
    }
}

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SAID.with_borrow_mut(|said| said.push_str(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens on every thread: subscribers of single threads take each other's events away, since what is
/// enabled is remembered for the whole process.
fn listen() {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        let listening = tracing_subscriber::fmt()
            .with_writer(|| Said)
            .with_ansi(false)
            .with_max_level(tracing::Level::WARN)
            .finish();
        tracing::subscriber::set_global_default(listening).expect("nobody else listens here");
    });
}

/// Asserts that the writer said aloud that it holds what it has.
fn assert_loud() {
    let said = Said::text();
    assert!(said.contains("ERROR") && said.contains("held"), "{said}");
}

/// (11) A password that is wrong: held, said aloud, and right again without a restart of ours.
#[tokio::test]
async fn a_wrong_password_holds_the_records_until_it_is_right() {
    listen();
    let server = Server::start();
    let database = Database::on(&server.url()).await;
    database.execute("create role app login password 'right'").await;
    database.execute(&format!("alter database {} owner to app", database.name())).await;
    let rules =
        |app: &str| format!("host all app 127.0.0.1/32 {app}\nhost all all 127.0.0.1/32 trust\n");
    let url = database.url().replace("postgres@", "app:wrong@");
    let store = PostgresStore::open(&url).await.unwrap();
    let tried = Tried::of(&store);
    let pipeline = Pipeline::builder(tried.clone()).start().await.unwrap();
    create(&pipeline, 0..10);
    pipeline.flush().await;

    server.write("pg_hba.conf", &rules("scram-sha-256"));
    server.reload();
    while store.connect().await.is_ok() {
        tokio::task::yield_now().await;
    }
    let refused = store.connect().await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Configuration, "{refused:?}");
    let terminate =
        "select pg_terminate_backend(pid, 60000) from pg_stat_activity where usename = 'app'";
    database.execute(terminate).await;
    create(&pipeline, 10..20);
    tried.in_vain(3).await;
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.queued, tally.dropped.total()), (10, 10, 0));
    assert_loud();
    assert!(!Said::text().contains("app:wrong"), "no password is ever said");

    database.execute("alter role app password 'wrong'").await;
    pipeline.flush().await;
    let report = pipeline.shutdown(Duration::from_secs(30)).await;
    assert_all_stored(&report, 20);
    assert_whole(&PostgresStore::open(&database.url()).await.unwrap(), 20).await;
}

/// (11) A table that is missing; and a leaf that is missing, which the writer makes by itself.
#[tokio::test]
async fn a_missing_table_holds_the_records_and_a_missing_leaf_is_made() {
    listen();
    let (database, store) = store().await;
    let tried = Tried::of(&store);
    let pipeline = Pipeline::builder(tried.clone()).start().await.unwrap();
    create(&pipeline, 0..10);
    pipeline.flush().await;

    database.execute("alter table activity.ledger_entries rename to elsewhere").await;
    create(&pipeline, 10..20);
    tried.in_vain(3).await;
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.queued, tally.quarantined), (10, 10, 0));
    assert_loud();
    database.execute("alter table activity.elsewhere rename to ledger_entries").await;
    pipeline.flush().await;
    assert_eq!(pipeline.tally().stored, 20);
    assert_whole(&store, 20).await;

    // Retention ended the leaf under the writer's feet.
    let drop_leaf = "do $$ declare leaf text; begin \
         select inhrelid::regclass::text into strict leaf from pg_inherits \
            where inhrelid::regclass::text like 'activity.records\\_%\\_activity' \
            order by 1 limit 1; \
         execute 'drop table ' || leaf; end $$";
    database.execute(drop_leaf).await;
    create(&pipeline, 20..30);
    pipeline.flush().await;
    let report = pipeline.shutdown(Duration::from_secs(30)).await;
    assert_all_stored(&report, 30);
}

/// (10) A database that is made read-only: held, nothing quarantined, and readable all the while.
#[tokio::test]
async fn a_database_that_turns_read_only_holds_the_records() {
    let (database, store) = store().await;
    let tried = Tried::of(&store);
    let pipeline = Pipeline::builder(tried.clone()).start().await.unwrap();
    create(&pipeline, 0..10);
    pipeline.flush().await;
    let read_only = |to: &str| {
        format!("alter database {} set default_transaction_read_only = {to}", database.name())
    };
    database.execute(&read_only("on")).await;
    let refused =
        store.connect().await.unwrap().append(batch(&stream(5, 1..=3))).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::StalePrimary, "{refused:?}");
    // What was there before may still write, so it is waited for.
    let terminate = "select pg_terminate_backend(pid, 60000) from pg_stat_activity \
         where datname = current_database() and pid <> pg_backend_pid()";
    database.execute(terminate).await;
    create(&pipeline, 10..20);
    tried.in_vain(4).await;
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.queued, tally.quarantined), (10, 10, 0));
    execute(database.admin(), &read_only("off")).await;
    pipeline.flush().await;
    assert_whole(&store, 20).await;
    let report = pipeline.shutdown(Duration::from_secs(30)).await;
    assert_all_stored(&report, 20);
}
