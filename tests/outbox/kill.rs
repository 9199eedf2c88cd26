//! An outbox and a log that stop answering at a chosen moment, so that a worker can be killed there.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use tokio::sync::Notify;
use tower_activity::{
    record::WriterId,
    store::{
        Append, Appended, Appender, Backlog, Batch, ClaimRows, ClaimedRows, Database, Look, NewRow,
        Outbox, StoreError,
    },
};

/// The steps of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Look,
    Position,
    Claim,
    Append,
    Backlog,
}

/// After how many polls of the call a step stops; `DONE` lets it do its work, and only the answer is lost.
pub(crate) const DONE: usize = usize::MAX;

/// Where the worker stops.
#[derive(Clone)]
pub(crate) struct Trap(Arc<Set>);

struct Set {
    step: Step,
    polls: usize,
    /// Calls of the step that pass before.
    passes: AtomicUsize,
    reached: Notify,
}

impl Trap {
    pub(crate) fn new(step: Step, passes: usize, polls: usize) -> Self {
        let passes = AtomicUsize::new(passes);
        Self(Arc::new(Set { step, polls, passes, reached: Notify::new() }))
    }

    /// Completes when the worker stands still.
    pub(crate) async fn reached(&self) {
        self.0.reached.notified().await;
    }

    async fn pass<T>(&self, step: Step, call: impl Future<Output = T>) -> T {
        let passes = &self.0.passes;
        let takes_one = |left: usize| left.checked_sub(1);
        if step != self.0.step
            || passes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, takes_one).is_ok()
        {
            return call.await;
        }
        let (mut call, mut polls) = (pin!(call), 0);
        poll_fn(|cx| {
            if polls == self.0.polls {
                return Poll::Ready(());
            }
            polls += 1;
            call.as_mut().poll(cx).map(drop)
        })
        .await;
        self.0.reached.notify_one();
        pending().await
    }
}

pub(crate) struct Trapped<T> {
    pub(crate) inner: T,
    pub(crate) trap: Trap,
}

impl<O: Outbox> Outbox for Trapped<O> {
    const DATABASE: Database = O::DATABASE;

    async fn migrate(&self) -> Result<(), StoreError> {
        self.inner.migrate().await
    }

    async fn look(&self) -> Result<Look, StoreError> {
        self.trap.pass(Step::Look, self.inner.look()).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.trap.pass(Step::Backlog, self.inner.backlog()).await
    }

    async fn claim(&self, ask: ClaimRows) -> Result<ClaimedRows, StoreError> {
        self.trap.pass(Step::Claim, self.inner.claim(ask)).await
    }

    async fn rename(
        &self,
        from: WriterId,
        to: WriterId,
        first: NewRow<'_>,
    ) -> Result<(), StoreError> {
        self.inner.rename(from, to, first).await
    }
}

impl<S: Append> Append for Trapped<S> {
    type Appender = Trapped<S::Appender>;

    async fn connect(&self) -> Result<Self::Appender, StoreError> {
        Ok(Trapped { inner: self.inner.connect().await?, trap: self.trap.clone() })
    }
}

impl<A: Appender> Appender for Trapped<A> {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        self.trap.pass(Step::Position, self.inner.position(writer_id)).await
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        // The pipeline says that it has started; what is meant are records of the application.
        if batch.records().iter().all(|record| record.action == "started") {
            return self.inner.append(batch).await;
        }
        self.trap.pass(Step::Append, self.inner.append(batch)).await
    }
}
