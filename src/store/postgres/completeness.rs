//! Which numbers of the streams were committed, and which are stubs.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow, query};

use super::{
    decode::{integer, moment},
    maintain::STREAMS,
    store::PostgresStore,
};
use crate::{
    ledger::verify::{QUARANTINED, STUB_METADATA},
    record::WriterId,
    store::{
        Completeness, CompletenessRequest, StoreError,
        completeness::{self, Numbers, Wanted},
    },
};

/// The streams by their last entries, of which each takes two steps in an index.
fn newest() -> String {
    format!(
        "{STREAMS} select s.writer_id, count(*) over () from streams s \
         order by (select e.position from activity.ledger_entries e \
             where e.writer_id = s.writer_id order by e.first_seq desc limit 1) desc limit $1"
    )
}

/// From `ledger_entries_stream` alone, but for the time of the first records.
pub(super) const NUMBERS: &str = "\
    select w.writer_id, n.first_seq, n.last_seq, n.count, n.entries, n.breaks, n.first_epoch, \
        n.last_epoch, n.began_at, n.last_at, \
        (select f.first_at from activity.ledger_entries f \
            where f.writer_id = w.writer_id order by f.first_seq limit 1) \
    from unnest($1::bigint[]) with ordinality as w (writer_id, place) \
    cross join lateral ( \
        select min(e.first_seq), max(e.last_seq), \
            sum(e.last_seq - e.first_seq + 1)::bigint, count(*), \
            count(*) filter (where e.first_seq <> coalesce(e.before, 0) + 1), \
            min(e.epoch), max(e.epoch), min(e.committed_at), max(e.committed_at) \
        from ( \
            select first_seq, last_seq, epoch, committed_at, \
                lag(last_seq) over (order by first_seq) as before \
            from activity.ledger_entries where writer_id = w.writer_id \
        ) as e \
    ) as n (first_seq, last_seq, count, entries, breaks, first_epoch, last_epoch, began_at, last_at) \
    where n.entries > 0 order by w.place";

/// From the sparse index of each leaf, which the two literals are those of.
pub(super) fn stubs() -> String {
    format!(
        "select writer_id, count(*) from activity.records \
         where outcome_reason = '{QUARANTINED}' and writer_id = any($1) \
             and metadata::text like '%{STUB_METADATA}%' group by writer_id"
    )
}

impl PostgresStore {
    pub(super) async fn ask_completeness(
        &self,
        request: &CompletenessRequest,
    ) -> Result<Completeness, StoreError> {
        let (numbers, stubs, total) = self
            .bounded("look at the streams", async {
                // At one moment, so that no number is of a later commit than its stream.
                let mut transaction = self.at_one_moment().await?;
                let limit = match request.wanted() {
                    Wanted::Newest(limit) => i64::try_from(*limit).unwrap_or(i64::MAX),
                    // The total is told all the same.
                    Wanted::These(_) => 1,
                };
                let rows = query(AssertSqlSafe(newest()))
                    .bind(limit.max(1))
                    .persistent(false)
                    .fetch_all(&mut *transaction)
                    .await?;
                let total = rows.first().map_or(Ok(0), |row| integer(row, 1))?;
                let writers: Vec<i64> = match request.wanted() {
                    Wanted::Newest(0) => Vec::new(),
                    Wanted::Newest(_) => {
                        rows.iter().map(|row| integer(row, 0)).collect::<Result<_, _>>()?
                    }
                    Wanted::These(these) => these.iter().map(|writer| writer.get()).collect(),
                };
                let rows = query(NUMBERS)
                    .bind(&writers)
                    .persistent(false)
                    .fetch_all(&mut *transaction)
                    .await?;
                let numbers = rows.iter().map(numbers).collect::<Result<Vec<_>, _>>()?;
                let rows = query(AssertSqlSafe(stubs()))
                    .bind(&writers)
                    .persistent(false)
                    .fetch_all(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                let stubs = rows.iter().map(|row| {
                    let count = u64::try_from(integer(row, 1)?).unwrap_or(0);
                    Ok::<_, sqlx::Error>((WriterId::new(integer(row, 0)?), count))
                });
                Ok((numbers, stubs.collect::<Result<HashMap<_, _>, _>>()?, total))
            })
            .await?;
        let total = u64::try_from(total).unwrap_or(0);
        completeness::assemble(self, request, numbers, &stubs, total).await
    }

    /// Returns the plans by which numbers and stubs of a stream would be read, for tests of what they cost.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    #[doc(hidden)]
    pub async fn explain_completeness(&self, writer_id: WriterId) -> Result<String, StoreError> {
        self.bounded("explain a look at the streams", async {
            let mut transaction = self.reading().await?;
            // A table of few rows is read through rather than looked up in; what counts are many.
            let many = "set local enable_seqscan = off";
            query(many).persistent(false).execute(&mut *transaction).await?;
            let mut plan = Vec::new();
            for sql in [NUMBERS.to_owned(), stubs()] {
                let rows = query(AssertSqlSafe(format!("explain (costs off) {sql}")))
                    .bind(vec![writer_id.get()])
                    .persistent(false)
                    .fetch_all(&mut *transaction)
                    .await?;
                for row in rows {
                    plan.push(row.try_get::<String, _>(0)?);
                }
            }
            transaction.commit().await?;
            Ok(plan.join("\n"))
        })
        .await
    }
}

fn numbers(row: &PgRow) -> Result<Numbers, sqlx::Error> {
    Ok(Numbers {
        writer_id: WriterId::new(integer(row, 0)?),
        first_seq: integer(row, 1)?,
        last_seq: integer(row, 2)?,
        count: integer(row, 3)?,
        entries: integer(row, 4)?,
        breaks: integer(row, 5)?,
        first_epoch: integer(row, 6)?,
        last_epoch: integer(row, 7)?,
        began_at: moment(row, 8)?.unwrap_or_default(),
        last_at: moment(row, 9)?.unwrap_or_default(),
        first_occurred: moment(row, 10)?.unwrap_or_default(),
    })
}
