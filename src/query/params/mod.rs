//! The parameters over HTTP: from the pairs of a query string to a filter and what goes with it.

mod error;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use error::ParamError;
pub use table::{Extra, PARAMETERS, Parameter};

use super::{Count, Direction, Filter, interval::Interval, zone::TimeZone};
use crate::{record::Field, time::Timestamp};

/// What the parameters of a request say.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Params {
    /// Every filter, both ends of time and `q` together.
    pub filter: Filter,
    /// `order`: [`Direction::Older`] is `desc`.
    pub order: Direction,
    /// `limit`.
    pub limit: usize,
    /// `cursor`, as it was given.
    pub cursor: Option<String>,
    /// How many records to pass over, from `offset` or `page`.
    pub offset: usize,
    /// `count`.
    pub count: Option<Count>,
    /// `tz`.
    pub tz: TimeZone,
    /// `interval`.
    pub interval: Interval,
    /// `fields`: what to count by.
    pub fields: Vec<&'static Field>,
    /// `top`.
    pub top: Option<usize>,
    /// `prefix`: what the values that are counted begin with.
    pub prefix: Option<String>,
    /// `format`, in lower case.
    pub format: Option<String>,
    /// `bom`.
    pub bom: bool,
    /// `proofs`.
    pub proofs: bool,
    /// `restricted`.
    pub restricted: bool,
    /// `ticket`.
    pub ticket: Option<String>,
    /// What `now` was.
    pub now: Timestamp,
}

impl Params {
    /// How many records a page has unless it is said.
    pub const DEFAULT_LIMIT: usize = 50;

    /// More than this is refused.
    pub const MAX_LIMIT: usize = 1_000;

    /// How far `page` and `offset` reach: reading on from there by number would read everything before it.
    pub const MAX_OFFSET: usize = 10_000;

    /// How many values `top` may ask for.
    pub const MAX_TOP: usize = 1_000;

    /// Reads the decoded pairs of a query string. `extras` are the parameters that the endpoint takes.
    ///
    /// # Errors
    ///
    /// Names the parameter that is unknown, misplaced, given twice, contradictory or cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// use tower_activity::{query::{Extra, Params}, time::Timestamp};
    ///
    /// let pairs = [("action", "create,cancel"), ("status", "5xx"), ("limit", "10")];
    /// let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    /// let now = Timestamp::default();
    /// let params = Params::read(&pairs, &[Extra::Filters, Extra::Limit], now).unwrap();
    /// assert_eq!(params.filter.to_string(), "action:create,cancel status:500..599");
    /// assert_eq!(params.limit, 10);
    ///
    /// let error = Params::read(&pairs, &[Extra::Filters], now).unwrap_err();
    /// assert_eq!(error.to_string(), "`limit` is not a parameter here");
    /// ```
    pub fn read(
        pairs: &[(String, String)],
        extras: &[Extra],
        now: Timestamp,
    ) -> Result<Self, ParamError> {
        read::read(pairs, extras, now)
    }
}
