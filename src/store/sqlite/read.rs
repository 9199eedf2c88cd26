//! Answering questions.

use sqlx::{AssertSqlSafe, QueryBuilder, Row as _, Sqlite};

use super::{
    aggregate::{self, Counting},
    asking::Asking,
    error::store_error,
    filter::{Absent, Rendered, render},
    packed::{self, SELECT},
    page::Question,
    rows::{self, SELECT_ENTRIES},
    sql::Sql,
    store::{STREAMS, SqliteStore},
};
use crate::{
    ledger::Entry,
    query::{
        Aggregate, Aggregated, Count, Filter, Page, PageRequest, Place, Relation, TextSearch, Total,
    },
    record::{Record, RecordId, WriterId},
    store::{Read, Snapshot, StoreError, StoreErrorKind, StreamPosition, restrict::mark, scan},
    time::Timestamp,
};

impl SqliteStore {
    /// Reads a page in the order of time.
    async fn page(&self, filter: &Filter, request: &PageRequest) -> Result<Page, StoreError> {
        let question = Question::new(filter, request.direction, request.patience, self.window());
        let text = if filter.asks_for_text() { TextSearch::Scanned } else { TextSearch::None };
        scan::page(filter, request, question.is_exact(), text, async |after, limit| {
            let after = match after {
                None => None,
                Some(Place::Occurred(place)) => Some(place),
                Some(Place::Committed(_)) => return Err(of_another_order()),
            };
            let candidates = question.candidates(self.pool(), filter, after, limit).await;
            candidates.map_err(|error| store_error("read records", error))
        })
        .await
    }
}

impl SqliteStore {
    /// Counts rows up to one more than a cap; `None` when that takes too long.
    async fn count_rows(&self, condition: &Rendered, cap: u64) -> Result<Option<u64>, sqlx::Error> {
        let mut sql = Sql::new("SELECT count(*) FROM (SELECT 1 FROM activity_records WHERE ");
        sql.append(&condition.sql).push(" LIMIT ");
        sql.bind(i64::try_from(cap).unwrap_or(i64::MAX).saturating_add(1)).push(")");
        let mut asking = Asking::begin(self.pool()).await?;
        asking.patience(PageRequest::DEFAULT_PATIENCE / 2).await?;
        let answer = asking.rows(sql).await?;
        asking.release();
        let row = answer.rows.first().filter(|_| answer.whole);
        row.map(|row| row.try_get::<i64, _>(0).map(i64::unsigned_abs)).transpose()
    }

    async fn newest_commit(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT committed_at FROM activity_ledger ORDER BY position DESC LIMIT 1";
        let at: Option<i64> = sqlx::query_scalar(sql)
            .fetch_optional(self.pool())
            .await
            .map_err(|error| store_error("read the ledger", error))?;
        Ok(at.map(Timestamp::from_micros))
    }
}

fn of_another_order() -> StoreError {
    StoreError::new(StoreErrorKind::Data, "read a page: the place is of another order")
}

impl Read for SqliteStore {
    async fn records(&self, filter: &Filter, request: &PageRequest) -> Result<Page, StoreError> {
        let mut page = match self.page_of_words(filter, request).await? {
            Some(page) => page,
            None => self.page(filter, request).await?,
        };
        mark(self, &mut page.records).await?;
        Ok(page)
    }

    async fn count(&self, filter: &Filter, how: Count) -> Result<Total, StoreError> {
        let condition = render(filter.expr().conjuncts(), Absent::Null);
        if how == Count::Estimate && aggregate::is_covered(filter) {
            let ask = Aggregate {
                dimensions: Vec::new(),
                top: 0,
                edges: Vec::new(),
                patience: PageRequest::DEFAULT_PATIENCE,
            };
            let counted = self.aggregate(filter, &ask).await?;
            let relation = if counted.exact { Relation::Equal } else { Relation::Estimate };
            return Ok(Total { value: counted.total, relation });
        }
        if !condition.exact {
            return scan::count(how, async |request| self.records(filter, &request).await).await;
        }
        let cap = match how {
            Count::Estimate => Count::CAP,
            Count::UpTo(cap) => cap,
        };
        let failed = |error| store_error("count records", error);
        match self.count_rows(&condition, cap).await.map_err(failed)? {
            Some(value) if value > cap => Ok(Total { value: cap, relation: Relation::AtLeast }),
            Some(value) => Ok(Total { value, relation: Relation::Equal }),
            // Page by page, it is known how far it came.
            None => scan::count(how, async |request| self.records(filter, &request).await).await,
        }
    }

    async fn aggregate(&self, filter: &Filter, ask: &Aggregate) -> Result<Aggregated, StoreError> {
        let failed = |error| store_error("count records", error);
        if render(filter.expr().conjuncts(), Absent::Null).exact {
            let counting = Counting::begin(self, filter, ask).await.map_err(failed)?;
            return counting.run().await.map_err(failed);
        }
        let as_of = self.newest_commit().await?;
        let counted =
            scan::aggregate(ask, async |request| self.records(filter, &request).await).await?;
        Ok(Aggregated { as_of, ..counted })
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let failed = |error| store_error("read where the ledger stands", error);
        // One statement sees one moment.
        let rows = sqlx::query(AssertSqlSafe(format!(
            "{STREAMS} SELECT (SELECT coalesce(max(position), 0) FROM activity_ledger), \
             writer_id, last_seq FROM (SELECT 1) LEFT JOIN streams ORDER BY writer_id"
        )))
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        let mut snapshot = Snapshot::default();
        for row in &rows {
            snapshot.position = row.try_get(0).map_err(failed)?;
            if let Some(writer_id) = row.try_get::<Option<i64>, _>(1).map_err(failed)? {
                snapshot.streams.push(StreamPosition {
                    writer_id: WriterId::new(writer_id),
                    last_seq: row.try_get(2).map_err(failed)?,
                });
            }
        }
        Ok(snapshot)
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
        let mut record = row.as_ref().map(packed::record).transpose().map_err(failed)?;
        mark(self, record.as_mut_slice()).await?;
        Ok(record)
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
        let records = rows.iter().map(packed::record).collect::<Result<Vec<_>, _>>();
        let mut records = records.map_err(failed)?;
        mark(self, &mut records).await?;
        Ok(records)
    }
}
