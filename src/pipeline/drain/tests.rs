//! What is read while the store works.

use super::*;
use crate::{
    pipeline::{Pipeline, link::Link},
    record::Record,
    store::MemoryStore,
};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(86_400);
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn of_all_streams_together_one_batch_at_most_is_read_ahead() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let pipeline = Pipeline::builder(store.clone()).spool(folder.path()).start().await.unwrap();
    let recorder = pipeline.recorder();
    assert!(recorder.record(Record::by("ana").cancelled("order", "7")).is_accepted());
    tokio::time::timeout(PATIENCE, pipeline.flush()).await.expect("the flush got stuck");
    let core = Arc::clone(&recorder.core);
    let spool = &core.spooling.as_ref().unwrap().spool;
    // Each reads the same, as if an earlier process had left it.
    let streams = (0..3).map(|_| Spooled::own(spool.reader(), None)).collect();
    let (_stop, stopped) = watch::channel(None);
    let (_flush, flushes) = mpsc::unbounded_channel();
    let (_last, last) = watch::channel(None);
    let (ended, _has_ended) = watch::channel(false);
    let settler = Settler::new(Arc::clone(&core), Link::new(store, stopped, NEVER), None);
    let size = Size { rows: 1, bytes: 1 << 20, age: Duration::ZERO };
    let mut drain = Drain::new(settler, streams, (size, Classes(None)), flushes, last, ended);
    // The folder is the pipeline's.
    drain.is_closed = true;
    let ahead = |drain: &Drain<MemoryStore>| -> Vec<bool> {
        drain.streams.iter().map(Spooled::is_ahead).collect()
    };
    drain.turn = 1;
    drain.read_ahead(0);
    assert_eq!(ahead(&drain), [false, true, false]);
    drain.turn = 2;
    drain.read_ahead(1);
    assert_eq!(ahead(&drain), [false, true, false], "it is still there");
    drain.streams[1].recall(&core).await.unwrap();
    drain.read_ahead(1);
    assert_eq!(ahead(&drain), [false, false, true]);
    drain.streams[2].recall(&core).await.unwrap();
    pipeline.shutdown(PATIENCE).await;
}
