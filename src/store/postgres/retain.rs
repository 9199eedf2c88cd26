//! Taking records out, a leaf at a time.
//!
//! A leaf is dropped under locks of its own month, which no append to another month needs; and whoever asks for
//! the log waits behind us for no longer than we wait for the locks.

use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow, query, raw_sql};

use super::{
    decode::{self, ENTRY_COLUMNS, integer, moment},
    error::{is_grown, is_held, is_locked},
    literal::{text_literal, time_literal},
    page::bounded,
    store::{Access, Limits, PostgresStore, done},
};
use crate::{
    ledger::{Entry, Removal},
    record::RecordId,
    store::{
        Ending, Maintain as _, Read as _, Retain, StoreError, Unit, UnitFacts,
        retain::{TAKING_OUT, untold},
    },
};

/// Readers and writers of that month wait behind us as long.
const LOCK_TIMEOUT: &str = "set local lock_timeout = 100";
/// So many entries are folded in before another attempt, where the rollups are behind.
const FOLDED: usize = 1_000;

const UNITS: &str = "\
    select e.month, e.class, sum(e.count)::bigint, count(*), min(e.position), max(e.position), \
        min(e.first_at), max(e.last_at), \
        (select coalesce(pg_total_relation_size(c.oid), 0) from pg_inherits i \
            join pg_class c on c.oid = i.inhrelid \
            where c.relname = activity.leaf_name(e.month, e.class) \
                and c.relnamespace = 'activity'::regnamespace) \
    from activity.ledger_entries e \
        left join activity.ended d on d.month = e.month and d.class = e.class \
    where e.position > coalesce(d.position, 0) group by e.month, e.class order by e.month, e.class";

impl Retain for PostgresStore {
    async fn units(&self) -> Result<Vec<UnitFacts>, StoreError> {
        // All of the ledger is looked at.
        let limits = Limits::MIGRATION;
        let listing = limits.bounded("list what is kept", async {
            let mut transaction = self.reading_within(limits.time()).await?;
            let rows =
                query(AssertSqlSafe(UNITS)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            Ok(rows.iter().map(facts).collect::<Result<_, _>>()?)
        });
        listing.await
    }

    async fn unit_entries(
        &self,
        unit: &Unit,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = format!(
            "select {ENTRY_COLUMNS} from activity.ledger_entries where month = '{}' and class = {} \
             and position > {} order by position limit {}",
            unit.month,
            text_literal(&unit.class),
            after.max(0),
            bounded(limit)
        );
        self.bounded("read the ledger", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            Ok(rows.iter().map(decode::entry).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn end_unit(
        &self,
        removal: &Removal,
        told_by: RecordId,
        holds: u64,
    ) -> Result<Ending, StoreError> {
        let record = self.record(told_by).await?;
        if record.as_ref().and_then(Removal::told).as_ref() != Some(removal) {
            return Err(untold(told_by));
        }
        let Removal { month, class, first, last, .. } = removal;
        let sql = format!(
            "select activity.end_unit('{month}', {}, {first}, {last}, '{told_by}', {}, {holds})",
            text_literal(class),
            time_literal(told_by.at()),
        );
        match self.in_short(sql).await? {
            Attempt::Row(word) if word == "behind" => {
                self.fold(FOLDED).await?;
                Ok(Ending::Busy)
            }
            Attempt::Row(_) => {
                // Where somebody is in the way the empty table stays until the next time.
                let sql = format!("select activity.end_month('{month}')::text");
                let _ended_or_later = self.in_short(sql).await?;
                Ok(Ending::Done)
            }
            Attempt::Busy => Ok(Ending::Busy),
            Attempt::Grown => Ok(Ending::Grown),
            Attempt::Held => Ok(Ending::Held),
        }
    }
}

enum Attempt {
    Row(String),
    Busy,
    Grown,
    Held,
}

impl PostgresStore {
    /// Asks for one text in a transaction that waits for no lock for long.
    ///
    /// In one message, the COMMIT too: others wait for its locks, and nobody is to wait for a client that stalls.
    async fn in_short(&self, sql: String) -> Result<Attempt, StoreError> {
        // A leaf of several classes is counted first, which may take its time; nobody waits for that.
        let limits = Limits::INDEX;
        let attempt = limits.bounded(TAKING_OUT, async {
            let mut connection = self.dial().await?;
            let begin = limits.begin(Access::AsAllowed);
            let whole = format!("{begin}; {LOCK_TIMEOUT}; {sql}; commit");
            // To the end: an error of the COMMIT comes behind the row.
            let rows = raw_sql(AssertSqlSafe(whole)).fetch_all(&mut connection).await;
            let word = match rows {
                Ok(rows) => {
                    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
                    row.try_get_unchecked::<String, _>(0)?
                }
                Err(error) if is_locked(&error) => return Ok(Attempt::Busy),
                Err(error) if is_grown(&error) => return Ok(Attempt::Grown),
                Err(error) if is_held(&error) => return Ok(Attempt::Held),
                Err(error) => return Err(error.into()),
            };
            Ok(Attempt::Row(word))
        });
        attempt.await
    }
}

fn facts(row: &PgRow) -> Result<UnitFacts, sqlx::Error> {
    let month = row.try_get::<&str, _>(0)?.parse();
    let month = month.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(UnitFacts {
        unit: Unit { month, class: row.try_get(1)? },
        records: integer(row, 2)?,
        entries: integer(row, 3)?,
        first: integer(row, 4)?,
        last: integer(row, 5)?,
        first_at: moment(row, 6)?.unwrap_or_default(),
        last_at: moment(row, 7)?.unwrap_or_default(),
        bytes: row.try_get(8)?,
    })
}
