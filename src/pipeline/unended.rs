//! Ends that the spool refused, whose beginnings are there and could not be taken back: written when there is room.
//!
//! What began is in the spool and counts as what waits there. While this process lives, it knows how that ended, and
//! tells it itself. What is not written by its end, or finds no place here, the next process tells of: as far as it was known
//! at its beginning.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    core::Core,
    queue::Lane,
    spool::OpenNumber,
    spooling::{Spooling, share},
};
use crate::record::Record;

/// A disk that fails lets nothing begin: there are as many as requests were in flight then.
const MOST: usize = 1_024;
/// A part of the memory that a queue may hold by default.
const MOST_BYTES: usize = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Unended(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    ends: VecDeque<(Box<Record>, OpenNumber)>,
    bytes: usize,
}

impl Unended {
    /// Takes the end of what was begun; it comes back when there are too many.
    pub(super) fn keep(&self, record: Box<Record>, open: OpenNumber) -> Result<(), Box<Record>> {
        let mut waiting = self.lock();
        let bytes = waiting.bytes.saturating_add(record.footprint());
        if waiting.ends.len() >= MOST || bytes > MOST_BYTES {
            return Err(record);
        }
        waiting.bytes = bytes;
        waiting.ends.push_back((record, open));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().ends.is_empty()
    }

    /// Writes what there is room for, the oldest first.
    pub(super) fn send(&self, core: &Core, spooling: &Spooling) {
        loop {
            // The lock is not held during an append, which may take its time: who ends a request waits for it.
            let next = {
                let mut waiting = self.lock();
                let next = waiting.ends.pop_front();
                let size = next.as_ref().map_or(0, |(record, _)| record.footprint());
                waiting.bytes = waiting.bytes.saturating_sub(size);
                next
            };
            let Some((record, open)) = next else { return };
            let share = share(&record, Lane::of(&record));
            // It was counted as spooled when it was kept.
            match spooling.append(share, Some(open), core.clock.now(), &record) {
                Ok(_) => core.pool.put(record),
                Err(_refused) => {
                    let mut waiting = self.lock();
                    waiting.bytes = waiting.bytes.saturating_add(record.footprint());
                    waiting.ends.push_front((record, open));
                    return;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_memory_is_for() {
        let unended = Unended::default();
        for open in 0..MOST as u64 {
            unended.keep(Box::default(), open).unwrap();
        }
        assert!(unended.keep(Box::default(), 0).is_err());
        let unended = Unended::default();
        let large = || {
            let mut record = Box::<Record>::default();
            record.metadata.buffer().push_str(&"x".repeat(1 << 20));
            record
        };
        let kept = (0..MOST as u64).take_while(|open| unended.keep(large(), *open).is_ok());
        assert_eq!(kept.count(), 3);
    }
}
