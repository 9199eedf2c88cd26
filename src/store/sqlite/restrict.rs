//! What legal holds keep of people who were erased, aside of the log.

use sqlx::{
    AssertSqlSafe, Row as _, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    error::store_error,
    rows::array,
    sql::{Bind, Sql},
    store::SqliteStore,
};
use crate::{
    record::{Groups, RecordId},
    store::{Restricted, StoreError},
};

const DOING: &str = "read what is kept aside";

/// Puts it there, inside the caller's transaction.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    kept: &Restricted,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO activity_restricted (id, writer_id, seq, groups, kept) \
         VALUES (?, ?, ?, ?, ?)";
    let query = sqlx::query(sql).bind(kept.id.as_bytes().to_vec()).bind(kept.writer_id.get());
    let query = query.bind(kept.seq).bind(kept.groups.to_string()).bind(kept.to_bytes());
    query.execute(connection).await.map(|_| ())
}

/// Lets it go, inside the caller's transaction; returns how many there were.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    numbers: &[i64],
) -> Result<u64, sqlx::Error> {
    let permit = "INSERT INTO activity_permits (permit, retention_class, before) \
         VALUES (1, 'restricted', -9223372036854775808)";
    sqlx::query(permit).execute(&mut *connection).await?;
    let mut count = 0;
    for number in numbers {
        let sql = "DELETE FROM activity_restricted WHERE number = ?";
        count += sqlx::query(sql).bind(number).execute(&mut *connection).await?.rows_affected();
    }
    sqlx::query("DELETE FROM activity_permits WHERE permit = 1").execute(connection).await?;
    Ok(count)
}

type Asked<'q> = Query<'q, Sqlite, SqliteArguments>;

impl SqliteStore {
    pub(super) async fn ask_restricted<'q>(
        &self,
        condition: &str,
        bind: impl FnOnce(Asked<'q>) -> Asked<'q>,
    ) -> Result<Vec<(i64, Restricted)>, StoreError> {
        let failed = |error| store_error(DOING, error);
        let columns = "number, id, writer_id, seq, groups, kept";
        let sql = format!("SELECT {columns} FROM activity_restricted WHERE {condition}");
        let rows = bind(sqlx::query(AssertSqlSafe(sql))).fetch_all(self.pool()).await;
        rows.map_err(failed)?.iter().map(kept).collect::<Result<_, _>>().map_err(failed)
    }

    pub(super) async fn ask_restricted_marks(
        &self,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, Groups)>, StoreError> {
        let failed = |error| store_error(DOING, error);
        let mut sql = Sql::new("SELECT id, groups FROM activity_restricted WHERE id IN (");
        for (at, id) in ids.iter().enumerate() {
            sql.push(if at == 0 { "" } else { ", " }).bind(Bind::Bytes(id.as_bytes().to_vec()));
        }
        sql.push(")");
        let rows = sql.query().map_err(failed)?.fetch_all(self.pool()).await.map_err(failed)?;
        let mark = |row: &SqliteRow| {
            let groups = Groups::parse(row.try_get(1)?).unwrap_or_default();
            Ok((RecordId::from_bytes(array(row.try_get(0)?)?), groups))
        };
        rows.iter().map(mark).collect::<Result<_, _>>().map_err(failed)
    }
}

fn kept(row: &SqliteRow) -> Result<(i64, Restricted), sqlx::Error> {
    let id = RecordId::from_bytes(array(row.try_get(1)?)?);
    let place = (row.try_get(2)?, row.try_get(3)?);
    Ok((row.try_get(0)?, Restricted::stored(id, place, row.try_get(4)?, row.try_get(5)?)))
}
