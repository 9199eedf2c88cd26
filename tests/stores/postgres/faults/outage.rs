//! Servers that go and come back (8), and settings that are wrong until somebody puts them right (11).

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_activity::{
    pipeline::Pipeline,
    store::{Append as _, StoreErrorKind, postgres::PostgresStore},
};
use tracing_subscriber::fmt::MakeWriter;

use super::{assert_all_stored, assert_whole, create, scaled};
use crate::{
    postgres::store,
    server::{Database, Server},
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
    for round in 0..scaled(3) {
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
    let report = pipeline.shutdown(Duration::from_secs(60)).await;
    assert_all_stored(&report, count);
    assert_whole(&store, count).await;
}

/// What was said through `tracing`.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Said {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn listen() -> (Said, tracing::subscriber::DefaultGuard) {
    let said = Said::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(said.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .finish();
    (said, tracing::subscriber::set_default(subscriber))
}

/// Waits until the pipeline has tried in vain `times` more.
async fn retried(pipeline: &Pipeline, times: u64) {
    let before = pipeline.tally().retries;
    while pipeline.tally().retries < before + times {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// (11) A password that is wrong: held, said aloud, and right again without a restart of ours.
#[tokio::test]
async fn a_wrong_password_holds_the_records_until_it_is_right() {
    let (said, _listening) = listen();
    let server = Server::start();
    let database = Database::on(&server.url()).await;
    database.execute("create role app login password 'right'").await;
    database.execute(&format!("alter database {} owner to app", database.name())).await;
    let rules =
        |app: &str| format!("host all app 127.0.0.1/32 {app}\nhost all all 127.0.0.1/32 trust\n");
    let url = database.url().replace("postgres@", "app:wrong@");
    let store = PostgresStore::open(&url).await.unwrap();
    let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
    create(&pipeline, 0..10);
    pipeline.flush().await;

    server.write("pg_hba.conf", &rules("scram-sha-256"));
    server.reload();
    while store.connect().await.is_ok() {
        tokio::task::yield_now().await;
    }
    let refused = store.connect().await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Configuration, "{refused:?}");
    let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'";
    database.execute(terminate).await;
    create(&pipeline, 10..20);
    retried(&pipeline, 3).await;
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.queued, tally.dropped.total()), (10, 10, 0));
    assert!(said.text().contains("ERROR") && said.text().contains("held"), "{}", said.text());
    assert!(!said.text().contains("app:wrong"), "no password is ever said");

    database.execute("alter role app password 'wrong'").await;
    pipeline.flush().await;
    let report = pipeline.shutdown(Duration::from_secs(30)).await;
    assert_all_stored(&report, 20);
    assert_whole(&PostgresStore::open(&database.url()).await.unwrap(), 20).await;
}

/// (11) A table that is missing; and a leaf that is missing, which the writer makes by itself.
#[tokio::test]
async fn a_missing_table_holds_the_records_and_a_missing_leaf_is_made() {
    let (said, _listening) = listen();
    let (database, store) = store().await;
    let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
    create(&pipeline, 0..10);
    pipeline.flush().await;

    database.execute("alter table activity.ledger_entries rename to elsewhere").await;
    create(&pipeline, 10..20);
    retried(&pipeline, 3).await;
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.queued, tally.quarantined), (10, 10, 0));
    assert!(said.text().contains("ERROR") && said.text().contains("held"), "{}", said.text());
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
