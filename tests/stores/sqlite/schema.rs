//! The schema: its migrations, its triggers and its views.

use std::fs;

use rusqlite::{Connection, params};
use tower_activity::{
    record::{Canonical, Group, Kind, Record, Seal},
    store::{Index, Maintain as _, Read as _, StoreErrorKind, sqlite::SqliteStore},
};

use super::InFile;
use crate::{
    answers::{every_answer_is_that_of_memory, of_all_kinds},
    records::{erased, full, ordinary, stream},
    suite::{Fixture as _, all, append},
};

/// The files in `migrations/sqlite`, in their order. Those of the outbox have a folder of their own there.
fn migrations() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort_unstable();
    files.into_iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// Everything that the schema consists of, and the migrations but for their time.
fn state(connection: &Connection) -> Vec<[String; 4]> {
    let rows = |sql: &str| -> Vec<[String; 4]> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement
            .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
            .unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut state = rows(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name",
    );
    state.extend(rows(
        "SELECT 'migration', CAST(version AS TEXT), name, checksum FROM activity_migrations \
         ORDER BY version",
    ));
    state
}

#[tokio::test]
async fn migrations_by_hand_leave_the_same_state() {
    let (by_store, by_hand) = (InFile::new().await, InFile::new().await);
    drop(by_store.open().await);
    for migration in migrations() {
        by_hand.by_hand().execute_batch(&migration).unwrap();
    }
    let state_by_hand = state(&by_hand.by_hand());
    assert!(state_by_hand.len() > 15);
    assert_eq!(state(&by_store.by_hand()), state_by_hand);

    let store = by_hand.open().await;
    append(&store, &stream(1, 1..=3)).await.unwrap();
    assert_eq!(state(&by_hand.by_hand()), state_by_hand, "there was nothing left to do");
}

#[tokio::test]
async fn a_file_of_an_older_build_is_brought_up_to_date_with_what_is_in_it() {
    let fixture = InFile::new().await;
    fixture.by_hand().execute_batch(&migrations()[0]).unwrap();
    let insert = "INSERT INTO activity_ledger VALUES \
         (1, 1, 42, 1, 7, 7, '2026-05', 'activity', 0, 0, zeroblob(32), 1)";
    fixture.by_hand().execute(insert, []).unwrap();
    let store = fixture.open().await;
    assert_eq!(store.head().await.unwrap(), 1);
    let new = InFile::new().await;
    drop(new.open().await);
    assert_eq!(state(&fixture.by_hand()), state(&new.by_hand()));
}

#[tokio::test]
async fn what_an_older_build_has_written_is_found_and_counted_like_new() {
    let (new, old) = (InFile::new().await, InFile::new().await);
    let records = of_all_kinds();
    {
        let store = new.open().await;
        for stream in records.chunk_by(|a, b| a.writer_id == b.writer_id) {
            append(&store, stream).await.unwrap();
        }
    }
    // As the first released schema holds it, applied by hand.
    let by_hand = old.by_hand();
    by_hand.execute_batch(&migrations()[0]).unwrap();
    by_hand.execute("ATTACH ? AS new", [new.path()]).unwrap();
    for table in ["activity_records", "activity_ledger"] {
        let columns: String = by_hand
            .query_row(
                "SELECT group_concat(name, ', ') FROM pragma_table_info(?, 'main')",
                [table],
                |row| row.get(0),
            )
            .unwrap();
        let copied = format!(
            "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table} ORDER BY rowid"
        );
        assert!(by_hand.execute(&copied, []).unwrap() > 3);
    }
    drop(by_hand);
    let store = old.open().await;
    assert_eq!(all(&store).await, all(&new.open().await).await);
    every_answer_is_that_of_memory(&store, &records).await;
    store.make_index(Index::Text).await.unwrap();
    store.fold(2).await.unwrap();
    every_answer_is_that_of_memory(&store, &records).await;
    append(&store, &stream(99, 1..=3)).await.unwrap();
    assert_eq!(store.fold(1_000).await.unwrap().behind(), 0);
}

#[tokio::test]
async fn a_migration_applied_twice_by_hand_is_refused_whole() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    append(&store, &stream(1, 1..=3)).await.unwrap();
    let before = state(&fixture.by_hand());
    for migration in migrations() {
        fixture.by_hand().execute_batch(&migration).unwrap_err();
        assert_eq!(state(&fixture.by_hand()), before);
    }
    assert_eq!(all(&store).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_start_at_once_migrate_once() {
    let fixture = InFile::new().await;
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let path = fixture.path();
            tokio::spawn(async move { SqliteStore::open(&path).await.map(drop) })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    let migrations: i64 = fixture
        .by_hand()
        .query_row("SELECT count(*) FROM activity_migrations", [], |row| row.get(0))
        .unwrap();
    assert_eq!(migrations as usize, self::migrations().len());
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_in_one_sentence() {
    let fixture = InFile::new().await;
    drop(fixture.open().await);
    let known = migrations().len();
    let newer =
        format!("INSERT INTO activity_migrations VALUES ({}, 'later', 'cafe', 0)", known + 1);
    fixture.by_hand().execute(&newer, []).unwrap();
    let before = state(&fixture.by_hand());

    let refused = SqliteStore::open(&fixture.path()).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Configuration);
    assert_eq!(
        refused.to_string(),
        format!(
            "could not open the store `{}`: it has schema version {}, and this build knows versions \
             up to {known}; use a newer build, or another file",
            fixture.path(),
            known + 1
        )
    );
    assert_eq!(state(&fixture.by_hand()), before);
}

#[tokio::test]
async fn a_migration_that_is_not_ours_is_refused() {
    let fixture = InFile::new().await;
    drop(fixture.open().await);
    fixture.by_hand().execute("UPDATE activity_migrations SET checksum = 'cafe'", []).unwrap();
    let refused = SqliteStore::open(&fixture.path()).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Configuration);
    assert!(refused.to_string().contains("migration 1 is not the one of this build"), "{refused}");
}

#[tokio::test]
async fn the_columns_are_the_fields_with_their_kinds() {
    let fixture = InFile::new().await;
    drop(fixture.open().await);
    let connection = fixture.by_hand();
    let mut statement = connection.prepare("PRAGMA table_info(activity_records)").unwrap();
    let columns: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut expected: Vec<(String, String)> = Record::FIELDS
        .iter()
        .map(|field| {
            let kind = match field.kind() {
                Kind::Id => "BLOB",
                Kind::Time | Kind::Integer | Kind::Stream => "INTEGER",
                _ => "TEXT",
            };
            (field.name().to_owned(), kind.to_owned())
        })
        .collect();
    for part in ["salt", "commitment"] {
        let columns = Group::ERASABLE.map(|group| format!("{}_{part}", group.as_str()));
        expected.extend(columns.map(|name| (name, "BLOB".to_owned())));
    }
    assert_eq!(columns, expected);
}

/// Tells whether a statement fails because something is append-only, or does not go on as it must.
fn refused(connection: &Connection, sql: &str) -> bool {
    match connection.execute(sql, []) {
        Ok(_) => false,
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("append-only") || text.contains("without gaps"), "{sql}: {text}");
            true
        }
    }
}

#[tokio::test]
async fn every_column_is_sealed_or_can_only_be_erased() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    append(&store, &[full(1, 1), ordinary(1, 2)]).await.unwrap();
    let before = all(&store).await;
    let connection = fixture.by_hand();
    connection.pragma_update(None, "recursive_triggers", true).unwrap();
    for field in Record::FIELDS {
        let name = field.name();
        let values = match field.kind() {
            Kind::Time | Kind::Integer | Kind::Stream => ["4242", "NULL"],
            Kind::Id => ["zeroblob(16)", "NULL"],
            _ => ["'eve'", "NULL"],
        };
        for value in values {
            let sql = format!("UPDATE activity_records SET {name} = {value} WHERE seq = 1");
            assert!(refused(&connection, &sql), "{sql}");
        }
    }
    for group in Group::ERASABLE.map(Group::as_str) {
        for change in [
            format!("{group}_salt = NULL"),
            format!("{group}_salt = zeroblob(16)"),
            format!("{group}_salt = NULL, {group}_commitment = zeroblob(32)"),
        ] {
            let sql = format!("UPDATE activity_records SET {change} WHERE seq = 1");
            assert!(refused(&connection, &sql), "{sql}");
        }
    }
    for sql in [
        // Where case does not count for searching, it does for evidence.
        "UPDATE activity_records SET action = upper(action)",
        "UPDATE activity_records SET entity_type = lower(entity_type)",
        "UPDATE activity_records SET rowid = 77 WHERE seq = 1",
        "UPDATE OR REPLACE activity_records SET seq = 1 WHERE seq = 2",
        "UPDATE OR IGNORE activity_records SET actor_id = 'eve'",
        "DELETE FROM activity_records",
        "DELETE FROM activity_records WHERE seq = 1",
        "REPLACE INTO activity_records SELECT * FROM activity_records WHERE seq = 1",
        "INSERT OR REPLACE INTO activity_records (rowid, id, schema_version, occurred_at, \
         recorded_at, origin, category, operation, outcome, severity, actor_type, writer_id, seq) \
         SELECT rowid, zeroblob(16), 1, 1, 1, '', '', '', '', 1, '', 9, 9 FROM activity_records",
        "INSERT INTO activity_records SELECT * FROM activity_records WHERE true \
         ON CONFLICT DO UPDATE SET actor_id = 'eve'",
        "UPDATE activity_ledger SET count = count",
        "UPDATE activity_ledger SET batch_root = zeroblob(32)",
        "DELETE FROM activity_ledger",
        "REPLACE INTO activity_ledger SELECT * FROM activity_ledger",
        "INSERT INTO activity_ledger SELECT position + 2, epoch, writer_id, last_seq + 1, \
         last_seq + 1, 1, month, class, first_at, last_at, batch_root, committed_at + 9 \
         FROM activity_ledger WHERE position = 1",
        "INSERT INTO activity_ledger SELECT (SELECT max(position) + 1 FROM activity_ledger), \
         epoch, writer_id, 99, 99, 1, month, class, first_at, last_at, batch_root, \
         committed_at + 9 FROM activity_ledger WHERE position = 1",
    ] {
        assert!(refused(&connection, sql), "{sql}");
    }
    assert_eq!(all(&store).await, before);
}

#[tokio::test]
async fn erasing_a_group_leaves_the_canonical_bytes_as_they_were() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let sent = full(1, 1);
    append(&store, std::slice::from_ref(&sent)).await.unwrap();
    let connection = fixture.by_hand();
    let mut canonical = Canonical::new();
    let bytes = canonical.encode(&sent).to_vec();
    let mut expected = Record::clone(&sent);
    for group in Group::ERASABLE {
        let name = group.as_str();
        let Some(commitment) = canonical.commitment(&sent, group) else {
            panic!("{name} is empty")
        };
        let fields = Record::FIELDS.iter().filter(|field| field.group() == group);
        let nulls: String = fields.map(|field| format!("{} = NULL, ", field.name())).collect();
        let erase = format!(
            "UPDATE activity_records SET {nulls}{name}_salt = NULL, {name}_commitment = ? \
             WHERE seq = 1"
        );
        connection.execute(&erase, params![commitment]).unwrap();
        expected = erased(&expected, group);

        let stored = store.record(sent.id).await.unwrap().unwrap();
        assert_eq!(stored, expected);
        assert_eq!(stored.seals.of(group), Seal::Erased(commitment));
        assert_eq!(canonical.encode(&stored), bytes);
        // Once.
        connection.execute(&erase, params![[0_u8; 32]]).unwrap_err();
        let back = format!("UPDATE activity_records SET {name}_commitment = NULL");
        assert!(refused(&connection, &back));
    }
}

#[tokio::test]
async fn deleting_takes_a_permit_that_does_not_outlive_its_transaction() {
    const PERMIT: &str = "INSERT INTO activity_permits (permit, retention_class, before) \
                          SELECT 1, 'activity', occurred_at FROM activity_records WHERE seq = 3";
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    append(&store, &stream(1, 1..=5)).await.unwrap();
    let mut connection = fixture.by_hand();
    connection.pragma_update(None, "foreign_keys", true).unwrap();

    let transaction = connection.transaction().unwrap();
    transaction.execute(PERMIT, []).unwrap();
    assert!(refused(&transaction, "DELETE FROM activity_records WHERE seq = 3"), "too young");
    transaction.execute("DELETE FROM activity_records WHERE seq < 3", []).unwrap();
    transaction.execute("DELETE FROM activity_permits", []).unwrap();
    transaction.commit().unwrap();
    assert_eq!(all(&store).await.len(), 3);

    let transaction = connection.transaction().unwrap();
    transaction.execute(PERMIT, []).unwrap();
    transaction.commit().expect_err("a permit was left behind");
    assert!(refused(&fixture.by_hand(), "DELETE FROM activity_records WHERE seq = 3"));
    assert!(
        refused(&connection, "DELETE FROM activity_records WHERE seq = 2") || {
            let left: i64 = connection
                .query_row("SELECT count(*) FROM activity_permits", [], |row| row.get(0))
                .unwrap();
            left == 0
        }
    );
}

#[tokio::test]
async fn the_views_show_ids_and_times_as_people_read_them() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let mut sent = stream(1, 1..=3);
    sent[1].category = "authentication".parse().unwrap();
    sent[2].category = "system".parse().unwrap();
    append(&store, &sent).await.unwrap();
    let connection = fixture.by_hand();
    for (view, seqs) in [
        ("activity_action_logs", &[0_usize][..]),
        ("activity_authentication_logs", &[1]),
        ("activity_recent_activity", &[2, 1, 0]),
    ] {
        let sql = format!("SELECT id, occurred_at, actor_id FROM {view}");
        let mut statement = connection.prepare(&sql).unwrap();
        let shown: Vec<[String; 3]> = statement
            .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let expected: Vec<[String; 3]> = seqs
            .iter()
            .map(|&at| &sent[at])
            .map(|r| [r.id.to_string(), r.occurred_at.to_string(), r.actor_id.to_string()])
            .collect();
        assert_eq!(shown, expected, "{view}");
    }
}
