//! What is said aloud seldom, however often it happens.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Between two of the same kind.
const APART_MILLIS: u64 = 1_000;

/// Lets one through a second.
#[derive(Debug, Default)]
pub(super) struct Seldom(AtomicU64);

impl Seldom {
    pub(super) fn admit(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let last = self.0.load(Ordering::Relaxed);
        (last == 0 || now.saturating_sub(last) >= APART_MILLIS)
            && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
