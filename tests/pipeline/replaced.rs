//! Processes that ended in another container, where nobody can look for them.

use std::time::Duration;

use serde_json::Value;
use tower_activity::{
    pipeline::Pipeline,
    record::{Json, Record, RecordId, WriterId},
    store::{
        Append as _, Appender as _, Batch, CompletenessRequest, Maintain as _, MemoryStore,
        StreamEnd,
    },
};

use crate::{SOON, numbered, quick};

/// Longer than an earlier process is given to end.
const WHILE: Duration = Duration::from_secs(180);

async fn put(store: &MemoryStore, mut record: Record, stream: i64, seq: i64) {
    (record.writer_id, record.seq) = (WriterId::new(stream), seq);
    let mut id = *record.id.as_bytes();
    id[14..].copy_from_slice(&[u8::try_from(stream).unwrap(), u8::try_from(seq).unwrap()]);
    record.id = RecordId::from_bytes(id);
    record.seal([[7; 16]; 4]);
    let mut appender = store.connect().await.unwrap();
    appender.append(Batch::new(&[Box::new(record)]).unwrap()).await.unwrap();
}

/// What a process of the same kind says when it starts, in another container.
async fn elsewhere(instance: &str, change: impl FnOnce(&mut Value)) -> Record {
    let store = MemoryStore::new();
    let pipeline = quick(store.clone()).service("shop").instance(instance).start().await.unwrap();
    pipeline.shutdown(SOON).await;
    let mut started = store.all().remove(0);
    let mut facts: Value = serde_json::from_str(started.metadata.as_str()).unwrap();
    facts["process"]["namespace"] = "pid:[7]".into();
    change(&mut facts);
    started.metadata = Json::from_stored(facts.to_string());
    started
}

async fn starts(store: &MemoryStore, instance: &str) -> Pipeline {
    let pipeline = quick(store.clone()).service("shop").instance(instance).start().await.unwrap();
    assert!(pipeline.recorder().record(numbered(1)).is_accepted());
    pipeline.flush().await;
    pipeline
}

/// Which of the forged streams are said to have ended without a word.
async fn unclean(store: &MemoryStore) -> Vec<i64> {
    let found = store.completeness(&CompletenessRequest::newest(100)).await.unwrap();
    let unclean = found.streams.iter().filter(|s| matches!(s.end, StreamEnd::Unclean { .. }));
    let mut ids: Vec<_> = unclean.map(|stream| stream.writer_id.get()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_the_name_of_another_says_after_a_while_that_it_ended() {
    let store = MemoryStore::new();
    put(&store, elsewhere("a", |_| {}).await, 11, 1).await;
    // Another replica, and one that says that it ended a moment after its successor began.
    put(&store, elsewhere("b", |_| {}).await, 12, 1).await;
    put(&store, elsewhere("a", |_| {}).await, 13, 1).await;
    // One that only seems to be silent, and one whose records are in a folder of its own.
    put(&store, elsewhere("a", |_| {}).await, 14, 1).await;
    put(&store, elsewhere("a", |facts| facts["mode"] = "durable".into()).await, 15, 1).await;
    let pipeline = starts(&store, "a").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(unclean(&store).await, [0; 0], "it may be about to end");
    let mut stopped = store.all()[0].clone();
    stopped.action.set("stopped");
    stopped.metadata = Json::from_stored("{\"last_seq\":2}");
    put(&store, stopped, 13, 2).await;
    put(&store, store.all()[0].clone(), 14, 2).await;
    tokio::time::sleep(WHILE).await;
    assert_eq!(unclean(&store).await, [11]);
    pipeline.shutdown(SOON).await;
    // Told of once.
    let pipeline = starts(&store, "a").await;
    tokio::time::sleep(WHILE).await;
    pipeline.shutdown(SOON).await;
    let gaps = |record: &&Record| record.metadata.as_str().contains("\"writer_id\":\"11\"");
    assert_eq!(store.all().iter().filter(gaps).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_name_nothing_is_said_of_another_container() {
    let store = MemoryStore::new();
    put(&store, elsewhere("", |_| {}).await, 11, 1).await;
    let pipeline = starts(&store, "").await;
    tokio::time::sleep(WHILE).await;
    assert_eq!(unclean(&store).await, [0; 0]);
    pipeline.shutdown(SOON).await;
}
