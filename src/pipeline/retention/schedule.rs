//! When to look: `daily@03:00`, `weekly@sun`.

use std::{error, fmt, str::FromStr, time::Duration};

use crate::time::Timestamp;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
const WEEK: i64 = 7 * DAY;
/// 1970 began on a Thursday.
const DAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];
const DEFAULT_MINUTES: i64 = 3 * 60;

/// A time of every day, or of one day of every week, in UTC.
///
/// ```
/// use tower_activity::pipeline::Schedule;
///
/// let nightly: Schedule = "daily@03:00".parse()?;
/// let weekly: Schedule = "weekly@sun".parse()?;
/// assert_eq!(weekly.to_string(), "weekly@sun@03:00");
/// # let _ = nightly;
/// # Ok::<(), tower_activity::pipeline::ScheduleError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The day of the week, from Thursday on; `None` for every day.
    day: Option<usize>,
    minutes: i64,
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleError(String);

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no schedule such as `daily@03:00`, `weekly@sun` or `weekly@sun@03:00` (UTC)",
            self.0.escape_debug()
        )
    }
}

impl error::Error for ScheduleError {}

impl Schedule {
    /// Returns the first moment after `at`.
    #[must_use]
    pub fn next(self, at: Timestamp) -> Timestamp {
        let (every, offset) = match self.day {
            None => (DAY, self.minutes * MINUTE),
            Some(day) => (WEEK, i64::try_from(day).unwrap_or(0) * DAY + self.minutes * MINUTE),
        };
        let since = (at.as_micros().saturating_sub(offset)).rem_euclid(every);
        at.saturating_add(Duration::from_micros((every - since).unsigned_abs()))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.day.and_then(|day| DAYS.get(day)) {
            None => f.write_str("daily")?,
            Some(day) => write!(f, "weekly@{day}")?,
        }
        write!(f, "@{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let wrong = || ScheduleError(text.to_owned());
        let mut parts = text.split('@');
        let day = match parts.next() {
            Some("daily") => None,
            Some("weekly") => {
                let day = parts.next().ok_or_else(wrong)?;
                Some(DAYS.iter().position(|known| *known == day).ok_or_else(wrong)?)
            }
            _ => return Err(wrong()),
        };
        let minutes = match parts.next() {
            None => DEFAULT_MINUTES,
            Some(time) => minutes(time).ok_or_else(wrong)?,
        };
        match parts.next() {
            None => Ok(Self { day, minutes }),
            Some(_) => Err(wrong()),
        }
    }
}

fn minutes(time: &str) -> Option<i64> {
    let (hours, minutes) = time.split_once(':')?;
    let number = |text: &str, below: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| digits && *number < below)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, at: &str) -> String {
        let schedule: Schedule = schedule.parse().unwrap();
        schedule.next(at.parse().unwrap()).to_string()[..16].to_owned()
    }

    #[test]
    fn the_next_time_is_later_and_as_said() {
        // 22 November 2026 is a Sunday.
        assert_eq!(next("daily@03:00", "2026-11-22T02:59:59Z"), "2026-11-22T03:00");
        assert_eq!(next("daily@03:00", "2026-11-22T03:00:00Z"), "2026-11-23T03:00");
        assert_eq!(next("daily", "2026-12-31T23:00:00Z"), "2027-01-01T03:00");
        assert_eq!(next("weekly@sun", "2026-11-22T02:00:00Z"), "2026-11-22T03:00");
        assert_eq!(next("weekly@sun", "2026-11-22T03:00:00Z"), "2026-11-29T03:00");
        assert_eq!(next("weekly@mon@00:30", "2026-11-22T03:00:00Z"), "2026-11-23T00:30");
        assert_eq!(next("weekly@sat@23:59", "2026-11-22T03:00:00Z"), "2026-11-28T23:59");
        assert_eq!(next("daily@12:00", "1969-12-31T13:00:00Z"), "1970-01-01T12:00");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for wrong in [
            "",
            "hourly",
            "daily@",
            "daily@3:00",
            "daily@24:00",
            "daily@03:60",
            "daily@03:00@x",
            "weekly",
            "weekly@sunday",
            "weekly@sun@",
            "daily@+3:00",
        ] {
            assert!(wrong.parse::<Schedule>().is_err(), "{wrong}");
        }
    }
}
