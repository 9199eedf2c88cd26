//! Answering questions.

use sqlx::{QueryBuilder, Sqlite};

use super::{
    error::store_error,
    rows::{self, SELECT, SELECT_ENTRIES},
    store::SqliteStore,
};
use crate::{
    ledger::Entry,
    query::{Filter, Keyset, Page},
    record::{Record, RecordId},
    store::{Read, StoreError},
};

/// Asks for a page and one record more, which tells whether there is another page.
pub(super) fn page_query(
    filter: &Filter,
    after: Option<Keyset>,
    limit: usize,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(SELECT.as_str());
    let mut joint = " WHERE ";
    let (from, to) = filter.range();
    for (comparison, bound) in [("occurred_at >= ", from), ("occurred_at < ", to)] {
        if let Some(bound) = bound {
            query.push(joint).push(comparison).push_bind(bound.as_micros());
            joint = " AND ";
        }
    }
    if let Some(Keyset { occurred_at, id }) = after {
        query.push(joint).push("(occurred_at, id) < (").push_bind(occurred_at.as_micros());
        query.push(", ").push_bind(id.as_bytes().to_vec()).push(")");
        joint = " AND ";
    }
    for term in filter.terms() {
        // Where case does not count, the column itself compares so (NOCASE), or holds lower case only.
        query.push(joint).push(term.field().name()).push(" IN (");
        let mut values = query.separated(", ");
        for value in term.values() {
            values.push_bind(value.as_str());
        }
        query.push(")");
        joint = " AND ";
    }
    query.push(" ORDER BY occurred_at DESC, id DESC LIMIT ");
    query.push_bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1));
    query
}

impl Read for SqliteStore {
    async fn records(
        &self,
        filter: &Filter,
        after: Option<Keyset>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let failed = |error| store_error("read records", error);
        let mut query = page_query(filter, after, limit);
        let rows = query.build().fetch_all(self.pool()).await.map_err(failed)?;
        let more = rows.len() > limit;
        let records: Vec<Record> =
            rows.iter().take(limit).map(rows::record).collect::<Result<_, _>>().map_err(failed)?;
        let next = records.last().filter(|_| more).map(Keyset::of);
        Ok(Page { records, next })
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
                let query = page_query(&filter, after, 50);
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
