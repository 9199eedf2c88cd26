//! Scratch copies: what an archive holds, put back into a database of its own to be asked.

use serde::{Deserialize, Serialize};

use crate::{
    ledger::{Entry, Hash},
    record::Record,
    time::Timestamp,
};

/// What a scratch copy says of itself. It is no log: nothing goes on in it, and it proves what it holds and not that
/// this is all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "whoever restores makes it")]
pub struct Scratch {
    /// The archive that it was made from.
    pub from: String,
    /// When.
    pub made_at: Timestamp,
    /// What was asked for, where that is less than all of it.
    pub asked: Option<String>,
    /// The parts of the archive.
    pub parts: Vec<String>,
    /// The signed heads of the log under which its entries lie, each a note.
    pub heads: Vec<String>,
    /// How many entries of the ledger it holds.
    pub entries: u64,
    /// How many records.
    pub records: u64,
    /// How many records of these entries were not asked for: their hashes are there in their place.
    pub left_out: u64,
    /// How many personal groups were left out, since their people were erased after the archive was written.
    pub erased: u64,
    /// Whether all of it is there: false as long as it is being made, and for good when that broke off.
    pub whole: bool,
}

/// An entry that is put back, with those of its records that were asked for.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "whoever restores makes it")]
pub struct ScratchEntry {
    /// The entry.
    pub entry: Entry,
    /// The [head](Scratch::heads) that it lies under, by its index, and the path to it; `None` where no head covered it when
    /// it was archived.
    pub path: Option<(usize, Vec<Hash>)>,
    /// The records.
    pub records: Vec<Box<Record>>,
    /// The numbers and hashes of those that were not asked for, in the order of the numbers.
    pub left_out: Vec<(i64, Hash)>,
}
