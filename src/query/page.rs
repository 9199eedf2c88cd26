//! Pages by keyset: newest first, stable while records arrive.

use crate::{
    record::{Record, RecordId},
    time::Timestamp,
};

/// The place of a record in the order of the pages: by `occurred_at`, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyset {
    /// When it occurred.
    pub occurred_at: Timestamp,
    /// Its id.
    pub id: RecordId,
}

impl Keyset {
    /// Returns the place of `record`.
    #[must_use]
    pub const fn of(record: &Record) -> Self {
        Self { occurred_at: record.occurred_at, id: record.id }
    }
}

/// One page of records, newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Where the next, older page begins; `None` when this is the last.
    pub next: Option<Keyset>,
}
