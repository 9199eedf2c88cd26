//! Where the records of a batch come from, and what that decides about their numbers.
//!
//! Three things number records: the writer of the queue, when it closes a batch, the spool, when it
//! writes a frame, and an outbox, when rows are claimed. How a batch is seen into the store is the same for all,
//! see [`settle`](super::settle); this is what differs.

use super::core::Core;
use crate::record::Record;

pub(super) trait Source: Send {
    /// Gives the records of one append their last order. Called again with the same records, it changes nothing.
    fn arrange(&mut self, records: &mut [Box<Record>]);

    /// Takes back what [`arrange`](Self::arrange) did: the records will be sent in parts.
    fn disarrange(&mut self, records: &mut [Box<Record>]);

    /// Counts records that are stored, and no longer needed where they came from.
    fn settled(&mut self, core: &Core, records: &[Box<Record>]);

    /// Counts a record of which only a stub is stored.
    fn quarantined(&mut self, core: &Core) {
        core.counters.quarantine();
    }

    /// Tells whether the store may hold all of a batch, and more, without anything being wrong: the stream is kept in
    /// files, and somebody else may have sent a copy of them. `found` is where the store stands.
    fn is_sent_by_others(&mut self, _found: i64) -> bool {
        false
    }

    /// The store stands at `found` in the stream of `batch`, which is neither right before the batch nor within
    /// it. What is to be sent next is in the batch afterwards; an empty one says that it has to be read again.
    fn disagree(&mut self, core: &Core, batch: &mut Vec<Box<Record>>, found: i64);
}
