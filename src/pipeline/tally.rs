//! The accounting: received = stored + spooled + queued + dropped, at every moment.
//!
//! A record is counted as received before it is offered to the queue, and as stored or dropped once that
//! is settled; `queued` is what is left. The increment of `received` happens before that of `stored` or
//! `dropped` for the same record (through the queue, or on the same thread), and a snapshot reads
//! dropped and stored first, received last: so what is left is never negative, whatever happens in
//! between. Where there is a spool, the same holds for what went into it, between the two.

use std::{
    fmt,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use super::{
    own,
    queue::{Apart, Lane},
};
use crate::{
    record::{Category, Record},
    time::Timestamp,
};

/// Why a record was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// There was no room in the queue.
    QueueFull,
    /// There was still no room in the queue at the end of the time that it may be waited for.
    Deadline,
    /// The pipeline had been shut down, or its writer had ended.
    Closed,
    /// It was in the queue when the deadline of the shutdown passed.
    Shutdown,
    /// There was no room in the spool, or too little on its disk.
    SpoolFull,
    /// The disk of the spool refused it, or did not answer.
    SpoolFailed,
    /// It was in the spool, and its disk did not keep it.
    SpoolDamaged,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::Deadline,
        Self::Closed,
        Self::Shutdown,
        Self::SpoolFull,
        Self::SpoolFailed,
        Self::SpoolDamaged,
    ];

    /// Returns the word that gap records and metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Deadline => "deadline",
            Self::Closed => "closed",
            Self::Shutdown => "shutdown",
            Self::SpoolFull => "spool_full",
            Self::SpoolFailed => "spool_failed",
            Self::SpoolDamaged => "spool_damaged",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::QueueFull => 0,
            Self::Deadline => 1,
            Self::Closed => 2,
            Self::Shutdown => 3,
            Self::SpoolFull => 4,
            Self::SpoolFailed => 5,
            Self::SpoolDamaged => 6,
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The number of records dropped, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped([u64; DropReason::ALL.len()]);

impl Dropped {
    /// Returns the number for one reason.
    #[must_use]
    pub const fn of(&self, reason: DropReason) -> u64 {
        self.0[reason.index()]
    }

    /// Returns the number for all reasons together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// A snapshot of the accounting.
///
/// `received == stored + spooled + queued + dropped.total()` holds in every snapshot. What the pipeline records
/// about itself (`own`), requests folded into one record, and drafts still open are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Tally {
    /// Records that the recorder was given.
    pub received: u64,
    /// Records that the store holds, the stubs of quarantined ones included.
    pub stored: u64,
    /// Records in the spool that are not known to be stored; 0 without a spool.
    pub spooled: u64,
    /// Records in the queue or in a batch that is not known to be stored, and those that are just being
    /// taken.
    pub queued: u64,
    /// Records that are lost.
    pub dropped: Dropped,
    /// Records of which the store holds only a stub.
    pub quarantined: u64,
    /// Refusals, and repeated looks at the log, that were folded into records with a count instead of
    /// being recorded singly.
    pub folded: u64,
    /// Gap records that the store holds.
    pub gaps: u64,
    /// Records of the pipeline about itself that the store holds, gap records included.
    pub own: u64,
    /// Drafts of requests that have not ended.
    pub open_drafts: u64,
    /// Times that the writer had to try again.
    pub retries: u64,
    /// Records that were about to be sent again, and that the store was found to hold: a commit whose answer
    /// never came.
    pub duplicates: u64,
    /// Records that earlier processes left in the spool, and that this one has stored; not received here.
    pub drained: u64,
    /// Records by hand that were refused for want of a required field: no records, hence not received.
    pub refused: u64,
}

/// The place of a category in the counters; they are kept small enough to be an array.
pub(super) const CATEGORIES: [Category; 5] = [
    Category::Activity,
    Category::Authentication,
    Category::Administration,
    Category::Consent,
    Category::System,
];

pub(super) const fn category_index(category: Category) -> usize {
    match category {
        Category::Activity => 0,
        Category::Authentication => 1,
        Category::Administration => 2,
        Category::Consent => 3,
        Category::System => 4,
    }
}

/// Losses of one reason, by category.
pub(super) type ByCategory = [u64; CATEGORIES.len()];

/// The counters behind the snapshots.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// On the request path, hence on a line of its own.
    received: Apart<AtomicU64>,
    open_drafts: Apart<AtomicI64>,
    stored: Apart<AtomicU64>,
    /// All that ever went into the spool.
    spooled: Apart<AtomicU64>,
    dropped: [[[AtomicU64; CATEGORIES.len()]; Lane::ALL.len()]; DropReason::ALL.len()],
    /// Microseconds of the first loss not yet reported and of the last one; 0 when there is none.
    first_loss: [AtomicI64; DropReason::ALL.len()],
    last_loss: [AtomicI64; DropReason::ALL.len()],
    quarantined: AtomicU64,
    folded: AtomicU64,
    gaps: AtomicU64,
    own: AtomicU64,
    retries: AtomicU64,
    duplicates: AtomicU64,
    drained: AtomicU64,
    refused: AtomicU64,
    /// Monotonic microseconds of the last warning about losses, plus one; 0 before the first.
    warned_at: AtomicU64,
    /// How many losses the last warning told of.
    warned_of: AtomicU64,
}

/// A loss is said aloud at once, then at most once in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);

impl Counters {
    /// Counts a record before it is offered to the queue.
    pub(super) fn receive(&self) {
        // The push that follows releases it to the writer.
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back a [`receive`](Self::receive): the record's owner goes on waiting for room.
    pub(super) fn unreceive(&self) {
        self.received.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a record that is in the spool, before anybody can read it there.
    pub(super) fn spool(&self) {
        self.spooled.fetch_add(1, Ordering::Release);
    }

    /// Takes back a [`spool`](Self::spool): the spool has not taken it.
    pub(super) fn unspool(&self) {
        self.spooled.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts records that are stored.
    pub(super) fn settle<'r>(&self, records: impl IntoIterator<Item = &'r Record>) {
        let (mut stored, mut own, mut gaps) = (0, 0, 0);
        for record in records {
            if own::is_own(record) {
                own += 1;
                gaps += u64::from(record.action == own::GAP);
            } else {
                stored += 1;
            }
        }
        self.stored.fetch_add(stored, Ordering::Release);
        self.own.fetch_add(own, Ordering::Relaxed);
        self.gaps.fetch_add(gaps, Ordering::Relaxed);
    }

    /// Counts records of earlier processes that are stored.
    pub(super) fn drain(&self, records: u64) {
        self.drained.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn quarantine(&self) {
        self.quarantined.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fold(&self) {
        self.folded.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts records that the store was found to hold before they were sent again.
    pub(super) fn duplicate(&self, records: u64) {
        self.duplicates.fetch_add(records, Ordering::Relaxed);
    }

    /// Counts a refusal; the first one is said aloud, since few callers look at the answer.
    pub(super) fn refuse(&self, field: &'static str) {
        if self.refused.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(field, "an activity record was refused: a required field is empty");
        }
    }

    pub(super) fn open_draft(&self) {
        self.open_drafts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn close_draft(&self) {
        self.open_drafts.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a received record as lost, and says so aloud from time to time.
    pub(super) fn drop_record(
        &self,
        reason: DropReason,
        lane: Lane,
        category: Category,
        now: Timestamp,
        monotonic: Duration,
    ) {
        let index = reason.index();
        // The times before the count: whoever sees the count finds the times.
        let at = now.as_micros().max(1);
        self.last_loss[index].store(at, Ordering::Relaxed);
        let _kept_if_set =
            self.first_loss[index].compare_exchange(0, at, Ordering::Relaxed, Ordering::Relaxed);
        self.dropped[index][lane.index()][category_index(category)].fetch_add(1, Ordering::Release);
        self.warn(reason, monotonic);
    }

    /// Counts records as lost that the disk of the spool has not kept: of which kind, nobody knows.
    pub(super) fn drop_unseen(&self, count: u64, now: Timestamp, monotonic: Duration) {
        let index = DropReason::SpoolDamaged.index();
        self.last_loss[index].store(now.as_micros().max(1), Ordering::Relaxed);
        self.dropped[index][Lane::General.index()][category_index(Category::System)]
            .fetch_add(count, Ordering::Release);
        if count > 0 {
            self.warn(DropReason::SpoolDamaged, monotonic);
        }
    }

    fn warn(&self, reason: DropReason, monotonic: Duration) {
        let now = u64::try_from(monotonic.as_micros()).unwrap_or(u64::MAX - 1).saturating_add(1);
        let last = self.warned_at.load(Ordering::Relaxed);
        let every = u64::try_from(WARN_EVERY.as_micros()).unwrap_or(u64::MAX);
        if last != 0 && now.saturating_sub(last) < every {
            return;
        }
        // One of those who come here at the same time speaks.
        if self.warned_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            let dropped = self.snapshot().dropped.total();
            self.warned_of.fetch_max(dropped, Ordering::Relaxed);
            tracing::warn!(dropped, %reason, "activity records are being dropped");
        }
    }

    /// Returns when it is time to say aloud how many were lost since the last warning, if any were: no loss may follow
    /// that would.
    pub(super) fn warning_due(&self) -> Option<Duration> {
        let last = self.warned_at.load(Ordering::Relaxed).checked_sub(1)?;
        let is_unsaid = self.snapshot().dropped.total() > self.warned_of.load(Ordering::Relaxed);
        is_unsaid.then(|| Duration::from_micros(last).saturating_add(WARN_EVERY))
    }

    /// Says aloud what was lost since the last warning, once it is time, or because nobody will later.
    pub(super) fn warn_of_rest(&self, monotonic: Duration, ending: bool) {
        if self.warning_due().is_some_and(|due| ending || due <= monotonic) {
            let newest = DropReason::ALL
                .into_iter()
                .max_by_key(|reason| self.last_loss[reason.index()].load(Ordering::Relaxed));
            if ending {
                // Whenever the last warning was.
                self.warned_at.store(0, Ordering::Relaxed);
            }
            self.warn(newest.unwrap_or(DropReason::Closed), monotonic);
        }
    }

    /// Returns the losses of one reason so far.
    pub(super) fn losses(&self, reason: DropReason) -> ByCategory {
        let lanes = Lane::ALL.map(|lane| self.losses_in(reason, lane));
        std::array::from_fn(|category| lanes.iter().map(|lane| lane[category]).sum())
    }

    /// Returns the losses of one reason in one lane so far.
    pub(super) fn losses_in(&self, reason: DropReason, lane: Lane) -> ByCategory {
        let counts = &self.dropped[reason.index()][lane.index()];
        std::array::from_fn(|category| counts[category].load(Ordering::Acquire))
    }

    /// Returns when a record was last lost.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "told by the interface"))]
    pub(super) fn last_loss(&self) -> Option<Timestamp> {
        let last = self.last_loss.iter().map(|at| at.load(Ordering::Relaxed)).max();
        last.filter(|at| *at > 0).map(Timestamp::from_micros)
    }

    /// Takes the times of the first and the last loss since the last call.
    pub(super) fn take_loss_times(&self, reason: DropReason) -> (Timestamp, Timestamp) {
        let index = reason.index();
        let last = self.last_loss[index].load(Ordering::Relaxed);
        let first = match self.first_loss[index].swap(0, Ordering::Relaxed) {
            0 => last,
            first => first,
        };
        (Timestamp::from_micros(first.min(last)), Timestamp::from_micros(last))
    }

    /// Returns what holds now.
    pub(super) fn snapshot(&self) -> Tally {
        let dropped = Dropped(DropReason::ALL.map(|reason| self.losses(reason).iter().sum()));
        let stored = self.stored.load(Ordering::Acquire);
        let spooled = self.spooled.load(Ordering::Acquire);
        let gone = stored + dropped.of(DropReason::SpoolDamaged);
        let spooled = spooled.saturating_sub(gone);
        // Last, see the head of this file.
        let received = self.received.load(Ordering::Relaxed);
        Tally {
            received,
            stored,
            spooled,
            queued: received.saturating_sub(stored + spooled + dropped.total()),
            dropped,
            quarantined: self.quarantined.load(Ordering::Relaxed),
            folded: self.folded.load(Ordering::Relaxed),
            gaps: self.gaps.load(Ordering::Relaxed),
            own: self.own.load(Ordering::Relaxed),
            open_drafts: u64::try_from(self.open_drafts.load(Ordering::Relaxed)).unwrap_or(0),
            retries: self.retries.load(Ordering::Relaxed),
            duplicates: self.duplicates.load(Ordering::Relaxed),
            drained: self.drained.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
