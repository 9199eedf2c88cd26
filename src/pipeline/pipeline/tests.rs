//! What ends with a pipeline.

use std::{error::Error as _, future};

use super::*;
use crate::store::MemoryStore;

const PATIENCE: Duration = Duration::from_secs(60);

async fn failed(pipeline: &Pipeline, work: impl Future<Output = Result<(), StoreError>>) -> String {
    let work = pipeline.unless_ended("ask a bucket", work);
    let ended = tokio::time::timeout(PATIENCE, work).await.expect("nobody waits on");
    let failed = ended.unwrap_err();
    assert!(failed.is_transient(), "{failed}");
    format!("{failed}: {}", failed.source().unwrap())
}

#[tokio::test]
async fn whoever_waits_for_something_else_than_the_writer_stops_when_that_has_ended() {
    let pipeline = Pipeline::builder(MemoryStore::new()).start().await.unwrap();
    let why = "could not ask a bucket: the pipeline has ended";
    let waiting = failed(&pipeline, future::pending());
    let both = async { tokio::join!(biased; waiting, pipeline.shutdown(PATIENCE)) };
    assert_eq!(both.await.0, why);
    assert_eq!(failed(&pipeline, future::pending()).await, why, "and so does who comes later");
    let done = pipeline.unless_ended("ask a bucket", future::ready(Ok::<_, StoreError>(7)));
    assert_eq!(done.await.unwrap(), 7, "what is done is done");
}
