//! Rows that nobody can read, and databases that were put back or changed by hand.

use tower_activity::{Pipeline, store::Outbox as _};

use super::{
    App, LONG, OUTBOX, STREAM, all, assert_each_once, commit, killed_at, let_the_lease_pass, start,
    stop, waiting, within,
};
use crate::{
    Log,
    kill::{Step, Trap, Trapped},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_becomes_a_stub_and_the_others_go_on() {
    let app = App::new(Log::Elsewhere).await;
    let recording = start(&app).await;
    recording.shutdown(LONG).await;
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
    within(pipeline.flush()).await;
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
    recording.shutdown(LONG).await;
    commit(&app, &recording, 0).await;
    let literal = if OUTBOX.contains('.') { "'\\xff'" } else { "x'ff'" };
    app.execute(&format!("UPDATE {OUTBOX} SET payload = {literal}")).await;
    // It is counted, and then again: by then what was counted first is known.
    let trap = Trap::new(Step::Backlog, 1, 0);
    let outbox = Trapped { inner: app.outbox(), trap: trap.clone() };
    let pipeline = Pipeline::builder(app.log.clone()).outbox(outbox).start().await.unwrap();
    tokio::select! {
        () = pipeline.flush() => panic!("nobody could read it"),
        () = within(trap.reached()) => {}
    }
    assert_eq!(waiting(&app).await, 1);
    let tally = pipeline.outbox_tally().unwrap();
    assert!(tally.pending == 1 && tally.oldest.is_some(), "{tally:?}");
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
    within(first.flush()).await;
    stop(vec![first]).await;
    let log = app.another_log().await;
    let builder = Pipeline::builder(log.clone()).outbox(app.outbox());
    let second = builder.start().await.unwrap();
    for order in 5..8 {
        commit(&app, &second, order).await;
    }
    within(second.flush()).await;
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
    within(pipeline.flush()).await;
    app.execute(&format!("UPDATE {STREAM} SET next_seq = 3")).await;
    for order in 5..8 {
        commit(&app, &pipeline, order).await;
    }
    within(pipeline.flush()).await;
    assert_each_once(&app.log, &(0..8).collect::<Vec<_>>()).await;
    assert!(all(&app.log).await.iter().any(|record| record.action == "restored"));
    stop(vec![pipeline]).await;
}

/// A row that somebody deleted by hand leaves a hole that says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_numbered_row_that_was_deleted_by_hand_is_told_of() {
    let app = App::new(Log::Elsewhere).await;
    let recording = start(&app).await;
    recording.shutdown(LONG).await;
    for order in 0..6 {
        commit(&app, &recording, order).await;
    }
    assert!(killed_at(&app, Step::Append, 0, 0).await);
    let_the_lease_pass(&app).await;
    app.execute(&format!("DELETE FROM {OUTBOX} WHERE seq = 2")).await;
    let pipeline = start(&app).await;
    within(pipeline.flush()).await;
    assert_each_once(&app.log, &[0, 2, 3, 4, 5]).await;
    assert!(all(&app.log).await.iter().any(|record| record.action == "restored"));
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
