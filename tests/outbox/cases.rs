//! The cases, for whichever database `App` is in.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sqlx::Connection as _;
use tower_activity::{
    Pipeline, Record,
    pipeline::{Context, RecordInError, WriteInError},
    query::{Filter, PageRequest},
    record::{Actor, Origin},
    store::{MemoryStore, Outbox as _, Read},
};

use super::{App, OUTBOX, STREAM};
use crate::{
    BOTH, Log,
    kill::{DONE, Step, Trap, Trapped},
};

/// A record that can be told from others.
pub(super) fn created(order: i64) -> Record {
    Record::by(Actor::user("ana")).created("order", &order.to_string())
}

pub(super) async fn started(app: &App, count: usize) -> Vec<Pipeline> {
    let mut pipelines = Vec::new();
    for _ in 0..count {
        let builder = Pipeline::builder(app.log.clone()).outbox(app.outbox());
        let builder = builder.batch_age(Duration::from_millis(5)).batch_rows(50);
        pipelines.push(builder.start().await.unwrap());
    }
    pipelines
}

async fn start(app: &App) -> Pipeline {
    started(app, 1).await.remove(0)
}

pub(super) async fn flush(pipelines: &[Pipeline]) {
    for pipeline in pipelines {
        let flushed = tokio::time::timeout(Duration::from_secs(120), pipeline.flush()).await;
        flushed.expect("what is in the outbox comes into the log");
    }
}

pub(super) async fn stop(pipelines: Vec<Pipeline>) {
    for pipeline in pipelines {
        let report = pipeline.shutdown(Duration::from_secs(30)).await;
        assert_eq!((report.queued, report.dropped.total()), (0, 0), "{report}");
    }
}

/// Commits one order with its record.
async fn commit(app: &App, pipeline: &Pipeline, order: i64) {
    let mut transaction = app.pool.begin().await.unwrap();
    sqlx::query("INSERT INTO orders (id, state) VALUES ($1, 'new')")
        .bind(order)
        .execute(&mut *transaction)
        .await
        .unwrap();
    pipeline.recorder().record_in(&mut transaction, created(order)).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn all<S: Read>(log: &S) -> Vec<Record> {
    log.records(&Filter::new(), &PageRequest::newest(1_000_000)).await.unwrap().records
}

/// The orders whose creation is in the log, in no order.
pub(super) async fn orders<S: Read>(log: &S) -> Vec<i64> {
    let records = all(log).await;
    let orders = records.iter().filter(|record| record.action == "create");
    orders.map(|record| record.entity_id.parse().unwrap()).collect()
}

/// Asserts that these orders are in the log once each, and that its streams are whole.
pub(super) async fn assert_each_once<S: Read>(log: &S, expected: &[i64]) {
    let mut there = orders(log).await;
    there.sort_unstable();
    let expected: BTreeSet<i64> = expected.iter().copied().collect();
    assert!(there.iter().eq(expected.iter()), "{there:?} instead of {expected:?}");
    let entries = log.entries(0, 1_000_000).await.unwrap();
    assert!(entries.iter().map(|entry| entry.position).eq(1..=entries.len() as i64));
    let mut stands: BTreeMap<_, i64> = BTreeMap::new();
    for entry in &entries {
        let last = stands.entry(entry.new.writer_id).or_default();
        assert_eq!(entry.new.first_seq, *last + 1, "{}", entry.new.writer_id);
        *last = entry.new.last_seq;
    }
}

async fn waiting(app: &App) -> i64 {
    app.number(&format!("SELECT count(*) FROM {OUTBOX}")).await
}

/// What a lease does when nobody renews it.
async fn let_the_lease_pass(app: &App) {
    app.execute(&format!("UPDATE {STREAM} SET holder = NULL, held_until = NULL")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_exists_if_and_only_if_the_transaction_commits() {
    for log in BOTH {
        let app = App::new(log).await;
        let pipeline = start(&app).await;
        let recorder = pipeline.recorder();
        commit(&app, &pipeline, 1).await;

        let mut rolled_back = app.pool.begin().await.unwrap();
        recorder.record_in(&mut rolled_back, created(2)).await.unwrap();
        rolled_back.rollback().await.unwrap();

        let mut dropped = app.pool.begin().await.unwrap();
        recorder.record_in(&mut dropped, created(3)).await.unwrap();
        drop(dropped);

        let mut outer = app.pool.begin().await.unwrap();
        recorder.record_in(&mut outer, created(4)).await.unwrap();
        let mut inner = outer.begin().await.unwrap();
        recorder.record_in(&mut inner, created(5)).await.unwrap();
        inner.rollback().await.unwrap();
        let mut inner = outer.begin().await.unwrap();
        recorder.record_in(&mut inner, created(6)).await.unwrap();
        inner.commit().await.unwrap();
        outer.commit().await.unwrap();

        // On a connection in no transaction a statement is its own.
        let mut connection = app.pool.acquire().await.unwrap();
        recorder.record_in(&mut *connection, created(7)).await.unwrap();
        drop(connection);

        pipeline.flush().await;
        assert_each_once(&app.log, &[1, 4, 6, 7]).await;
        assert_eq!(waiting(&app).await, 0);
        let tally = pipeline.outbox_tally().unwrap();
        assert_eq!((tally.recorded, tally.stored, tally.pending), (7, 4, 0));
        // What the recorders were given is counted apart.
        assert_eq!(pipeline.tally().received, 0);
        stop(vec![pipeline]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_in_the_log_before_the_commit() {
    let app = App::new(Log::Elsewhere).await;
    let pipeline = start(&app).await;
    let mut transaction = app.pool.begin().await.unwrap();
    pipeline.recorder().record_in(&mut transaction, created(1)).await.unwrap();
    pipeline.flush().await;
    assert_each_once(&app.log, &[]).await;
    transaction.commit().await.unwrap();
    // Nobody asks for it: the worker looks by itself.
    while orders(&app.log).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop(vec![pipeline]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_is_prepared_like_every_other_and_says_where_it_is_from() {
    let app = App::new(Log::Elsewhere).await;
    let log = app.log.clone();
    let builder = Pipeline::builder(log).outbox(app.outbox()).service("shop");
    let pipeline = builder.start().await.unwrap();
    let context = Context::new().actor(Actor::system("billing")).tenant("acme").reason("dunning");
    let scoped = pipeline.recorder().scope(context);
    let mut record = Record::by(Actor::anonymous())
        .cancelled("order", " 55 ")
        .metadata(&serde_json::json!({"password": "hunter2", "note": "n".repeat(100_000)}));
    record.request_id.set("request-1");
    record.ip = Some("192.0.2.7".parse().unwrap());
    let mut transaction = app.pool.begin().await.unwrap();
    let id = scoped.record_in(&mut transaction, record).await.unwrap();
    transaction.commit().await.unwrap();
    pipeline.flush().await;

    let stored = app.log.record(id).await.unwrap().unwrap();
    assert_eq!(stored.origin, Origin::Transaction);
    assert_eq!((&*stored.entity_id, &*stored.request_id), ("55", "request-1"));
    assert_eq!((&*stored.actor_id, &*stored.tenant_id), ("billing", "acme"));
    assert_eq!((&*stored.reason, &*stored.service), ("dunning", "shop"));
    assert_eq!(stored.ip, Some("192.0.2.7".parse().unwrap()));
    assert!(!stored.metadata.as_str().contains("hunter2"), "{}", stored.metadata.as_str());
    assert!(stored.truncated.as_str().contains("metadata"));
    assert_eq!(stored.retention_class, "activity");
    assert!(stored.recorded_at >= stored.occurred_at);
    stop(vec![pipeline]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_refused_before_the_commit() {
    let app = App::new(Log::Elsewhere).await;
    let without = Pipeline::builder(MemoryStore::new()).start().await.unwrap();
    let mut transaction = app.pool.begin().await.unwrap();
    let refused = without.recorder().record_in(&mut transaction, created(1)).await;
    assert!(matches!(refused, Err(RecordInError::NoOutbox(_))), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("PipelineBuilder::outbox"));

    let pipeline = start(&app).await;
    let recorder = pipeline.recorder();
    let nothing = Record::by(Actor::user("ana"));
    let refused = recorder.record_in(&mut transaction, nothing).await;
    assert!(matches!(refused, Err(RecordInError::Refused("action"))), "{refused:?}");
    let odd = BTreeMap::from([((1, 2), 3)]);
    let refused = recorder.change_in(&mut transaction, created(1), &odd, &odd).await;
    assert!(matches!(refused, Err(RecordInError::State(_))), "{refused:?}");
    // None of them has touched the transaction.
    recorder.record_in(&mut transaction, created(2)).await.unwrap();
    transaction.commit().await.unwrap();
    pipeline.flush().await;
    assert_each_once(&app.log, &[2]).await;

    app.execute(&format!("DROP TABLE {OUTBOX}")).await;
    let mut transaction = app.pool.begin().await.unwrap();
    let refused = recorder.record_in(&mut transaction, created(3)).await;
    assert!(matches!(refused, Err(RecordInError::Store(_))), "{refused:?}");
    drop(transaction);
    stop(vec![without]).await;
    pipeline.shutdown(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_recorded_with_the_fields_that_differ() {
    let app = App::new(Log::Elsewhere).await;
    let pipeline = start(&app).await;
    let recorder = pipeline.recorder();
    let state = |state: &str| serde_json::json!({"id": 55, "state": state});
    let record = || Record::by("ana").updated("order", "55");
    let mut transaction = app.pool.begin().await.unwrap();
    let id = recorder
        .change_in(&mut transaction, record(), &state("open"), &state("paid"))
        .await
        .unwrap()
        .unwrap();
    let same = recorder.change_in(&mut transaction, record(), &state("a"), &state("a")).await;
    assert_eq!(same.unwrap(), None);
    transaction.commit().await.unwrap();
    pipeline.flush().await;
    let stored = app.log.record(id).await.unwrap().unwrap();
    assert_eq!(
        stored.changes.as_str(),
        r#"[{"op":"replace","path":"/state","old":"open","new":"paid"}]"#
    );
    assert_eq!(pipeline.outbox_tally().unwrap().recorded, 1);
    stop(vec![pipeline]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_read_made_read_again_and_recorded() {
    let app = App::new(Log::Elsewhere).await;
    app.execute("INSERT INTO orders (id, state) VALUES (55, 'open'), (56, 'open')").await;
    let pipeline = start(&app).await;
    let (pool, recorder) = (app.pool.clone(), pipeline.recorder());
    let scope = recorder.scope(Context::new().correlation_id("r-1"));
    // In a task, as a handler is.
    let ids = tokio::spawn(async move {
        let mut ids = Vec::new();
        for (id, to) in [(55_i64, "paid"), (56, "open")] {
            let mut transaction = pool.begin().await.unwrap();
            let record = Record::by("ana").updated("order", &id.to_string());
            let mut reads = 0;
            let (rows, recorded) = scope
                .write_in(
                    &mut transaction,
                    record,
                    |transaction| {
                        reads += 1;
                        Box::pin(async move {
                            let state =
                                sqlx::query_scalar("SELECT state FROM orders WHERE id = $1");
                            let state: String =
                                state.bind(id).fetch_one(&mut **transaction).await?;
                            Ok::<_, sqlx::Error>(serde_json::json!({ "id": id, "state": state }))
                        })
                    },
                    |transaction| {
                        Box::pin(async move {
                            let update = sqlx::query("UPDATE orders SET state = $1 WHERE id = $2");
                            let done = update.bind(to).bind(id).execute(&mut **transaction).await?;
                            Ok(done.rows_affected())
                        })
                    },
                )
                .await
                .unwrap();
            assert_eq!((rows, reads), (1, 2));
            transaction.commit().await.unwrap();
            ids.push(recorded);
        }
        ids
    });
    let ids = ids.await.unwrap();
    assert_eq!(ids[1], None, "it made no difference");
    pipeline.flush().await;
    let stored = app.log.record(ids[0].unwrap()).await.unwrap().unwrap();
    let changes = r#"[{"op":"replace","path":"/state","old":"open","new":"paid"}]"#;
    assert_eq!((stored.changes.as_str(), stored.correlation_id.as_str()), (changes, "r-1"));
    assert_eq!(pipeline.outbox_tally().unwrap().recorded, 1);

    // What fails on the way is told, and leaves nothing once it is rolled back.
    let mut transaction = app.pool.begin().await.unwrap();
    let failed = pipeline
        .recorder()
        .write_in(
            &mut transaction,
            Record::by("ana").updated("order", "55"),
            |_| Box::pin(async { Ok::<_, sqlx::Error>(1) }),
            |transaction| {
                Box::pin(async move {
                    sqlx::query("UPDATE orders SET nothing = 1").execute(&mut **transaction).await
                })
            },
        )
        .await;
    assert!(matches!(failed, Err(WriteInError::Write(sqlx::Error::Database(_)))), "{failed:?}");
    drop(transaction);
    let mut transaction = app.pool.begin().await.unwrap();
    let mut state = 0;
    let failed = pipeline
        .recorder()
        .write_in(
            &mut transaction,
            Record::by("ana"),
            |_| {
                state += 1;
                let state = state;
                Box::pin(async move { Ok::<_, std::convert::Infallible>(state) })
            },
            |_| Box::pin(async { Ok(()) }),
        )
        .await;
    let refused = matches!(failed, Err(WriteInError::Record(RecordInError::Refused("action"))));
    assert!(refused, "{failed:?}");
    drop(transaction);
    assert_eq!(pipeline.outbox_tally().unwrap().recorded, 1);
    stop(vec![pipeline]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_transaction_stay_in_their_order() {
    let app = App::new(Log::Elsewhere).await;
    let pipeline = start(&app).await;
    for first in (0..120).step_by(40) {
        let mut transaction = app.pool.begin().await.unwrap();
        for order in first..first + 40 {
            let record = created(order);
            pipeline.recorder().record_in(&mut transaction, record).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
    pipeline.flush().await;
    let mut records = all(&app.log).await;
    records.retain(|record| record.action == "create");
    records.sort_by_key(|record| record.seq);
    let stream = records[0].writer_id;
    assert!(records.iter().all(|record| record.writer_id == stream));
    let in_order: Vec<i64> = records.iter().map(|r| r.entity_id.parse().unwrap()).collect();
    assert!(in_order.iter().copied().eq(0..120), "{in_order:?}");
    assert!(records.iter().map(|record| record.seq).eq(1..=120));
    stop(vec![pipeline]).await;
}

/// Many transactions at once, a third of which roll back, before several workers.
pub(super) async fn workers_move_each_record_once(app: &App, workers: usize, transactions: i64) {
    let pipelines = started(app, workers).await;
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (pool, recorder) = (app.pool.clone(), pipelines[task % workers].recorder());
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
        workers_move_each_record_once(&App::new(log).await, 4, 200).await;
    }
}

/// Without the lease every worker does everything, at the same time: the log's position alone decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_effort_depends_on_the_lease() {
    let app = App::new(Log::Elsewhere).await;
    let breaking = tokio::spawn({
        let pool = app.pool.clone();
        async move {
            let sql = format!("UPDATE {STREAM} SET holder = NULL, held_until = NULL");
            loop {
                let sql = sqlx::AssertSqlSafe(sql.clone());
                sqlx::raw_sql(sql).execute(&pool).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    workers_move_each_record_once(&app, 4, 200).await;
    breaking.abort();
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
        recording.shutdown(Duration::from_secs(5)).await;
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
        pipeline.flush().await;
        assert_each_once(&app.log, &(0..order).collect::<Vec<_>>()).await;
        assert_eq!(waiting(&app).await, 0);
        stop(vec![pipeline]).await;
    }
}

/// Runs a worker on a runtime of its own, which ends at the step; false when the worker was done before.
async fn killed_at(app: &App, step: Step, passes: usize, polls: usize) -> bool {
    let trap = Trap::new(step, passes, polls);
    let log = Trapped { inner: app.log.clone(), trap: trap.clone() };
    let outbox = Trapped { inner: app.outbox(), trap: trap.clone() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let working = runtime.spawn(async move {
        let builder = Pipeline::builder(log).outbox(outbox).batch_rows(2);
        let pipeline = builder.start().await.unwrap();
        pipeline.flush().await;
    });
    let reached = tokio::select! {
        () = trap.reached() => true,
        _ = working => false,
    };
    runtime.shutdown_background();
    reached
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_moved_in_batches_of_bounded_size() {
    const ROWS: i64 = 10_000;
    let app = App::new(Log::Elsewhere).await;
    let recording = start(&app).await;
    recording.shutdown(Duration::from_secs(5)).await;
    for first in (0..ROWS).step_by(2_500) {
        let mut transaction = app.pool.begin().await.unwrap();
        for order in first..first + 2_500 {
            let record = created(order).describe(&"x".repeat(200));
            recording.recorder().record_in(&mut transaction, record).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
    assert_eq!(waiting(&app).await, ROWS);
    let builder = Pipeline::builder(app.log.clone()).outbox(app.outbox());
    // By rows, and by bytes: some 250 of these records.
    let pipeline = builder.batch_rows(500).batch_bytes(100_000).start().await.unwrap();
    pipeline.flush().await;
    assert_each_once(&app.log, &(0..ROWS).collect::<Vec<_>>()).await;
    let entries = app.log.entries(0, 1_000_000).await.unwrap();
    let largest = entries.iter().map(|entry| entry.new.count()).max().unwrap();
    assert!((100..450).contains(&largest), "{largest}");
    stop(vec![pipeline]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_becomes_a_stub_and_the_others_go_on() {
    let app = App::new(Log::Elsewhere).await;
    let recording = start(&app).await;
    recording.shutdown(Duration::from_secs(5)).await;
    for order in 0..10 {
        commit(&app, &recording, order).await;
    }
    // The version is right, and then it ends.
    let literal = if OUTBOX.contains('.') { "'\\x01'" } else { "x'01'" };
    app.execute(&format!("UPDATE {OUTBOX} SET payload = {literal} WHERE place = 4")).await;
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("quarantine.jsonl");
    let builder = Pipeline::builder(app.log.clone()).outbox(app.outbox()).quarantine(&kept);
    let pipeline = builder.start().await.unwrap();
    pipeline.flush().await;
    assert_each_once(&app.log, &[0, 1, 2, 4, 5, 6, 7, 8, 9]).await;
    let records = all(&app.log).await;
    let stub = records.iter().find(|record| record.action == "quarantined").unwrap();
    assert_eq!((stub.seq, &*stub.outcome_reason), (4, "quarantined"));
    let tally = pipeline.outbox_tally().unwrap();
    assert_eq!((tally.stored, tally.quarantined), (10, 1));
    let line = std::fs::read_to_string(&kept).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["bytes"], &line["seq"]), (&"01".into(), &4.into()));
    stop(vec![pipeline]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_a_later_version_waits_for_whoever_can_read_it() {
    let app = App::new(Log::Elsewhere).await;
    let recording = start(&app).await;
    recording.shutdown(Duration::from_secs(5)).await;
    commit(&app, &recording, 0).await;
    let literal = if OUTBOX.contains('.') { "'\\xff'" } else { "x'ff'" };
    app.execute(&format!("UPDATE {OUTBOX} SET payload = {literal}")).await;
    let pipeline = start(&app).await;
    let waited = tokio::time::timeout(Duration::from_secs(1), pipeline.flush()).await;
    assert!(waited.is_err());
    assert_eq!(waiting(&app).await, 1);
    while pipeline.outbox_tally().unwrap().pending == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(pipeline.outbox_tally().unwrap().oldest.is_some());
    stop(vec![pipeline]).await;
    assert_eq!(waiting(&app).await, 1);
}

/// The log was put back to a state before all of it: numbers that are gone cannot be sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_has_gone_back_gets_the_rest_under_another_stream() {
    let app = App::new(Log::Elsewhere).await;
    let first = start(&app).await;
    for order in 0..5 {
        commit(&app, &first, order).await;
    }
    first.flush().await;
    stop(vec![first]).await;
    let log = app.another_log().await;
    let builder = Pipeline::builder(log.clone()).outbox(app.outbox());
    let second = builder.start().await.unwrap();
    for order in 5..8 {
        commit(&app, &second, order).await;
    }
    second.flush().await;
    assert_each_once(&log, &[5, 6, 7]).await;
    let records = all(&log).await;
    let restored = records.iter().find(|record| record.action == "restored").unwrap();
    let facts: serde_json::Value = serde_json::from_str(restored.metadata.as_str()).unwrap();
    assert_eq!((&facts["committed_seq"], &facts["found_seq"]), (&5.into(), &0.into()));
    assert_eq!(restored.seq, 1);
    assert_eq!(second.tally().own, 2, "started, and restored");
    stop(vec![second]).await;
}

/// The application's database was put back: its next numbers are taken in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_that_has_gone_back_goes_on_under_another_stream() {
    let app = App::new(Log::Elsewhere).await;
    let pipeline = start(&app).await;
    for order in 0..5 {
        commit(&app, &pipeline, order).await;
    }
    pipeline.flush().await;
    app.execute(&format!("UPDATE {STREAM} SET next_seq = 3")).await;
    for order in 5..8 {
        commit(&app, &pipeline, order).await;
    }
    pipeline.flush().await;
    assert_each_once(&app.log, &(0..8).collect::<Vec<_>>()).await;
    assert!(all(&app.log).await.iter().any(|record| record.action == "restored"));
    stop(vec![pipeline]).await;
}

/// A row that somebody deleted by hand leaves a hole that says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_numbered_row_that_was_deleted_by_hand_is_told_of() {
    let app = App::new(Log::Elsewhere).await;
    let recording = start(&app).await;
    recording.shutdown(Duration::from_secs(5)).await;
    for order in 0..6 {
        commit(&app, &recording, order).await;
    }
    assert!(killed_at(&app, Step::Append, 0, 0).await);
    let_the_lease_pass(&app).await;
    app.execute(&format!("DELETE FROM {OUTBOX} WHERE seq = 2")).await;
    let pipeline = start(&app).await;
    pipeline.flush().await;
    assert_each_once(&app.log, &[0, 2, 3, 4, 5]).await;
    assert!(all(&app.log).await.iter().any(|record| record.action == "restored"));
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
    pipeline.flush().await;
    assert_each_once(&app.log, &[1, 2]).await;
    stop(vec![pipeline]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn making_the_outbox_is_safe_to_repeat_and_a_newer_one_is_refused() {
    let app = App::new(Log::There).await;
    let all_at_once: Vec<_> = (0..4)
        .map(|_| {
            let outbox = app.outbox();
            tokio::spawn(async move { outbox.migrate().await })
        })
        .collect();
    for one in all_at_once {
        one.await.unwrap().unwrap();
    }
    let migrations = OUTBOX.to_owned() + "_migrations";
    let newer = match OUTBOX.contains('.') {
        true => format!("INSERT INTO {migrations} (version, name) VALUES (99, 'x')"),
        false => {
            format!("INSERT INTO {migrations} (version, name, applied_at) VALUES (99, 'x', 0)")
        }
    };
    app.execute(&newer).await;
    assert!(app.outbox().migrate().await.is_err());
}

/// `cargo test --test outbox -- --ignored --nocapture costs`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn costs() {
    const ROUNDS: i64 = 400;
    let app = App::new(Log::Elsewhere).await;
    let pipeline = start(&app).await;
    for round in 0..4 {
        for with in [false, true] {
            let begun = std::time::Instant::now();
            for order in 0..ROUNDS {
                let mut transaction = app.pool.begin().await.unwrap();
                sqlx::query("INSERT INTO orders (id, state) VALUES ($1, 'new')")
                    .bind(order + ROUNDS * (round * 2 + i64::from(with)))
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                if with {
                    let record = created(order);
                    pipeline.recorder().record_in(&mut transaction, record).await.unwrap();
                }
                transaction.commit().await.unwrap();
            }
            let each = begun.elapsed() / u32::try_from(ROUNDS).unwrap();
            println!("{OUTBOX}: with record_in {with}: {each:?} per transaction");
        }
        pipeline.flush().await;
    }
    stop(vec![pipeline]).await;
}
