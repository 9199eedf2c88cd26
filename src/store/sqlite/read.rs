//! Answering questions.

use sqlx::{QueryBuilder, Sqlite};

use super::{
    error::store_error,
    rows::{self, SELECT, SELECT_ENTRIES},
    store::SqliteStore,
};
use crate::{
    ledger::Entry,
    query::{
        Aggregate, Aggregated, Count, Direction, Expr, Filter, Keyset, Page, PageRequest, Place,
        Test, TextSearch, Total,
    },
    record::{Record, RecordId},
    store::{
        Maintain as _, Read, Snapshot, StoreError, StoreErrorKind,
        scan::{self, Candidates},
    },
};

/// Asks for candidates of a page, and tells whether every one of them passes the filter.
pub(super) fn page_query(
    filter: &Filter,
    direction: Direction,
    after: Option<Keyset>,
    limit: usize,
) -> (QueryBuilder<Sqlite>, bool) {
    let mut query = QueryBuilder::new(SELECT.as_str());
    let mut joint = " WHERE ";
    let mut exact = true;
    let (from, to) = filter.range();
    for (comparison, bound) in [("occurred_at >= ", from), ("occurred_at < ", to)] {
        if let Some(bound) = bound {
            query.push(joint).push(comparison).push_bind(bound.as_micros());
            joint = " AND ";
        }
    }
    let (beyond, order) = match direction {
        Direction::Older => (" < (", " ORDER BY occurred_at DESC, id DESC LIMIT "),
        Direction::Newer => (" > (", " ORDER BY occurred_at, id LIMIT "),
    };
    if let Some(Keyset { occurred_at, id }) = after {
        query.push(joint).push("(occurred_at, id)").push(beyond);
        query.push_bind(occurred_at.as_micros());
        query.push(", ").push_bind(id.as_bytes().to_vec()).push(")");
        joint = " AND ";
    }
    for part in filter.expr().conjuncts() {
        match part {
            Expr::Test(Test::Time(field, ..)) if field.name() == "occurred_at" => {}
            Expr::Test(Test::OneOf(field, values)) => {
                // Where case does not count, the column itself compares so (NOCASE), or holds lower case only.
                query.push(joint).push(field.name()).push(" IN (");
                let mut list = query.separated(", ");
                for value in values {
                    list.push_bind(value.as_str());
                }
                query.push(")");
                joint = " AND ";
            }
            _ => exact = false,
        }
    }
    query.push(order).push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    (query, exact)
}

impl SqliteStore {
    async fn candidates(
        &self,
        filter: &Filter,
        direction: Direction,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Candidates, StoreError> {
        let failed = |error| store_error("read records", error);
        let after = match after {
            None => None,
            Some(Place::Occurred(place)) => Some(place),
            Some(Place::Committed(_)) => {
                let doing = "read a page: the place is of another order";
                return Err(StoreError::new(StoreErrorKind::Data, doing));
            }
        };
        let (mut query, _) = page_query(filter, direction, after, limit);
        let rows = query.build().fetch_all(self.pool()).await.map_err(failed)?;
        let more = rows.len() >= limit;
        let records: Vec<_> = rows
            .iter()
            .map(|row| rows::record(row).map(scan::placed))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let next = records.last().filter(|_| more).map(|(place, _)| *place);
        Ok(Candidates { records, unreadable: 0, next })
    }
}

impl Read for SqliteStore {
    async fn records(&self, filter: &Filter, request: &PageRequest) -> Result<Page, StoreError> {
        let (_, exact) = page_query(filter, request.direction, None, 1);
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
        sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM activity_ledger")
            .fetch_one(self.pool())
            .await
            .map_err(|error| store_error("read the ledger", error))
    }

    async fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        let failed = |error| store_error("read a record", error);
        // The id's millisecond is that of the record, so the index by time finds it.
        let first = id.at().as_micros();
        let mut query = QueryBuilder::<Sqlite>::new(SELECT.as_str());
        query.push(" WHERE occurred_at BETWEEN ").push_bind(first).push(" AND ");
        query.push_bind(first.saturating_add(999)).push(" AND id = ");
        query.push_bind(id.as_bytes().to_vec());
        let row = query.build().fetch_optional(self.pool()).await.map_err(failed)?;
        row.as_ref().map(rows::record).transpose().map_err(failed)
    }

    async fn entries(&self, position: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let failed = |error| store_error("read the ledger", error);
        let mut query = QueryBuilder::<Sqlite>::new(SELECT_ENTRIES);
        query.push(" WHERE position > ").push_bind(position).push(" ORDER BY position LIMIT ");
        query.push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = query.build().fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(rows::entry).collect::<Result<_, _>>().map_err(failed)
    }

    async fn entry_records(&self, entry: &Entry) -> Result<Vec<Record>, StoreError> {
        let failed = |error| store_error("read the records of an entry", error);
        let mut query = QueryBuilder::<Sqlite>::new(SELECT.as_str());
        query.push(" WHERE writer_id = ").push_bind(entry.new.writer_id.get());
        query.push(" AND seq BETWEEN ").push_bind(entry.new.first_seq);
        query.push(" AND ").push_bind(entry.new.last_seq).push(" ORDER BY seq");
        let rows = query.build().fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(rows::record).collect::<Result<_, _>>().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row as _};

    use super::{super::store::STREAMS, *};
    use crate::time::Timestamp;

    /// Returns how SQLite would answer, step by step.
    async fn plan(store: &SqliteStore, sql: &str) -> String {
        // Values have no influence on the plan: they are bound, and there are no statistics.
        let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(store.pool())
            .await
            .unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join(" \n") + " "
    }

    #[tokio::test]
    async fn every_ordinary_question_has_its_index() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        let any = |field: &str| Filter::new().any_of(field, ["x"]).unwrap();
        let after = Some(Keyset { occurred_at: Timestamp::default(), id: RecordId::NIL });
        let entity = any("entity_type").any_of("entity_id", ["55"]).unwrap();
        for (filter, index, step) in [
            (Filter::new(), "time", "activity_records"),
            (Filter::new().from(Timestamp::default()), "time", "(occurred_at>?)"),
            (entity.clone(), "entity", "(entity_type=? AND entity_id=?"),
            (entity.to(Timestamp::default()), "entity", "entity_id=? AND occurred_at<?)"),
            (any("actor_id"), "actor", "(actor_id=?"),
            (any("action"), "action", "(action=?"),
            (any("action").from(Timestamp::default()), "action", "(action=? AND occurred_at>?"),
        ] {
            for after in [None, after] {
                let (query, exact) = page_query(&filter, Direction::Older, after, 50);
                assert!(exact);
                let plan = plan(&store, query.sql().as_str()).await;
                assert!(plan.contains(&format!("INDEX activity_records_{index} ")), "{plan}");
                assert!(after.is_some() || plan.contains(step), "{step} in {plan}");
                // Ties of one microsecond may be sorted by id, but never the whole result.
                assert!(!plan.contains("TEMP B-TREE FOR ORDER BY"), "{plan}");
            }
        }
    }

    #[tokio::test]
    async fn the_ledger_and_its_records_are_found_by_index() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        for (sql, step) in [
            (
                "SELECT max(last_seq) FROM activity_ledger WHERE writer_id = ?",
                "USING COVERING INDEX activity_ledger_stream (writer_id=?)",
            ),
            ("SELECT * FROM activity_ledger WHERE position > ? ORDER BY position", "PRIMARY KEY"),
            (
                "SELECT * FROM activity_records WHERE writer_id = ? AND seq BETWEEN ? AND ? ORDER BY seq",
                "INDEX activity_records_stream (writer_id=? AND seq>? AND seq<?)",
            ),
            (
                "SELECT * FROM activity_records WHERE occurred_at BETWEEN ? AND ? AND id = ?",
                "INDEX activity_records_time (occurred_at>? AND occurred_at<?)",
            ),
        ] {
            let plan = plan(&store, sql).await;
            assert!(plan.contains(step) && !plan.contains("TEMP B-TREE"), "{plan}");
        }
        let plan = plan(&store, &format!("{STREAMS} SELECT sum(last_seq) FROM streams")).await;
        assert_eq!(plan.matches("SEARCH ").count(), 3, "{plan}");
        assert!(!plan.contains("SCAN activity_ledger") && !plan.contains("SCAN e"), "{plan}");
    }
}
