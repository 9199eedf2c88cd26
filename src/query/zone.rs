//! Time zones, by name or by offset.

use std::{error, fmt, str::FromStr};

use jiff::{civil, tz};

use crate::{suggest::nearest, time::Timestamp};

/// The time zone in which days begin and end.
///
/// Reads an IANA name (`Europe/Lisbon`), `UTC`, or an offset (`+02:00`). The rules are those of the system,
/// and built-in ones where it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(tz::TimeZone);

impl TimeZone {
    /// Universal time.
    pub const UTC: Self = Self(tz::TimeZone::UTC);

    /// Returns the moment that a local date and time is; `None` outside the calendar.
    pub(super) fn moment(&self, local: civil::DateTime) -> Option<Timestamp> {
        let zoned = self.0.to_zoned(local).ok()?;
        Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
    }

    /// Returns the local date and time at a moment.
    pub(super) fn local(&self, at: Timestamp) -> civil::DateTime {
        self.0.to_datetime(at.calendar())
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.iana_name() {
            Some(name) => f.write_str(name),
            None => match self.0.to_fixed_offset() {
                Ok(offset) => fmt::Display::fmt(&offset, f),
                Err(_) => f.write_str("UTC"),
            },
        }
    }
}

impl FromStr for TimeZone {
    type Err = UnknownTimeZone;

    fn from_str(name: &str) -> Result<Self, UnknownTimeZone> {
        let unknown = || UnknownTimeZone { name: name.to_owned() };
        if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("z") {
            return Ok(Self::UTC);
        }
        if name.starts_with(['+', '-']) {
            return offset(name).map(Self).ok_or_else(unknown);
        }
        // No name is longer, and none has other characters.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(unknown());
        }
        tz::db().get(name).map(Self).map_err(|_| unknown())
    }
}

/// Reads `+02`, `+0200` or `+02:00`.
fn offset(text: &str) -> Option<tz::TimeZone> {
    let (sign, digits) = text.split_at_checked(1)?;
    let digits = digits.replace(':', "");
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = if digits.len() == 4 { digits[2..].parse().ok()? } else { 0 };
    if minutes > 59 {
        return None;
    }
    let seconds = (hours * 60 + minutes) * 60 * if sign == "-" { -1 } else { 1 };
    tz::Offset::from_seconds(seconds).ok().map(tz::TimeZone::fixed)
}

/// A time zone that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownTimeZone {
    name: String,
}

impl UnknownTimeZone {
    /// Returns the known name that is nearest, if one is near.
    #[must_use]
    pub fn nearest(&self) -> Option<String> {
        let known: Vec<_> = tz::db().available().map(|name| name.to_string()).collect();
        nearest(&self.name, known.iter().map(String::as_str)).map(str::to_owned)
    }
}

impl fmt::Display for UnknownTimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no time zone (an IANA name such as `Europe/Lisbon`, or an offset such as `+02:00`)",
            self.name.escape_debug()
        )?;
        match self.nearest() {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

impl error::Error for UnknownTimeZone {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_offsets_are_read_and_shown() {
        for (text, shown) in [
            ("utc", "UTC"),
            ("europe/lisbon", "Europe/Lisbon"),
            ("+02:00", "+02"),
            ("-0530", "-05:30"),
        ] {
            assert_eq!(text.parse::<TimeZone>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn an_unknown_zone_is_refused_with_the_nearest() {
        let error = "Europe/Lisbonn".parse::<TimeZone>().unwrap_err();
        assert!(error.to_string().ends_with("did you mean `Europe/Lisbon`?"), "{error}");
        for name in ["", "+1", "+aa:00", "+99:00", "../../etc/passwd", "Europe/Lis\0bon", "ÿ"] {
            assert!(name.parse::<TimeZone>().is_err(), "{name:?}");
        }
    }
}
