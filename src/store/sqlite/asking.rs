//! A connection of the pool with a deadline: no question runs on when nobody waits any more.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_core::Stream;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection, sqlite::SqliteRow};

use super::{error::is_interrupted, sql::Sql};

/// SQLite looks at the clock after so many steps of its machine: some tens of microseconds.
const STEPS: i32 = 4_000;

/// What the connection's handler looks at.
struct Watch {
    /// Nobody waits: whoever asked has gone.
    abandoned: AtomicBool,
    over: AtomicBool,
}

/// A connection on which statements end at a deadline.
///
/// Where the question is dropped in the middle, SQLite is stopped, and the connection goes back to the pool
/// when it has.
pub(super) struct Asking {
    connection: Option<PoolConnection<Sqlite>>,
    watch: Arc<Watch>,
}

/// What a statement gave until it ended.
pub(super) struct Answer {
    pub(super) rows: Vec<SqliteRow>,
    /// False when the deadline ended it.
    pub(super) whole: bool,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// There are no more rows.
    Whole,
    /// Whoever took the rows had enough.
    Enough,
    /// The deadline ended it.
    OutOfTime,
}

impl Asking {
    pub(super) async fn begin(pool: &SqlitePool) -> Result<Self, sqlx::Error> {
        let connection = Some(pool.acquire().await?);
        let watch = Watch { abandoned: AtomicBool::new(false), over: AtomicBool::new(true) };
        Ok(Self { connection, watch: Arc::new(watch) })
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Ends what runs on this connection after `patience` from now.
    pub(super) async fn patience(&mut self, patience: Duration) -> Result<(), sqlx::Error> {
        let deadline = Instant::now().checked_add(patience);
        // The handler before this one lets everything pass from now on.
        self.watch.over.store(true, Ordering::Relaxed);
        let watch =
            Arc::new(Watch { abandoned: AtomicBool::new(false), over: AtomicBool::new(false) });
        self.watch = Arc::clone(&watch);
        let goes_on = move || {
            watch.over.load(Ordering::Relaxed)
                || (!watch.abandoned.load(Ordering::Relaxed)
                    && deadline.is_none_or(|deadline| Instant::now() < deadline))
        };
        self.connection()?.lock_handle().await?.set_progress_handler(STEPS, goes_on);
        Ok(())
    }

    /// Asks, and returns what came until the deadline.
    pub(super) async fn rows(&mut self, sql: Sql) -> Result<Answer, sqlx::Error> {
        let mut rows = Vec::new();
        let take = |row| {
            rows.push(row);
            ControlFlow::Continue(())
        };
        let ended = self.each(sql, take).await?;
        Ok(Answer { rows, whole: ended == Ended::Whole })
    }

    /// Asks, and shows each row to `take` until it has enough or the deadline is there.
    pub(super) async fn each(
        &mut self,
        sql: Sql,
        mut take: impl FnMut(SqliteRow) -> ControlFlow<()>,
    ) -> Result<Ended, sqlx::Error> {
        let query = sql.query()?;
        let mut rows = std::pin::pin!(query.fetch(self.connection()?));
        loop {
            match std::future::poll_fn(|context| rows.as_mut().poll_next(context)).await {
                None => return Ok(Ended::Whole),
                Some(Ok(row)) => {
                    if take(row).is_break() {
                        return Ok(Ended::Enough);
                    }
                }
                Some(Err(error)) if is_interrupted(&error) => return Ok(Ended::OutOfTime),
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// Sees one moment from now on, until [`end`](Self::end).
    pub(super) async fn one_moment(&mut self) -> Result<(), sqlx::Error> {
        self.execute("BEGIN").await
    }

    /// Gives the connection back.
    pub(super) async fn end(mut self) -> Result<(), sqlx::Error> {
        self.watch.over.store(true, Ordering::Relaxed);
        self.execute("ROLLBACK").await?;
        self.release();
        Ok(())
    }

    /// Gives a connection back on which no moment was begun.
    pub(super) fn release(mut self) {
        self.watch.over.store(true, Ordering::Relaxed);
        drop(self.connection.take());
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(sql).execute(self.connection()?).await.map(|_| ())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        self.watch.abandoned.store(true, Ordering::Relaxed);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                // Waits until SQLite has stopped.
                if let Ok(mut handle) = connection.lock_handle().await {
                    handle.remove_progress_handler();
                }
                // There may be no transaction to roll back.
                let _rolled_back = sqlx::query("ROLLBACK").execute(&mut *connection).await;
            })),
            Err(_) => connection.close_on_drop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::SqliteStore;

    /// Counts for ever.
    fn endless() -> Sql {
        Sql::new(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT max(n) FROM n",
        )
    }

    async fn store() -> SqliteStore {
        SqliteStore::open("sqlite::memory:").await.unwrap()
    }

    #[tokio::test]
    async fn a_statement_ends_at_its_deadline_and_the_connection_goes_on() {
        let store = store().await;
        let mut asking = Asking::begin(store.pool()).await.unwrap();
        asking.patience(Duration::from_millis(30)).await.unwrap();
        let answer = asking.rows(endless()).await.unwrap();
        assert!(!answer.whole && answer.rows.is_empty());
        // The deadline has passed, and the next one is the next question's.
        asking.patience(Duration::from_secs(60)).await.unwrap();
        assert!(asking.rows(Sql::new("SELECT 1")).await.unwrap().whole);
        asking.release();
        let mut asking = Asking::begin(store.pool()).await.unwrap();
        assert!(asking.rows(Sql::new("SELECT 1")).await.unwrap().whole);
        asking.release();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_question_that_nobody_waits_for_is_stopped_and_gives_its_connection_back() {
        let store = store().await;
        // More often than there are connections.
        for _ in 0..9 {
            let mut asking = Asking::begin(store.pool()).await.unwrap();
            asking.patience(Duration::from_secs(3_600)).await.unwrap();
            asking.one_moment().await.unwrap();
            let asked = tokio::time::timeout(Duration::from_millis(5), asking.rows(endless()));
            assert!(asked.await.is_err());
        }
        let mut asking = Asking::begin(store.pool()).await.unwrap();
        // No transaction was left open.
        asking.one_moment().await.unwrap();
        assert!(asking.rows(Sql::new("SELECT 1")).await.unwrap().whole);
        asking.end().await.unwrap();
    }
}
