//! Taking many records off the counts at once, before they are deleted.
//!
//! A trigger takes each record that is deleted off the rollups by itself, with ten statements, which cost as much as the
//! deletion. It only fires for what the fold has reached, so here the fold is put away for the length of a transaction, and
//! the records are counted together, as the fold counted them. Nobody else sees the database without the fold.

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::rollup::{NAME, bucketed};

/// The records of a ledger entry that are to go. A class or a time that somebody altered keeps a record where it is.
pub(super) const GOES: &str = "writer_id = ?1 AND seq BETWEEN ?2 AND ?3 AND retention_class = ?4 \
     AND occurred_at >= ?5 AND occurred_at < ?6";

/// What [`GOES`] takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Going<'a> {
    pub(super) writer_id: i64,
    pub(super) first_seq: i64,
    pub(super) last_seq: i64,
    pub(super) class: &'a str,
    pub(super) from: i64,
    pub(super) before: i64,
}

impl<'a> Going<'a> {
    pub(super) fn query(self, sql: &'a str) -> Query<'a, sqlx::Sqlite, SqliteArguments> {
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = query.bind(self.writer_id).bind(self.first_seq).bind(self.last_seq);
        query.bind(self.class).bind(self.from).bind(self.before)
    }
}

/// What is counted under the same of two rows of the rollups.
fn same(one: &str, other: &str) -> String {
    let columns = ["grain", "tenant_id", "bucket", "category", "operation", "outcome"];
    let columns = columns.map(|name| format!("{one}.{name} = {other}.{name}"));
    // As the primary key compares them, whatever the columns do.
    let exact = ["entity_type", "action"];
    let exact = exact.map(|name| format!("{one}.{name} = {other}.{name} COLLATE BINARY"));
    [&columns[..], &exact[..]].concat().join(" AND ")
}

/// What takes the records that pass a condition off the counts, of all and by person.
fn statements(condition: &str) -> [String; 2] {
    let (all, persons) = (bucketed("(1), (2), (3)", condition), bucketed("(2), (3)", condition));
    let named = "category, coalesce(entity_type, '') AS entity_type, \
         coalesce(action, '') AS action, operation, outcome, count(*) AS records";
    let group = "category, coalesce(entity_type, '') COLLATE BINARY, \
         coalesce(action, '') COLLATE BINARY, operation, outcome";
    let same = same("r", "gone");
    [
        format!(
            "UPDATE activity_rollup AS r SET records = r.records - gone.records FROM ( \
               SELECT grain, tenant AS tenant_id, bucket, {named} \
               FROM (SELECT *, '' AS tenant {all} \
                 UNION ALL SELECT *, tenant_id AS tenant {all} WHERE tenant_id IS NOT NULL) \
               GROUP BY grain, tenant, bucket, {group}) AS gone WHERE {same}"
        ),
        format!(
            "UPDATE activity_rollup_persons AS r SET records = r.records - gone.records FROM ( \
               SELECT grain, bucket, actor_id, coalesce(tenant_id, '') AS tenant_id, {named} \
               {persons} WHERE actor_id IS NOT NULL \
               GROUP BY grain, bucket, actor_id, coalesce(tenant_id, ''), {group}) AS gone \
             WHERE r.actor_id = gone.actor_id AND {same}"
        ),
    ]
}

/// Triggers of this connection alone: what nothing is counted under any more goes, since it may be a name.
fn emptied() -> String {
    let trigger = |table: &str, person: &str| {
        let same = same(table, "NEW");
        format!(
            "CREATE TEMP TRIGGER IF NOT EXISTS {table}_emptied AFTER UPDATE ON main.{table} \
             WHEN NEW.records <= 0 BEGIN DELETE FROM {table} WHERE {person}{same}; END;"
        )
    };
    trigger("activity_rollup", "")
        + &trigger(
            "activity_rollup_persons",
            "activity_rollup_persons.actor_id = NEW.actor_id AND ",
        )
}

/// The fold of the rollups, put away: no trigger takes a record off the counts.
#[derive(Debug)]
pub(super) struct Uncounting {
    position: i64,
    seq: i64,
    last_row: i64,
    statements: [String; 2],
}

impl Uncounting {
    /// Puts the fold away. The transaction has to [end](Self::end) it, or be rolled back.
    pub(super) async fn begin(
        connection: &mut SqliteConnection,
    ) -> Result<Option<Self>, sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(emptied())).execute(&mut *connection).await?;
        let sql = "DELETE FROM activity_folds WHERE name = ? RETURNING position, seq, last_row";
        let Some(row) = sqlx::query(sql).bind(NAME).fetch_optional(connection).await? else {
            return Ok(None);
        };
        let statements = statements(&format!("{GOES} AND activity_records.rowid <= ?7"));
        let (position, seq, last_row) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Some(Self { position, seq, last_row, statements }))
    }

    /// Takes records that are still there off the counts, as far as the fold had reached them.
    pub(super) async fn take_off(
        &self,
        connection: &mut SqliteConnection,
        going: Going<'_>,
    ) -> Result<(), sqlx::Error> {
        for sql in &self.statements {
            going.query(sql).bind(self.last_row).execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// Puts the fold back. A row's number is given again when the last rows are deleted: it may not have come further than
    /// the rows.
    pub(super) async fn end(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO activity_folds (name, position, seq, last_row) VALUES (?, ?, ?, \
             min(?, coalesce((SELECT max(rowid) FROM activity_records), 0)))";
        let query = sqlx::query(sql).bind(NAME).bind(self.position).bind(self.seq);
        query.bind(self.last_row).execute(connection).await.map(|_| ())
    }
}
