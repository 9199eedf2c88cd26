//! What a request has in the spool before it has ended, and what somebody waits for there.
//!
//! Three doors for capture. [`Recorder::begin`] writes what is known at the head of a response, and never
//! waits. [`Recorder::poll_begin`] writes the intent of a strict request and waits until the disk has it.
//! [`Recorder::poll_admit_ended`] writes the finished record, which ends what was begun, and waits as long as
//! its class asks for. Without a spool there is nothing to begin, and the last is
//! [`poll_admit`](Recorder::poll_admit).

mod finish;
mod refused;
mod waits;

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

pub(crate) use refused::StrictRefused;
use waits::DiskWait;
pub(super) use waits::SpoolWait;
pub(crate) use waits::{BeginWait, Renewed};

use super::{
    admit,
    queue::Lane,
    recorder::Recorder,
    spool::{Begun, OpenNumber, Share},
    spooling::{Spooling, share},
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
}
