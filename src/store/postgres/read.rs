//! Reading: pages by keyset, one record, the ledger.

use sqlx::{AssertSqlSafe, query};

use super::{
    column::COLUMNS,
    decode::{self, ENTRY_COLUMNS},
    filter::Condition,
    literal::{text_literal, time_literal},
    maintain::{STREAMS, stream},
    page::{Stretch, bounded, page_sql},
    store::{Failure, PostgresStore, done},
};
use crate::{
    ledger::Entry,
    query::{
        Aggregate, Aggregated, Count, Direction, Expr, Filter, Page, PageRequest, Test, Total,
    },
    record::{Record, RecordId},
    store::{AnyStore, Read, Snapshot, StoreError, restrict::mark},
};

/// The position of the ledger's last entry.
pub(super) const HEAD: &str =
    "(select coalesce(max(position), 0)::bigint from activity.ledger_entries)";

impl Read for PostgresStore {
    async fn records(&self, filter: &Filter, request: &PageRequest) -> Result<Page, StoreError> {
        let mut page = self.page(filter, request).await?;
        mark(self, &mut page.records).await?;
        Ok(page)
    }

    async fn count(&self, filter: &Filter, how: Count) -> Result<Total, StoreError> {
        self.total(filter, how).await
    }

    async fn aggregate(&self, filter: &Filter, ask: &Aggregate) -> Result<Aggregated, StoreError> {
        self.counted(filter, ask).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        // One statement, hence one moment.
        let sql =
            format!("{STREAMS} select writer_id, last_seq, {HEAD} from streams order by writer_id");
        self.bounded("read where the ledger stands", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            // Without a stream there is no entry.
            let position = rows.first().map_or(Ok(0), |row| decode::integer(row, 2))?;
            let streams = rows.iter().map(stream).collect::<Result<_, _>>()?;
            Ok(Snapshot { position, streams })
        })
        .await
    }

    async fn head(&self) -> Result<i64, StoreError> {
        self.bounded("read the ledger", async {
            let mut transaction = self.reading().await?;
            let row = query(AssertSqlSafe(format!("select {HEAD}")))
                .persistent(false)
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(decode::integer(&row, 0)?)
        })
        .await
    }

    async fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        let condition = Condition::of(&Filter::new().and(Expr::Test(Test::Id(id))));
        let newest = Stretch { direction: Direction::Older, after: None, up_to: None };
        let sql = page_sql(&condition, newest, 1);
        let mut records = self.bounded("read a record", self.rows(sql)).await?;
        mark(self, &mut records).await?;
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
        let mut records = self.bounded("read the records of an entry", self.rows(sql)).await?;
        mark(self, &mut records).await?;
        Ok(records)
    }

    fn of_tenant(&self, tenant: &str) -> Option<AnyStore> {
        Some(AnyStore::new(self.clone().held_to(tenant)))
    }
}

impl PostgresStore {
    /// Runs a statement that selects records, each of which must be one.
    async fn rows(&self, sql: String) -> Result<Vec<Record>, Failure> {
        let mut transaction = self.reading().await?;
        let rows = query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
        done(transaction);
        Ok(rows.iter().map(decode::record).collect::<Result<_, _>>()?)
    }
}
