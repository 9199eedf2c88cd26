//! The one door into the pipeline, for requests and for manual records.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use tokio::{sync::futures::OwnedNotified, time::Sleep};

use super::{
    admit,
    core::{Core, deadline_in},
    open::SpoolWait,
    queue::{Lane, Refused},
    scope::{Context, Scoped},
    settings::Overflow,
    tally::{DropReason, category_index},
    teller::Teller,
};
#[cfg(feature = "api")]
use super::{
    outbox::OutboxTally,
    spooling::Spooling,
    tally::Tally,
    watch::{Seen, Use},
};
#[cfg(feature = "api")]
use crate::{
    pipeline::PolicySource,
    record::WriterId,
    rules::{Delivery, RetentionPolicy},
    store::{Archival, PolicySet, StoreError},
    time::Timestamp,
};
use crate::{
    privacy::{AddressPolicy, Keys, Redactor},
    record::{ActorType, Category, Origin, Record, RecordId, Seals},
    rules::CompiledRules,
    store::AnyStore,
    time::Clock,
};

/// What became of a record that was offered to the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// It is in the queue or the spool, under this id.
    Accepted(RecordId),
    /// It was counted into a record that stands for many of its kind.
    Folded,
    /// It is lost, and counted.
    Dropped(DropReason),
    /// It is no record: this field is required and empty.
    Refused(&'static str),
}

impl Admission {
    /// Tells whether the record is on its way to the store.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted(_))
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(id) => write!(f, "accepted as {id}"),
            Self::Folded => f.write_str("folded into a record with a count"),
            Self::Dropped(reason) => write!(f, "dropped: {reason}"),
            Self::Refused(field) => write!(f, "refused: `{field}` is empty"),
        }
    }
}

/// Records what happened. Cheap to clone, and usable from any thread.
///
/// # Loss
///
/// A record that has been accepted is lost if the process dies before the writer has stored it. One that
/// was not accepted is counted in the [`Tally`](super::Tally), and a gap record tells of it.
#[derive(Clone)]
pub struct Recorder {
    pub(super) core: Arc<Core>,
}

impl Recorder {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Records something that happened outside of a request. Never waits.
    ///
    /// The recorder fills in what is absent: id, time, service. Text is trimmed. The
    /// action is required, and so are the id of an actor who is not anonymous and the type of a thing that
    /// has an id; what lacks one is refused, and counted as that.
    ///
    /// ```
    /// # async fn example(recorder: tower_activity::pipeline::Recorder) {
    /// use tower_activity::record::{Actor, Record};
    ///
    /// let ana = Actor::user("ana").named("Ana Diaz");
    /// let admission = recorder.record(Record::by(ana).cancelled("order", "55"));
    /// assert!(admission.is_accepted());
    /// # }
    /// ```
    #[allow(clippy::must_use_candidate, reason = "most callers leave the accounting to the tally")]
    pub fn record(&self, record: Record) -> Admission {
        match self.manual(record) {
            Ok(mut record) => {
                let bytes = admit::prepare(&self.core, &mut record);
                let lane = Lane::of(&record);
                self.core.offer(record, bytes, lane)
            }
            Err(refused) => refused,
        }
    }

    /// Records something that happened outside of a request, and waits for room if the pipeline was
    /// built with [`Overflow::Block`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future while it waits drops the record, uncounted: its owner has changed his mind.
    pub async fn record_wait(&self, record: Record) -> Admission {
        match self.manual(record) {
            Ok(record) => {
                let (mut record, mut wait) = (Some(record), AdmitWait::default());
                poll_fn(|cx| self.poll_offer(&mut record, &mut wait, cx)).await
            }
            Err(refused) => refused,
        }
    }

    /// Returns a recorder that fills in who acts, for whom and why: for jobs and commands.
    ///
    /// A value rather than a task-local: those vanish in `tokio::spawn` and on other threads, and what
    /// is recorded without its actor is found out too late.
    #[must_use]
    pub fn scope(&self, context: Context) -> Scoped {
        Scoped::new(self.clone(), context)
    }

    fn manual(&self, mut record: Record) -> Result<Box<Record>, Admission> {
        if let Err(field) = complete(&mut record) {
            self.core.counters.refuse(field);
            return Err(Admission::Refused(field));
        }
        record.origin = Origin::Manual;
        Ok(Box::new(record))
    }
}

/// Trims what has to be there, and names the first field that is required and empty.
pub(super) fn complete(record: &mut Record) -> Result<(), &'static str> {
    for text in
        [&mut record.action, &mut record.entity_type, &mut record.entity_id, &mut record.actor_id]
    {
        let trimmed = text.as_str().trim();
        if trimmed.len() < text.as_str().len() {
            *text = trimmed.into();
        }
    }
    if record.action.is_absent() {
        return Err("action");
    }
    if record.actor_id.is_absent() && record.actor_type != ActorType::Anonymous {
        return Err("actor_id");
    }
    if record.entity_type.is_absent() && !record.entity_id.is_absent() {
        return Err("entity_type");
    }
    // Seals are the writer's; a group that claims to be erased would be left without one.
    record.seals = Seals::default();
    record.schema_version = Record::SCHEMA_VERSION;
    Ok(())
}

/// For capture and the HTTP interface.
impl Recorder {
    /// Returns an empty draft, from the pool if there is one.
    ///
    /// It comes back through [`admit`](Self::admit), [`poll_admit`](Self::poll_admit) or
    /// [`give_back`](Self::give_back), each of which counts it as no longer open.
    pub(crate) fn draft(&self) -> Box<Record> {
        self.core.counters.open_draft();
        self.core.pool.take()
    }

    /// Takes back a draft that is not recorded.
    pub(crate) fn give_back(&self, draft: Box<Record>) {
        self.core.counters.close_draft();
        self.core.pool.put(draft);
    }

    /// Returns an empty record from the pool that is no draft but a copy of one.
    pub(crate) fn spare(&self) -> Box<Record> {
        self.core.pool.take()
    }

    /// Takes back a [`spare`](Self::spare).
    pub(crate) fn put_spare(&self, spare: Box<Record>) {
        self.core.pool.put(spare);
    }

    /// Finishes a draft: the last preparation, then the queue. Never waits, and does not panic, so that
    /// `Drop` may call it.
    pub(crate) fn admit(&self, mut draft: Box<Record>) -> Admission {
        self.core.counters.close_draft();
        if self.core.fold(&draft) {
            self.core.pool.put(draft);
            return Admission::Folded;
        }
        let bytes = admit::prepare(&self.core, &mut draft);
        let lane = Lane::of(&draft);
        self.core.offer(draft, bytes, lane)
    }

    /// Finishes a draft where waiting is possible: pending only under [`Overflow::Block`] and when the
    /// queue is full.
    ///
    /// The draft is taken out of `draft` with the answer. A caller that stops polling before then still
    /// has it, and passes it to [`admit`](Self::admit).
    pub(crate) fn poll_admit(
        &self,
        draft: &mut Option<Box<Record>>,
        wait: &mut AdmitWait,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Admission> {
        if wait.prepared.is_none()
            && !wait.spool.is_prepared()
            && draft.as_deref().is_some_and(|draft| self.core.fold(draft))
        {
            if let Some(draft) = draft.take() {
                self.give_back(draft);
            }
            return Poll::Ready(Admission::Folded);
        }
        let admission = std::task::ready!(self.poll_offer(draft, wait, cx));
        self.core.counters.close_draft();
        Poll::Ready(admission)
    }

    /// Records a use of the log: the first of somebody at once, what he repeats within a minute as a count.
    ///
    /// A door through which a record keeps [`Origin::System`], and none that leads outside: nobody can pass off a record of
    /// his own as one of who looked. Never waits.
    #[cfg(feature = "api")]
    pub(crate) fn watch(&self, mut seen: Use) -> Admission {
        let core = &*self.core;
        // Also of the one that stands for repetitions.
        seen.record.origin = Origin::System;
        let (at, now) = (core.clock.now(), core.clock.monotonic());
        // A count that nobody would take any more is no count: behind the closed door each is dropped, and
        // counted as that.
        let seen = if core.queue.is_closed() {
            Seen::Singly(seen.once(at))
        } else {
            core.watched.count(seen, at, now)
        };
        match seen {
            Seen::Singly(mut record) => {
                let bytes = admit::prepare(core, &mut record);
                let lane = Lane::of(&record);
                core.offer(record, bytes, lane)
            }
            Seen::Counted { first } => {
                core.counters.fold();
                if first {
                    core.queue.nudge();
                }
                Admission::Folded
            }
        }
    }

    /// Records what the log does with itself on somebody's behalf, as an erasure. Never waits.
    ///
    /// Beside [`watch`](Self::watch), the other door through which a record keeps [`Origin::System`].
    pub(super) fn announce(&self, mut record: Box<Record>) -> Admission {
        let core = &*self.core;
        let bytes = admit::prepare(core, &mut record);
        let lane = Lane::of(&record);
        core.offer(record, bytes, lane)
    }

    /// Returns how things stand between recorders and store.
    #[cfg(feature = "api")]
    pub(crate) fn pressure(&self) -> Pressure {
        let core = &*self.core;
        Pressure {
            tally: core.counters.snapshot(),
            queue: core.spooling.as_ref().map_or_else(|| core.queue.share(), Spooling::share),
            spool: core.spooling.as_ref().map(|spooling| spooling.pressure(core.clock.now())),
            closed: core.queue.is_closed(),
            last_loss: core.counters.last_loss(),
            delivery: core.delivery,
            waiting: match &core.spooling {
                Some(spooling) => Some(spooling.lag(core.clock.now())),
                None => core.waiting.lag(core.clock.monotonic()),
            },
            outbox: core.outboxes.tally(core.clock.now()),
        }
    }

    /// Returns the retention policy that holds under what was set, and where it was said.
    #[cfg(feature = "api")]
    pub(crate) fn retention_under(
        &self,
        set: &PolicySet,
    ) -> Result<(RetentionPolicy, PolicySource), StoreError> {
        self.core.policies.under(set)
    }

    /// Returns the archive, if there is one.
    #[cfg(feature = "api")]
    pub(crate) fn archive(&self) -> Option<&dyn Archival> {
        self.core.archive.as_deref()
    }

    /// Returns how large the log may get.
    #[cfg(feature = "api")]
    pub(crate) fn size_limit(&self) -> Option<crate::rules::SizeLimit> {
        self.core.policies.now().0.size_limit()
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// Returns what has the writer store records of the log about itself.
    pub(super) fn teller(&self, store: AnyStore) -> Teller {
        Teller::new(&self.core, store)
    }

    /// Returns the rules, compiled.
    pub(crate) fn rules(&self) -> &CompiledRules {
        &self.core.rules
    }

    /// Returns what takes secrets out of what would be kept.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.core.privacy.redactor
    }

    /// Returns the keys for pseudonyms, if there are any.
    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.core.privacy.keys.as_ref()
    }

    /// Returns how much of a client's address records of this category keep.
    pub(crate) fn address_policy(&self, category: Category) -> AddressPolicy {
        self.core.privacy.addresses[category_index(category)]
    }

    /// Returns how long a call to the store may take.
    #[cfg(feature = "api")]
    pub(crate) fn call_deadline(&self) -> std::time::Duration {
        self.core.call_deadline
    }

    /// Returns the clock.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.core.clock
    }

    fn poll_offer(
        &self,
        slot: &mut Option<Box<Record>>,
        wait: &mut AdmitWait,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Admission> {
        if let Some(spooling) = &self.core.spooling {
            let hold = self.core.delivery.into();
            let polled = self.poll_spool(spooling, slot, &mut None, hold, &mut wait.spool, cx);
            // What the disk does not vouch for in time is in the file all the same.
            let taken = wait.spool.taken();
            return polled.map(|polled| {
                polled
                    .unwrap_or_else(|refused| taken.unwrap_or(Admission::Dropped(refused.reason())))
            });
        }
        let Some(mut record) = slot.take() else {
            // Asked again after the answer.
            return Poll::Ready(Admission::Dropped(DropReason::Closed));
        };
        let bytes = match wait.prepared {
            Some(bytes) => bytes,
            None => *wait.prepared.insert(admit::prepare(&self.core, &mut record)),
        };
        let lane = Lane::of(&record);
        let Overflow::Block(patience) = self.core.overflow else {
            return Poll::Ready(self.core.offer(record, bytes, lane));
        };
        loop {
            // Before the attempt: room that appears after it notifies this one.
            let mut room = wait
                .room
                .take()
                .unwrap_or_else(|| Box::pin(self.core.queue.room().notified_owned()));
            let id = record.id;
            self.core.counters.receive();
            record = match self.core.queue.push(lane, record, bytes) {
                Ok(()) => return Poll::Ready(Admission::Accepted(id)),
                Err(Refused::Closed(record)) => {
                    return Poll::Ready(self.core.lose(record, DropReason::Closed));
                }
                Err(Refused::Full(record)) => record,
            };
            let deadline = wait.deadline.get_or_insert_with(|| {
                // The timer of the writer's runtime: who records may run on another kind of executor.
                let _runtime = self.core.runtime.enter();
                Box::pin(tokio::time::sleep_until(deadline_in(patience)))
            });
            if deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(self.core.lose(record, DropReason::Deadline));
            }
            self.core.counters.unreceive();
            if room.as_mut().poll(cx).is_pending() {
                wait.room = Some(room);
                *slot = Some(record);
                return Poll::Pending;
            }
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.core).finish()
    }
}

/// How things stand between recorders and store.
#[cfg(feature = "api")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pressure {
    pub(crate) tally: Tally,
    /// How full the queue is, by count or by bytes, whichever is worse: 0 to 1. With a spool, how full that is.
    pub(crate) queue: f64,
    /// `None` without a spool.
    pub(crate) spool: Option<SpoolPressure>,
    /// Whether the door is closed: the pipeline was shut down, or its writer has ended.
    pub(crate) closed: bool,
    /// When a record was last dropped.
    pub(crate) last_loss: Option<Timestamp>,
    pub(crate) delivery: Delivery,
    /// The stream of this process, and how long the oldest record has waited that is not stored.
    pub(crate) waiting: Option<(WriterId, std::time::Duration)>,
    pub(crate) outbox: Option<OutboxTally>,
}

/// How the spool is doing.
#[cfg(feature = "api")]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpoolPressure {
    /// Bytes that the store does not have yet.
    pub(crate) bytes: u64,
    /// Bytes that the store has, kept for a while.
    pub(crate) kept: u64,
    pub(crate) cap: u64,
    /// How long ago the oldest record was made that the store does not have.
    pub(crate) oldest: Option<std::time::Duration>,
    /// Damaged segments that were copied aside.
    pub(crate) quarantined: u64,
    /// Times that a sync failed.
    pub(crate) failed_syncs: u64,
    /// The disk does not answer.
    pub(crate) is_stuck: bool,
    /// The disk has less left than it must keep free.
    pub(crate) is_below_floor: bool,
}

/// What [`Recorder::poll_admit`] remembers between two calls. Empty, and free, until the queue is full.
#[derive(Default)]
pub(crate) struct AdmitWait {
    prepared: Option<u32>,
    room: Option<Pin<Box<OwnedNotified>>>,
    deadline: Option<Pin<Box<Sleep>>>,
    pub(super) spool: SpoolWait,
}

impl fmt::Debug for AdmitWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmitWait")
            .field("waits", &(self.room.is_some() || self.spool.is_waiting()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
