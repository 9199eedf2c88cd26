//! Postgres, and PgBouncer before it.

use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use tower_activity::store::{
    Outbox as _,
    postgres::{PostgresOutbox, PostgresStore},
};

use crate::{
    Log,
    server::{Bouncer, Database},
};

#[path = "cases.rs"]
mod cases;

const OUTBOX: &str = "activity.outbox";
const STREAM: &str = "activity.outbox_stream";

/// An application with a database and a log.
struct App {
    pool: PgPool,
    log: PostgresStore,
    database: Database,
    elsewhere: Option<Database>,
}

impl App {
    async fn new(log: Log) -> Self {
        let database = Database::new().await;
        let elsewhere = match log {
            Log::There => None,
            Log::Elsewhere => Some(Database::new().await),
        };
        let pool = PgPoolOptions::new().max_connections(8).connect(&database.url()).await.unwrap();
        // The outbox first: neither needs the other's schema.
        PostgresOutbox::new(&pool).migrate().await.unwrap();
        let log = elsewhere.as_ref().unwrap_or(&database).url();
        let log = PostgresStore::open(&log).await.unwrap();
        let app = Self { pool, log, database, elsewhere };
        app.execute("CREATE TABLE orders (id bigint PRIMARY KEY, state text NOT NULL)").await;
        app
    }

    fn outbox(&self) -> PostgresOutbox {
        PostgresOutbox::new(&self.pool)
    }

    /// Makes a log that knows nothing of what was.
    async fn another_log(&self) -> PostgresStore {
        // Within the test's own database, which goes with it.
        let database = self.elsewhere.as_ref().unwrap_or(&self.database);
        database.execute("drop schema if exists activity cascade").await;
        PostgresStore::open(&database.url()).await.unwrap()
    }

    async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        // Without a name: this goes through PgBouncer too.
        sqlx::query_scalar(sql).persistent(false).fetch_one(&self.pool).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_through_pgbouncer_in_transaction_mode() {
    let mut app = App::new(Log::There).await;
    let bouncer = Bouncer::before(&app.database).await;
    let options: sqlx::postgres::PgConnectOptions = bouncer.url().parse().unwrap();
    let options = options.extra_float_digits(None).statement_cache_capacity(0);
    app.pool = PgPoolOptions::new().max_connections(6).connect_with(options).await.unwrap();
    app.log = PostgresStore::open(bouncer.url()).await.unwrap();
    cases::workers_move_each_record_once(&app, 3, 120).await;
}

/// Connections that end at any moment, of workers and of whoever records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_at_any_moment_cost_nothing_but_time() {
    let app = App::new(Log::Elsewhere).await;
    let log = app.elsewhere.as_ref().unwrap();
    let end = tokio::spawn({
        let (admin, names) = (
            app.database.admin().to_owned(),
            format!("'{}', '{}'", app.database.name(), log.name()),
        );
        async move {
            loop {
                let sql = format!(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname in ({names})"
                );
                crate::server::execute(&admin, &sql).await;
                tokio::time::sleep(std::time::Duration::from_millis(130)).await;
            }
        }
    });
    let pipelines = cases::started(&app, 2).await;
    let mut committed = Vec::new();
    for order in 0..150_i64 {
        let done = async {
            let mut transaction = app.pool.begin().await.ok()?;
            let record = cases::created(order);
            pipelines[0].recorder().record_in(&mut transaction, record).await.ok()?;
            transaction.commit().await.ok()
        };
        // One whose commit was cut off may be there or not; those are left out of the count.
        if done.await.is_some() {
            committed.push(order);
        }
    }
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    end.abort();
    cases::flush(&pipelines).await;
    let there = cases::orders(&app.log).await;
    assert!(committed.len() > 50, "only {} were committed", committed.len());
    assert!(committed.iter().all(|order| there.contains(order)), "{committed:?} in {there:?}");
    cases::assert_each_once(&app.log, &there).await;
    cases::stop(pipelines).await;
}
