//! What a verification found.

use std::fmt;

use serde::Serialize;

use crate::{
    ledger::Hash,
    record::{RecordId, WriterId},
    time::Timestamp,
};

/// So many alterations and shortfalls are kept singly; the rest are counted.
pub(super) const KEPT: usize = 1_000;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// The position up to which the ledger was verified; 0 when it is empty.
    pub position: i64,
    /// When the entry at that position was committed.
    pub committed_at: Option<Timestamp>,
    /// The root of the ledger over the entries up to that position; `None` when an entry is missing or
    /// cannot be read.
    pub root: Option<Hash>,
    /// How many entries were read.
    pub entries: u64,
    /// How many records were read and hashed.
    pub records: u64,
    /// How many streams they belong to.
    pub streams: u64,
    /// How many personal groups of those records were erased, which is no alteration.
    pub erased: u64,
    /// How many records are gone because their time was over, as the log itself tells, which is no alteration.
    pub expired: u64,
    /// How many records a scratch copy of an archive leaves out of its entries; their hashes stand in their place.
    pub left_out: u64,
    /// How many signed heads were compared with it.
    pub heads: u64,
    /// The last entry that such a head covers, and when it was signed.
    pub signed: Option<(i64, Timestamp)>,
    /// The last entry that a head from outside of the database covers, and when it was signed.
    pub anchored: Option<(i64, Timestamp)>,
    /// Where an earlier verification ended, and when that was: what lies before was not read again.
    pub since: Option<(i64, Timestamp)>,
    /// In how many places that one, and those before it, found the log to be incomplete.
    pub incomplete_before: u64,
    /// What is not as it was written, in the order of the ledger.
    pub altered: Findings<Alteration>,
    /// What is known to be missing, by the log's own account.
    pub incomplete: Findings<Shortfall>,
}

impl Report {
    /// Returns what it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if !self.altered.is_empty() {
            Verdict::Altered
        } else if !self.incomplete.is_empty() {
            Verdict::Incomplete
        } else {
            Verdict::Unaltered
        }
    }
}

/// What a verification comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Everything is as it was written, and nothing is known to be missing.
    Unaltered,
    /// Something is not as it was written.
    Altered,
    /// Everything is as it was written; some of what should have been written never was.
    Incomplete,
}

impl Verdict {
    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unaltered => "unaltered",
            Self::Altered => "altered",
            Self::Incomplete => "incomplete",
        }
    }

    /// Returns what a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Unaltered, Self::Altered, Self::Incomplete]
            .into_iter()
            .find(|verdict| verdict.as_str() == word)
    }
}

/// What the last verification of a log came to, for those who look after it. It proves nothing: it is what the database
/// says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// When it ended.
    pub at: Timestamp,
    /// The position up to which the ledger was verified.
    pub position: i64,
    /// What it came to.
    pub result: Verdict,
}

impl Verified {
    /// Makes one.
    #[must_use]
    pub const fn new(at: Timestamp, position: i64, result: Verdict) -> Self {
        Self { at, position, result }
    }
}

/// The first findings of a kind, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings<T> {
    kept: Vec<T>,
    total: u64,
}

impl<T> Default for Findings<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), total: 0 }
    }
}

impl<T> Findings<T> {
    /// Returns the first of them.
    #[must_use]
    pub fn kept(&self) -> &[T] {
        &self.kept
    }

    /// Returns how many there are.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Tells whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    pub(super) fn push(&mut self, finding: T) {
        self.total += 1;
        if self.kept.len() < KEPT {
            self.kept.push(finding);
        }
    }

    pub(super) fn sort_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K) {
        self.kept.sort_by_key(key);
    }
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Alteration {
    /// What was done, as far as it shows.
    pub kind: AlterationKind,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What shows it.
    pub detail: String,
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place == Place::default() {
            true => write!(f, "{}: {}", self.kind, self.detail),
            false => write!(f, "{} at {}: {}", self.kind, self.place, self.detail),
        }
    }
}

/// What was done to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlterationKind {
    /// A column of a record was changed.
    RecordEdited,
    /// The row of a record is gone.
    RowMissing,
    /// There is a row that no entry of the ledger accounts for.
    RowExtra,
    /// There are two rows of one number.
    RowDuplicated,
    /// Two rows changed their numbers.
    RowsSwapped,
    /// A column of an entry of the ledger was changed.
    EntryEdited,
    /// An entry of the ledger is gone.
    EntryMissing,
    /// There is an entry of the ledger that no append wrote.
    EntryExtra,
    /// The ledger is not the one whose head was signed.
    HistoryRewritten,
    /// A head is not signed by a key that is trusted, is not of what is kept beside it, or is gone while later ones are
    /// there.
    HeadForged,
    /// A personal group was erased, and no record of the log says so.
    ErasedUnrecorded,
}

impl AlterationKind {
    /// Returns it in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecordEdited => "record edited",
            Self::RowMissing => "row missing",
            Self::RowExtra => "extra row",
            Self::RowDuplicated => "row duplicated",
            Self::RowsSwapped => "rows swapped",
            Self::EntryEdited => "ledger entry edited",
            Self::EntryMissing => "ledger entry missing",
            Self::EntryExtra => "extra ledger entry",
            Self::HistoryRewritten => "history rewritten",
            Self::HeadForged => "checkpoint forged",
            Self::ErasedUnrecorded => "erased without a record",
        }
    }
}

impl fmt::Display for AlterationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in the log, as narrow as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The position in the ledger.
    pub position: Option<i64>,
    /// The stream.
    #[serde(serialize_with = "as_text")]
    pub writer_id: Option<WriterId>,
    /// The number of the first record.
    pub first_seq: Option<i64>,
    /// The number of the last record.
    pub last_seq: Option<i64>,
    /// The id, where it is one record and known.
    pub id: Option<RecordId>,
}

/// JSON numbers are exact only below 2^53.
fn as_text<S: serde::Serializer>(id: &Option<WriterId>, out: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => out.collect_str(id),
        None => out.serialize_none(),
    }
}

impl Place {
    pub(super) fn entry(position: i64) -> Self {
        Self { position: Some(position), ..Self::default() }
    }

    pub(crate) fn records(writer_id: WriterId, first_seq: i64, last_seq: i64) -> Self {
        Self {
            writer_id: Some(writer_id),
            first_seq: Some(first_seq),
            last_seq: Some(last_seq),
            ..Self::default()
        }
    }

    pub(crate) fn at(self, position: i64) -> Self {
        Self { position: Some(position), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        if let Some(position) = self.position {
            write!(f, "entry {position}")?;
            comma = ", ";
        }
        match (self.first_seq, self.last_seq) {
            (Some(first), Some(last)) if first == last => write!(f, "{comma}record {first}")?,
            (Some(first), Some(last)) => write!(f, "{comma}records {first} to {last}")?,
            _ => {}
        }
        if let (Some(writer_id), Some(_)) = (self.writer_id, self.first_seq) {
            write!(f, " of stream {writer_id}")?;
        }
        match self.id {
            Some(id) => write!(f, " ({id})"),
            None => Ok(()),
        }
    }
}

/// Something that is known to be missing, or not to be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shortfall {
    /// Records were lost before they reached the store, and a record says so.
    Gap {
        /// Where that record is.
        #[serde(flatten)]
        place: Place,
        /// How many; `None` when nobody knows.
        count: Option<u64>,
        /// Why, as in `queue_full`.
        reason: String,
    },
    /// A process ended without a word; what it had not stored is lost.
    UncleanEnd {
        /// Its stream, and the last number of it that is stored.
        #[serde(flatten)]
        place: Place,
    },
    /// A stub stands for a record that the store could not take; the record is in a quarantine file.
    Stub {
        /// Which.
        #[serde(flatten)]
        place: Place,
    },
    /// The store was found behind what had been committed to it, and went on.
    RolledBack {
        /// Back to which position.
        position: i64,
        /// The epoch in which it went on.
        epoch: i64,
        /// How many records were committed and are gone, as far as it is known; `None` as long as no record
        /// tells of it.
        lost: Option<u64>,
    },
    /// Keys are trusted, and none of them signed a head of the log: whoever holds the database may have taken the signed
    /// ones away.
    Unsigned,
}

impl Shortfall {
    pub(super) fn position(&self) -> i64 {
        match self {
            Self::Gap { place, .. } | Self::UncleanEnd { place } | Self::Stub { place } => {
                place.position.unwrap_or(i64::MAX)
            }
            Self::RolledBack { position, .. } => *position,
            Self::Unsigned => i64::MAX,
        }
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { place, count: Some(count), reason } => {
                write!(f, "gap at {place}: {count} missing ({reason})")
            }
            Self::Gap { place, count: None, reason } => {
                write!(f, "gap at {place}: nobody knows how many are missing ({reason})")
            }
            Self::UncleanEnd { place } => {
                write!(f, "unclean end after {place}: what its process had not stored is lost")
            }
            Self::Stub { place } => {
                write!(f, "stub at {place}: the record itself is in a quarantine file")
            }
            Self::RolledBack { position, epoch, lost } => {
                write!(f, "rolled back at {position}, continued as epoch {epoch}: ")?;
                match lost {
                    Some(lost) => write!(f, "{lost} committed records are not in the log"),
                    None => f.write_str("no record says what was lost"),
                }
            }
            Self::Unsigned => f.write_str(
                "unsigned: no key of the trust file signed any head of it; `activity checkpoint` signs one, and if there \
                 was one, somebody took it away",
            ),
        }
    }
}
