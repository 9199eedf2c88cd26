//! The outbox in a Postgres database of the application.

use std::{
    fmt,
    str::FromStr as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, Postgres, Row as _, Transaction,
    postgres::{PgConnectOptions, PgRow},
    query, raw_sql,
};

use super::{
    error::classify,
    literal::time_text,
    store::{Access, Failure, Limits, PostgresStore},
};
use crate::{
    record::{RecordId, WriterId},
    store::{
        Backlog, ClaimRows, ClaimedRows, Database, InTransaction, Look, NewRow, Outbox, OutboxRow,
        StoreError, StoreErrorKind, sealed::Sealed,
    },
    time::Timestamp,
};

/// The files of `migrations/postgres/outbox/`.
const MIGRATIONS: &[(i64, &str)] =
    &[(1, include_str!("../../../migrations/postgres/outbox/0001_outbox.sql"))];

const INSERT: &str = "insert into activity.outbox (record_id, leaf, added_at, payload) \
     values ($1::text::uuid, $2, $3::text::timestamptz, $4)";

/// The outbox of an application whose database is Postgres, 13 or later.
///
/// Its tables lie in the schema `activity` of that database, beside the log's own if that is there too.
/// The worker that moves its rows into the log has one connection of its own. PgBouncer in transaction mode
/// works.
///
/// ```no_run
/// # async fn example(app: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// use tower_activity::{Pipeline, PostgresStore, Record, store::{Outbox as _, postgres::PostgresOutbox}};
///
/// let outbox = PostgresOutbox::new(&app);
/// outbox.migrate().await?;
/// let log = PostgresStore::open("postgres://shop@localhost/activity").await?;
/// let pipeline = Pipeline::builder(log).outbox(outbox).start().await?;
///
/// let mut transaction = app.begin().await?;
/// sqlx::query("update orders set state = 'cancelled' where id = 55").execute(&mut *transaction).await?;
/// let record = Record::by("ana").cancelled("order", "55");
/// pipeline.recorder().record_in(&mut transaction, record).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresOutbox {
    store: PostgresStore,
    /// The worker's, while no call uses it. A call that ends early closes it.
    idle: Arc<Mutex<Option<PgConnection>>>,
}

impl PostgresOutbox {
    /// Uses the address and the login of the application's pool, over a connection of its own.
    #[must_use]
    pub fn new(pool: &PgPool) -> Self {
        Self { store: PostgresStore::from_pool(pool.clone()), idle: Arc::default() }
    }

    /// Uses the database at `url`, for whoever has no pool: connects with the first call.
    ///
    /// # Errors
    ///
    /// When the URL is malformed.
    pub fn at(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|source| classify(source, "read the address of the database"))?;
        Ok(Self::new(&PgPool::connect_lazy_with(options)))
    }

    /// Sets how long one call may take. Defaults to 10 s.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.store = self.store.with_deadline(deadline);
        self
    }

    /// Does `work` in one transaction on the worker's connection.
    async fn run<T>(
        &self,
        doing: &'static str,
        limits: Limits,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let call = async {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.store.dial().await?,
            };
            raw_sql(AssertSqlSafe(limits.begin(Access::AsAllowed)))
                .execute(&mut connection)
                .await?;
            let done = work(&mut connection).await?;
            raw_sql("commit").execute(&mut connection).await?;
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            Ok(done)
        };
        limits.bounded(doing, call).await
    }
}

impl fmt::Debug for PostgresOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresOutbox").field(&self.store).finish()
    }
}

impl Outbox for PostgresOutbox {
    const DATABASE: Database = Database::Postgres;

    async fn migrate(&self) -> Result<(), StoreError> {
        self.run("make the outbox", Limits::MIGRATION, migrate).await
    }

    async fn look(&self) -> Result<Look, StoreError> {
        // Also for one statement: see `PostgresStore::reading`.
        self.run("look into the outbox", self.store.limits(), async |connection| {
            let sql = "select s.writer_id, (select min(place) from activity.outbox), \
                (select max(place) from activity.outbox) from activity.outbox_stream s";
            let row = query(sql).persistent(false).fetch_one(connection).await?;
            let places: (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
            Ok(Look { writer_id: WriterId::new(row.try_get(0)?), places: places.0.zip(places.1) })
        })
        .await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.run("count what is in the outbox", self.store.limits(), async |connection| {
            let sql = "select count(*), (extract(epoch from min(added_at)) * 1000000)::bigint \
                from activity.outbox";
            let row = query(sql).persistent(false).fetch_one(connection).await?;
            let oldest: Option<i64> = row.try_get(1)?;
            Ok(Backlog {
                rows: row.try_get::<i64, _>(0)?.unsigned_abs(),
                oldest: oldest.map(Timestamp::from_micros),
            })
        })
        .await
    }

    async fn claim(&self, ask: ClaimRows) -> Result<ClaimedRows, StoreError> {
        let limits = self.store.limits();
        self.run("claim rows of the outbox", limits, async |connection| {
            claim(connection, ask).await
        })
        .await
    }

    async fn rename(
        &self,
        from: WriterId,
        to: WriterId,
        first: NewRow<'_>,
    ) -> Result<(), StoreError> {
        let limits = self.store.limits();
        self.run("rename the outbox's stream", limits, async |connection| {
            let sql = "update activity.outbox_stream set writer_id = $2, next_seq = 2 where writer_id = $1";
            let renamed = query(sql)
                .bind(from.get())
                .bind(to.get())
                .persistent(false)
                .execute(&mut *connection)
                .await?;
            if renamed.rows_affected() == 0 {
                return Ok(());
            }
            let sql = "update activity.outbox set seq = null, claimed_at = null where seq is not null";
            query(sql).persistent(false).execute(&mut *connection).await?;
            insert(connection, first).await?;
            let sql = "update activity.outbox set seq = 1, claimed_at = added_at \
                where record_id = $1::text::uuid";
            query(sql)
                .bind(first.record_id.to_string())
                .persistent(false)
                .execute(&mut *connection)
                .await?;
            Ok(())
        })
        .await
    }
}

async fn migrate(connection: &mut PgConnection) -> Result<(), Failure> {
    // Of the transaction, not of the session: PgBouncer would give the session to somebody else.
    raw_sql("select pg_advisory_xact_lock(5860226710480315985)").execute(&mut *connection).await?;
    let exists = "select to_regclass('activity.outbox_migrations') is not null";
    let row = raw_sql(exists).fetch_one(&mut *connection).await?;
    let applied = if row.try_get_unchecked::<bool, _>(0)? {
        let newest = "select coalesce(max(version), 0)::bigint from activity.outbox_migrations";
        let row = raw_sql(newest).fetch_one(&mut *connection).await?;
        row.try_get_unchecked::<i64, _>(0)?
    } else {
        0
    };
    let newest = MIGRATIONS.last().map_or(0, |(version, _)| *version);
    if applied > newest {
        return Err(Failure::new(
            StoreErrorKind::Configuration,
            format!("the outbox is of version {applied}, newer than this build's {newest}"),
        ));
    }
    for (version, sql) in MIGRATIONS {
        if *version > applied {
            raw_sql(*sql).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn claim(connection: &mut PgConnection, ask: ClaimRows) -> Result<ClaimedRows, Failure> {
    // A claim that a power cut takes back after the log has its rows would be a second life for them.
    let durable = "select set_config('synchronous_commit', 'on', true) \
        where current_setting('synchronous_commit') = 'off'";
    raw_sql(durable).execute(&mut *connection).await?;
    let millis = i64::try_from(ask.lease.as_millis()).unwrap_or(i64::MAX);
    // From here to the end of the transaction nobody else numbers. A lease that ends later than any that is taken
    // now was taken by a clock that was set back since.
    let sql = "select writer_id, next_seq, \
        coalesce(held_until > clock_timestamp() and holder <> $1 \
            and held_until <= clock_timestamp() + $2 * interval '1 millisecond', false) \
        from activity.outbox_stream for update";
    let row = query(sql)
        .bind(ask.worker)
        .bind(millis)
        .persistent(false)
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
    let delete = "delete from activity.outbox where seq <= $1";
    query(delete).bind(ask.position).persistent(false).execute(&mut *connection).await?;
    let mut rows = numbered(connection, ask).await?;
    if rows.is_empty() {
        let given = number(connection, ask, next).await?;
        if given > 0 {
            rows = numbered(connection, ask).await?;
        }
        let sql = "update activity.outbox_stream set next_seq = $1";
        query(sql).bind(next + given).persistent(false).execute(&mut *connection).await?;
    }
    let lease = if rows.is_empty() {
        "update activity.outbox_stream set holder = null, held_until = null where holder = $1 and $2 > 0"
    } else {
        "update activity.outbox_stream set holder = $1, \
         held_until = clock_timestamp() + $2 * interval '1 millisecond'"
    };
    query(lease).bind(ask.worker).bind(millis).persistent(false).execute(&mut *connection).await?;
    Ok(ClaimedRows::Yours(rows))
}

/// Gives numbers to the oldest rows without one, and returns to how many.
async fn number(connection: &mut PgConnection, ask: ClaimRows, next: i64) -> Result<i64, Failure> {
    let sql = "with oldest as materialized \
            (select place, leaf from activity.outbox where seq is null order by place limit $1), \
        ranked as (select place, row_number() over (order by leaf, place) as rank from oldest) \
        update activity.outbox o set seq = $2 + r.rank - 1, claimed_at = $3::text::timestamptz \
        from ranked r where o.place = r.place";
    let done = query(sql)
        .bind(i64::try_from(ask.rows).unwrap_or(i64::MAX))
        .bind(next)
        .bind(time_text(ask.now))
        .persistent(false)
        .execute(connection)
        .await?;
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}

/// Reads the next rows with a number: as many as fit, and one in any case.
async fn numbered(
    connection: &mut PgConnection,
    ask: ClaimRows,
) -> Result<Vec<OutboxRow>, Failure> {
    let sql = "select seq, record_id::text, (extract(epoch from claimed_at) * 1000000)::bigint, payload \
            from (select *, sum(octet_length(payload)) over (order by seq) as reached \
            from (select * from activity.outbox where seq > $1 order by seq limit $2) as next) as sized \
        where reached - octet_length(payload) < $3 order by seq";
    let rows = query(sql)
        .bind(ask.position)
        .bind(i64::try_from(ask.rows).unwrap_or(i64::MAX))
        .bind(i64::try_from(ask.bytes).unwrap_or(i64::MAX))
        .persistent(false)
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
}

fn row(row: &PgRow) -> Result<OutboxRow, sqlx::Error> {
    let record_id: &str = row.try_get(1)?;
    let record_id: RecordId =
        record_id.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
    Ok(OutboxRow {
        seq: row.try_get(0)?,
        record_id,
        claimed_at: Timestamp::from_micros(row.try_get(2)?),
        payload: row.try_get(3)?,
    })
}

async fn insert(connection: &mut PgConnection, row: NewRow<'_>) -> Result<(), sqlx::Error> {
    query(INSERT)
        .bind(row.record_id.to_string())
        .bind(row.leaf)
        .bind(time_text(row.added_at))
        .bind(row.payload)
        // The connection is the application's, and may go through PgBouncer, which gives a statement's name to
        // the next server connection without the statement.
        .persistent(false)
        .execute(connection)
        .await
        .map(drop)
}

impl Sealed for PgConnection {}

impl InTransaction for PgConnection {
    const DATABASE: Database = Database::Postgres;

    async fn put(&mut self, row: NewRow<'_>) -> Result<(), StoreError> {
        insert(self, row).await.map_err(|source| classify(source, "put a record into the outbox"))
    }
}

impl Sealed for Transaction<'_, Postgres> {}

impl InTransaction for Transaction<'_, Postgres> {
    const DATABASE: Database = Database::Postgres;

    async fn put(&mut self, row: NewRow<'_>) -> Result<(), StoreError> {
        (**self).put(row).await
    }
}
