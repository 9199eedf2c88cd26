//! Asking a store.

use std::future::Future;

use super::{AnyStore, StoreError, StreamPosition};
use crate::{
    ledger::Entry,
    query::{Aggregate, Aggregated, Count, Filter, Page, PageRequest, Total},
    record::{Record, RecordId, WriterId},
};

/// A store that answers questions.
pub trait Read: Send + Sync + 'static {
    /// Returns a page of the records that pass `filter`.
    ///
    /// In the order of `occurred_at`, then id; or in that of the commits where a text index answers, and
    /// then the page's places say so. A page may be shorter than asked for, and yet have a next one, when
    /// the time was up.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or the place is of an order in which the filter is not answered.
    fn records(
        &self,
        filter: &Filter,
        request: &PageRequest,
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

    /// Counts the records that pass `filter`.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn count(
        &self,
        filter: &Filter,
        how: Count,
    ) -> impl Future<Output = Result<Total, StoreError>> + Send;

    /// Counts the records that pass `filter` by value and over time: from rollups where they cover the
    /// filter, otherwise from the records in its range as far as the time allows.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn aggregate(
        &self,
        filter: &Filter,
        ask: &Aggregate,
    ) -> impl Future<Output = Result<Aggregated, StoreError>> + Send;

    /// Returns where the ledger and every stream stand, all at one moment.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, StoreError>> + Send;

    /// Returns the position of the ledger's last entry; 0 when it has none.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn head(&self) -> impl Future<Output = Result<i64, StoreError>> + Send;

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

    /// Returns this store for questions about one tenant, which it then keeps to by itself, whatever a
    /// question's filter says; `None` when it knows no such thing, and the filter alone keeps tenants apart.
    fn of_tenant(&self, tenant: &str) -> Option<AnyStore> {
        let _ = tenant;
        None
    }
}

/// Where the ledger and every stream stood at one moment: what an export covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The position of the ledger's last entry.
    pub position: i64,
    /// Every stream with its last number, in the order of their names.
    pub streams: Vec<StreamPosition>,
}

impl Snapshot {
    /// Tells whether the store held `record` at that moment.
    #[must_use]
    pub fn holds(&self, record: &Record) -> bool {
        self.last_seq(record.writer_id) >= record.seq
    }

    fn last_seq(&self, writer_id: WriterId) -> i64 {
        let found = self.streams.binary_search_by_key(&writer_id, |stream| stream.writer_id);
        found.map_or(0, |at| self.streams[at].last_seq)
    }
}
