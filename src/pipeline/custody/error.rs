//! Why something was not placed, lifted or set.

use std::{error, fmt};

use crate::{query::ParseError, rules::RetentionError, store::StoreError};

/// Why a hold was not placed or lifted, or a policy not set.
#[derive(Debug)]
pub struct CustodyError(Kind);

#[derive(Debug)]
enum Kind {
    NoStore,
    Request { field: &'static str, what: String },
    Query(ParseError),
    Unknown,
    Unrecorded,
    Unconfirmed,
    Store(StoreError),
}

impl CustodyError {
    pub(in crate::pipeline) const fn no_store() -> Self {
        Self(Kind::NoStore)
    }

    pub(super) fn request(field: &'static str, what: impl Into<String>) -> Self {
        Self(Kind::Request { field, what: what.into() })
    }

    pub(crate) const fn unknown() -> Self {
        Self(Kind::Unknown)
    }

    pub(super) const fn unrecorded() -> Self {
        Self(Kind::Unrecorded)
    }

    pub(super) const fn unconfirmed() -> Self {
        Self(Kind::Unconfirmed)
    }

    /// Tells whether the request was not sound.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.0, Kind::Request { .. } | Kind::Query(_))
    }

    /// Tells whether there is no such hold.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.0, Kind::Unknown)
    }

    /// Returns the part of the request that is not sound.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Request { field, .. } => Some(field),
            Kind::Query(_) => Some("query"),
            _ => None,
        }
    }

    /// Returns the column in the query, from 1 on, where it stops making sense.
    #[must_use]
    pub const fn column(&self) -> Option<usize> {
        match &self.0 {
            Kind::Query(error) => Some(error.column()),
            _ => None,
        }
    }
}

impl From<StoreError> for CustodyError {
    fn from(error: StoreError) -> Self {
        Self(Kind::Store(error))
    }
}

impl From<ParseError> for CustodyError {
    fn from(error: ParseError) -> Self {
        Self(Kind::Query(error))
    }
}

impl From<RetentionError> for CustodyError {
    fn from(error: RetentionError) -> Self {
        Self::request("policy", error.to_string())
    }
}

impl fmt::Display for CustodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::NoStore => {
                f.write_str("the store only takes records, and cannot say what is held")
            }
            Kind::Request { what, .. } => f.write_str(what),
            Kind::Query(error) => write!(f, "the query: {error}"),
            Kind::Unknown => f.write_str("there is no such hold"),
            Kind::Unrecorded => f.write_str(
                "the record that says so could not be stored, hence nothing has changed",
            ),
            Kind::Unconfirmed => f.write_str(
                "the record that says so is on its way and was not stored in time: it may take effect later; ask what \
                 stands before you try again",
            ),
            Kind::Store(_) => f.write_str("the store could not be asked"),
        }
    }
}

impl error::Error for CustodyError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Store(error) => Some(error),
            _ => None,
        }
    }
}
