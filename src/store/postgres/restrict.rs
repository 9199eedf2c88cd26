//! What legal holds keep of people who were erased, aside of the log.

use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow, query};

use super::{
    decode::{self, Cells as _},
    store::{PostgresStore, done},
};
use crate::{
    record::{Groups, RecordId},
    store::{Restricted, StoreError},
};

const COLUMNS: &str = "number, id, writer_id, seq, groups, kept";
const DOING: &str = "read what is kept aside";

/// Puts it there, inside the caller's transaction.
pub(super) async fn keep(
    connection: &mut PgConnection,
    restricted: &[Restricted],
) -> Result<(), sqlx::Error> {
    let (mut ids, mut streams, mut seqs, mut tenants) = (vec![], vec![], vec![], vec![]);
    let (mut groups, mut kept) = (vec![], vec![]);
    for one in restricted {
        ids.push(one.id.to_string());
        streams.push(one.writer_id.get());
        seqs.push(one.seq);
        tenants.push(one.kept.as_ref().and_then(|kept| kept.tenant_id.as_option()));
        groups.push(one.groups.to_string());
        kept.push(one.to_bytes());
    }
    query(
        "insert into activity.restricted (id, writer_id, seq, tenant_id, groups, kept) \
         select r.id::uuid, r.writer, r.number, r.tenant, r.letters, r.kept \
         from unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[]) \
            r(id, writer, number, tenant, letters, kept)",
    )
    .bind(ids)
    .bind(streams)
    .bind(seqs)
    .bind(tenants)
    .bind(groups)
    .bind(kept)
    .persistent(false)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Lets it go, inside the caller's transaction; returns how many there were.
pub(super) async fn end(
    connection: &mut PgConnection,
    numbers: &[i64],
) -> Result<u64, sqlx::Error> {
    let sql = "delete from activity.restricted where number = any($1)";
    let ended = query(sql).bind(numbers).persistent(false).execute(connection).await?;
    Ok(ended.rows_affected())
}

impl PostgresStore {
    /// Nobody needs a right to find that there is nothing.
    pub(super) async fn ask_restricted(
        &self,
        condition: String,
    ) -> Result<Vec<(i64, Restricted)>, StoreError> {
        self.bounded(DOING, async {
            let mut transaction = self.reading().await?;
            let sql = "select activity.has_restricted()";
            let row = query(sql).persistent(false).fetch_one(&mut *transaction).await?;
            if !row.try_get(0)? {
                done(transaction);
                return Ok(Vec::new());
            }
            let sql = format!("select {COLUMNS} from activity.restricted where {condition}");
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            Ok(rows.iter().map(kept).collect::<Result<_, _>>()?)
        })
        .await
    }

    pub(super) async fn ask_restricted_marks(
        &self,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, Groups)>, StoreError> {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        self.bounded(DOING, async {
            let mut transaction = self.reading().await?;
            let sql = "select id, groups from activity.restricted_marks($1::text[]::uuid[])";
            let rows = query(sql).bind(ids).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            let mark = |row: &PgRow| {
                let groups: String = row.try_get(1)?;
                let groups = Groups::parse(&groups).unwrap_or_default();
                Ok((RecordId::from_bytes(row.array(0)?), groups))
            };
            Ok(rows.iter().map(mark).collect::<Result<_, sqlx::Error>>()?)
        })
        .await
    }
}

fn kept(row: &PgRow) -> Result<(i64, Restricted), sqlx::Error> {
    let id = RecordId::from_bytes(row.array(1)?);
    let place = (decode::integer(row, 2)?, decode::integer(row, 3)?);
    let (groups, kept): (String, Vec<u8>) = (row.try_get(4)?, row.try_get(5)?);
    Ok((decode::integer(row, 0)?, Restricted::stored(id, place, &groups, &kept)))
}
