//! Which epoch of the ledger this process has seen, and when another one is to begin.

use crate::{ledger::Entry, store::Batch};

/// What the writer remembers of the ledger's epochs.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    /// The newest epoch among the entries that an append has named; 0 before the first.
    seen: i64,
    /// Whether the store was found behind, and nothing was appended since.
    lost: bool,
}

impl Epochs {
    /// Notes that the store holds less than was committed to it: the next batch opens an epoch.
    pub(super) const fn lose(&mut self) {
        self.lost = true;
    }

    /// Marks a batch, if it is the first since the store was found behind.
    pub(super) const fn mark<'a>(&self, batch: Batch<'a>) -> Batch<'a> {
        if self.lost { batch.after_loss(self.seen) } else { batch }
    }

    /// Notes what an append left; `entries` is empty when its answer never came. Either way the batch is
    /// there, and its epoch with it.
    pub(super) fn settled(&mut self, entries: &[Entry]) {
        self.lost = false;
        self.seen = entries.iter().map(|entry| entry.epoch).fold(self.seen, i64::max);
    }
}
