//! For how long.

use std::{fmt, str::FromStr, time::Duration};

use super::RetentionError;
use crate::time::{Month, Timestamp};

/// A hundred years.
const MOST_DAYS: u32 = 36_600;
/// So that no year is cut short.
const DAYS_OF_YEAR: u32 = 366;
const DAY: u64 = 24 * 60 * 60;

/// How long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// At least so many days, from the last moment of the month.
    Days(u32),
    /// For ever: it never ends. Shown as `never`.
    Forever,
}

impl Keep {
    /// Returns when the records of a month may go: when the whole month is that old; `None` for never.
    #[must_use]
    pub fn ends(self, month: Month) -> Option<Timestamp> {
        match self {
            Self::Forever => None,
            Self::Days(days) => {
                let time = Duration::from_secs(u64::from(days) * DAY);
                Some(month.next().start().saturating_add(time))
            }
        }
    }

    pub(super) fn check(self) -> Result<(), RetentionError> {
        match self {
            Self::Forever | Self::Days(1..=MOST_DAYS) => Ok(()),
            Self::Days(days) => Err(RetentionError::new(format!(
                "{days} days are not within 1 and {MOST_DAYS}; `never` keeps for ever"
            ))),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days}d"),
            Self::Forever => f.write_str("never"),
        }
    }
}

impl FromStr for Keep {
    type Err = RetentionError;

    /// Reads `90d`, `6y`, or `never`.
    fn from_str(text: &str) -> Result<Self, RetentionError> {
        if text == "never" {
            return Ok(Self::Forever);
        }
        let days = |text: &str| text.parse::<u32>().ok();
        let read = match (text.strip_suffix('d'), text.strip_suffix('y')) {
            (Some(count), _) => days(count),
            (_, Some(count)) => days(count).and_then(|years| years.checked_mul(DAYS_OF_YEAR)),
            _ => None,
        };
        read.map(Self::Days).ok_or_else(|| {
            let text = text.escape_debug();
            RetentionError::new(format!("`{text}` is no time such as `90d`, `6y` or `never`"))
        })
    }
}
