//! The outbox in a SQLite database of the application.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::{
    ConnectOptions as _, Row as _, Sqlite, SqliteConnection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteRow, SqliteSynchronous},
};

use super::{
    error::store_error,
    location::{self, open_error},
};
use crate::{
    record::{RecordId, WriterId},
    store::{
        Backlog, ClaimRows, ClaimedRows, Database, InTransaction, Look, NewRow, Outbox, OutboxRow,
        StoreError, StoreErrorKind, sealed::Sealed,
    },
    time::Timestamp,
};

/// The files of `migrations/sqlite/outbox/`.
const MIGRATIONS: &[(i64, &str)] =
    &[(1, include_str!("../../../migrations/sqlite/outbox/0001_outbox.sql"))];

/// Between these two stands what runs inside a transaction of our own.
const BEGIN: &str = "\nBEGIN IMMEDIATE;\n";
const COMMIT: &str = "\nCOMMIT;\n";

const INSERT: &str =
    "INSERT INTO activity_outbox (record_id, leaf, added_at, payload) VALUES (?, ?, ?, ?)";

/// The outbox of an application whose database is SQLite.
///
/// Its tables have names that begin with `activity_outbox`; the log's own may lie in the same file. The
/// worker that moves its rows into the log has one connection of its own, and takes the write lock only when
/// there are rows.
///
/// ```
/// # async fn example(app: sqlx::SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
/// use tower_activity::{Pipeline, Record, SqliteStore, store::{Outbox as _, sqlite::SqliteOutbox}};
///
/// let outbox = SqliteOutbox::new(&app);
/// outbox.migrate().await?;
/// let log = SqliteStore::open("activity.db").await?;
/// let pipeline = Pipeline::builder(log).outbox(outbox).start().await?;
///
/// let mut transaction = app.begin().await?;
/// sqlx::query("UPDATE orders SET state = 'cancelled' WHERE id = 55").execute(&mut *transaction).await?;
/// let record = Record::by("ana").cancelled("order", "55");
/// pipeline.recorder().record_in(&mut transaction, record).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteOutbox {
    options: Arc<SqliteConnectOptions>,
    /// The worker's, while no call uses it. A call that ends early closes it.
    idle: Arc<Mutex<Option<SqliteConnection>>>,
}

impl SqliteOutbox {
    /// Uses the file of the application's pool, over a connection of its own. A database in memory must be
    /// one that its connections share.
    #[must_use]
    pub fn new(pool: &SqlitePool) -> Self {
        Self::with(pool.connect_options().as_ref())
    }

    /// Uses the database at `location`, for whoever has no pool.
    ///
    /// # Errors
    ///
    /// When the location names no SQLite database.
    pub fn at(location: &str) -> Result<Self, StoreError> {
        Ok(Self::with(&location::parse(location)?))
    }

    fn with(options: &SqliteConnectOptions) -> Self {
        // What is deleted may hold names: it is overwritten, as in the log. A claim that a power cut takes
        // back after the log has its rows would be a second life for them, so each is synced.
        let options = location::writing(options)
            .create_if_missing(false)
            .synchronous(SqliteSynchronous::Full);
        Self { options: Arc::new(options), idle: Arc::default() }
    }

    async fn run<T>(
        &self,
        doing: &str,
        begin: &'static str,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                self.options.connect().await.map_err(|error| open_error(&self.options, error))?
            }
        };
        let done = async {
            sqlx::query(begin).execute(&mut connection).await?;
            let done = work(&mut connection).await?;
            sqlx::query("COMMIT").execute(&mut connection).await?;
            Ok(done)
        };
        // What is left in the middle closes the connection, which rolls it back.
        let done = done.await.map_err(|error| store_error(doing, error))?;
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        Ok(done)
    }

    async fn reading<T>(
        &self,
        doing: &str,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.run(doing, "BEGIN", work).await
    }

    async fn writing<T>(
        &self,
        doing: &str,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.run(doing, "BEGIN IMMEDIATE", work).await
    }
}

impl fmt::Debug for SqliteOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOutbox").field("file", &self.options.get_filename()).finish()
    }
}

impl Outbox for SqliteOutbox {
    const DATABASE: Database = Database::Sqlite;

    async fn migrate(&self) -> Result<(), StoreError> {
        const DOING: &str = "make the outbox";
        let newest = MIGRATIONS.last().map_or(0, |(version, _)| *version);
        // Looking first keeps an ordinary start from waiting for the write lock.
        if self.reading(DOING, applied).await? == newest {
            return Ok(());
        }
        let applied = self
            .writing(DOING, async |connection| {
                let applied = applied(connection).await?;
                for (version, sql) in MIGRATIONS {
                    if *version > applied {
                        sqlx::raw_sql(statements(sql)).execute(&mut *connection).await?;
                    }
                }
                Ok(applied)
            })
            .await?;
        if applied > newest {
            let why =
                format!("{DOING}: it is of version {applied}, newer than this build's {newest}");
            return Err(StoreError::new(StoreErrorKind::Configuration, why));
        }
        Ok(())
    }

    async fn look(&self) -> Result<Look, StoreError> {
        self.reading("look into the outbox", async |connection| {
            let sql = "SELECT s.writer_id, (SELECT min(place) FROM activity_outbox), \
                (SELECT max(place) FROM activity_outbox) FROM activity_outbox_stream AS s";
            let row = sqlx::query(sql).fetch_one(connection).await?;
            let places: (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
            Ok(Look { writer_id: WriterId::new(row.try_get(0)?), places: places.0.zip(places.1) })
        })
        .await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.reading("count what is in the outbox", async |connection| {
            let sql = "SELECT count(*), min(added_at) FROM activity_outbox";
            let row = sqlx::query(sql).fetch_one(connection).await?;
            let oldest: Option<i64> = row.try_get(1)?;
            Ok(Backlog {
                rows: row.try_get::<i64, _>(0)?.unsigned_abs(),
                oldest: oldest.map(Timestamp::from_micros),
            })
        })
        .await
    }

    async fn claim(&self, ask: ClaimRows) -> Result<ClaimedRows, StoreError> {
        self.writing("claim rows of the outbox", async |connection| claim(connection, ask).await)
            .await
    }

    async fn rename(
        &self,
        from: WriterId,
        to: WriterId,
        first: NewRow<'_>,
    ) -> Result<(), StoreError> {
        self.writing("rename the outbox's stream", async |connection| {
            let sql =
                "UPDATE activity_outbox_stream SET writer_id = ?, next_seq = 2 WHERE writer_id = ?";
            let renamed =
                sqlx::query(sql).bind(to.get()).bind(from.get()).execute(&mut *connection).await?;
            if renamed.rows_affected() == 0 {
                return Ok(());
            }
            let sql =
                "UPDATE activity_outbox SET seq = NULL, claimed_at = NULL WHERE seq IS NOT NULL";
            sqlx::query(sql).execute(&mut *connection).await?;
            insert(connection, first).await?;
            let sql = "UPDATE activity_outbox SET seq = 1, claimed_at = added_at \
                WHERE place = last_insert_rowid()";
            sqlx::query(sql).execute(&mut *connection).await?;
            Ok(())
        })
        .await
    }
}

fn statements(sql: &'static str) -> &'static str {
    let body = sql.split_once(BEGIN).map_or(sql, |(_, body)| body);
    body.rsplit_once(COMMIT).map_or(body, |(body, _)| body)
}

async fn applied(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let table = "SELECT count(*) FROM sqlite_schema WHERE name = 'activity_outbox_migrations'";
    if sqlx::query_scalar::<_, i64>(table).fetch_one(&mut *connection).await? == 0 {
        return Ok(0);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM activity_outbox_migrations";
    sqlx::query_scalar(newest).fetch_one(connection).await
}

async fn claim(
    connection: &mut SqliteConnection,
    ask: ClaimRows,
) -> Result<ClaimedRows, sqlx::Error> {
    // A lease that ends later than any that is taken now was taken by a clock that was set back since.
    let sql = "SELECT writer_id, next_seq, \
        coalesce(held_until > ? AND held_until <= ? AND holder <> ?, 0) \
        FROM activity_outbox_stream";
    let row = sqlx::query(sql)
        .bind(ask.now.as_micros())
        .bind(ask.now.saturating_add(ask.lease).as_micros())
        .bind(ask.worker)
        .fetch_one(&mut *connection)
        .await?;
    let (writer_id, next): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if writer_id != ask.writer_id.get() {
        return Ok(ClaimedRows::Renamed);
    }
    if row.try_get::<bool, _>(2)? {
        return Ok(ClaimedRows::Held);
    }
    if next - 1 < ask.position {
        return Ok(ClaimedRows::Behind(next - 1));
    }
    let delete = "DELETE FROM activity_outbox WHERE seq <= ?";
    sqlx::query(delete).bind(ask.position).execute(&mut *connection).await?;
    let mut rows = numbered(connection, ask).await?;
    if rows.is_empty() {
        let given = number(connection, ask, next).await?;
        if given > 0 {
            rows = numbered(connection, ask).await?;
        }
        let sql = "UPDATE activity_outbox_stream SET next_seq = ?";
        sqlx::query(sql).bind(next + given).execute(&mut *connection).await?;
    }
    let held = (!rows.is_empty()).then_some(ask.worker);
    let until = held.map(|_| ask.now.saturating_add(ask.lease).as_micros());
    let lease = "UPDATE activity_outbox_stream SET holder = ?, held_until = ?";
    sqlx::query(lease).bind(held).bind(until).execute(connection).await?;
    Ok(ClaimedRows::Yours(rows))
}

/// Gives numbers to the oldest rows without one, and returns to how many.
async fn number(
    connection: &mut SqliteConnection,
    ask: ClaimRows,
    next: i64,
) -> Result<i64, sqlx::Error> {
    let sql = "UPDATE activity_outbox SET seq = ? + ranked.rank - 1, claimed_at = ? FROM \
        (SELECT place AS at, row_number() OVER (ORDER BY leaf, place) AS rank FROM \
            (SELECT place, leaf FROM activity_outbox WHERE seq IS NULL ORDER BY place LIMIT ?)) AS ranked \
        WHERE place = ranked.at";
    let done = sqlx::query(sql)
        .bind(next)
        .bind(ask.now.as_micros())
        .bind(i64::try_from(ask.rows).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}

/// Reads the next rows with a number: as many as fit, and one in any case.
async fn numbered(
    connection: &mut SqliteConnection,
    ask: ClaimRows,
) -> Result<Vec<OutboxRow>, sqlx::Error> {
    // The sizes first, which are read without the payloads.
    let sql = "SELECT seq FROM (SELECT seq, length(payload) AS size, \
            sum(length(payload)) OVER (ORDER BY seq) AS reached FROM \
            (SELECT seq, payload FROM activity_outbox WHERE seq > ? ORDER BY seq LIMIT ?)) \
        WHERE reached - size < ? ORDER BY seq DESC LIMIT 1";
    let last: Option<i64> = sqlx::query_scalar(sql)
        .bind(ask.position)
        .bind(i64::try_from(ask.rows).unwrap_or(i64::MAX))
        .bind(i64::try_from(ask.bytes).unwrap_or(i64::MAX))
        .fetch_optional(&mut *connection)
        .await?;
    let sql = "SELECT seq, record_id, claimed_at, payload FROM activity_outbox \
        WHERE seq > ? AND seq <= ? ORDER BY seq";
    let rows = sqlx::query(sql).bind(ask.position).bind(last).fetch_all(connection).await?;
    rows.iter().map(row).collect()
}

fn row(row: &SqliteRow) -> Result<OutboxRow, sqlx::Error> {
    let malformed = || sqlx::Error::Decode("a row of the outbox is malformed".into());
    let record_id: &[u8] = row.try_get(1)?;
    Ok(OutboxRow {
        seq: row.try_get(0)?,
        record_id: RecordId::from_bytes(record_id.try_into().map_err(|_| malformed())?),
        claimed_at: Timestamp::from_micros(row.try_get(2)?),
        payload: row.try_get(3)?,
    })
}

async fn insert(connection: &mut SqliteConnection, row: NewRow<'_>) -> Result<(), sqlx::Error> {
    // SQLite works on a thread of its own, so that what it is given must be its own.
    sqlx::query(INSERT)
        .bind(row.record_id.as_bytes().to_vec())
        .bind(row.leaf.to_owned())
        .bind(row.added_at.as_micros())
        .bind(row.payload.to_vec())
        .execute(connection)
        .await
        .map(drop)
}

impl Sealed for SqliteConnection {}

impl InTransaction for SqliteConnection {
    const DATABASE: Database = Database::Sqlite;

    async fn put(&mut self, row: NewRow<'_>) -> Result<(), StoreError> {
        insert(self, row)
            .await
            .map_err(|source| store_error("put a record into the outbox", source))
    }
}

impl Sealed for Transaction<'_, Sqlite> {}

impl InTransaction for Transaction<'_, Sqlite> {
    const DATABASE: Database = Database::Sqlite;

    async fn put(&mut self, row: NewRow<'_>) -> Result<(), StoreError> {
        (**self).put(row).await
    }
}
