//! Conditions joined by and, or and not.

use super::{
    MAX_DEPTH, MAX_LENGTH, MAX_TERMS, MAX_VALUES, ParseContext,
    error::{ParseError, ParseErrorKind},
    item::{Ch, Item, Span},
    scan::{Head, Scanner, Values},
    value::{Asked, any_of},
};
use crate::query::{
    expr::{Expr, Test},
    text::Phrase,
};

pub(super) fn parse(text: &str, context: &ParseContext) -> Result<Expr, ParseError> {
    within_length(text)?;
    let mut parser = Parser { scanner: Scanner::new(text), context, depth: 0, terms: 0 };
    parser.scanner.skip_spaces();
    if parser.scanner.peek().is_none() {
        return Ok(Expr::EVERY);
    }
    let expr = parser.either(None)?;
    match parser.scanner.peek() {
        None => Ok(expr),
        Some(_) => {
            let at = parser.scanner.at();
            let what = "this `)` closes nothing";
            Err(ParseError::new(ParseErrorKind::Unexpected, (at, at + 1), what))
        }
    }
}

fn within_length(text: &str) -> Result<(), ParseError> {
    if text.len() <= MAX_LENGTH {
        return Ok(());
    }
    let (at, end) =
        (text[..text.floor_char_boundary(MAX_LENGTH)].chars().count(), text.chars().count());
    let what = format!("the query has {} bytes; at most {MAX_LENGTH} are read", text.len());
    Err(ParseError::new(ParseErrorKind::TooLong, (at, end), what))
}

/// Reads words that are looked for in the text of records: `search=`. Nothing else has a meaning in it.
pub(in crate::query) fn bare(text: &str) -> Result<Expr, ParseError> {
    within_length(text)?;
    let mut parts = Vec::new();
    let mut scanner = Scanner::new(text);
    loop {
        scanner.skip_spaces();
        if scanner.peek().is_none() {
            break;
        }
        if parts.len() == MAX_TERMS {
            return Err(too_many_terms((scanner.at(), scanner.at())));
        }
        let (chars, quoted, span) = scanner.bare_word()?;
        // What has neither letter nor digit stands between words, here as in the text.
        if let Some(test) = words_test(Item::new(&chars, quoted, span))? {
            parts.push(test);
        }
    }
    if parts.is_empty() {
        return Err(no_words((0, text.chars().count())));
    }
    Ok(Expr::All(parts))
}

struct Parser<'a> {
    scanner: Scanner,
    context: &'a ParseContext,
    depth: usize,
    terms: usize,
}

impl Parser<'_> {
    /// Conditions with `OR` between them. In a group of values, `asked` is what they are values of.
    fn either(&mut self, asked: Option<&Asked>) -> Result<Expr, ParseError> {
        let mut parts = vec![self.all(asked)?];
        loop {
            self.scanner.skip_spaces();
            if !self.scanner.take_word("OR") {
                break;
            }
            parts.push(self.all(asked)?);
        }
        Ok(Expr::Any(parts))
    }

    /// Conditions side by side, with or without `AND`.
    fn all(&mut self, asked: Option<&Asked>) -> Result<Expr, ParseError> {
        let mut parts = vec![self.one(asked)?];
        loop {
            self.scanner.skip_spaces();
            let and = self.scanner.take_word("AND");
            let end = self.scanner.is_word("OR") || matches!(self.scanner.peek(), None | Some(')'));
            if end && !and {
                return Ok(Expr::All(parts));
            }
            parts.push(self.one(asked)?);
        }
    }

    /// One condition, negated or not.
    fn one(&mut self, asked: Option<&Asked>) -> Result<Expr, ParseError> {
        let mut negated = false;
        loop {
            self.scanner.skip_spaces();
            if self.scanner.take('-') || self.scanner.take('!') || self.scanner.take_word("NOT") {
                negated = !negated;
            } else {
                break;
            }
        }
        let expr = self.bare_one(asked)?;
        Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    fn bare_one(&mut self, asked: Option<&Asked>) -> Result<Expr, ParseError> {
        let at = self.scanner.at();
        let missing = self.scanner.peek().is_none_or(|next| next == ')')
            || self.scanner.is_word("OR")
            || self.scanner.is_word("AND");
        if missing {
            let what = match asked {
                Some(asked) => format!("expected a value of `{}`", asked.name()),
                None => "expected a condition such as `action:cancel`, or words".to_owned(),
            };
            return Err(ParseError::new(ParseErrorKind::MissingValue, (at, at), what));
        }
        if self.scanner.peek() == Some('(') {
            return self.group(asked);
        }
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(too_many_terms((at, at)));
        }
        if let Some(asked) = asked {
            return self.values(asked);
        }
        match self.scanner.head()? {
            Head::Phrase(text, prefix, span) => phrase(&text, prefix).ok_or_else(|| no_words(span)),
            Head::Word(chars, span) => {
                let item = Item::new(&chars, false, span);
                if item.is_star() {
                    return Ok(Expr::EVERY);
                }
                words_test(item)?.ok_or_else(|| no_words(span))
            }
            Head::Field(name, span) => {
                let asked = Asked::new(&name, span)?;
                if self.scanner.peek() == Some('(') {
                    self.terms -= 1;
                    return self.group(Some(&asked));
                }
                self.values(&asked)
            }
        }
    }

    fn group(&mut self, asked: Option<&Asked>) -> Result<Expr, ParseError> {
        let at = self.scanner.at();
        self.scanner.take('(');
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let what = format!("parentheses are nested more than {MAX_DEPTH} deep");
            return Err(ParseError::new(ParseErrorKind::TooDeep, (at, at + 1), what));
        }
        let expr = self.either(asked)?;
        if !self.scanner.take(')') {
            let what = "the parenthesis that opens here is not closed; expected `)`";
            return Err(ParseError::new(ParseErrorKind::UnclosedParenthesis, (at, at + 1), what));
        }
        self.depth -= 1;
        Ok(expr)
    }

    fn values(&mut self, asked: &Asked) -> Result<Expr, ParseError> {
        let values: Values = self.scanner.values()?;
        any_of(asked, &values, self.context)
    }
}

/// Reads a word to look for, of which the end may be open; `None` without a letter or digit.
pub(super) fn words_test(item: Item<'_>) -> Result<Option<Expr>, ParseError> {
    let (words, prefix) = item.open_end();
    if words.has_star() {
        let what = "a `*` stands only at the end of a word to look for";
        return Err(ParseError::new(ParseErrorKind::Unexpected, item.span(), what));
    }
    Ok(phrase(&words.text(), prefix))
}

fn phrase(text: &str, open: bool) -> Option<Expr> {
    // `order_*` is the word `order` and anything after it: only a word that goes on is a beginning.
    let goes_on = text.chars().next_back().is_some_and(char::is_alphanumeric);
    let phrase = Phrase::new(text)?;
    let phrase = if open && goes_on { phrase.prefix() } else { phrase };
    Some(Expr::Test(Test::Text(phrase)))
}

pub(super) fn no_words(span: Span) -> ParseError {
    let what = "there is no letter or digit to look for";
    ParseError::new(ParseErrorKind::NoWords, span, what)
}

fn too_many_terms(span: Span) -> ParseError {
    let what = format!("there are more than {MAX_TERMS} conditions");
    ParseError::new(ParseErrorKind::TooManyTerms, span, what)
}

/// Refuses a list that is too long.
pub(super) fn within_values(values: &Values) -> Result<(), ParseError> {
    match values.iter().nth(MAX_VALUES) {
        None => Ok(()),
        Some(item) => {
            let what = format!("{} values; at most {MAX_VALUES} are taken", values.len());
            Err(ParseError::new(ParseErrorKind::TooManyValues, item.span(), what))
        }
    }
}

impl Scanner {
    /// Reads a word or a quotation of `search=`.
    fn bare_word(&mut self) -> Result<(Vec<Ch>, bool, Span), ParseError> {
        let start = self.at();
        let mut chars = Vec::new();
        if self.peek() == Some('"') {
            self.quoted(&mut |ch| chars.push(ch))?;
            if self.take('*') {
                chars.push(Ch { c: '*', plain: true, at: self.at() - 1 });
            }
            return Ok((chars, true, (start, self.at())));
        }
        while self.peek().is_some_and(|c| c != '"' && !c.is_whitespace()) {
            chars.push(self.character()?);
        }
        Ok((chars, false, (start, self.at())))
    }
}
