//! When a run is due: at its times, and again soon after one that failed. Pure: time is an argument.

use std::time::Duration;

use super::Schedule;
use crate::{rules::Fullness, time::Timestamp};

/// After the first failure it is tried again so long after, then after twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// So often; then it is left to the next time.
const ATTEMPTS: u32 = 8;
/// A log that stays as full is told of this often at most, and a run that left it as full is repeated this often.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// The moments of a schedule, and what failed.
#[derive(Debug)]
pub(super) struct Agenda {
    schedule: Schedule,
    next: Timestamp,
    failed: Option<Failed>,
}

/// A run that failed.
#[derive(Debug, Clone, Copy)]
struct Failed {
    /// The moment of the schedule that it was for.
    of: Timestamp,
    attempts: u32,
    again: Timestamp,
}

impl Agenda {
    pub(super) fn new(schedule: Schedule, now: Timestamp) -> Self {
        Self { schedule, next: schedule.next(now), failed: None }
    }

    /// Returns the moment of the schedule for which a run is due now, if one is.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.next <= now {
            // What failed before is part of this.
            self.failed = None;
            return Some(std::mem::replace(&mut self.next, self.schedule.next(now)));
        }
        self.failed.filter(|failed| failed.again <= now).map(|failed| failed.of)
    }

    /// Takes what became of the run for a moment; returns when it is tried again, if it failed and is.
    pub(super) fn ran(&mut self, of: Timestamp, well: bool, now: Timestamp) -> Option<Timestamp> {
        let before = self.failed.take().filter(|failed| failed.of == of);
        let attempts = before.map_or(0, |failed| failed.attempts) + 1;
        if well || attempts == ATTEMPTS {
            return None;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << (attempts - 1)).min(LONGEST_PAUSE);
        let again = now.saturating_add(pause);
        self.failed = Some(Failed { of, attempts, again });
        Some(again)
    }
}

/// What is to be done about the size of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Alarm {
    /// It is to be said aloud.
    pub(super) warn: bool,
    /// A run is due.
    pub(super) run: bool,
}

/// What was said and done about the size of the log.
#[derive(Debug, Default)]
pub(super) struct Watchman {
    /// When it was said last, and of how many hundredths of the limit.
    warned: Option<(Timestamp, u64)>,
    ran: Option<Timestamp>,
}

impl Watchman {
    /// Takes how full the log is now.
    pub(super) fn look(&mut self, full: Fullness, now: Timestamp) -> Alarm {
        if !full.is_near() {
            self.warned = None;
            return Alarm::default();
        }
        let is_long = |at: Timestamp| at.saturating_add(AGAIN) <= now;
        let warn = self.warned.is_none_or(|(at, percent)| {
            // Once on its way up, at the limit, and then every hour.
            is_long(at) || (full.is_over() && percent < 100)
        });
        if warn {
            self.warned = Some((now, full.percent()));
        }
        let run = full.is_over() && self.ran.is_none_or(is_long);
        if run {
            self.ran = Some(now);
        }
        Alarm { warn, run }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::SizeLimit;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    #[test]
    fn what_failed_is_tried_again_later_and_later_until_the_next_time() {
        let begun = at("2026-11-22T02:00:00Z");
        let mut agenda = Agenda::new("daily@03:00".parse().unwrap(), begun);
        assert_eq!(agenda.due(begun), None);
        let first = at("2026-11-22T03:00:00Z");
        assert_eq!(agenda.due(first), Some(first));
        let mut now = first;
        for pause in [1, 2, 4, 8, 16, 32, 60] {
            let again = agenda.ran(first, false, now).unwrap();
            assert_eq!(again, now.saturating_add(minutes(pause)));
            assert_eq!(agenda.due(again.saturating_sub(minutes(1) / 2)), None);
            now = again;
            assert_eq!(agenda.due(now), Some(first));
        }
        assert_eq!(agenda.ran(first, false, now), None, "it is given up");
        assert_eq!(agenda.due(at("2026-11-23T02:59:59Z")), None);
        let second = at("2026-11-23T03:00:00Z");
        assert_eq!(agenda.due(second), Some(second));
        let again = agenda.ran(second, false, second).unwrap();
        assert_eq!(again, second.saturating_add(minutes(1)), "each begins anew");
        assert_eq!(agenda.ran(second, true, again), None);
        assert_eq!(agenda.due(second.saturating_add(minutes(120))), None, "it went well");
        let third = at("2026-11-24T03:00:00Z");
        agenda.ran(second, false, third.saturating_sub(minutes(1)));
        assert_eq!(agenda.due(third), Some(third), "the next time is for both");
        assert_eq!(agenda.due(third), None);
    }

    #[test]
    fn a_full_log_is_told_of_once_and_then_every_hour_and_run_for_at_the_limit() {
        let limit: SizeLimit = "100MB".parse().unwrap();
        let mut watchman = Watchman::default();
        let begun = at("2026-11-22T12:00:00Z");
        let mut look = |percent: i64, minute| {
            let full = limit.filled(percent * 1_000_000);
            let alarm = watchman.look(full, begun.saturating_add(minutes(minute)));
            (alarm.warn, alarm.run)
        };
        assert_eq!(look(79, 0), (false, false));
        assert_eq!(look(80, 1), (true, false));
        assert_eq!(look(95, 2), (false, false), "it was said");
        assert_eq!(look(100, 3), (true, true), "at the limit at once");
        assert_eq!(look(101, 4), (false, false));
        assert_eq!(look(90, 62), (false, false));
        assert_eq!(look(101, 63), (true, true), "an hour later");
        assert_eq!(look(70, 64), (false, false));
        assert_eq!(look(81, 65), (true, false), "it grew again");
        assert_eq!(look(100, 66), (true, false), "and a run was not long ago");
    }
}
