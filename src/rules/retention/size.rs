//! How large a log may get.

use std::{fmt, str::FromStr};

use super::RetentionError;

/// An empty log needs about as much; a number without its unit is far less.
const LEAST: u64 = 1_000_000;
/// From here on it is said aloud, in hundredths of the limit.
const NEAR: u64 = 80;
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// A number of bytes that the log is to stay below, and what may be done for it.
///
/// ```
/// use tower_activity::rules::SizeLimit;
///
/// let limit: SizeLimit = "20GB".parse()?;
/// assert_eq!((limit.bytes(), limit.is_forced()), (20_000_000_000, false));
/// assert!(limit.filled(16_000_000_000).is_near());
/// # Ok::<(), tower_activity::rules::RetentionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SizeLimit {
    bytes: u64,
    force: bool,
}

/// How much of its limit a log fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fullness {
    bytes: u64,
    limit: SizeLimit,
}

impl SizeLimit {
    /// Makes a limit.
    ///
    /// # Errors
    ///
    /// When it is less than what an empty log needs.
    pub fn new(bytes: u64) -> Result<Self, RetentionError> {
        if bytes < LEAST || i64::try_from(bytes).is_err() {
            return Err(RetentionError::new(format!(
                "a log of at most {bytes} bytes cannot be: the limit is within 1MB and {} bytes",
                i64::MAX
            )));
        }
        Ok(Self { bytes, force: false })
    }

    /// Lets a run take out months whose time is not over, when all that are over are gone and the log is still as
    /// large: of the class that is kept for the shortest time the oldest first. Defaults to no.
    #[must_use]
    pub const fn force(self, force: bool) -> Self {
        Self { force, ..self }
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Tells whether months may go before their time.
    #[must_use]
    pub const fn is_forced(self) -> bool {
        self.force
    }

    /// Returns how much of it a log of so many bytes fills.
    #[must_use]
    pub fn filled(self, bytes: i64) -> Fullness {
        Fullness { bytes: u64::try_from(bytes).unwrap_or(0), limit: self }
    }
}

impl Fullness {
    /// Returns how many bytes of the store are in use.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Returns the limit.
    #[must_use]
    pub const fn limit(self) -> SizeLimit {
        self.limit
    }

    /// Returns it as a share of the limit, in thousandths: 0.804.
    #[must_use]
    pub fn share(self) -> f64 {
        let thousandths = u128::from(self.bytes) * 1_000 / u128::from(self.limit.bytes);
        f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1_000.0
    }

    /// Returns it in hundredths, rounded down.
    #[must_use]
    pub fn percent(self) -> u64 {
        let percent = u128::from(self.bytes) * 100 / u128::from(self.limit.bytes);
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    /// Tells whether it is 80 % or more.
    #[must_use]
    pub fn is_near(self) -> bool {
        self.percent() >= NEAR
    }

    /// Tells whether the limit is reached.
    #[must_use]
    pub const fn is_over(self) -> bool {
        self.bytes >= self.limit.bytes
    }
}

impl fmt::Display for Fullness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {} % of {}", self.bytes, self.percent(), self.limit)
    }
}

impl fmt::Display for SizeLimit {
    /// Shows it as it is read: `20GB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, unit): &&(&str, u64)| self.bytes.is_multiple_of(*unit);
        match UNITS.iter().filter(whole).max_by_key(|(_, unit)| *unit) {
            Some((name, unit)) => write!(f, "{}{name}", self.bytes / unit),
            None => write!(f, "{}B", self.bytes),
        }
    }
}

impl FromStr for SizeLimit {
    type Err = RetentionError;

    /// Reads `20GB` or `20GiB`: a whole number, and a unit.
    fn from_str(text: &str) -> Result<Self, RetentionError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        let factor = UNITS.into_iter().chain([("B", 1)]).find(|(name, _)| *name == unit);
        let bytes = factor.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(factor));
        match bytes {
            Some(bytes) => Self::new(bytes),
            None => Err(RetentionError::new(format!(
                "`{}` is no size such as `20GB`, `500MB` or `20GiB`",
                text.escape_debug()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_they_are_shown() {
        for (text, bytes) in [
            ("20GB", 20_000_000_000),
            ("1MB", 1_000_000),
            ("3GiB", 3 << 30),
            ("1500kB", 1_500_000),
            ("1000001B", 1_000_001),
        ] {
            let limit: SizeLimit = text.parse().unwrap();
            assert_eq!(limit.bytes(), bytes, "{text}");
            assert_eq!(limit.to_string().parse(), Ok(limit), "{text}");
        }
        assert_eq!("20 GB".parse::<SizeLimit>().unwrap().to_string(), "20GB");
        for wrong in ["", "20", "GB", "-1GB", "1.5GB", "20gb", "999kB", "99999999999TB", "20GB "] {
            assert!(wrong.parse::<SizeLimit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_is_near_from_four_fifths_on_and_over_at_the_limit() {
        let limit: SizeLimit = "10MB".parse().unwrap();
        let of = |bytes| {
            let filled = limit.filled(bytes);
            (filled.percent(), filled.is_near(), filled.is_over())
        };
        assert_eq!(of(-1), (0, false, false));
        assert_eq!(of(7_999_999), (79, false, false));
        assert_eq!(of(8_000_000), (80, true, false));
        assert_eq!(of(9_999_999), (99, true, false));
        assert_eq!(of(10_000_000), (100, true, true));
        assert_eq!(limit.filled(9_000_000).to_string(), "9000000 bytes, 90 % of 10MB");
    }
}
