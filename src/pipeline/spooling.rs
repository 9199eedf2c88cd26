//! The way into the spool, on the thread that records.
//!
//! A record is encoded into a buffer of the thread, appended, and goes back to the pool: what waits for the
//! store waits on the disk. The queue holds nothing then, but its door stays the pipeline's door: whoever
//! appends has entered there, so that after it was closed nothing is written behind the last record.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fmt,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "api")]
use super::recorder::SpoolPressure;
use super::{
    burst::Burst,
    core::Core,
    own,
    queue::Lane,
    spool::{Appended, Begun, Mark, OpenNumber, Refused, Share, Spool},
    tally::DropReason,
    unended::Unended,
};
#[cfg(feature = "api")]
use crate::record::WriterId;
use crate::{
    record::{Record, RecordId},
    time::Timestamp,
};

/// Buffers above this many bytes are given back: ordinary records are far smaller.
const KEPT_CAPACITY: usize = 64 * 1024;

/// A gap a minute, and what is folded: weeks of a store that is away. What is forgotten counts as everybody's.
const MOST_OWN: usize = 1 << 16;

/// Ordinary records may fill seven eighths.
#[cfg(feature = "api")]
const GENERAL: f64 = 8.0 / 7.0;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The spool, with what this process has put into it.
pub(super) struct Spooling {
    pub(super) spool: Spool,
    /// Whether durable records wait for the disk.
    pub(super) syncs_each: bool,
    /// What was lost and is not told of yet.
    pub(super) burst: Burst,
    /// Ends that found no room.
    pub(super) unended: Unended,
    /// The numbers of records of the pipeline about itself that are not known to be stored.
    own: Mutex<BTreeSet<i64>>,
    /// Up to here, numbers are settled.
    settled: AtomicI64,
    /// The number of the last record.
    last: AtomicI64,
}

impl Spooling {
    pub(super) fn new(spool: Spool, syncs_each: bool) -> Self {
        Self {
            spool,
            syncs_each,
            burst: Burst::default(),
            unended: Unended::default(),
            own: Mutex::default(),
            settled: AtomicI64::new(0),
            last: AtomicI64::new(0),
        }
    }

    /// Takes note that every number up to this one is settled.
    pub(super) fn note_settled(&self, number: i64) {
        self.settled.fetch_max(number, Ordering::Relaxed);
    }

    /// Returns how many records of the pipeline about itself have these numbers, of those that are not settled.
    pub(super) fn own_among(&self, numbers: Range<i64>) -> u64 {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if numbers.is_empty() { 0 } else { own.range(numbers).count() as u64 }
    }

    /// Writes a record of the pipeline about itself. It is in no tally, also when it is lost with the disk.
    fn append_own(
        &self,
        ends: Option<OpenNumber>,
        at: Timestamp,
        record: &Record,
    ) -> Result<Appended, Refused> {
        // Until its number is noted, nobody who finds it missing asks whose it was.
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = self.append(Share::Own, ends, at, record)?;
        let settled = self.settled.load(Ordering::Relaxed);
        own.retain(|number| *number > settled);
        if own.len() >= MOST_OWN {
            own.pop_first();
        }
        own.insert(appended.number);
        Ok(appended)
    }

    /// Returns the number of the last record that was taken.
    pub(super) fn last(&self) -> i64 {
        self.last.load(Ordering::SeqCst)
    }

    /// Returns how full the spool is for ordinary records: 0 to 1.
    #[cfg(feature = "api")]
    // Both are far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn share(&self) -> f64 {
        let status = self.spool.status();
        if status.is_stuck || status.is_below_floor {
            return 1.0;
        }
        (status.bytes as f64 / status.cap.max(1) as f64 * GENERAL).min(1.0)
    }

    #[cfg(feature = "api")]
    pub(super) fn pressure(&self, now: Timestamp) -> SpoolPressure {
        let status = self.spool.status();
        SpoolPressure {
            bytes: status.bytes,
            kept: status.kept,
            cap: status.cap,
            oldest: status.oldest.map(|at| age(at, now)),
            quarantined: status.quarantined,
            failed_syncs: status.poisoned,
            is_stuck: status.is_stuck,
            is_below_floor: status.is_below_floor,
        }
    }

    /// Returns the stream of this process, and how long the oldest record has waited that is not stored.
    #[cfg(feature = "api")]
    pub(super) fn lag(&self, now: Timestamp) -> (WriterId, Duration) {
        let oldest = self.spool.status().own_oldest;
        (self.spool.writer_id(), oldest.map_or(Duration::ZERO, |at| age(at, now)))
    }

    /// Tells whether what can wait outside should.
    #[cfg(feature = "api")]
    pub(super) fn is_half_full(&self) -> bool {
        self.share() >= 0.5
    }

    /// Writes a prepared record, with the open that it ends.
    pub(super) fn append(
        &self,
        share: Share,
        ends: Option<OpenNumber>,
        at: Timestamp,
        record: &Record,
    ) -> Result<Appended, Refused> {
        encoded(record, |bytes| {
            let append = || self.spool.append(share, ends, at, bytes);
            // A disk that failed once has a new segment by the next time.
            let appended = match append() {
                Err(Refused::Failed) => append(),
                appended => appended,
            }?;
            self.last.fetch_max(appended.number, Ordering::SeqCst);
            Ok(appended)
        })
    }

    /// Writes bytes that are no record.
    #[cfg(all(test, unix))]
    pub(super) fn append_bytes(
        &self,
        share: Share,
        at: Timestamp,
        bytes: &[u8],
    ) -> Result<Appended, Refused> {
        let appended = self.spool.append(share, None, at, bytes)?;
        self.last.fetch_max(appended.number, Ordering::SeqCst);
        Ok(appended)
    }

    /// Writes what is known of a record that has only begun.
    pub(super) fn begin(
        &self,
        share: Share,
        at: Timestamp,
        snapshot: &Record,
    ) -> Result<Begun, Refused> {
        encoded(snapshot, |bytes| self.spool.begin(share, at, bytes))
    }

    /// Writes what is known by now of a record that has begun.
    pub(super) fn renew(
        &self,
        share: Share,
        open: OpenNumber,
        at: Timestamp,
        snapshot: &Record,
    ) -> Result<Mark, Refused> {
        encoded(snapshot, |bytes| self.spool.renew(share, open, at, bytes))
    }
}

impl fmt::Debug for Spooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spooling").field("spool", &self.spool).finish_non_exhaustive()
    }
}

#[cfg_attr(
    not(any(feature = "api", feature = "metrics")),
    allow(dead_code, reason = "for the interface and the meters")
)]
pub(super) fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(now.as_micros() - at.as_micros()).unwrap_or(0))
}

/// Shows the bytes of a record to `write`.
fn encoded<T>(record: &Record, write: impl FnOnce(&[u8]) -> T) -> T {
    // A thread that is ending has no buffer any more.
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    record.to_portable(&mut buffer);
    let written = write(&buffer);
    if buffer.capacity() <= KEPT_CAPACITY {
        let _ending = BUFFER.try_with(|kept| kept.set(buffer));
    }
    written
}

/// Which share of the spool a record may take.
pub(super) fn share(record: &Record, lane: Lane) -> Share {
    match lane {
        _ if own::is_own(record) => Share::Own,
        Lane::Security => Share::Security,
        Lane::General => Share::General,
    }
}

/// Returns what a refusal is counted as.
pub(super) const fn reason(refused: Refused) -> DropReason {
    match refused {
        Refused::Full | Refused::NoSpace => DropReason::SpoolFull,
        Refused::Stuck | Refused::Failed | Refused::TooLong => DropReason::SpoolFailed,
        Refused::Closed => DropReason::Closed,
    }
}

impl Core {
    /// Takes note whether the store answers: while it does not, what it had is not removed from the spool.
    pub(super) fn set_away(&self, is_away: bool) {
        if let Some(spooling) = &self.spooling {
            spooling.spool.set_away(is_away);
        }
    }

    /// Writes a prepared record that was counted as received into the spool, and counts that.
    pub(super) fn spool(
        &self,
        spooling: &Spooling,
        record: Box<Record>,
        lane: Lane,
        ends: Option<OpenNumber>,
    ) -> Result<(RecordId, Mark), (Box<Record>, Refused)> {
        if !self.queue.enter() {
            return Err((record, Refused::Closed));
        }
        let share = share(&record, lane);
        // Before: whoever reads it there may have stored it a moment later.
        self.counters.spool();
        let appended = spooling.append(share, ends, self.clock.now(), &record);
        match appended {
            Ok(Appended { mark, .. }) => {
                self.queue.leave();
                let id = record.id;
                self.pool.put(record);
                Ok((id, mark))
            }
            Err(refused) => {
                self.counters.unspool();
                self.queue.leave();
                Err((record, refused))
            }
        }
    }

    /// Writes a record of the pipeline about itself into the spool; it comes back when there is no room.
    pub(super) fn spool_own(
        &self,
        spooling: &Spooling,
        record: Box<Record>,
    ) -> Result<i64, Box<Record>> {
        self.spool_own_ending(spooling, record, None)
    }

    /// The same for one that ends what was begun.
    pub(super) fn spool_own_ending(
        &self,
        spooling: &Spooling,
        record: Box<Record>,
        ends: Option<OpenNumber>,
    ) -> Result<i64, Box<Record>> {
        let is_own = own::is_own(&record);
        if !is_own {
            self.counters.spool();
        }
        let now = self.clock.now();
        let appended = if is_own {
            spooling.append_own(ends, now, &record)
        } else {
            spooling.append(Share::Own, ends, now, &record)
        };
        match appended {
            Ok(Appended { number, .. }) => {
                self.pool.put(record);
                Ok(number)
            }
            Err(_refused) => {
                if !is_own {
                    self.counters.unspool();
                }
                Err(record)
            }
        }
    }
}
