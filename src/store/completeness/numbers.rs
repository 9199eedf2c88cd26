//! Which numbers of a stream were committed, and which of them only a stub stands for.

use crate::{ledger::Entry, record::WriterId, time::Timestamp};

/// What the ledger says of a stream.
#[derive(Debug, Clone)]
pub(in crate::store) struct Numbers {
    pub(in crate::store) writer_id: WriterId,
    pub(in crate::store) first_seq: i64,
    pub(in crate::store) last_seq: i64,
    pub(in crate::store) count: i64,
    pub(in crate::store) entries: i64,
    pub(in crate::store) breaks: i64,
    pub(in crate::store) first_epoch: i64,
    pub(in crate::store) last_epoch: i64,
    pub(in crate::store) began_at: Timestamp,
    pub(in crate::store) last_at: Timestamp,
    /// The earliest `occurred_at` of the first entry: nothing that a pipeline says of itself is earlier.
    pub(in crate::store) first_occurred: Timestamp,
}

impl Numbers {
    /// Begins with the last entry of a stream, which [`prepend`](Self::prepend) counts.
    pub(in crate::store) fn ending_with(entry: &Entry) -> Self {
        Self {
            writer_id: entry.new.writer_id,
            first_seq: entry.new.last_seq + 1,
            last_seq: entry.new.last_seq,
            count: 0,
            entries: 0,
            breaks: 0,
            first_epoch: entry.epoch,
            last_epoch: entry.epoch,
            began_at: entry.committed_at,
            last_at: entry.committed_at,
            first_occurred: entry.new.first_at,
        }
    }

    /// Counts the entry before those that are counted.
    pub(in crate::store) fn prepend(&mut self, entry: &Entry) {
        self.breaks += i64::from(entry.new.last_seq + 1 != self.first_seq);
        self.first_seq = entry.new.first_seq;
        self.count += entry.new.count();
        self.entries += 1;
        self.first_epoch = entry.epoch;
        self.began_at = entry.committed_at;
        self.first_occurred = entry.new.first_at;
    }
}
