//! The pool of used records: what makes a recorded request free of allocations.
//!
//! Last in, first out: a record is some thirty cache lines and as many buffers, and the one that was used
//! last is still in the cache. In a ring every request would begin with the coldest record of all, which
//! costs more than everything that is done to it.

use std::{
    cell::Cell,
    sync::{Mutex, MutexGuard, TryLockError},
};

use super::queue::Apart;
use crate::record::Record;

/// Keeps cleared records with their buffers, bounded by count and by bytes.
///
/// Its bytes are part of the queue's budget: one part in [`PART`] is set aside for it. Nobody ever waits
/// for a stack: where one is busy the next is asked, and where all are, a record is made or let go.
#[derive(Debug)]
pub(super) struct Pool {
    stacks: Box<[Apart<Mutex<Stack>>]>,
    /// What each stack may hold.
    max_count: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Stack {
    idle: Vec<Idle>,
    bytes: usize,
}

#[derive(Debug)]
struct Idle {
    record: Box<Record>,
    bytes: usize,
}

/// The pool's share of the budget. Records are pooled so that as many stay as are on their way at
/// ordinary times; under overload all of them are in the queue, and the pool is empty.
pub(super) const PART: usize = 4;

/// As many as keep threads out of each other's way; small pools are not worth dividing.
const MOST_STACKS: usize = 8;
const LEAST_PER_STACK: usize = 64;

thread_local! {
    /// The stack where this thread found its last record, and looks first for the next one.
    static NEAREST: Cell<usize> = const { Cell::new(0) };
}

impl Pool {
    pub(super) fn new(count: usize, max_bytes: usize) -> Self {
        let stacks = (count / LEAST_PER_STACK).clamp(1, MOST_STACKS);
        let max_count = count / stacks;
        let stack = |_| {
            let idle = Vec::with_capacity(max_count);
            Apart(Mutex::new(Stack { idle, bytes: 0 }))
        };
        Self { stacks: (0..stacks).map(stack).collect(), max_count, max_bytes: max_bytes / stacks }
    }

    /// Returns a cleared record.
    pub(super) fn take(&self) -> Box<Record> {
        let first = NEAREST.get();
        for at in first..first + self.stacks.len() {
            if let Some(mut stack) = self.enter(at)
                && let Some(Idle { record, bytes }) = stack.idle.pop()
            {
                stack.bytes -= bytes;
                if at != first {
                    NEAREST.set(at % self.stacks.len());
                }
                return record;
            }
        }
        Box::default()
    }

    /// Takes a record back from the thread that took it, or lets it go when there are enough.
    pub(super) fn put(&self, record: Box<Record>) {
        self.put_at(NEAREST.get(), record);
    }

    /// Takes a record back from the writer, which gives to all threads alike.
    pub(super) fn put_settled(&self, record: Box<Record>) {
        // The bits of the address that differ between records.
        self.put_at(&raw const *record as usize / size_of::<Record>(), record);
    }

    fn put_at(&self, first: usize, mut record: Box<Record>) {
        record.clear();
        let bytes = record.footprint();
        for at in first..first + self.stacks.len() {
            if let Some(mut stack) = self.enter(at)
                && stack.idle.len() < self.max_count
                && stack.bytes + bytes <= self.max_bytes
            {
                stack.bytes += bytes;
                stack.idle.push(Idle { record, bytes });
                return;
            }
        }
    }

    /// Enters a stack unless somebody is in it.
    fn enter(&self, at: usize) -> Option<MutexGuard<'_, Stack>> {
        match self.stacks[at % self.stacks.len()].try_lock() {
            Ok(stack) => Some(stack),
            // Nothing in there panics between two changes that belong together.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Returns the bytes of the records that lie idle, those in a busy stack left out.
    #[cfg_attr(not(any(test, feature = "metrics")), expect(dead_code, reason = "for metrics"))]
    pub(super) fn bytes(&self) -> u64 {
        let stacks = 0..self.stacks.len();
        stacks.filter_map(|at| self.enter(at)).map(|stack| stack.bytes as u64).sum()
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

    #[test]
    fn the_record_that_came_back_last_is_taken_first() {
        let pool = Pool::new(1_024, 1 << 30);
        let mut records: Vec<_> = (0..600).map(|_| pool.take()).collect();
        let last = records.pop().unwrap();
        let address: *const Record = &raw const *last;
        for record in records {
            pool.put_settled(record);
        }
        pool.put(last);
        for _ in 0..3 {
            let record = pool.take();
            assert_eq!(&raw const *record, address);
            pool.put(record);
        }
    }

    #[test]
    fn what_the_writer_gives_back_is_found_wherever_it_lies() {
        let pool = Pool::new(1_024, 1 << 30);
        let count = 600;
        let records: Vec<_> = (0..count).map(|_| pool.take()).collect();
        for record in records {
            pool.put_settled(record);
        }
        let kept = pool.bytes();
        assert!(kept >= (count / 2 * size_of::<Record>()) as u64);
        let _taken: Vec<_> = (0..count).map(|_| pool.take()).collect();
        assert_eq!(pool.bytes(), 0);
    }
}
