//! What a request has in the spool before it has ended, and what somebody waits for there.
//!
//! Three doors for capture. [`Recorder::begin`] writes what is known at the head of a response, and never
//! waits. [`Recorder::poll_begin`] writes the intent of a strict request and waits until the disk has it.
//! [`Recorder::poll_admit_ended`] writes the finished record, which ends what was begun, and waits as long as
//! its class asks for. Without a spool there is nothing to begin, and the last is
//! [`poll_admit`](Recorder::poll_admit).

use std::{
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use super::recorder::{Admission, AdmitWait, Recorder};
use crate::{record::Record, rules::Delivery};

/// A record that was begun in the spool and has not ended.
///
/// It ends with [`Recorder::admit_ended`] or [`Recorder::poll_admit_ended`], or comes to nothing with
/// [`Recorder::abandon`]. Where neither happens, because the process dies or forgets it, the next process
/// makes a record of it that says so.
#[derive(Debug)]
#[must_use = "what was begun has to end, or the next process will say that it did not"]
pub(crate) struct OpenTicket {
    number: u64,
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
#[allow(dead_code, reason = "said by the spool")]
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
}

impl fmt::Display for StrictRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSpool => "there is no spool",
            Self::Full => "the spool is full",
            Self::Slow => "the disk of the spool did not answer in time",
            Self::Failed => "the disk of the spool refuses",
            Self::Closed => "the pipeline was shut down",
        })
    }
}

/// What [`Recorder::poll_begin`] remembers between two calls.
#[derive(Debug, Default)]
pub(crate) struct BeginWait {}

/// For capture.
#[allow(dead_code, reason = "capture takes these doors next")]
impl Recorder {
    /// Returns the class of requests whose rule names none: the strictest of builder and rules.
    pub(crate) fn mode(&self) -> Delivery {
        self.core.delivery
    }

    /// Tells whether there is a spool. Without one every class that a pipeline starts with is `best_effort`.
    #[allow(clippy::unused_self, reason = "asked of the spool, once there is one")]
    pub(crate) const fn has_spool(&self) -> bool {
        false
    }

    /// Returns how long a strict request waits for the disk: before its handler, and again after it.
    pub(crate) fn strict_deadline(&self) -> Duration {
        self.core.strict_deadline
    }

    /// Writes what is known of a record into the spool, so that it survives the process. Never waits.
    ///
    /// Prepares `snapshot` as a finished record is: it has its id and its times afterwards, which its
    /// draft has to take over, since both are one record. `None` without a spool, and when it has no room;
    /// nothing is counted then, since the finished record is still to come.
    #[allow(clippy::needless_pass_by_ref_mut, reason = "prepared, once there is a spool")]
    pub(crate) fn begin(&self, snapshot: &mut Record) -> Option<OpenTicket> {
        let _nothing_to_begin_in = (self, snapshot);
        None
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
    #[allow(clippy::needless_pass_by_ref_mut, reason = "prepared, once there is a spool")]
    pub(crate) fn poll_begin(
        &self,
        snapshot: &mut Record,
        wait: &mut BeginWait,
        cx: &mut Context<'_>,
    ) -> Poll<Result<OpenTicket, StrictRefused>> {
        let _nothing_to_begin_in = (self, snapshot, wait, cx);
        Poll::Ready(Err(StrictRefused::NoSpool))
    }

    /// Takes back what [`poll_begin`](Self::poll_begin) has written, when nobody waits for it any more.
    #[allow(clippy::unused_self, reason = "of the spool, once there is one")]
    pub(crate) fn stop_begin(&self, wait: BeginWait) {
        let _nothing_was_begun = wait;
    }

    /// Finishes a draft, and with it what was begun of it. Never waits, and does not panic, so that `Drop`
    /// may call it.
    pub(crate) fn admit_ended(&self, draft: Box<Record>, open: Option<OpenTicket>) -> Admission {
        drop(open);
        self.admit(draft)
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
    /// [deadline](Self::strict_deadline): the operation was carried out, and nobody vouches for its record.
    /// It has been counted, and may still be stored.
    pub(crate) fn poll_admit_ended(
        &self,
        draft: &mut Option<Box<Record>>,
        open: &mut Option<OpenTicket>,
        hold: Hold,
        wait: &mut AdmitWait,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Admission, StrictRefused>> {
        let admission = std::task::ready!(self.poll_admit(draft, wait, cx));
        drop(open.take());
        Poll::Ready(match hold {
            Hold::Taken | Hold::Interval => Ok(admission),
            Hold::Synced => Err(StrictRefused::NoSpool),
        })
    }

    /// Says that what was begun leads to no record: it was discarded, or no rule wants it.
    #[allow(clippy::unused_self, reason = "of the spool, once there is one")]
    pub(crate) fn abandon(&self, open: OpenTicket) {
        let _nothing_was_begun = open.number;
    }
}
