//! The store: a database file and a pool of connections that read it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use super::{
    append::SqliteAppender,
    error::store_error,
    identity::{self, Watched},
    location::{self, open_error},
    migrations, scratch,
    write::Writers,
};
use crate::{
    record::WriterId,
    store::{
        AnyStore, Append, Completeness, CompletenessRequest, Folded, Index, Maintain, Storage,
        StoreError, StoreErrorKind, StreamPosition,
    },
    time::{Clock, SystemClock, Timestamp},
};

/// How many pages are read at the same time.
const READERS: u32 = 4;

/// The streams, each found by a step in the index: the ledger grows with every batch, and reading all of
/// it would take longer from day to day.
pub(super) const STREAMS: &str = "\
    WITH RECURSIVE writers (writer_id) AS ( \
        SELECT min(writer_id) FROM activity_ledger \
        UNION ALL \
        SELECT (SELECT min(e.writer_id) FROM activity_ledger AS e \
            WHERE e.writer_id > w.writer_id) \
        FROM writers AS w WHERE w.writer_id IS NOT NULL \
    ), streams AS ( \
        SELECT w.writer_id, (SELECT max(e.last_seq) FROM activity_ledger AS e \
            WHERE e.writer_id = w.writer_id) AS last_seq \
        FROM writers AS w WHERE w.writer_id IS NOT NULL \
    )";

/// Records in a SQLite database.
///
/// Cheap to clone: all clones share one pool.
#[derive(Clone)]
pub struct SqliteStore {
    options: Arc<SqliteConnectOptions>,
    pool: SqlitePool,
    writers: Writers,
    clock: Arc<dyn Clock>,
    /// Whether appends are committed with `synchronous=FULL`.
    keeps_commits: Arc<AtomicBool>,
    /// So many rows, where every question is to be asked in windows from the start.
    window: Option<i64>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("file", &self.options.get_filename()).finish()
    }
}

impl SqliteStore {
    /// Opens a database, creates it when it is not there, and brings its schema up to date.
    ///
    /// `location` is a path or a URL: `activity.db`, `sqlite:activity.db`, `sqlite:///var/lib/a.db`, or
    /// `sqlite::memory:` for a database that lives as long as the store does.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or written, is no SQLite database, or was written by a newer
    /// build. The message says what to do.
    pub async fn open(location: &str) -> Result<Self, StoreError> {
        let options = location::parse(location)?;
        let mut first =
            location::create(&options).await.map_err(|error| open_error(&options, error))?;
        let marked = scratch::marked(&mut first).await;
        if marked.map_err(|error| open_error(&options, error))?.is_some() {
            let doing = format!(
                "write a log to `{}`: it is a scratch copy of an archive; `activity query` and `activity serve` ask it",
                name(&options)
            );
            return Err(StoreError::new(StoreErrorKind::Configuration, doing));
        }
        migrations::migrate(&mut first, &name(&options)).await?;
        Self::over_open(options, first).await
    }

    /// Opens a log, or else a scratch copy: for a service that asks it, and records in it who did.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_or_scratch(location: &str) -> Result<Self, StoreError> {
        let options = location::parse(location)?;
        let mut first =
            location::create(&options).await.map_err(|error| open_error(&options, error))?;
        migrations::migrate(&mut first, &name(&options)).await?;
        Self::over_open(options, first).await
    }

    /// Opens a database over the connection that made it.
    pub(super) async fn over_open(
        options: SqliteConnectOptions,
        first: SqliteConnection,
    ) -> Result<Self, StoreError> {
        // Before the first connection is closed, because with the last one a database in memory goes.
        let pool = readers(&options)
            .min_connections(1)
            .connect_with(location::reading(&options))
            .await
            .map_err(|error| open_error(&options, error))?;
        first.close().await.map_err(|error| open_error(&options, error))?;
        Ok(Self::over(options, pool))
    }

    /// Opens a log that is there already, for reading: makes nothing and migrates nothing.
    ///
    /// It needs no right to write the file, as long as a service has the log open or the folder lets SQLite
    /// keep its shared memory beside it. Whatever writes is refused by the database. Where nobody writes, as
    /// in a copy, `sqlite:activity.db?immutable=true` needs neither.
    ///
    /// # Errors
    ///
    /// When there is no such file, it cannot be read, it holds no log, or the log's schema is of another
    /// version than this build. The message says what to do.
    pub async fn open_existing(location: &str) -> Result<Self, StoreError> {
        let options = location::parse(location)?.create_if_missing(false);
        let pool = readers(&options)
            .connect_with(location::reading(&options))
            .await
            .map_err(|error| open_error(&options, error))?;
        let mut connection = pool.acquire().await.map_err(|error| open_error(&options, error))?;
        // The file itself is looked at with the first question only.
        sqlx::query("SELECT count(*) FROM sqlite_schema")
            .execute(&mut *connection)
            .await
            .map_err(|error| location::read_error(&options, error))?;
        migrations::expect_current(&mut connection, &name(&options)).await?;
        drop(connection);
        Ok(Self::over(options, pool))
    }

    /// Uses a database that the application has opened, and brings our tables in it up to date.
    ///
    /// Reads go through `pool`. Each writer opens a connection of its own with the pool's options, so the
    /// pool must be of a file, or of a database in memory that its connections share. Its journal mode is
    /// left as it is; WAL is what lets readers and writers work at the same time. In a pool of
    /// `sqlite::memory:`, whoever comes second is refused at once instead of waiting (SQLite's shared
    /// cache); [`open`](Self::open) has no such limit.
    ///
    /// # Errors
    ///
    /// When the database cannot be written, or was written by a newer build.
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, StoreError> {
        let options = pool.connect_options().as_ref().clone();
        let store = Self::over(options, pool);
        store.migrate().await?;
        Ok(store)
    }

    fn over(options: SqliteConnectOptions, pool: SqlitePool) -> Self {
        Self {
            options: Arc::new(options),
            pool,
            writers: Writers::default(),
            clock: Arc::new(SystemClock::default()),
            keeps_commits: Arc::default(),
            window: None,
        }
    }

    /// Asks every question in windows of so many rows from the start, for tests of what takes long.
    #[doc(hidden)]
    #[must_use]
    pub fn in_windows(mut self, rows: u32) -> Self {
        self.window = Some(rows.into());
        self
    }

    pub(super) const fn window(&self) -> Option<i64> {
        self.window
    }

    /// Takes the times of commits from `clock`. Defaults to the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Closes every connection but those of the appenders, and waits for them.
    ///
    /// Whoever wants the file to be whole without the files beside it closes the appenders first.
    pub async fn close(&self) {
        self.writers.close().await;
        self.pool.close().await;
    }

    pub(super) fn options(&self) -> &SqliteConnectOptions {
        &self.options
    }

    pub(super) const fn writers(&self) -> &Writers {
        &self.writers
    }

    pub(super) const fn pool(&self) -> &SqlitePool {
        &self.pool
    }
}

/// Returns what the pools of readers have in common.
fn readers(options: &SqliteConnectOptions) -> SqlitePoolOptions {
    let file = options.get_filename().to_owned();
    let watched = Watched::new(&file);
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        // A file does not hang up.
        .test_before_acquire(false)
        // But another one may be put in its place.
        .before_acquire(move |_, meta| {
            let is_current = watched.is_current(&file, meta.age);
            Box::pin(async move { Ok(is_current) })
        })
}

fn name(options: &SqliteConnectOptions) -> String {
    options.get_filename().display().to_string()
}

impl Append for SqliteStore {
    type Appender = SqliteAppender;

    async fn connect(&self) -> Result<SqliteAppender, StoreError> {
        // A file that has gone is not made anew: it would be empty, and nobody would notice.
        let options = if self.keeps_commits.load(Ordering::Relaxed) {
            location::writing_through(&self.options)
        } else {
            location::writing(&self.options)
        };
        let options = options.create_if_missing(false);
        let (connection, identity) = identity::connect(&options).await?;
        let file = options.get_filename().to_owned();
        Ok(SqliteAppender::new(connection, (file, identity), Arc::clone(&self.clock)))
    }

    fn keep_commits(&self) {
        self.keeps_commits.store(true, Ordering::Relaxed);
    }

    fn reader(&self) -> Option<AnyStore> {
        Some(AnyStore::new(self.clone()))
    }
}

impl Maintain for SqliteStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = location::writing(&self.options)
            .connect()
            .await
            .map_err(|error| open_error(&self.options, error))?;
        migrations::migrate(&mut connection, &name(&self.options)).await?;
        connection.close().await.map_err(|error| open_error(&self.options, error))
    }

    async fn storage(&self) -> Result<Storage, StoreError> {
        let failed = |error| store_error("measure the store", error);
        let row = sqlx::query(AssertSqlSafe(format!(
            "{STREAMS} SELECT (SELECT coalesce(sum(last_seq), 0) FROM streams), \
               (SELECT page_count FROM pragma_page_count) * \
               (SELECT page_size FROM pragma_page_size), \
               (SELECT min(occurred_at) FROM activity_records), \
               (SELECT max(occurred_at) FROM activity_records), \
               (SELECT freelist_count FROM pragma_freelist_count) * \
               (SELECT page_size FROM pragma_page_size)"
        )))
        .fetch_one(&self.pool)
        .await
        .map_err(failed)?;
        let time = |index: usize| {
            row.try_get::<Option<i64>, _>(index).map(|at| at.map(Timestamp::from_micros))
        };
        let storage = || {
            Ok(Storage {
                rows: row.try_get(0)?,
                bytes: row.try_get(1)?,
                used: row.try_get::<i64, _>(1)? - row.try_get::<i64, _>(4)?,
                oldest: time(2)?,
                newest: time(3)?,
            })
        };
        storage().map_err(failed)
    }

    async fn streams(&self) -> Result<Vec<StreamPosition>, StoreError> {
        let failed = |error| store_error("read the streams", error);
        let rows = sqlx::query(AssertSqlSafe(format!(
            "{STREAMS} SELECT writer_id, last_seq FROM streams ORDER BY writer_id"
        )))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter()
            .map(|row| {
                Ok(StreamPosition {
                    writer_id: WriterId::new(row.try_get(0)?),
                    last_seq: row.try_get(1)?,
                })
            })
            .collect::<Result<_, _>>()
            .map_err(failed)
    }

    async fn completeness(
        &self,
        request: &CompletenessRequest,
    ) -> Result<Completeness, StoreError> {
        self.ask_completeness(request).await
    }

    async fn fold(&self, entries: usize) -> Result<Folded, StoreError> {
        let rollups = self.fold_rollups(entries).await?;
        Ok(match self.fold_words(entries).await? {
            None => rollups,
            Some((position, led)) => Folded {
                position: rollups.position.min(position),
                led: rollups.led && led,
                ..rollups
            },
        })
    }

    async fn make_index(&self, index: Index) -> Result<(), StoreError> {
        match index {
            Index::Text => self.make_text_index().await,
            Index::Metadata => Err(StoreError::new(
                StoreErrorKind::Configuration,
                "make the index metadata: SQLite has none over keys and values; questions about them \
                 read the records in the range of time, and `text` finds the words in them",
            )),
        }
    }

    async fn indexes(&self) -> Result<Vec<Index>, StoreError> {
        let text = self.fold_stands(super::words::NAME).await?;
        Ok(text.map(|_| Index::Text).into_iter().collect())
    }
}
