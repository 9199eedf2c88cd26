//! Pools that the application opened.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use tower_activity::store::sqlite::SqliteStore;

use super::InFile;
use crate::{
    records::stream,
    register,
    suite::{self, Fixture, all, append},
};

/// A pool of one connection to a file, with settings of its own.
struct Pooled(InFile);

impl Fixture for Pooled {
    type Store = SqliteStore;

    async fn new() -> Self {
        Self(InFile::new().await)
    }

    async fn open(&self) -> SqliteStore {
        let options = SqliteConnectOptions::new()
            .filename(self.0.path())
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Delete)
            .foreign_keys(false)
            .busy_timeout(Duration::from_millis(1))
            .statement_cache_capacity(1)
            .pragma("case_sensitive_like", "ON");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        SqliteStore::from_pool(pool).await.unwrap()
    }
}

/// A database in memory, shared by the connections of the application's pool.
struct Shared(SqliteStore);

impl Fixture for Shared {
    type Store = SqliteStore;

    async fn new() -> Self {
        let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
        Self(SqliteStore::from_pool(pool).await.unwrap())
    }

    async fn open(&self) -> SqliteStore {
        self.0.clone()
    }
}

async fn keeps_the_promises_of_a_store<F: Fixture>() {
    suite::every_field_comes_back_as_it_was::<F>().await;
    suite::a_batch_sent_twice_is_refused_and_changes_nothing::<F>().await;
    suite::filters_mean_what_they_mean_in_memory::<F>().await;
    suite::a_store_opened_again_goes_on_where_it_was::<F>().await;
    suite::migrating_again_changes_nothing::<F>().await;
    suite::storage_and_streams_add_up::<F>().await;
    suite::a_record_that_is_recorded_twice_holds_up_nothing::<F>().await;
    register::a_key_is_claimed_once_and_done_when_it_is_settled::<F>().await;
    register::api_keys_are_kept_listed_and_revoked_once::<F>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_the_application_does_as_well_as_a_path() {
    keeps_the_promises_of_a_store::<Pooled>().await;
    suite::a_ledger_of_four_writers_has_no_holes::<Pooled>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_in_memory_does_for_one_writer() {
    keeps_the_promises_of_a_store::<Shared>().await;
}

#[tokio::test]
async fn what_writes_does_not_wait_for_the_pool() {
    let fixture = InFile::new().await;
    let options = SqliteConnectOptions::new().filename(fixture.path()).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let store = SqliteStore::from_pool(pool.clone()).await.unwrap();
    let busy = pool.acquire().await.unwrap();
    append(&store, &stream(1, 1..=3)).await.unwrap();
    drop(busy);
    assert_eq!(all(&store).await.len(), 3);
}
