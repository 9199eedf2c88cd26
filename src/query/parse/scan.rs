//! Reads a query character by character: words, quotations, values.

use super::{
    error::{ParseError, ParseErrorKind},
    item::{Ch, Item, Span},
};

/// A place in a query.
#[derive(Debug)]
pub(super) struct Scanner {
    chars: Vec<char>,
    at: usize,
}

/// What was read where a condition begins.
#[derive(Debug)]
pub(super) enum Head {
    /// Text in quotes, and whether a star follows.
    Phrase(String, bool, Span),
    /// A word without a colon.
    Word(Vec<Ch>, Span),
    /// A word and the colon after it.
    Field(Vec<Ch>, Span),
}

/// The values after a field, comma by comma.
#[derive(Debug, Default)]
pub(in crate::query) struct Values {
    chars: Vec<Ch>,
    /// Where each ends in `chars`, whether it has quotes, and its place.
    items: Vec<(usize, bool, Span)>,
}

impl Values {
    /// Adds a character to the value that is being read.
    pub(in crate::query) fn push(&mut self, ch: Ch) {
        self.chars.push(ch);
    }

    /// Ends the value that is being read.
    pub(in crate::query) fn end(&mut self, quoted: bool, span: Span) {
        self.items.push((self.chars.len(), quoted, span));
    }

    pub(in crate::query) const fn len(&self) -> usize {
        self.items.len()
    }

    pub(in crate::query) fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        let mut from = 0;
        self.items.iter().map(move |(to, quoted, span)| {
            let item = Item::new(&self.chars[from..*to], *quoted, *span);
            from = *to;
            item
        })
    }
}

impl Scanner {
    pub(super) fn new(text: &str) -> Self {
        Self { chars: text.chars().collect(), at: 0 }
    }

    /// The column of the next character, from 0.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_after(&self, count: usize) -> Option<char> {
        self.chars.get(self.at + count).copied()
    }

    pub(super) fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Takes `c` if it is next.
    pub(super) fn take(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        self.at += usize::from(there);
        there
    }

    /// Takes this word if it stands alone here.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        if there {
            self.at += word.len();
        }
        there
    }

    /// Tells whether this word of ASCII stands alone here.
    pub(super) fn is_word(&self, word: &str) -> bool {
        word.chars().enumerate().all(|(n, c)| self.peek_after(n) == Some(c))
            && self
                .peek_after(word.len())
                .is_none_or(|next| next.is_whitespace() || matches!(next, '(' | ')' | '"'))
    }

    /// Reads what a condition begins with; there is something.
    pub(super) fn head(&mut self) -> Result<Head, ParseError> {
        let start = self.at;
        if self.peek() == Some('"') {
            let mut chars = Vec::new();
            self.quoted(&mut |ch| chars.push(ch.c))?;
            let span = (start, self.at);
            if self.peek() == Some(':') {
                let what = "a field is not put in quotes";
                return Err(ParseError::new(ParseErrorKind::Unexpected, span, what));
            }
            let prefix = self.take('*');
            return Ok(Head::Phrase(chars.into_iter().collect(), prefix, (start, self.at)));
        }
        let mut chars: Vec<Ch> = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                '"' if chars.last().is_some_and(|last| last.plain && last.c == '.') => {
                    self.quoted(&mut |ch| chars.push(ch))?;
                }
                '"' | '(' | ')' => break,
                ':' => {
                    let span = (start, self.at);
                    self.at += 1;
                    return Ok(Head::Field(chars, span));
                }
                c if c.is_whitespace() => break,
                _ => chars.push(self.character()?),
            }
        }
        Ok(Head::Word(chars, (start, self.at)))
    }

    /// Reads values up to a space or a parenthesis.
    pub(super) fn values(&mut self) -> Result<Values, ParseError> {
        let mut values = Values::default();
        let (mut start, mut quoted) = (self.at, false);
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    quoted = true;
                    self.quoted(&mut |ch| values.push(ch))?;
                }
                ',' => {
                    values.end(quoted, (start, self.at));
                    self.at += 1;
                    (start, quoted) = (self.at, false);
                }
                '(' | ')' => break,
                c if c.is_whitespace() => break,
                _ => values.push(self.character()?),
            }
        }
        values.end(quoted, (start, self.at));
        Ok(values)
    }

    /// Reads one character, or two when the first is a backslash.
    pub(super) fn character(&mut self) -> Result<Ch, ParseError> {
        let at = self.at;
        let escaped = self.take('\\');
        match self.peek() {
            Some(c) => {
                self.at += 1;
                Ok(Ch { c, plain: !escaped, at })
            }
            None => Err(trailing_backslash((at, self.at))),
        }
    }

    /// Reads a quotation, of which a backslash escapes any character.
    pub(super) fn quoted(&mut self, push: &mut dyn FnMut(Ch)) -> Result<(), ParseError> {
        let start = self.at;
        self.at += 1;
        while let Some(c) = self.peek() {
            if c == '"' {
                self.at += 1;
                return Ok(());
            }
            if c == '\\' && self.peek_after(1).is_none() {
                break;
            }
            let ch = self.character()?;
            push(Ch { plain: false, ..ch });
        }
        let what = "the quotation that begins here does not end; expected `\"`";
        Err(ParseError::new(ParseErrorKind::UnclosedQuote, (start, self.chars.len()), what))
    }
}

pub(in crate::query) fn trailing_backslash(span: Span) -> ParseError {
    let what = "nothing follows the backslash; write `\\\\` for a backslash itself";
    ParseError::new(ParseErrorKind::Unexpected, span, what)
}
