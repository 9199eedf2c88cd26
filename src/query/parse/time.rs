//! Times: each names the whole of the smallest unit that it writes.
//!
//! `2026-01` is a month, `2026-01-31` a day in the time zone, `2026-01-31T12:04` a minute, and so on down
//! to the microsecond. A comparison means before or after the whole of it.

use jiff::{ToSpan as _, civil};

use super::{
    ParseContext,
    error::{ParseError, ParseErrorKind},
    item::Item,
};
use crate::{
    query::{fields::Values, zone::TimeZone},
    time::Timestamp,
};

/// From, inclusive, to, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) struct Moments {
    pub(in crate::query) start: Timestamp,
    pub(in crate::query) end: Timestamp,
    /// A day, a month or a year, whose end counts as within wherever it is written.
    pub(in crate::query) whole: bool,
}

/// Reads the bounds of a condition on time.
pub(super) fn bounds(
    item: Item<'_>,
    context: &ParseContext,
) -> Result<(Option<Timestamp>, Option<Timestamp>), ParseError> {
    let one = |item: Item<'_>| {
        moments(&item.text(), context).ok_or_else(|| {
            let shown: String = item.text().chars().take(64).collect();
            bad(item, &format!("`{}` is no time", shown.escape_debug()))
        })
    };
    if item.begins_with('>') {
        let rest = item.skip(1);
        return Ok(if rest.begins_with('=') {
            (Some(one(rest.skip(1))?.start), None)
        } else {
            (Some(one(rest)?.end), None)
        });
    }
    if item.begins_with('<') {
        let rest = item.skip(1);
        return Ok(if rest.begins_with('=') {
            (None, Some(one(rest.skip(1))?.end))
        } else {
            (None, Some(one(rest)?.start))
        });
    }
    if let Some((from, to)) = item.split_range() {
        let end = |item: Item<'_>| if item.is_missing() { Ok(None) } else { one(item).map(Some) };
        let (from, to) = (end(from)?.map(|from| from.start), end(to)?.map(|to| to.end));
        if from.is_none() && to.is_none() {
            return Err(bad(item, "a range needs a beginning or an end"));
        }
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(bad(item, "the range ends before it begins"));
        }
        return Ok((from, to));
    }
    let item = if item.begins_with('=') { item.skip(1) } else { item };
    let all = one(item)?;
    Ok((Some(all.start), Some(all.end)))
}

fn bad(item: Item<'_>, what: &str) -> ParseError {
    let what = format!("{what}; expected {}", Values::Time.expected());
    ParseError::new(ParseErrorKind::BadValue, item.span(), what)
}

/// Reads a time.
pub(in crate::query) fn moments(text: &str, context: &ParseContext) -> Option<Moments> {
    if !text.is_ascii() || text.len() > 64 {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    if let Some(offset) = lower.strip_prefix("now") {
        let at = relative(offset, context.now)?;
        return Some(Moments { start: at, end: after(at, 1), whole: false });
    }
    let zone = &context.tz;
    let today = || zone.local(context.now).date();
    match lower.as_str() {
        "today" => return days(zone, today(), today().tomorrow().ok()),
        "yesterday" => return days(zone, today().yesterday().ok()?, Some(today())),
        _ => {}
    }
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
    let date = |year, month: i16, day: i16| {
        civil::Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()
    };
    match shape.as_str() {
        "0000" => {
            let first = date(number(0..4)?, 1, 1)?;
            days(zone, first, first.checked_add(1.year()).ok())
        }
        "0000-00" => {
            let first = date(number(0..4)?, number(5..7)?, 1)?;
            days(zone, first, first.checked_add(1.month()).ok())
        }
        "0000-00-00" => {
            let day = date(number(0..4)?, number(5..7)?, number(8..10)?)?;
            days(zone, day, day.tomorrow().ok())
        }
        _ => moment(text, zone),
    }
}

/// From the beginning of a day to that of another; to the end of time if the calendar ends before.
fn days(zone: &TimeZone, first: civil::Date, next: Option<civil::Date>) -> Option<Moments> {
    let start = zone.moment(first.to_datetime(civil::Time::midnight()))?;
    let end = next.and_then(|next| zone.moment(next.to_datetime(civil::Time::midnight())));
    Some(Moments { start, end: end.unwrap_or(Timestamp::from_micros(i64::MAX)), whole: true })
}

/// A date and a time of day, with an offset or in the time zone.
fn moment(text: &str, zone: &TimeZone) -> Option<Moments> {
    // The date is over at the first letter or space, so that a `-` after it belongs to an offset.
    let begins = text.find(['T', 't', ' '])? + 1;
    let clock = &text[begins..];
    let clock = &clock[..clock.find(['Z', 'z', '+', '-', '[']).unwrap_or(clock.len())];
    let unit = match clock.split_once(['.', ',']) {
        Some((_, digits)) => {
            10_i64.pow(6_u32.saturating_sub(u32::try_from(digits.len()).unwrap_or(6)))
        }
        None => match clock.matches(':').count() {
            0 => 3_600_000_000,
            1 => 60_000_000,
            _ => 1_000_000,
        },
    };
    let start = match text.parse::<jiff::Timestamp>() {
        Ok(at) => Timestamp::from_micros(at.as_microsecond()),
        Err(_) if clock.len() < text.len() - begins => return None,
        Err(_) => zone.moment(text.parse().ok()?)?,
    };
    Some(Moments { start, end: after(start, unit), whole: false })
}

fn after(at: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(micros))
}

/// `-24h` from now; nothing is now itself.
fn relative(offset: &str, now: Timestamp) -> Option<Timestamp> {
    if offset.is_empty() {
        return Some(now);
    }
    let (sign, length) = offset.split_at_checked(1)?;
    let (count, unit) = length.split_at_checked(length.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros = count.parse::<i64>().ok()?.checked_mul(seconds * 1_000_000)?;
    let at = match sign {
        "-" => now.as_micros().checked_sub(micros)?,
        "+" => now.as_micros().checked_add(micros)?,
        _ => return None,
    };
    Some(Timestamp::from_micros(at))
}
