//! What a store shows of itself: rows that may be anything.

use crate::{
    ledger::Entry,
    record::{Record, RecordId, WriterId},
};

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerRow {
    /// Its position; `None` when it has none, which no append leaves.
    pub position: Option<i64>,
    /// The entry, or why the row is not what an append writes.
    pub entry: Result<Entry, String>,
}

/// A row of the log.
#[derive(Debug, Clone)]
pub struct RecordRow {
    /// Its number in the stream that was asked for.
    pub seq: i64,
    /// Its id, as far as there is one.
    pub id: Option<RecordId>,
    /// The record, or why the row is not what an append writes.
    pub record: Result<Box<Record>, String>,
}

/// From which number to which a stream has rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamRows {
    /// The stream as its rows name it.
    pub writer_id: i64,
    /// The smallest number.
    pub first_seq: i64,
    /// The largest number.
    pub last_seq: i64,
}

impl StreamRows {
    pub(crate) const fn stream(&self) -> WriterId {
        WriterId::new(self.writer_id)
    }
}
