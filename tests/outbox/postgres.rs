//! Postgres, and PgBouncer before it.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::sync::watch;
use tower_activity::{
    Filter, Keys, Pipeline,
    pipeline::ErasureRequest,
    store::{
        Erase as _, Outbox as _,
        postgres::{PostgresOutbox, PostgresStore},
    },
};

use crate::{
    Log,
    server::{Bouncer, Database},
};

#[path = "cases/mod.rs"]
mod cases;

type Pool = PgPool;

const OUTBOX: &str = "activity.outbox";
const STREAM: &str = "activity.outbox_stream";
/// A moment that no lease reaches to, in SQL.
const FAR: &str = "'3000-01-01T00:00:00Z'";

/// An application with a database and a log.
struct App {
    pool: Pool,
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
    let pipelines = cases::started(&app, 3).await;
    cases::workers::each_record_is_moved_once(&app, pipelines, 120).await;
}

/// A batch that was looked at before somebody was on the list, and is stored after the log was searched for him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_waits_for_what_is_on_its_way_from_an_outbox() {
    let app = App::new(Log::Elsewhere).await;
    let builder = Pipeline::builder(app.log.clone()).keys(Keys::ephemeral());
    let pipeline = builder.outbox(app.outbox()).start().await.unwrap();
    pipeline.flush().await;
    let mut elsewhere =
        PgConnection::connect(&app.elsewhere.as_ref().unwrap().url()).await.unwrap();
    let mut held = elsewhere.begin().await.unwrap();
    sqlx::raw_sql("lock table activity.ledger_entries in share mode")
        .execute(&mut *held)
        .await
        .unwrap();
    let mut transaction = app.pool.begin().await.unwrap();
    pipeline.recorder().record_in(&mut transaction, cases::created(1)).await.unwrap();
    transaction.commit().await.unwrap();
    // Of this database: others are copies, whose tables have the same numbers.
    let is_held = "select count(*) from pg_locks l join pg_database d on d.oid = l.database \
                   where not l.granted and l.relation = 'activity.ledger_entries'::regclass \
                       and d.datname = current_database()";
    cases::within(async {
        while sqlx::query_scalar::<_, i64>(is_held).fetch_one(&mut *held).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (request, eraser) =
        (ErasureRequest::new("ana", "a request").alone(), pipeline.eraser().unwrap());
    let mut erasing = std::pin::pin!(eraser.erase(&request, |_step| {}));
    let is_listed = async {
        while app.log.erased_subjects(0, 1).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = &mut erasing => panic!("it did not wait: {ended:?}"),
        () = cases::within(is_listed) => {}
    }
    // It does not search while the batch is on its way. Time for whoever did is all that this is: what waits goes on waiting.
    let ended = tokio::time::timeout(Duration::from_millis(500), &mut erasing).await;
    assert!(ended.is_err(), "{ended:?}");
    held.rollback().await.unwrap();
    let certificate = cases::within(erasing).await.unwrap();
    assert_eq!(certificate.records, 1, "{certificate:?}");
    cases::within(pipeline.flush()).await;
    let records = cases::all(&app.log).await;
    assert!(records.iter().all(|record| record.actor_id != "ana"), "{records:?}");
    cases::stop(vec![pipeline]).await;
}

/// Connections that end at any moment, of workers and of whoever records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_at_any_moment_cost_nothing_but_time() {
    /// So many orders or records go by between one end of all connections and the next.
    const BETWEEN: usize = 7;
    let app = App::new(Log::Elsewhere).await;
    let pipelines = cases::started(&app, 2).await;
    // They end beside whatever goes on then, and as often as it goes on: never so often that nothing does.
    let (progress, mut goes_on) = watch::channel(0);
    let names = [&app.database, app.elsewhere.as_ref().unwrap()].map(|d| format!("'{}'", d.name()));
    let sql = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname in ({})",
        names.join(", ")
    );
    let admin = app.database.admin().to_owned();
    let ends = tokio::spawn(async move {
        let mut ends = 0;
        while goes_on.wait_for(|progress| *progress >= ends * BETWEEN).await.is_ok() {
            crate::server::execute(&admin, &sql).await;
            ends += 1;
        }
        ends
    });
    for pipeline in &pipelines {
        let (mut moved, progress) = (pipeline.subscribe(Filter::new()), progress.clone());
        tokio::spawn(async move {
            while moved.next().await.is_some() {
                progress.send_modify(|progress| *progress += 1);
            }
        });
    }
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
        progress.send_modify(|progress| *progress += 1);
    }
    cases::flush(&pipelines).await;
    cases::stop(pipelines).await;
    // Nobody ends the connections of whoever looks.
    drop(progress);
    let ends = cases::within(ends).await.unwrap();
    let there = cases::orders(&app.log).await;
    assert!(committed.len() > 50, "only {} were committed", committed.len());
    assert!(committed.iter().all(|order| there.contains(order)), "{committed:?} in {there:?}");
    cases::assert_each_once(&app.log, &there).await;
    assert!(ends > (150 + there.len()) / BETWEEN / 2, "only {ends} times");
}
