//! Filters in SQL: never less than what passes, and nothing of a caller's in the text of a statement but
//! moments, ids and addresses, which are written anew from what was parsed.
//!
//! What is text, a word, a number, a moment, an id or an address is told exactly. JSON and words are
//! only sieved, by the text as it is stored: the operators of Postgres refuse JSON that we keep, and its
//! parsers cut words in other places. Whoever reads re-checks what comes through the sieve.

use std::time::Duration;

use sqlx::{Postgres, postgres::PgArguments, query::Query};

use super::{index, literal::time_literal};
use crate::{
    query::{Expr, Filter, Pattern, Phrase, TEXT_FIELDS, Test, Wanted, folds_case},
    record::{Address, Field, Kind, RecordId},
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
    /// The rest, in the same form.
    pub(super) rest: String,
    /// The values of both, from `$1` on.
    pub(super) values: Vec<Bound>,
    /// Whether every row that meets the condition passes the filter.
    pub(super) exact: bool,
    /// From, inclusive, and to, exclusive, of `occurred_at`.
    pub(super) range: (Option<Timestamp>, Option<Timestamp>),
}

/// Fields by whose value a leaf has an index that goes on by time.
const INDEXED: [&str; 6] =
    ["action", "actor_id", "entity_id", "request_id", "session_id", "tenant_id"];

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
        let indexed = conjunction(&indexed, made, &mut values, &mut exact);
        let indexed_values = values.len();
        let rest = conjunction(&others, made, &mut values, &mut exact);
        Self { indexed, indexed_values, rest, values, exact, range: filter.range() }
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
        let (from, to) = self.range;
        if let Some(from) = from {
            push_and(sql, &format!("occurred_at >= {}", time_literal(from)));
        }
        if let Some(to) = to {
            push_and(sql, &format!("occurred_at < {}", time_literal(to)));
        }
        push_and(sql, &self.indexed);
    }
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

/// A rendered condition; what is constant is kept apart, so that it shortens what it stands in.
#[derive(Debug, PartialEq)]
enum Sql {
    True,
    False,
    /// Binds tighter than `and`.
    Condition(String),
}

struct Renderer<'a> {
    /// The indexes that were asked for.
    made: &'a [Index],
    values: &'a mut Vec<Bound>,
    /// Turns false with the first test that is only sieved.
    exact: &'a mut bool,
}

impl Renderer<'_> {
    /// Renders `expr`, or its negation: never less than what passes. Negation is carried down to the
    /// tests, since the negation of a sieve would hold back too much.
    fn expr(&mut self, expr: &Expr, negated: bool) -> Sql {
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
        let mut wanted: Vec<_> = if folds_case(field) {
            storable.map(|value| value.to_ascii_lowercase()).collect()
        } else {
            storable.cloned().collect()
        };
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

    fn contains(&mut self, field: &Field, wanted: &[String]) -> Sql {
        let needles = wanted.iter().map(|value| quoted(value)).collect();
        self.sieve(field, vec![needles])
    }

    fn json(&mut self, field: &Field, path: &[String], wanted: &Wanted) -> Sql {
        if path.is_empty() {
            // JSON that cannot be read, such as a number beyond all bounds, counts as `null`.
            return self.sieve_all(field, vec![vec![Some(Needle(Vec::new()))]]);
        }
        // An outer key stands before an inner one, and a key before its value.
        let mut before = Some(Vec::new());
        for key in path {
            match (quoted(key), &mut before) {
                (Some(key), Some(before)) => before.push(key),
                _ => before = None,
            }
        }
        let needles = spellings(wanted).into_iter().map(|value| {
            let mut needle = before.clone()?;
            needle.extend(value?);
            Some(needle)
        });
        let needles: Vec<_> = needles.map(|needle| needle.map(Needle)).collect();
        let asked = (field.name() == "metadata" && self.made.contains(&Index::Metadata))
            .then(|| metadata_question(path, wanted))
            .flatten();
        let Some(asked) = asked else { return self.sieve_all(field, vec![needles]) };
        let number = self.bind(Bound::Text(asked));
        let indexed = format!(
            "(metadata is not null and activity.json_lexemes(metadata::text) \
             @@ {number}::text::tsquery)"
        );
        // A pattern is not in the index, so that its keys alone may leave many.
        if let Wanted::Like(_) = wanted
            && let Sql::Condition(sieve) = self.sieve_all(field, vec![needles])
        {
            return Sql::Condition(format!("({indexed} and {sieve})"));
        }
        Sql::Condition(indexed)
    }

    fn change(&mut self, path: &str, wanted: &Wanted) -> Sql {
        let Some(field) = Field::named("changes") else { return Sql::False };
        let begins = plain(path).map(|path| Needle(vec![format!("\"{path}")]));
        let values = spellings(wanted).into_iter().map(|value| value.map(Needle)).collect();
        self.sieve_all(field, vec![vec![begins], values])
    }

    fn text(&mut self, phrase: &Phrase) -> Sql {
        let needles: Vec<_> = phrase.words().iter().filter_map(|word| needle_of(word)).collect();
        if needles.is_empty() {
            return Sql::True;
        }
        let asked = index::phrase(phrase).filter(|_| self.made.contains(&Index::Text));
        if let Some(asked) = asked {
            // Alone: the planner knows how common a word is, and would take LIKE beside it for rare.
            let columns = TEXT_FIELDS.map(stored_text).join(", ");
            let number = self.bind(Bound::Text(asked));
            return Sql::Condition(format!(
                "activity.text_lexemes({columns}) @@ {number}::text::tsquery"
            ));
        }
        let mut pieces = vec![String::new()];
        pieces.extend(needles);
        pieces.push(String::new());
        let number = self.bind(Bound::Text(like_of(&pieces)));
        Sql::Condition(format!("{} like {number}", searched()))
    }

    fn sieve(&mut self, field: &Field, all: Vec<Vec<Option<String>>>) -> Sql {
        let needle = |needle: Option<String>| needle.map(|text| Needle(vec![text]));
        let all = all.into_iter().map(|any| any.into_iter().map(needle).collect()).collect();
        self.sieve_all(field, all)
    }

    /// Renders that of each list one needle is in the stored text, unless something is escaped there:
    /// then it may be spelt in any way. A needle that is `None` is never spelt plainly.
    fn sieve_all(&mut self, field: &Field, all: Vec<Vec<Option<Needle>>>) -> Sql {
        if field.kind() != Kind::Json {
            return Sql::False;
        }
        let name = field.name();
        let mut conditions = Vec::new();
        for any in all {
            if any.is_empty() {
                return Sql::False;
            }
            if any.iter().flatten().any(|needle| needle.0.is_empty()) {
                // Finds everything.
                continue;
            }
            let mut likes: Vec<_> = any.into_iter().flatten().map(|needle| needle.like()).collect();
            conditions.push(match (likes.pop(), likes.is_empty()) {
                (None, _) => "false".to_owned(),
                (Some(like), true) => {
                    format!("{name}::text like {}", self.bind(Bound::Text(like)))
                }
                (Some(like), false) => {
                    likes.push(like);
                    format!("{name}::text like any({})", self.bind(Bound::Texts(likes)))
                }
            });
        }
        if conditions.is_empty() {
            return Sql::Condition(format!("{name} is not null"));
        }
        let plain = conditions.join(" and ");
        // Not '\': there is a setting that makes something else of it.
        Sql::Condition(format!("({plain} or strpos({name}::text, chr(92)) > 0)"))
    }

    fn bind(&mut self, value: Bound) -> String {
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

/// Pieces that follow on one another in the stored text.
#[derive(Debug, Clone)]
struct Needle(Vec<String>);

impl Needle {
    fn like(&self) -> String {
        let ends = std::iter::once(String::new());
        like_of(&ends.clone().chain(self.0.iter().cloned()).chain(ends).collect::<Vec<_>>())
    }
}

/// Returns a field of text as it is compared; `None` for another kind, which equals no text.
pub(super) fn text_column(field: &Field) -> Option<String> {
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
fn like_of(pieces: &[String]) -> String {
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

/// Returns how text is spelt within JSON where nothing is escaped; `None` where something must be.
fn plain(text: &str) -> Option<String> {
    let escaped = |c: char| c < ' ' || matches!(c, '"' | '\\');
    (!text.contains(escaped)).then(|| text.to_owned())
}

fn quoted(text: &str) -> Option<String> {
    plain(text).map(|text| format!("\"{text}\""))
}

/// Returns for each way of meeting `wanted` the pieces of its plain spelling.
fn spellings(wanted: &Wanted) -> Vec<Option<Vec<String>>> {
    match wanted {
        Wanted::Any => vec![Some(Vec::new())],
        Wanted::OneOf(values) => values
            .iter()
            .map(|value| {
                // 1.5 is found in 1.50 and in 15e-1 too.
                if value.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
                    return Some(Vec::new());
                }
                plain(value).map(|value| vec![value])
            })
            .collect(),
        Wanted::Like(pattern) => {
            vec![pattern.pieces().iter().map(|piece| plain(piece)).collect()]
        }
    }
}

/// Returns the question that the index of `metadata` answers; `None` when it holds nothing of the wish.
pub(super) fn metadata_question(path: &[String], wanted: &Wanted) -> Option<String> {
    let keys = || path.iter().map(String::as_str);
    let plain = match wanted {
        Wanted::OneOf(values) => {
            let number = |value: &str| value.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            let asked = values.iter().map(|value| {
                index::every(keys().chain((!number(value)).then_some(value.as_str())))
            });
            let asked = asked.collect::<Option<Vec<_>>>()?;
            asked.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" | ")
        }
        // A pattern may begin or end within a word.
        Wanted::Any | Wanted::Like(_) => index::every(keys())?,
    };
    (!plain.is_empty()).then(|| format!("({plain}) | '_'"))
}

fn stored_text(name: &str) -> String {
    let json = Field::named(name).is_some_and(|field| field.kind() == Kind::Json);
    if json { format!("{name}::text") } else { name.to_owned() }
}

/// Tells whether the index of words answers every phrase in a filter.
pub(super) fn words_are_indexed(filter: &Filter, made: &[Index]) -> bool {
    let unanswered =
        |test: &Test| matches!(test, Test::Text(phrase) if index::phrase(phrase).is_none());
    made.contains(&Index::Text) && !filter.expr().any_test(&unanswered)
}

/// Returns the text that words are looked for in, in lower case.
///
/// `lower` knows of ASCII alone under collation "C"; the two other letters whose lower case is ASCII, or
/// begins so, are taken to it by hand (K of Kelvin, I with a dot).
fn searched() -> String {
    let columns = TEXT_FIELDS.map(|name| format!("{name}::text")).join(", ");
    format!(
        "lower(translate(concat_ws(' ', {columns}), chr(8490) || chr(304), 'ki') collate \"C\")"
    )
}

/// Returns the longest run of ASCII in a word: what a sieve that folds only ASCII can look for.
fn needle_of(word: &str) -> Option<String> {
    let runs = word.split(|c: char| !c.is_ascii());
    runs.max_by_key(|run| run.len()).filter(|run| !run.is_empty()).map(str::to_owned)
}
