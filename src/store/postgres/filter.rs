//! Filters in SQL: never less than what passes, and nothing of a caller's in the text of a statement but
//! moments, ids and addresses, which are written anew from what was parsed.
//!
//! What is text, a word, a number, a moment, an id or an address is told exactly. JSON and words are
//! only sieved, by the text as it is stored: the operators of Postgres refuse JSON that we keep, and its
//! parsers cut words in other places. Whoever reads re-checks what comes through the sieve.

mod render;
mod sieve;

use sqlx::{Postgres, postgres::PgArguments, query::Query};

use self::render::{Renderer, Sql};
pub(super) use self::sieve::metadata_question;
use super::{index, literal::time_literal};
use crate::{
    query::{Expr, Filter, Test, folds_case},
    store::Index,
    time::Timestamp,
};

/// A value of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound {
    Text(String),
    Texts(Vec<String>),
    Number(i64),
}

/// Binds values to a statement.
pub(super) fn bind_all<'q>(
    mut query: Query<'q, Postgres, PgArguments>,
    values: &[Bound],
) -> Query<'q, Postgres, PgArguments> {
    for value in values {
        query = match value {
            Bound::Text(text) => query.bind(text.clone()),
            Bound::Texts(texts) => query.bind(texts.clone()),
            Bound::Number(number) => query.bind(*number),
        };
    }
    query
}

/// A filter as SQL.
#[derive(Debug, Default)]
pub(super) struct Condition {
    /// What an index finds in the order of time: joined by `and`, empty where there is none.
    pub(super) indexed: String,
    /// The values of `indexed`: so many of the first.
    pub(super) indexed_values: usize,
    /// `indexed` without its list of values, and the list.
    pub(super) list: Option<(String, List)>,
    /// The rest, in the same form.
    pub(super) rest: String,
    /// The values of both, from `$1` on.
    pub(super) values: Vec<Bound>,
    /// Whether every row that meets the condition passes the filter.
    pub(super) exact: bool,
    /// From, inclusive, and to, exclusive, of `occurred_at`.
    pub(super) range: (Option<Timestamp>, Option<Timestamp>),
}

/// A list of values by which an index is entered: of each it has the rows in the order of time, and of all not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    /// What is compared with them.
    pub(super) column: String,
    /// The array, as in `$1`.
    pub(super) values: String,
    pub(super) count: usize,
}

/// Fields by whose value a leaf has an index that goes on by time.
const INDEXED: [&str; 6] =
    ["action", "actor_id", "entity_id", "request_id", "session_id", "tenant_id"];

/// Those of them of which a value has few rows: an index is entered by these where there is a choice.
const FEW: [&str; 4] = ["actor_id", "entity_id", "request_id", "session_id"];

impl Condition {
    pub(super) fn of(filter: &Filter) -> Self {
        Self::with(filter, &[])
    }

    /// Renders a filter so that these indexes serve it too.
    pub(super) fn with(filter: &Filter, made: &[Index]) -> Self {
        Self::render(filter.expr().conjuncts(), filter, made, has_index)
    }

    /// Renders parts of a filter for a question under a row-level policy, below which an index finds only what
    /// cannot leak.
    pub(super) fn held<'a>(
        parts: impl IntoIterator<Item = &'a Expr>,
        filter: &Filter,
        made: &[Index],
    ) -> Self {
        Self::render(parts, filter, made, |test| {
            has_index(test) && !matches!(test, Test::OneOf(field, _) if folds_case(field))
        })
    }

    fn render<'a>(
        parts: impl IntoIterator<Item = &'a Expr>,
        filter: &Filter,
        made: &[Index],
        has_index: impl Fn(&Test) -> bool,
    ) -> Self {
        let mut values = Vec::new();
        let (mut indexed, mut others) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Expr::Test(Test::Time(field, ..)) if field.name() == "occurred_at" => {}
                Expr::Test(test) if has_index(test) => indexed.push(part),
                _ => others.push(part),
            }
        }
        let mut exact = true;
        let list = list_of(&indexed);
        let beside = |part: &&&Expr| list.is_none_or(|list| !std::ptr::eq(**part, list));
        let without: Vec<_> = indexed.iter().filter(beside).copied().collect();
        let without = conjunction(&without, made, &mut values, &mut exact);
        let of_list = conjunction(list.as_slice(), made, &mut values, &mut exact);
        let mut indexed = without.clone();
        if !indexed.is_empty() && !of_list.is_empty() {
            indexed.push_str(" and ");
        }
        indexed.push_str(&of_list);
        let list = List::read(&of_list, &values).map(|list| (without, list));
        let indexed_values = values.len();
        let rest = conjunction(&others, made, &mut values, &mut exact);
        Self { indexed, indexed_values, list, rest, values, exact, range: filter.range() }
    }

    /// Returns the list by which an index is entered, if there is one, and appends what else there is to the condition.
    pub(super) fn push_beside_list(&self, sql: &mut String) -> Option<&List> {
        let (without, list) = self.list.as_ref()?;
        self.push_range(sql);
        push_and(sql, without);
        push_and(sql, &self.rest);
        Some(list)
    }

    /// Tells whether every row of the range meets it.
    pub(super) fn is_empty(&self) -> bool {
        self.indexed.is_empty() && self.rest.is_empty()
    }

    /// Appends the whole condition, each part with `and` before it.
    pub(super) fn push(&self, sql: &mut String) {
        self.push_indexed(sql);
        push_and(sql, &self.rest);
    }

    /// Appends the range and what an index finds.
    pub(super) fn push_indexed(&self, sql: &mut String) {
        self.push_range(sql);
        push_and(sql, &self.indexed);
    }

    fn push_range(&self, sql: &mut String) {
        let (from, to) = self.range;
        if let Some(from) = from {
            push_and(sql, &format!("occurred_at >= {}", time_literal(from)));
        }
        if let Some(to) = to {
            push_and(sql, &format!("occurred_at < {}", time_literal(to)));
        }
    }
}

impl List {
    /// Reads a list as it is rendered.
    fn read(rendered: &str, values: &[Bound]) -> Option<Self> {
        let (column, array) = rendered.strip_suffix(')')?.split_once(" = any(")?;
        let number: usize = array.strip_prefix('$')?.parse().ok()?;
        let Some(Bound::Texts(texts)) = values.get(number.checked_sub(1)?) else { return None };
        Some(Self { column: column.to_owned(), values: array.to_owned(), count: texts.len() })
    }
}

/// Returns the list of values by which an index is best entered; `None` where a single value serves better.
///
/// Of a list of actions, and of tenants beside any action, the server knows better: of a rare one all
/// that there is would be read in the order of time.
fn list_of<'a>(parts: &[&'a Expr]) -> Option<&'a Expr> {
    let values = |part: &Expr, fields: &[&str]| match part {
        Expr::Test(Test::OneOf(field, values)) if fields.contains(&field.name()) => values.len(),
        _ => 0,
    };
    let is_single = |part: &&Expr| match part {
        Expr::Test(Test::OneOf(..)) => values(part, &FEW) == 1,
        // An address, or an id.
        _ => true,
    };
    if parts.iter().any(is_single) {
        return None;
    }
    let of = |fields: &[&str]| parts.iter().copied().find(|part| values(part, fields) > 1);
    let tenants = || of(&["tenant_id"]).filter(|_| parts.len() == 1);
    of(&FEW).or_else(tenants)
}

pub(super) fn push_and(sql: &mut String, condition: &str) {
    if !condition.is_empty() {
        sql.push_str(" and ");
        sql.push_str(condition);
    }
}

fn has_index(test: &Test) -> bool {
    match test {
        Test::OneOf(field, _) => INDEXED.contains(&field.name()),
        Test::Network(field, network) => field.name() == "ip" && network.is_whole(),
        Test::Id(_) => true,
        _ => false,
    }
}

fn conjunction(
    parts: &[&Expr],
    made: &[Index],
    values: &mut Vec<Bound>,
    exact: &mut bool,
) -> String {
    let mut rendered = Vec::new();
    for part in parts {
        match (Renderer { made, values, exact }).expr(part, false) {
            Sql::True => {}
            Sql::False => rendered.push("false".to_owned()),
            Sql::Condition(sql) => rendered.push(sql),
        }
    }
    rendered.join(" and ")
}

/// Tells whether the index of words answers every phrase in a filter.
pub(super) fn words_are_indexed(filter: &Filter, made: &[Index]) -> bool {
    let unanswered =
        |test: &Test| matches!(test, Test::Text(phrase) if index::phrase(phrase).is_none());
    made.contains(&Index::Text) && !filter.expr().any_test(&unanswered)
}
