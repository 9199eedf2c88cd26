//! Erasing groups of records, and what they leave in the file.

use std::{fmt::Write as _, sync::LazyLock, time::Duration};

use sqlx::{Row as _, SqliteConnection};

use super::{
    error::store_error, restrict, retain::holds_told, sql::Sql, store::SqliteStore, words::NAME,
};
use crate::{
    record::Group,
    store::{
        Erase, ErasedGroups, ErasedSubject, ErasurePlace, Restricted, StoreError, StoreErrorKind,
        erase,
    },
};

const DOING: &str = "erase personal groups";

/// How often it is tried to empty the log of writes, which takes a moment in which nobody reads an older state.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// The only statements that change a record: one for each group.
static ERASE: LazyLock<[String; 4]> = LazyLock::new(|| {
    Group::ERASABLE.map(|group| {
        let name = group.as_str();
        let mut sql = String::from("UPDATE activity_records SET ");
        for column in erase::columns(group) {
            let _infallible = write!(sql, "{column} = NULL, ");
        }
        let _infallible = write!(
            sql,
            "{name}_salt = NULL, {name}_commitment = ? \
             WHERE writer_id = ? AND seq = ? AND {name}_salt = ?"
        );
        sql
    })
});

/// Erases the groups of one record, inside the caller's transaction.
async fn erase_one(
    connection: &mut SqliteConnection,
    record: &ErasedGroups,
) -> Result<u64, sqlx::Error> {
    let mut count = 0;
    for (sql, group) in ERASE.iter().zip(&record.groups) {
        let Some(group) = group else { continue };
        let done = sqlx::query(sql.as_str())
            .bind(&group.commitment[..])
            .bind(record.writer_id.get())
            .bind(record.seq)
            .bind(&group.salt[..])
            .execute(&mut *connection)
            .await?;
        count += done.rows_affected();
    }
    Ok(count)
}

impl Erase for SqliteStore {
    async fn erase(&self, records: &[ErasedGroups], holds: u64) -> Result<Option<u64>, StoreError> {
        self.write_step(DOING, async |connection| {
            // Under the write lock, as what follows: nobody places a hold between.
            if holds_told(connection).await? != holds {
                return Ok(None);
            }
            let mut count = 0;
            for record in records {
                count += erase_one(connection, record).await?;
            }
            Ok(Some(count))
        })
        .await
    }

    async fn restrict(
        &self,
        records: &[ErasedGroups],
        kept: &[Restricted],
        holds: u64,
    ) -> Result<Option<u64>, StoreError> {
        self.write_step("keep personal groups aside", async |connection| {
            if holds_told(connection).await? != holds {
                return Ok(None);
            }
            let mut count = 0;
            for (record, kept) in records.iter().zip(kept) {
                let gone = erase_one(connection, record).await?;
                // Who was faster has put it aside, or erased it.
                if gone > 0 {
                    restrict::keep(connection, kept).await?;
                }
                count += gone;
            }
            Ok(Some(count))
        })
        .await
    }

    async fn end_restricted(&self, numbers: &[i64], holds: u64) -> Result<Option<u64>, StoreError> {
        self.write_step("let go what was kept aside", async |connection| {
            if holds_told(connection).await? != holds {
                return Ok(None);
            }
            Ok(Some(restrict::end(connection, numbers).await?))
        })
        .await
    }

    /// Puts the index of words together anew, and empties the log of writes (`-wal`), which still has the rows as they
    /// were; in the file itself SQLite overwrites what is erased (`secure_delete`).
    async fn scrub(&self) -> Result<(), StoreError> {
        if self.fold_stands(NAME).await?.is_some() {
            self.tidy_words().await?;
        }
        let mut connection = self.writers().take(self.options()).await?;
        for attempt in 1.. {
            let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .fetch_one(&mut connection.0)
                .await
                .map_err(|error| store_error("empty the log of writes", error));
            // Another who does the same, or who reads what was before.
            let busy = match row {
                Ok(row) => row.try_get::<i64, _>(0).unwrap_or(1) != 0,
                Err(error) if error.is_transient() => true,
                Err(error) => return Err(error),
            };
            if !busy {
                break;
            }
            if attempt == ATTEMPTS {
                let doing = "empty the log of writes (`-wal`), where what was erased still stands: somebody reads an \
                     older state; erase again when he is done";
                return Err(StoreError::new(StoreErrorKind::Transient, doing));
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.writers().put_back(connection).await;
        Ok(())
    }

    async fn erasure_places(&self, names: &[String]) -> Result<Vec<ErasurePlace>, StoreError> {
        let failed = |error| store_error("count what is to be erased", error);
        let mut sql = Sql::new("SELECT count(*) FROM activity_rollup_persons WHERE actor_id IN (");
        for (at, name) in names.iter().enumerate() {
            sql.push(if at == 0 { "" } else { ", " }).bind(name.as_str());
        }
        sql.push(")");
        let rows = sql.query().map_err(failed)?.fetch_one(self.pool()).await.map_err(failed)?;
        let persons: i64 = rows.try_get(0).map_err(failed)?;
        let place = |place, count, reached, how| ErasurePlace { place, count, reached, how };
        let mut places = vec![place(
            "person_rollups",
            Some(persons.unsigned_abs()),
            true,
            "counted down with each record, in the same transaction; a name with no record left has no row",
        )];
        if self.fold_stands(NAME).await?.is_some() {
            places.push(place(
                "text_index",
                None,
                true,
                "taken out with each record, and the index put together anew, so that its pages are overwritten",
            ));
        }
        places.push(place(
            "free_pages_and_wal",
            None,
            true,
            "overwritten (secure_delete); the log of writes is emptied at the end",
        ));
        Ok(places)
    }

    async fn add_erased_subjects(&self, subjects: &[ErasedSubject]) -> Result<(), StoreError> {
        self.write("add to the list of who was erased", async |connection| {
            for subject in subjects {
                let facts = serde_json::to_string(subject)
                    .map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
                sqlx::query("INSERT INTO activity_erased_subjects (digest, subject) VALUES (?, ?)")
                    .bind(subject.digest.as_str())
                    .bind(facts)
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(())
        })
        .await
    }

    async fn erased_subjects(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ErasedSubject)>, StoreError> {
        let failed = |error| store_error("read the list of who was erased", error);
        let rows = sqlx::query(
            "SELECT number, subject FROM activity_erased_subjects WHERE number > ? \
             ORDER BY number LIMIT ?",
        )
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.pool())
        .await
        .map_err(failed)?;
        let subject = |row: &sqlx::sqlite::SqliteRow| {
            let subject = serde_json::from_str(row.try_get(1)?)
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            Ok((row.try_get(0)?, subject))
        };
        rows.iter().map(subject).collect::<Result<_, _>>().map_err(failed)
    }
}
