//! Filters as text, in the query language.

use std::fmt::{self, Write as _};

use super::{
    expr::{Expr, Side, Test, Wanted},
    fields::{QueryField, Values},
    filter::Filter,
    parse::{login_words, usual},
    pattern::Pattern,
};
use crate::{record::Field, time::Timestamp};

/// Writes the filter so that [`Filter::parse`] reads it again, as long as the query language can say it and
/// its bounds allow. Times are written out: nothing depends on when it is read.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expr().clone().normal() {
            Expr::All(parts) if parts.is_empty() => Ok(()),
            expr => either(f, &expr),
        }
    }
}

fn either(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
    match expr {
        Expr::Any(parts) => separated(f, parts, " OR ", both),
        other => both(f, other),
    }
}

fn both(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
    match expr {
        Expr::All(parts) if !parts.is_empty() => separated(f, parts, " ", one),
        other => one(f, other),
    }
}

fn separated(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expr],
    between: &str,
    show: fn(&mut fmt::Formatter<'_>, &Expr) -> fmt::Result,
) -> fmt::Result {
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            f.write_str(between)?;
        }
        show(f, part)?;
    }
    Ok(())
}

fn one(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
    match expr {
        Expr::All(parts) if parts.is_empty() => f.write_char('*'),
        Expr::All(_) | Expr::Any(_) => {
            f.write_char('(')?;
            either(f, expr)?;
            f.write_char(')')
        }
        Expr::Not(part) => {
            f.write_char('-')?;
            one(f, part)
        }
        Expr::Test(test) => show(f, test),
    }
}

fn show(f: &mut fmt::Formatter<'_>, test: &Test) -> fmt::Result {
    match test {
        Test::Present(field) => write!(f, "{}:*", name(field)),
        Test::OneOf(field, values) => {
            write!(f, "{}:", name(field))?;
            list(f, values, |value| {
                usual(field, value.to_owned()) != *value || login_words(field, value)
            })
        }
        Test::Like(field, found) => {
            write!(f, "{}:", name(field))?;
            pattern(f, found)
        }
        Test::Number(field, least, most) => {
            write!(f, "{}:", name(field))?;
            match (least, most) {
                (Some(least), Some(most)) if least == most => write!(f, "{least}"),
                (Some(least), Some(most)) => write!(f, "{least}..{most}"),
                (Some(least), None) => write!(f, ">={least}"),
                (None, Some(most)) => write!(f, "<={most}"),
                (None, None) => f.write_char('*'),
            }
        }
        Test::Time(field, from, to) => {
            write!(f, "{}:", name(field))?;
            // The end of a range is within it, to its last microsecond.
            let last = |to: &Timestamp| Timestamp::from_micros(to.as_micros().saturating_sub(1));
            match (from, to) {
                (Some(from), Some(to)) if *from == last(to) => write!(f, "{from}"),
                (Some(from), Some(to)) => write!(f, "{from}..{}", last(to)),
                (Some(from), None) => write!(f, ">={from}"),
                (None, Some(to)) => write!(f, "<{to}"),
                (None, None) => f.write_char('*'),
            }
        }
        Test::Id(id) => write!(f, "id:{id}"),
        Test::Network(field, network) => write!(f, "{}:{network}", name(field)),
        Test::Contains(field, values) => {
            write!(f, "{}:", name(field))?;
            list(f, values, |_| false)
        }
        Test::Json(field, path, found) => {
            f.write_str(name(field))?;
            for key in path {
                f.write_char('.')?;
                self::key(f, key)?;
            }
            f.write_char(':')?;
            wanted(f, found)
        }
        Test::Change(path, side, found) => {
            f.write_str(match side {
                Side::Either => "changed:",
                Side::Old => "old:",
                Side::New => "new:",
            })?;
            match (path.as_str(), found) {
                ("", Wanted::Any) => return f.write_char('*'),
                ("", _) => {}
                // Without quotes it would get a slash.
                (path, _) if !path.starts_with('/') => quoted(f, path)?,
                (path, _) => value(f, path, false)?,
            }
            if *found == Wanted::Any {
                return Ok(());
            }
            f.write_char('=')?;
            match found {
                // A path begins with a slash, so that a value which does is put in quotes.
                Wanted::OneOf(values) => list(f, values, |value| value.starts_with('/')),
                other => wanted(f, other),
            }
        }
        Test::Text(phrase) => {
            let words = phrase.words().join(" ");
            if phrase.words().len() == 1 {
                f.write_str(&words)?
            } else {
                write!(f, "\"{words}\"")?
            }
            if phrase.is_prefix() { f.write_char('*') } else { Ok(()) }
        }
    }
}

/// The name that the query language has for a field of the record.
fn name(field: &Field) -> &'static str {
    QueryField::of(field).map_or(field.name(), |known| match known.values {
        // `changed` and its like ask in another way.
        Values::Change(_) => field.name(),
        _ => known.name,
    })
}

fn wanted(f: &mut fmt::Formatter<'_>, wanted: &Wanted) -> fmt::Result {
    match wanted {
        Wanted::Any => f.write_char('*'),
        Wanted::OneOf(values) => list(f, values, |_| false),
        Wanted::Like(found) => pattern(f, found),
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    values: &[String],
    in_quotes: impl Fn(&str) -> bool,
) -> fmt::Result {
    for (n, text) in values.iter().enumerate() {
        if n > 0 {
            f.write_char(',')?;
        }
        value(f, text, in_quotes(text))?;
    }
    Ok(())
}

/// Tells whether a character stands for itself wherever a value does.
fn stands(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '\\' | '(' | ')' | ',' | '*' | '=')
}

fn value(f: &mut fmt::Formatter<'_>, text: &str, in_quotes: bool) -> fmt::Result {
    let bare = !in_quotes && !text.starts_with(['>', '<', '-', '!']) && text.chars().all(stands);
    if bare && !text.is_empty() && !matches!(text, "AND" | "OR" | "NOT") {
        return f.write_str(text);
    }
    quoted(f, text)
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

fn key(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    let bare = |c: char| stands(c) && !matches!(c, '.' | ':');
    if !key.is_empty() && key.chars().all(bare) { f.write_str(key) } else { quoted(f, key) }
}

fn pattern(f: &mut fmt::Formatter<'_>, pattern: &Pattern) -> fmt::Result {
    // Any text, and nothing but text: the star alone would be any value.
    if pattern.pieces().iter().all(String::is_empty) {
        return f.write_str("\"\"*");
    }
    for (n, piece) in pattern.pieces().iter().enumerate() {
        if n > 0 {
            f.write_char('*')?;
        }
        if !piece.is_empty() {
            value(f, piece, false)?;
        }
    }
    Ok(())
}
