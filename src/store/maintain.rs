//! Looking after a store.

use std::future::Future;

use super::{Completeness, CompletenessRequest, StoreError};
use crate::{record::WriterId, time::Timestamp};

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Storage {
    /// Records that were ever appended: the sum of the streams' last numbers. What retention has ended
    /// still counts, since counting what is left would mean reading it.
    pub rows: i64,
    /// Bytes on disk, or in memory.
    pub bytes: i64,
    /// Those of them that are in use, where the store knows; the others are filled by what comes next.
    pub used: i64,
    /// The earliest `occurred_at` of a record that is there.
    pub oldest: Option<Timestamp>,
    /// The latest `occurred_at` of a record that is there.
    pub newest: Option<Timestamp>,
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPosition {
    /// The stream.
    pub writer_id: WriterId,
    /// The number of its last record.
    pub last_seq: i64,
}

/// How far the rollups, and the text index where there is one, have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Folded {
    /// The position of the last entry that is folded in.
    pub position: i64,
    /// The position of the ledger's last entry.
    pub head: i64,
    /// Whether this call was the one that folded; false when another process is at it.
    pub led: bool,
}

impl Folded {
    /// Returns the number of entries that are not folded in yet.
    #[must_use]
    pub const fn behind(&self) -> i64 {
        self.head - self.position
    }
}

/// An index that costs something with every record, and is therefore asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Index {
    /// Words: `migrate --index text`.
    Text,
    /// Keys and values of `metadata`: `migrate --index metadata`.
    Metadata,
}

impl Index {
    /// Every index that can be asked for.
    pub const ALL: [Self; 2] = [Self::Text, Self::Metadata];

    /// Returns its name: `text` or `metadata`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Metadata => "metadata",
        }
    }
}

/// A store that can be looked after.
pub trait Maintain: Send + Sync + 'static {
    /// Brings the schema to this build's version, and makes the leaves that will be needed soon.
    ///
    /// Safe to repeat, and safe when several processes start at once.
    ///
    /// # Errors
    ///
    /// When the store is of a newer version than this build, or refuses.
    fn migrate(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns how much the store holds.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn storage(&self) -> impl Future<Output = Result<Storage, StoreError>> + Send;

    /// Returns every stream with its last number, in the order of their names.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn streams(&self) -> impl Future<Output = Result<Vec<StreamPosition>, StoreError>> + Send;

    /// Returns what the store holds of each stream, and what is known to be missing: first and last number,
    /// whether the numbers go on without a break, gaps, stubs, and how it ended.
    ///
    /// Costs a look at the ledger's entries of the streams in question, and at what their pipelines recorded
    /// about themselves; no other record is read. So it says what was committed, not that it is still there:
    /// that takes a verification.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn completeness(
        &self,
        request: &CompletenessRequest,
    ) -> impl Future<Output = Result<Completeness, StoreError>> + Send;

    /// Folds at most `entries` further entries of the ledger into the rollups, each exactly once.
    ///
    /// Of several processes one does it; the others come back at once.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn fold(&self, entries: usize) -> impl Future<Output = Result<Folded, StoreError>> + Send;

    /// Makes an index, over what is there and what will come. Safe to repeat.
    ///
    /// # Errors
    ///
    /// When the store refuses.
    fn make_index(&self, index: Index) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the indexes that were made.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn indexes(&self) -> impl Future<Output = Result<Vec<Index>, StoreError>> + Send;
}
