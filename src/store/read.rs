//! Asking a store.

use std::future::Future;

use super::StoreError;
use crate::{
    ledger::Entry,
    query::{Filter, Keyset, Page},
    record::{Record, RecordId},
};

/// A store that answers questions.
pub trait Read: Send + Sync + 'static {
    /// Returns a page of the records that pass `filter`, newest first (by `occurred_at`, then id),
    /// strictly after `after` in that order, of at most `limit` records.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn records(
        &self,
        filter: &Filter,
        after: Option<Keyset>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Returns one record, or `None` when the store does not hold it.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn record(
        &self,
        id: RecordId,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Returns the ledger's entries after `position`, in the order of the commits, at most `limit`.
    ///
    /// A reader that goes from the last position it saw misses nothing: positions appear in commit
    /// order and without holes.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn entries(
        &self,
        position: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;

    /// Returns the records of an entry in the order of their numbers.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn entry_records(
        &self,
        entry: &Entry,
    ) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;
}
