//! What can be told exactly, as SQL; what cannot goes to the sieve.

use std::{collections::HashSet, time::Duration};

use super::{super::literal::time_literal, Bound};
use crate::{
    query::{Expr, Pattern, Test, folds_case},
    record::{Address, Field, Kind, RecordId},
    store::Index,
    time::Timestamp,
};

/// A rendered condition; what is constant is kept apart, so that it shortens what it stands in.
#[derive(Debug, PartialEq)]
pub(super) enum Sql {
    True,
    False,
    /// Binds tighter than `and`.
    Condition(String),
}

pub(super) struct Renderer<'a> {
    /// The indexes that were asked for.
    pub(super) made: &'a [Index],
    pub(super) values: &'a mut Vec<Bound>,
    /// Turns false with the first test that is only sieved.
    pub(super) exact: &'a mut bool,
}

impl Renderer<'_> {
    /// Renders `expr`, or its negation: never less than what passes. Negation is carried down to the
    /// tests, since the negation of a sieve would hold back too much.
    pub(super) fn expr(&mut self, expr: &Expr, negated: bool) -> Sql {
        match (expr, negated) {
            (Expr::Not(part), negated) => self.expr(part, !negated),
            (Expr::All(parts), false) | (Expr::Any(parts), true) => self.every(parts, negated),
            (Expr::Any(parts), false) | (Expr::All(parts), true) => self.some(parts, negated),
            (Expr::Test(test), false) => match self.test(test) {
                Tested::Exactly(sql) => sql,
                Tested::Sieved(sql) => {
                    *self.exact = false;
                    sql
                }
            },
            (Expr::Test(test), true) => {
                let bound = self.values.len();
                match self.test(test) {
                    // An absent field is NULL, for which the negation holds.
                    Tested::Exactly(Sql::Condition(sql)) => {
                        Sql::Condition(format!("({sql}) is not true"))
                    }
                    Tested::Exactly(Sql::True) => Sql::False,
                    Tested::Exactly(Sql::False) => Sql::True,
                    Tested::Sieved(_) => {
                        self.values.truncate(bound);
                        *self.exact = false;
                        Sql::True
                    }
                }
            }
        }
    }

    fn every(&mut self, parts: &[Expr], negated: bool) -> Sql {
        let bound = self.values.len();
        let mut rendered = Vec::new();
        for part in parts {
            match self.expr(part, negated) {
                Sql::True => {}
                Sql::False => {
                    self.values.truncate(bound);
                    return Sql::False;
                }
                Sql::Condition(sql) => rendered.push(sql),
            }
        }
        match rendered.len() {
            0 => Sql::True,
            1 => Sql::Condition(rendered.remove(0)),
            _ => Sql::Condition(format!("({})", rendered.join(" and "))),
        }
    }

    fn some(&mut self, parts: &[Expr], negated: bool) -> Sql {
        let bound = self.values.len();
        let mut rendered = Vec::new();
        for part in parts {
            match self.expr(part, negated) {
                Sql::True => {
                    self.values.truncate(bound);
                    return Sql::True;
                }
                Sql::False => {}
                Sql::Condition(sql) => rendered.push(sql),
            }
        }
        match rendered.len() {
            0 => Sql::False,
            1 => Sql::Condition(rendered.remove(0)),
            _ => Sql::Condition(format!("({})", rendered.join(" or "))),
        }
    }

    fn test(&mut self, test: &Test) -> Tested {
        use Tested::{Exactly, Sieved};
        match test {
            Test::Present(field) => Exactly(Sql::Condition(match field.name() {
                // Names the leaf, so that it is never NULL.
                "retention_class" => "retention_class <> ''".to_owned(),
                name => format!("{name} is not null"),
            })),
            Test::OneOf(field, wanted) => Exactly(self.one_of(field, wanted)),
            Test::Like(field, pattern) => Exactly(self.like(field, pattern)),
            Test::Number(field, least, most) => Exactly(self.number(field, *least, *most)),
            Test::Time(field, from, to) => Exactly(time(field, *from, *to)),
            Test::Id(id) => Exactly(is(*id)),
            Test::Network(field, network) => Exactly(within(field, *network)),
            Test::Contains(field, wanted) => Sieved(self.contains(field, wanted)),
            Test::Json(field, path, wanted) => Sieved(self.json(field, path, wanted)),
            Test::Change(path, _, wanted) => Sieved(self.change(path, wanted)),
            Test::Text(phrase) => Sieved(self.text(phrase)),
        }
    }

    fn one_of(&mut self, field: &Field, wanted: &[String]) -> Sql {
        let Some(column) = text_column(field) else { return Sql::False };
        // No text in Postgres holds NUL, so such a value matches nothing and would only be refused; and
        // what is empty is absent.
        let storable = wanted.iter().filter(|value| !value.is_empty() && !value.contains('\0'));
        let storable = storable.map(|value| match folds_case(field) {
            true => value.to_ascii_lowercase(),
            false => value.clone(),
        });
        // Each once: a page may be put together from what there is of each.
        let mut seen = HashSet::new();
        let mut wanted: Vec<_> = storable.filter(|value| seen.insert(value.clone())).collect();
        // A single value keeps the order of an index, which a list does not.
        match (wanted.pop(), wanted.is_empty()) {
            (None, _) => Sql::False,
            (Some(value), true) => {
                Sql::Condition(format!("{column} = {}", self.bind(Bound::Text(value))))
            }
            (Some(value), false) => {
                wanted.push(value);
                Sql::Condition(format!("{column} = any({})", self.bind(Bound::Texts(wanted))))
            }
        }
    }

    fn like(&mut self, field: &Field, pattern: &Pattern) -> Sql {
        let Some(column) = text_column(field) else { return Sql::False };
        let pieces = pattern.pieces();
        if pieces.len() < 2 {
            return self.one_of(field, pieces);
        }
        if pieces.iter().any(|piece| piece.contains('\0')) {
            return Sql::False;
        }
        let folded;
        let pattern = if folds_case(field) {
            folded = pattern.folded();
            &folded
        } else {
            pattern
        };
        let like = like_of(pattern.pieces());
        let like = format!("{column} like {}", self.bind(Bound::Text(like)));
        Sql::Condition(match field.name() {
            "retention_class" => format!("(retention_class <> '' and {like})"),
            _ => like,
        })
    }

    fn number(&mut self, field: &Field, least: Option<i64>, most: Option<i64>) -> Sql {
        if !matches!(field.kind(), Kind::Integer | Kind::Stream) {
            return Sql::False;
        }
        let name = field.name();
        match (least, most) {
            (None, None) => Sql::Condition(format!("{name} is not null")),
            (Some(least), None) => {
                Sql::Condition(format!("{name} >= {}", self.bind(Bound::Number(least))))
            }
            (None, Some(most)) => {
                Sql::Condition(format!("{name} <= {}", self.bind(Bound::Number(most))))
            }
            (Some(least), Some(most)) => {
                let least = self.bind(Bound::Number(least));
                let most = self.bind(Bound::Number(most));
                Sql::Condition(format!("({name} >= {least} and {name} <= {most})"))
            }
        }
    }

    pub(super) fn bind(&mut self, value: Bound) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }
}

/// A test as SQL.
enum Tested {
    /// Holds exactly where the test does.
    Exactly(Sql),
    /// Holds wherever the test does, and elsewhere too.
    Sieved(Sql),
}

/// Returns a field of text as it is compared; `None` for another kind, which equals no text.
fn text_column(field: &Field) -> Option<String> {
    match field.kind() {
        // Words are stored as they are spelt, in lower case.
        Kind::Text if folds_case(field) => Some(format!("lower({})", field.name())),
        Kind::Text | Kind::Word => Some(field.name().to_owned()),
        _ => None,
    }
}

fn time(field: &Field, from: Option<Timestamp>, to: Option<Timestamp>) -> Sql {
    if field.kind() != Kind::Time {
        return Sql::False;
    }
    let name = field.name();
    let from = from.map(|from| format!("{name} >= {}", time_literal(from)));
    let to = to.map(|to| format!("{name} < {}", time_literal(to)));
    match (from, to) {
        (None, None) => Sql::Condition(format!("{name} is not null")),
        (Some(one), None) | (None, Some(one)) => Sql::Condition(one),
        (Some(from), Some(to)) => Sql::Condition(format!("({from} and {to})")),
    }
}

/// The id names its millisecond, the millisecond its month: one leaf per class is looked into.
fn is(id: RecordId) -> Sql {
    let (from, to) = (id.at(), id.at().saturating_add(Duration::from_millis(1)));
    Sql::Condition(format!(
        "(id = '{id}'::uuid and occurred_at >= {} and occurred_at < {})",
        time_literal(from),
        time_literal(to)
    ))
}

fn within(field: &Field, network: Address) -> Sql {
    if field.kind() != Kind::Address {
        return Sql::False;
    }
    // Written as a constant, from which an index takes its range; of a single address, as equality,
    // which keeps the order of the index.
    let operator = if network.is_whole() { "=" } else { "<<=" };
    Sql::Condition(format!("{} {operator} '{network}'::inet", field.name()))
}

/// Returns the pattern of LIKE with the pieces between its stars.
pub(super) fn like_of(pieces: &[String]) -> String {
    let mut like = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            like.push('%');
        }
        for c in piece.chars() {
            if matches!(c, '\\' | '%' | '_') {
                like.push('\\');
            }
            like.push(c);
        }
    }
    like
}
