//! What is wrong with a query.

use std::{error, fmt};

/// A query that cannot be read: where, why, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    kind: ParseErrorKind,
    at: usize,
    length: usize,
    what: String,
    nearest: Option<String>,
}

/// What kind of mistake it is; the words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The query is longer than [`MAX_LENGTH`](super::MAX_LENGTH).
    TooLong,
    /// Parentheses stand within more than [`MAX_DEPTH`](super::MAX_DEPTH) others.
    TooDeep,
    /// There are more than [`MAX_TERMS`](super::MAX_TERMS) conditions.
    TooManyTerms,
    /// A condition lists more than [`MAX_VALUES`](super::MAX_VALUES) values.
    TooManyValues,
    /// A value has more than [`Pattern::MAX_STARS`](crate::query::Pattern::MAX_STARS) stars.
    TooManyStars,
    /// There is no such field.
    UnknownField,
    /// The vocabulary has no such word.
    UnknownWord,
    /// A value that the field cannot have.
    BadValue,
    /// Nothing where a value belongs.
    MissingValue,
    /// A quotation that does not end.
    UnclosedQuote,
    /// A parenthesis that is not closed.
    UnclosedParenthesis,
    /// Something that cannot stand here.
    Unexpected,
    /// A word to look for without a letter or a digit.
    NoWords,
}

impl ParseErrorKind {
    /// Returns the stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::TooDeep => "too_deep",
            Self::TooManyTerms => "too_many_terms",
            Self::TooManyValues => "too_many_values",
            Self::TooManyStars => "too_many_stars",
            Self::UnknownField => "unknown_field",
            Self::UnknownWord => "unknown_word",
            Self::BadValue => "bad_value",
            Self::MissingValue => "missing_value",
            Self::UnclosedQuote => "unclosed_quote",
            Self::UnclosedParenthesis => "unclosed_parenthesis",
            Self::Unexpected => "unexpected",
            Self::NoWords => "no_words",
        }
    }
}

impl ParseError {
    /// `at` counts characters from 0.
    pub(super) fn new(
        kind: ParseErrorKind,
        (at, end): (usize, usize),
        what: impl Into<String>,
    ) -> Self {
        let length = end.saturating_sub(at);
        Self { kind, at, length, what: what.into(), nearest: None }
    }

    pub(super) fn near(self, nearest: Option<&str>) -> Self {
        Self { nearest: nearest.map(str::to_owned), ..self }
    }

    /// Returns the kind of mistake.
    #[must_use]
    pub const fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// Returns the column that the bad part begins at, in characters from 1.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.at + 1
    }

    /// Returns how many characters are bad; 0 where something is missing.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Returns the known field or word that is nearest, if one is near.
    #[must_use]
    pub fn nearest(&self) -> Option<&str> {
        self.nearest.as_deref()
    }

    /// Returns what is wrong and what was expected, without the column.
    #[must_use]
    pub fn detail(&self) -> String {
        match &self.nearest {
            Some(near) => format!("{}; did you mean `{near}`?", self.what),
            None => self.what.clone(),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column(), self.detail())
    }
}

impl error::Error for ParseError {}
