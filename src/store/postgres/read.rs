//! Reading: pages by keyset, one record, the ledger.

use std::{fmt::Write as _, time::Duration};

use sqlx::{AssertSqlSafe, query};

use super::{
    column::COLUMNS,
    decode::{self, ENTRY_COLUMNS},
    leaf::text_literal,
    store::{Failure, PostgresStore},
};
use crate::{
    ledger::Entry,
    query::{Filter, Keyset, Page, Term},
    record::{Kind, Record, RecordId},
    store::{Read, StoreError},
    time::Timestamp,
};

impl Read for PostgresStore {
    async fn records(
        &self,
        filter: &Filter,
        after: Option<Keyset>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        // One more than asked for tells whether there is another page.
        let (sql, values) = page(filter, after, limit.saturating_add(1));
        let mut records = self.bounded("read a page", self.rows(&sql, values)).await?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = if more { records.last().map(Keyset::of) } else { None };
        Ok(Page { records, next })
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

/// Returns the statement of a page and the values bound to it.
fn page(filter: &Filter, after: Option<Keyset>, limit: usize) -> (String, Vec<Bound>) {
    let mut sql = format!("select {} from activity.records where true", COLUMNS.as_str());
    let mut values = Vec::new();
    let (from, to) = filter.range();
    if let Some(from) = from {
        put(&mut sql, format_args!(" and occurred_at >= {}", time_literal(from)));
    }
    if let Some(to) = to {
        put(&mut sql, format_args!(" and occurred_at < {}", time_literal(to)));
    }
    if let Some(Keyset { occurred_at, id }) = after {
        let at = time_literal(occurred_at);
        // The first condition says nothing new, but it is the one by which later months are left out.
        put(
            &mut sql,
            format_args!(" and occurred_at <= {at} and (occurred_at, id) < ({at}, '{id}'::uuid)"),
        );
    }
    for term in filter.terms() {
        condition(&mut sql, &mut values, term);
    }
    put(&mut sql, format_args!(" order by occurred_at desc, id desc limit {}", bounded(limit)));
    (sql, values)
}

fn condition(sql: &mut String, values: &mut Vec<Bound>, term: &Term) {
    let name = term.field().name();
    // Words are stored as they are spelt, in lower case; so are the values of a term that folds.
    let folds = term.folds_case() && term.field().kind() != Kind::Word;
    // No text in Postgres holds NUL, so such a value matches nothing and would only be refused.
    let mut wanted: Vec<_> =
        term.values().iter().filter(|value| !value.contains('\0')).cloned().collect();
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

/// Returns an SQL literal: a constant, so that leaves are left out when the statement is planned.
fn time_literal(at: Timestamp) -> String {
    /// 0001-01-01 and 9999-12-30: between them, what we write is what Postgres reads.
    const RANGE: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_128_000_000_000;
    if at.as_micros() < RANGE.start {
        "'-infinity'::timestamptz".to_owned()
    } else if at.as_micros() >= RANGE.end {
        "'infinity'::timestamptz".to_owned()
    } else {
        format!("'{at}'::timestamptz")
    }
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
        let (sql, values) = page(&filter, None, 51);
        assert!(!sql.contains("drop"));
        assert!(sql.contains("entity_id = $1 and lower(action) = any($2)"), "{sql}");
        let any = vec!["create".to_owned(), "update".to_owned()];
        assert_eq!(values, [Bound::One(hostile.to_owned()), Bound::Any(any)]);
    }

    #[test]
    fn a_condition_that_nothing_can_meet_selects_nothing() {
        let filter = Filter::new().any_of("action", ["\0"]).unwrap();
        let (sql, values) = page(&filter, None, 1);
        assert!(sql.contains("and false") && values.is_empty());
    }

    #[test]
    fn the_ends_of_time_are_literals_too() {
        assert_eq!(time_literal(Timestamp::from_micros(i64::MIN)), "'-infinity'::timestamptz");
        assert_eq!(time_literal(Timestamp::from_micros(i64::MAX)), "'infinity'::timestamptz");
        let last = Timestamp::from_micros(253_402_128_000_000_000 - 1);
        assert_eq!(time_literal(last), "'9999-12-29T23:59:59.999999Z'::timestamptz");
    }
}
