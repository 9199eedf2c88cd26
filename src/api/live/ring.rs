//! The newest entries of the ledger with their records, shared by all who listen.

use std::collections::VecDeque;

use super::place::Place;
use crate::pipeline::Committed;

/// How many of the newest records are kept: seconds of a busy service.
pub(super) const RING_RECORDS: usize = 8_192;
/// What they may occupy.
pub(super) const RING_BYTES: usize = 16 * 1024 * 1024;

/// The end of the ledger: consecutive entries up to the last that is known, as many as there is room for.
#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<Committed>,
    /// The position of the last entry, also when it was too large to be kept.
    position: i64,
    records: usize,
    bytes: usize,
}

/// What comes after a place.
#[derive(Debug)]
pub(super) enum Ahead {
    /// This entry.
    Entry(Committed),
    /// Nothing yet.
    Level,
    /// What is no longer kept here.
    Older,
}

impl Ring {
    /// Begins behind the entry at `position`.
    pub(super) const fn at(position: i64) -> Self {
        Self { entries: VecDeque::new(), position, records: 0, bytes: 0 }
    }

    pub(super) const fn position(&self) -> i64 {
        self.position
    }

    pub(super) fn after(&self, place: Place) -> Ahead {
        let ahead = self.position - place.position;
        if ahead <= 0 {
            return Ahead::Level;
        }
        let at =
            usize::try_from(ahead).ok().and_then(|ahead| self.entries.len().checked_sub(ahead));
        at.and_then(|at| self.entries.get(at)).cloned().map_or(Ahead::Older, Ahead::Entry)
    }

    /// Adds the next entry, and calls `gone` with each that has to make room; anything but the next entry
    /// changes nothing.
    pub(super) fn push(&mut self, committed: Committed, mut gone: impl FnMut(&Committed)) {
        if committed.position != self.position + 1 {
            return;
        }
        self.position = committed.position;
        self.records += committed.records.len();
        self.bytes += committed.bytes;
        self.entries.push_back(committed);
        while self.records > RING_RECORDS || self.bytes > RING_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.records -= oldest.records.len();
            self.bytes -= oldest.bytes;
            gone(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::Record;

    fn entry(position: i64, records: usize, body: usize) -> Committed {
        let record = || {
            let mut record = Record::default();
            record.request_body.buffer().reserve_exact(body);
            Arc::new(record)
        };
        Committed::new(position, 1, (0..records).map(|_| record()).collect())
    }

    #[test]
    fn what_comes_after_a_place_is_found_level_or_older() {
        let mut ring = Ring::at(4);
        assert!(matches!(ring.after(Place::behind(4)), Ahead::Level));
        assert!(matches!(ring.after(Place::behind(3)), Ahead::Older));
        ring.push(entry(5, 1, 0), |_| {});
        ring.push(entry(6, 2, 0), |_| {});
        ring.push(entry(6, 2, 0), |_| {});
        ring.push(entry(8, 2, 0), |_| {});
        assert_eq!(ring.position(), 6);
        let found = |place| match ring.after(place) {
            Ahead::Entry(entry) => entry.position,
            Ahead::Level => 0,
            Ahead::Older => -1,
        };
        let places = [3, 4, 5, 6, 7, -9].map(Place::behind);
        assert_eq!(places.map(found), [-1, 5, 6, 0, 0, -1]);
        assert_eq!(found(Place::within(6, 1, 1)), 6);
    }

    #[test]
    fn the_ring_keeps_to_its_count_and_its_bytes() {
        for (records, body) in [(100, 0), (3, RING_BYTES / 10), (1, RING_BYTES + 1)] {
            let mut ring = Ring::at(0);
            let mut gone = Vec::new();
            for position in 1..=200 {
                ring.push(entry(position, records, body), |old| gone.push(old.position));
                assert!(ring.records <= RING_RECORDS && ring.bytes <= RING_BYTES);
                let kept: usize = ring.entries.iter().map(|entry| entry.bytes).sum();
                assert_eq!(ring.bytes, kept);
            }
            assert_eq!(ring.position(), 200);
            assert!(gone.iter().copied().eq(1..=200 - ring.entries.len() as i64));
        }
    }
}
