//! What the doors remember between two calls, and the wait for the disk.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{sync::futures::OwnedNotified, time::Sleep};

use super::StrictRefused;
#[cfg(doc)]
use crate::pipeline::recorder::Recorder;
use crate::pipeline::{
    admit,
    core::{Core, deadline_in},
    recorder::Admission,
    spool::{Begun, Mark, SyncWait},
    spooling::Spooling,
};

/// What [`Recorder::poll_begin`] remembers between two calls.
#[derive(Debug, Default)]
pub(crate) struct BeginWait {
    /// What does not fit is refused.
    pub(super) must_be_whole: bool,
    pub(super) begun: Option<Begun>,
    pub(super) disk: DiskWait,
}

impl BeginWait {
    /// For an intent: what is to be attempted has to fit a record.
    pub(crate) fn whole() -> Self {
        Self { must_be_whole: true, ..Self::default() }
    }
}

/// What [`Recorder::renew`] has written.
#[derive(Debug)]
pub(crate) struct Renewed {
    pub(super) mark: Mark,
    pub(super) disk: DiskWait,
}

/// Waits for the disk, no longer than the deadline.
#[derive(Default)]
pub(super) struct DiskWait {
    sync: SyncWait,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What [`Recorder::poll_admit_ended`] remembers between two calls, where there is a spool. Empty, and free, until
/// something has to be waited for.
#[derive(Default)]
pub(in crate::pipeline) struct SpoolWait {
    pub(super) is_prepared: bool,
    /// What somebody has to vouch for was cut.
    pub(super) cut: Option<admit::Cut>,
    pub(super) taken: Option<(Mark, Admission)>,
    pub(super) disk: DiskWait,
    pub(super) room: Option<Pin<Box<OwnedNotified>>>,
    pub(super) patience: Option<Pin<Box<Sleep>>>,
}

impl SpoolWait {
    pub(in crate::pipeline) const fn is_waiting(&self) -> bool {
        self.taken.is_some() || self.room.is_some()
    }

    /// Returns what became of a record that is in the file.
    pub(in crate::pipeline) fn taken(&self) -> Option<Admission> {
        self.taken.map(|(_, admission)| admission)
    }

    /// Tells whether the record has been prepared by an earlier call.
    pub(in crate::pipeline) const fn is_prepared(&self) -> bool {
        self.is_prepared
    }
}

impl DiskWait {
    pub(super) fn poll(
        &mut self,
        core: &Core,
        spooling: &Spooling,
        mark: Mark,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), StrictRefused>> {
        match spooling.spool.poll_synced(mark, &mut self.sync, cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => return Poll::Ready(Err(StrictRefused::Closed)),
            Poll::Pending => {}
        }
        let deadline = self.deadline.get_or_insert_with(|| timer(core, core.strict_deadline));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(StrictRefused::Slow))
    }
}

/// Makes a timer of the writer's runtime: who records may run on another kind of executor.
pub(super) fn timer(core: &Core, after: Duration) -> Pin<Box<Sleep>> {
    let _runtime = core.runtime.enter();
    Box::pin(tokio::time::sleep_until(deadline_in(after)))
}

impl fmt::Debug for DiskWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskWait").field("waits", &self.deadline.is_some()).finish_non_exhaustive()
    }
}
