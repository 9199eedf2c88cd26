//! What stands after a colon: from a field and its values to tests.

use super::{
    ParseContext,
    error::{ParseError, ParseErrorKind},
    grammar::{no_words, within_values, words_test},
    item::{Ch, Item, Span},
    scan::Values as List,
    time,
};
use crate::{
    query::{
        Pattern,
        expr::{Expr, Side, Test, Wanted, folds_case},
        fields::{FIELDS, QueryField, Values},
    },
    record::{Address, Field, RecordId},
    suggest::nearest,
};

/// A field as it was asked for.
#[derive(Debug)]
pub(in crate::query) struct Asked {
    field: &'static QueryField,
    /// The keys within JSON.
    keys: Vec<String>,
}

impl Asked {
    /// Finds the field of a parameter.
    pub(in crate::query) const fn whole(field: &'static QueryField) -> Self {
        Self { field, keys: Vec::new() }
    }

    /// Finds the field that is written `name`, keys included.
    pub(super) fn new(name: &[Ch], span: Span) -> Result<Self, ParseError> {
        let mut parts = name.split(|ch| ch.plain && ch.c == '.');
        let text = |chars: &[Ch]| chars.iter().map(|ch| ch.c).collect::<String>();
        let first = text(parts.next().unwrap_or_default());
        let end = (span.0 + first.chars().count()).min(span.1);
        let Some(field) = QueryField::named(&first) else {
            return Err(unknown_field(&first, (span.0, end)));
        };
        let keys: Vec<String> = parts.map(text).collect();
        if !keys.is_empty() && !matches!(field.values, Values::Keys | Values::Element) {
            let what = format!("`{}` has no keys below it; expected `:` after it", field.name);
            return Err(ParseError::new(ParseErrorKind::UnknownField, (end, span.1), what));
        }
        Ok(Self { field, keys })
    }

    pub(super) const fn name(&self) -> &'static str {
        self.field.name
    }

    fn on(&self) -> Result<&'static Field, ParseError> {
        // Only `event` and `search` look at more than one field, and they do not ask.
        self.field.field().ok_or_else(|| {
            ParseError::new(ParseErrorKind::BadValue, (0, 0), "this field cannot be compared")
        })
    }
}

fn unknown_field(name: &str, span: Span) -> ParseError {
    if name.is_empty() {
        let what = "expected the name of a field before the `:`";
        return ParseError::new(ParseErrorKind::Unexpected, span, what);
    }
    let known = FIELDS.iter().flat_map(QueryField::names);
    let near = nearest(name, known);
    let shown: String = name.chars().take(64).collect();
    let what = format!("there is no field `{}`", shown.escape_debug());
    let what = match (near, name.to_ascii_lowercase().as_str()) {
        (_, "from" | "to" | "since" | "until" | "date") => {
            let what = format!("{what}; time is asked for as `at:2026-01-01..2026-02-01`");
            return ParseError::new(ParseErrorKind::UnknownField, span, what);
        }
        (Some(_), _) => what,
        (None, _) => format!("{what}; to look for it as text, put it in quotes"),
    };
    ParseError::new(ParseErrorKind::UnknownField, span, what).near(near)
}

/// Reads a list of values, one of which is wanted.
pub(in crate::query) fn any_of(
    asked: &Asked,
    values: &List,
    context: &ParseContext,
) -> Result<Expr, ParseError> {
    within_values(values)?;
    let mut parts: Vec<Expr> = Vec::with_capacity(values.len());
    // The path that further values of a change belong to.
    let mut path: Option<String> = None;
    for item in values.iter() {
        if item.is_missing() {
            let what = format!(
                "expected a value of `{}` right here: {}",
                asked.name(),
                asked.field.values.expected()
            );
            return Err(ParseError::new(ParseErrorKind::MissingValue, item.span(), what));
        }
        parts.push(match asked.field.values {
            Values::Change(side) => change(item, side, &mut path)?,
            _ => value(asked, item, context)?,
        });
    }
    Ok(Expr::Any(parts))
}

fn value(asked: &Asked, item: Item<'_>, context: &ParseContext) -> Result<Expr, ParseError> {
    let kind = asked.field.values;
    if kind == Values::Words {
        return words_test(item)?.ok_or_else(|| no_words(item.span()));
    }
    if kind == Values::Event {
        return event(item);
    }
    let field = asked.on()?;
    let present = item.is_star();
    let test = match kind {
        Values::Keys | Values::Element if !asked.keys.is_empty() => {
            Test::Json(field, asked.keys.clone(), wanted(item)?)
        }
        Values::Key(key) => Test::Json(field, vec![key.to_owned()], wanted(item)?),
        _ if present => Test::Present(field),
        Values::Keys => Test::Json(field, Vec::new(), wanted(item)?),
        Values::Element => {
            plain_only(asked, item)?;
            Test::Contains(field, vec![item.text()])
        }
        Values::Word(words) => return word(field, words, item),
        Values::Number | Values::Named(_) | Values::Status | Values::Length => {
            return number(asked, field, item);
        }
        Values::Time => {
            let (from, to) = time::bounds(item, context)?;
            Test::Time(field, from, to)
        }
        Values::Address => {
            let address: Address =
                item.text().parse().map_err(|_| bad(asked, item, "no address"))?;
            Test::Network(field, address)
        }
        Values::Id => {
            let id: RecordId = item.text().parse().map_err(|_| bad(asked, item, "no id"))?;
            Test::Id(id)
        }
        _ => return text(field, item),
    };
    Ok(Expr::Test(test))
}

fn bad(asked: &Asked, item: Item<'_>, what: &str) -> ParseError {
    let shown: String = item.text().chars().take(64).collect();
    let shown = shown.escape_debug();
    let expected = asked.field.values.expected();
    let what = format!("`{shown}` is {what}; `{}` takes {expected}", asked.name());
    ParseError::new(ParseErrorKind::BadValue, item.span(), what)
}

/// Refuses stars where none mean anything.
fn plain_only(asked: &Asked, item: Item<'_>) -> Result<(), ParseError> {
    if item.has_star() {
        let what = format!(
            "the elements of `{}` are compared as a whole; a `*` itself is written `\\*`",
            asked.name()
        );
        return Err(ParseError::new(ParseErrorKind::BadValue, item.span(), what));
    }
    Ok(())
}

/// A value of text, exact or with stars.
fn text(field: &'static Field, item: Item<'_>) -> Result<Expr, ParseError> {
    if item.begins_with('>') || item.begins_with('<') {
        let what = format!(
            "`{}` is text, which is not greater or less; a `>` or `<` itself is put in quotes",
            field.name()
        );
        return Err(ParseError::new(ParseErrorKind::BadValue, item.span(), what));
    }
    if item.has_star() {
        return Ok(Expr::Test(Test::Like(field, folded(field, item.pattern()?))));
    }
    let mut text = item.text();
    if folds_case(field) {
        text.make_ascii_lowercase();
    }
    if item.is_plain() {
        if login_words(field, &text) {
            return Ok(login_success());
        }
        text = usual(field, text);
    }
    Ok(Expr::Test(Test::OneOf(field, vec![text])))
}

fn folded(field: &Field, pattern: Pattern) -> Pattern {
    if folds_case(field) { pattern.folded() } else { pattern }
}

/// The usual spelling of what is written without quotes: methods in capitals, ids of W3C in small hex.
pub(in crate::query) fn usual(field: &Field, text: String) -> String {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    match field.name() {
        "method" => METHODS
            .iter()
            .find(|method| method.eq_ignore_ascii_case(&text))
            .map_or(text, |method| (*method).to_owned()),
        "trace_id" | "span_id" => text.to_ascii_lowercase(),
        _ => text,
    }
}

/// Whether a value means more than itself.
pub(in crate::query) fn login_words(field: &Field, value: &str) -> bool {
    field.name() == "action" && value == "login_success"
}

/// Logins that succeeded are recorded as `login`; others may write the longer word.
fn login_success() -> Expr {
    let is = |name: &str, word: &str| {
        Field::named(name)
            .map_or(Expr::EVERY, |field| Expr::Test(Test::OneOf(field, vec![word.to_owned()])))
    };
    Expr::Any(vec![
        is("action", "login_success"),
        Expr::All(vec![is("action", "login"), is("outcome", "success")]),
    ])
}

fn word(
    field: &'static Field,
    words: &'static [&'static str],
    item: Item<'_>,
) -> Result<Expr, ParseError> {
    if item.has_star() {
        return Ok(Expr::Test(Test::Like(field, item.pattern()?.folded())));
    }
    let text = item.text();
    match words.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
        Some(word) => Ok(Expr::Test(Test::OneOf(field, vec![(*word).to_owned()]))),
        None => {
            let shown: String = text.chars().take(64).collect();
            let what = format!(
                "`{}` has no word `{}`; expected one of {}",
                field.name(),
                shown.escape_debug(),
                words.join(", ")
            );
            let near = nearest(&text, words.iter().copied());
            Err(ParseError::new(ParseErrorKind::UnknownWord, item.span(), what).near(near))
        }
    }
}

fn event(item: Item<'_>) -> Result<Expr, ParseError> {
    let named = |name: &str, item: Item<'_>| match Field::named(name) {
        Some(_) if item.is_star() => Ok(Expr::EVERY),
        Some(field) => text(field, item),
        None => Ok(Expr::EVERY),
    };
    match item.split_at('.') {
        None => named("action", item),
        Some((entity, action)) => {
            if entity.is_missing() || action.is_missing() {
                let what = "expected `entity_type.action`, `*` on either side";
                return Err(ParseError::new(ParseErrorKind::MissingValue, item.span(), what));
            }
            let present = |name: &str, item: Item<'_>| match Field::named(name) {
                Some(field) if item.is_star() => Ok(Expr::Test(Test::Present(field))),
                _ => named(name, item),
            };
            Ok(Expr::All(vec![present("entity_type", entity)?, present("action", action)?]))
        }
    }
}

fn wanted(item: Item<'_>) -> Result<Wanted, ParseError> {
    Ok(if item.is_star() {
        Wanted::Any
    } else if item.has_star() {
        Wanted::Like(item.pattern()?)
    } else {
        Wanted::OneOf(vec![item.text()])
    })
}

/// `/path`, `/path=value`, or after these a further value for the same path.
fn change(item: Item<'_>, side: Side, before: &mut Option<String>) -> Result<Expr, ParseError> {
    let on = |path: String, wanted| Expr::Test(Test::Change(path, side, wanted));
    if let Some(path) = before.as_ref()
        && !item.begins_with('/')
    {
        return Ok(on(path.clone(), wanted(item)?));
    }
    if item.is_star() {
        return Ok(on(String::new(), Wanted::Any));
    }
    let (path, value) = match item.split_at('=') {
        None => (item, None),
        Some((path, value)) => (path, Some(value)),
    };
    if path.has_star() {
        let what = "a path has no `*`; everything below a path is found with it";
        return Err(ParseError::new(ParseErrorKind::BadValue, path.span(), what));
    }
    let mut text = path.text();
    if !text.is_empty() && !text.starts_with('/') && !path.begins_quoted() {
        text.insert(0, '/');
    }
    let Some(value) = value else { return Ok(on(text, Wanted::Any)) };
    if value.is_missing() {
        let what = "expected a value after the `=`";
        return Err(ParseError::new(ParseErrorKind::MissingValue, value.span(), what));
    }
    *before = Some(text.clone());
    Ok(on(text, wanted(value)?))
}

/// An integer, a comparison, a range, or a class of statuses.
fn number(asked: &Asked, field: &'static Field, item: Item<'_>) -> Result<Expr, ParseError> {
    let kind = asked.field.values;
    let one =
        |item: Item<'_>| integer(kind, &item.text()).ok_or_else(|| bad(asked, item, "no number"));
    let test = |least, most| Ok(Expr::Test(Test::Number(field, least, most)));
    let never = || Ok(Expr::Any(Vec::new()));
    if item.begins_with('>') {
        let rest = item.skip(1);
        if rest.begins_with('=') {
            return test(Some(one(rest.skip(1))?), None);
        }
        return one(rest)?.checked_add(1).map_or_else(never, |least| test(Some(least), None));
    }
    if item.begins_with('<') {
        let rest = item.skip(1);
        if rest.begins_with('=') {
            return test(None, Some(one(rest.skip(1))?));
        }
        return one(rest)?.checked_sub(1).map_or_else(never, |most| test(None, Some(most)));
    }
    if let Some((from, to)) = item.split_range() {
        let end = |item: Item<'_>| if item.is_missing() { Ok(None) } else { one(item).map(Some) };
        let (least, most) = (end(from)?, end(to)?);
        if least.is_none() && most.is_none() {
            return Err(bad(asked, item, "a range without ends"));
        }
        if least.zip(most).is_some_and(|(least, most)| least > most) {
            return Err(bad(asked, item, "a range that ends before it begins"));
        }
        return test(least, most);
    }
    let item = if item.begins_with('=') { item.skip(1) } else { item };
    let text = item.text();
    if kind == Values::Status
        && let [class @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] = text.as_bytes()
    {
        let class = i64::from(class - b'0') * 100;
        return test(Some(class), Some(class + 99));
    }
    let number = one(item)?;
    test(Some(number), Some(number))
}

fn integer(kind: Values, text: &str) -> Option<i64> {
    match kind {
        Values::Named(names) => {
            let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
            named.and_then(|at| i64::try_from(at).ok()).or_else(|| text.parse().ok())
        }
        Values::Length => {
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let unit = match &text[digits.len()..] {
                "" | "us" => 1,
                "ms" => 1_000,
                "s" => 1_000_000,
                "m" => 60_000_000,
                "h" => 3_600_000_000,
                _ => return None,
            };
            digits.parse::<i64>().ok()?.checked_mul(unit)
        }
        _ => text.parse().ok(),
    }
}
