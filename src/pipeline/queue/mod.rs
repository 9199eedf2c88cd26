//! The queue between the request path and the writer: lock-free, bounded by count and by bytes, with a
//! lane of its own for what security depends on.
//!
//! # One word
//!
//! `held` packs everything that admission decides by into one word, so that one compare-and-swap
//! decides: bit 63 says closed, bits 40–62 count the records in the lanes, bits 0–39 count bytes.
//! A producer reserves there first and pushes second; hence a lane never overflows, a record is never in
//! a lane without being counted, and after `close` the count only falls, so that it tells the writer
//! exactly how many are still to come. The count is given back when a record leaves its lane, the bytes
//! when it has been settled: a batch in flight occupies memory too.
//!
//! # Waking the writer
//!
//! Waking a task on another core is the largest cost on the request path, so it happens once per burst:
//!
//! ```text
//! producer                              writer, nothing seen for a while
//! P1  reserve in held      (SeqCst)     W1  armed = false       (SeqCst)
//! P2  push into the lane                W2  read held           (SeqCst)
//! P3  read armed           (SeqCst)     W3  count > 0: armed = true, go on
//! P4  false: swap(true), first one          count = 0: park
//!     notifies
//! ```
//!
//! The four operations on `held` and `armed` have one total order. If P3 reads `true` from before W1,
//! then P1 comes before W1 and so before W2, which sees the reservation: the writer does not park. If
//! P3 comes after W1, it reads `false` and P4 notifies; `Notify` keeps one permit, so it makes no
//! difference whether the writer has parked yet. Either way nothing is left lying. While `armed` is set
//! the writer looks by itself every millisecond; a producer that brings the count up to the threshold
//! notifies in between.

use std::{ops::Deref, sync::Arc};

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use super::threads::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use crate::record::Record;

const CLOSED: u64 = 1 << 63;
const ONE: u64 = 1 << 40;
const BYTES: u64 = ONE - 1;

/// The most records that the packed word can count.
pub(super) const MAX_COUNT: usize = (1 << 23) - 1;
/// The most bytes that the packed word can count, with room for a record on top.
pub(super) const MAX_BYTES: usize = 1 << 39;

/// One part in so many of the queue is reserved for the security lane.
const RESERVED_PART: usize = 8;

/// Which lane a record takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    General,
    Security,
}

impl Lane {
    /// Every lane.
    pub(super) const ALL: [Self; 2] = [Self::General, Self::Security];

    /// Returns the word that metrics use.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "for metrics"))]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Security => "security",
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::General => 0,
            Self::Security => 1,
        }
    }
}

/// A record in a lane, with the bytes that were reserved for it.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) record: Box<Record>,
    pub(super) bytes: u32,
}

/// Why a record was not taken; it comes back.
#[derive(Debug)]
pub(super) enum Refused {
    Full(Box<Record>),
    Closed(Box<Record>),
}

/// A value on cache lines of its own, so that neighbours do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    count: u64,
    bytes: u64,
}

#[derive(Debug)]
pub(super) struct Queue {
    general: ArrayQueue<Queued>,
    security: ArrayQueue<Queued>,
    held: Apart<AtomicU64>,
    armed: Apart<AtomicBool>,
    /// What the general lane may fill, of everything.
    general_limit: Limit,
    limit: Limit,
    /// A producer that brings the count up to this wakes the writer between two ticks.
    threshold: u64,
    wake: Notify,
    /// Wakes those who wait for room.
    room: Arc<Notify>,
}

impl Queue {
    /// Makes a queue; the builder has checked that `count` and `bytes` fit the packed word.
    pub(super) fn new(count: usize, bytes: usize, threshold: usize) -> Self {
        let limit = Limit { count: count as u64, bytes: bytes as u64 };
        let general_limit = Limit {
            count: (count - count.div_ceil(RESERVED_PART)) as u64,
            bytes: (bytes - bytes / RESERVED_PART) as u64,
        };
        Self {
            // Each lane could hold everything: only `held` says what is too much.
            general: ArrayQueue::new(count),
            security: ArrayQueue::new(count),
            held: Apart::default(),
            armed: Apart::default(),
            general_limit,
            limit,
            threshold: threshold as u64,
            wake: Notify::new(),
            room: Arc::new(Notify::new()),
        }
    }

    /// Takes a record unless there is no room for it or the queue is closed. Never waits.
    pub(super) fn push(&self, lane: Lane, record: Box<Record>, bytes: u32) -> Result<(), Refused> {
        let limit = match lane {
            Lane::General => self.general_limit,
            Lane::Security => self.limit,
        };
        self.push_within(limit, lane, record, bytes)
    }

    /// As [`push`](Self::push), for what can wait outside: takes it only while the general lane would be
    /// half empty, whatever its own lane is. One record of any size is taken when there is nothing else.
    #[cfg(feature = "api")]
    pub(super) fn push_politely(
        &self,
        lane: Lane,
        record: Box<Record>,
        bytes: u32,
    ) -> Result<(), Refused> {
        let Limit { count, bytes: most } = self.general_limit;
        let half = Limit { count: (count / 2).max(1), bytes: (most / 2).max(u64::from(bytes)) };
        self.push_within(half, lane, record, bytes)
    }

    fn push_within(
        &self,
        limit: Limit,
        lane: Lane,
        record: Box<Record>,
        bytes: u32,
    ) -> Result<(), Refused> {
        let size = u64::from(bytes);
        let mut held = self.held.load(Ordering::Relaxed);
        let before = loop {
            if held & CLOSED != 0 {
                return Err(Refused::Closed(record));
            }
            let count = held / ONE;
            if count >= limit.count || (held & BYTES) + size > limit.bytes {
                return Err(Refused::Full(record));
            }
            // P1. Also the release side of everything that was counted about the record before.
            match self.held.compare_exchange_weak(
                held,
                held + ONE + size,
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                Ok(_) => break count,
                Err(now) => held = now,
            }
        };
        let queue = match lane {
            Lane::General => &self.general,
            Lane::Security => &self.security,
        };
        if let Err(Queued { record, bytes }) = queue.push(Queued { record, bytes }) {
            // Not reached: the lane is as long as the count may become.
            self.held.fetch_sub(ONE + u64::from(bytes), Ordering::SeqCst);
            return Err(Refused::Full(record));
        }
        if before + 1 == self.threshold {
            self.armed.store(true, Ordering::SeqCst);
            self.wake.notify_one();
        } else {
            self.wake_once();
        }
        Ok(())
    }

    /// Keeps the door from being closed behind the back of whoever writes elsewhere than into the lanes;
    /// false when it is closed. Ends with [`leave`](Self::leave).
    pub(super) fn enter(&self) -> bool {
        let mut held = self.held.load(Ordering::Relaxed);
        loop {
            if held & CLOSED != 0 {
                return false;
            }
            match self.held.compare_exchange_weak(
                held,
                held + ONE,
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => held = now,
            }
        }
    }

    /// Ends what [`enter`](Self::enter) began.
    pub(super) fn leave(&self) {
        self.held.fetch_sub(ONE, Ordering::SeqCst);
    }

    /// Wakes the writer unless it is awake, for something that is not in the lanes.
    ///
    /// The fence stands where P1 does in the protocol: what was written before it is seen by a writer
    /// that this call does not wake.
    pub(super) fn nudge(&self) {
        fence(Ordering::SeqCst);
        self.wake_once();
    }

    fn wake_once(&self) {
        if !self.armed.load(Ordering::SeqCst) && !self.armed.swap(true, Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    /// Takes the next record, the security lane first. Only the writer calls it.
    pub(super) fn pop(&self) -> Option<(Lane, Queued)> {
        let security = self.security.pop().map(|queued| (Lane::Security, queued));
        let popped =
            security.or_else(|| self.general.pop().map(|queued| (Lane::General, queued)))?;
        self.held.fetch_sub(ONE, Ordering::SeqCst);
        Some(popped)
    }

    /// Gives back the bytes of records that have been settled, and wakes those who wait for room.
    pub(super) fn release(&self, bytes: u64) {
        if bytes > 0 {
            self.held.fetch_sub(bytes, Ordering::SeqCst);
        }
        self.room.notify_waiters();
    }

    /// Returns the number of records in the lanes, those included that are just being pushed.
    pub(super) fn len(&self) -> usize {
        let count = (self.held.load(Ordering::SeqCst) & !CLOSED) / ONE;
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Returns the bytes of everything that has not been settled.
    #[cfg_attr(not(any(test, feature = "metrics")), allow(dead_code, reason = "for metrics"))]
    pub(super) fn bytes(&self) -> u64 {
        self.held.load(Ordering::SeqCst) & BYTES
    }

    /// Returns how full it is for ordinary records, by count or by bytes, whichever is worse: 0 to 1.
    #[cfg(feature = "api")]
    // Both are far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn share(&self) -> f64 {
        let held = self.held.load(Ordering::SeqCst) & !CLOSED;
        let count = (held / ONE) as f64 / self.general_limit.count.max(1) as f64;
        let bytes = (held & BYTES) as f64 / self.general_limit.bytes.max(1) as f64;
        count.max(bytes).min(1.0)
    }

    /// Tells whether `bytes` are so much of the budget that what they belong to should not go on
    /// waiting for company: nothing else can be taken meanwhile.
    pub(super) const fn is_mostly(&self, bytes: u64) -> bool {
        bytes >= self.general_limit.bytes / 2
    }

    /// Returns how many records lie in each lane: security, general.
    pub(super) fn lane_lens(&self) -> (usize, usize) {
        (self.security.len(), self.general.len())
    }

    /// Closes the door: every later push is refused.
    pub(super) fn close(&self) {
        self.held.fetch_or(CLOSED, Ordering::SeqCst);
        self.wake.notify_one();
        self.room.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.held.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Before parking: lets the next producer wake the writer (W1). The caller looks once more at all
    /// that could keep it busy (W2) and calls [`rearm`](Self::rearm) if there is something.
    pub(super) fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
        // What is looked at next may be a counter with a weaker ordering, see `nudge`.
        fence(Ordering::SeqCst);
    }

    /// The writer is awake: producers need not wake it (W3).
    pub(super) fn rearm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Returns when a producer woke the writer.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Returns what is notified whenever there may be room again.
    pub(super) fn room(&self) -> Arc<Notify> {
        Arc::clone(&self.room)
    }
}

super::threads::here_alone! {
    #[cfg(test)]
    mod tests;
}
// Never compiled; by it, rustfmt finds the file.
#[cfg(any())]
mod tests;
