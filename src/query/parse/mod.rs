//! The query language: from text to a [`Filter`].
//!
//! Everything is bounded before it is built ([`MAX_LENGTH`], [`MAX_DEPTH`], [`MAX_TERMS`], [`MAX_VALUES`]),
//! each character is looked at a bounded number of times, and nothing that anybody writes panics.

mod error;
mod grammar;
mod item;
#[cfg(test)]
mod laws;
mod scan;
#[cfg(test)]
mod tests;
mod time;
mod value;

pub use error::{ParseError, ParseErrorKind};
pub(super) use grammar::bare;
pub(super) use item::Ch;
pub(super) use scan::{Values as ValueList, trailing_backslash};
pub(super) use time::{Moments, moments};
pub(super) use value::{Asked, any_of, login_words, usual};

use super::{Filter, zone::TimeZone};
use crate::time::Timestamp;

/// How many bytes a query may have.
pub const MAX_LENGTH: usize = 4_096;

/// How deep parentheses may be nested.
pub const MAX_DEPTH: usize = 16;

/// How many conditions a query may have.
pub const MAX_TERMS: usize = 128;

/// How many values a condition may list.
pub const MAX_VALUES: usize = 100;

/// What a query means besides its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseContext {
    /// What `now` is.
    pub now: Timestamp,
    /// Where days begin and end.
    pub tz: TimeZone,
}

impl ParseContext {
    /// Makes the context of a moment, with days of universal time.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { now, tz: TimeZone::UTC }
    }

    /// Takes days from a time zone.
    #[must_use]
    pub fn in_zone(self, tz: TimeZone) -> Self {
        Self { tz, ..self }
    }
}

impl Filter {
    /// Reads a filter in the query language, as `docs/query.md` describes it.
    ///
    /// # Errors
    ///
    /// Tells the column, what was expected there, and the nearest field or word.
    ///
    /// # Examples
    ///
    /// ```
    /// use tower_activity::{Filter, query::ParseContext, time::Timestamp};
    ///
    /// let now: Timestamp = "2026-05-11T12:00:00Z".parse().unwrap();
    /// let context = ParseContext::new(now);
    /// let filter = Filter::parse("action:cancel -actor_id:bot status:>=500", &context).unwrap();
    /// assert_eq!(filter.to_string(), "action:cancel -actor_id:bot status:>=500");
    ///
    /// let error = Filter::parse("actoin:cancel", &context).unwrap_err();
    /// assert_eq!(error.to_string(), "column 1: there is no field `actoin`; did you mean `action`?");
    /// ```
    pub fn parse(text: &str, context: &ParseContext) -> Result<Self, ParseError> {
        grammar::parse(text, context).map(|expr| Self::from_expr(expr.normal()))
    }
}
