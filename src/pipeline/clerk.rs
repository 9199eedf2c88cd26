//! What the pipeline itself has to say, where there is a spool: gaps, what was folded, and the last word.
//!
//! Apart from the [drain](super::drain), which may wait for the store for hours: that something is missing is
//! in the spool by then, whatever becomes of this process. It sleeps and is woken as the writer of the queue is,
//! see [`queue`](super::queue).

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{core::Core, drain::Flush, gap::Gaps, own, spool::OpenNumber, spooling::Spooling};
use crate::record::Record;

/// What found no room is tried again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// Whoever is about to append when the door closes does so within moments.
const MOMENT: Duration = Duration::from_millis(1);

pub(super) struct Clerk {
    pub(super) core: Arc<Core>,
    pub(super) flushes: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    pub(super) drain: mpsc::UnboundedSender<Flush>,
    /// The number of the last record, once there will be no other.
    pub(super) last: watch::Sender<Option<i64>>,
    pub(super) stop: watch::Receiver<Option<Instant>>,
    pub(super) gaps: Gaps,
    /// What found no room in the spool, with what it ends. No gap is told of meanwhile: the counters go on.
    pub(super) held: Vec<(Box<Record>, Option<OpenNumber>)>,
    pub(super) begun: Instant,
}

impl Clerk {
    /// Works until the door is closed and the last record is written.
    pub(super) async fn run(mut self) {
        let core = Arc::clone(&self.core);
        let Some(spooling) = &core.spooling else { return };
        loop {
            let now = self.begun.elapsed();
            self.send_held(spooling);
            spooling.unended.send(&core, spooling);
            while let Ok(reply) = self.flushes.try_recv() {
                self.flush(spooling, reply);
            }
            self.gaps.look(&core.counters, now);
            core.counters.warn_of_rest(core.clock.monotonic(), false);
            if self.gaps.due_at().is_some_and(|due| due <= now) {
                self.add_gaps(spooling, false);
            }
            self.add_folded(spooling, false);
            if core.queue.is_closed() {
                return self.end(spooling).await;
            }
            self.wait(now).await;
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self, now: Duration) {
        let core = Arc::clone(&self.core);
        let clock_due = core.clock_due();
        // Windows are measured by the clock, since requests count into them.
        let by_clock = clock_due.map(|due| now + due.saturating_sub(core.clock.monotonic()));
        let has_ends = || core.spooling.as_ref().is_some_and(|it| !it.unended.is_empty());
        let again = (!self.held.is_empty() || has_ends()).then_some(now + AGAIN);
        let until = [self.gaps.due_at(), by_clock, again].into_iter().flatten().min();
        core.queue.disarm();
        if core.queue.is_closed()
            || self.gaps.has_unseen(&core.counters)
            || core.clock_due() != clock_due
            || !core.ends.is_empty()
            || (again.is_none() && has_ends())
        {
            core.queue.rearm();
            return;
        }
        let begun = self.begun;
        tokio::select! {
            biased;
            reply = self.flushes.recv() => {
                core.queue.rearm();
                if let (Some(reply), Some(spooling)) = (reply, &core.spooling) {
                    self.flush(spooling, reply);
                } else {
                    // The pipeline is gone; it has closed the door before.
                    tokio::task::yield_now().await;
                }
            }
            () = core.queue.woken() => {}
            _ = self.stop.changed() => core.queue.rearm(),
            () = async move {
                match until {
                    Some(until) => sleep_until(begun + until).await,
                    None => std::future::pending().await,
                }
            } => core.queue.rearm(),
        }
    }

    /// Passes on that somebody waits for all that was recorded so far.
    fn flush(&mut self, spooling: &Spooling, reply: oneshot::Sender<()>) {
        let now = self.begun.elapsed();
        spooling.unended.send(&self.core, spooling);
        if self.gaps.look(&self.core.counters, now) {
            self.add_gaps(spooling, false);
        }
        self.add_folded(spooling, true);
        // An error means that the drain has ended: dropped, the reply says so.
        let _sent = self.drain.send(Flush { upto: spooling.last(), reply });
    }

    /// Writes the last records, and says which is the last.
    async fn end(&mut self, spooling: &Spooling) {
        let core = Arc::clone(&self.core);
        while core.queue.len() > 0 {
            // Somebody is in the middle of an append. One whose disk hangs is not waited for.
            if self.stop.borrow().is_some_and(|deadline| deadline <= Instant::now()) {
                break;
            }
            sleep(MOMENT).await;
        }
        self.send_held(spooling);
        spooling.unended.send(&core, spooling);
        self.add_gaps(spooling, true);
        core.ends.close();
        self.add_folded(spooling, true);
        let mut stopped = own::stopped(spooling.last() + 1);
        super::admit::prepare(&core, &mut stopped);
        // Where it finds no room the stream ends without it, which is what its absence says.
        let _ended_unclean = core.spool_own(spooling, stopped);
        if !self.held.is_empty() {
            tracing::warn!(
                count = self.held.len(),
                "the spool had no room for records of the pipeline about itself"
            );
        }
        while let Ok(reply) = self.flushes.try_recv() {
            self.flush(spooling, reply);
        }
        self.last.send_replace(Some(spooling.last()));
    }

    fn add_own(&mut self, spooling: &Spooling, record: Box<Record>) {
        self.add_ending(spooling, record, None);
    }

    fn add_ending(
        &mut self,
        spooling: &Spooling,
        mut record: Box<Record>,
        ends: Option<OpenNumber>,
    ) {
        super::admit::prepare(&self.core, &mut record);
        if let Err(record) = self.core.spool_own_ending(spooling, record, ends) {
            self.held.push((record, ends));
        }
    }

    fn send_held(&mut self, spooling: &Spooling) {
        while let Some((record, ends)) = self.held.pop() {
            if let Err(record) = self.core.spool_own_ending(spooling, record, ends) {
                self.held.push((record, ends));
                return;
            }
        }
    }

    fn add_gaps(&mut self, spooling: &Spooling, ending: bool) {
        if self.held.is_empty() || ending {
            let mut begun = spooling.burst.take();
            for record in self.gaps.take(&self.core.counters, ending) {
                self.add_ending(spooling, record, begun.take());
            }
            // It was told of before. Where that cannot be taken back, a crash says one thing too many.
            if let Some(begun) = begun
                && spooling.spool.cancel(begun).is_err()
            {
                spooling.spool.forget(begun);
            }
        }
    }

    /// Adds what was folded in windows that are over, or in all.
    fn add_folded(&mut self, spooling: &Spooling, all: bool) {
        if !self.held.is_empty() && !all {
            return;
        }
        let core = Arc::clone(&self.core);
        for record in core.ends.take() {
            self.add_own(spooling, record);
        }
        for record in core.folds.take(core.clock.monotonic(), all) {
            self.add_own(spooling, record);
        }
        for record in core.watched.take(core.clock.monotonic(), all) {
            // Somebody's doing and not the pipeline's: counted like every other record.
            core.counters.receive();
            self.add_own(spooling, record);
        }
    }
}
