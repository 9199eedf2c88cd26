//! Looking after the schema and its leaves.

use std::time::Duration;

use sqlx::{AssertSqlSafe, postgres::PgRow, query, raw_sql};

use super::{
    decode::{integer, moment},
    error::is_locked,
    migrations,
    store::{Access, Limits, PostgresStore},
};
use crate::{
    record::{Category, WriterId},
    store::{
        Completeness, CompletenessRequest, Folded, Index, Maintain, Storage, StoreError,
        StreamPosition,
    },
};

/// In milliseconds: so long whoever comes while the log is to be locked may have to wait.
const LOCKED_FOR: u32 = 500;
const BETWEEN_LOCKS: Duration = Duration::from_millis(500);

/// The streams, each found by a step in the index: the ledger grows with every batch, and reading all of
/// it would take longer from day to day.
pub(super) const STREAMS: &str = "\
    with recursive writers as ( \
        select min(writer_id) as writer_id from activity.ledger_entries \
        union all \
        select (select min(e.writer_id) from activity.ledger_entries e \
            where e.writer_id > w.writer_id) \
        from writers w where w.writer_id is not null \
    ), streams as ( \
        select w.writer_id, (select e.last_seq from activity.ledger_entries e \
            where e.writer_id = w.writer_id order by e.first_seq desc limit 1) as last_seq \
        from writers w where w.writer_id is not null \
    )";

impl PostgresStore {
    /// Makes the roles `activity_writer`, `activity_reader`, `activity_auditor`, `activity_privacy` and
    /// `activity_retention`, and gives each the least that it needs: `migrate --roles`.
    ///
    /// They cannot log in; the operator grants them to the logins that he makes. Leaves that are made later
    /// get the grants too. Safe to repeat. Without it one role does everything, as before.
    ///
    /// # Errors
    ///
    /// When this store's role does not own the schema, or may not create roles and they are missing.
    pub async fn make_roles(&self) -> Result<(), StoreError> {
        let limits = Limits::MIGRATION;
        let making = limits.bounded("make the roles", async {
            let mut connection = self.dial().await?;
            let begin = limits.begin(Access::AsAllowed);
            let sql = format!("{begin}; select activity.make_roles(); commit");
            raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
            Ok(())
        });
        making.await
    }

    /// Keeps tenants apart in the database: `migrate --tenants`. Makes the roles first.
    ///
    /// From then on `activity_reader` sees the records of the tenant that its transaction names
    /// (`set local activity.tenant = 'acme'`), and none where it names none; `activity_auditor` sees all. Safe
    /// to repeat, and then it puts the policies back that somebody took away.
    ///
    /// It locks the log for a moment, as soon as nobody reads or writes for that long: nobody queues up
    /// behind it.
    ///
    /// # Errors
    ///
    /// As those of [`make_roles`](Self::make_roles), and when the log was busy for minutes.
    pub async fn keep_tenants(&self) -> Result<(), StoreError> {
        self.make_roles().await?;
        let limits = Limits::MIGRATION;
        let keeping = limits.bounded("keep tenants apart", async {
            let mut connection = self.dial().await?;
            let begin = limits.begin(Access::AsAllowed);
            let sql = format!(
                "{begin}; set local lock_timeout = {LOCKED_FOR}; select activity.keep_tenants(); commit"
            );
            loop {
                match raw_sql(AssertSqlSafe(sql.clone())).execute(&mut connection).await {
                    Err(source) if is_locked(&source) => {
                        raw_sql("rollback").execute(&mut connection).await?;
                        tokio::time::sleep(BETWEEN_LOCKS).await;
                    }
                    Err(source) => return Err(source.into()),
                    Ok(_) => return Ok(()),
                }
            }
        });
        keeping.await
    }
}

impl Maintain for PostgresStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        let limits = Limits::MIGRATION;
        let migrating = limits.bounded("bring the schema to this build's version", async {
            let mut connection = self.dial().await?;
            raw_sql(AssertSqlSafe(limits.begin(Access::AsAllowed)))
                .execute(&mut connection)
                .await?;
            migrations::run(&mut connection).await?;
            // In a transaction of its own: what making leaves locks stays locked until its end.
            let begin = limits.begin(Access::AsAllowed);
            let next = format!("commit; {begin}");
            raw_sql(AssertSqlSafe(next)).execute(&mut connection).await?;
            query("select activity.make_leaves($1)")
                // The classes of records for which no policy says otherwise.
                .bind(Category::WORDS)
                .persistent(false)
                .execute(&mut connection)
                .await?;
            raw_sql("commit").execute(&mut connection).await?;
            Ok(())
        });
        migrating.await
    }

    async fn storage(&self) -> Result<Storage, StoreError> {
        self.bounded("measure the log", async {
            let mut transaction = self.reading().await?;
            let row = query(AssertSqlSafe(format!(
                "{STREAMS} select coalesce(sum(last_seq), 0)::bigint, \
                    (select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint \
                        from pg_partition_tree('activity.records')) \
                    + pg_total_relation_size('activity.ledger_entries'), \
                    (select min(occurred_at) from activity.records), \
                    (select max(occurred_at) from activity.records) \
                 from streams"
            )))
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(Storage {
                rows: integer(&row, 0)?,
                bytes: integer(&row, 1)?,
                used: integer(&row, 1)?,
                oldest: moment(&row, 2)?,
                newest: moment(&row, 3)?,
            })
        })
        .await
    }

    async fn streams(&self) -> Result<Vec<StreamPosition>, StoreError> {
        self.bounded("list the streams", async {
            let mut transaction = self.reading().await?;
            let rows = query(AssertSqlSafe(format!(
                "{STREAMS} select writer_id, last_seq from streams order by writer_id"
            )))
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(rows.iter().map(stream).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn completeness(
        &self,
        request: &CompletenessRequest,
    ) -> Result<Completeness, StoreError> {
        self.ask_completeness(request).await
    }

    async fn fold(&self, entries: usize) -> Result<Folded, StoreError> {
        self.bounded("fold entries into the rollups", async {
            let mut transaction = self.writing().await?;
            let row = query("select folded, head, led::int::bigint from activity.fold($1)")
                .bind(i32::try_from(entries).unwrap_or(i32::MAX))
                .persistent(false)
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(Folded {
                position: integer(&row, 0)?,
                head: integer(&row, 1)?,
                led: integer(&row, 2)? != 0,
            })
        })
        .await
    }

    async fn make_index(&self, index: Index) -> Result<(), StoreError> {
        self.add_index(index).await
    }

    async fn indexes(&self) -> Result<Vec<Index>, StoreError> {
        self.made().await
    }
}

/// Reads a stream's name and last number.
pub(super) fn stream(row: &PgRow) -> Result<StreamPosition, sqlx::Error> {
    Ok(StreamPosition { writer_id: WriterId::new(integer(row, 0)?), last_seq: integer(row, 1)? })
}
