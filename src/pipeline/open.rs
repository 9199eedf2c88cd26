//! What a request has in the spool before it has ended, and what somebody waits for there.
//!
//! Three doors for capture. [`Recorder::begin`] writes what is known at the head of a response, and never
//! waits. [`Recorder::poll_begin`] writes the intent of a strict request and waits until the disk has it.
//! [`Recorder::poll_admit_ended`] writes the finished record, which ends what was begun, and waits as long as
//! its class asks for. Without a spool there is nothing to begin, and the last is
//! [`poll_admit`](Recorder::poll_admit).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{sync::futures::OwnedNotified, time::Sleep};

use super::{
    admit,
    core::{Core, deadline_in},
    queue::Lane,
    recorder::{Admission, AdmitWait, Recorder},
    settings::Overflow,
    spool::{Begun, Mark, OpenNumber, Refused, Share, SyncWait},
    spooling::{self, Spooling, share},
    tally::DropReason,
};
use crate::{record::Record, rules::Delivery};

/// A record that was begun in the spool and has not ended.
///
/// It ends with [`Recorder::admit_ended`] or [`Recorder::poll_admit_ended`], or comes to nothing with
/// [`Recorder::abandon`]. Where neither happens, because the process dies or forgets it, the next process
/// makes a record of it that says so.
#[derive(Debug)]
#[must_use = "what was begun has to end, or the next process will say that it did not"]
pub(crate) struct OpenTicket {
    number: OpenNumber,
    /// It is on the disk, and what it announces was allowed for that reason.
    is_intent: bool,
}

/// Until when whoever hands in a finished record waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Hold {
    /// Until it is in the file, or in the queue where there is no spool: `best_effort`.
    #[default]
    Taken,
    /// As above, and until the disk has it where the interval between syncs is zero: `durable`.
    Interval,
    /// Until the disk has it: `strict`.
    Synced,
}

impl From<Delivery> for Hold {
    fn from(class: Delivery) -> Self {
        match class {
            Delivery::BestEffort => Self::Taken,
            Delivery::Durable => Self::Interval,
            Delivery::Strict => Self::Synced,
        }
    }
}

/// Why the spool cannot vouch for a record that must not be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StrictRefused {
    /// There is no spool.
    NoSpool,
    /// The spool has no room for it.
    Full,
    /// The disk did not take it by the deadline.
    Slow,
    /// The disk refuses.
    Failed,
    /// The pipeline was shut down.
    Closed,
    /// The record does not hold all of it.
    TooLarge(admit::Cut),
}

impl StrictRefused {
    /// Returns what was too large, if that is why.
    pub(crate) const fn cut(self) -> Option<admit::Cut> {
        match self {
            Self::TooLarge(cut) => Some(cut),
            _ => None,
        }
    }

    /// Returns what a record that was refused so is counted as.
    pub(super) const fn reason(self) -> DropReason {
        match self {
            Self::Full => DropReason::SpoolFull,
            Self::Closed => DropReason::Closed,
            Self::NoSpool | Self::Slow | Self::Failed | Self::TooLarge(_) => {
                DropReason::SpoolFailed
            }
        }
    }
}

impl fmt::Display for StrictRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge(cut) => return cut.fmt(f),
            Self::NoSpool => "there is no spool",
            Self::Full => "the spool is full",
            Self::Slow => "the disk of the spool did not answer in time",
            Self::Failed => "the disk of the spool refuses",
            Self::Closed => "the pipeline was shut down",
        })
    }
}

impl From<Refused> for StrictRefused {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full | Refused::NoSpace | Refused::TooLong => Self::Full,
            Refused::Stuck => Self::Slow,
            Refused::Failed => Self::Failed,
            Refused::Closed => Self::Closed,
        }
    }
}

/// What [`Recorder::poll_begin`] remembers between two calls.
#[derive(Debug, Default)]
pub(crate) struct BeginWait {
    /// What does not fit is refused.
    must_be_whole: bool,
    begun: Option<Begun>,
    disk: DiskWait,
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
    mark: Mark,
    disk: DiskWait,
}

/// Waits for the disk, no longer than the deadline.
#[derive(Default)]
struct DiskWait {
    sync: SyncWait,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What [`Recorder::poll_admit_ended`] remembers between two calls, where there is a spool. Empty, and free, until
/// something has to be waited for.
#[derive(Default)]
pub(super) struct SpoolWait {
    is_prepared: bool,
    /// What somebody has to vouch for was cut.
    cut: Option<admit::Cut>,
    taken: Option<(Mark, Admission)>,
    disk: DiskWait,
    room: Option<Pin<Box<OwnedNotified>>>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl SpoolWait {
    pub(super) const fn is_waiting(&self) -> bool {
        self.taken.is_some() || self.room.is_some()
    }

    /// Returns what became of a record that is in the file.
    pub(super) fn taken(&self) -> Option<Admission> {
        self.taken.map(|(_, admission)| admission)
    }

    /// Tells whether the record has been prepared by an earlier call.
    pub(super) const fn is_prepared(&self) -> bool {
        self.is_prepared
    }
}

impl DiskWait {
    fn poll(
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
fn timer(core: &Core, after: Duration) -> Pin<Box<Sleep>> {
    let _runtime = core.runtime.enter();
    Box::pin(tokio::time::sleep_until(deadline_in(after)))
}

impl fmt::Debug for DiskWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskWait").field("waits", &self.deadline.is_some()).finish_non_exhaustive()
    }
}

/// For capture.
impl Recorder {
    /// Returns the class of requests whose rule names none: the strictest of builder and rules.
    pub(crate) fn mode(&self) -> Delivery {
        self.core.delivery
    }

    /// Tells whether there is a spool. Without one every class that a pipeline starts with is `best_effort`.
    pub(crate) fn has_spool(&self) -> bool {
        self.core.spooling.is_some()
    }

    /// Tells whether durable records wait for the disk: the interval between syncs is zero.
    pub(crate) fn syncs_each(&self) -> bool {
        self.core.spooling.as_ref().is_some_and(|spooling| spooling.syncs_each)
    }

    /// Returns how long a strict request waits for the disk: before its handler, and again after it.
    #[allow(dead_code, reason = "the doors below name it")]
    pub(crate) fn strict_deadline(&self) -> Duration {
        self.core.strict_deadline
    }

    /// Writes what is known of a record into the spool, so that it survives the process. Never waits.
    ///
    /// Prepares `snapshot` as a finished record is: it has its id and its times afterwards, which its
    /// draft has to take over, since both are one record. `None` without a spool, and when it has no room;
    /// nothing is counted then, since the finished record is still to come.
    pub(crate) fn begin(&self, snapshot: &mut Record) -> Option<OpenTicket> {
        let spooling = self.core.spooling.as_ref()?;
        let begun = self.write_open(spooling, snapshot, false).ok()?;
        Some(OpenTicket { number: begun.open, is_intent: false })
    }

    /// Writes the intent of a strict request into the spool, and completes when the disk has it, or by the
    /// [deadline](Self::strict_deadline).
    ///
    /// Prepares `snapshot` as [`begin`](Self::begin) does, in the first call. A caller that stops polling
    /// calls [`stop_begin`](Self::stop_begin), so that an intent of which nothing came leads to no record.
    ///
    /// # Errors
    ///
    /// When the spool cannot vouch for it: the operation must not be attempted. What was written of it is
    /// cancelled.
    pub(crate) fn poll_begin(
        &self,
        snapshot: &mut Record,
        wait: &mut BeginWait,
        cx: &mut Context<'_>,
    ) -> Poll<Result<OpenTicket, StrictRefused>> {
        let Some(spooling) = &self.core.spooling else {
            return Poll::Ready(Err(StrictRefused::NoSpool));
        };
        let begun = match wait.begun {
            Some(begun) => begun,
            None => {
                let begun = self.write_open(spooling, snapshot, wait.must_be_whole)?;
                *wait.begun.insert(begun)
            }
        };
        let synced = ready!(wait.disk.poll(&self.core, spooling, begun.mark, cx));
        wait.begun = None;
        let open = OpenTicket { number: begun.open, is_intent: true };
        Poll::Ready(match synced {
            Ok(()) => Ok(open),
            Err(refused) => {
                self.abandon(open);
                Err(refused)
            }
        })
    }

    /// Writes what is known by now of a record that was begun, so that this survives the process. Never waits; what it
    /// returns may be waited for with [`poll_renewed`](Self::poll_renewed).
    ///
    /// `snapshot` has the id and the times under which it was begun. `None` when the spool has no room: what was known
    /// then stays.
    pub(crate) fn renew(&self, snapshot: &mut Record, open: &OpenTicket) -> Option<Renewed> {
        let core = &*self.core;
        let spooling = core.spooling.as_ref()?;
        if !core.queue.enter() {
            return None;
        }
        admit::prepare(core, snapshot);
        let share = match share(snapshot, Lane::of(snapshot)) {
            // What was begun was admitted then.
            Share::General => Share::Security,
            share => share,
        };
        let renewed = spooling.renew(share, open.number, core.clock.now(), snapshot);
        core.queue.leave();
        Some(Renewed { mark: renewed.ok()?, disk: DiskWait::default() })
    }

    /// Completes when the disk has what was written, or by the [deadline](Self::strict_deadline).
    pub(crate) fn poll_renewed(&self, renewed: &mut Renewed, cx: &mut Context<'_>) -> Poll<()> {
        let Some(spooling) = &self.core.spooling else { return Poll::Ready(()) };
        let Renewed { mark, disk } = renewed;
        disk.poll(&self.core, spooling, *mark, cx).map(drop)
    }

    /// Takes back what [`poll_begin`](Self::poll_begin) has written, when nobody waits for it any more.
    pub(crate) fn stop_begin(&self, wait: BeginWait) {
        if let Some(begun) = wait.begun {
            self.abandon(OpenTicket { number: begun.open, is_intent: true });
        }
    }

    /// Finishes a draft, and with it what was begun of it. Never waits, and does not panic, so that `Drop`
    /// may call it.
    pub(crate) fn admit_ended(
        &self,
        mut draft: Box<Record>,
        open: Option<OpenTicket>,
    ) -> Admission {
        let core = &*self.core;
        let (Some(spooling), Some(open)) = (&core.spooling, open) else { return self.admit(draft) };
        core.counters.close_draft();
        admit::prepare(core, &mut draft);
        core.counters.receive();
        let lane = Lane::of(&draft);
        match core.spool(spooling, draft, lane, Some(open.number)) {
            Ok((id, _)) => Admission::Accepted(id),
            Err((record, refused)) => core.forgo(spooling, record, Some(open), refused),
        }
    }

    /// Finishes a draft, and with it what was begun of it, where waiting is possible.
    ///
    /// Draft and ticket are taken out of their places as soon as the record has been taken: from then on
    /// only the waiting for the disk is given up when the caller stops polling. One that stops before still
    /// has them, and passes them to [`admit_ended`](Self::admit_ended).
    ///
    /// # Errors
    ///
    /// Only under [`Hold::Synced`], when the disk does not have the record by the
    /// [deadline](Self::strict_deadline), or has it without what was too large: the operation was carried out, and
    /// nobody vouches for its record. It has been counted, and may still be stored; where the spool refused it, its
    /// intent is there.
    pub(crate) fn poll_admit_ended(
        &self,
        draft: &mut Option<Box<Record>>,
        open: &mut Option<OpenTicket>,
        hold: Hold,
        wait: &mut AdmitWait,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Admission, StrictRefused>> {
        let core = &*self.core;
        let Some(spooling) = &core.spooling else {
            let admission = ready!(self.poll_admit(draft, wait, cx));
            return Poll::Ready(match hold {
                Hold::Taken | Hold::Interval => Ok(admission),
                Hold::Synced => Err(StrictRefused::NoSpool),
            });
        };
        let is_first = !wait.spool.is_prepared && wait.spool.taken.is_none();
        // What was begun is there already, and has to end as the record that it is.
        if is_first
            && open.is_none()
            && let Some(record) = draft.take_if(|record| core.fold(record))
        {
            self.give_back(record);
            return Poll::Ready(Ok(Admission::Folded));
        }
        let had = draft.is_some();
        let polled = self.poll_spool(spooling, draft, open, hold, &mut wait.spool, cx);
        if had && draft.is_none() {
            core.counters.close_draft();
        }
        polled
    }

    /// Says that what was begun leads to no record: it was discarded, or no rule wants it.
    pub(crate) fn abandon(&self, open: OpenTicket) {
        if let Some(spooling) = &self.core.spooling {
            // Where that cannot be written, a crash later on says one thing too many.
            if spooling.spool.cancel(open.number).is_err() {
                spooling.spool.forget(open.number);
            }
        }
    }

    fn write_open(
        &self,
        spooling: &Spooling,
        snapshot: &mut Record,
        must_be_whole: bool,
    ) -> Result<Begun, StrictRefused> {
        let core = &*self.core;
        admit::prepare(core, snapshot);
        if must_be_whole && let Some(cut) = admit::cut(snapshot) {
            return Err(StrictRefused::TooLarge(cut));
        }
        if !core.queue.enter() {
            return Err(StrictRefused::Closed);
        }
        let share = share(snapshot, Lane::of(snapshot));
        let begun = spooling.begin(share, core.clock.now(), snapshot);
        core.queue.leave();
        Ok(begun?)
    }

    /// Writes a record into the spool, and waits for room, and for the disk, as its class and the overflow ask.
    pub(super) fn poll_spool(
        &self,
        spooling: &Spooling,
        slot: &mut Option<Box<Record>>,
        open: &mut Option<OpenTicket>,
        hold: Hold,
        wait: &mut SpoolWait,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Admission, StrictRefused>> {
        let core = &*self.core;
        loop {
            if let Some((mark, admission)) = wait.taken {
                let synced = ready!(wait.disk.poll(core, spooling, mark, cx));
                return Poll::Ready(match (synced, hold) {
                    (Err(refused), Hold::Synced) => Err(refused),
                    (Ok(()), Hold::Synced) if let Some(cut) = wait.cut => {
                        Err(StrictRefused::TooLarge(cut))
                    }
                    // It is in the file: durable, if later than its interval says.
                    _ => Ok(admission),
                });
            }
            let Some(mut record) = slot.take() else {
                // Asked again after the answer.
                return Poll::Ready(Ok(Admission::Dropped(DropReason::Closed)));
            };
            if !wait.is_prepared {
                admit::prepare(core, &mut record);
                wait.is_prepared = true;
                wait.cut = admit::cut(&record).filter(|_| hold == Hold::Synced);
            }
            // Before the attempt: room that appears after it notifies this one.
            let room = wait.room.take();
            let lane = Lane::of(&record);
            core.counters.receive();
            let ends = open.as_ref().map(|open| open.number);
            let (record, refused) = match core.spool(spooling, record, lane, ends) {
                Ok((id, mark)) => {
                    *open = None;
                    let admission = Admission::Accepted(id);
                    if hold == Hold::Synced || (hold == Hold::Interval && spooling.syncs_each) {
                        wait.taken = Some((mark, admission));
                        continue;
                    }
                    return Poll::Ready(Ok(admission));
                }
                Err(refused) => refused,
            };
            let is_over = match patience(core, hold, refused) {
                None => true,
                Some(patience) => {
                    let until = wait.patience.get_or_insert_with(|| timer(core, patience));
                    until.as_mut().poll(cx).is_ready()
                }
            };
            if is_over {
                let admission = core.forgo(spooling, record, open.take(), refused);
                return Poll::Ready(match hold {
                    Hold::Synced => Err(refused.into()),
                    Hold::Taken | Hold::Interval => Ok(admission),
                });
            }
            core.counters.unreceive();
            *slot = Some(record);
            if let Some(mut room) = room
                && room.as_mut().poll(cx).is_pending()
            {
                wait.room = Some(room);
                return Poll::Pending;
            }
            // Once more, now that what comes is noticed.
            let mut room = Box::pin(spooling.spool.room().notified_owned());
            room.as_mut().enable();
            wait.room = Some(room);
        }
    }
}

impl Core {
    /// Settles what becomes of a record that was received and that the spool refuses, so that it is told of once.
    ///
    /// What was begun of it is cancelled, which takes next to no room, and the record is lost. An intent stays, and so
    /// does what cannot be cancelled: its end is [kept](super::unended) until there is room. Where that is not to be, as
    /// for what was begun before a shutdown and ends behind it, the next process makes the record of it, as far as it
    /// was known, as if this one had been killed. Then nothing is lost, and it counts as what waits in the spool.
    fn forgo(
        &self,
        spooling: &Spooling,
        record: Box<Record>,
        open: Option<OpenTicket>,
        refused: Refused,
    ) -> Admission {
        let is_closed = refused == Refused::Closed;
        let stays = open.filter(|open| {
            open.is_intent || is_closed || spooling.spool.cancel(open.number).is_err()
        });
        let Some(open) = stays else {
            return self.lose(record, spooling::reason(refused));
        };
        self.counters.spool();
        let id = record.id;
        let kept = if is_closed { Err(record) } else { spooling.unended.keep(record, open.number) };
        match kept {
            Ok(()) => self.queue.nudge(),
            Err(record) => self.pool.put(record),
        }
        Admission::Accepted(id)
    }
}

/// Returns how long a record may wait for what refused it to pass.
fn patience(core: &Core, hold: Hold, refused: Refused) -> Option<Duration> {
    match (refused, hold) {
        // Nobody is let wait for a disk twice.
        (_, Hold::Synced) | (Refused::Closed | Refused::TooLong, _) => None,
        (Refused::Stuck, Hold::Interval) => Some(core.strict_deadline),
        _ => match core.overflow {
            Overflow::Block(patience) => Some(patience),
            Overflow::DropNewest => None,
        },
    }
}
