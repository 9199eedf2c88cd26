//! What goes on behind the head of an answer.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use http::StatusCode;

use super::{
    Visit,
    record::{self, Ended},
};

/// An export or a live session. Its end, and how much was shown by then, is recorded when it is dropped.
pub(in crate::api) struct Session {
    visit: Arc<Visit>,
    shown: AtomicU64,
    complete: AtomicBool,
    broken: AtomicBool,
}

impl Session {
    pub(super) fn begin(visit: Arc<Visit>) -> Self {
        if visit.settle() {
            visit.record(Ended::Answered(StatusCode::OK));
        }
        Self {
            visit,
            shown: AtomicU64::new(0),
            complete: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }

    /// Counts records that were handed on.
    pub(in crate::api) fn showed(&self, records: usize) {
        self.shown.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Says that it came to its end; otherwise the client went away before.
    pub(in crate::api) fn complete(&self) {
        self.complete.store(true, Ordering::Relaxed);
    }

    /// Says that it broke off, and not by the client's doing.
    pub(in crate::api) fn broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let ended = match self.broken.load(Ordering::Relaxed) {
            true => Ended::Broken,
            false => Ended::Session(self.complete.load(Ordering::Relaxed)),
        };
        let shown = self.shown.load(Ordering::Relaxed);
        record::record(&self.visit, ended, self.visit.asked.text.clone(), Some(shown));
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("shown", &self.shown).finish_non_exhaustive()
    }
}
