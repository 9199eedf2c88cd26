//! The file: how it is opened, shared, locked, and what is left in it.

use std::{fs, sync::Arc, time::Duration};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tower_activity::{
    ledger::{leaf_hash, root},
    record::{Canonical, Record, WriterId},
    store::{Append as _, Appender as _, Batch, Read as _, StoreErrorKind, sqlite::SqliteStore},
    time::{ManualClock, Timestamp},
};

use super::InFile;
use crate::{
    records::{NOON, full, stream},
    suite::{Fixture as _, all, append},
};

#[tokio::test]
async fn a_place_that_cannot_be_opened_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(
        &file,
        "not a database, but long enough to be looked at as the head of one. ".repeat(9),
    )
    .unwrap();
    let folder = folder.path().display();
    for (location, why) in [
        (
            format!("sqlite:{folder}/none/activity.db"),
            format!("the folder `{folder}/none` does not exist; create it, or name another file"),
        ),
        (format!("{folder}"), "this is a folder; name a file in it".to_owned()),
        (
            format!("{folder}/file/activity.db"),
            format!("`{folder}/file` is not a folder; name another file"),
        ),
        (
            format!("{folder}/file"),
            "the file is not a SQLite database; name another file".to_owned(),
        ),
    ] {
        let error = SqliteStore::open(&location).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Configuration);
        let place = location.trim_start_matches("sqlite:");
        assert_eq!(error.to_string(), format!("could not open the store `{place}`: {why}"));
    }
}

#[tokio::test]
async fn a_file_that_went_away_is_not_made_anew() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    append(&store, &stream(1, 1..=3)).await.unwrap();
    for file in ["", "-wal", "-shm"] {
        let _absent = fs::remove_file(format!("{}{file}", fixture.path()));
    }
    let error = append(&store, &stream(1, 4..=5)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration);
    assert!(!fs::exists(fixture.path()).unwrap());
}

#[tokio::test]
async fn an_application_shares_its_database_and_keeps_what_is_its_own() {
    let fixture = InFile::new().await;
    fixture
        .by_hand()
        .execute_batch(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (55);
             CREATE TABLE _sqlx_migrations (version INTEGER);
             PRAGMA user_version = 7; PRAGMA application_id = 8;",
        )
        .unwrap();
    let options = SqliteConnectOptions::new().filename(fixture.path());
    let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
    let store = SqliteStore::from_pool(pool.clone()).await.unwrap();
    append(&store, &stream(1, 1..=3)).await.unwrap();
    assert_eq!(all(&store).await.len(), 3);

    let kept: (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT id FROM orders), (SELECT count(*) FROM _sqlx_migrations), \
         (SELECT user_version FROM pragma_user_version), \
         (SELECT application_id FROM pragma_application_id)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(kept, (55, 0, 7, 8));
    let others: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'activity%' \
         AND name NOT IN ('orders', '_sqlx_migrations')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(others, 0, "everything of ours has our prefix");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_waits_for_the_commit_in_flight() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let mut appender = store.connect().await.unwrap();
    let in_flight = fixture.by_hand();
    in_flight
        .execute_batch(
            "BEGIN IMMEDIATE; INSERT INTO activity_ledger VALUES \
             (1, 1, 42, 1, 7, 7, '2026-05', 'activity', 0, 0, zeroblob(32), 1);",
        )
        .unwrap();
    let mut position = Box::pin(appender.position(WriterId::new(42)));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut position).await;
    assert!(early.is_err(), "a plain read would have answered with the past");
    in_flight.execute_batch("COMMIT").unwrap();
    assert_eq!(position.await.unwrap(), 7);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_take_the_ledger_back() {
    let fixture = InFile::new().await;
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(NOON)));
    let store = fixture.open().await.with_clock(clock.clone());
    let first = append(&store, &stream(1, 1..=2)).await.unwrap().committed_at();
    assert_eq!(first.as_micros(), NOON);
    clock.set(Timestamp::from_micros(NOON - 3_600_000_000));
    let second = append(&store, &stream(1, 3..=4)).await.unwrap().committed_at();
    assert_eq!(second.as_micros(), NOON + 1);
}

#[tokio::test]
async fn an_append_that_was_dropped_leaves_a_connection_that_says_so() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let mut appender = store.connect().await.unwrap();
    let records = stream(1, 1..=3);
    // Somebody else holds the lock: else SQLite's thread may have answered everything within one poll.
    let other = fixture.by_hand();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    {
        let mut append = std::pin::pin!(appender.append(Batch::new(&records).unwrap()));
        std::future::poll_fn(|context| {
            assert!(append.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    other.execute_batch("ROLLBACK").unwrap();
    let error = appender.append(Batch::new(&records).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Transient);
    assert!(appender.position(WriterId::new(1)).await.is_err());
    drop(appender);
    append(&store, &records).await.unwrap();
}

#[tokio::test]
async fn a_row_edited_behind_our_back_no_longer_gives_its_root() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    append(&store, &[full(1, 1)]).await.unwrap();
    let entry = store.entries(0, 1).await.unwrap().remove(0);
    let mut canonical = Canonical::new();
    let mut now = |records: Vec<Record>| {
        let mut leaves: Vec<_> =
            records.iter().map(|record| leaf_hash(canonical.encode(record))).collect();
        root(&mut leaves)
    };
    assert_eq!(now(store.entry_records(&entry).await.unwrap()), entry.new.batch_root);
    let connection = fixture.by_hand();
    connection
        .execute_batch(
            "DROP TRIGGER activity_records_sealed; DROP TRIGGER activity_records_groups;",
        )
        .unwrap();
    for edit in [
        "status = status + 1",
        "action = upper(action)",
        "actor_id = 'eve'",
        "metadata = metadata || ' '",
        "ip = '2001:db8:1::/49'",
        "target_salt = content_salt",
        "content_salt = NULL, content_commitment = zeroblob(32)",
    ] {
        connection.execute_batch("SAVEPOINT edit").unwrap();
        connection.execute(&format!("UPDATE activity_records SET {edit}"), []).unwrap();
        connection.execute_batch("RELEASE edit").unwrap();
        let edited = store.entry_records(&entry).await.unwrap();
        assert_ne!(now(edited), entry.new.batch_root, "{edit}");
    }
}

#[tokio::test]
async fn what_was_erased_is_nowhere_in_the_files() {
    const NAME: &[u8] = b"Annabel Featherstonehaugh";
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let mut sent = stream(1, 1..=40);
    for record in &mut sent {
        record.actor_name.set(std::str::from_utf8(NAME).unwrap());
        record.seal(crate::records::salts(record.seq));
    }
    append(&store, &sent).await.unwrap();
    // The log before the file: what a checkpoint moves meanwhile is then found in either.
    let holds_the_name = || {
        ["-wal", ""].iter().any(|file| {
            let bytes = fs::read(format!("{}{file}", fixture.path())).unwrap_or_default();
            bytes.windows(NAME.len()).any(|window| window == NAME)
        })
    };
    assert!(holds_the_name());

    let connection = fixture.by_hand();
    connection.pragma_update(None, "secure_delete", true).unwrap();
    connection
        .execute(
            "UPDATE activity_records SET actor_id = NULL, actor_name = NULL, \
             identity_salt = NULL, identity_commitment = zeroblob(32)",
            [],
        )
        .unwrap();
    store.close().await;
    let _busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert!(!holds_the_name());
}

#[tokio::test]
async fn nobody_finds_who_was_erased_in_the_files() {
    use tower_activity::{
        Keys, Pipeline,
        record::{Actor, Record},
        store::{Index, Maintain as _},
    };

    let name = crate::erasing::NAME;
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    store.make_index(Index::Text).await.unwrap();
    let keys = Keys::ephemeral();
    let pipeline = Pipeline::builder(store.clone()).keys(keys).start().await.unwrap();
    for order in 0..300 {
        let ana = Actor::user("ana").named(name);
        let record = Record::by(ana).verb("update").on("order", &order.to_string());
        pipeline.recorder().record(record.titled("order").describe(&format!("by {name}")));
    }
    pipeline.flush().await;
    store.fold(1_000).await.unwrap();
    // The words of the index are spelt in lower case.
    let words: Vec<_> = name.split(' ').map(str::to_lowercase).collect();
    let found = || {
        let mut files = vec![fixture.path(), format!("{}-wal", fixture.path())];
        let holds = |bytes: &[u8], text: &str| {
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        files.retain(|file| {
            let bytes = fs::read(file).unwrap_or_default();
            holds(&bytes, name) || words.iter().any(|word| holds(&bytes, word))
        });
        files
    };
    assert!(!found().is_empty());
    let done = pipeline.eraser().unwrap().erase(&crate::erasing::request(), |_step| {}).await;
    assert_eq!(done.unwrap().records, 300);
    assert_eq!(found(), Vec::<String>::new());
    pipeline.shutdown(std::time::Duration::from_secs(60)).await;
    store.close().await;
    assert_eq!(found(), Vec::<String>::new());
}
