//! SQLite: the suite, and what this store promises beside it.

use tempfile::TempDir;
use tower_activity::store::sqlite::SqliteStore;

use crate::suite::Fixture;

struct InFile(TempDir);

impl Fixture for InFile {
    type Store = SqliteStore;

    async fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.path().join("activity.db").to_str().unwrap()).await.unwrap()
    }
}

suite!(InFile);
