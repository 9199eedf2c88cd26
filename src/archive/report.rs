//! What a verification of an archive found.

use std::fmt;

use serde::Serialize;

use crate::{
    ledger::verify::{Place, Verdict},
    time::Timestamp,
};

/// So many faults are kept singly; the rest are counted.
const KEPT: usize = 1_000;

/// What a verification of an archive found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ArchiveReport {
    /// How many parts were looked at.
    pub parts: u64,
    /// How many records were read and hashed.
    pub records: u64,
    /// How many entries of the ledger account for them.
    pub entries: u64,
    /// How many of these entries lie under a signed head.
    pub proved: u64,
    /// How many personal groups of those records are erased, which is no fault.
    pub erased: u64,
    /// The last of the signed heads: how many entries it covers, and when it was signed.
    #[serde(skip)]
    pub signed: Option<(u64, Timestamp)>,
    /// The last of them that a head from outside of the archive confirms.
    #[serde(skip)]
    pub anchored: Option<(u64, Timestamp)>,
    /// Of how many parts that belong here the log tells; `None` where it was not compared with a log.
    pub told: Option<u64>,
    /// How many parts the log tells of that were written to other archives, and that were not looked for.
    pub told_elsewhere: u64,
    /// What is not as it was written, the first of it.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub total: u64,
    /// How many of them are no more than that something is not accounted for.
    #[serde(skip)]
    pub(super) loose: u64,
}

impl ArchiveReport {
    /// Returns what it comes to.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        if self.total > self.loose {
            Verdict::Altered
        } else if self.total > 0 {
            Verdict::Incomplete
        } else {
            Verdict::Unaltered
        }
    }

    pub(super) fn push(&mut self, fault: Fault) {
        self.total += 1;
        self.loose += u64::from(fault.kind.is_loose());
        if self.faults.len() < KEPT {
            self.faults.push(fault);
        }
    }
}

/// Something in an archive that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// The file, relative to the root of the archive.
    pub file: String,
    /// Where in the log, as far as it is known.
    #[serde(flatten)]
    pub place: Place,
    /// What shows it.
    pub detail: String,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, file: &str, detail: impl Into<String>) -> Self {
        Self { kind, file: file.to_owned(), place: Place::default(), detail: detail.into() }
    }

    pub(super) fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.file)?;
        if self.place != Place::default() {
            write!(f, ", {}", self.place)?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// A file is not the one that was written.
    Altered,
    /// A file is not there, or an entry of which the log says that it is.
    Missing,
    /// A file is there, and is nothing that this version reads.
    Unreadable,
    /// The signed head is not signed by a key that is trusted, or is not of this ledger.
    Forged,
    /// A file that no manifest names, left over by a run that did not come to its end, or put there by somebody.
    Foreign,
    /// No signed head covers entries.
    Unproved,
    /// A part of which no record of the log tells.
    Untold,
}

impl FaultKind {
    /// Tells whether everything that was archived is there and unaltered all the same.
    #[must_use]
    pub const fn is_loose(self) -> bool {
        matches!(self, Self::Foreign | Self::Unproved | Self::Untold)
    }

    /// Returns it in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Forged => "forged",
            Self::Foreign => "foreign",
            Self::Unproved => "unproved",
            Self::Untold => "untold",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
