//! Databases, pools and dumps of other people: what they set changes nothing of ours.

use std::process::Command;

use sqlx::{Executor as _, PgPool, Row as _, postgres::PgPoolOptions, raw_sql};
use tower_activity::{
    ledger::{leaf_hash, root},
    record::Canonical,
    store::{
        Append as _, Appender as _, Maintain as _, Read as _, StoreErrorKind,
        postgres::PostgresStore,
    },
};

use super::{batch, filled, store};
use crate::{
    records::{hostile, ordinary, stream},
    server::{Database, execute, programs, run, with_database},
    suite::{self, Fixture, all, append},
};

/// A database in which everything that can be set otherwise is.
struct Odd(Database);

impl Fixture for Odd {
    type Store = PostgresStore;

    async fn new() -> Self {
        let database = Database::new().await;
        for setting in [
            "standard_conforming_strings = off",
            "escape_string_warning = off",
            "backslash_quote = off",
            "default_transaction_isolation = serializable",
            "default_transaction_deferrable = on",
            "timezone = 'Asia/Kolkata'",
            "datestyle = 'SQL, DMY'",
            "intervalstyle = sql_standard",
            "bytea_output = escape",
            "search_path = ''",
            "extra_float_digits = 0",
            "quote_all_identifiers = on",
            "transform_null_equals = on",
            "array_nulls = off",
            "xmloption = document",
            "row_security = off",
            "enable_partition_pruning = off",
            "client_min_messages = debug1",
        ] {
            let sql = format!("alter database {} set {setting}", database.name());
            execute(database.admin(), &sql).await;
        }
        Self(database)
    }

    async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.0.url()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_database_change_nothing() {
    suite::every_field_comes_back_as_it_was::<Odd>().await;
    suite::hostile_records_come_back_as_they_were::<Odd>().await;
    suite::canonical_bytes_and_roots_come_out_of_the_stored_rows::<Odd>().await;
    suite::filters_mean_what_they_mean_in_memory::<Odd>().await;
    suite::a_ledger_of_four_writers_has_no_holes::<Odd>().await;
    suite::storage_and_streams_add_up::<Odd>().await;
    suite::an_unknown_id_is_no_record::<Odd>().await;

    let odd = Odd::new().await;
    let store = odd.open().await;
    for (writer, class) in (1..).zip(["xylophone", "x_1", "it's \\ \"odd\"", "a\\'b"]) {
        let mut record = ordinary(writer, 1);
        record.retention_class.set(class);
        append(&store, std::slice::from_ref(&record)).await.unwrap();
        let entry = store.entries(writer - 1, 1).await.unwrap().remove(0);
        assert_eq!(store.entry_records(&entry).await.unwrap(), [*record], "{class}");
    }
}

/// A pool of the application with one connection.
struct Pooled(Database);

impl Fixture for Pooled {
    type Store = PostgresStore;

    async fn new() -> Self {
        Self(Database::new().await)
    }

    async fn open(&self) -> PostgresStore {
        let pool = PgPoolOptions::new().max_connections(1).connect(&self.0.url()).await.unwrap();
        let store = PostgresStore::from_pool(pool);
        store.migrate().await.unwrap();
        store
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_the_application_does_as_well_as_a_url() {
    suite::every_field_comes_back_as_it_was::<Pooled>().await;
    suite::filters_mean_what_they_mean_in_memory::<Pooled>().await;
    suite::a_store_opened_again_goes_on_where_it_was::<Pooled>().await;
    suite::migrating_again_changes_nothing::<Pooled>().await;
    suite::storage_and_streams_add_up::<Pooled>().await;
}

#[tokio::test]
async fn an_application_shares_its_database_and_keeps_what_is_its_own() {
    let database = Database::new().await;
    database
        .execute(
            "create table orders (id bigint); insert into orders values (55); \
             create table _sqlx_migrations (version bigint); \
             create function lower(text) returns text language sql as 'select ''wrong''::text'",
        )
        .await;
    let pool: PgPool =
        PgPoolOptions::new().max_connections(1).connect(&database.url()).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone());
    let early = append(&store, &stream(1, 1..=3)).await.unwrap_err();
    assert_eq!(early.kind(), StoreErrorKind::Configuration, "there is no schema yet: {early:?}");
    store.migrate().await.unwrap();
    // The application has all of its pool in use: what writes does not wait for it.
    let busy = pool.acquire().await.unwrap();
    append(&store, &stream(1, 1..=3)).await.unwrap();
    drop(busy);
    assert_eq!(all(&store).await.len(), 3);

    let kept = "select (select id from orders), (select count(*) from _sqlx_migrations), \
        (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
            where n.nspname = 'public')";
    let row = pool.fetch_one(raw_sql(kept)).await.unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1), row.get::<i64, _>(2)), (55, 0, 2));
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused_at_the_start() {
    let database = Database::new().await;
    let name = format!("{}_latin", database.name());
    let admin = database.admin();
    let sql = format!(
        "create database {name} encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'"
    );
    execute(admin, &sql).await;
    let refused = PostgresStore::open(&with_database(admin, &name)).await.unwrap_err();
    execute(admin, &format!("drop database {name} with (force)")).await;
    assert_eq!(refused.kind(), StoreErrorKind::Configuration);
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("LATIN1") && why.contains("UTF8"), "{why}");
}

#[tokio::test]
async fn a_log_that_was_dumped_and_restored_goes_on() {
    let (database, store) = store().await;
    let mut sent = filled(5);
    sent.extend(hostile(5, 30).into_iter().skip(4));
    append(&store, &sent[..10]).await.unwrap();
    append(&store, &sent[10..]).await.unwrap();
    let before = (all(&store).await, store.entries(0, 100).await.unwrap());

    let restored = Database::new().await;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump.sql");
    run(Command::new(programs().join("pg_dump"))
        .args(["--no-owner", "-d", &database.url(), "-f"])
        .arg(&dump));
    run(Command::new(programs().join("psql"))
        .args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", &restored.url(), "-f"])
        .arg(&dump));
    let store = PostgresStore::open(&restored.url()).await.unwrap();
    assert_eq!((all(&store).await, store.entries(0, 100).await.unwrap()), before);

    let more = stream(6, 1..=3);
    let mut appender = store.connect().await.unwrap();
    let appended = appender.append(batch(&more)).await.unwrap();
    assert_eq!(appended.entries[0].position, before.1.len() as i64 + 1);
    let mut canonical = Canonical::new();
    for entry in store.entries(0, 100).await.unwrap() {
        let stored = store.entry_records(&entry).await.unwrap();
        let mut leaves: Vec<_> =
            stored.iter().map(|record| leaf_hash(canonical.encode(record))).collect();
        assert_eq!(root(&mut leaves), entry.new.batch_root);
    }
    // What guards the log came along.
    let mut connection = restored.connect().await;
    for sql in ["delete from activity.records", "truncate activity.records_2026_05_activity"] {
        raw_sql(sql).execute(&mut connection).await.expect_err(sql);
    }
}
