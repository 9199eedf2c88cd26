//! When losses become a gap record: one for each burst or period, never one for each loss.

use std::time::Duration;

use super::{
    own,
    tally::{ByCategory, CATEGORIES, Counters, DropReason},
};
use crate::record::Record;

/// A burst is over when nothing was lost for so long.
const QUIET: Duration = Duration::from_secs(1);
/// While losses go on, there is a gap record for each period of this length.
const PERIOD: Duration = Duration::from_secs(60);
/// The losses that a writer which goes on can tell of, and behind them those that one can which ends.
const REASONS: [DropReason; 5] = [
    DropReason::QueueFull,
    DropReason::Deadline,
    DropReason::SpoolFull,
    DropReason::SpoolFailed,
    DropReason::Closed,
];
const OF_ENDING: usize = 4;

/// Compares the counters with what has been reported.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    reported: [ByCategory; REASONS.len()],
    seen: u64,
    reported_total: u64,
    /// When losses were first seen that are not reported yet, and when they last grew.
    pending: Option<(Duration, Duration)>,
}

impl Gaps {
    /// Looks at the counters; tells whether there are losses to report.
    pub(super) fn look(&mut self, counters: &Counters, now: Duration) -> bool {
        let total = total(counters);
        if total > self.seen {
            let first = self.pending.map_or(now, |(first, _)| first);
            self.pending = Some((first, now));
            self.seen = total;
        }
        total > self.reported_total
    }

    /// Tells, without looking at a clock, whether there are losses that were not seen yet.
    pub(super) fn has_unseen(&self, counters: &Counters) -> bool {
        total(counters) > self.seen
    }

    /// Returns when the next gap record is due.
    pub(super) fn due_at(&self) -> Option<Duration> {
        self.pending.map(|(first, last)| (last + QUIET).min(first + PERIOD))
    }

    /// Returns the gap records for all that is not reported yet, one for each reason.
    ///
    /// A writer that is ending also tells of what came after the door was closed; what comes after
    /// that, nobody can.
    pub(super) fn take(&mut self, counters: &Counters, ending: bool) -> Vec<Box<Record>> {
        self.pending = None;
        let mut records = Vec::new();
        for (index, (reason, reported)) in REASONS.into_iter().zip(&mut self.reported).enumerate() {
            if index >= OF_ENDING && !ending {
                continue;
            }
            let losses = counters.losses(reason);
            let new: ByCategory =
                std::array::from_fn(|category| losses[category].saturating_sub(reported[category]));
            let count: u64 = new.iter().sum();
            if count == 0 {
                continue;
            }
            *reported = losses;
            if index < OF_ENDING {
                self.reported_total += count;
            }
            let (first_at, last_at) = counters.take_loss_times(reason);
            records.push(own::gap(reason.as_str(), &new, first_at, last_at));
        }
        self.seen = self.seen.max(self.reported_total);
        records
    }
}

fn total(counters: &Counters) -> u64 {
    const { assert!(CATEGORIES.len() == 5) };
    REASONS[..OF_ENDING].iter().map(|reason| counters.losses(*reason).iter().sum::<u64>()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::Category, time::Timestamp};

    fn lose(counters: &Counters, second: i64) {
        counters.receive();
        counters.drop_record(
            DropReason::QueueFull,
            crate::pipeline::queue::Lane::General,
            Category::Activity,
            Timestamp::from_micros(second * 1_000_000),
            Duration::ZERO,
        );
    }

    #[test]
    fn a_burst_makes_one_record_once_it_is_over() {
        let (counters, mut gaps) = (Counters::default(), Gaps::default());
        assert!(!gaps.look(&counters, Duration::ZERO));
        for tenth in 0..20_u64 {
            lose(&counters, 5);
            assert!(gaps.look(&counters, Duration::from_millis(tenth * 100)));
        }
        assert_eq!(gaps.due_at(), Some(Duration::from_millis(1_900) + QUIET));
        let records = gaps.take(&counters, false);
        assert_eq!(records.len(), 1);
        let metadata: serde_json::Value =
            serde_json::from_str(records[0].metadata.as_str()).unwrap();
        assert_eq!(metadata["count"], 20);
        assert_eq!(metadata["by_category"]["activity"], 20);
        assert_eq!(metadata["first_at"], "1970-01-01T00:00:05.000000Z");
        assert!(!gaps.look(&counters, Duration::from_secs(9)));
        assert!(gaps.take(&counters, false).is_empty() && gaps.due_at().is_none());
    }

    #[test]
    fn losses_without_end_make_a_record_a_minute() {
        let (counters, mut gaps) = (Counters::default(), Gaps::default());
        let mut counts = Vec::new();
        for second in 0..=120 {
            lose(&counters, second);
            let now = Duration::from_millis(u64::try_from(second).unwrap() * 999);
            gaps.look(&counters, now);
            if gaps.due_at().unwrap() <= now {
                counts.push(gaps.take(&counters, false).len());
            }
        }
        assert_eq!(counts, [1], "119.88 seconds hold one full minute after the first loss");
    }
}
