//! The finished record: into the spool, with what was begun of it, and onto the disk where its class asks for that.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    Hold, OpenTicket, StrictRefused,
    waits::{SpoolWait, timer},
};
use crate::{
    pipeline::{
        admit,
        core::Core,
        queue::Lane,
        recorder::{Admission, AdmitWait, Recorder},
        settings::Overflow,
        spool::Refused,
        spooling::{self, Spooling},
        tally::DropReason,
    },
    record::Record,
};

impl Recorder {
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

    /// Writes a record into the spool, and waits for room, and for the disk, as its class and the overflow ask.
    pub(in crate::pipeline) fn poll_spool(
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
    /// does what cannot be cancelled: its end is [kept](crate::pipeline::unended) until there is room. Where that is not to be, as
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
