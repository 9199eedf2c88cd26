//! The pool of used records: what makes a recorded request free of allocations.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

use super::queue::Apart;
use crate::record::Record;

/// Keeps cleared records with their buffers, bounded by count and by bytes.
///
/// Its bytes are part of the queue's budget: one part in [`PART`] is set aside for it.
#[derive(Debug)]
pub(super) struct Pool {
    idle: ArrayQueue<Idle>,
    bytes: Apart<AtomicU64>,
    max_bytes: u64,
}

#[derive(Debug)]
struct Idle {
    record: Box<Record>,
    bytes: u64,
}

/// The pool's share of the budget. Records are pooled so that as many stay as are on their way at
/// ordinary times; under overload all of them are in the queue, and the pool is empty.
pub(super) const PART: usize = 4;

impl Pool {
    pub(super) fn new(count: usize, max_bytes: usize) -> Self {
        Self { idle: ArrayQueue::new(count), bytes: Apart::default(), max_bytes: max_bytes as u64 }
    }

    /// Returns a cleared record.
    pub(super) fn take(&self) -> Box<Record> {
        match self.idle.pop() {
            Some(Idle { record, bytes }) => {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                record
            }
            None => Box::default(),
        }
    }

    /// Takes a record back, or lets it go when there are enough.
    pub(super) fn put(&self, mut record: Box<Record>) {
        record.clear();
        let bytes = record.footprint() as u64;
        // Counted before it is there, so that the bytes in the pool are never more than what is counted.
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.max_bytes
            || self.idle.push(Idle { record, bytes }).is_err()
        {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Returns the bytes of the records that lie idle.
    #[cfg_attr(not(any(test, feature = "metrics")), expect(dead_code, reason = "for metrics"))]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_empty_with_its_buffers() {
        let pool = Pool::new(4, 1 << 20);
        let mut record = pool.take();
        record.path.set("/api/orders/55");
        record.seq = 9;
        let capacity = record.path.capacity();
        pool.put(record);
        let record = pool.take();
        assert_eq!(*record, Record::default());
        assert_eq!(record.path.capacity(), capacity);
        assert_eq!(pool.bytes(), 0);
    }

    #[test]
    fn the_pool_keeps_to_its_bytes_and_its_count() {
        let size = size_of::<Record>();
        let pool = Pool::new(8, size * 3);
        for _ in 0..5 {
            pool.put(Box::default());
        }
        assert_eq!(pool.bytes(), size as u64 * 3);
        let pool = Pool::new(2, size * 30);
        for _ in 0..5 {
            pool.put(Box::default());
        }
        assert_eq!(pool.bytes(), size as u64 * 2);
    }
}
