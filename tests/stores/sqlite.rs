//! SQLite: the suite, over a file and in memory, and what this store promises beside it.

mod bunches;
mod ends;
mod faults;
mod file;
#[cfg(target_os = "linux")]
mod killed;
mod loss;
mod pool;
mod reading;
mod schema;

use tempfile::TempDir;
use tower_activity::{
    record::{Field, Kind, Record},
    store::sqlite::SqliteStore,
};

use crate::{
    counts::{Mutable, erasing, hex},
    suite::Fixture,
    tampering::{Owned, other_word},
};

/// A database file in a folder of its own.
pub(crate) struct InFile(TempDir);

impl InFile {
    pub(crate) fn path(&self) -> String {
        self.0.path().join("activity.db").to_str().unwrap().to_owned()
    }

    /// Opens the file as anybody with a SQLite shell would.
    pub(crate) fn by_hand(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    /// Returns another file that holds what this one does.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        // Nobody writes meanwhile, hence nobody empties the log of what is not yet in the file.
        let held = self.by_hand();
        held.execute_batch("BEGIN IMMEDIATE").unwrap();
        std::fs::copy(self.path(), copy.path()).unwrap();
        let wal = |path: String| path + "-wal";
        if std::fs::exists(wal(self.path())).unwrap() {
            std::fs::copy(wal(self.path()), wal(copy.path())).unwrap();
        }
        held.execute_batch("ROLLBACK").unwrap();
        copy
    }

    /// Runs statements, and neither a trigger nor a check holds them up; returns how many rows the last one changed.
    pub(crate) fn forced(&self, sql: &str) -> u64 {
        let connection = self.by_hand();
        connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
        let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
        let mut triggers = connection.prepare(triggers).unwrap();
        let names: Vec<String> =
            triggers.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for name in names {
            connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
        }
        connection.execute_batch(&format!("BEGIN; {sql}; COMMIT")).expect(sql);
        connection.changes()
    }
}

impl Fixture for InFile {
    type Store = SqliteStore;

    async fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).await.unwrap()
    }
}

suite!(InFile);

/// What takes long is asked in windows: here everything is.
mod in_windows {
    use tower_activity::store::sqlite::SqliteStore;

    use super::{Fixture, InFile};

    struct InWindows(InFile);

    impl Fixture for InWindows {
        type Store = SqliteStore;

        async fn new() -> Self {
            Self(InFile::new().await)
        }

        async fn open(&self) -> SqliteStore {
            self.0.open().await.in_windows(23)
        }
    }

    suite!(@answers InWindows:
        any_filter_means_what_it_means_in_memory,
        pages_lead_through_everything_both_ways,
    );
    suite!(@pages InWindows: random_pages_over_months_are_those_of_memory,);
    suite!(@edges InWindows:
        a_page_whose_time_is_up_knows_where_to_go_on,
        a_search_whose_time_is_up_ends_where_it_is,
    );
}

suite!(@tampering InFile);
#[cfg(feature = "archive")]
suite!(@archived InFile);
#[cfg(feature = "archive")]
suite!(@buckets InFile);

impl Owned for InFile {
    const NAME: &str = "SQLite";
    const RECORDS: &str = "activity_records";
    const LEDGER: &str = "activity_ledger";
    const CHECKPOINTS: &str = "activity_checkpoints";
    const FOLDED: &str = "activity_folded_roots";
    const LEDGER_COLUMNS: &str = "position, epoch, writer_id, first_seq, last_seq, count, month, \
                                  class, first_at, last_at, batch_root, committed_at";

    const DOUBLES: &str = "DROP INDEX activity_records_time; DROP INDEX activity_records_stream";

    async fn force(&self, sql: &str) -> u64 {
        self.forced(sql)
    }

    /// Appends need none.
    async fn mend(&self) {}

    fn bytes(hex: &str) -> String {
        format!("x'{hex}'")
    }

    #[cfg(feature = "archive")]
    fn later(column: &str, micros: i64) -> String {
        format!("{column} + {micros}")
    }

    fn other(field: &Field, seed: u32) -> Option<String> {
        Some(match field.kind() {
            Kind::Id => format!("x'{}'", hex(&[u8::try_from(seed % 256).unwrap(); 16])),
            Kind::Time | Kind::Integer => format!("coalesce({}, 0) + 1", field.name()),
            // These say which record it is: they are moved elsewhere.
            Kind::Stream => return None,
            Kind::Word => other_word(field),
            Kind::Json => format!("'{{\"x\":{seed}}}'"),
            Kind::Address => format!("'10.9.8.{}'", seed % 256),
            _ => format!("'x{seed}'"),
        })
    }
}

suite!(@counts InFile: random_counts_are_those_of_memory,);

impl Mutable for InFile {
    async fn erase(&self, record: &Record, commitment: &[u8; 32]) {
        let sql = erasing("activity_records", &format!("x'{}'", hex(commitment)), record);
        let connection = self.by_hand();
        connection.pragma_update(None, "secure_delete", true).unwrap();
        assert_eq!(connection.execute(&sql, []).unwrap(), 1);
    }

    async fn delete(&self, records: &[Box<Record>]) -> bool {
        let connection = self.by_hand();
        connection.pragma_update(None, "secure_delete", true).unwrap();
        let gone: Vec<_> = records
            .iter()
            .map(|record| format!("({}, {})", record.writer_id.get(), record.seq))
            .collect();
        connection
            .execute_batch(&format!(
                "PRAGMA foreign_keys = ON; BEGIN; INSERT INTO activity_permits (permit, \
                 retention_class, before) VALUES (1, 'activity', 9e18); \
                 DELETE FROM activity_records WHERE (writer_id, seq) IN (VALUES {}); \
                 DELETE FROM activity_permits; COMMIT;",
                gone.join(", ")
            ))
            .unwrap();
        true
    }
}

mod in_memory {
    use tower_activity::store::sqlite::SqliteStore;

    struct InMemory(SqliteStore);

    impl crate::suite::Fixture for InMemory {
        type Store = SqliteStore;

        async fn new() -> Self {
            Self(SqliteStore::open("sqlite::memory:").await.unwrap())
        }

        async fn open(&self) -> SqliteStore {
            self.0.clone()
        }
    }

    suite!(InMemory);
}

// Where appends go on after the owner was at it: in Postgres they need the triggers that he takes away.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_aside_is_proved_by_the_record() {
    let table = "activity_restricted";
    crate::restricting::what_is_kept_aside_is_proved_by_the_record::<InFile>(table).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_passes_over_no_row_that_cannot_be_read() {
    crate::erasing::an_erasure_passes_over_no_row_that_cannot_be_read::<InFile>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_from_before_a_verification_say_nothing_against_it() {
    crate::tampering::heads_from_before_a_verification_say_nothing_against_it::<InFile>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_behind_a_verification_follows_it() {
    crate::tampering::what_comes_behind_a_verification_follows_it::<InFile>().await;
}
