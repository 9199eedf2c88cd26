//! Whether what the store holds is all that there was, stream by stream.
//!
//! Two things are put together: the ledger's entries, which say which numbers were committed, and the
//! records that the pipeline writes about itself, which say what is missing and how each stream ended.
//! Neither needs the records of others to be read: an index over the entries answers for the first, that of
//! the actions for the second, and a sparse one finds the stubs.

mod assemble;
mod numbers;

use std::time::Duration;

pub(crate) use self::assemble::{PROCESS_ENDED, SPOOL_DAMAGED, STORE_LOST, own_filter};
pub(super) use self::{assemble::assemble, numbers::Numbers};
use crate::{record::WriterId, time::Timestamp};

/// Which streams are asked about, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletenessRequest {
    streams: Wanted,
    patience: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Newest(usize),
    These(Vec<WriterId>),
}

impl CompletenessRequest {
    /// The time that a question may take when nothing else is said.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

    /// Asks about the streams that were written to last, at most `limit`.
    #[must_use]
    pub const fn newest(limit: usize) -> Self {
        Self { streams: Wanted::Newest(limit), patience: Self::DEFAULT_PATIENCE }
    }

    /// Asks about certain streams; those that the store does not hold are left out.
    #[must_use]
    pub fn of(streams: impl IntoIterator<Item = WriterId>) -> Self {
        let streams = Wanted::These(streams.into_iter().collect());
        Self { streams, patience: Self::DEFAULT_PATIENCE }
    }

    /// Sets how long the records of the pipelines may be read. Defaults to 10 s.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    #[cfg_attr(not(any(feature = "sqlite", feature = "postgres")), allow(dead_code))]
    pub(super) const fn wanted(&self) -> &Wanted {
        &self.streams
    }
}

/// What the store holds of the streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Completeness {
    /// The streams, the one that was written to last first.
    pub streams: Vec<StreamReport>,
    /// How many streams there are.
    pub total: u64,
    /// Whether everything was read that tells of gaps and ends. False when there is too much of it for the
    /// time.
    pub complete: bool,
}

/// What the store holds of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamReport {
    /// The stream.
    pub writer_id: WriterId,
    /// The number of its first record; 1 in a stream that is whole.
    pub first_seq: i64,
    /// The number of its last record.
    pub last_seq: i64,
    /// How many numbers were committed.
    pub count: i64,
    /// How many entries of the ledger name them.
    pub entries: i64,
    /// At how many places the numbers do not go on; 0 in a stream that is whole.
    pub breaks: i64,
    /// The ledger's epoch at its first entry.
    pub first_epoch: i64,
    /// The ledger's epoch at its last entry.
    pub last_epoch: i64,
    /// When its first records were committed.
    pub began_at: Timestamp,
    /// When its last records were committed: it has been silent since.
    pub last_at: Timestamp,
    /// The service that wrote it, by its first record.
    pub service: Option<String>,
    /// The instance of that service.
    pub instance: Option<String>,
    /// The stream that this one went on from, when the store was found behind.
    pub continues: Option<WriterId>,
    /// How many gap records it holds.
    pub gap_records: u64,
    /// How many records they say are missing.
    pub missing: u64,
    /// The newest of the gap records, the newest first.
    pub gaps: Vec<GapReport>,
    /// How many numbers only a stub stands for: the records are in a quarantine file.
    pub stubs: u64,
    /// How it ended.
    pub end: StreamEnd,
}

impl StreamReport {
    /// Tells whether every number from 1 to the last was committed.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.first_seq == 1 && self.breaks == 0
    }

    /// Tells whether nothing is known to be missing: whole, without gaps and stubs, and not ended without a
    /// word, unless all that its process had written was found and stored. A stream that goes on is complete so far.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        let ended_well = matches!(
            self.end,
            StreamEnd::Open | StreamEnd::Stopped { .. } | StreamEnd::Recovered { .. }
        );
        self.is_whole() && self.gap_records == 0 && self.stubs == 0 && ended_well
    }
}

/// One gap record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GapReport {
    /// Its number in the stream.
    pub seq: i64,
    /// How many records are missing; `None` when nobody can know.
    pub count: Option<u64>,
    /// Why, as in `queue_full`.
    pub reason: String,
    /// When the first of them was lost, as far as that is known.
    pub first_at: Option<Timestamp>,
    /// When the last of them was lost.
    pub last_at: Option<Timestamp>,
    /// The other stream whose records are missing, if they are not of this one.
    pub of: Option<WriterId>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEnd {
    /// It has not, for all that is known: its process runs, or is silent.
    Open,
    /// In good order: its last record says so, and names its last number.
    Stopped {
        /// When.
        at: Timestamp,
    },
    /// Its process ended without a word, and all that it had written to its spool was stored afterwards.
    Recovered {
        /// The last sign of that process.
        at: Timestamp,
    },
    /// Its process ended without a word; what it had not stored is lost.
    Unclean {
        /// When that was found out.
        found_at: Timestamp,
        /// The stream whose process found it.
        found_by: WriterId,
    },
    /// The store was found behind it, or a part of its spool could not be read; it goes on as another stream.
    Continued {
        /// When.
        at: Timestamp,
        /// The other stream.
        by: WriterId,
        /// How many records of this one are gone.
        lost: u64,
    },
}
