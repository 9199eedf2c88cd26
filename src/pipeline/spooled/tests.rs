//! What is lost with the disk, or cannot be read, is counted once, and only what users sent.

use std::{fs, os::unix::fs::FileExt as _, time::Duration};

use super::*;
use crate::{
    pipeline::{DropReason, Pipeline, PipelineBuilder, recorder::Recorder, spool::Share},
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
    let classes = Arc::new(Classes(None));
    for reading in 1..=3 {
        let mut batch = Vec::new();
        again.read(&core, &classes, size, &mut batch).await.unwrap();
        assert_eq!(batch.len(), 3, "with that it started");
        // The other reader has counted them, too.
        assert_eq!((pipeline.tally().quarantined, lines()), (4, 4), "{reading}");
        // As when the store was put back.
        again.displace();
        again.place(&core, 0);
    }
}
