//! What waits for a lock that somebody else holds: it is tried again, nothing goes in its stead, and it ends.

use std::{collections::BTreeSet, time::Duration};

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, raw_sql};
use tower_activity::{
    Pipeline,
    record::{Canonical, Groups, Record},
    rules::{RetentionPolicy, SizeLimit},
    store::{Erase as _, ErasedGroups, Maintain as _, postgres::PostgresStore},
    time::ManualClock,
};

use super::{store, time};
use crate::{
    expiry::from_somewhere,
    retention::old,
    server::Database,
    suite::{PATIENCE, all, append},
};

/// Holds a table of the log in a mode until it is dropped.
async fn barring(database: &Database, table: &str, mode: &str) -> PgConnection {
    let mut connection = database.connect().await;
    let sql = format!("begin; lock table activity.{table} in {mode} mode");
    connection.execute(raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
    connection
}

/// A month that is over is in use: what is not over stays, however large the log is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_early_in_the_stead_of_what_is_over_and_in_use() {
    let (database, store) = store().await;
    for (seq, day) in [(1, "2024-05-10"), (2, "2024-09-10")] {
        append(&store, &[old(7, seq, day, "authentication")]).await.unwrap();
    }
    while store.fold(100).await.unwrap().behind() > 0 {}
    let full = SizeLimit::new(1_000_000).unwrap().force(true);
    assert!(store.storage().await.unwrap().used > 1_000_000, "it is too large, whatever goes");
    let builder = Pipeline::builder(store.clone());
    let builder = builder.clock(ManualClock::at(time("2024-11-22T12:00:00Z")));
    let policy = RetentionPolicy::default().max_size(Some(full));
    let pipeline = builder.retention_policy(policy).start().await.unwrap();
    let run = async || {
        let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}));
        run.await.expect("it ends").unwrap()
    };
    let reader = barring(&database, "records_2024_05_authentication", "access share").await;
    let barred = run().await;
    let busy: Vec<_> = barred.busy.iter().map(ToString::to_string).collect();
    assert_eq!((barred.ended.len(), &busy[..]), (0, &["2024-05 authentication".to_owned()][..]));
    let logins =
        all(&store).await.into_iter().filter(|one| one.retention_class == "authentication");
    assert_eq!(logins.count(), 2);
    reader.close().await.unwrap();
    let free = run().await;
    let forced: Vec<_> = free.ended.iter().map(|ended| ended.forced).collect();
    assert_eq!(forced, [false, true], "{free:?}");
    pipeline.shutdown(PATIENCE).await;
}

/// What is committed between a bundle's first look at the log and its head lies under that head.
#[cfg(feature = "api")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_has_what_came_before_its_head_was_signed() {
    let (database, store) = store().await;
    let store = store.with_deadline(PATIENCE);
    append(&store, &[old(7, 1, "2024-05-10", "activity")]).await.unwrap();
    let ask = super::tenants::everything();
    let mut watching = database.connect().await;
    let other = barring(&database, "checkpoints", "access exclusive").await;
    let all = tower_activity::store::AnyStore::new(store.clone());
    let beginning = tokio::spawn(tower_activity::bundle::Bundle::begin(all, ask, &[[9; 32]]));
    let waiting = "select from pg_stat_activity \
                   where datname = current_database() and wait_event_type = 'Lock'";
    let stands = async {
        while watching.fetch_all(raw_sql(waiting)).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stands).await.expect("it waits for the heads");
    append(&store, &[old(7, 2, "2024-05-10", "activity")]).await.unwrap();
    other.close().await.unwrap();
    let begun = tokio::time::timeout(PATIENCE, beginning).await.expect("it begins").unwrap();
    let mut bundle = begun.unwrap().unwrap();
    while bundle.next().await.unwrap().is_some() {}
    assert_eq!((bundle.position(), bundle.counts().entries), (2, 2));
    assert_eq!((bundle.counts().records, bundle.counts().later), (2, 0));
}

/// A record to be emptied, and one of the log itself in a month that nobody has to touch for it.
async fn two_months() -> (Database, PostgresStore, ErasedGroups) {
    let (database, store) = store().await;
    append(&store, &[from_somewhere(7, 1, "2024-09-10", "activity")]).await.unwrap();
    append(&store, &[from_somewhere(8, 1, "2024-10-10", "system")]).await.unwrap();
    let records = all(&store).await;
    let of_september = |record: &&Record| record.writer_id.get() == 7;
    let record = records.iter().find(of_september).unwrap();
    let groups = ErasedGroups::of(record, Groups::ALL, &mut Canonical::new()).unwrap();
    (database, store, groups)
}

/// The last look at holds reads every month, and stands behind whoever takes one out. The erasure lets go of what appends
/// wait for, and comes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_somebody_is_in_the_way_of_is_tried_again_until_he_is_gone() {
    let (database, store, groups) = two_months().await;
    let mut watching = database.connect().await;
    let other = barring(&database, "records_2024_10_system", "access exclusive").await;
    let erasing = {
        let (store, groups) = (store.clone(), groups.clone());
        tokio::spawn(async move { store.erase(&[groups], 0).await })
    };
    // Each attempt is a transaction of its own.
    let waiting = "select xact_start::text from pg_stat_activity \
                   where datname = current_database() and wait_event_type = 'Lock'";
    let twice = async {
        let mut attempts = BTreeSet::new();
        while attempts.len() < 2 && !erasing.is_finished() {
            let rows = watching.fetch_all(raw_sql(waiting)).await.unwrap();
            attempts.extend(rows.iter().map(|row| row.get::<String, _>(0)));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, twice).await.expect("it is tried again");
    assert!(!erasing.is_finished(), "it does not give up: {:?}", erasing.await);
    // Whoever appends is not held up between two attempts.
    let meanwhile = [from_somewhere(9, 1, "2024-09-11", "activity")];
    let appended = tokio::time::timeout(PATIENCE, append(&store, &meanwhile));
    appended.await.expect("it is stored").unwrap();
    other.close().await.unwrap();
    let erased = tokio::time::timeout(PATIENCE, erasing).await.expect("it ends").unwrap();
    assert_eq!(erased.unwrap(), Some(groups.groups().iter().count() as u64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_somebody_stays_in_the_way_of_fails_and_empties_nothing() {
    let (database, store, groups) = two_months().await;
    let other = barring(&database, "records_2024_10_system", "access exclusive").await;
    let erasing = store.erase(std::slice::from_ref(&groups), 0);
    let refused = tokio::time::timeout(PATIENCE, erasing).await.expect("it ends").unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    other.close().await.unwrap();
    let erased = store.erase(std::slice::from_ref(&groups), 0).await.unwrap();
    assert_eq!(erased, Some(groups.groups().iter().count() as u64), "all of it was there");
}
