//! The doors of the recorder, as capture knows them: they count what comes in.

use std::task::{Context, Poll};

use shuttle::sync::Mutex;

use crate::{record::Record, rules::Delivery};

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OpenTicket(pub(crate) usize);

#[derive(Debug, Default)]
pub(crate) struct BeginWait {
    was_asked: bool,
    begun: Option<OpenTicket>,
}

impl BeginWait {
    pub(crate) fn whole() -> Self {
        Self::default()
    }
}

#[derive(Debug)]
pub(crate) struct Renewed;

#[derive(Debug, Default)]
pub(crate) struct AdmitWait(bool);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold;

impl From<Delivery> for Hold {
    fn from(_: Delivery) -> Self {
        Self
    }
}

impl Hold {
    #[allow(non_upper_case_globals, reason = "a variant there")]
    pub(crate) const Taken: Self = Self;
}

#[derive(Debug)]
pub(crate) struct Admission;

#[derive(Debug)]
pub(crate) struct StrictRefused;

/// What became of records and of what was begun of them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) begun: usize,
    pub(crate) ended: Vec<(Box<Record>, Option<OpenTicket>)>,
    pub(crate) abandoned: Vec<OpenTicket>,
    pub(crate) given_back: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Recorder(pub(crate) Mutex<Seen>);

impl Recorder {
    pub(crate) fn see<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(crate) fn give_back(&self, _: Box<Record>) {
        self.see(|seen| seen.given_back += 1);
    }

    pub(crate) fn spare(&self) -> Box<Record> {
        Box::default()
    }

    pub(crate) fn put_spare(&self, _: Box<Record>) {}

    pub(crate) fn has_spool(&self) -> bool {
        true
    }

    pub(crate) fn syncs_each(&self) -> bool {
        false
    }

    pub(crate) fn begin(&self, _: &mut Record) -> Option<OpenTicket> {
        self.see(|seen| {
            seen.begun += 1;
            Some(OpenTicket(seen.begun))
        })
    }

    /// The disk has it when it is asked again.
    pub(crate) fn poll_begin(
        &self,
        snapshot: &mut Record,
        wait: &mut BeginWait,
        _: &mut Context<'_>,
    ) -> Poll<Result<OpenTicket, StrictRefused>> {
        if !std::mem::replace(&mut wait.was_asked, true) {
            wait.begun = self.begin(snapshot);
            return Poll::Pending;
        }
        Poll::Ready(wait.begun.take().ok_or(StrictRefused))
    }

    pub(crate) fn stop_begin(&self, wait: BeginWait) {
        if let Some(ticket) = wait.begun {
            self.abandon(ticket);
        }
    }

    pub(crate) fn renew(&self, _: &mut Record, _: &OpenTicket) -> Option<Renewed> {
        Some(Renewed)
    }

    pub(crate) fn poll_renewed(&self, _: &mut Renewed, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    pub(crate) fn abandon(&self, ticket: OpenTicket) {
        self.see(|seen| seen.abandoned.push(ticket));
    }

    pub(crate) fn admit_ended(&self, record: Box<Record>, open: Option<OpenTicket>) -> Admission {
        self.see(|seen| seen.ended.push((record, open)));
        Admission
    }

    /// There is room when it is asked again.
    pub(crate) fn poll_admit_ended(
        &self,
        draft: &mut Option<Box<Record>>,
        open: &mut Option<OpenTicket>,
        _: Hold,
        wait: &mut AdmitWait,
        _: &mut Context<'_>,
    ) -> Poll<Result<Admission, StrictRefused>> {
        if !std::mem::replace(&mut wait.0, true) {
            return Poll::Pending;
        }
        let record = draft.take().expect("asked no more after the answer");
        Poll::Ready(Ok(self.admit_ended(record, open.take())))
    }
}
