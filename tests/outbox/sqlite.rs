//! SQLite: files in a folder of the test's own.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tempfile::TempDir;
use tower_activity::store::{
    Outbox as _,
    sqlite::{SqliteOutbox, SqliteStore},
};

use crate::Log;

#[path = "cases/mod.rs"]
mod cases;
#[cfg(feature = "api")]
#[path = "request.rs"]
mod request;

type Pool = SqlitePool;

const OUTBOX: &str = "activity_outbox";
const STREAM: &str = "activity_outbox_stream";
/// A moment that no lease reaches to, in SQL.
const FAR: &str = "32503680000000000";

/// An application with a database and a log.
struct App {
    pool: Pool,
    log: SqliteStore,
    folder: TempDir,
}

impl App {
    async fn new(log: Log) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("app.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(60));
        let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await.unwrap();
        let at = match log {
            Log::There => "app.db",
            Log::Elsewhere => "log.db",
        };
        let log = SqliteStore::open(folder.path().join(at).to_str().unwrap()).await.unwrap();
        let app = Self { pool, log, folder };
        app.outbox().migrate().await.unwrap();
        app.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT NOT NULL)").await;
        app
    }

    fn outbox(&self) -> SqliteOutbox {
        SqliteOutbox::new(&self.pool)
    }

    /// Makes a log that knows nothing of what was.
    async fn another_log(&self) -> SqliteStore {
        let path = self.folder.path().join("another.db");
        SqliteStore::open(path.to_str().unwrap()).await.unwrap()
    }

    async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}
