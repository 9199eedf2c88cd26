//! The small tables beside the log.
//!
//! Each call is one transaction under SQLite's write lock, so that of several claimants, also of several
//! processes, exactly one gets a key.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::{error::store_error, rows::array, store::SqliteStore};
use crate::{
    record::RecordId,
    store::{ApiKey, Claim, Claimed, Holding, IngestKey, Register, StoreError, StoreErrorKind},
    time::Timestamp,
};

/// Keys in one statement: five values each, of the 32 766 that SQLite allows.
const CHUNK: usize = 2_000;
/// Keys that are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

impl Register for SqliteStore {
    async fn claim(&self, claims: &[Claim]) -> Result<Vec<Claimed>, StoreError> {
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        self.write("claim keys", async |connection| {
            let mut claimed = Vec::with_capacity(claims.len());
            // A key is what became of it first, then what it is to whoever comes after.
            let mut seen = HashMap::with_capacity(claims.len());
            for claims in claims.chunks(CHUNK) {
                claim(connection, claims, &mut seen, &mut claimed).await?;
            }
            Ok(claimed)
        })
        .await
    }

    async fn settle(&self, keys: &[IngestKey]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.write("settle keys", async |connection| {
            for keys in keys.chunks(CHUNK) {
                let sql = "UPDATE activity_ingest_keys SET done = 1 WHERE key IN (";
                let mut query = QueryBuilder::<Sqlite>::new(sql);
                push_keys(&mut query, keys.iter());
                query.build().persistent(false).execute(&mut *connection).await?;
            }
            Ok(())
        })
        .await
    }

    async fn release(&self, claims: &[Holding]) -> Result<(), StoreError> {
        if claims.is_empty() {
            return Ok(());
        }
        self.write("release keys", async |connection| {
            // One by one: what is given up is rare.
            let sql = "DELETE FROM activity_ingest_keys \
                       WHERE key = ? AND record_id = ? AND claimed_at = ? AND done = 0";
            for claim in claims {
                sqlx::query(sql)
                    .bind(&claim.key[..])
                    .bind(claim.record_id.as_bytes().to_vec())
                    .bind(claim.at.as_micros())
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(())
        })
        .await
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write("forget keys", async |connection| {
            // Those of one moment go together.
            let sql = "DELETE FROM activity_ingest_keys WHERE claimed_at <= (SELECT max(claimed_at) \
                 FROM (SELECT claimed_at FROM activity_ingest_keys WHERE claimed_at < ? \
                 ORDER BY claimed_at LIMIT ?))";
            let done = sqlx::query(sql)
                .bind(before.as_micros())
                .bind(FORGOTTEN_AT_ONCE)
                .execute(connection)
                .await?;
            Ok(done.rows_affected())
        })
        .await
    }

    async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let doing = format!("add the API key `{}`", key.id.escape_debug());
        let permissions = serde_json::to_string(&key.permissions)
            .map_err(|error| store_error(&doing, sqlx::Error::Encode(error.into())))?;
        let added = self
            .write(&doing, async |connection| {
                let sql = "INSERT INTO activity_api_keys \
                     (id, name, hash, permissions, tenant, created_at, revoked_at) \
                     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING";
                let done = sqlx::query(sql)
                    .bind(key.id.as_str())
                    .bind(key.name.as_str())
                    .bind(&key.hash[..])
                    .bind(permissions.as_str())
                    .bind(key.tenant.as_deref())
                    .bind(key.created_at.as_micros())
                    .bind(key.revoked_at.map(Timestamp::as_micros))
                    .execute(connection)
                    .await?;
                Ok(done.rows_affected() > 0)
            })
            .await?;
        if !added {
            let doing = format!("{doing}: there is one of this id");
            return Err(StoreError::new(StoreErrorKind::Data, doing));
        }
        Ok(())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let failed = |error| store_error("read the API keys", error);
        let sql = "SELECT id, name, hash, permissions, tenant, created_at, revoked_at \
             FROM activity_api_keys ORDER BY created_at, id";
        let rows = sqlx::query(sql).fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(api_key).collect::<Result<_, _>>().map_err(failed)
    }

    async fn revoke_api_key(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.write("revoke an API key", async |connection| {
            let sql = "UPDATE activity_api_keys SET revoked_at = ? \
                 WHERE id = ? AND revoked_at IS NULL";
            let done = sqlx::query(sql).bind(at.as_micros()).bind(id).execute(connection).await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }
}

/// What is known of a key.
struct Kept {
    record_id: RecordId,
    fingerprint: [u8; 32],
    at: Timestamp,
    done: bool,
}

impl Kept {
    const fn to_others(&self) -> Claimed {
        let Self { record_id, fingerprint, .. } = *self;
        if self.done {
            Claimed::Done { record_id, fingerprint }
        } else {
            Claimed::Busy { record_id, fingerprint }
        }
    }
}

/// Claims keys, and says of those in `seen` what was said to the first who claimed them in this call.
async fn claim(
    connection: &mut SqliteConnection,
    claims: &[Claim],
    seen: &mut HashMap<IngestKey, Claimed>,
    claimed: &mut Vec<Claimed>,
) -> Result<(), sqlx::Error> {
    let kept = kept(connection, claims).await?;
    let (mut new, mut expired) = (Vec::new(), Vec::new());
    for claim in claims {
        if let Some(known) = seen.get(&claim.key) {
            claimed.push(*known);
            continue;
        }
        let mine = Claimed::Busy { record_id: claim.record_id, fingerprint: claim.fingerprint };
        let (answer, to_others) = match kept.get(&claim.key) {
            None => {
                new.push(claim);
                (Claimed::Yours { record_id: claim.record_id, taken_over: false }, mine)
            }
            Some(kept) if !kept.done && kept.at < claim.expired_before => {
                expired.push(claim);
                let Kept { record_id, .. } = *kept;
                let to_others = Claimed::Busy { record_id, fingerprint: claim.fingerprint };
                (Claimed::Yours { record_id, taken_over: true }, to_others)
            }
            Some(kept) => (kept.to_others(), kept.to_others()),
        };
        seen.insert(claim.key, to_others);
        claimed.push(answer);
    }
    if !new.is_empty() {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO activity_ingest_keys (key, fingerprint, record_id, claimed_at) ",
        );
        query.push_values(new, |mut row, claim| {
            row.push_bind(&claim.key[..]).push_bind(&claim.fingerprint[..]);
            row.push_bind(claim.record_id.as_bytes().to_vec()).push_bind(claim.at.as_micros());
        });
        query.build().persistent(false).execute(&mut *connection).await?;
    }
    // Only the deaths of claimants lead here.
    for claim in expired {
        sqlx::query(
            "UPDATE activity_ingest_keys SET claimed_at = ?, fingerprint = ? WHERE key = ?",
        )
        .bind(claim.at.as_micros())
        .bind(&claim.fingerprint[..])
        .bind(&claim.key[..])
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn kept(
    connection: &mut SqliteConnection,
    claims: &[Claim],
) -> Result<HashMap<IngestKey, Kept>, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT key, record_id, fingerprint, claimed_at, done FROM activity_ingest_keys \
         WHERE key IN (",
    );
    push_keys(&mut query, claims.iter().map(|claim| &claim.key));
    let rows = query.build().persistent(false).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let kept = Kept {
                record_id: RecordId::from_bytes(array(row.try_get(1)?)?),
                fingerprint: array(row.try_get(2)?)?,
                at: Timestamp::from_micros(row.try_get(3)?),
                done: row.try_get(4)?,
            };
            Ok((array(row.try_get(0)?)?, kept))
        })
        .collect()
}

fn push_keys<'k>(query: &mut QueryBuilder<Sqlite>, keys: impl Iterator<Item = &'k IngestKey>) {
    let mut list = query.separated(", ");
    for key in keys {
        list.push_bind(key.to_vec());
    }
    query.push(")");
}

fn api_key(row: &SqliteRow) -> Result<ApiKey, sqlx::Error> {
    let time = |micros: i64| Timestamp::from_micros(micros);
    Ok(ApiKey {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        hash: array(row.try_get(2)?)?,
        permissions: serde_json::from_str(row.try_get(3)?)
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        tenant: row.try_get(4)?,
        created_at: time(row.try_get(5)?),
        revoked_at: row.try_get::<Option<i64>, _>(6)?.map(time),
    })
}
