//! What recorders, writer and pipeline share.

use std::{
    fmt,
    sync::{
        Arc, Once,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, time::Instant};

use super::{
    ends::Ends,
    erasure::Arrivals,
    feed::Feed,
    fold::{self, Fold, Folds},
    outbox::Outboxes,
    own::Author,
    pool::Pool,
    queue::{Lane, Queue, Refused},
    receipts::{Fate, Receipts},
    recorder::Admission,
    retention::Policies,
    settings::Overflow,
    spooling::{self, Spooling},
    tally::{CATEGORIES, Counters, DropReason},
    watch::Watched,
};
use crate::{
    privacy::{AddressPolicy, KeySet, Keys, Redactor},
    record::{Record, Text, WriterId},
    rules::{CompiledRules, Delivery},
    store::Archival,
    time::{Clock, IdSource},
};

/// What every record is given that does not say it itself.
#[derive(Debug, Default)]
pub(super) struct Origins {
    pub(super) service: Text,
    pub(super) instance: Text,
    pub(super) environment: Text,
}

/// What may be kept.
#[derive(Debug)]
pub(super) struct Privacy {
    pub(super) redactor: Redactor,
    /// Keys that the rules add to those of the redactor.
    pub(super) extra_keys: KeySet,
    pub(super) keys: Option<Keys>,
    /// By category, in the order of [`CATEGORIES`](super::tally::CATEGORIES).
    pub(super) addresses: [AddressPolicy; CATEGORIES.len()],
}

pub(super) struct Core {
    pub(super) rules: CompiledRules,
    pub(super) privacy: Privacy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) origins: Origins,
    pub(super) author: Author,
    pub(super) overflow: Overflow,
    /// How long a call to the store may take.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the interface"))]
    pub(super) call_deadline: Duration,
    /// Of requests whose rule names none.
    pub(super) delivery: Delivery,
    /// How long a strict request waits for the disk.
    pub(super) strict_deadline: Duration,
    pub(super) queue: Queue,
    /// Where records go instead of the queue, if there is a folder.
    pub(super) spooling: Option<Spooling>,
    pub(super) pool: Pool,
    pub(super) counters: Counters,
    pub(super) feed: Feed,
    pub(super) outboxes: Outboxes,
    pub(super) receipts: Receipts,
    pub(super) folds: Folds,
    pub(super) watched: Watched,
    /// Ends of other streams that are to be told of.
    pub(super) ends: Ends,
    /// Who was erased, and what arrives of them.
    pub(super) erased: Arrivals,
    pub(super) waiting: Waiting,
    /// How long what is kept.
    pub(super) policies: Arc<Policies>,
    /// Where what is taken out is kept from then on.
    pub(super) archive: Option<Arc<dyn Archival>>,
    /// The runtime that the writer runs on.
    pub(super) runtime: Handle,
    /// Changes with each commit; true once the writer has ended, after which there is none.
    pub(super) committed: watch::Sender<bool>,
    /// Whether somebody folds rollups already.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the interface"))]
    pub(super) folding: Once,
    /// Whether somebody signs the ledger's heads already.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the interface"))]
    pub(super) signing: Once,
    /// When the writer has to end, once somebody has asked for it.
    pub(super) stop: watch::Sender<Option<Instant>>,
    /// Becomes true when whoever listens has to go.
    pub(super) hung_up: watch::Sender<bool>,
}

/// Which stream the writer numbers, and since when something waits for the store.
#[derive(Debug)]
pub(super) struct Waiting {
    /// 0 before the first batch.
    stream: AtomicI64,
    /// Monotonic microseconds; `MAX` while nothing waits.
    since: AtomicU64,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { stream: AtomicI64::new(0), since: AtomicU64::new(u64::MAX) }
    }
}

#[cfg_attr(not(feature = "api"), allow(dead_code, reason = "told by the interface"))]
impl Waiting {
    /// Notes that something waits; of several calls the first counts.
    pub(super) fn begin(&self, stream: WriterId, now: Duration) {
        self.stream.store(stream.get(), Ordering::Relaxed);
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX - 1);
        self.since.fetch_min(now, Ordering::Relaxed);
    }

    /// Notes that all of it is stored.
    pub(super) fn end(&self) {
        self.since.store(u64::MAX, Ordering::Relaxed);
    }

    pub(super) fn lag(&self, now: Duration) -> Option<(WriterId, Duration)> {
        let stream = self.stream.load(Ordering::Relaxed);
        let lag = match self.since.load(Ordering::Relaxed) {
            u64::MAX => Duration::ZERO,
            since => now.saturating_sub(Duration::from_micros(since)),
        };
        (stream != 0).then(|| (WriterId::new(stream), lag))
    }
}

impl Core {
    /// Offers a finished record to the queue once, and counts what becomes of it.
    ///
    /// Everything that is recorded comes by here, prepared; where there is a spool, it goes there.
    pub(super) fn offer(&self, record: Box<Record>, bytes: u32, lane: Lane) -> Admission {
        let id = record.id;
        self.counters.receive();
        if let Some(spooling) = &self.spooling {
            return match self.spool(spooling, record, lane, None) {
                Ok((id, _)) => Admission::Accepted(id),
                Err((record, refused)) => self.lose(record, spooling::reason(refused)),
            };
        }
        match self.queue.push(lane, record, bytes) {
            Ok(()) => Admission::Accepted(id),
            Err(Refused::Full(record)) => self.lose(record, DropReason::QueueFull),
            Err(Refused::Closed(record)) => self.lose(record, DropReason::Closed),
        }
    }

    /// Counts a refusal of nobody in particular instead of recording it, when there are many.
    pub(super) fn fold(&self, record: &Record) -> bool {
        if !fold::is_anonymous_refusal(record) {
            return false;
        }
        match self.folds.count(record, self.clock.now(), self.clock.monotonic()) {
            Fold::Singly => false,
            Fold::Counted { first } => {
                self.counters.fold();
                if first {
                    self.queue.nudge();
                }
                true
            }
        }
    }

    /// Counts a received record as lost.
    pub(super) fn lose(&self, record: Box<Record>, reason: DropReason) -> Admission {
        self.receipts.tell([&*record], Fate::Lost);
        self.counters.drop_record(
            reason,
            Lane::of(&record),
            record.category,
            self.clock.now(),
            self.clock.monotonic(),
        );
        self.pool.put(record);
        if let Some(spooling) = &self.spooling
            && reason != DropReason::Closed
        {
            self.begin_gap(spooling, reason);
        }
        // The writer writes a gap record about it, and has to be awake for that.
        self.queue.nudge();
        Admission::Dropped(reason)
    }

    /// Returns when, by the clock, there is next something to say of what was counted and not recorded singly.
    pub(super) fn clock_due(&self) -> Option<Duration> {
        let dues = [self.folds.due_at(), self.watched.due_at(), self.counters.warning_due()];
        dues.into_iter().flatten().min()
    }

    /// Closes the door. Those who wait for room come again at once, and are refused.
    pub(super) fn close(&self) {
        self.queue.close();
        if let Some(spooling) = &self.spooling {
            spooling.spool.room().notify_waiters();
        }
    }

    /// Asks the writer to drain and end by `deadline`; of several deadlines the earliest holds.
    pub(super) fn ask_to_stop(&self, deadline: Instant) {
        self.close();
        self.hung_up.send_replace(true);
        self.stop.send_modify(|stop| *stop = Some(stop.map_or(deadline, |at| at.min(deadline))));
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("queued", &self.queue.len())
            .field("tally", &self.counters.snapshot())
            .finish_non_exhaustive()
    }
}

/// The moment `after` from now, or one so far ahead that it makes no difference.
pub(super) fn deadline_in(after: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    Instant::now() + after.min(FAR)
}
