//! Each class of error, and every way in which the outcome of an append can be unknown.

use std::time::Duration;

use tower_activity::{
    store::{Maintain as _, Read as _, StoreErrorKind},
    time::{IdSource as _, RandomIds},
};

use crate::{
    SOON, numbered, numbers, quick,
    scripted::{Scripted, Step},
};

const TRANSIENT: StoreErrorKind = StoreErrorKind::Transient;

/// Sends a hundred records through a store that follows the script, and returns it once all of them are
/// stored exactly once and in order.
async fn survives(steps: Vec<Step>) -> Scripted {
    let store = Scripted::new(steps.clone());
    let pipeline = quick(store.clone()).batch_rows(10).start().await.unwrap();
    let recorder = pipeline.recorder();
    for n in 0..100 {
        assert!(recorder.record(numbered(n)).is_accepted());
    }
    let an_hour = Duration::from_secs(3_600);
    tokio::time::timeout(an_hour, pipeline.flush()).await.expect("the writer got stuck");
    assert_eq!(store.steps_left(), 0, "{steps:?}");
    let records = store.memory.all();
    assert_eq!(numbers(&records), (0..100).collect::<Vec<_>>(), "{steps:?}");
    let seqs: Vec<_> = records.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..=101).collect::<Vec<_>>(), "a `started` record, and then all: {steps:?}");
    let tally = pipeline.tally();
    assert_eq!((tally.received, tally.stored, tally.queued), (100, 100, 0), "{steps:?}");
    let report = pipeline.shutdown(SOON).await;
    assert_eq!((report.stored, report.dropped.total()), (100, 0), "{steps:?}");
    store
}

#[tokio::test(start_paused = true)]
async fn every_class_of_error_is_waited_out_and_nothing_is_lost() {
    for kind in [
        TRANSIENT,
        StoreErrorKind::StalePrimary,
        StoreErrorKind::Configuration,
        StoreErrorKind::Position { last_seq: 7 },
    ] {
        for times in [1, 2, 7] {
            survives(vec![Step::Fail(kind); times]).await;
            survives(vec![Step::NoConnection(kind); times]).await;
            survives(vec![Step::NoPosition(kind); times]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_stored_once() {
    for step in [
        Step::CommitThenFail(TRANSIENT),
        Step::CommitThenFail(StoreErrorKind::StalePrimary),
        Step::CommitThenHang,
    ] {
        survives(vec![step]).await;
        survives(vec![step, step, step]).await;
        survives(vec![step, Step::NoConnection(TRANSIENT), Step::NoPosition(TRANSIENT), step])
            .await;
        survives(vec![Step::Fail(TRANSIENT), step, Step::Hang, step]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_is_one_that_has_failed() {
    for step in [Step::Panic, Step::CommitThenPanic] {
        survives(vec![step, Step::Pass, step, step]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_never_used_again_after_an_error() {
    // The script asserts it; here is that each error has led to a new one.
    let store = survives(vec![Step::Fail(TRANSIENT), Step::Hang, Step::Fail(TRANSIENT)]).await;
    assert_eq!(store.connects(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_hung_store_is_given_up_after_the_deadline_of_the_call() {
    let store = Scripted::new([Step::Hang]);
    let pipeline =
        quick(store.clone()).call_deadline(Duration::from_secs(3)).start().await.unwrap();
    let begun = tokio::time::Instant::now();
    assert!(pipeline.recorder().record(numbered(1)).is_accepted());
    pipeline.flush().await;
    let waited = begun.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(4)).contains(&waited), "{waited:?}");
    assert_eq!(pipeline.tally().stored, 1);
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn bad_rows_become_stubs_and_the_rest_is_stored() {
    for count in [1, 10, 100] {
        let every = 500 / count;
        let store = Scripted::refusing(move |record| {
            record.entity_id.parse::<usize>().is_ok_and(|n| n % every == 3)
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("quarantine.jsonl");
        let pipeline = quick(store.clone()).quarantine(&file).start().await.unwrap();
        for n in 0..500 {
            assert!(pipeline.recorder().record(numbered(n)).is_accepted());
        }
        pipeline.flush().await;
        let records = store.memory.all();
        let seqs: Vec<_> = records.iter().map(|record| record.seq).collect();
        assert_eq!(seqs, (1..=501).collect::<Vec<_>>());
        let stubs = records.iter().filter(|record| record.outcome_reason == "quarantined");
        assert_eq!(stubs.count(), count);
        assert_eq!(numbers(&records).len(), 500 - count);
        let lines = std::fs::read_to_string(&file).unwrap();
        assert_eq!(lines.lines().count(), count);
        for line in lines.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let seq = line["record"]["seq"].as_i64().unwrap();
            let stub = &records[usize::try_from(seq - 1).unwrap()];
            assert_eq!(line["record"]["id"], stub.id.to_string());
            assert_eq!(stub.outcome_reason, "quarantined");
        }
        let report = pipeline.shutdown(SOON).await;
        assert_eq!((report.stored, report.quarantined), (500, u64::try_from(count).unwrap()));
        assert_eq!(report.dropped.total(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_reach_neither_the_store_nor_the_quarantine_file() {
    let store = Scripted::refusing(|record| {
        record.entity_id == "1" && !record.metadata.as_str().contains("quarantined")
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quarantine.jsonl");
    let pipeline = quick(store.clone()).quarantine(&file).start().await.unwrap();
    for n in [1, 2] {
        let secret = numbered(n)
            .metadata(&serde_json::json!({"note": "kept", "password": "hunter2"}))
            .describe("was password=hunter2 before");
        assert!(pipeline.recorder().record(secret).is_accepted());
    }
    pipeline.flush().await;
    let stored = serde_json::to_string(&store.memory.all()).unwrap();
    let aside = std::fs::read_to_string(&file).unwrap();
    for text in [&stored, &aside] {
        assert!(text.contains("kept") && text.contains("[REDACTED]"));
        assert!(!text.contains("hunter2"));
    }
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn a_stub_that_is_refused_too_is_held_and_not_discarded() {
    let store = Scripted::refusing(|record| record.action == "update");
    let pipeline = quick(store.clone()).start().await.unwrap();
    assert!(pipeline.recorder().record(numbered(1)).is_accepted());
    let flushed = tokio::time::timeout(Duration::from_secs(600), pipeline.flush()).await;
    assert!(flushed.is_err(), "its stub has the same action, which the store goes on refusing");
    let tally = pipeline.tally();
    assert_eq!((tally.queued, tally.quarantined, tally.dropped.total()), (1, 1, 0));
    assert!(store.appends() < 200, "waits between attempts");
    drop(pipeline);
}

/// An application may set ids, and may bring a source of them: neither can hold up everybody's records.
#[tokio::test(start_paused = true)]
async fn an_id_that_is_taken_costs_one_record_and_does_not_stop_the_writer() {
    let store = Scripted::new([]);
    let pipeline = quick(store.clone()).start().await.unwrap();
    let at = "2026-01-31T12:00:00Z".parse().unwrap();
    let id = tower_activity::record::RecordId::from_bytes(RandomIds.id(at));
    let twice = |n| {
        let mut record = numbered(n).occurred_at(at);
        record.id = id;
        record
    };
    for record in [twice(1), twice(2), numbered(3)] {
        assert!(pipeline.recorder().record(record).is_accepted());
    }
    let flushed = tokio::time::timeout(Duration::from_secs(600), pipeline.flush()).await;
    assert!(flushed.is_ok(), "the writer is held for ever by one id");
    let records = store.memory.all();
    assert_eq!(numbers(&records), [1, 3]);
    let stub = records.iter().find(|record| record.outcome_reason == "quarantined").unwrap();
    assert!(stub.id != id && stub.metadata.as_str().contains(&id.to_string()));
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.quarantined, tally.queued), (3, 1, 0));
    drop(pipeline);
}

/// The number of a stub says nothing about the stream that follows.
#[tokio::test(start_paused = true)]
async fn a_bad_row_of_a_new_stream_becomes_a_stub_too() {
    let store = Scripted::refusing(|record| {
        record.entity_id == "1" && record.outcome_reason != "quarantined"
    });
    let pipeline = quick(store.clone()).start().await.unwrap();
    assert!(pipeline.recorder().record(numbered(1)).is_accepted());
    pipeline.flush().await;
    assert_eq!(pipeline.tally().quarantined, 1);
    // The next stream begins with its `restored` record, so that the second one has number 2 again.
    store.go_back();
    assert!(pipeline.recorder().record(numbered(1)).is_accepted());
    let flushed = tokio::time::timeout(Duration::from_secs(600), pipeline.flush()).await;
    assert!(flushed.is_ok(), "taken for the stub that had its number");
    assert_eq!(pipeline.tally().quarantined, 2);
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_went_back_is_said_aloud_and_another_stream_goes_on() {
    let store = Scripted::new([]);
    let pipeline = quick(store.clone()).start().await.unwrap();
    let before = numbered(1);
    assert!(pipeline.recorder().record(before).is_accepted());
    pipeline.flush().await;
    // A restore: the same pipeline meets a store that knows nothing of its stream.
    store.go_back();
    assert!(pipeline.recorder().record(numbered(2)).is_accepted());
    pipeline.flush().await;
    let records = store.memory.all();
    let streams = store.memory.streams().await.unwrap();
    assert_eq!(streams.len(), 2, "the position in the first was lost, and it was left");
    let restored = records.iter().find(|record| record.action == "restored").unwrap();
    let metadata: serde_json::Value = serde_json::from_str(restored.metadata.as_str()).unwrap();
    assert_eq!(metadata["found_seq"], 0);
    assert_eq!(numbers(&records), [1, 2]);
    assert_eq!(pipeline.tally().queued, 0);
    // And so on: each loss opens one epoch, also when the answer to the append that opens it never comes.
    store.go_back();
    store.go_on_with([Step::CommitThenFail(TRANSIENT)]);
    assert!(pipeline.recorder().record(numbered(3)).is_accepted());
    pipeline.flush().await;
    assert!(pipeline.recorder().record(numbered(4)).is_accepted());
    pipeline.flush().await;
    let epochs: Vec<_> =
        store.memory.entries(0, 100).await.unwrap().iter().map(|entry| entry.epoch).collect();
    assert!(epochs.is_sorted() && epochs.first() == Some(&1), "{epochs:?}");
    assert_eq!(epochs.last(), Some(&3), "{epochs:?}");
    // That it was restored, and the record.
    assert_eq!(pipeline.tally().duplicates, 2);
    drop(pipeline);
}
