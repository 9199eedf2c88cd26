//! How long to wait before the next attempt: pure, with randomness as an argument.

use std::time::Duration;

/// The bound of the first wait.
const FIRST: Duration = Duration::from_millis(100);
/// The bound that later waits grow to.
const LAST: Duration = Duration::from_secs(30);

/// Backoff with full jitter: each wait is drawn evenly from zero up to a bound that doubles.
///
/// Drawn over the whole range, because many writers that lose the same database come back at the same
/// time otherwise.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Returns the next wait; `random` is evenly distributed over 0..1.
    pub(super) fn next(&mut self, random: f64) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.attempts.min(16)).min(LAST);
        self.attempts = self.attempts.saturating_add(1);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }

    /// Begins anew, after a success.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Tells whether no attempt has failed since the last success.
    pub(super) const fn is_fresh(&self) -> bool {
        self.attempts == 0
    }
}

/// Lets the first complaint pass, then at most one a minute.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Option<Duration>,
}

impl Complaints {
    const EVERY: Duration = Duration::from_secs(60);

    /// Tells whether to complain now.
    pub(super) fn pass(&mut self, now: Duration) -> bool {
        let pass = self.last.is_none_or(|last| now.saturating_sub(last) >= Self::EVERY);
        if pass {
            self.last = Some(now);
        }
        pass
    }

    /// The next complaint is about something new.
    pub(super) fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_from_100_ms_to_30_s() {
        let mut backoff = Backoff::default();
        let bounds: Vec<_> = (0..12).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(
            bounds,
            [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000]
        );
        assert_eq!(backoff.next(0.5).as_millis(), 15_000);
        backoff.reset();
        assert_eq!(backoff.next(0.0), Duration::ZERO);
        for _ in 0..100 {
            assert!(backoff.next(1.0) <= LAST);
        }
    }

    #[test]
    fn complaints_come_at_once_and_then_once_a_minute() {
        let mut complaints = Complaints::default();
        let passed: Vec<_> =
            (0..150).filter(|second| complaints.pass(Duration::from_secs(*second))).collect();
        assert_eq!(passed, [0, 60, 120]);
    }
}
