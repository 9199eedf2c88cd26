//! When streams are read, and what is read while the store works.

use super::*;
use crate::{
    pipeline::{Pipeline, link::Link},
    record::Record,
    store::MemoryStore,
};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(86_400);
const PATIENCE: Duration = Duration::from_secs(60);

/// A drain beside that of a pipeline, whose own stream it reads so many times, as if earlier processes had left it. The other
/// ends of what it listens to have to live as long.
fn beside(
    core: &Arc<Core>,
    store: &MemoryStore,
    (streams, size): (usize, Size),
) -> (Drain<MemoryStore>, impl Sized + use<>) {
    let spool = &core.spooling.as_ref().unwrap().spool;
    let streams = (0..streams).map(|_| Spooled::own(spool.reader(), None)).collect();
    let (stop, stopped) = watch::channel(None);
    let (flush, flushes) = mpsc::unbounded_channel();
    let (last, has_last) = watch::channel(None);
    let (ended, has_ended) = watch::channel(false);
    let settler = Settler::new(Arc::clone(core), Link::new(store.clone(), stopped, NEVER), None);
    let mut drain = Drain::new(settler, streams, (size, Classes(None)), flushes, has_last, ended);
    // The folder is the pipeline's, and so is what wakes its own drain.
    drain.is_closed = true;
    drain.readable = Arc::default();
    (drain, (stop, flush, last, has_ended))
}

#[tokio::test]
async fn of_all_streams_together_one_batch_at_most_is_read_ahead() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let pipeline = Pipeline::builder(store.clone()).spool(folder.path()).start().await.unwrap();
    let recorder = pipeline.recorder();
    assert!(recorder.record(Record::by("ana").cancelled("order", "7")).is_accepted());
    tokio::time::timeout(PATIENCE, pipeline.flush()).await.expect("the flush got stuck");
    let core = Arc::clone(&recorder.core);
    let size = Size { rows: 1, bytes: 1 << 20, age: Duration::ZERO };
    let (mut drain, _others) = beside(&core, &store, (3, size));
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

/// A thread that loses its processor for a while between the two, as on a busy machine.
#[tokio::test(start_paused = true)]
async fn what_becomes_due_between_a_look_and_the_wait_behind_it_is_not_waited_for() {
    const AGE: Duration = Duration::from_millis(5);
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let pipeline = Pipeline::builder(store.clone()).spool(folder.path()).start().await.unwrap();
    let core = Arc::clone(&pipeline.recorder().core);
    let size = Size { rows: 1, bytes: 1 << 20, age: AGE };
    let (mut drain, _others) = beside(&core, &store, (2, size));
    drain.streams[1].is_over = true;
    for why in ["its batch has gathered", "its file is to be read again"] {
        let looked = Instant::now();
        if why == "its batch has gathered" {
            drain.noticed = Some(looked);
        } else {
            drain.noticed = None;
            drain.streams[1].is_over = false;
            drain.streams[1].not_before = Some(looked + AGE);
        }
        assert_eq!(drain.next_stream(looked), None, "{why}");
        tokio::time::advance(2 * AGE).await;
        let waited = tokio::time::timeout(PATIENCE, drain.wait(looked));
        waited.await.expect("it is looked at again");
        assert!(drain.next_stream(Instant::now()).is_some(), "{why}");
    }
    pipeline.shutdown(PATIENCE).await;
}
