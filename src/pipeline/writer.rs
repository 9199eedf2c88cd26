//! The writer: one task that takes records out of the queue, closes batches, numbers them and sees them
//! into the store.
//!
//! Records are numbered when their batch closes, and nothing is dropped after that but by the deadline of
//! a shutdown. While the store is away the writer holds one batch and leaves the rest in the queue, whose
//! bounds then decide.
//!
//! Ages and waits are measured in the runtime's time, since its timers are what ends them; the record's
//! own times come from the clock.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    admit,
    batcher::{Batcher, Limits},
    builder::Retention,
    classes::Classes,
    core::Core,
    gap::Gaps,
    link::{Link, Stopped},
    meters,
    number::{self, Numbering},
    own,
    pipeline::Handle,
    queue::Lane,
    settle::Settler,
    source::Source,
    tally::DropReason,
};
use crate::{record::Record, store::Append};

/// While there is work, the writer looks into the queue this often instead of being woken.
const TICK: Duration = Duration::from_millis(1);
/// After so long without work it waits to be woken.
const IDLE: Duration = Duration::from_millis(100);

/// Sealing costs about a microsecond: this many keep a request waiting for less than it would notice.
const SEALED_AT_ONCE: usize = 256;

/// What the builder says about the writer.
pub(super) struct Setup {
    pub(super) batch: Limits,
    pub(super) call_deadline: Duration,
    pub(super) retention: Option<Retention>,
    pub(super) quarantine: Option<PathBuf>,
    pub(super) config_digest: String,
    /// Whether what a spool sends next is read while the store works.
    pub(super) reads_ahead: bool,
}

pub(super) struct Writer<S: Append> {
    core: Arc<Core>,
    settler: Settler<S>,
    source: Numbered,
    batcher: Batcher<Box<Record>>,
    /// Bytes of the queue's budget that batcher and batch occupy.
    charged: u64,
    gaps: Gaps,
    /// Records taken out of each lane so far: security, general.
    taken: (u64, u64),
    flushes: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    waiting: Vec<Waiting>,
    stop: watch::Receiver<Option<Instant>>,
    ended: watch::Sender<bool>,
    begun: Instant,
    /// When the queue last held something.
    busy_at: Duration,
    config_digest: String,
}

/// A flush that is answered once so many have been taken out of the lanes, and settled.
struct Waiting {
    security: u64,
    general: u64,
    reply: oneshot::Sender<()>,
}

impl<S: Append> Writer<S> {
    pub(super) fn new(store: S, core: Arc<Core>, setup: Setup) -> (Self, Handle) {
        let (flush, flushes) = mpsc::unbounded_channel();
        let (ended, has_ended) = watch::channel(false);
        let stop = core.stop.subscribe();
        let writer = Self {
            settler: Settler::new(
                Arc::clone(&core),
                Link::new(store, stop.clone(), setup.call_deadline),
                setup.quarantine,
            ),
            source: Numbered { numbering: Numbering::new(Classes(setup.retention)) },
            batcher: Batcher::new(setup.batch),
            charged: 0,
            gaps: Gaps::default(),
            taken: (0, 0),
            flushes,
            waiting: Vec::new(),
            stop,
            ended,
            begun: Instant::now(),
            busy_at: Duration::ZERO,
            config_digest: setup.config_digest,
            core,
        };
        (writer, Handle { flushes: flush, ended: has_ended })
    }

    /// Works until the queue is closed and drained, or the deadline of the shutdown passes. What is then
    /// left is counted in `drop`, as it is when the task ends in any other way.
    pub(super) async fn run(mut self) {
        // In a batch of its own, so that it has the first number whatever leaf it lies in.
        let started = own::started(&self.config_digest);
        self.add_own(started);
        if self.write().await.is_err() {
            return;
        }
        loop {
            let ending = self.gather().await;
            if self.write().await.is_err() {
                return;
            }
            self.answer();
            if ending {
                break;
            }
        }
        // As the first, so the last.
        let stopped = own::stopped(self.source.numbering.next_seq());
        self.add_own(stopped);
        // Past the deadline the stream ends without it, which is what its absence says.
        let _ended_unclean = self.write().await.is_err();
    }

    /// Collects until the batch closes; returns true when nothing more will come.
    async fn gather(&mut self) -> bool {
        loop {
            let now = self.now();
            self.take_flushes();
            let pending_loss = self.gaps.look(&self.core.counters, now);
            self.core.counters.warn_of_rest(self.core.clock.monotonic(), false);
            // Before the batch is filled: under an overload that does not end, every batch is full.
            if self.gaps.due_at().is_some_and(|due| due <= now) {
                self.add_gaps(false);
            }
            self.add_folded(false);
            self.drain(now);
            if self.batcher.is_full() || self.core.queue.is_mostly(self.charged) {
                return false;
            }
            if self.core.queue.is_closed() {
                if self.core.queue.len() > 0 {
                    // A producer has reserved its place and is about to push.
                    tokio::task::yield_now().await;
                    continue;
                }
                self.add_gaps(true);
                self.core.ends.close();
                self.add_folded(true);
                return true;
            }
            if self.flush_is_reached() {
                if pending_loss {
                    self.add_gaps(false);
                }
                self.add_folded(true);
                return false;
            }
            if self.batcher.is_due(now) {
                return false;
            }
            self.wait(now).await;
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self, now: Duration) {
        // Windows are measured by the clock, since requests count into them.
        let clock_due = self.core.clock_due();
        let by_clock = clock_due.map(|due| now + due.saturating_sub(self.core.clock.monotonic()));
        let dues = [self.batcher.due_at(), self.gaps.due_at(), by_clock];
        let mut until = dues.into_iter().flatten().min();
        if now.saturating_sub(self.busy_at) < IDLE {
            let tick = now + TICK;
            until = Some(until.map_or(tick, |until| until.min(tick)));
        } else {
            // Park. The order of these two is what the protocol in `queue` stands on.
            self.core.queue.disarm();
            if self.core.queue.len() > 0
                || self.core.queue.is_closed()
                || self.gaps.has_unseen(&self.core.counters)
                || self.core.clock_due() != clock_due
                || !self.core.ends.is_empty()
            {
                self.core.queue.rearm();
                self.busy_at = now;
                return;
            }
            meters::publish(&self.core);
        }
        let begun = self.begun;
        tokio::select! {
            biased;
            reply = self.flushes.recv() => {
                if let Some(reply) = reply {
                    self.add_flush(reply);
                } else {
                    // The pipeline is gone; it has closed the queue before.
                    tokio::task::yield_now().await;
                }
            }
            () = self.core.queue.woken() => self.busy_at = self.begun.elapsed(),
            _ = self.stop.changed() => {}
            () = async move {
                match until {
                    Some(until) => sleep_until(begun + until).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }

    /// Takes the flushes that were asked for while the writer had no time to wait.
    fn take_flushes(&mut self) {
        while let Ok(reply) = self.flushes.try_recv() {
            self.add_flush(reply);
        }
    }

    fn add_flush(&mut self, reply: oneshot::Sender<()>) {
        let (security, general) = self.core.queue.lane_lens();
        self.waiting.push(Waiting {
            security: self.taken.0 + security as u64,
            general: self.taken.1 + general as u64,
            reply,
        });
    }

    /// Takes out of the lanes what fits the batch.
    fn drain(&mut self, now: Duration) {
        let mut taken = false;
        while !self.batcher.is_full() && !self.core.queue.is_mostly(self.charged) {
            let Some((lane, queued)) = self.core.queue.pop() else { break };
            taken = true;
            match lane {
                Lane::Security => self.taken.0 += 1,
                Lane::General => self.taken.1 += 1,
            }
            self.busy_at = now;
            self.charged += u64::from(queued.bytes);
            let bytes = queued.record.text_bytes();
            self.batcher.push(queued.record, bytes, now);
        }
        if taken {
            // Of bytes there may be none yet, but of places.
            self.core.queue.release(0);
            self.begin_waiting();
        }
    }

    /// Adds a record that the pipeline made itself. It cannot be refused: it takes no place in the queue.
    fn add_own(&mut self, mut record: Box<Record>) {
        admit::prepare(&self.core, &mut record);
        let (bytes, now) = (record.text_bytes(), self.now());
        self.batcher.push(record, bytes, now);
        self.begin_waiting();
    }

    fn begin_waiting(&self) {
        self.core.waiting.begin(self.source.numbering.writer_id(), self.core.clock.monotonic());
    }

    fn add_gaps(&mut self, ending: bool) {
        for record in self.gaps.take(&self.core.counters, ending) {
            self.add_own(record);
        }
    }

    /// Adds what was folded in windows that are over, or in all.
    fn add_folded(&mut self, all: bool) {
        for record in self.core.ends.take() {
            self.add_own(record);
        }
        for record in self.core.folds.take(self.core.clock.monotonic(), all) {
            self.add_own(record);
        }
        for record in self.core.watched.take(self.core.clock.monotonic(), all) {
            // Somebody's doing and not the pipeline's: counted like every other record.
            self.core.counters.receive();
            self.add_own(record);
        }
    }

    /// Closes the batch, numbers it, and sees it into the store.
    async fn write(&mut self) -> Result<(), Stopped> {
        if self.batcher.is_empty() {
            return Ok(());
        }
        let Self { settler, source, batcher, .. } = self;
        batcher.close_into(&mut settler.batch);
        source.numbering.arrange(&mut settler.batch);
        let now = self.core.clock.now();
        for records in settler.batch.chunks_mut(SEALED_AT_ONCE) {
            source.numbering.number(records, now);
            // On a runtime of one thread, requests wait while this does not.
            tokio::task::yield_now().await;
        }
        settler.settle(source).await?;
        self.core.waiting.end();
        self.core.queue.release(std::mem::take(&mut self.charged));
        meters::publish(&self.core);
        Ok(())
    }

    fn flush_is_reached(&self) -> bool {
        self.waiting.iter().any(|flush| self.has_taken(flush))
    }

    fn has_taken(&self, flush: &Waiting) -> bool {
        flush.security <= self.taken.0 && flush.general <= self.taken.1
    }

    /// Answers the flushes whose records are settled; called when the writer holds nothing.
    fn answer(&mut self) {
        let (taken, waiting) = (self.taken, std::mem::take(&mut self.waiting));
        for flush in waiting {
            if flush.security <= taken.0 && flush.general <= taken.1 {
                // Whoever gave up waiting does not need the answer.
                let _answered = flush.reply.send(());
            } else {
                self.waiting.push(flush);
            }
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Records that the writer numbered itself.
struct Numbered {
    numbering: Numbering,
}

impl Source for Numbered {
    /// They were arranged before they were numbered.
    fn arrange(&mut self, _records: &mut [Box<Record>]) {}

    fn disarrange(&mut self, _records: &mut [Box<Record>]) {}

    fn settled(&mut self, core: &Core, records: &[Box<Record>]) {
        core.counters.settle(records.iter().map(|record| &**record));
    }

    /// The store holds less of the stream than was committed (a backup was restored, a replica that lost
    /// its tail became the primary), or more than was ever sent. The numbers that are missing there
    /// cannot be sent again, so another stream goes on, and says why.
    fn disagree(&mut self, core: &Core, batch: &mut Vec<Box<Record>>, found: i64) {
        let stream = self.numbering.writer_id();
        let committed = batch.first().map_or(0, |next| next.seq - 1);
        tracing::error!(
            %stream, committed, found,
            "the store does not hold what was committed to it; records go on under another stream"
        );
        let mut restored = own::restored(&stream.to_string(), committed, found);
        admit::prepare(core, &mut restored);
        if let Some(next) = batch.first() {
            restored.recorded_at = next.recorded_at;
        }
        restored.retention_class.set(restored.category.as_str());
        number::seal(&mut restored);
        batch.insert(0, restored);
        self.numbering.begin_anew(batch);
    }
}

impl<S: Append> Drop for Writer<S> {
    /// Closes the queue and counts what is left: after a shutdown in good order that is nothing.
    fn drop(&mut self) {
        let core = Arc::clone(&self.core);
        core.close();
        let lose = |record: Box<Record>| {
            if !own::is_own(&record) {
                core.lose(record, DropReason::Shutdown);
            }
        };
        // Of these nobody knows: they stay counted as queued.
        let unsure = self.settler.unsure.min(self.settler.batch.len());
        self.settler.batch.drain(unsure..).for_each(lose);
        let mut left = Vec::new();
        self.batcher.close_into(&mut left);
        left.into_iter().for_each(lose);
        // Whoever has reserved a place pushes within moments; nothing slow lies between.
        while core.queue.len() > 0 {
            match core.queue.pop() {
                Some((_, queued)) => lose(queued.record),
                None => std::thread::yield_now(),
            }
        }
        core.queue.release(0);
        core.counters.warn_of_rest(core.clock.monotonic(), true);
        core.receipts.end();
        core.feed.end();
        core.ends.close();
        core.committed.send_replace(true);
        meters::publish(&core);
        self.ended.send_replace(true);
    }
}
