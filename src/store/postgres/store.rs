//! The store: a pool for reading, and what it takes to open connections for writing.

use std::{fmt, future::Future, io, str::FromStr as _, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres,
    Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    error::{classify, timed_out},
    literal::text_literal,
    migrations,
    months::Memory,
    words,
};
use crate::store::{Maintain as _, StoreError, StoreErrorKind};

/// Connections that a store opened from a URL keeps for reading.
const READ_CONNECTIONS: u32 = 8;

/// How long a connection that nobody uses counts as alive.
const TRUSTED: Duration = Duration::from_millis(100);

/// Longer than any tenant of a record.
const NOBODY: usize = 512;

const NO_TENANT: &str = "; select set_config('activity.tenant', '', true)";

/// A log in Postgres. Clones share their connections.
///
/// Opening a store keeps up to eight connections for reading, made when first needed; the writer has one
/// of its own.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_activity::{pipeline::Pipeline, store::postgres::PostgresStore};
///
/// let store = PostgresStore::open("postgres://shop@localhost/activity").await?;
/// let pipeline = Pipeline::builder(store).start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    /// For the writer, whose connection is its own.
    options: Arc<PgConnectOptions>,
    deadline: Duration,
    /// So many rows, where every question that no index answers is to be asked in windows from the start.
    window: Option<usize>,
    /// The only tenant that questions are about.
    tenant: Option<Arc<str>>,
    /// Shared by all clones.
    memory: Arc<Memory>,
}

impl PostgresStore {
    /// How long one call may take before the database counts as failed.
    ///
    /// An append of 5,000 rows takes tens of milliseconds; a checkpoint of the server, a second or two.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

    /// Connects to the database at `url` (`postgres://user:password@host/database`) and brings its
    /// schema to this build's version.
    ///
    /// # Errors
    ///
    /// When the URL is malformed, the database cannot be reached, or its schema is newer than this build.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let store = Self::at(url)?;
        store.migrate().await.map_err(|error| words::opening(error, &store.options))?;
        Ok(store)
    }

    /// Connects to a log that is there already, for reading: migrates nothing, and needs no more than the
    /// rights of `activity_reader`.
    ///
    /// # Errors
    ///
    /// When the URL is malformed, the database cannot be reached or holds no log, or the log's schema is of
    /// another version than this build. The message says what to do.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        let store = Self::at(url)?;
        // Not through the pool, which says of a server that is away only that its time was up.
        let opening = store.bounded("open the log", async {
            let mut connection = store.dial().await?;
            migrations::expect_current(&mut connection).await?;
            Ok(connection.close().await?)
        });
        opening.await.map_err(|error| words::opening(error, &store.options))?;
        Ok(store)
    }

    fn at(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|source| classify(source, "read the address of the database"))?
            .application_name("tower-activity");
        let pool = PgPoolOptions::new()
            .max_connections(READ_CONNECTIONS)
            .acquire_timeout(Self::DEFAULT_DEADLINE)
            // A connection is looked at when it comes back; whether it is still there a moment later need
            // not be asked by a round trip of its own.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(
                    async move { Ok(meta.idle_for < TRUSTED || connection.ping().await.is_ok()) },
                )
            })
            .connect_lazy_with(writable(&options));
        Ok(Self::from_pool(pool))
    }

    /// Uses the application's own pool for reading, and its options for the writer's connection.
    ///
    /// Connects and migrates nothing: see [`Maintain::migrate`](crate::store::Maintain::migrate).
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        let options = Arc::new(writable(&pool.connect_options()));
        Self {
            pool,
            options,
            deadline: Self::DEFAULT_DEADLINE,
            window: None,
            tenant: None,
            memory: Arc::default(),
        }
    }

    /// Sets how long one call may take. Defaults to 10 s.
    ///
    /// The server gets the same limit for each statement, and half of it for each wait for a lock.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Holds every question of this store to one tenant: each of its transactions names the tenant, and,
    /// where the database keeps tenants apart ([`keep_tenants`](Self::keep_tenants)), has no more than the
    /// rights of `activity_reader`, so that no question can be answered with another's rows.
    ///
    /// Where it does not, the filter of a question says what is asked for, as ever. What is not a question
    /// (appends, folds, keys) is not held.
    #[must_use]
    pub fn held_to(mut self, tenant: &str) -> Self {
        // No record has a tenant of that name: an empty one would stand for none, and NUL is in no text.
        let is_name = !tenant.is_empty() && !tenant.contains('\0');
        self.tenant = Some(if is_name { tenant.into() } else { "-".repeat(NOBODY).into() });
        self
    }

    pub(super) const fn is_held(&self) -> bool {
        self.tenant.is_some()
    }

    /// Asks what no index answers in windows of so many rows from the start, for tests of what takes long.
    #[doc(hidden)]
    #[must_use]
    pub const fn in_windows(mut self, rows: usize) -> Self {
        self.window = Some(rows);
        self
    }

    pub(super) const fn window_rows(&self) -> Option<usize> {
        self.window
    }

    /// Opens a connection of one's own, outside of the pool: what goes wrong is then known at once, where
    /// a pool tries again until its time is up and says only that.
    pub(super) async fn dial(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = PgConnection::connect_with(&self.options);
        // A host that answers nothing is found out before a call's own, perhaps longer, limit.
        match tokio::time::timeout(self.deadline, connecting).await {
            Ok(connected) => connected,
            Err(_elapsed) => {
                let why = format!("no answer within {:?}", self.deadline);
                Err(io::Error::new(io::ErrorKind::TimedOut, why).into())
            }
        }
    }

    pub(super) const fn limits(&self) -> Limits {
        Limits(self.deadline)
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Begins a transaction that only reads, under the limits.
    ///
    /// Also for a single statement: outside of a transaction PgBouncer may parse a statement on one
    /// server and run it on another.
    pub(super) async fn reading(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let begin = self.asking(Access::ReadOnly);
        self.pool.begin_with(AssertSqlSafe(begin)).await
    }

    /// Takes a connection for questions that are a whole transaction each.
    pub(super) async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.pool.acquire().await
    }

    /// Begins one whose statements may take no longer than `limit` each.
    pub(super) async fn reading_within(
        &self,
        limit: Duration,
    ) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut begin = self.asking(Access::ReadOnly);
        begin.push_str("; ");
        begin.push_str(&statement_limit(limit));
        self.pool.begin_with(AssertSqlSafe(begin)).await
    }

    /// Begins a transaction that reads everything as it is at one moment, under the limits.
    pub(super) async fn at_one_moment(
        &self,
    ) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let begin = self.asking(Access::AtOneMoment);
        self.pool.begin_with(AssertSqlSafe(begin)).await
    }

    /// Begins a transaction that changes something beside the log, under the limits.
    pub(super) async fn writing(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut begin = self.limits().begin(Access::AsAllowed);
        begin.push_str(NO_TENANT);
        self.pool.begin_with(AssertSqlSafe(begin)).await
    }

    /// Returns the statements that begin a question. Each says whose records it is about, for itself alone:
    /// what somebody left behind on a connection of the pool, or of PgBouncer's, counts for nothing.
    fn asking(&self, access: Access) -> String {
        let mut begin = self.limits().begin(access);
        self.name_tenant(&mut begin);
        begin
    }

    /// As [`asking`](Self::asking), for statements that follow in the same message, which is a transaction without a
    /// BEGIN: where one of them fails, the server has ended it.
    pub(super) fn asking_at_once(&self) -> String {
        let mut begin = self.limits().at_once();
        self.name_tenant(&mut begin);
        begin
    }

    fn name_tenant(&self, begin: &mut String) {
        match &self.tenant {
            None => begin.push_str(NO_TENANT),
            Some(tenant) => {
                begin.push_str("; select activity.bind(");
                begin.push_str(&text_literal(tenant));
                begin.push(')');
            }
        }
    }

    /// Runs `call` under the deadline, and sorts its error; `doing` as in "append a batch".
    pub(super) async fn bounded<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        self.limits().bounded(doing, call).await
    }
}

impl fmt::Debug for PostgresStore {
    /// Leaves out the options: they hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("host", &self.options.get_host())
            .field("database", &self.options.get_database())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Leaves out what PgBouncer refuses at the start of a session, and keeps the log's statements out of the
/// application's own diagnostics.
fn writable(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().extra_float_digits(None).statement_cache_capacity(0).disable_statement_logging()
}

/// Returns the statement that sets how long those after it in a transaction may take.
pub(super) fn statement_limit(limit: Duration) -> String {
    format!("set local statement_timeout = {}", limit.as_millis().max(1))
}

/// Ends a transaction that only read. Nobody waits for it: the connection does it on its way back to the
/// pool.
pub(super) fn done(transaction: Transaction<'static, Postgres>) {
    drop(transaction);
}

/// What a transaction may do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    /// Whatever the server allows. Not READ WRITE: a server that somebody made read-only stays so, and
    /// one that became a replica says so in the way that we know it by.
    AsAllowed,
    ReadOnly,
    /// Reading alone, each statement seeing what the first one saw.
    AtOneMoment,
}

/// How long the server, and we, wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits(Duration);

impl Limits {
    /// For bringing the schema to this build's version, which may include waiting for another process
    /// that does the same.
    pub(super) const MIGRATION: Self = Self(Duration::from_secs(300));

    /// For making an index over leaves that are full.
    pub(super) const INDEX: Self = Self(Duration::from_secs(6 * 3_600));

    /// Returns how long a call may take.
    pub(super) const fn time(self) -> Duration {
        self.0
    }

    /// Returns limits that leave a call at least so much time.
    pub(super) fn at_least(self, time: Duration) -> Self {
        Self(self.0.max(time))
    }

    /// Returns the statements that begin a transaction under these limits.
    pub(super) fn begin(self, access: Access) -> String {
        let access = match access {
            Access::AsAllowed => "read committed",
            Access::ReadOnly => "read committed read only",
            Access::AtOneMoment => "repeatable read read only",
        };
        format!("begin isolation level {access}; {}", self.settings())
    }

    /// Returns the statements that come first in a message which is a transaction by itself, and only reads.
    fn at_once(self) -> String {
        format!(
            "set transaction isolation level read committed read only; {}; \
             set local cursor_tuple_fraction = 1",
            self.settings()
        )
    }

    fn settings(self) -> String {
        let whole = self.0.as_millis().max(1);
        let lock = (self.0 / 2).as_millis().max(1);
        format!(
            "set local statement_timeout = {whole}; set local lock_timeout = {lock}; \
             set local idle_in_transaction_session_timeout = {whole}"
        )
    }

    pub(super) async fn bounded<T>(
        self,
        doing: &'static str,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.0, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Failure::Database(source))) => Err(classify(source, doing)),
            Ok(Err(Failure::Kind(kind, source))) => {
                let error = StoreError::new(kind, doing);
                Err(match source {
                    Some(source) => error.with_source(source),
                    None => error,
                })
            }
            Err(_elapsed) => Err(timed_out(doing, self.0)),
        }
    }
}

/// What went wrong inside a call: sorted by its SQLSTATE, or by us.
#[derive(Debug)]
pub(super) enum Failure {
    Database(sqlx::Error),
    Kind(StoreErrorKind, Option<Box<dyn std::error::Error + Send + Sync>>),
}

impl Failure {
    pub(super) fn new(
        kind: StoreErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Kind(kind, Some(source.into()))
    }
}

impl From<sqlx::Error> for Failure {
    fn from(source: sqlx::Error) -> Self {
        Self::Database(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_shown_of_a_store_holds_no_password() {
        let pool = PgPool::connect_lazy("postgres://ana:geheim@db.example/log").unwrap();
        let shown = format!("{:?}", PostgresStore::from_pool(pool));
        assert!(shown.contains("db.example") && !shown.contains("geheim"), "{shown}");
    }
}
