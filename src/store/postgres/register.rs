//! The small tables beside the log.

use std::collections::BTreeMap;

use sqlx::{PgConnection, postgres::PgRow, query};

use super::{
    decode::{Cells as _, integer},
    error::is_duplicate,
    literal::time_text,
    store::{Failure, PostgresStore},
};
use crate::{
    record::RecordId,
    store::{ApiKey, Claim, Claimed, Holding, IngestKey, Register, StoreError, StoreErrorKind},
    time::Timestamp,
};

/// How often a key may vanish between being found taken and being looked at.
const ATTEMPTS: usize = 5;
/// Keys that are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

impl Register for PostgresStore {
    async fn claim(&self, claims: &[Claim]) -> Result<Vec<Claimed>, StoreError> {
        // In the order of the keys, so that two callers never wait for each other; of equal ones the first.
        let mut first = BTreeMap::new();
        for claim in claims {
            first.entry(claim.key).or_insert(claim);
        }
        let answers = self.bounded("claim keys", async {
            let mut transaction = self.writing().await?;
            let mut open: Vec<_> = first.values().copied().collect();
            let mut answers = BTreeMap::new();
            for _ in 0..ATTEMPTS {
                claim_new(&mut transaction, &mut open, &mut answers).await?;
                claim_taken(&mut transaction, &mut open, &mut answers).await?;
                if open.is_empty() {
                    transaction.commit().await?;
                    return Ok(answers);
                }
            }
            Err(Failure::new(StoreErrorKind::Transient, "the keys come and go"))
        });
        let mut answers = answers.await?;
        Ok(claims
            .iter()
            .map(|claim| {
                let answer = answers[&claim.key];
                if let Claimed::Yours { record_id, .. } = answer {
                    // Whoever comes second in the same call comes second.
                    let fingerprint = claim.fingerprint;
                    answers.insert(claim.key, Claimed::Busy { record_id, fingerprint });
                }
                answer
            })
            .collect())
    }

    async fn settle(&self, keys: &[IngestKey]) -> Result<(), StoreError> {
        let sql = "with there as (select key from activity.ingest_keys where key = any($1) \
                   order by key for update) \
                   update activity.ingest_keys k set done = true from there where k.key = there.key";
        self.bounded("settle keys", async {
            let mut transaction = self.writing().await?;
            query(sql).bind(bytes(keys)).persistent(false).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    async fn release(&self, claims: &[Holding]) -> Result<(), StoreError> {
        let sql = "with there as (select k.key from activity.ingest_keys k \
                   join unnest($1::bytea[], $2::text[], $3::text[]) c(key, id, at) \
                   on k.key = c.key and k.record_id = c.id::uuid and k.claimed_at = c.at::timestamptz \
                   where not k.done order by k.key for update of k) \
                   delete from activity.ingest_keys k using there where k.key = there.key";
        let keys: Vec<_> = claims.iter().map(|claim| claim.key).collect();
        let ids: Vec<_> = claims.iter().map(|claim| claim.record_id.to_string()).collect();
        let times: Vec<_> = claims.iter().map(|claim| time_text(claim.at)).collect();
        self.bounded("release keys", async {
            let mut transaction = self.writing().await?;
            query(sql)
                .bind(bytes(&keys))
                .bind(ids)
                .bind(times)
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.bounded("forget keys", async {
            let mut transaction = self.writing().await?;
            // By the time alone: those of one moment go together, and a role may see no more of them.
            let sql = "delete from activity.ingest_keys where claimed_at <= (select max(claimed_at) \
                 from (select claimed_at from activity.ingest_keys where claimed_at < $1::timestamptz \
                 order by claimed_at limit $2) as oldest)";
            let done = query(sql)
                .bind(time_text(before))
                .bind(FORGOTTEN_AT_ONCE)
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(done.rows_affected())
        })
        .await
    }

    async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let added = self.bounded("add an API key", async {
            let mut transaction = self.writing().await?;
            let done = query(
                "insert into activity.api_keys \
                    (id, name, hash, permissions, tenant, created_at, revoked_at) \
                 values ($1, $2, $3, $4, $5, $6::timestamptz, $7::timestamptz)",
            )
            .bind(&key.id)
            .bind(&key.name)
            .bind(key.hash.as_slice())
            .bind(&key.permissions)
            .bind(&key.tenant)
            .bind(time_text(key.created_at))
            .bind(key.revoked_at.map(time_text))
            .persistent(false)
            .execute(&mut *transaction)
            .await;
            match done {
                Err(source) if is_duplicate(&source) => Ok(false),
                Err(source) => Err(source.into()),
                Ok(_) => {
                    transaction.commit().await?;
                    Ok(true)
                }
            }
        });
        if added.await? {
            return Ok(());
        }
        let doing = format!("add the API key {}: there is one of this id", key.id);
        Err(StoreError::new(StoreErrorKind::Data, doing))
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.bounded("list the API keys", async {
            let mut transaction = self.reading().await?;
            let rows = query(
                "select id, name, hash, tenant, created_at, revoked_at, permissions \
                 from activity.api_keys order by created_at, id",
            )
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(rows.iter().map(api_key).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn revoke_api_key(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.bounded("revoke an API key", async {
            let mut transaction = self.writing().await?;
            let done = query(
                "update activity.api_keys set revoked_at = $2::timestamptz \
                 where id = $1 and revoked_at is null",
            )
            .bind(id)
            .bind(time_text(at))
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }
}

/// Inserts the keys that nobody holds; what is left in `open` somebody does.
async fn claim_new(
    connection: &mut PgConnection,
    open: &mut Vec<&Claim>,
    answers: &mut BTreeMap<IngestKey, Claimed>,
) -> Result<(), Failure> {
    let keys: Vec<_> = open.iter().map(|claim| claim.key).collect();
    let fingerprints: Vec<_> = open.iter().map(|claim| claim.fingerprint).collect();
    let ids: Vec<_> = open.iter().map(|claim| claim.record_id.to_string()).collect();
    let times: Vec<_> = open.iter().map(|claim| time_text(claim.at)).collect();
    let rows = query(
        "insert into activity.ingest_keys (key, fingerprint, record_id, claimed_at) \
         select key, fingerprint, id::uuid, at::timestamptz \
         from unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[]) c(key, fingerprint, id, at) \
         order by key on conflict (key) do nothing returning key",
    )
    .bind(bytes(&keys))
    .bind(bytes(&fingerprints))
    .bind(ids)
    .bind(times)
    .persistent(false)
    .fetch_all(&mut *connection)
    .await?;
    let new = rows.iter().map(|row| row.array::<32>(0)).collect::<Result<Vec<_>, _>>()?;
    open.retain(|claim| {
        let is_new = new.contains(&claim.key);
        if is_new {
            let yours = Claimed::Yours { record_id: claim.record_id, taken_over: false };
            answers.insert(claim.key, yours);
        }
        !is_new
    });
    Ok(())
}

/// Looks at the keys that somebody holds, and takes over those whose time is up. What is left in `open` has
/// vanished in between.
async fn claim_taken(
    connection: &mut PgConnection,
    open: &mut Vec<&Claim>,
    answers: &mut BTreeMap<IngestKey, Claimed>,
) -> Result<(), Failure> {
    if open.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = open.iter().map(|claim| claim.key).collect();
    let expiries: Vec<_> = open.iter().map(|claim| time_text(claim.expired_before)).collect();
    let rows = query(
        "select k.key, k.fingerprint, k.record_id, k.done::int::bigint, \
            (k.claimed_at < c.expired::timestamptz)::int::bigint \
         from activity.ingest_keys k \
         join unnest($1::bytea[], $2::text[]) c(key, expired) on c.key = k.key \
         order by k.key for update of k",
    )
    .bind(bytes(&keys))
    .bind(expiries)
    .persistent(false)
    .fetch_all(&mut *connection)
    .await?;
    for row in &rows {
        let (key, fingerprint) = (row.array(0)?, row.array(1)?);
        let record_id = RecordId::from_bytes(row.array(2)?);
        let (done, expired) = (integer(row, 3)? != 0, integer(row, 4)? != 0);
        let Some(at) = open.iter().position(|claim| claim.key == key) else { continue };
        let claim = open.remove(at);
        let answer = if done {
            Claimed::Done { record_id, fingerprint }
        } else if expired {
            take_over(connection, claim).await?;
            Claimed::Yours { record_id, taken_over: true }
        } else {
            Claimed::Busy { record_id, fingerprint }
        };
        answers.insert(key, answer);
    }
    Ok(())
}

/// One by one: a claimant that died is rare.
async fn take_over(connection: &mut PgConnection, claim: &Claim) -> Result<(), sqlx::Error> {
    query(
        "update activity.ingest_keys set fingerprint = $2, claimed_at = $3::timestamptz \
         where key = $1",
    )
    .bind(claim.key.as_slice())
    .bind(claim.fingerprint.as_slice())
    .bind(time_text(claim.at))
    .persistent(false)
    .execute(connection)
    .await?;
    Ok(())
}

fn bytes(keys: &[[u8; 32]]) -> Vec<&[u8]> {
    keys.iter().map(<[u8; 32]>::as_slice).collect()
}

fn api_key(row: &PgRow) -> Result<ApiKey, sqlx::Error> {
    Ok(ApiKey {
        id: row.text(0)?.unwrap_or_default().to_owned(),
        name: row.text(1)?.unwrap_or_default().to_owned(),
        hash: row.array(2)?,
        tenant: row.text(3)?.map(str::to_owned),
        created_at: row.moment(4)?.unwrap_or_default(),
        revoked_at: row.moment(5)?,
        permissions: row.texts(6)?,
    })
}
