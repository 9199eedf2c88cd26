//! The owner of it all.

use std::{fmt, time::Duration};

use std::sync::Arc;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{AbortHandle, JoinHandle},
    time::{Instant, timeout_at},
};

#[cfg(feature = "api")]
use super::commit::CommitSource;
use super::{
    builder::PipelineBuilder,
    core::{Core, deadline_in},
    custody::{Custodian, CustodyError},
    erasure::{EraseError, Eraser},
    feed::{DEFAULT_SUBSCRIPTION_CAPACITY, Subscription},
    outbox::{self, OutboxTally},
    recorder::Recorder,
    tally::{Dropped, Tally},
};
use crate::{
    query::Filter,
    store::{AnyStore, Append, StoreError, StoreErrorKind},
};

/// What is not stored by then, after a pipeline was dropped without a shutdown, is counted as lost.
pub const DROP_DEADLINE: Duration = Duration::from_secs(10);

/// Why nothing more can be stored.
pub(super) const HAS_ENDED: &str = "the pipeline has ended";

/// The writer is asked to end by the deadline; if it has not ended this much later, its thread is stuck
/// in code that never yields, and is not waited for.
const GRACE: Duration = Duration::from_millis(250);

/// Owns the queue and the writer.
///
/// Hand out [`recorder`](Self::recorder)s, and call [`shutdown`](Self::shutdown) at the end.
///
/// # Loss
///
/// Dropping it without a shutdown closes the queue and leaves the writer to drain in the background, as
/// long as the runtime lives; nothing reports how that went.
#[must_use = "dropping the pipeline ends it"]
pub struct Pipeline {
    pub(super) core: Arc<Core>,
    store: Option<AnyStore>,
    handle: Handle,
    task: AbortHandle,
    outboxes: Vec<(outbox::Handle, AbortHandle)>,
}

/// The pipeline's end of what connects it with the writer.
#[derive(Debug)]
pub(super) struct Handle {
    /// Each is answered when all that was accepted before it is settled.
    pub(super) flushes: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// Becomes true, or is dropped, when the writer has ended.
    pub(super) ended: watch::Receiver<bool>,
}

impl Pipeline {
    /// Begins to set up a pipeline that writes to `store`.
    pub fn builder<S: Append>(store: S) -> PipelineBuilder<S> {
        PipelineBuilder::new(store)
    }

    pub(super) fn new(
        core: Arc<Core>,
        store: Option<AnyStore>,
        handle: Handle,
        task: JoinHandle<()>,
        outboxes: Vec<(outbox::Handle, AbortHandle)>,
    ) -> Self {
        Self { core, store, handle, task: task.abort_handle(), outboxes }
    }

    /// Returns the store as one that can be read; `None` for one that only takes records.
    #[must_use]
    pub const fn store(&self) -> Option<&AnyStore> {
        self.store.as_ref()
    }

    /// Returns what asks the writer to store at once what it was given.
    pub(super) fn flushes(&self) -> mpsc::UnboundedSender<oneshot::Sender<()>> {
        self.handle.flushes.clone()
    }

    /// Does what has the writer store records, for as long as there is one; `doing` as in "run the retention".
    pub(super) async fn unless_ended<T, E: From<StoreError>>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut ended = self.handle.ended.clone();
        tokio::select! {
            biased;
            done = work => done,
            // An error means that it is gone.
            _ended = ended.wait_for(|ended| *ended) => {
                Err(StoreError::new(StoreErrorKind::Transient, doing).with_source(HAS_ENDED).into())
            }
        }
    }

    /// Returns what erases people from the log.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the pipeline has no [keys](PipelineBuilder::keys): the list of those who
    /// were erased holds no names, only digests under a key.
    pub fn eraser(&self) -> Result<Eraser, EraseError> {
        let store = self.store.clone().ok_or_else(EraseError::no_store)?;
        Eraser::new(self.recorder(), store, self.flushes())
    }

    /// Returns what places and lifts legal holds, and sets how long records are kept.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn custodian(&self) -> Result<Custodian, CustodyError> {
        let store = self.store.clone().ok_or_else(CustodyError::no_store)?;
        Ok(Custodian::new(self.recorder(), store, self.flushes()))
    }

    /// Returns a recorder.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        Recorder::new(Arc::clone(&self.core))
    }

    /// Returns the accounting as it stands.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.core.counters.snapshot()
    }

    /// Returns the accounting of the outboxes; `None` when the pipeline has none.
    #[must_use]
    pub fn outbox_tally(&self) -> Option<OutboxTally> {
        self.core.outboxes.tally(self.core.clock.now())
    }

    /// Returns the records that pass `filter` from now on, once each is committed.
    ///
    /// They come in the order of their commits; what was committed at once, in the order in which it
    /// occurred.
    #[must_use]
    pub fn subscribe(&self, filter: Filter) -> Subscription {
        self.core.feed.subscribe(filter, DEFAULT_SUBSCRIPTION_CAPACITY)
    }

    /// Returns where whole commits come from, for those who follow the ledger.
    #[cfg(feature = "api")]
    pub(crate) fn commits(&self) -> CommitSource {
        CommitSource::new(Arc::clone(&self.core))
    }

    /// Keeps the store's rollups up to date in the background, until the pipeline has ended.
    #[cfg(feature = "api")]
    pub(crate) fn keep_rollups(&self) {
        if let Some(store) = &self.store {
            super::rollups::keep(&self.core, store, &self.handle.ended);
        }
    }

    /// Signs the head of the ledger in the background, until the pipeline has ended; nothing without keys.
    #[cfg(feature = "api")]
    pub(crate) fn keep_checkpoints(&self) {
        if let Some(store) = &self.store {
            super::notary::keep(&self.core, store, &self.handle.ended);
        }
    }

    /// Ends whatever goes on for as long as somebody listens: the live sessions of the API. Whoever comes
    /// afterwards is turned away.
    ///
    /// [`shutdown`](Self::shutdown) does it too; but a server that stops in good order waits for its answers
    /// to end, and a stream of events does not end by itself. Call it as soon as the server is to stop:
    ///
    /// ```
    /// # use tower_activity::Pipeline;
    /// # async fn signal() {}
    /// # async fn stopping(activity: &Pipeline) {
    /// // axum::serve(listener, app).with_graceful_shutdown(async move {
    /// signal().await;
    /// activity.hang_up();
    /// // })
    /// # }
    /// ```
    pub fn hang_up(&self) {
        self.core.hung_up.send_replace(true);
    }

    /// Waits until all that was accepted before the call is stored, or counted as lost, and until what was
    /// committed to an outbox before it is in the log.
    ///
    /// Waits for as long as the store is away, with a spool too.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the waiting, nothing else.
    pub async fn flush(&self) {
        let (reply, settled) = oneshot::channel();
        if self.handle.flushes.send(reply).is_ok() {
            // An error means that the writer has ended: then everything is settled.
            let _ended = settled.await;
        }
        for (handle, _) in &self.outboxes {
            let (reply, moved) = oneshot::channel();
            if handle.flushes.send(reply).is_ok() {
                let _ended = moved.await;
            }
        }
    }

    /// Closes the door, drains, and reports.
    ///
    /// What cannot be stored within `deadline` is counted as dropped. With a spool nothing is: it stays there, synced,
    /// and the next process stores it. May be called again: of several
    /// deadlines the earliest holds, and the report is the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the waiting; the shutdown goes on.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let deadline = deadline_in(deadline);
        let stop = Stop { core: &self.core, deadline };
        // That somebody listened until now is still a record, for which the door has to be open.
        self.hang_up();
        let _gone_or_stuck =
            timeout_at(deadline.min(deadline_in(GRACE)), self.core.hung_up.closed()).await;
        drop(stop);
        let mut ended = self.handle.ended.clone();
        // An error means that the writer is gone, and has counted what it left behind.
        if timeout_at(deadline + GRACE, ended.wait_for(|ended| *ended)).await.is_err() {
            self.task.abort();
        }
        for (handle, task) in &self.outboxes {
            let mut ended = handle.ended.clone();
            if timeout_at(deadline + GRACE, ended.wait_for(|ended| *ended)).await.is_err() {
                task.abort();
            }
        }
        ShutdownReport::of(&self.core)
    }
}

/// Asks the writer to stop when dropped: also when nobody waits for the shutdown any longer.
struct Stop<'c> {
    core: &'c Core,
    deadline: Instant,
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.core.ask_to_stop(self.deadline);
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Never blocks: the writer goes on by itself, and ends without being waited for. After a shutdown
        // its earlier deadline holds.
        self.core.close();
        if self.core.stop.borrow().is_none() {
            let queued = self.core.counters.snapshot().queued;
            if queued > 0 {
                tracing::warn!(queued, "the activity pipeline was dropped without a shutdown");
            }
            self.core.ask_to_stop(deadline_in(DROP_DEADLINE));
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pipeline").field(&self.core).finish()
    }
}

/// How a shutdown went: `received == stored + spooled + queued + dropped.total()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Records that the recorder was given since the start.
    pub received: u64,
    /// Records that the store holds, the stubs of quarantined ones included.
    pub stored: u64,
    /// Records that stay in the spool, for the next process to store. The store may hold those that were on
    /// their way when the deadline passed.
    pub spooled: u64,
    /// Whether there is a spool.
    pub has_spool: bool,
    /// Records in a batch that was on its way when the deadline passed: the store may hold them or not.
    pub queued: u64,
    /// Records that are lost.
    pub dropped: Dropped,
    /// Gap records that the store holds.
    pub gaps: u64,
    /// Records of which the store holds only a stub.
    pub quarantined: u64,
    /// Refusals, and repeated looks at the log, that were folded into records with a count.
    pub folded: u64,
    /// Records that were moved from an outbox into the store; not among those received.
    pub moved: u64,
}

impl ShutdownReport {
    fn of(core: &Core) -> Self {
        let Tally { received, stored, spooled, queued, dropped, gaps, quarantined, folded, .. } =
            core.counters.snapshot();
        let has_spool = core.spooling.is_some();
        let moved = core.outboxes.tally(core.clock.now()).map_or(0, |outbox| outbox.stored);
        Self {
            received,
            stored,
            spooled,
            has_spool,
            queued,
            dropped,
            gaps,
            quarantined,
            folded,
            moved,
        }
    }
}

impl fmt::Display for ShutdownReport {
    /// Writes `stored 41 · dropped 0 · gaps 0`, with a spool `stored 41 · spooled 0 · dropped 0 · gaps 0`, and
    /// what else is not nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stored, spooled, gaps, .. } = self;
        write!(f, "stored {stored} · ")?;
        if self.has_spool || *spooled > 0 {
            write!(f, "spooled {spooled} · ")?;
        }
        write!(f, "dropped {} · gaps {gaps}", self.dropped.total())?;
        for (count, what) in [
            (self.queued, "left unsettled"),
            (self.quarantined, "quarantined"),
            (self.folded, "folded"),
            (self.moved, "moved"),
        ] {
            if count > 0 {
                write!(f, " · {what} {count}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
