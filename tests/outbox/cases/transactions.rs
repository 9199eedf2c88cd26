//! What a transaction records, and what it does not.

use std::{collections::BTreeMap, time::Duration};

use sqlx::Connection as _;
use tower_activity::{
    Keys, Pipeline, Record,
    pipeline::{Context, ErasureRequest, RecordInError, WriteInError},
    query::Filter,
    record::{Actor, Origin},
    store::{MemoryStore, Read as _},
};

use super::{App, OUTBOX, all, assert_each_once, commit, created, start, stop, waiting, within};
use crate::{BOTH, Log};

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

        within(pipeline.flush()).await;
        assert_each_once(&app.log, &[1, 4, 6, 7]).await;
        assert_eq!(waiting(&app).await, 0);
        let tally = pipeline.outbox_tally().unwrap();
        assert_eq!((tally.recorded, tally.stored, tally.pending), (7, 4, 0));
        // What the recorders were given is counted apart.
        assert_eq!(pipeline.tally().received, 0);
        stop(vec![pipeline]).await;
    }
}

/// What was in a transaction when she was erased comes after that, and nothing of it is left in either database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_was_erased_arrives_emptied() {
    for log in BOTH {
        let app = App::new(log).await;
        let builder = Pipeline::builder(app.log.clone()).keys(Keys::ephemeral());
        let pipeline = builder.outbox(app.outbox()).start().await.unwrap();
        let mut transaction = app.pool.begin().await.unwrap();
        let of_bob = Record::by(Actor::user("bob")).created("order", "2");
        for record in [created(1), of_bob] {
            pipeline.recorder().record_in(&mut transaction, record).await.unwrap();
        }
        // In SQLite, who writes to the same file waits for the other.
        transaction.commit().await.unwrap();
        let request = ErasureRequest::new("ana", "GDPR Art. 17(1)(b)").alone();
        let certificate = pipeline.eraser().unwrap().erase(&request, |_step| {}).await.unwrap();
        within(pipeline.flush()).await;
        assert_each_once(&app.log, &[1, 2]).await;
        assert_eq!(waiting(&app).await, 0);
        let outbox = certificate.places.iter().find(|place| place.place == "outbox").unwrap();
        assert!(outbox.reached);
        for record in all(&app.log).await {
            let text = serde_json::to_string(&record).unwrap();
            assert!(!text.contains("\"ana\""), "{text}");
        }
        // And what another process commits of the time before.
        let late = created(3).occurred_at(certificate.at);
        let mut transaction = app.pool.begin().await.unwrap();
        pipeline.recorder().record_in(&mut transaction, late).await.unwrap();
        transaction.commit().await.unwrap();
        within(pipeline.flush()).await;
        let records = all(&app.log).await;
        let late = records.iter().find(|record| record.entity_id == "3").unwrap();
        assert!(late.actor_id.is_absent() && late.redactions.as_str().contains("\"erased\""));
        stop(vec![pipeline]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_in_the_log_before_the_commit() {
    let app = App::new(Log::Elsewhere).await;
    let pipeline = start(&app).await;
    let mut transaction = app.pool.begin().await.unwrap();
    pipeline.recorder().record_in(&mut transaction, created(1)).await.unwrap();
    within(pipeline.flush()).await;
    assert_each_once(&app.log, &[]).await;
    let mut stored = pipeline.subscribe(Filter::new());
    transaction.commit().await.unwrap();
    // Nobody asks for it: the worker looks by itself.
    let moved = within(stored.next()).await.unwrap().unwrap();
    assert_eq!(moved.entity_id, "1");
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
    within(pipeline.flush()).await;

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
    within(pipeline.flush()).await;
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
    within(pipeline.flush()).await;
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
    within(pipeline.flush()).await;
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
    within(pipeline.flush()).await;
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
