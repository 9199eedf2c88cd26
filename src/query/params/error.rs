//! What is wrong with a parameter.

use std::{error, fmt};

use crate::query::ParseError;

/// A parameter that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamError {
    parameter: String,
    detail: String,
    query: Option<ParseError>,
}

impl ParamError {
    /// `detail` is a sentence that names the parameter.
    pub(super) fn new(parameter: &str, detail: impl Into<String>) -> Self {
        // Whatever somebody sends comes back in the answer, but not at any length.
        let parameter = parameter.chars().take(64).collect();
        Self { parameter, detail: detail.into(), query: None }
    }

    pub(super) fn query(parameter: &str, error: ParseError) -> Self {
        Self { query: Some(error.clone()), ..Self::new(parameter, error.detail()) }
    }

    /// Returns the parameter's name as it was sent.
    #[must_use]
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// Returns what is wrong and what was expected.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns where the value is wrong: the column, in characters from 1.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.query.as_ref().map(ParseError::column)
    }

    /// Returns the error of the query language behind it.
    #[must_use]
    pub const fn parse_error(&self) -> Option<&ParseError> {
        self.query.as_ref()
    }
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.query {
            Some(error) => {
                write!(f, "`{}`, {error}", self.parameter.escape_debug())
            }
            None => f.write_str(&self.detail),
        }
    }
}

impl error::Error for ParamError {}
