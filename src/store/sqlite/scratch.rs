//! Scratch copies: databases that hold what an archive held.
//!
//! They have the tables of a log, so that whatever reads a log reads them, and three more, by which they are told
//! apart: no service opens one to write its log to.

use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::{
    error::store_error,
    location::{self, open_error},
    migrations,
    rows::{INSERT_ENTRY, Insert, array, entry_arguments},
    store::SqliteStore,
};
use crate::{
    ledger::Hash,
    record::WriterId,
    store::{Scratch, ScratchEntry, StoreError, StoreErrorKind},
};

const DOING: &str = "make a scratch copy";

/// The path of an entry is that of its inclusion under the head of this index.
const TABLES: &str = "\
    CREATE TABLE activity_scratch (facts TEXT NOT NULL) STRICT; \
    CREATE TABLE activity_scratch_paths ( \
        position INTEGER PRIMARY KEY, head INTEGER NOT NULL, path BLOB NOT NULL \
    ) STRICT; \
    CREATE TABLE activity_scratch_leaves ( \
        writer_id INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, \
        PRIMARY KEY (writer_id, seq) \
    ) STRICT, WITHOUT ROWID;";

impl SqliteStore {
    /// Makes a scratch copy, empty at first: a database that can be asked as a log can, and that is none.
    ///
    /// # Errors
    ///
    /// When the file holds anything already, or cannot be made.
    pub async fn make_scratch(location: &str, scratch: &Scratch) -> Result<Self, StoreError> {
        let options = location::parse(location)?;
        let failed = |error| store_error(DOING, error);
        let mut connection =
            location::create(&options).await.map_err(|error| open_error(&options, error))?;
        let sql = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut connection)
            .await
            .map_err(|error| open_error(&options, error))?;
        if tables > 0 {
            let doing = format!(
                "{DOING} in `{}`: there is something in it; name a file that is not there yet",
                options.get_filename().display()
            );
            return Err(StoreError::new(StoreErrorKind::Configuration, doing));
        }
        // Before all else: whatever becomes of this, it is never taken for a log.
        let mut transaction = connection.begin().await.map_err(failed)?;
        sqlx::raw_sql(TABLES).execute(&mut *transaction).await.map_err(failed)?;
        sqlx::query("INSERT INTO activity_scratch (facts) VALUES (?)")
            .bind(facts(scratch).map_err(failed)?)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let name = options.get_filename().display().to_string();
        migrations::migrate(&mut connection, &name).await?;
        // An entry goes where it lies in the log, whatever lies between.
        let sql = "DROP TRIGGER activity_ledger_insert";
        sqlx::query(sql).execute(&mut connection).await.map_err(failed)?;
        Self::over_open(options, connection).await
    }

    /// Puts entries and their records back, all in one transaction.
    ///
    /// # Errors
    ///
    /// When the store refuses; then none of them is there.
    pub async fn put_back(&self, entries: &[ScratchEntry]) -> Result<(), StoreError> {
        self.write(DOING, async |connection| {
            for entry in entries {
                put_back(connection, entry).await?;
            }
            Ok(())
        })
        .await
    }

    /// Says of a scratch copy what it has come to.
    ///
    /// # Errors
    ///
    /// When the store refuses.
    pub async fn end_scratch(&self, scratch: &Scratch) -> Result<(), StoreError> {
        self.write(DOING, async |connection| {
            let sql = "UPDATE activity_scratch SET facts = ?";
            sqlx::query(sql).bind(facts(scratch)?).execute(connection).await?;
            Ok(())
        })
        .await
    }

    pub(super) async fn ask_scratch(&self) -> Result<Option<Scratch>, StoreError> {
        let asked = async {
            let mut connection = self.pool().acquire().await?;
            let Some(facts) = marked(&mut connection).await? else { return Ok(None) };
            serde_json::from_str(&facts)
                .map(Some)
                .map_err(|error| sqlx::Error::Decode(error.into()))
        };
        asked.await.map_err(|error| store_error("read what a scratch copy says of itself", error))
    }

    pub(super) async fn ask_scratch_path(
        &self,
        position: i64,
    ) -> Result<Option<(usize, Vec<Hash>)>, StoreError> {
        let asked = async {
            let sql = "SELECT head, path FROM activity_scratch_paths WHERE position = ?";
            let row = sqlx::query(sql).bind(position).fetch_optional(self.pool()).await?;
            let Some(row) = row else { return Ok(None) };
            let head = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
            let path =
                row.try_get::<&[u8], _>(1)?.chunks(32).map(array).collect::<Result<_, _>>()?;
            Ok(Some((head, path)))
        };
        asked.await.map_err(|error| store_error("read the path of an entry", error))
    }

    pub(super) async fn ask_scratch_leaves(
        &self,
        stream: WriterId,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, Hash)>, StoreError> {
        let asked = async {
            let sql = "SELECT seq, hash FROM activity_scratch_leaves \
                 WHERE writer_id = ? AND seq BETWEEN ? AND ? ORDER BY seq";
            let query = sqlx::query(sql).bind(stream.get()).bind(from).bind(to);
            let rows = query.fetch_all(self.pool()).await?;
            rows.iter()
                .map(|row| Ok((row.try_get(0)?, array(row.try_get(1)?)?)))
                .collect::<Result<Vec<_>, sqlx::Error>>()
        };
        asked.await.map_err(|error| store_error("read the hashes of records", error))
    }
}

/// Returns what a database says of itself if it is a scratch copy.
pub(super) async fn marked(
    connection: &mut SqliteConnection,
) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'activity_scratch'";
    let tables: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    if tables == 0 {
        return Ok(None);
    }
    let sql = "SELECT facts FROM activity_scratch";
    // Marked and without a word: something, and no log.
    Ok(Some(sqlx::query_scalar(sql).fetch_optional(connection).await?.unwrap_or_default()))
}

fn facts(scratch: &Scratch) -> Result<String, sqlx::Error> {
    serde_json::to_string(scratch).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

async fn put_back(
    connection: &mut SqliteConnection,
    entry: &ScratchEntry,
) -> Result<(), sqlx::Error> {
    let mut records = &entry.records[..];
    while let Some(insert) = Insert::next(&mut records).map_err(sqlx::Error::Encode)? {
        sqlx::query_with(insert.sql, insert.arguments).execute(&mut *connection).await?;
    }
    let arguments = entry_arguments(&entry.entry).map_err(sqlx::Error::Encode)?;
    sqlx::query_with(INSERT_ENTRY, arguments).execute(&mut *connection).await?;
    if let Some((head, path)) = &entry.path {
        let sql = "INSERT INTO activity_scratch_paths (position, head, path) VALUES (?, ?, ?)";
        sqlx::query(sql)
            .bind(entry.entry.position)
            .bind(i64::try_from(*head).unwrap_or(i64::MAX))
            .bind(path.concat())
            .execute(&mut *connection)
            .await?;
    }
    for (seq, hash) in &entry.left_out {
        let sql = "INSERT INTO activity_scratch_leaves (writer_id, seq, hash) VALUES (?, ?, ?)";
        let query = sqlx::query(sql).bind(entry.entry.new.writer_id.get()).bind(seq);
        query.bind(&hash[..]).execute(&mut *connection).await?;
    }
    Ok(())
}
