//! What a store says about the completeness of its streams, and what pipelines make of it.

use std::time::Duration;

use serde_json::{Value, json};
use tower_activity::{
    Filter,
    pipeline::{Pipeline, PipelineBuilder},
    record::{Actor, Category, Json, Origin, Outcome, Record, WriterId},
    store::{
        Append, Appender as _, Batch, Completeness, CompletenessRequest, Maintain, Read, StreamEnd,
        StreamReport,
    },
};

use crate::{
    records::{ordinary, salts, stream},
    suite::{self, Fixture, all, append},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A record that a pipeline makes about itself.
fn own(writer_id: i64, seq: i64, action: &str, metadata: &Value) -> Box<Record> {
    let mut record = ordinary(writer_id, seq);
    record.origin = Origin::System;
    record.category = Category::System;
    record.action.set(action);
    record.service.set("shop");
    record.metadata = Json::from_stored(metadata.to_string());
    if action == "gap" {
        record.outcome = Outcome::Failure;
        record.outcome_reason.set(metadata["reason"].as_str().unwrap());
    }
    record.seal(salts(seq));
    record
}

async fn put<S: Append>(store: &S, record: Box<Record>) {
    append(store, &[record]).await.unwrap();
}

fn of(found: &Completeness, writer_id: i64) -> &StreamReport {
    let mut streams = found.streams.iter();
    streams.find(|stream| stream.writer_id == WriterId::new(writer_id)).expect("the stream")
}

async fn newest<S: Maintain>(store: &S) -> Completeness {
    store.completeness(&CompletenessRequest::newest(100)).await.unwrap()
}

pub(crate) async fn the_first_batch_after_a_loss_opens_an_epoch_and_others_join_it<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let epochs = async || -> Vec<i64> {
        let entries = store.entries(0, 100).await.unwrap();
        entries.iter().map(|entry| entry.epoch).collect()
    };
    let after_loss = async |seen: i64, records: &[Box<Record>]| {
        let mut appender = store.connect().await.unwrap();
        appender.append(Batch::new(records).unwrap().after_loss(seen)).await
    };
    append(&store, &stream(1, 1..=2)).await.unwrap();
    // Two leaves: the batch opens one epoch, not two.
    let mut two = stream(2, 1..=2);
    two[1].retention_class.set("other");
    two[1].seal(salts(2));
    let appended = after_loss(1, &two).await.unwrap();
    assert_eq!(appended.entries.iter().map(|entry| entry.epoch).collect::<Vec<_>>(), [2, 2]);
    // Sent again, it is refused and opens nothing; nor does the connection remember.
    after_loss(1, &two).await.unwrap_err();
    append(&store, &stream(1, 3..=3)).await.unwrap();
    // Another writer that finds out about the same loss.
    after_loss(1, &stream(3, 1..=1)).await.unwrap();
    assert_eq!(epochs().await, [1, 2, 2, 2, 2]);
    // One that knows of no epoch, and one that has seen a newer ledger than this.
    after_loss(0, &stream(4, 1..=1)).await.unwrap();
    after_loss(7, &stream(5, 1..=1)).await.unwrap();
    append(&store, &stream(1, 4..=4)).await.unwrap();
    assert_eq!(epochs().await, [1, 2, 2, 2, 2, 3, 8, 8]);
    let found = newest(&store).await;
    assert_eq!((of(&found, 1).first_epoch, of(&found, 1).last_epoch), (1, 8));
}

/// After an append by one connection, another one of the same appender marks nothing.
pub(crate) async fn a_connection_marks_one_batch_and_not_the_next<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut appender = store.connect().await.unwrap();
    let (one, two) = (stream(1, 1..=1), stream(1, 2..=2));
    appender.append(Batch::new(&one).unwrap().after_loss(0)).await.unwrap();
    let appended = appender.append(Batch::new(&two).unwrap()).await.unwrap();
    assert_eq!(appended.entries[0].epoch, 2);
}

pub(crate) async fn each_stream_says_what_it_holds_and_how_it_ended<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    assert_eq!(newest(&store).await.streams, []);
    assert!(newest(&store).await.complete);

    // Stopped in good order.
    put(&store, own(1, 1, "started", &json!({}))).await;
    append(&store, &stream(1, 2..=4)).await.unwrap();
    put(&store, own(1, 5, "stopped", &json!({ "last_seq": 5 }))).await;
    // With losses, a stub, and an end that names another number.
    put(&store, own(2, 1, "started", &json!({}))).await;
    let gap = json!({
        "count": 3, "reason": "queue_full",
        "first_at": "2026-05-11T12:00:00.000000Z", "last_at": "2026-05-11T12:00:01.000000Z",
    });
    put(&store, own(2, 2, "gap", &gap)).await;
    put(&store, own(2, 3, "gap", &json!({ "count": 4, "reason": "deadline" }))).await;
    let mut stub = ordinary(2, 4);
    stub.outcome_reason.set("quarantined");
    stub.metadata = Json::from_stored("{\"id\":\"x\",\"quarantined\":true}");
    stub.seal(salts(4));
    put(&store, stub).await;
    // The word of an application, not of ours.
    let mut word = ordinary(2, 5);
    word.outcome_reason.set("quarantined");
    put(&store, word).await;
    put(&store, own(2, 6, "stopped", &json!({ "last_seq": 9 }))).await;
    // Ended without a word; found by stream 1's successor. And one that was taken for dead, and was not.
    append(&store, &stream(3, 1..=4)).await.unwrap();
    append(&store, &stream(4, 1..=4)).await.unwrap();
    let unclean = |writer: &str| json!({ "count": null, "reason": "unclean_end", "writer_id": writer, "last_seq": 4 });
    put(&store, own(5, 1, "started", &json!({}))).await;
    put(&store, own(5, 2, "gap", &unclean("3"))).await;
    put(&store, own(5, 3, "gap", &unclean("4"))).await;
    append(&store, &stream(4, 5..=5)).await.unwrap();
    // Gone on from as another one.
    append(&store, &stream(6, 1..=2)).await.unwrap();
    let restored = json!({ "writer_id": "6", "committed_seq": 9, "found_seq": 2, "count": 7 });
    put(&store, own(7, 1, "restored", &restored)).await;
    // Somebody who writes such words by hand is not believed.
    let mut forged = own(8, 1, "gap", &unclean("7"));
    forged.origin = Origin::Manual;
    put(&store, forged).await;

    let found = newest(&store).await;
    assert!(found.complete);
    assert_eq!(found.total, 8);
    let order: Vec<_> = found.streams.iter().map(|stream| stream.writer_id.get()).collect();
    assert_eq!(order, [8, 7, 6, 4, 5, 3, 2, 1], "the one that was written to last first");
    let one = of(&found, 1);
    assert_eq!((one.first_seq, one.last_seq, one.count, one.entries), (1, 5, 5, 3));
    assert!(one.is_whole() && one.is_complete());
    assert!(matches!(one.end, StreamEnd::Stopped { .. }));
    assert_eq!(one.service.as_deref(), Some("shop"));
    assert!(one.began_at < one.last_at);
    let two = of(&found, 2);
    assert_eq!((two.gap_records, two.missing, two.stubs, two.end), (2, 7, 1, StreamEnd::Open));
    let reasons: Vec<_> = two.gaps.iter().map(|gap| (gap.seq, &*gap.reason, gap.count)).collect();
    assert_eq!(reasons, [(3, "deadline", Some(4)), (2, "queue_full", Some(3))]);
    assert_eq!(two.gaps[1].first_at.unwrap().to_string(), "2026-05-11T12:00:00.000000Z");
    assert!(two.is_whole() && !two.is_complete());
    let three = of(&found, 3);
    let StreamEnd::Unclean { found_by, .. } = three.end else { panic!("{:?}", three.end) };
    assert_eq!(found_by, WriterId::new(5));
    assert!(!three.is_complete());
    assert_eq!(of(&found, 4).end, StreamEnd::Open, "it went on");
    assert_eq!(of(&found, 5).gaps[0].of, Some(WriterId::new(4)));
    let StreamEnd::Continued { by, lost, .. } = of(&found, 6).end else { panic!() };
    assert_eq!((by, lost), (WriterId::new(7), 7));
    assert_eq!(of(&found, 7).continues, Some(WriterId::new(6)));
    assert_eq!((of(&found, 7).end, of(&found, 8).gap_records), (StreamEnd::Open, 0));

    // Fewer, and certain ones.
    let some = store.completeness(&CompletenessRequest::newest(2)).await.unwrap();
    assert_eq!((some.streams.as_slice(), some.total), (&found.streams[..2], 8));
    let wanted = [WriterId::new(3), WriterId::new(99)];
    let these = store.completeness(&CompletenessRequest::of(wanted)).await.unwrap();
    assert_eq!((these.streams.as_slice(), these.total), (&[three.clone()][..], 8));
    let none = store.completeness(&CompletenessRequest::newest(0)).await.unwrap();
    assert_eq!((none.streams.len(), none.total), (0, 8));
}

fn quick<S: Append>(store: S) -> PipelineBuilder<S> {
    Pipeline::builder(store).service("shop").batch_age(Duration::from_millis(1))
}

pub(crate) async fn a_pipeline_that_stopped_left_a_whole_stream<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = quick(store.clone()).instance("a").start().await.unwrap();
    for n in 0..20 {
        let record = Record::by(Actor::user("ana")).created("order", &n.to_string());
        assert!(pipeline.recorder().record(record).is_accepted());
    }
    pipeline.flush().await;
    let running = newest(&store).await;
    assert_eq!((running.streams[0].end, running.streams[0].is_complete()), (StreamEnd::Open, true));
    pipeline.shutdown(PATIENCE).await;
    let stopped = newest(&store).await;
    let [stream] = stopped.streams.as_slice() else { panic!("{stopped:?}") };
    assert!(matches!(stream.end, StreamEnd::Stopped { .. }));
    assert_eq!((stream.last_seq, stream.instance.as_deref()), (22, Some("a")));
    assert!(stream.is_complete());
}

/// What a pipeline of this process says about it when it begins.
async fn told<S: Read>(store: &S) -> Value {
    let records = all(store).await;
    let started = records.iter().find(|record| record.action == "started").unwrap();
    serde_json::from_str(started.metadata.as_str()).unwrap()
}

async fn unclean_ends<S: Read>(store: &S) -> Vec<Value> {
    let filter = Filter::new().any_of("action", ["gap"]).unwrap();
    let page = store.records(&filter, &suite::newest(100)).await.unwrap();
    let records = page.records.iter().filter(|record| record.outcome_reason == "unclean_end");
    records.map(|record| serde_json::from_str(record.metadata.as_str()).unwrap()).collect()
}

pub(crate) async fn processes_that_are_gone_are_told_of_once_by_many_that_start<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    quick(store.clone()).start().await.unwrap().shutdown(PATIENCE).await;
    let mut dead = told(&store).await;
    let ours = dead.clone();
    // Another process had our number once.
    let started = dead["process"]["started"].as_u64().expect("/proc tells");
    dead["process"]["started"] = (started - 1).into();
    let with = |facts: &Value, part: &str, name: &str, value: Value| {
        let mut facts = facts.clone();
        if part.is_empty() {
            facts[name] = value;
        } else {
            facts[part][name] = value;
        }
        facts
    };
    for (writer, facts) in [
        (11, dead.clone()),
        (12, dead.clone()),
        // Runs: it is this one.
        (21, ours),
        // Of another machine, of another container, and with a spool that somebody drains.
        (22, {
            let other = with(&dead, "process", "machine", "another".into());
            with(&other, "process", "boot", "another".into())
        }),
        (23, with(&dead, "process", "namespace", "pid:[7]".into())),
        (24, with(&dead, "", "mode", "durable".into())),
    ] {
        put(&store, own(writer, 1, "started", &facts)).await;
        append(&store, &stream(writer, 2..=3)).await.unwrap();
    }
    // Stopped in good order, and of another service.
    put(&store, own(31, 1, "started", &dead)).await;
    put(&store, own(31, 2, "stopped", &json!({ "last_seq": 2 }))).await;
    let mut other = own(32, 1, "started", &dead);
    other.service.set("other");
    put(&store, other).await;

    let mut starts = Vec::new();
    for _ in 0..4 {
        let store = fixture.open().await;
        starts.push(tokio::spawn(async move { quick(store).start().await.unwrap() }));
    }
    let mut pipelines = Vec::new();
    for start in starts {
        pipelines.push(start.await.unwrap());
    }
    let both = async {
        while unclean_ends(&store).await.len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, both).await.expect("both are told of");
    for pipeline in pipelines {
        let report = pipeline.shutdown(PATIENCE).await;
        assert_eq!(report.received, report.stored);
    }
    // Whoever starts later finds that it was told.
    quick(store.clone()).start().await.unwrap().shutdown(PATIENCE).await;

    let mut told = unclean_ends(&store).await;
    told.sort_by_key(|facts| facts["writer_id"].as_str().unwrap().to_owned());
    assert_eq!(told.len(), 2, "{told:?}");
    for (facts, writer) in told.iter().zip(["11", "12"]) {
        assert_eq!(
            (facts["writer_id"].as_str(), facts["last_seq"].as_i64()),
            (Some(writer), Some(3))
        );
        assert_eq!(facts["count"], Value::Null, "nobody knows");
    }
    let found = newest(&store).await;
    let unclean: Vec<_> = found
        .streams
        .iter()
        .filter(|stream| matches!(stream.end, StreamEnd::Unclean { .. }))
        .map(|stream| stream.writer_id.get())
        .collect();
    assert_eq!(unclean.iter().sum::<i64>(), 23, "{unclean:?}");
    assert_eq!(of(&found, 21).end, StreamEnd::Open);
}

/// A pipeline whose store lost its newest commits, by `lose`, goes on in another epoch, and says so.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn goes_on_after_a_loss<S, L>(store: S, lose: L)
where
    S: Append + Read + Maintain + Clone,
    L: AsyncFn(i64),
{
    let (one, two) =
        (quick(store.clone()).start().await.unwrap(), quick(store.clone()).start().await.unwrap());
    let record = async |pipeline: &Pipeline, id: &str| {
        let record = Record::by(Actor::user("ana")).created("order", id);
        assert!(pipeline.recorder().record(record).is_accepted());
        pipeline.flush().await;
    };
    record(&one, "1").await;
    record(&two, "2").await;
    let backup = store.head().await.unwrap();
    record(&one, "3").await;
    record(&two, "4").await;
    lose(backup).await;
    record(&one, "5").await;
    record(&two, "6").await;
    record(&one, "7").await;
    one.shutdown(PATIENCE).await;
    two.shutdown(PATIENCE).await;

    let entries = store.entries(0, 100).await.unwrap();
    let epochs: Vec<_> = entries.iter().map(|entry| entry.epoch).collect();
    let old = usize::try_from(backup).unwrap();
    assert!(epochs[..old].iter().all(|epoch| *epoch == 1), "{epochs:?}");
    assert!(epochs[old..].iter().all(|epoch| *epoch == 2), "one loss, one epoch: {epochs:?}");
    let restored = store.entry_records(&entries[old]).await.unwrap();
    assert_eq!(restored[0].action, "restored", "the epoch begins with it");
    let found = newest(&store).await;
    let continued = found.streams.iter().filter_map(|stream| match stream.end {
        StreamEnd::Continued { lost, .. } => Some(lost),
        _ => None,
    });
    assert_eq!(continued.collect::<Vec<_>>(), [1, 1]);
    assert!(found.streams.iter().all(StreamReport::is_whole));
    let ids: Vec<_> = all(&store).await.iter().map(|r| r.entity_id.as_str().to_owned()).collect();
    for id in ["1", "2", "5", "6", "7"] {
        assert_eq!(ids.iter().filter(|found| *found == id).count(), 1, "{id}");
    }
}
