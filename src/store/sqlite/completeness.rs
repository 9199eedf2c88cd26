//! Which numbers of the streams were committed, and which are stubs.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Row as _, sqlite::SqliteRow};

use super::{
    error::store_error,
    store::{STREAMS, SqliteStore},
};
use crate::{
    ledger::verify::{QUARANTINED, STUB_METADATA},
    record::WriterId,
    store::{
        Completeness, CompletenessRequest, StoreError,
        completeness::{self, Numbers, Wanted},
    },
    time::Timestamp,
};

/// The streams by their last entries, of which each takes two steps in an index.
fn newest() -> String {
    format!(
        "{STREAMS} SELECT s.writer_id, count(*) OVER () FROM streams AS s \
         ORDER BY (SELECT e.position FROM activity_ledger AS e \
             WHERE e.writer_id = s.writer_id AND e.last_seq = s.last_seq) DESC LIMIT ?"
    )
}

/// From `activity_ledger_whole` alone, but for the time of the first records.
const NUMBERS: &str = "\
    SELECT min(first_seq), max(last_seq), sum(last_seq - first_seq + 1), count(*), \
        count(*) FILTER (WHERE first_seq <> coalesce(before, 0) + 1), \
        min(epoch), max(epoch), min(committed_at), max(committed_at), \
        (SELECT f.first_at FROM activity_ledger AS f WHERE f.writer_id = ?1 \
            ORDER BY f.first_seq LIMIT 1) \
    FROM ( \
        SELECT first_seq, last_seq, epoch, committed_at, \
            lag(last_seq) OVER (ORDER BY first_seq) AS before \
        FROM activity_ledger WHERE writer_id = ?1)";

/// From the sparse index `activity_records_stubs`, which the literal is that of.
fn stubs() -> String {
    format!(
        "SELECT count(*) FROM activity_records WHERE outcome_reason = '{QUARANTINED}' \
         AND writer_id = ? AND metadata LIKE '%{STUB_METADATA}%'"
    )
}

impl SqliteStore {
    pub(super) async fn ask_completeness(
        &self,
        request: &CompletenessRequest,
    ) -> Result<Completeness, StoreError> {
        let read = self.stream_numbers(request).await;
        let (numbers, stubs, total) =
            read.map_err(|error| store_error("look at the streams", error))?;
        completeness::assemble(self, request, numbers, &stubs, total).await
    }

    async fn stream_numbers(
        &self,
        request: &CompletenessRequest,
    ) -> Result<(Vec<Numbers>, HashMap<WriterId, u64>, u64), sqlx::Error> {
        // At one moment, so that no number is of a later commit than its stream.
        let mut transaction = self.pool().begin().await?;
        let limit = match request.wanted() {
            Wanted::Newest(limit) => i64::try_from(*limit).unwrap_or(i64::MAX),
            // The total is told all the same.
            Wanted::These(_) => 1,
        };
        let rows = sqlx::query(AssertSqlSafe(newest()))
            .bind(limit.max(1))
            .fetch_all(&mut *transaction)
            .await?;
        let total: i64 = rows.first().map_or(Ok(0), |row| row.try_get(1))?;
        let writers: Vec<WriterId> = match request.wanted() {
            Wanted::Newest(0) => Vec::new(),
            Wanted::Newest(_) => {
                let names = rows.iter().map(|row| row.try_get(0).map(WriterId::new));
                names.collect::<Result<_, _>>()?
            }
            Wanted::These(these) => these.clone(),
        };
        let (mut all, mut stubs_of) = (Vec::with_capacity(writers.len()), HashMap::new());
        for writer_id in writers {
            let row =
                sqlx::query(NUMBERS).bind(writer_id.get()).fetch_one(&mut *transaction).await?;
            let Some(numbers) = numbers(writer_id, &row)? else { continue };
            all.push(numbers);
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(stubs()))
                .bind(writer_id.get())
                .fetch_one(&mut *transaction)
                .await?;
            if count > 0 {
                stubs_of.insert(writer_id, count.unsigned_abs());
            }
        }
        transaction.rollback().await?;
        Ok((all, stubs_of, total.unsigned_abs()))
    }
}

/// Reads a row; `None` when the ledger does not know the stream.
fn numbers(writer_id: WriterId, row: &SqliteRow) -> Result<Option<Numbers>, sqlx::Error> {
    let Some(first_seq) = row.try_get(0)? else { return Ok(None) };
    let time = |index: usize| row.try_get(index).map(Timestamp::from_micros);
    Ok(Some(Numbers {
        writer_id,
        first_seq,
        last_seq: row.try_get(1)?,
        count: row.try_get(2)?,
        entries: row.try_get(3)?,
        breaks: row.try_get(4)?,
        first_epoch: row.try_get(5)?,
        last_epoch: row.try_get(6)?,
        began_at: time(7)?,
        last_at: time(8)?,
        first_occurred: time(9)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn numbers_and_stubs_come_from_their_indexes() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        for (sql, index) in [
            (NUMBERS.to_owned(), "USING COVERING INDEX activity_ledger_whole (writer_id=?)"),
            (stubs(), "USING INDEX activity_records_stubs (writer_id=?)"),
        ] {
            let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .fetch_all(store.pool())
                .await
                .unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            assert!(plan.iter().any(|step| step.contains(index)), "{plan:?}");
            let scans = plan.iter().filter(|step| step.starts_with("SCAN activity_"));
            assert_eq!(scans.count(), 0, "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
