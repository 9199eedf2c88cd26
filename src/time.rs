//! Time and identity: the two seams through which everything else asks for them.
//!
//! Nobody outside this file reads a clock or draws an id, so a test (or an application with a clock of
//! its own) decides both.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rand::RngExt as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment: microseconds since 1970-01-01 UTC.
///
/// Shown as RFC 3339 in UTC with six digits, `2026-01-31T12:04:31.000250Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes a moment from microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the whole milliseconds since 1970-01-01 UTC, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Returns the moment `duration` later, at the end of time if there is none.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns the moment `duration` earlier, at the beginning of time if there is none.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns the moment in the calendar's terms, clamped to the years that the calendar knows.
    #[must_use]
    pub fn calendar(self) -> jiff::Timestamp {
        let clamped = self
            .0
            .clamp(jiff::Timestamp::MIN.as_microsecond(), jiff::Timestamp::MAX.as_microsecond());
        jiff::Timestamp::from_microsecond(clamped).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// Returns the month in UTC, which names the leaf that a record lives in.
    #[must_use]
    pub fn month(self) -> Month {
        let date = self.calendar().to_zoned(jiff::tz::TimeZone::UTC);
        Month(i32::from(date.year()) * 12 + i32::from(date.month()) - 1)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.calendar())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(|at| Self(at.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A month of the calendar in UTC, shown as `2026-01`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i32);

impl Month {
    /// Returns the first moment of the month.
    #[must_use]
    pub fn start(self) -> Timestamp {
        let (year, month) = (self.0.div_euclid(12), self.0.rem_euclid(12) + 1);
        let date = i16::try_from(year)
            .ok()
            .zip(i8::try_from(month).ok())
            .and_then(|(year, month)| jiff::civil::Date::new(year, month, 1).ok());
        date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .map_or(Timestamp(i64::MAX), |start| Timestamp(start.timestamp().as_microsecond()))
    }

    /// Returns the month after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the number of months since year 0, in which months can be compared and counted.
    #[must_use]
    pub const fn index(self) -> i32 {
        self.0
    }

    /// Makes the month with this number of months since year 0.
    #[must_use]
    pub const fn from_index(index: i32) -> Self {
        Self(index)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

impl FromStr for Month {
    type Err = NotAMonth;

    /// Reads a month as it is shown.
    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        // From the right, because a year before 0 begins with a sign.
        let read = || {
            let (year, month) = text.rsplit_once('-')?;
            let year: i32 = year.parse().ok()?;
            let month: i32 = month.parse().ok().filter(|month| (1..=12).contains(month))?;
            Some(Self(year.checked_mul(12)?.checked_add(month - 1)?))
        };
        read().ok_or(NotAMonth(()))
    }
}

/// A text that is not a month such as `2026-01`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAMonth(());

impl fmt::Display for NotAMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a month reads as `2026-01`")
    }
}

impl std::error::Error for NotAMonth {}

impl fmt::Debug for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Tells the time.
///
/// `now` may jump when an administrator sets the clock; `monotonic` never goes back, so that
/// durations are taken from it.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time of day.
    fn now(&self) -> Timestamp;

    /// Returns the time since some fixed moment of this process.
    fn monotonic(&self) -> Duration;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 reads as 1970; the writer marks such records as skewed.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::default().saturating_add(since)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until it is told to move: for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    micros: AtomicI64,
    monotonic: AtomicI64,
}

impl ManualClock {
    /// Makes a clock that stands at `at`.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { micros: AtomicI64::new(at.0), monotonic: AtomicI64::new(0) }
    }

    /// Moves time forward by `duration`.
    pub fn advance(&self, duration: Duration) {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.monotonic.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sets the time of day, as an administrator would; the monotonic time stays.
    pub fn set(&self, at: Timestamp) {
        self.micros.store(at.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.micros.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.monotonic.load(Ordering::Relaxed)).unwrap_or(0))
    }
}

/// Draws the ids of records.
pub trait IdSource: Send + Sync + 'static {
    /// Returns the sixteen bytes of a new UUIDv7 whose milliseconds are those of `at`.
    fn id(&self, at: Timestamp) -> [u8; 16];
}

impl<I: IdSource + ?Sized> IdSource for Arc<I> {
    fn id(&self, at: Timestamp) -> [u8; 16] {
        (**self).id(at)
    }
}

/// Draws UUIDv7 ids (RFC 9562) with 74 random bits from the thread's own generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn id(&self, at: Timestamp) -> [u8; 16] {
        let mut random = [0; 10];
        rand::rng().fill(&mut random);
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_rfc_3339_with_six_digits() {
        assert_eq!(Timestamp::from_micros(250).to_string(), "1970-01-01T00:00:00.000250Z");
        let at: Timestamp = "2026-01-31T13:04:31.5+01:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-01-31T12:04:31.500000Z");
    }

    #[test]
    fn months_follow_the_calendar_across_years() {
        let december: Timestamp = "2025-12-31T23:59:59.999999Z".parse().unwrap();
        assert_eq!(december.month().to_string(), "2025-12");
        assert_eq!(december.month().next().to_string(), "2026-01");
        assert_eq!(december.month().next().start().as_micros(), december.as_micros() + 1);
    }

    #[test]
    fn months_come_back_as_they_are_shown() {
        for index in [-24_000, -13, -12, -1, 0, 11, 24_312, 200_000] {
            let shown = Month::from_index(index).to_string();
            assert_eq!(shown.parse(), Ok(Month::from_index(index)), "{shown}");
        }
        assert_eq!("2026-13".parse::<Month>(), Err(NotAMonth(())));
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for at in [i64::MIN, i64::MAX] {
            let at = Timestamp::from_micros(at);
            assert!(!at.to_string().is_empty());
            assert!(!at.month().next().start().to_string().is_empty());
        }
    }
}
