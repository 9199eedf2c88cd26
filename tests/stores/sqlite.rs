//! SQLite: the suite, over a file and in memory, and what this store promises beside it.

mod faults;
mod file;
#[cfg(target_os = "linux")]
mod killed;
mod loss;
mod pool;
mod reading;
mod schema;

use tempfile::TempDir;
use tower_activity::{record::Record, store::sqlite::SqliteStore};

use crate::{
    counts::{Mutable, erasing, hex},
    suite::Fixture,
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
