//! Erasing groups of records.

use std::{fmt::Write as _, time::Duration};

use sqlx::{AssertSqlSafe, PgConnection, Row as _, query, raw_sql};
use tokio::time::sleep;

use super::{
    decode,
    error::{is_held, is_locked},
    literal::{time_literal, time_text},
    page::bounded,
    restrict,
    store::{Failure, PostgresStore, done},
};
use crate::{
    record::Group,
    store::{
        Erase, ErasedGroups, ErasedSubject, ErasurePlace, Restricted, StoreError, StoreErrorKind,
        erase::{columns, of_group},
    },
    time::Timestamp,
};

/// Where somebody is in the way of the last look at holds, all of it is tried again so often, and so long after.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// Erases one group of some records, inside the caller's transaction: the only statement that changes a record.
async fn erase_group(
    connection: &mut PgConnection,
    group: Group,
    records: &[ErasedGroups],
) -> Result<u64, sqlx::Error> {
    let (mut times, mut classes, mut streams, mut seqs) = (vec![], vec![], vec![], vec![]);
    let (mut salts, mut commitments) = (vec![], vec![]);
    let (mut first, mut last) = (None::<Timestamp>, None::<Timestamp>);
    for (record, erased) in of_group(records, group) {
        times.push(time_text(record.occurred_at));
        classes.push(record.class.as_str());
        streams.push(record.writer_id.get());
        seqs.push(record.seq);
        salts.push(erased.salt.to_vec());
        commitments.push(erased.commitment.to_vec());
        first = Some(first.map_or(record.occurred_at, |at| at.min(record.occurred_at)));
        last = last.max(Some(record.occurred_at));
    }
    let (Some(first), Some(last)) = (first, last) else { return Ok(0) };
    let name = group.as_str();
    let mut sql = String::from("update activity.records r set ");
    for column in columns(group) {
        let _infallible = write!(sql, "{column} = null, ");
    }
    // The bounds are there for the planner, which leaves out the leaves that lie outside of them.
    let _infallible = write!(
        sql,
        "{name}_salt = null, {name}_commitment = e.commitment \
         from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[]) \
            e(at, class, writer, number, salt, commitment) \
         where r.occurred_at = e.at::timestamptz and r.retention_class = e.class \
            and r.writer_id = e.writer and r.seq = e.number and r.{name}_salt = e.salt \
            and r.occurred_at >= {} and r.occurred_at <= {}",
        time_literal(first),
        time_literal(last),
    );
    let done = query(AssertSqlSafe(sql))
        .bind(times)
        .bind(classes)
        .bind(streams)
        .bind(seqs)
        .bind(salts)
        .bind(commitments)
        .persistent(false)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// What became of an attempt to erase.
enum Attempt {
    Done(u64),
    OtherHolds,
    Locked,
}

impl PostgresStore {
    /// Does it in one transaction; `is_again` where somebody in the way is no error.
    async fn try_once(
        &self,
        work: &Work<'_>,
        holds: u64,
        is_again: bool,
    ) -> Result<Attempt, StoreError> {
        self.bounded(work.doing(), async {
            let mut transaction = self.writing().await?;
            let count = work.run(&mut transaction).await?;
            // Last, and under the lock of the ledger, for which appends wait until this is committed.
            let sql = format!("select activity.expect_holds({holds})");
            match raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await {
                Err(error) if is_held(&error) => return Ok(Attempt::OtherHolds),
                Err(error) if is_again && is_locked(&error) => return Ok(Attempt::Locked),
                looked => looked?,
            };
            transaction.commit().await?;
            Ok(Attempt::Done(count))
        })
        .await
    }
}

/// What is done under the eyes of holds, all or nothing.
enum Work<'w> {
    Erase(&'w [ErasedGroups]),
    Restrict(&'w [ErasedGroups], &'w [Restricted]),
    EndRestricted(&'w [i64]),
}

impl Work<'_> {
    const fn doing(&self) -> &'static str {
        match self {
            Self::Erase(_) => "erase personal groups",
            Self::Restrict(..) => "keep personal groups aside",
            Self::EndRestricted(_) => "let go what was kept aside",
        }
    }

    async fn run(&self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        match self {
            Self::Erase(records) => erase(connection, records).await,
            Self::Restrict(records, kept) => {
                let mut count = 0;
                // One by one: who was faster with one of them has put it aside, or erased it.
                for (record, kept) in records.iter().zip(*kept) {
                    let gone = erase(connection, std::slice::from_ref(record)).await?;
                    if gone > 0 {
                        restrict::keep(connection, std::slice::from_ref(kept)).await?;
                    }
                    count += gone;
                }
                Ok(count)
            }
            Self::EndRestricted(numbers) => restrict::end(connection, numbers).await,
        }
    }
}

async fn erase(
    connection: &mut PgConnection,
    records: &[ErasedGroups],
) -> Result<u64, sqlx::Error> {
    let mut count = 0;
    for group in Group::ERASABLE {
        count += erase_group(connection, group, records).await?;
    }
    Ok(count)
}

impl PostgresStore {
    /// Does it, unless holds are told of that were not looked at.
    async fn under_holds(&self, work: Work<'_>, holds: u64) -> Result<Option<u64>, StoreError> {
        for _ in 1..ATTEMPTS {
            match self.try_once(&work, holds, true).await? {
                Attempt::Done(count) => return Ok(Some(count)),
                Attempt::OtherHolds => return Ok(None),
                Attempt::Locked => sleep(PAUSE).await,
            }
        }
        // The last one says what is in the way.
        let last = self.try_once(&work, holds, false).await?;
        Ok(if let Attempt::Done(count) = last { Some(count) } else { None })
    }
}

impl Erase for PostgresStore {
    async fn erase(&self, records: &[ErasedGroups], holds: u64) -> Result<Option<u64>, StoreError> {
        self.under_holds(Work::Erase(records), holds).await
    }

    async fn restrict(
        &self,
        records: &[ErasedGroups],
        kept: &[Restricted],
        holds: u64,
    ) -> Result<Option<u64>, StoreError> {
        self.under_holds(Work::Restrict(records, kept), holds).await
    }

    async fn end_restricted(&self, numbers: &[i64], holds: u64) -> Result<Option<u64>, StoreError> {
        self.under_holds(Work::EndRestricted(numbers), holds).await
    }

    /// Nothing to do from here: see [`erasure_places`](Erase::erasure_places).
    async fn scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn erasure_places(&self, names: &[String]) -> Result<Vec<ErasurePlace>, StoreError> {
        let persons = self
            .bounded("count what is to be erased", async {
                let mut transaction = self.reading().await?;
                let sql = "select count(*) from activity.person_rollups where actor_id = any($1)";
                let row =
                    query(sql).bind(names).persistent(false).fetch_one(&mut *transaction).await?;
                done(transaction);
                Ok(decode::integer(&row, 0)?)
            })
            .await?;
        let place = |place, count, reached, how| ErasurePlace { place, count, reached, how };
        Ok(vec![
            place(
                "person_rollups",
                Some(persons.unsigned_abs()),
                true,
                "counted down with each record, in the same transaction; a name with no record left has no row",
            ),
            place(
                "indexes",
                None,
                true,
                "follow the rows; what they still hold goes with the row versions",
            ),
            place(
                "row_versions",
                None,
                false,
                "the rows as they were stay in the files, unseen, until VACUUM has passed and their place is used \
                 again; VACUUM FULL of the leaves, or pg_repack, writes them anew at once",
            ),
            place(
                "server_wal_and_replicas",
                None,
                false,
                "segments of the server's write-ahead log, replicas' and archived ones, hold the rows until they are \
                 recycled or expire",
            ),
        ])
    }

    async fn add_erased_subjects(&self, subjects: &[ErasedSubject]) -> Result<(), StoreError> {
        self.bounded("add to the list of who was erased", async {
            let mut transaction = self.writing().await?;
            let text = |subject| serde_json::to_string(subject);
            let facts = subjects.iter().map(text).collect::<Result<Vec<_>, _>>();
            let facts = facts.map_err(|error| Failure::new(StoreErrorKind::Data, error))?;
            let digests: Vec<_> = subjects.iter().map(|subject| subject.digest.as_str()).collect();
            query(
                "insert into activity.erased_subjects (digest, subject) \
                 select digest, subject::json from unnest($1::text[], $2::text[]) s(digest, subject)",
            )
            .bind(digests)
            .bind(facts)
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    async fn erased_subjects(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ErasedSubject)>, StoreError> {
        let sql = format!(
            "select number, subject::text from activity.erased_subjects where number > {after} \
             order by number limit {}",
            bounded(limit)
        );
        self.bounded("read the list of who was erased", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            let subject = |row: &sqlx::postgres::PgRow| {
                let text: String = row.try_get(1)?;
                let subject = serde_json::from_str(&text)
                    .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
                Ok((decode::integer(row, 0)?, subject))
            };
            Ok(rows.iter().map(subject).collect::<Result<_, sqlx::Error>>()?)
        })
        .await
    }
}
