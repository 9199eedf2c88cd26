//! The guard around whatever runs code of the application.

use super::draft::{Draft, finish_panicked};

/// Finishes the draft as a panic if unwinding passes through.
///
/// An outer layer that catches panics drops us only later, when nothing is unwinding any more: then it
/// would look like a client that went away.
pub(super) struct PanicGuard<'a> {
    draft: &'a mut Option<Draft>,
    armed: bool,
}

impl<'a> PanicGuard<'a> {
    pub(super) const fn new(draft: &'a mut Option<Draft>) -> Self {
        Self { draft, armed: true }
    }

    /// Says that the code came back.
    pub(super) fn disarm(mut self) {
        self.armed = false;
    }

    /// Returns the draft, for code that may look at it.
    pub(super) const fn draft(&self) -> Option<&Draft> {
        self.draft.as_ref()
    }
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if self.armed {
            finish_panicked(self.draft.take());
        }
    }
}
