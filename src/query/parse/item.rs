//! The characters of a value, each with whether it may have a meaning of its own.

use super::error::{ParseError, ParseErrorKind};
use crate::query::pattern::Pattern;

/// Columns from 0: where something begins and where it ends, in characters.
pub(in crate::query) type Span = (usize, usize);

/// A character of a value.
#[derive(Debug, Clone, Copy)]
pub(in crate::query) struct Ch {
    pub(in crate::query) c: char,
    /// Neither quoted nor escaped, so that `*`, `,` and their like mean something.
    pub(in crate::query) plain: bool,
    /// Its column.
    pub(in crate::query) at: usize,
}

impl Ch {
    fn is(self, c: char) -> bool {
        self.plain && self.c == c
    }
}

/// One value, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(in crate::query) struct Item<'a> {
    chars: &'a [Ch],
    /// Whether there were quotes, so that nothing is a value too.
    quoted: bool,
    span: Span,
}

impl<'a> Item<'a> {
    pub(in crate::query) const fn new(chars: &'a [Ch], quoted: bool, span: Span) -> Self {
        Self { chars, quoted, span }
    }

    pub(super) const fn span(self) -> Span {
        self.span
    }

    /// Whether nothing was written.
    pub(super) const fn is_missing(self) -> bool {
        self.chars.is_empty() && !self.quoted
    }

    /// Whether every character stands as it is written.
    pub(super) fn is_plain(self) -> bool {
        !self.quoted && self.chars.iter().all(|ch| ch.plain)
    }

    pub(super) fn text(self) -> String {
        self.chars.iter().map(|ch| ch.c).collect()
    }

    /// Whether it is the star alone: any value.
    pub(super) fn is_star(self) -> bool {
        !self.quoted && !self.chars.is_empty() && self.chars.iter().all(|ch| ch.is('*'))
    }

    pub(super) fn has_star(self) -> bool {
        self.chars.iter().any(|ch| ch.is('*'))
    }

    pub(super) fn begins_with(self, c: char) -> bool {
        self.chars.first().is_some_and(|first| first.is(c))
    }

    pub(super) fn begins_quoted(self) -> bool {
        self.chars.first().is_some_and(|first| !first.plain)
    }

    /// Drops the first so many characters.
    pub(super) fn skip(self, count: usize) -> Self {
        let chars = self.chars.get(count..).unwrap_or_default();
        let start = chars.first().map_or(self.span.1, |first| first.at);
        Self { chars, span: (start, self.span.1), ..self }
    }

    /// Parts it at the first plain character of this kind, which belongs to neither part.
    pub(super) fn split_at(self, c: char) -> Option<(Self, Self)> {
        let at = self.chars.iter().position(|ch| ch.is(c))?;
        Some((self.before(at), self.skip(at + 1)))
    }

    /// Parts it at the first plain `..`.
    pub(super) fn split_range(self) -> Option<(Self, Self)> {
        let at = self.chars.windows(2).position(|two| two[0].is('.') && two[1].is('.'))?;
        Some((self.before(at), self.skip(at + 2)))
    }

    fn before(self, at: usize) -> Self {
        let end = self.chars.get(at).map_or(self.span.1, |ch| ch.at);
        Self { chars: &self.chars[..at], span: (self.span.0, end), ..self }
    }

    /// Returns what stands before a star at its end, and whether there is one.
    pub(super) fn open_end(self) -> (Self, bool) {
        match self.chars.split_last() {
            Some((last, rest)) if last.is('*') => {
                let span = (self.span.0, last.at);
                (Self { chars: rest, span, ..self }, true)
            }
            _ => (self, false),
        }
    }

    /// Returns the literal pieces between the stars, neighbouring stars counted as one.
    pub(super) fn pattern(self) -> Result<Pattern, ParseError> {
        let mut pieces = vec![String::new()];
        let mut after_star = false;
        for ch in self.chars {
            if ch.is('*') {
                if !after_star {
                    pieces.push(String::new());
                }
            } else if let Some(piece) = pieces.last_mut() {
                piece.push(ch.c);
            }
            after_star = ch.is('*');
        }
        if pieces.len() - 1 > Pattern::MAX_STARS {
            let what = format!("more than {} stars in one value", Pattern::MAX_STARS);
            return Err(ParseError::new(ParseErrorKind::TooManyStars, self.span, what));
        }
        Ok(Pattern::new(pieces))
    }
}
