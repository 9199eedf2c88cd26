//! Whoever waits for a record of the log about itself does not wait for ever.

use std::{error::Error as _, time::Duration};

use crate::{
    SOON, quick,
    scripted::{Readable, Scripted, has_old, put_old},
};

/// Much longer than anything may wait; the time is not real.
const AN_HOUR: Duration = Duration::from_secs(3_600);

/// A store at whose gate appends wait, with a record whose time is over.
async fn gated() -> Readable {
    let store = Scripted::gated();
    put_old(&store.memory, 1, "authentication", |_| {}).await;
    Readable(store)
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_record_is_not_stored_fails_and_takes_nothing_out() {
    let store = gated().await;
    let pipeline = quick(store.clone()).start().await.unwrap();
    let run = tokio::time::timeout(AN_HOUR, pipeline.run_retention(|_| {}));
    let failed = run.await.expect("it ends").unwrap_err();
    assert!(failed.is_transient());
    let why = failed.source().map(ToString::to_string).unwrap_or_default();
    assert!(why.contains("has not stored it within 30s"), "{failed}: {why}");
    assert!(has_old(&store.0.memory));
    // What was told of is stored at last, and the next run goes on with it.
    store.0.open_gate();
    pipeline.flush().await;
    let run = tokio::time::timeout(AN_HOUR, pipeline.run_retention(|_| {}));
    assert_eq!(run.await.expect("it ends").unwrap().ended.len(), 1);
    assert!(!has_old(&store.0.memory));
    let told = store.0.memory.all();
    assert_eq!(told.iter().filter(|record| record.action == "retention_run").count(), 1);
    pipeline.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_with_its_pipeline() {
    let store = gated().await;
    let pipeline = quick(store.clone()).start().await.unwrap();
    let run = tokio::time::timeout(AN_HOUR, pipeline.run_retention(|_| {}));
    let stop = async {
        store.0.reached().await;
        pipeline.shutdown(Duration::from_millis(1)).await;
    };
    let (ended, ()) = tokio::join!(run, stop);
    let failed = ended.expect("it ends").unwrap_err();
    let why = failed.source().map(ToString::to_string).unwrap_or_default();
    assert_eq!(why, "the pipeline has ended", "{failed}");
    assert!(has_old(&store.0.memory));
    let again = tokio::time::timeout(AN_HOUR, pipeline.run_retention(|_| {}));
    again.await.expect("it does not begin").unwrap_err();
}
