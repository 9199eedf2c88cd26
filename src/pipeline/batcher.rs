//! When a batch closes: a pure state machine, with time as an argument.

use std::time::Duration;

/// Collects items into a batch until it holds enough rows or bytes, or is old enough.
#[derive(Debug)]
pub(super) struct Batcher<T> {
    limits: Limits,
    items: Vec<T>,
    bytes: usize,
    opened_at: Duration,
}

/// What closes a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// So many rows.
    pub(super) rows: usize,
    /// So many bytes of text. The row that goes beyond is still part of the batch.
    pub(super) bytes: usize,
    /// So long since its first row.
    pub(super) age: Duration,
}

impl<T> Batcher<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, items: Vec::new(), bytes: 0, opened_at: Duration::ZERO }
    }

    /// Adds an item. The caller looks at [`is_full`](Self::is_full) before the next one.
    pub(super) fn push(&mut self, item: T, bytes: usize, now: Duration) {
        if self.items.is_empty() {
            self.opened_at = now;
        }
        self.items.push(item);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Tells whether rows or bytes are reached.
    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= self.limits.rows || self.bytes >= self.limits.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns when the batch closes by age, or `None` while it is empty.
    pub(super) fn due_at(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| self.opened_at.saturating_add(self.limits.age))
    }

    /// Tells whether the batch closes now.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.is_full() || self.due_at().is_some_and(|due| due <= now)
    }

    /// Closes the batch: swaps its items into `into`, which is empty, so that both buffers stay in use.
    pub(super) fn close_into(&mut self, into: &mut Vec<T>) {
        into.clear();
        std::mem::swap(&mut self.items, into);
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { rows: 3, bytes: 100, age: Duration::from_millis(200) };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_batch_closes_on_whichever_comes_first() {
        // What is pushed when (bytes, ms), then the moment asked about, then whether it closes.
        let table: &[(&[(usize, u64)], u64, bool)] = &[
            (&[], 10_000, false),
            (&[(1, 0)], 199, false),
            (&[(1, 0)], 200, true),
            (&[(1, 50), (1, 240)], 249, false),
            (&[(1, 50), (1, 240)], 250, true),
            (&[(1, 0), (1, 0), (1, 0)], 0, true),
            (&[(99, 0)], 0, false),
            (&[(99, 0), (1, 0)], 0, true),
            (&[(usize::MAX, 0), (usize::MAX, 0)], 0, true),
        ];
        for (pushes, ask, closes) in table {
            let mut batcher = Batcher::new(LIMITS);
            for (bytes, millis) in *pushes {
                batcher.push((), *bytes, at(*millis));
            }
            assert_eq!(batcher.is_due(at(*ask)), *closes, "{pushes:?} at {ask}");
        }
    }

    proptest! {
        /// Driven the way the writer drives it, no batch exceeds its limits, none is closed early, and
        /// nothing is lost, doubled or reordered.
        #[test]
        fn batches_keep_their_limits_and_lose_nothing(
            steps in proptest::collection::vec((0_usize..60, 0_u64..150), 0..200),
        ) {
            let mut batcher = Batcher::new(LIMITS);
            let (mut now, mut out, mut closed) = (0, Vec::new(), Vec::new());
            let mut opened = None;
            for (index, (bytes, pause)) in steps.iter().enumerate() {
                now += pause;
                if batcher.is_due(at(now)) {
                    prop_assert!(opened.is_some_and(|opened| now >= opened + 200));
                    batcher.close_into(&mut out);
                    closed.push(std::mem::take(&mut out));
                    opened = None;
                }
                batcher.push((index, *bytes), *bytes, at(now));
                opened = opened.or(Some(now));
                if batcher.is_full() {
                    batcher.close_into(&mut out);
                    closed.push(std::mem::take(&mut out));
                    opened = None;
                }
                prop_assert_eq!(batcher.due_at(), opened.map(|opened| at(opened + 200)));
            }
            batcher.close_into(&mut out);
            closed.push(out);
            for batch in &closed {
                prop_assert!(batch.len() <= LIMITS.rows);
                let but_last: usize = batch.iter().rev().skip(1).map(|(_, bytes)| bytes).sum();
                prop_assert!(but_last < LIMITS.bytes);
            }
            let order: Vec<_> = closed.iter().flatten().map(|(index, _)| *index).collect();
            prop_assert_eq!(order, (0..steps.len()).collect::<Vec<_>>());
        }
    }
}
