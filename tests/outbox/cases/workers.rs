//! Workers: how many there are, and whenever one of them ends, each record is moved once.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;
use tower_activity::{
    Pipeline,
    record::WriterId,
    store::{
        Backlog, ClaimRows, ClaimedRows, Database, Look, NewRow, Outbox, Read as _, StoreError,
    },
};

use super::{
    App, FAR, LONG, Pool, STREAM, all, assert_each_once, commit, created, flush, killed_at,
    let_the_lease_pass, start, started, started_on, stop, waiting, within,
};
use crate::{
    BOTH, Log,
    kill::{DONE, Step},
};

/// Many transactions at once, a third of which roll back, before several workers.
pub(crate) async fn each_record_is_moved_once(
    app: &App,
    pipelines: Vec<Pipeline>,
    transactions: i64,
) {
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (pool, recorder) = (app.pool.clone(), pipelines[task % pipelines.len()].recorder());
            tokio::spawn(async move {
                let mut committed = Vec::new();
                for order in (task as i64..transactions).step_by(4) {
                    let mut transaction = pool.begin().await.unwrap();
                    for record in [order * 2, order * 2 + 1] {
                        recorder.record_in(&mut transaction, created(record)).await.unwrap();
                    }
                    if order % 3 == 0 {
                        transaction.rollback().await.unwrap();
                    } else {
                        transaction.commit().await.unwrap();
                        committed.extend([order * 2, order * 2 + 1]);
                    }
                }
                committed
            })
        })
        .collect();
    let mut expected = Vec::new();
    for task in tasks {
        expected.extend(task.await.unwrap());
    }
    flush(&pipelines).await;
    assert_each_once(&app.log, &expected).await;
    assert_eq!(waiting(app).await, 0);
    let records = all(&app.log).await;
    let streams: BTreeSet<_> =
        records.iter().filter(|r| r.action == "create").map(|r| r.writer_id).collect();
    assert_eq!(streams.len(), 1, "one outbox is one stream, however many work on it");
    stop(pipelines).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_move_each_record_once() {
    for log in BOTH {
        let app = App::new(log).await;
        let pipelines = started(&app, 4).await;
        each_record_is_moved_once(&app, pipelines, 200).await;
    }
}

/// Without the lease every worker does everything, at the same time: the log's position alone decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_effort_depends_on_the_lease() {
    let app = App::new(Log::Elsewhere).await;
    let outbox = || Leaseless { inner: app.outbox(), pool: app.pool.clone() };
    let pipelines = started_on(&app, outbox, 4).await;
    each_record_is_moved_once(&app, pipelines, 200).await;
}

/// An outbox whose lease has passed whenever somebody claims.
struct Leaseless<O> {
    inner: O,
    pool: Pool,
}

impl<O: Outbox> Outbox for Leaseless<O> {
    const DATABASE: Database = O::DATABASE;

    async fn migrate(&self) -> Result<(), StoreError> {
        self.inner.migrate().await
    }

    async fn look(&self) -> Result<Look, StoreError> {
        self.inner.look().await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.inner.backlog().await
    }

    async fn claim(&self, ask: ClaimRows) -> Result<ClaimedRows, StoreError> {
        let sql = format!("UPDATE {STREAM} SET holder = NULL, held_until = NULL");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
        self.inner.claim(ask).await
    }

    async fn rename(
        &self,
        from: WriterId,
        to: WriterId,
        first: NewRow<'_>,
    ) -> Result<(), StoreError> {
        self.inner.rename(from, to, first).await
    }
}

/// A machine boots a day ahead, a worker claims and dies, and the clock is put right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_a_clock_that_was_set_back_holds_nobody_up() {
    let app = App::new(Log::Elsewhere).await;
    let pipelines = started(&app, 1).await;
    app.execute(&format!("UPDATE {STREAM} SET holder = 1, held_until = {FAR}")).await;
    commit(&app, &pipelines[0], 0).await;
    flush(&pipelines).await;
    assert_eq!(waiting(&app).await, 0);
    stop(pipelines).await;
}

/// The worker is killed in the middle of each of its steps, and between each and its answer; then another one
/// goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_at_any_step_leaves_each_record_once() {
    for log in BOTH {
        let app = App::new(log).await;
        let recording = start(&app).await;
        // It only records: another one's lease is never up.
        app.execute(&format!("UPDATE {STREAM} SET holder = 1")).await;
        recording.shutdown(LONG).await;
        let (mut order, mut reached) = (0, 0);
        for step in [Step::Look, Step::Position, Step::Claim, Step::Append] {
            for passes in [0, 1] {
                for polls in [0, 1, 2, 3, 5, 8, DONE] {
                    for _ in 0..3 {
                        commit(&app, &recording, order).await;
                        order += 1;
                    }
                    reached += usize::from(killed_at(&app, step, passes, polls).await);
                    let_the_lease_pass(&app).await;
                }
            }
        }
        assert!(reached > 30, "only {reached} were killed at the step that was meant");
        let pipeline = start(&app).await;
        within(pipeline.flush()).await;
        assert_each_once(&app.log, &(0..order).collect::<Vec<_>>()).await;
        assert_eq!(waiting(&app).await, 0);
        stop(vec![pipeline]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_moved_in_batches_of_bounded_size() {
    const ROWS: i64 = 4_000;
    let app = App::new(Log::Elsewhere).await;
    let recording = start(&app).await;
    recording.shutdown(LONG).await;
    for first in (0..ROWS).step_by(1_000) {
        let mut transaction = app.pool.begin().await.unwrap();
        for order in first..first + 1_000 {
            let record = created(order).describe(&"x".repeat(200));
            recording.recorder().record_in(&mut transaction, record).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
    assert_eq!(waiting(&app).await, ROWS);
    let builder = Pipeline::builder(app.log.clone()).outbox(app.outbox());
    // By rows, and by bytes: some 250 of these records.
    let pipeline = builder.batch_rows(500).batch_bytes(100_000).start().await.unwrap();
    within(pipeline.flush()).await;
    assert_each_once(&app.log, &(0..ROWS).collect::<Vec<_>>()).await;
    let entries = app.log.entries(0, 1_000_000).await.unwrap();
    let largest = entries.iter().map(|entry| entry.new.count()).max().unwrap();
    assert!((100..450).contains(&largest), "{largest}");
    stop(vec![pipeline]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_at_the_end_is_moved_by_the_shutdown_or_by_the_next_process() {
    let app = App::new(Log::Elsewhere).await;
    let pipeline = start(&app).await;
    commit(&app, &pipeline, 1).await;
    let recorder = pipeline.recorder();
    stop(vec![pipeline]).await;
    assert_each_once(&app.log, &[1]).await;
    // The door of a pipeline that has ended is closed to all but transactions.
    let mut transaction = app.pool.begin().await.unwrap();
    recorder.record_in(&mut transaction, created(2)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(waiting(&app).await, 1);
    let pipeline = start(&app).await;
    within(pipeline.flush()).await;
    assert_each_once(&app.log, &[1, 2]).await;
    stop(vec![pipeline]).await;
}
