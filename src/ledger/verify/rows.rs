//! What a store shows of itself: rows that may be anything.

use std::fmt;

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

/// A row of the log, not yet read.
///
/// To take a row apart is most of the work of a verification. It is done where the record is hashed, on a thread beside the
/// one that asks the store, and a row at a time: memory that is given back before the next row is read is still in the
/// processor's cache, and that of some thousand rows is not.
#[derive(Debug)]
pub struct RecordRow {
    /// Its number in the stream that was asked for.
    pub seq: i64,
    row: Box<dyn WrittenRow>,
}

impl RecordRow {
    /// A row as a store holds it.
    pub fn new(seq: i64, row: impl WrittenRow) -> Self {
        Self { seq, row: Box::new(row) }
    }

    /// Returns its id, as far as there is one.
    #[must_use]
    pub fn id(&self) -> Option<RecordId> {
        self.row.id()
    }

    /// Reads the record.
    ///
    /// # Errors
    ///
    /// Why the row is not what an append writes.
    pub fn record(&self) -> Result<Box<Record>, String> {
        self.row.record()
    }
}

/// What a store knows of a row, and what is made of it.
pub trait WrittenRow: fmt::Debug + Send + Sync + 'static {
    /// Returns the id in the row, if it is one.
    fn id(&self) -> Option<RecordId>;

    /// Reads the record.
    ///
    /// # Errors
    ///
    /// Why the row is not what an append writes.
    fn record(&self) -> Result<Box<Record>, String>;
}

/// A record in memory is a row that is read.
impl WrittenRow for Box<Record> {
    fn id(&self) -> Option<RecordId> {
        Some(self.id)
    }

    fn record(&self) -> Result<Box<Record>, String> {
        Ok(self.clone())
    }
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
