//! What is lost with the disk, or cannot be read, is counted once, and only what users sent.

use std::{fs, os::unix::fs::FileExt as _, task::Poll, time::Duration};

use super::*;
use crate::{
    pipeline::{
        DropReason, Pipeline, PipelineBuilder, classes::Classes, drain::Size, recorder::Recorder,
        spool::Share,
    },
    store::MemoryStore,
    time::Timestamp,
};

/// Longer than any test: nothing is synced, hence read, before somebody waits for it.
const NEVER: Duration = Duration::from_secs(86_400);
const PATIENCE: Duration = Duration::from_secs(60);

fn builder(store: &MemoryStore, folder: &std::path::Path) -> PipelineBuilder<MemoryStore> {
    Pipeline::builder(store.clone()).spool(folder).fsync_interval(NEVER)
}

async fn flushed(pipeline: &Pipeline) {
    tokio::time::timeout(PATIENCE, pipeline.flush()).await.expect("the flush got stuck");
}

fn record(recorder: &Recorder, id: &str) {
    assert!(recorder.record(Record::by("ana").cancelled("order", id)).is_accepted());
}

/// Flips a bit in each of the first frames of the one segment that there is.
fn damage(folder: &std::path::Path, frames: usize) {
    let mut streams = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let stream = streams.find(|path| path.file_name().unwrap().len() == 16).unwrap();
    let segment = stream.join("0000000000000001.seg");
    let file = fs::File::options().read(true).write(true).open(segment).unwrap();
    let mut at = 1_024;
    for _ in 0..frames {
        let mut header = [0; 20];
        file.read_exact_at(&mut header, at).unwrap();
        let length = u32::from_le_bytes(header[..4].try_into().unwrap());
        let mut last = [0];
        file.read_exact_at(&mut last, at + 19 + u64::from(length)).unwrap();
        file.write_all_at(&[last[0] ^ 1], at + 19 + u64::from(length)).unwrap();
        at += 20 + u64::from(length);
    }
}

#[tokio::test]
async fn of_frames_that_are_lost_with_the_disk_those_count_that_users_sent() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let pipeline = builder(&store, folder.path()).start().await.unwrap();
    let recorder = pipeline.recorder();
    for id in ["1", "2", "3", "4"] {
        record(&recorder, id);
    }
    // That it started, and two of them.
    damage(folder.path(), 3);
    flushed(&pipeline).await;
    let tally = pipeline.tally();
    assert_eq!(tally.dropped.of(DropReason::SpoolDamaged), 2, "{tally:?}");
    assert_eq!((tally.received, tally.stored, tally.spooled, tally.queued), (4, 2, 0, 0));
    let gap = store.all().into_iter().find(|record| record.action == own::GAP).unwrap();
    let facts: serde_json::Value = serde_json::from_str(gap.metadata.as_str()).unwrap();
    assert_eq!(facts["count"], 3, "the numbers of the stream are all accounted for");
    let report = pipeline.shutdown(PATIENCE).await;
    assert_eq!(report.received, report.stored + report.dropped.total(), "{report}");
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_aside_and_counted_once_however_often_it_is_read() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let aside = folder.path().join("aside.jsonl");
    let pipeline = builder(&store, folder.path()).quarantine(&aside).start().await.unwrap();
    let core = Arc::clone(&pipeline.recorder().core);
    let spooling = core.spooling.as_ref().unwrap();
    let later = [0xff; 40];
    for _ in 0..2 {
        spooling.append_bytes(Share::General, Timestamp::from_micros(1), &later).unwrap();
        core.counters.receive();
        core.counters.spool();
    }
    flushed(&pipeline).await;
    assert_eq!(pipeline.tally().quarantined, 2);
    let lines = || fs::read_to_string(&aside).unwrap().lines().count();
    assert_eq!(lines(), 2);
    let mut again = Spooled::own(spooling.spool.reader(), Some(aside.clone()));
    let size = Size { rows: 100, bytes: 1 << 20, age: Duration::ZERO };
    let means = Means { core: Arc::clone(&core), classes: Arc::new(Classes(None)), size };
    for reading in 1..=3 {
        let mut batch = Vec::new();
        again.read(&means, &mut batch).await.unwrap();
        assert_eq!(batch.len(), 3, "with that it started");
        // The other reader has counted them, too.
        assert_eq!((pipeline.tally().quarantined, lines()), (4, 4), "{reading}");
        // As when the store was put back.
        again.displace();
        again.place(&core, 0);
    }
}

/// Returns the numbers of a batch.
fn numbers(batch: &[Box<Record>]) -> Vec<i64> {
    batch.iter().map(|record| record.seq).collect()
}

#[tokio::test]
async fn what_is_read_ahead_is_what_would_be_read_next_and_counts_for_nothing_before() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let pipeline = builder(&store, folder.path()).start().await.unwrap();
    let recorder = pipeline.recorder();
    for id in ["2", "3", "4", "5", "6", "7"] {
        record(&recorder, id);
    }
    flushed(&pipeline).await;
    let core = Arc::clone(&recorder.core);
    let spooling = core.spooling.as_ref().unwrap();
    let size = Size { rows: 2, bytes: 1 << 20, age: Duration::ZERO };
    let means = Means { core: Arc::clone(&core), classes: Arc::new(Classes(None)), size };
    let mut stream = Spooled::own(spooling.spool.reader(), None);
    let mut batch = Vec::new();
    let next = stream.read(&means, &mut batch).await.unwrap();
    assert_eq!((next, numbers(&batch)), (Next::Batch { is_full: true }, vec![1, 2]));

    // The first is stored while the second is read.
    stream.read_ahead(&means);
    assert!(stream.is_ahead());
    stream.settled(&core, &batch);
    assert!(stream.is_settled(2) && !stream.is_settled(3), "what was read ahead is not stored");
    batch.clear();
    stream.read(&means, &mut batch).await.unwrap();
    assert_eq!(numbers(&batch), [3, 4]);
    assert!(!stream.is_ahead());
    let oldest = spooling.spool.status().own_oldest;
    assert_eq!(
        oldest,
        Some(batch[0].recorded_at),
        "the reader heard of the first when it was back"
    );

    // The store turns out to stand elsewhere while the third is read: it is given up, not sent.
    stream.read_ahead(&means);
    stream.disagree(&core, &mut batch, 0);
    assert!(batch.is_empty());
    stream.recall(&core).await.unwrap();
    assert!(!stream.is_ahead());
    assert!(stream.place(&core, 0), "it was said already");
    stream.read(&means, &mut batch).await.unwrap();
    assert_eq!(numbers(&batch), [1, 2], "from where the store stands");

    // Nothing is read ahead before it is known where the store stands.
    stream.displace();
    stream.read_ahead(&means);
    assert!(!stream.is_ahead());
    pipeline.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn what_is_sent_again_is_counted_once_however_it_is_arranged() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let pipeline = builder(&store, folder.path()).start().await.unwrap();
    let recorder = pipeline.recorder();
    let core = Arc::clone(&recorder.core);
    let spooling = core.spooling.as_ref().unwrap();
    let mut restored = own::restored("0", 1, 0);
    admit::prepare(&core, &mut restored);
    core.spool_own(spooling, restored).unwrap();
    for id in ["3", "4"] {
        record(&recorder, id);
    }
    flushed(&pipeline).await;
    let counted = || {
        let tally = pipeline.tally();
        (tally.own, tally.stored)
    };
    let before = counted();
    for is_own in [true, false] {
        let mut stream = Spooled::own(spooling.spool.reader(), None);
        stream.is_own = is_own;
        // At first two of them, then all of these and two more in another order.
        for rows in [2, 4] {
            let size = Size { rows, bytes: 1 << 20, age: Duration::ZERO };
            let classes = Arc::new(Classes(None));
            let means = Means { core: Arc::clone(&core), classes, size };
            let mut batch = Vec::new();
            stream.displace();
            stream.place(&core, 0);
            stream.read(&means, &mut batch).await.unwrap();
            stream.arrange(&mut batch);
            assert_eq!(numbers(&batch), Vec::from_iter(1..=rows as i64));
            assert_eq!(batch.last().unwrap().action, own::RESTORED, "those of users before it");
            stream.settled(&core, &batch);
        }
    }
    let after = counted();
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 2));
    assert_eq!(pipeline.tally().drained, 4);
    pipeline.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_stream_that_is_placed_anew_while_it_is_read_ahead_behind_a_gap_begins_before_it() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let pipeline = builder(&store, folder.path()).start().await.unwrap();
    let recorder = pipeline.recorder();
    for id in ["2", "3", "4"] {
        record(&recorder, id);
    }
    damage(folder.path(), 1);
    flushed(&pipeline).await;
    let core = Arc::clone(&recorder.core);
    let size = Size { rows: 2, bytes: 1 << 20, age: Duration::ZERO };
    let means = Means { core: Arc::clone(&core), classes: Arc::new(Classes(None)), size };
    let mut stream = Spooled::own(core.spooling.as_ref().unwrap().spool.reader(), None);
    let name = stream.writer_id();
    let mut batch = Vec::new();
    for is_ahead in [true, false] {
        assert_eq!(stream.read(&means, &mut batch).await.unwrap(), Next::Again, "the gap");
        assert_ne!(stream.writer_id(), name);
        stream.place(&core, 0);
        stream.read(&means, &mut batch).await.unwrap();
        assert_eq!((numbers(&batch), batch[0].action.as_str()), (vec![1], own::GAP));
        batch.clear();
        if is_ahead {
            stream.read_ahead(&means);
            stream.displace();
            stream.recall(&core).await.unwrap();
            assert_eq!(stream.writer_id(), name);
            stream.place(&core, 0);
        }
    }
    stream.read(&means, &mut batch).await.unwrap();
    assert_eq!(numbers(&batch), [2, 3], "what is behind the gap");
    pipeline.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn who_stops_waiting_for_what_is_read_ahead_gets_it_when_he_asks_again() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let pipeline = builder(&store, folder.path()).start().await.unwrap();
    let recorder = pipeline.recorder();
    for id in ["2", "3", "4"] {
        record(&recorder, id);
    }
    flushed(&pipeline).await;
    let core = Arc::clone(&recorder.core);
    let size = Size { rows: 2, bytes: 1 << 20, age: Duration::ZERO };
    let means = Means { core: Arc::clone(&core), classes: Arc::new(Classes(None)), size };
    let mut stream = Spooled::own(core.spooling.as_ref().unwrap().spool.reader(), None);
    let mut batch = Vec::new();
    {
        let mut reading = std::pin::pin!(stream.read(&means, &mut batch));
        let once = std::future::poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx).is_ready()));
        // Whether or not the thread has been that fast.
        let _done = once.await;
    }
    let from = batch.last().map_or(1, |last| last.seq + 1);
    batch.clear();
    stream.read(&means, &mut batch).await.unwrap();
    assert_eq!(numbers(&batch), [from, from + 1], "none is passed over");
    pipeline.shutdown(PATIENCE).await;
}
