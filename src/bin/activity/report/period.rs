//! The day, week or month that a report is about.

use std::fmt;

use jiff::{ToSpan as _, civil::Date};
use tower_activity::{
    Filter,
    query::{ParseContext, TimeZone},
    time::{Clock as _, SystemClock, Timestamp},
};

use crate::{arguments::Report, trouble::Trouble};

/// The days from the first to the last, both whole, in a time zone.
pub(super) struct Period {
    first: Date,
    last: Date,
    name: String,
    zone: TimeZone,
}

impl Period {
    pub(super) fn of(arguments: &Report) -> Result<Self, Trouble> {
        let span = &arguments.span;
        let wrong = |flag: &str, text: &str, example: &str| {
            Trouble::new(format!("--{flag} {text:?} is none; write it as in {example}"))
        };
        let date = |flag, text: &str, example| {
            text.parse::<Date>().map_err(|_| wrong(flag, text, example))
        };
        let (first, last, name) = match (&span.day, &span.week, &span.month) {
            (Some(day), ..) => {
                let day = date("day", day, "2026-11-20")?;
                (day, day, day.to_string())
            }
            (_, Some(week), _) => {
                let day = date("week", week, "2026-11-20 (any day of the week)")?;
                let week = day.iso_week_date();
                let first = week.first_of_week().map_err(|error| Trouble::of(&error))?.date();
                let last = first.saturating_add(6.days());
                (first, last, format!("{}-W{:02}", week.year(), week.week()))
            }
            (.., Some(month)) => {
                let first = date("month", &format!("{month}-01"), "2026-11")?;
                (first, first.last_of_month(), month.clone())
            }
            (None, None, None) => {
                return Err(Trouble::new("name a --day, a --week or a --month"));
            }
        };
        Ok(Self { first, last, name, zone: arguments.tz.clone() })
    }

    /// Returns the filter of everything in it.
    pub(super) fn filter(&self) -> Result<Filter, Trouble> {
        let context = ParseContext::new(SystemClock::default().now()).in_zone(self.zone.clone());
        let text = format!("at:{}..{}", self.first, self.last);
        Filter::parse(&text, &context).map_err(|error| Trouble::of(&error))
    }

    /// Returns its bounds: from, inclusive, and to, exclusive.
    pub(super) fn bounds(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), Trouble> {
        Ok(self.filter()?.range())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.zone)
    }
}
