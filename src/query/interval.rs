//! Slots over time: what a series is made of.

use jiff::{ToSpan as _, Unit, civil};

use super::zone::TimeZone;
use crate::time::Timestamp;

/// How long the slots of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Interval {
    /// The shortest that gives a hundred slots or fewer, a week at most.
    #[default]
    Auto,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days of the time zone.
    Day,
    /// Weeks of the time zone, from Monday on.
    Week,
}

impl Interval {
    /// Every interval.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Minute, Self::Hour, Self::Day, Self::Week];

    /// How many slots a series may have; more is refused.
    pub const MAX_SLOTS: usize = 1_000;

    /// How many slots [`Auto`](Self::Auto) aims at.
    const AIM: i64 = 100;

    /// Returns the word that the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// Returns the length that is meant for a range: itself unless it is [`Auto`](Self::Auto).
    #[must_use]
    pub fn over(self, from: Timestamp, to: Timestamp) -> Self {
        if self != Self::Auto {
            return self;
        }
        let span = to.as_micros().saturating_sub(from.as_micros());
        [Self::Minute, Self::Hour, Self::Day]
            .into_iter()
            .find(|interval| span / interval.micros() < Self::AIM)
            .unwrap_or(Self::Week)
    }

    const fn micros(self) -> i64 {
        match self {
            Self::Auto | Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
            Self::Week => 604_800_000_000,
        }
    }

    /// Returns the edges of the slots that cover a range; the first and the last slot may reach beyond it.
    /// `None` when there are more than [`MAX_SLOTS`](Self::MAX_SLOTS).
    #[must_use]
    pub fn edges(self, from: Timestamp, to: Timestamp, tz: &TimeZone) -> Option<Vec<Timestamp>> {
        let interval = self.over(from, to);
        let mut edges = vec![interval.floor(from, tz)];
        while let Some(last) = edges.last().copied().filter(|last| *last < to) {
            if edges.len() > Self::MAX_SLOTS {
                return None;
            }
            match interval.next(last, tz) {
                Some(next) if next > last => edges.push(next),
                _ => break,
            }
        }
        Some(edges)
    }

    /// Returns the beginning of the slot that a moment lies in.
    fn floor(self, at: Timestamp, tz: &TimeZone) -> Timestamp {
        let micros = self.micros();
        match self {
            Self::Day | Self::Week => {
                let day = tz.local(at).date();
                let back = match self {
                    Self::Week => i64::from(day.weekday().to_monday_zero_offset()),
                    _ => 0,
                };
                let day = day.checked_sub(back.days()).unwrap_or(day);
                tz.moment(day.to_datetime(civil::Time::midnight())).unwrap_or(at)
            }
            // Offsets are whole minutes, but not whole hours everywhere.
            _ => {
                let local = tz.local(at);
                let unit = if self == Self::Hour { Unit::Hour } else { Unit::Minute };
                let cut = match unit {
                    Unit::Hour => i64::from(local.minute()) * 60,
                    _ => 0,
                } + i64::from(local.second());
                let cut = cut * 1_000_000 + i64::from(local.subsec_nanosecond()) / 1_000;
                debug_assert!(cut < micros);
                Timestamp::from_micros(at.as_micros().saturating_sub(cut))
            }
        }
    }

    fn next(self, edge: Timestamp, tz: &TimeZone) -> Option<Timestamp> {
        let days = match self {
            Self::Day => 1,
            Self::Week => 7,
            _ => return edge.as_micros().checked_add(self.micros()).map(Timestamp::from_micros),
        };
        let day = tz.local(edge).date().checked_add(days.days()).ok()?;
        tz.moment(day.to_datetime(civil::Time::midnight()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_begin_in_the_time_zone_and_may_have_23_hours() {
        let lisbon = "Europe/Lisbon".parse().unwrap();
        let edges = Interval::Day
            .edges(at("2026-03-28T12:00:00Z"), at("2026-03-30T12:00:00Z"), &lisbon)
            .unwrap();
        let expected = [
            "2026-03-28T00:00:00Z",
            "2026-03-29T00:00:00Z",
            "2026-03-29T23:00:00Z",
            "2026-03-30T23:00:00Z",
        ];
        assert_eq!(edges, expected.map(at));
    }

    #[test]
    fn weeks_begin_on_monday_and_hours_where_the_clock_says() {
        let week = Interval::Week.edges(
            at("2026-05-14T12:00:00Z"),
            at("2026-05-15T00:00:00Z"),
            &TimeZone::UTC,
        );
        assert_eq!(week.unwrap(), ["2026-05-11T00:00:00Z", "2026-05-18T00:00:00Z"].map(at));
        let kolkata = "Asia/Kolkata".parse().unwrap();
        let hours =
            Interval::Hour.edges(at("2026-05-14T12:45:00Z"), at("2026-05-14T12:50:00Z"), &kolkata);
        assert_eq!(hours.unwrap(), ["2026-05-14T12:30:00Z", "2026-05-14T13:30:00Z"].map(at));
    }

    #[test]
    fn auto_keeps_to_a_hundred_slots_and_too_many_are_refused() {
        let from = at("2026-01-01T00:00:00Z");
        for (to, interval) in [
            ("2026-01-01T01:00:00Z", Interval::Minute),
            ("2026-01-03T00:00:00Z", Interval::Hour),
            ("2026-02-01T00:00:00Z", Interval::Day),
            ("2027-01-01T00:00:00Z", Interval::Week),
        ] {
            assert_eq!(Interval::Auto.over(from, at(to)), interval);
            assert!(Interval::Auto.edges(from, at(to), &TimeZone::UTC).unwrap().len() <= 101);
        }
        assert_eq!(Interval::Minute.edges(from, at("2027-01-01T00:00:00Z"), &TimeZone::UTC), None);
    }
}
