//! Reading: pages by keyset, one record, the ledger.

use std::{fmt::Write as _, time::Duration};

use sqlx::{AssertSqlSafe, query};

use super::{
    column::COLUMNS,
    decode::{self, ENTRY_COLUMNS},
    literal::{text_literal, time_literal},
    store::{Failure, PostgresStore},
};
use crate::{
    ledger::Entry,
    query::{
        Aggregate, Aggregated, Count, Direction, Expr, Filter, Keyset, Page, PageRequest, Place,
        Test, TextSearch, Total, folds_case,
    },
    record::{Field, Kind, Record, RecordId},
    store::{
        Maintain as _, Read, Snapshot, StoreError, StoreErrorKind,
        scan::{self, Candidates},
    },
};

impl PostgresStore {
    async fn candidates(
        &self,
        filter: &Filter,
        direction: Direction,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Candidates, StoreError> {
        let after = match after {
            None => None,
            Some(Place::Occurred(place)) => Some(place),
            Some(Place::Committed(_)) => {
                let doing = "read a page: the place is of another order";
                return Err(StoreError::new(StoreErrorKind::Data, doing));
            }
        };
        let (sql, values, _) = page(filter, direction, after, limit);
        let records = self.bounded("read a page", self.rows(&sql, values)).await?;
        let more = records.len() >= limit;
        let records: Vec<_> = records.into_iter().map(scan::placed).collect();
        let next = records.last().filter(|_| more).map(|(place, _)| *place);
        Ok(Candidates { records, unreadable: 0, next })
    }
}

impl Read for PostgresStore {
    async fn records(&self, filter: &Filter, request: &PageRequest) -> Result<Page, StoreError> {
        let (_, _, exact) = page(filter, request.direction, None, 1);
        let text = if filter.asks_for_text() { TextSearch::Scanned } else { TextSearch::None };
        scan::page(filter, request, exact, text, |after, limit| {
            self.candidates(filter, request.direction, after, limit)
        })
        .await
    }

    async fn count(&self, filter: &Filter, how: Count) -> Result<Total, StoreError> {
        scan::count(how, async |request| self.records(filter, &request).await).await
    }

    async fn aggregate(&self, filter: &Filter, ask: &Aggregate) -> Result<Aggregated, StoreError> {
        scan::aggregate(ask, async |request| self.records(filter, &request).await).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let position = self.head().await?;
        Ok(Snapshot { position, streams: self.streams().await? })
    }

    async fn head(&self) -> Result<i64, StoreError> {
        self.bounded("read the ledger", async {
            let mut transaction = self.reading().await?;
            let sql = "select coalesce(max(position), 0)::bigint from activity.ledger_entries";
            let row = query(sql).persistent(false).fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(decode::integer(&row, 0)?)
        })
        .await
    }

    async fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        // The id names its millisecond, the millisecond its month: one leaf per class is looked into.
        let (from, to) = (id.at(), id.at().saturating_add(Duration::from_millis(1)));
        let sql = format!(
            "select {} from activity.records where id = '{id}' and occurred_at >= {} \
             and occurred_at < {} limit 1",
            COLUMNS.as_str(),
            time_literal(from),
            time_literal(to),
        );
        let records = self.bounded("read a record", self.rows(&sql, Vec::new())).await?;
        Ok(records.into_iter().next())
    }

    async fn entries(&self, position: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let sql = format!(
            "select {ENTRY_COLUMNS} from activity.ledger_entries \
             where position > {position} order by position limit {}",
            bounded(limit),
        );
        self.bounded("read the ledger", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows.iter().map(decode::entry).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn entry_records(&self, entry: &Entry) -> Result<Vec<Record>, StoreError> {
        let new = &entry.new;
        // Month and class leave one leaf, and (writer_id, seq) is its index. Through the parent, so that
        // a leaf which retention has ended is an empty answer and not an error.
        let sql = format!(
            "select {} from activity.records where occurred_at >= {} and occurred_at < {} \
             and retention_class = {} and writer_id = {} and seq between {} and {} order by seq",
            COLUMNS.as_str(),
            time_literal(new.month.start()),
            time_literal(new.month.next().start()),
            text_literal(&new.class),
            new.writer_id,
            new.first_seq,
            new.last_seq,
        );
        self.bounded("read the records of an entry", self.rows(&sql, Vec::new())).await
    }
}

impl PostgresStore {
    /// Runs a statement that selects records.
    async fn rows(&self, sql: &str, values: Vec<Bound>) -> Result<Vec<Record>, Failure> {
        let mut transaction = self.reading().await?;
        let mut query = query(AssertSqlSafe(sql)).persistent(false);
        for value in values {
            query = match value {
                Bound::One(value) => query.bind(value),
                Bound::Any(values) => query.bind(values),
            };
        }
        let rows = query.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows.iter().map(decode::record).collect::<Result<_, _>>()?)
    }
}

/// A value of a condition.
#[derive(Debug, PartialEq)]
enum Bound {
    One(String),
    Any(Vec<String>),
}

/// Returns the statement for candidates of a page, the values bound to it, and whether every candidate
/// passes the filter.
fn page(
    filter: &Filter,
    direction: Direction,
    after: Option<Keyset>,
    limit: usize,
) -> (String, Vec<Bound>, bool) {
    let mut sql = format!("select {} from activity.records where true", COLUMNS.as_str());
    let mut values = Vec::new();
    let mut exact = true;
    let (from, to) = filter.range();
    if let Some(from) = from {
        put(&mut sql, format_args!(" and occurred_at >= {}", time_literal(from)));
    }
    if let Some(to) = to {
        put(&mut sql, format_args!(" and occurred_at < {}", time_literal(to)));
    }
    let (beyond, order) = match direction {
        Direction::Older => ('<', "occurred_at desc, id desc"),
        Direction::Newer => ('>', "occurred_at, id"),
    };
    if let Some(Keyset { occurred_at, id }) = after {
        let at = time_literal(occurred_at);
        // The first condition says nothing new, but it is the one by which other months are left out.
        put(
            &mut sql,
            format_args!(
                " and occurred_at {beyond}= {at} and (occurred_at, id) {beyond} ({at}, '{id}'::uuid)"
            ),
        );
    }
    for part in filter.expr().conjuncts() {
        match part {
            Expr::Test(Test::Time(field, ..)) if field.name() == "occurred_at" => {}
            Expr::Test(Test::OneOf(field, wanted)) => {
                condition(&mut sql, &mut values, field, wanted);
            }
            _ => exact = false,
        }
    }
    put(&mut sql, format_args!(" order by {order} limit {}", bounded(limit)));
    (sql, values, exact)
}

fn condition(sql: &mut String, values: &mut Vec<Bound>, field: &Field, wanted: &[String]) {
    let name = field.name();
    // Words are stored as they are spelt, in lower case; so are the values of a test that folds.
    let folds = folds_case(field) && field.kind() != Kind::Word;
    // No text in Postgres holds NUL, so such a value matches nothing and would only be refused.
    let mut wanted: Vec<_> = wanted.iter().filter(|value| !value.contains('\0')).cloned().collect();
    let column = if folds { format!("lower({name})") } else { name.to_owned() };
    let number = values.len() + 1;
    // A single value keeps the order of an index, which a list does not.
    match (wanted.pop(), wanted.is_empty()) {
        (None, _) => sql.push_str(" and false"),
        (Some(value), true) => {
            put(sql, format_args!(" and {column} = ${number}"));
            values.push(Bound::One(value));
        }
        (Some(value), false) => {
            wanted.push(value);
            put(sql, format_args!(" and {column} = any(${number})"));
            values.push(Bound::Any(wanted));
        }
    }
}

fn put(sql: &mut String, text: std::fmt::Arguments<'_>) {
    let _infallible = sql.write_fmt(text);
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bound_and_never_part_of_the_statement() {
        let hostile = "x'; drop table activity.records; --";
        let filter = Filter::new()
            .any_of("entity_id", [hostile])
            .unwrap()
            .any_of("action", ["Create", "UPDATE"])
            .unwrap();
        let (sql, values, _) = page(&filter, Direction::Older, None, 51);
        assert!(!sql.contains("drop"));
        assert!(sql.contains("entity_id = $1 and lower(action) = any($2)"), "{sql}");
        let any = vec!["create".to_owned(), "update".to_owned()];
        assert_eq!(values, [Bound::One(hostile.to_owned()), Bound::Any(any)]);
    }

    #[test]
    fn a_condition_that_nothing_can_meet_selects_nothing() {
        let filter = Filter::new().any_of("action", ["\0"]).unwrap();
        let (sql, values, _) = page(&filter, Direction::Older, None, 1);
        assert!(sql.contains("and false") && values.is_empty());
    }
}
