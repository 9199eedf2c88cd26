//! Taking records out, a few entries of the ledger at a time.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    error::store_error,
    packed::{self, SELECT},
    rows::{self, SELECT_ENTRIES},
    store::SqliteStore,
    uncount::{GOES, Going, Uncounting},
};
use crate::{
    ledger::{Entry, Removal},
    record::RecordId,
    store::{
        Ending, Retain, StoreError, Unit, UnitFacts,
        retain::{TAKING_OUT, untold},
    },
    time::Timestamp,
};

/// So many records go by one statement at most, unless they are of one entry, which goes whole.
const RUN: i64 = 500;
/// So long a transaction works before it commits, which takes about as long again: whoever appends waits for both. One
/// run always goes.
const WORK: Duration = Duration::from_millis(25);
/// So many entries are looked at for one transaction.
const ENTRIES: i64 = 500;
/// From so many records of a run on, on average, it takes less to [count them](Uncounting) than to have a trigger do it.
const COUNTED: i64 = 16;
/// At the end of a unit so many pages go back to the file system at once.
const PAGES: i64 = 200;

const UNITS: &str = "\
    SELECT e.month, e.class, sum(e.count), count(*), min(e.position), max(e.position), \
        min(e.first_at), max(e.last_at) \
    FROM activity_ledger AS e LEFT JOIN ( \
        SELECT month, class, max(position) AS position FROM activity_ended GROUP BY month, class \
    ) AS d ON d.month = e.month AND d.class = e.class \
    WHERE e.position > coalesce(d.position, 0) GROUP BY e.month, e.class ORDER BY e.month, e.class";

impl Retain for SqliteStore {
    async fn units(&self) -> Result<Vec<UnitFacts>, StoreError> {
        let failed = |error| store_error("list what is kept", error);
        let rows = sqlx::query(UNITS).fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(facts).collect::<Result<_, _>>().map_err(failed)
    }

    async fn unit_entries(
        &self,
        unit: &Unit,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let failed = |error| store_error("read the ledger", error);
        let sql = format!(
            "{SELECT_ENTRIES} WHERE month = ? AND class = ? AND position > ? ORDER BY position LIMIT ?"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(unit.month.to_string()).bind(&*unit.class);
        let query = query.bind(after).bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(rows::entry).collect::<Result<_, _>>().map_err(failed)
    }

    async fn end_unit(
        &self,
        removal: &Removal,
        told_by: RecordId,
        holds: u64,
    ) -> Result<Ending, StoreError> {
        let step = self.write_step(TAKING_OUT, async |connection| {
            if !is_told(connection, removal, told_by).await? {
                return Ok(None);
            }
            // Under the write lock, as what follows: nobody places a hold between.
            if holds_told(connection).await? != holds {
                return Ok(Some(Ending::Held));
            }
            let ending = step(connection, removal).await?;
            Ok(Some(ending))
        });
        let ending = step.await?.ok_or_else(|| untold(told_by))?;
        if ending == Ending::Done {
            self.give_back().await?;
        }
        Ok(ending)
    }
}

fn facts(row: &SqliteRow) -> Result<UnitFacts, sqlx::Error> {
    let month = row.try_get::<&str, _>(0)?.parse();
    let month = month.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let time = |index: usize| row.try_get(index).map(Timestamp::from_micros);
    Ok(UnitFacts {
        unit: Unit { month, class: row.try_get(1)? },
        records: row.try_get(2)?,
        entries: row.try_get(3)?,
        first: row.try_get(4)?,
        last: row.try_get(5)?,
        first_at: time(6)?,
        last_at: time(7)?,
        bytes: None,
    })
}

/// Tells whether the log has the record, and it tells just this.
async fn is_told(
    connection: &mut SqliteConnection,
    removal: &Removal,
    told_by: RecordId,
) -> Result<bool, sqlx::Error> {
    let sql = format!("{} WHERE occurred_at >= ? AND occurred_at < ? AND id = ?", SELECT.as_str());
    // The milliseconds of an id are those of the moment it occurred.
    let from = told_by.at().as_micros();
    let query = sqlx::query(AssertSqlSafe(sql)).bind(from).bind(from + 1_000);
    let row = query.bind(&told_by.as_bytes()[..]).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(false) };
    let record = packed::record(&row)?;
    Ok(Removal::told(&record).as_ref() == Some(removal))
}

/// Returns how many records of the log itself place and lift holds.
pub(super) async fn holds_told(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let sql = "SELECT count(*) FROM activity_records WHERE action IN ('held', 'released') \
         AND category = 'system' AND origin = 'system'";
    let told: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(told.unsigned_abs())
}

async fn step(connection: &mut SqliteConnection, removal: &Removal) -> Result<Ending, sqlx::Error> {
    let (month, class) = (removal.month.to_string(), &*removal.class);
    let sql = "SELECT coalesce(max(position), 0) FROM activity_ended WHERE month = ? AND class = ?";
    let ended: i64 =
        sqlx::query_scalar(sql).bind(&*month).bind(class).fetch_one(&mut *connection).await?;
    let permit = "INSERT INTO activity_permits (permit, retention_class, before) VALUES (1, ?, ?)";
    let (from, before) =
        (removal.month.start().as_micros(), removal.month.next().start().as_micros());
    sqlx::query(permit).bind(class).bind(before).execute(&mut *connection).await?;
    let after = ended.max(removal.first - 1);
    let runs = runs(connection, removal, after).await?;
    let count = |run: &Run| run.last_seq.saturating_sub(run.first_seq).saturating_add(1);
    let records = runs.iter().map(count).fold(0, i64::saturating_add);
    let are_long = records >= COUNTED.saturating_mul(runs.len() as i64);
    let uncounting = if are_long { Uncounting::begin(connection).await? } else { None };
    let delete = format!("DELETE FROM activity_records WHERE {GOES}");
    // Entries that are gone, which the ledger shows, keep nobody here for ever.
    let begun = Instant::now();
    let mut done = if runs.is_empty() { after.max(removal.last) } else { after };
    for run in runs {
        if done > after && begun.elapsed() >= WORK {
            break;
        }
        let Run { writer_id, first_seq, last_seq, position } = run;
        let going = Going { writer_id, first_seq, last_seq, class, from, before };
        if let Some(uncounting) = &uncounting {
            uncounting.take_off(connection, going).await?;
        }
        going.query(&delete).execute(&mut *connection).await?;
        done = position;
    }
    if let Some(uncounting) = uncounting {
        uncounting.end(connection).await?;
    }
    sqlx::query("DELETE FROM activity_permits WHERE permit = 1").execute(&mut *connection).await?;
    if done > ended {
        let sql = "INSERT INTO activity_ended (month, class, position) VALUES (?, ?, ?) \
             ON CONFLICT (month, class) DO UPDATE SET position = excluded.position";
        sqlx::query(sql).bind(&*month).bind(class).bind(done).execute(connection).await?;
    }
    Ok(if done >= removal.last { Ending::Done } else { Ending::Partly })
}

/// Entries of a unit that follow each other in the ledger, and whose records follow each other in their stream.
#[derive(Debug, Clone, Copy)]
struct Run {
    writer_id: i64,
    first_seq: i64,
    last_seq: i64,
    /// Of the last entry.
    position: i64,
}

/// Returns the runs that are to go next, in the order of their positions.
async fn runs(
    connection: &mut SqliteConnection,
    removal: &Removal,
    after: i64,
) -> Result<Vec<Run>, sqlx::Error> {
    let sql = "SELECT writer_id, first_seq, last_seq, position FROM activity_ledger \
         WHERE month = ? AND class = ? AND position > ? AND position <= ? ORDER BY position LIMIT ?";
    let query = sqlx::query(sql).bind(removal.month.to_string()).bind(&*removal.class);
    let query = query.bind(after).bind(removal.last).bind(ENTRIES);
    let mut runs: Vec<Run> = Vec::new();
    for row in query.fetch_all(connection).await? {
        let writer_id: i64 = row.try_get(0)?;
        let (first_seq, last_seq): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        let position = row.try_get(3)?;
        match runs.last_mut() {
            Some(run)
                if run.writer_id == writer_id
                    && run.last_seq.checked_add(1) == Some(first_seq)
                    && last_seq.saturating_sub(run.first_seq) < RUN =>
            {
                (run.last_seq, run.position) = (last_seq, position);
            }
            _ => runs.push(Run { writer_id, first_seq, last_seq, position }),
        }
    }
    Ok(runs)
}

impl SqliteStore {
    /// Gives free pages back to the file system, where the database was made for it; where it was not, SQLite fills
    /// them with what comes next, and `VACUUM` would take a copy of the whole file.
    async fn give_back(&self) -> Result<(), StoreError> {
        let free = "SELECT (SELECT auto_vacuum FROM pragma_auto_vacuum) = 2 \
             AND (SELECT freelist_count FROM pragma_freelist_count) > 0";
        let sql = format!("PRAGMA incremental_vacuum({PAGES})");
        // By steps, as what went before: a page at the end of the file is moved, with all that points to it.
        let step = async |connection: &mut SqliteConnection| {
            let more: bool = sqlx::query_scalar(free).fetch_one(&mut *connection).await?;
            if more {
                sqlx::raw_sql(AssertSqlSafe(&*sql)).execute(&mut *connection).await?;
            }
            Ok(more)
        };
        while self.write_step("give space back", step).await? {}
        Ok(())
    }
}
