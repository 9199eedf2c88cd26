//! SQLite: the suite, over a file and in memory, and what this store promises beside it.

mod faults;
mod file;
mod pool;
mod reading;
mod schema;

use tempfile::TempDir;
use tower_activity::store::sqlite::SqliteStore;

use crate::suite::Fixture;

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
