//! Appending, exactly once.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::{
    error::store_error,
    identity::{self, Identity},
    restrict,
    rows::{INSERT_ENTRY, Insert, entry_arguments},
};
use crate::{
    ledger::{Entry, FoldedEntry, Hash, NewEntry, folded::is_kept, folded_entries, leaf_hash},
    record::{Canonical, Record, WriterId},
    store::{Appended, Appender, Batch, StoreError, StoreErrorKind},
    time::{Clock, Timestamp},
};

const DOING: &str = "append a batch";

/// In the place of those of an entry that somebody cut off.
const INSERT_FOLDED: &str =
    "INSERT OR REPLACE INTO activity_folded_roots (position, roots) VALUES (?, ?)";

/// A connection for appending to a [`SqliteStore`](super::SqliteStore).
pub struct SqliteAppender {
    connection: SqliteConnection,
    file: PathBuf,
    identity: Identity,
    clock: Arc<dyn Clock>,
    canonical: Canonical,
    /// Without it nothing is hashed, which is for measuring what that costs.
    proves: bool,
    /// Set while a transaction is open, hence still set when one was left in the middle.
    in_transaction: bool,
}

impl fmt::Debug for SqliteAppender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteAppender").finish_non_exhaustive()
    }
}

/// Where the ledger stands.
struct Head {
    /// Of the stream that is asked for.
    last_seq: i64,
    position: i64,
    epoch: i64,
    committed_at: Timestamp,
}

impl SqliteAppender {
    pub(super) fn new(
        connection: SqliteConnection,
        (file, identity): (PathBuf, Identity),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let canonical = Canonical::new();
        Self { connection, file, identity, clock, canonical, proves: true, in_transaction: false }
    }

    /// Hashes nothing from here on: what it appends cannot be proved, and nothing but a measurement wants that.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    #[must_use]
    pub fn without_proofs(self) -> Self {
        Self { proves: false, ..self }
    }

    /// Refuses when the name stands for another file by now.
    fn check_file(&self, doing: &str) -> Result<(), StoreError> {
        if self.identity.is_that_of(&self.file) {
            return Ok(());
        }
        Err(identity::replaced(doing, &self.file))
    }

    /// Takes SQLite's write lock, and waits for whoever holds it.
    async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.in_transaction = true;
        self.execute("BEGIN IMMEDIATE").await
    }

    async fn end(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        self.execute(sql).await?;
        self.in_transaction = false;
        Ok(())
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(sql).execute(&mut self.connection).await.map(|_| ())
    }

    fn check_whole(&self, doing: &str) -> Result<(), StoreError> {
        if self.in_transaction {
            let doing = format!("{doing}: this connection was left in the middle of a transaction");
            return Err(StoreError::new(StoreErrorKind::Transient, doing));
        }
        Ok(())
    }

    async fn head(&mut self, writer_id: WriterId) -> Result<Head, sqlx::Error> {
        let row = sqlx::query(
            "SELECT \
               coalesce((SELECT max(last_seq) FROM activity_ledger WHERE writer_id = ?), 0), \
               coalesce(last.position, 0), coalesce(last.epoch, 1), coalesce(last.committed_at, 0) \
             FROM (SELECT 1) LEFT JOIN ( \
               SELECT position, epoch, committed_at FROM activity_ledger \
               ORDER BY position DESC LIMIT 1) AS last",
        )
        .bind(writer_id.get())
        .fetch_one(&mut self.connection)
        .await?;
        Ok(Head {
            last_seq: row.try_get(0)?,
            position: row.try_get(1)?,
            epoch: row.try_get(2)?,
            committed_at: Timestamp::from_micros(row.try_get(3)?),
        })
    }

    /// Writes the batch inside an open transaction; `Err(Ok(last_seq))` when the stream stands elsewhere.
    async fn write(&mut self, batch: Batch<'_>) -> Result<Appended, Result<i64, sqlx::Error>> {
        let mut head = self.head(batch.writer_id()).await.map_err(Err)?;
        if head.last_seq.checked_add(1) != Some(batch.first_seq()) {
            return Err(Ok(head.last_seq));
        }
        head.epoch = batch.epoch(head.epoch);
        let (new, folded) = self.insert(batch).await.map_err(Err)?.into_iter().unzip();
        let folded: Vec<Vec<Hash>> = folded;
        let entries = number(new, &head, self.clock.now());
        for (entry, folded) in entries.iter().zip(&folded) {
            let arguments =
                entry_arguments(entry).map_err(|error| Err(sqlx::Error::Encode(error)))?;
            sqlx::query_with(INSERT_ENTRY, arguments)
                .execute(&mut self.connection)
                .await
                .map_err(Err)?;
            if is_kept(folded) {
                let query = sqlx::query(INSERT_FOLDED).bind(entry.position).bind(folded.concat());
                query.execute(&mut self.connection).await.map_err(Err)?;
            }
        }
        for kept in batch.restricted() {
            restrict::keep(&mut self.connection, &kept).await.map_err(Err)?;
        }
        self.end("COMMIT").await.map_err(Err)?;
        Ok(Appended { entries })
    }

    /// Inserts the rows and makes their entries.
    ///
    /// SQLite works on a thread of its own: while it takes one statement, this thread hashes the records
    /// and encodes the next.
    async fn insert(&mut self, batch: Batch<'_>) -> Result<Vec<FoldedEntry>, sqlx::Error> {
        let Self { connection, canonical, proves, .. } = self;
        let mut leaf = |record: &Record| proves.then(|| leaf_hash(canonical.encode(record)));
        let mut records = batch.records();
        let mut entries = None;
        let mut next = Insert::next(&mut records).map_err(sqlx::Error::Encode)?;
        while let Some(Insert { sql, arguments }) = next {
            let (done, prepared) = tokio::join!(
                biased;
                sqlx::query_with(sql, arguments).execute(&mut *connection),
                async {
                    entries.get_or_insert_with(|| folded_entries(batch.records(), &mut leaf));
                    Insert::next(&mut records)
                }
            );
            done?;
            next = prepared.map_err(sqlx::Error::Encode)?;
        }
        Ok(entries.unwrap_or_default())
    }
}

/// Gives entries their positions and times.
fn number(new: Vec<NewEntry>, head: &Head, now: Timestamp) -> Vec<Entry> {
    let tick = Duration::from_micros(1);
    let mut position = head.position;
    // A clock that was set back does not take the ledger back with it.
    let mut committed_at = head.committed_at.saturating_add(tick).max(now);
    new.into_iter()
        .map(|new| {
            position += 1;
            let entry = Entry { position, epoch: head.epoch, new, committed_at };
            committed_at = committed_at.saturating_add(tick);
            entry
        })
        .collect()
}

impl Appender for SqliteAppender {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        const DOING: &str = "read a stream's position";
        self.check_whole(DOING)?;
        self.check_file(DOING)?;
        let asked = async {
            self.begin().await?;
            let head = self.head(writer_id).await?;
            self.end("ROLLBACK").await?;
            Ok(head.last_seq)
        };
        asked.await.map_err(|error| store_error(DOING, error))
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        self.check_whole(DOING)?;
        self.check_file(DOING)?;
        self.begin().await.map_err(|error| store_error(DOING, error))?;
        let refused = match self.write(batch).await {
            // Committed, but where? The next connection finds out whether it is there.
            Ok(appended) => return self.check_file(DOING).map(|()| appended),
            Err(refused) => refused,
        };
        // Gives the lock back at once. A bad row has done so already, and then this fails: the connection
        // stays marked, and whoever owns it closes it as after any error.
        let rolled_back = self.end("ROLLBACK").await;
        match refused {
            Ok(last_seq) => {
                rolled_back.map_err(|error| store_error(DOING, error))?;
                Err(StoreError::new(StoreErrorKind::Position { last_seq }, DOING))
            }
            Err(error) => Err(store_error(DOING, error)),
        }
    }
}

impl SqliteAppender {
    /// Closes the connection and waits until it is closed.
    ///
    /// Dropping it closes it as well, a moment later.
    ///
    /// # Errors
    ///
    /// When SQLite reports one while closing.
    pub async fn close(self) -> Result<(), StoreError> {
        self.connection.close().await.map_err(|error| store_error("close a connection", error))
    }
}
