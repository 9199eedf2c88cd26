//! The day, week or month that a report is about.

use std::fmt;

use jiff::{
    ToSpan as _,
    civil::{Date, ISOWeekDate, Weekday},
};
use tower_activity::{
    Filter,
    query::{ParseContext, TimeZone},
    time::{Clock as _, SystemClock, Timestamp},
};

use crate::{arguments::Report, trouble::Trouble};

/// The days from the first to the last, both whole, in a time zone.
#[derive(Debug)]
pub(super) struct Period {
    first: Date,
    last: Date,
    name: String,
    zone: TimeZone,
}

impl Period {
    /// Reads what was asked for, seen from `now`.
    pub(super) fn of(arguments: &Report, now: Timestamp) -> Result<Self, Trouble> {
        let (span, zone) = (&arguments.span, arguments.tz.clone());
        let today = local(now, &zone)?.date();
        let (first, last, name) = match (&span.day, &span.week, &span.month) {
            (Some(text), ..) => {
                let day = day(text, today)?;
                (day, day, day.to_string())
            }
            (_, Some(text), _) => {
                let week = week(text, today)?;
                let first = week.first_of_week().map_err(|error| Trouble::of(&error))?.date();
                let last = first.saturating_add(6.days());
                (first, last, format!("{}-W{:02}", week.year(), week.week()))
            }
            (.., Some(text)) => {
                let first = month(text, today)?;
                (first, first.last_of_month(), first.strftime("%Y-%m").to_string())
            }
            (None, None, None) => {
                return Err(Trouble::usage("name a --day, a --week or a --month"));
            }
        };
        Ok(Self { first, last, name, zone })
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

    /// Returns a moment as the clocks of the time zone show it.
    pub(super) fn clock(&self, at: Timestamp) -> String {
        match local(at, &self.zone) {
            Ok(local) => local.strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
            Err(_) => at.to_string(),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.zone)
    }
}

fn local(at: Timestamp, zone: &TimeZone) -> Result<jiff::Zoned, Trouble> {
    let name = zone.to_string();
    let failed = |error: jiff::Error| Trouble::of(&error);
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).map_err(failed)?;
    let zone = match name.strip_prefix(['+', '-']) {
        // `+05:30`
        Some(_) => {
            jiff::fmt::temporal::DateTimeParser::new().parse_time_zone(&name).map_err(failed)?
        }
        None => jiff::tz::TimeZone::get(&name).map_err(failed)?,
    };
    Ok(at.to_zoned(zone))
}

fn wrong(flag: &str, text: &str, example: &str) -> Trouble {
    Trouble::usage(format!("--{flag} {text:?} is none; write it as in {example}"))
}

fn day(text: &str, today: Date) -> Result<Date, Trouble> {
    match text {
        "today" => Ok(today),
        "yesterday" => Ok(today.saturating_sub(1.day())),
        _ => date(text).ok_or_else(|| wrong("day", text, "2026-11-20, today, yesterday")),
    }
}

fn week(text: &str, today: Date) -> Result<ISOWeekDate, Trouble> {
    let read = || {
        if let Some((year, week)) = text.split_once("-W") {
            if week.len() != 2 {
                return None;
            }
            let week = week.parse().ok()?;
            return ISOWeekDate::new(year.parse().ok()?, week, Weekday::Monday).ok();
        }
        Some(date(text)?.iso_week_date())
    };
    match text {
        "this" => Ok(today.iso_week_date()),
        "last" => Ok(today.saturating_sub(7.days()).iso_week_date()),
        _ => read().ok_or_else(|| {
            wrong("week", text, "2026-W47, 2026-11-20 (any day of the week), this, last")
        }),
    }
}

fn month(text: &str, today: Date) -> Result<Date, Trouble> {
    match text {
        "this" => Ok(today.first_of_month()),
        "last" => Ok(today.first_of_month().saturating_sub(1.month())),
        _ => date(&format!("{text}-01")).ok_or_else(|| wrong("month", text, "2026-11, this, last")),
    }
}

/// Reads `2026-11-20`, and nothing that merely contains a date.
fn date(text: &str) -> Option<Date> {
    (text.len() == "2026-11-20".len()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn period(arguments: &[&str]) -> Result<(String, String, String), String> {
        let line = ["activity", "report"].iter().chain(arguments);
        let Command::Report(report) = Arguments::parse_from(line).command else { unreachable!() };
        // 23:30 on Saturday in UTC; Sunday in Berlin.
        let now = Timestamp::from_micros(1_795_303_800_000_000);
        let period = Period::of(&report, now).map_err(|trouble| trouble.to_string())?;
        let (from, to) = period.bounds().unwrap();
        Ok((period.to_string(), from.unwrap().to_string(), to.unwrap().to_string()))
    }

    fn is(arguments: &[&str], name: &str, from: &str, to: &str) {
        let (shown, starts, ends) = period(arguments).unwrap();
        assert_eq!((shown.as_str(), &starts[..16], &ends[..16]), (name, from, to), "{arguments:?}");
    }

    #[test]
    fn a_period_is_whole_days_of_its_time_zone() {
        let berlin = "Europe/Berlin";
        is(&["--day", "2026-11-20"], "2026-11-20 (UTC)", "2026-11-20T00:00", "2026-11-21T00:00");
        // 23 hours, and 25.
        is(
            &["--day", "2026-03-29", "--tz", berlin],
            "2026-03-29 (Europe/Berlin)",
            "2026-03-28T23:00",
            "2026-03-29T22:00",
        );
        is(
            &["--day", "2026-10-25", "--tz", berlin],
            "2026-10-25 (Europe/Berlin)",
            "2026-10-24T22:00",
            "2026-10-25T23:00",
        );
        is(&["--month", "2024-02"], "2024-02 (UTC)", "2024-02-01T00:00", "2024-03-01T00:00");
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        let first = ("2026-W01 (UTC)", "2025-12-29T00:00", "2026-01-05T00:00");
        for week in ["2026-01-01", "2025-12-29", "2026-01-04", "2026-W01"] {
            is(&["--week", week], first.0, first.1, first.2);
        }
        is(&["--week", "2026-W53"], "2026-W53 (UTC)", "2026-12-28T00:00", "2027-01-04T00:00");
        assert!(period(&["--week", "2025-W53"]).is_err(), "2025 has 52");
    }

    #[test]
    fn words_are_seen_from_the_time_zone() {
        is(&["--day", "today"], "2026-11-21 (UTC)", "2026-11-21T00:00", "2026-11-22T00:00");
        is(
            &["--day", "today", "--tz", "Europe/Berlin"],
            "2026-11-22 (Europe/Berlin)",
            "2026-11-21T23:00",
            "2026-11-22T23:00",
        );
        is(&["--day", "yesterday"], "2026-11-20 (UTC)", "2026-11-20T00:00", "2026-11-21T00:00");
        is(&["--week", "last"], "2026-W46 (UTC)", "2026-11-09T00:00", "2026-11-16T00:00");
        is(&["--month", "last"], "2026-10 (UTC)", "2026-10-01T00:00", "2026-11-01T00:00");
        is(
            &["--day", "today", "--tz", "+05:30"],
            "2026-11-22 (+05:30)",
            "2026-11-21T18:30",
            "2026-11-22T18:30",
        );
    }

    #[test]
    fn what_is_no_period_is_refused_with_an_example() {
        for (arguments, example) in [
            (["--day", "20.11.2026"], "2026-11-20"),
            (["--day", "2026-02-30"], "2026-11-20"),
            (["--day", "2026-11-20T10:00:00Z"], "2026-11-20"),
            (["--week", "2026-W60"], "2026-W47"),
            (["--week", "2026-W1"], "2026-W47"),
            (["--month", "2026-13"], "2026-11"),
            (["--month", "2026-1"], "2026-11"),
        ] {
            let refused = period(&arguments).unwrap_err();
            assert!(refused.contains(example), "{refused}");
        }
    }
}
