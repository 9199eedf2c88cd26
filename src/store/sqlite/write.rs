//! Writing beside the appender: short transactions on connections that are kept for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    error::store_error,
    identity::{self, Identity},
    location,
    store::SqliteStore,
};
use crate::store::StoreError;

/// Connections that wait for the next transaction. One is taken out while it works, and put back only when
/// its transaction is over: what is left in the middle closes its connection, which rolls it back.
#[derive(Clone, Default)]
pub(super) struct Writers(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    idle: Vec<(SqliteConnection, Identity)>,
    closed: bool,
}

/// More than this at once would wait for the same lock.
const KEPT: usize = 2;

/// So many milliseconds SQLite sleeps between one look for a lock and the next; after the last, always as long:
/// `sqliteDefaultBusyCallback`.
const LOOKS: [u64; 12] = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100];

/// Returns for how long whoever has waited for the lock while it was held sleeps at most before he looks again, and a
/// quarter more, as nobody wakes on time.
fn pause_after(held: Duration) -> Duration {
    let mut waited = 0;
    let sleeps = LOOKS.into_iter().find(|sleep| {
        waited += sleep;
        held < Duration::from_millis(waited)
    });
    Duration::from_millis(sleeps.unwrap_or(100)) * 5 / 4
}

impl Writers {
    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn take(
        &self,
        options: &SqliteConnectOptions,
    ) -> Result<(SqliteConnection, Identity), StoreError> {
        let file = options.get_filename();
        let idle = {
            let mut kept = self.lock();
            if kept.closed {
                return Err(store_error("write to the store", sqlx::Error::PoolClosed));
            }
            kept.idle.retain(|(_, identity)| identity.is_that_of(file));
            kept.idle.pop()
        };
        match idle {
            Some(connection) => Ok(connection),
            None => identity::connect(&location::writing(options).create_if_missing(false)).await,
        }
    }

    pub(super) async fn put_back(&self, connection: (SqliteConnection, Identity)) {
        let beyond = {
            let mut kept = self.lock();
            if kept.closed || kept.idle.len() >= KEPT {
                Some(connection)
            } else {
                kept.idle.push(connection);
                None
            }
        };
        if let Some((connection, _)) = beyond {
            // What was written is committed; closing can only fail to tidy up.
            let _closed = connection.close().await;
        }
    }

    pub(super) async fn close(&self) {
        let idle = {
            let mut kept = self.lock();
            kept.closed = true;
            std::mem::take(&mut kept.idle)
        };
        for (connection, _) in idle {
            let _closed = connection.close().await;
        }
    }
}

impl SqliteStore {
    /// Does one of many steps as [`write`](Self::write) does, and leaves the lock alone afterwards until whoever waited
    /// for it has looked once more: SQLite wakes nobody, and whoever appends looks for the lock now and then.
    pub(super) async fn write_step<T>(
        &self,
        doing: &str,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        // From when it is held on: whoever waited meanwhile has had his turn.
        let mut begun = Instant::now();
        let step = async |connection: &mut SqliteConnection| {
            begun = Instant::now();
            work(connection).await
        };
        let done = self.write(doing, step).await?;
        tokio::time::sleep(pause_after(begun.elapsed())).await;
        Ok(done)
    }

    /// Does `work` in one transaction under the write lock.
    pub(super) async fn write<T>(
        &self,
        doing: &str,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let (mut connection, identity) = self.writers().take(self.options()).await?;
        let done = async {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
            let done = work(&mut connection).await?;
            sqlx::query("COMMIT").execute(&mut connection).await?;
            Ok(done)
        };
        let done = done.await.map_err(|error| store_error(doing, error))?;
        self.writers().put_back((connection, identity)).await;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_looks_once_before_the_next_step() {
        for held in 0..1_000 {
            let free = Duration::from_millis(held);
            let pause = pause_after(free);
            // Of those who came when the step began, and of those who came later.
            for came in 0..=held {
                let mut look = came;
                for sleep in LOOKS.into_iter().chain(std::iter::repeat(100)) {
                    if look >= held {
                        break;
                    }
                    look += sleep;
                }
                assert!(Duration::from_millis(look) <= free + pause, "{held}: {came}, {pause:?}");
            }
        }
    }
}
