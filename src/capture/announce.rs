//! What the spool is told of a request before it has ended: the intent of a strict one, and what is known
//! of any other at the head of its answer.
//!
//! Both are the record as it would be if the process died now, sealed and redacted like a finished one. The
//! draft goes on; its record ends what was begun, under the same id.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    config::Config,
    draft::{Draft, Said, Shared},
    finish,
};
use crate::{
    pipeline::{BeginWait, OpenTicket, Renewed, StrictRefused},
    record::Record,
    rules::Delivery,
};

/// A strict request between its arrival and the call of the service, which must not be called before the
/// intent is on the disk.
pub(super) struct Intent<S, R> {
    pub(super) announcement: Announcement,
    /// The instance that was polled ready; it is called, or dropped with what it had reserved.
    pub(super) service: S,
    pub(super) request: R,
}

impl<S, R> fmt::Debug for Intent<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Intent").field(&self.announcement).finish()
    }
}

/// What is being written of an open draft, and waits for the disk.
///
/// # Cancel safety
///
/// Dropped before it is done, it takes back what it wrote: then only the finished record stays.
#[derive(Debug)]
pub(super) struct Announcement {
    cell: Arc<Shared>,
    config: Arc<Config>,
    copy: Option<Box<Record>>,
    wait: BeginWait,
    /// It was begun before, and what was added to it waits for the disk.
    renewed: Option<Renewed>,
}

impl Announcement {
    pub(super) fn new(cell: Arc<Shared>, config: Arc<Config>) -> Self {
        Self { cell, config, copy: None, wait: BeginWait::default(), renewed: None }
    }

    /// Of what is attempted only once it is told of: all of it.
    pub(super) fn intent(cell: Arc<Shared>, config: Arc<Config>) -> Self {
        let mut intent = Self::new(cell, config);
        intent.wait = BeginWait::whole();
        intent
    }

    pub(super) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Says that the service is not called.
    pub(super) fn refuse(&self) {
        let mut state = self.cell.lock();
        if state.open.is_some() {
            state.said.add(Said::NOT_ATTEMPTED);
        }
    }

    /// Completes when the disk has it.
    ///
    /// # Errors
    ///
    /// When the spool cannot vouch for it; what was written of it is taken back then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StrictRefused>> {
        let recorder = &self.config.recorder;
        if let Some(renewed) = &mut self.renewed {
            return recorder.poll_renewed(renewed, cx).map(Ok);
        }
        let mut copy = match self.copy.take() {
            Some(copy) => copy,
            None => match copied(&self.cell, &self.config) {
                Some(copy) => copy,
                // Whoever owns the draft has finished it, or discarded it: nothing is to come.
                None => return Poll::Ready(Ok(())),
            },
        };
        let polled = recorder.poll_begin(&mut copy, &mut self.wait, cx);
        if polled.is_pending() {
            self.copy = Some(copy);
            return Poll::Pending;
        }
        let result = ready!(polled).map(|ticket| keep(&self.cell, &self.config, &copy, ticket));
        recorder.put_spare(copy);
        Poll::Ready(result)
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        if let Some(copy) = self.copy.take() {
            self.config.recorder.stop_begin(mem::take(&mut self.wait));
            self.config.recorder.put_spare(copy);
        }
    }
}

/// Writes what is known at the head of an answer that ends later; says what is to be waited for.
///
/// Not for `best_effort`. Where the intent is there already, the status is added to it: a crash would otherwise leave an
/// outcome that nobody knows, of an answer whose head the client has.
pub(super) fn at_head(draft: &Draft) -> Option<Announcement> {
    let cell = draft.cell()?;
    let (config, ticket) = {
        let mut state = cell.lock();
        let open = state.open.as_mut()?;
        let wanted = open.class >= Delivery::Durable && open.config.recorder.has_spool();
        let config = wanted.then(|| Arc::clone(&open.config))?;
        // Taken for the while, since it is told outside of the lock.
        (config, open.ticket.take())
    };
    if let Some(ticket) = ticket {
        return renew(cell, config, ticket);
    }
    if config.recorder.syncs_each() {
        return Some(Announcement::new(Arc::clone(cell), config));
    }
    let mut copy = copied(cell, &config)?;
    // Outside of the draft's lock: a disk that is slow to take it holds up nobody who tells the draft more.
    if let Some(ticket) = config.recorder.begin(&mut copy) {
        keep(cell, &config, &copy, ticket);
    }
    config.recorder.put_spare(copy);
    None
}

/// Adds to an intent what is known at the head; says what is to be waited for.
fn renew(cell: &Arc<Shared>, config: Arc<Config>, ticket: OpenTicket) -> Option<Announcement> {
    let mut renewed = None;
    let recorder = &config.recorder;
    if let Some(mut copy) = copied(cell, &config) {
        renewed = recorder.renew(&mut copy, &ticket);
        recorder.put_spare(copy);
    }
    let waits = recorder.syncs_each();
    keep_ticket(cell, &config, ticket, |_| {});
    let renewed = renewed.filter(|_| waits)?;
    let mut announcement = Announcement::new(Arc::clone(cell), config);
    announcement.renewed = Some(renewed);
    Some(announcement)
}

/// Copies what a crash would leave; `None` if nothing is to be known of it.
fn copied(cell: &Shared, config: &Config) -> Option<Box<Record>> {
    let mut copy = config.recorder.spare();
    let bytes = cell.bytes();
    if finish::snapshot(&mut cell.lock(), &mut copy, bytes) {
        return Some(copy);
    }
    config.recorder.put_spare(copy);
    None
}

/// Gives the draft what its end needs: the ticket, and the id and time under which it was begun.
fn keep(cell: &Shared, config: &Config, copy: &Record, ticket: OpenTicket) {
    keep_ticket(cell, config, ticket, |record| {
        record.id = copy.id;
        record.occurred_at = copy.occurred_at;
    });
}

fn keep_ticket(cell: &Shared, config: &Config, ticket: OpenTicket, tell: impl FnOnce(&mut Record)) {
    let mut state = cell.lock();
    match state.open.as_mut() {
        Some(open) => {
            tell(&mut open.record);
            open.ticket = Some(ticket);
        }
        None => {
            drop(state);
            config.recorder.abandon(ticket);
        }
    }
}
