//! A filter as SQL: never less than what passes, and whether it is no more either.
//!
//! Values are always bound. A test of an absent field is NULL in SQL, hence a negation reads `IS NOT TRUE`.
//! Negations are moved down to the tests, so that one which cannot be rendered exactly costs no more than
//! itself: where a test that is a superset is negated, nothing is left of it but "true".

use std::net::IpAddr;

use super::sql::{Bind, Sql};
use crate::{
    query::{Expr, Pattern, Phrase, Side, TEXT_FIELDS, Test, Wanted, folds_case},
    record::{Address, Field, Kind},
};

/// SQLite takes 32 766 values in a statement; what the rest of a question needs is left.
pub(super) const MAX_BINDS: usize = 30_000;
/// SQLite takes expressions of a depth of a thousand; a chain of ANDs is as deep as it is long, and the first
/// of its parts stands at the bottom.
const MAX_PARTS: usize = 200;
const MAX_TESTS: usize = 600;
const MAX_DEPTH: usize = 30;
/// SQLite refuses patterns of more than 50 000 bytes.
const MAX_PATTERN: usize = 10_000;

/// What a table has where a field is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// NULL: the records.
    Null,
    /// Nothing but an empty text: the rollups, whose keys cannot be NULL.
    Empty,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rendered {
    /// `1` where nothing is asked.
    pub(super) sql: Sql,
    /// Whether everything that meets it passes.
    pub(super) exact: bool,
}

impl Rendered {
    fn always(exact: bool) -> Self {
        Self { sql: Sql::new("1"), exact }
    }

    fn never() -> Self {
        Self { sql: Sql::new("0"), exact: true }
    }

    fn exact(sql: Sql) -> Self {
        Self { sql, exact: true }
    }

    fn sieve(sql: Sql) -> Self {
        Self { sql, exact: false }
    }

    pub(super) fn asks_nothing(&self) -> bool {
        self.sql.text == "1"
    }
}

/// Renders conditions of which every one must hold.
pub(super) fn render<'e>(parts: impl IntoIterator<Item = &'e Expr>, absent: Absent) -> Rendered {
    let mut renderer = Renderer { absent, binds: 0, tests: 0 };
    let parts = parts.into_iter().map(|part| renderer.expr(part, false, 0)).collect();
    all(parts)
}

struct Renderer {
    absent: Absent,
    binds: usize,
    tests: usize,
}

impl Renderer {
    fn expr(&mut self, expr: &Expr, negated: bool, depth: usize) -> Rendered {
        if depth > MAX_DEPTH {
            return Rendered::always(false);
        }
        match (expr, negated) {
            (Expr::Not(part), _) => self.expr(part, !negated, depth + 1),
            (Expr::All(parts), false) | (Expr::Any(parts), true) => {
                all(parts.iter().map(|part| self.expr(part, negated, depth + 1)).collect())
            }
            (Expr::Any(parts), false) | (Expr::All(parts), true) => {
                any(parts.iter().map(|part| self.expr(part, negated, depth + 1)).collect())
            }
            (Expr::Test(test), _) => self.test(test, negated),
        }
    }

    fn test(&mut self, test: &Test, negated: bool) -> Rendered {
        let rendered = test_of(test, self.absent);
        self.binds += rendered.sql.binds.len();
        self.tests += 1;
        if self.binds > MAX_BINDS || self.tests > MAX_TESTS || (negated && !rendered.exact) {
            self.binds -= rendered.sql.binds.len();
            return Rendered::always(false);
        }
        if !negated {
            return rendered;
        }
        let mut sql = Sql::new("(");
        sql.append(&rendered.sql).push(") IS NOT TRUE");
        Rendered::exact(sql)
    }
}

fn all(mut parts: Vec<Rendered>) -> Rendered {
    let exact = parts.iter().all(|part| part.exact) && parts.len() <= MAX_PARTS;
    if parts.iter().any(|part| part.sql.text == "0") {
        return Rendered::never();
    }
    parts.retain(|part| !part.asks_nothing());
    parts.truncate(MAX_PARTS);
    match parts.len() {
        0 => Rendered::always(exact),
        1 => Rendered { exact, ..parts.remove(0) },
        _ => {
            let mut sql = Sql::default();
            sql.join(parts.iter().map(|part| &part.sql), " AND ");
            Rendered { sql, exact }
        }
    }
}

fn any(mut parts: Vec<Rendered>) -> Rendered {
    let exact = parts.iter().all(|part| part.exact);
    if let Some(every) = parts.iter().find(|part| part.asks_nothing()) {
        // One that is exactly "every record" settles it, whatever the others are.
        let exact = exact || parts.iter().any(|part| part.asks_nothing() && part.exact);
        return Rendered { sql: every.sql.clone(), exact };
    }
    if parts.len() > MAX_PARTS {
        return Rendered::always(false);
    }
    parts.retain(|part| part.sql.text != "0");
    match parts.len() {
        0 => Rendered::never(),
        1 => Rendered { exact, ..parts.remove(0) },
        _ => {
            let mut sql = Sql::new("((");
            sql.join(parts.iter().map(|part| &part.sql), ") OR (").push("))");
            Rendered { sql, exact }
        }
    }
}

fn test_of(test: &Test, absent: Absent) -> Rendered {
    match test {
        Test::Present(field) => match absent {
            Absent::Null => Rendered::exact(Sql::new(format!("{} IS NOT NULL", field.name()))),
            Absent::Empty => Rendered::exact(Sql::new(format!("{} <> ''", field.name()))),
        },
        Test::OneOf(field, values) if is_text(field) => one_of(field, values),
        Test::Like(field, pattern) if is_text(field) => like(field, pattern, absent),
        Test::Number(field, least, most)
            if matches!(field.kind(), Kind::Integer | Kind::Stream) =>
        {
            between(field, *least, *most, " <= ")
        }
        Test::Time(field, from, to) if field.kind() == Kind::Time => {
            between(field, from.map(|at| at.as_micros()), to.map(|at| at.as_micros()), " < ")
        }
        Test::Id(id) => {
            // The id's millisecond is that of the record, so the index by time finds it.
            let first = id.at().as_micros();
            let mut sql = Sql::new("(occurred_at BETWEEN ");
            sql.bind(first).push(" AND ").bind(first.saturating_add(999));
            sql.push(" AND id = ").bind(Bind::Bytes(id.as_bytes().to_vec())).push(")");
            Rendered::exact(sql)
        }
        Test::Network(field, network) if field.kind() == Kind::Address => {
            within(field.name(), *network)
        }
        Test::Contains(field, values) if field.kind() == Kind::Json => {
            let found = values.iter().map(|value| holds(field.name(), &format!("\"{value}\"")));
            Rendered { exact: values.is_empty(), ..any(found.collect()) }
        }
        Test::Json(field, path, wanted) if field.kind() == Kind::Json => {
            let mut parts: Vec<_> =
                path.iter().map(|key| holds(field.name(), &format!("\"{key}\""))).collect();
            parts.push(value(field.name(), wanted));
            Rendered { exact: false, ..present(field, all(parts)) }
        }
        Test::Change(path, side, wanted) => {
            let mut parts = vec![holds("changes", &format!("\"{path}"))];
            parts.extend(match side {
                Side::Either => None,
                Side::Old => Some(holds("changes", "\"old\"")),
                Side::New => Some(holds("changes", "\"new\"")),
            });
            parts.push(value("changes", wanted));
            Rendered { exact: false, ..all(parts) }
        }
        Test::Text(phrase) => text(phrase),
        // A test of a field of another kind holds for no record.
        Test::OneOf(..)
        | Test::Like(..)
        | Test::Number(..)
        | Test::Time(..)
        | Test::Network(..)
        | Test::Contains(..)
        | Test::Json(..) => Rendered::never(),
    }
}

fn is_text(field: &Field) -> bool {
    matches!(field.kind(), Kind::Text | Kind::Word)
}

/// Adds that the field is there, where nothing else of it is asked.
fn present(field: &Field, part: Rendered) -> Rendered {
    if part.asks_nothing() {
        Rendered::exact(Sql::new(format!("{} IS NOT NULL", field.name())))
    } else {
        part
    }
}

/// Where case does not count, the column itself compares so (NOCASE), or holds lower case only.
fn one_of(field: &Field, values: &[String]) -> Rendered {
    // No field holds an empty text; and with a NUL, comparing without case would end there.
    let values: Vec<String> = values
        .iter()
        .filter(|value| !value.is_empty() && !value.contains('\0'))
        .map(|value| if folds_case(field) { value.to_ascii_lowercase() } else { value.clone() })
        .collect();
    let mut sql = Sql::new(field.name());
    match values.len() {
        0 => return Rendered::never(),
        1 => drop(sql.push(" = ").bind(values[0].as_str())),
        _ => {
            sql.push(" IN (");
            for (n, value) in values.into_iter().enumerate() {
                sql.push(if n == 0 { "" } else { ", " }).bind(value);
            }
            sql.push(")");
        }
    }
    Rendered::exact(sql)
}

/// GLOB, because LIKE disregards case, or does not, as the connection is set.
fn like(field: &Field, pattern: &Pattern, absent: Absent) -> Rendered {
    let name = field.name();
    let there = |sql: Sql| match absent {
        Absent::Null => Rendered::exact(sql),
        Absent::Empty => {
            let mut both = Sql::new(format!("({name} <> '' AND "));
            both.append(&sql).push(")");
            Rendered::exact(both)
        }
    };
    let pieces = if folds_case(field) { pattern.folded() } else { pattern.clone() };
    let length: usize = pieces.pieces().iter().map(String::len).sum();
    if length > MAX_PATTERN || pieces.pieces().iter().any(|piece| piece.contains('\0')) {
        return Rendered::always(false);
    }
    if pieces.pieces().is_empty() {
        return Rendered::never();
    }
    if length == 0 && pieces.pieces().len() > 1 {
        return there(Sql::new(format!("{name} IS NOT NULL")));
    }
    let mut sql = Sql::new(match folds_case(field) {
        true => format!("lower({name}) GLOB "),
        false => format!("{name} GLOB "),
    });
    let globs: Vec<_> = pieces.pieces().iter().map(|piece| glob(piece)).collect();
    sql.bind(globs.join("*"));
    there(sql)
}

/// Writes text for GLOB so that it stands for itself.
fn glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '?' | '[' => escaped.extend(['[', c, ']']),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn between(field: &Field, least: Option<i64>, most: Option<i64>, upper: &str) -> Rendered {
    let name = field.name();
    let mut bounds = Vec::new();
    for (comparison, bound) in [(" >= ", least), (upper, most)] {
        if let Some(bound) = bound {
            let mut sql = Sql::new(format!("{name}{comparison}"));
            sql.bind(bound);
            bounds.push(Rendered::exact(sql));
        }
    }
    if bounds.is_empty() {
        return Rendered::exact(Sql::new(format!("{name} IS NOT NULL")));
    }
    let both = all(bounds);
    let mut sql = Sql::new("(");
    sql.append(&both.sql).push(")");
    Rendered::exact(sql)
}

/// Addresses are stored as they are shown, so that those of a network begin alike, group by group.
///
/// Exact for IPv4, whatever the length of the prefix, and for whole groups of IPv6 before its first group of
/// zeros, which may be left out of the text; otherwise as far as the text tells.
fn within(name: &str, network: Address) -> Rendered {
    let network = Address::truncated(network.ip(), network.prefix());
    if network.is_whole() {
        let mut sql = Sql::new(format!("{name} = "));
        sql.bind(network.to_string());
        return Rendered::exact(sql);
    }
    let prefix = network.prefix();
    let (globs, exact) = match network.ip() {
        IpAddr::V4(ip) => beginnings_v4(ip.octets(), prefix),
        IpAddr::V6(ip) => beginnings_v6(ip.segments(), prefix),
    };
    let mut sql = Sql::new("(");
    for (n, begins) in globs.into_iter().enumerate() {
        sql.push(if n == 0 { "(" } else { " OR " });
        sql.push(name).push(" GLOB ").bind(begins);
    }
    // What was truncated further than the network is not in it.
    sql.push(&format!(
        ") AND (instr({name}, '/') = 0 \
         OR CAST(substr({name}, instr({name}, '/') + 1) AS INTEGER) >= {prefix}))"
    ));
    Rendered { sql, exact }
}

fn beginnings_v4(octets: [u8; 4], prefix: u8) -> (Vec<String>, bool) {
    let whole = usize::from(prefix / 8);
    let mut begins = String::new();
    for octet in &octets[..whole] {
        begins.push_str(&format!("{octet}."));
    }
    let rest = prefix % 8;
    if rest == 0 {
        // No octet at all is any address of the family.
        let any = if whole == 0 { "[0-9]*.*".to_owned() } else { format!("{begins}*") };
        return (vec![any], true);
    }
    let octets =
        (octets[whole]..=octets[whole] | (0xff >> rest)).map(|octet| format!("{begins}{octet}"));
    let globs = octets.flat_map(|begins| {
        // The last octet ends the text, or stands before the prefix.
        let ends = if whole == 3 { &["", "/*"][..] } else { &[".*"] };
        ends.iter().map(move |end| format!("{begins}{end}"))
    });
    (globs.collect(), true)
}

fn beginnings_v6(segments: [u16; 8], prefix: u8) -> (Vec<String>, bool) {
    let whole = usize::from(prefix / 16);
    let told = segments[..whole].iter().take_while(|segment| **segment != 0).count();
    let mut begins = String::new();
    for segment in &segments[..told] {
        begins.push_str(&format!("{segment:x}:"));
    }
    let exact = told == whole && prefix.is_multiple_of(16) && told > 0;
    if begins.is_empty() {
        begins.push_str("*:");
    }
    begins.push('*');
    (vec![begins], exact)
}

/// JSON that may hold a text. As long as nothing is escaped, it stands there as it is; what is escaped is
/// looked at.
fn holds(name: &str, needle: &str) -> Rendered {
    let mut sql = Sql::new(format!("(instr({name}, "));
    sql.bind(needle).push(&format!(") > 0 OR instr({name}, '\\') > 0)"));
    Rendered::sieve(sql)
}

/// JSON that may hold a wanted value. Numbers may be spelt otherwise than they compare.
fn value(name: &str, wanted: &Wanted) -> Rendered {
    let is_number = |text: &str| text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    match wanted {
        Wanted::OneOf(values) => any(values
            .iter()
            .map(|value| {
                if is_number(value) || value.is_empty() {
                    Rendered::always(false)
                } else {
                    holds(name, value)
                }
            })
            .collect()),
        Wanted::Like(pattern) => {
            let longest = pattern.pieces().iter().max_by_key(|piece| piece.len());
            match longest {
                Some(piece) if !piece.is_empty() => holds(name, piece),
                _ => Rendered::always(false),
            }
        }
        _ => Rendered::always(false),
    }
}

/// Characters outside ASCII whose lower case begins with an ASCII letter: `K` (Kelvin) and `İ`.
const FOLDED_INTO_ASCII: [(&str, char); 2] = [("\u{212a}", 'k'), ("\u{130}", 'i')];

/// Text fields that may hold the words of a phrase. SQLite's `lower` knows ASCII alone, so only such words
/// are looked for.
fn text(phrase: &Phrase) -> Rendered {
    let ascii = phrase.words().iter().filter(|word| word.is_ascii());
    let Some(longest) = ascii.max_by_key(|word| word.len()) else {
        return Rendered::always(false);
    };
    let texts = format!("concat_ws(char(10), {})", TEXT_FIELDS.join(", "));
    let mut sql = Sql::new(format!("(instr(lower({texts}), "));
    sql.bind(longest.as_str()).push(") > 0");
    for (folded, into) in FOLDED_INTO_ASCII {
        if longest.contains(into) {
            sql.push(&format!(" OR instr({texts}, ")).bind(folded).push(") > 0");
        }
    }
    sql.push(")");
    Rendered::sieve(sql)
}
