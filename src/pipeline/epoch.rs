//! Which epoch of the ledger this process has seen, and when another one is to begin.

use crate::{ledger::Entry, store::Batch};

/// What the writer remembers of the ledger's epochs.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    /// The newest epoch among the entries that an append has named; 0 before the first.
    seen: i64,
    /// Whether the store was found behind, and nothing was appended since.
    lost: bool,
    /// The connection over which it was last found behind. What a stream lacks that was there before that, and was
    /// not looked at since, is part of the same loss.
    found_at: u64,
}

impl Epochs {
    /// Notes that the store, asked over connection `now`, holds less of a stream than it did over connection
    /// `known_at`: the next batch opens an epoch, if that is not the loss that one was opened for already.
    pub(super) const fn lose(&mut self, known_at: u64, now: u64) {
        if known_at >= self.found_at {
            self.lost = true;
            self.found_at = now;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_loss_opens_one_epoch_however_many_streams_have_lost() {
        let mut epochs = Epochs::default();
        epochs.lose(1, 2);
        assert!(epochs.lost);
        epochs.settled(&[]);
        // Another stream, over the same connection and over a later one.
        for now in [2, 3] {
            epochs.lose(1, now);
            assert!(!epochs.lost, "it was seen whole before the loss only");
        }
        epochs.lose(2, 4);
        assert!(epochs.lost, "it was whole after the first loss");
    }
}
