//! The outbox: records in the application's own database, there if and only if its transaction commits.
//!
//! Whoever records puts a row beside what he changes, in the same transaction. A worker moves the rows into
//! the log in three steps, each of which may be repeated by anybody:
//!
//! 1. **Claim**: rows get the next numbers of the outbox's stream, and the claim commits.
//! 2. **Append**: the log takes them by that stream's position, as it takes every batch.
//! 3. **Delete**: what the log's position covers is deleted, at the beginning of the next claim.
//!
//! A worker that dies anywhere leaves numbered rows behind; the next one asks the log for the position and
//! goes on from there. So each row reaches the log exactly once, whether the outbox lies in the log's
//! database or in another one, and however many workers there are. A lease keeps them from doing the same
//! work; it is for economy alone.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::StoreError;
use crate::{
    record::{RecordId, WriterId},
    time::Timestamp,
};

/// A record on its way into an outbox, prepared and encoded.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "for the databases")
)]
pub struct NewRow<'a> {
    pub(crate) record_id: RecordId,
    /// What lies in one leaf of the log is numbered together.
    pub(crate) leaf: &'a str,
    pub(crate) added_at: Timestamp,
    pub(crate) payload: &'a [u8],
}

/// A row that has its number.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    pub(crate) seq: i64,
    pub(crate) record_id: RecordId,
    pub(crate) claimed_at: Timestamp,
    pub(crate) payload: Vec<u8>,
}

/// What lies in an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its stream.
    pub writer_id: WriterId,
    /// The places of the first and the last row; `None` when it is empty.
    pub places: Option<(i64, i64)>,
}

/// How much waits in an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// How many rows.
    pub rows: u64,
    /// When the oldest was added.
    pub oldest: Option<Timestamp>,
}

/// A wish to number rows, and to be given what is numbered.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "for the databases")
)]
pub struct ClaimRows {
    pub(crate) writer_id: WriterId,
    /// Where the log stands: what it covers is deleted.
    pub(crate) position: i64,
    pub(crate) worker: i64,
    pub(crate) lease: Duration,
    pub(crate) now: Timestamp,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// What became of a claim.
#[derive(Debug, Clone)]
pub enum ClaimedRows {
    /// The next rows after the position, in the order of their numbers. None means that nothing is left; the
    /// lease is given up then.
    Yours(Vec<OutboxRow>),
    /// Another worker holds the lease.
    Held,
    /// The stream has another name by now.
    Renamed,
    /// The log holds more of the stream than was ever numbered here: this database was restored. So many
    /// numbers were given.
    Behind(i64),
}

/// A place in a database where records wait for the log.
///
/// Implemented by [`PostgresOutbox`](super::postgres::PostgresOutbox) and
/// [`SqliteOutbox`](super::sqlite::SqliteOutbox).
///
/// What holds: rows are numbered without a gap, in one transaction, and a number never changes while the
/// stream keeps its name. A call that is dropped or fails has happened entirely or not at all; which of both,
/// the next one finds out.
pub trait Outbox: Send + Sync + 'static {
    /// What transactions it belongs to.
    const DATABASE: Database;

    /// Makes the tables of the outbox where they are missing. Safe to repeat, and safe when several
    /// processes start at once.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, refuses, or holds an outbox of a newer version.
    fn migrate(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the stream, and whether there is anything.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked, or holds no outbox.
    fn look(&self) -> impl Future<Output = Result<Look, StoreError>> + Send;

    /// Counts what waits.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked, or holds no outbox.
    fn backlog(&self) -> impl Future<Output = Result<Backlog, StoreError>> + Send;

    /// Deletes what the log has, numbers further rows, and returns the next ones.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked, or holds no outbox.
    fn claim(&self, ask: ClaimRows)
    -> impl Future<Output = Result<ClaimedRows, StoreError>> + Send;

    /// Gives the stream a new name and takes every number back, if its name is still `from`; `first` becomes
    /// the new stream's number 1.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked, or holds no outbox.
    fn rename(
        &self,
        from: WriterId,
        to: WriterId,
        first: NewRow<'_>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// Postgres.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Postgres => "Postgres",
            Self::Sqlite => "SQLite",
        })
    }
}

/// A transaction of the application, or the connection that it runs on.
///
/// Implemented for sqlx's `Transaction`, for `PgConnection` and for `SqliteConnection`. On a connection that
/// is in no transaction, a record is there at once.
pub trait InTransaction: sealed::Sealed + Send {
    /// The kind of database.
    #[doc(hidden)]
    const DATABASE: Database;

    /// Puts a row into the outbox of this database.
    #[doc(hidden)]
    fn put(&mut self, row: NewRow<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;
}

pub(in crate::store) mod sealed {
    /// Only the stores know how to write into a transaction.
    pub trait Sealed {}
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// An outbox without its type. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AnyOutbox(Arc<dyn Erased>);

impl AnyOutbox {
    pub(crate) fn new<O: Outbox>(outbox: O) -> Self {
        Self(Arc::new(outbox))
    }

    pub(crate) fn database(&self) -> Database {
        self.0.database()
    }

    pub(crate) async fn look(&self) -> Result<Look, StoreError> {
        self.0.look().await
    }

    pub(crate) async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.0.backlog().await
    }

    pub(crate) async fn claim(&self, ask: ClaimRows) -> Result<ClaimedRows, StoreError> {
        self.0.claim(ask).await
    }

    pub(crate) async fn rename(
        &self,
        from: WriterId,
        to: WriterId,
        first: NewRow<'_>,
    ) -> Result<(), StoreError> {
        self.0.rename(from, to, first).await
    }
}

impl fmt::Debug for AnyOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyOutbox").field(&self.database()).finish()
    }
}

trait Erased: Send + Sync + 'static {
    fn database(&self) -> Database;
    fn look(&self) -> Answer<'_, Look>;
    fn backlog(&self) -> Answer<'_, Backlog>;
    fn claim(&self, ask: ClaimRows) -> Answer<'_, ClaimedRows>;
    fn rename<'a>(&'a self, from: WriterId, to: WriterId, first: NewRow<'a>) -> Answer<'a, ()>;
}

impl<O: Outbox> Erased for O {
    fn database(&self) -> Database {
        O::DATABASE
    }

    fn look(&self) -> Answer<'_, Look> {
        Box::pin(Outbox::look(self))
    }

    fn backlog(&self) -> Answer<'_, Backlog> {
        Box::pin(Outbox::backlog(self))
    }

    fn claim(&self, ask: ClaimRows) -> Answer<'_, ClaimedRows> {
        Box::pin(Outbox::claim(self, ask))
    }

    fn rename<'a>(&'a self, from: WriterId, to: WriterId, first: NewRow<'a>) -> Answer<'a, ()> {
        Box::pin(Outbox::rename(self, from, to, first))
    }
}
