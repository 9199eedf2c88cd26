//! How the stream of a process with a spool ends that did not end it itself.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tower_activity::{
    pipeline::{Pipeline, PipelineBuilder},
    record::{Outcome, Record, WriterId},
    store::{CompletenessRequest, Maintain as _, MemoryStore, StreamEnd, StreamReport},
};

use crate::{SOON, numbered, numbers, quick};

const LONG: Duration = Duration::from_secs(300);

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir()
        .unwrap()
}

fn spooled(store: &MemoryStore, folder: &Path) -> PipelineBuilder<MemoryStore> {
    quick(store.clone()).spool(folder).fsync_interval(Duration::from_millis(1))
}

/// Lives for ten records in the folder, and dies without a word.
fn a_process_that_dies(store: &MemoryStore, folder: &Path) -> WriterId {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pipeline = runtime.block_on(async {
        let builder = spooled(store, folder).service("shop").instance("a");
        let pipeline = builder.start().await.unwrap();
        for n in 0..10 {
            assert!(pipeline.recorder().record(numbered(n)).is_accepted());
        }
        tokio::time::timeout(LONG, pipeline.flush()).await.expect("the flush got stuck");
        pipeline
    });
    // Its tasks are gone before it could tell them to end.
    runtime.shutdown_timeout(LONG);
    drop(pipeline);
    store.all()[0].writer_id
}

/// Starts the next process, as soon as the folder is free.
async fn the_next(store: &MemoryStore, folder: &Path) -> Pipeline {
    let begun = Instant::now();
    loop {
        match spooled(store, folder).service("other").start().await {
            Ok(pipeline) => return pipeline,
            Err(error) => assert!(begun.elapsed() < LONG, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

async fn report(store: &MemoryStore, stream: WriterId) -> StreamReport {
    let found = store.completeness(&CompletenessRequest::of([stream])).await.unwrap();
    found.streams.into_iter().next().expect("the stream")
}

async fn until_ended(store: &MemoryStore, stream: WriterId) -> StreamReport {
    let begun = Instant::now();
    loop {
        let now = report(store, stream).await;
        if now.end != StreamEnd::Open {
            // Once more: its numbers may have been read just before its end was stored.
            return report(store, stream).await;
        }
        assert!(begun.elapsed() < LONG, "{now:?}");
        tokio::task::yield_now().await;
    }
}

fn of(store: &MemoryStore, stream: WriterId) -> Vec<Arc<Record>> {
    let mut records: Vec<_> = store.all().into_iter().map(Arc::new).collect();
    records.retain(|record| record.writer_id == stream);
    records
}

#[test]
fn a_killed_process_is_ended_by_the_next_once_all_that_it_wrote_is_stored() {
    let (folder, store) = (folder(), MemoryStore::new());
    let stream = a_process_that_dies(&store, folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        assert_eq!(report(&store, stream).await.end, StreamEnd::Open);
        let pipeline = the_next(&store, folder.path()).await;
        let ended = until_ended(&store, stream).await;
        assert!(matches!(ended.end, StreamEnd::Recovered { .. }), "{ended:?}");
        assert!(ended.is_complete() && ended.is_whole(), "uncleanly, and nothing is missing");
        assert_eq!(ended.last_seq, 12);
        let old = of(&store, stream);
        let last = old.last().unwrap();
        assert_eq!((last.action.as_str(), last.outcome), ("stopped", Outcome::Failure));
        assert_eq!(last.outcome_reason, "process_ended");
        assert_eq!(last.metadata.as_str(), r#"{"last_seq":12,"reason":"process_ended"}"#);
        assert_eq!((last.service.as_str(), last.instance.as_str()), ("shop", "a"), "of its own");
        let before = &old[old.len() - 2];
        assert_eq!(last.occurred_at, before.recorded_at, "the last sign of it");
        let report = pipeline.shutdown(SOON).await;
        assert_eq!((report.received, report.gaps), (0, 0));
        drop(pipeline);
        // The folder is still there for ten minutes, and is not ended once more.
        for _ in 0..2 {
            let pipeline = the_next(&store, folder.path()).await;
            pipeline.flush().await;
            pipeline.shutdown(SOON).await;
            drop(pipeline);
        }
        assert_eq!(of(&store, stream), old);
        let found = store.completeness(&CompletenessRequest::newest(9)).await.unwrap();
        assert!(found.streams.iter().all(StreamReport::is_complete), "{found:?}");
        assert!(found.streams.iter().all(|stream| stream.end != StreamEnd::Open), "{found:?}");
    });
}

#[test]
fn the_end_follows_from_the_files_alone() {
    let (folder, copy, store) = (folder(), folder(), MemoryStore::new());
    let stream = a_process_that_dies(&store, folder.path());
    copy_all(folder.path(), copy.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut ends = Vec::new();
        for folder in [folder.path(), copy.path()] {
            let store = MemoryStore::new();
            let pipeline = the_next(&store, folder).await;
            let begun = Instant::now();
            while of(&store, stream).len() < 12 {
                assert!(begun.elapsed() < LONG);
                tokio::task::yield_now().await;
            }
            pipeline.shutdown(SOON).await;
            ends.push(of(&store, stream));
        }
        assert_eq!(ends[0], ends[1], "to the id, the times and the salts");
    });
}

#[test]
fn a_stream_that_is_damaged_goes_on_as_another_one_and_both_have_an_end() {
    let (folder, store) = (folder(), MemoryStore::new());
    let stream = a_process_that_dies(&store, folder.path());
    let segment = segments(folder.path()).remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    // In one of the ten records.
    let mut places = bytes.windows(6).enumerate().filter(|(_, six)| six == b"update");
    let place = places.nth(5).unwrap().0;
    bytes[place] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let store = MemoryStore::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pipeline = the_next(&store, folder.path()).await;
        let begun = Instant::now();
        while numbers(&store.all()).len() < 9 {
            assert!(begun.elapsed() < LONG, "{:?}", numbers(&store.all()));
            tokio::task::yield_now().await;
        }
        let first = until_ended(&store, stream).await;
        let StreamEnd::Continued { by, lost, .. } = first.end else { panic!("{first:?}") };
        assert_eq!((lost, first.is_complete()), (1, false));
        let second = until_ended(&store, by).await;
        assert!(matches!(second.end, StreamEnd::Recovered { .. }), "{second:?}");
        assert_eq!((second.continues, second.missing), (Some(stream), 1));
        assert_eq!(second.gaps[0].of, Some(stream));
        let last = of(&store, by).pop().unwrap();
        assert_eq!(
            last.metadata.as_str(),
            format!(r#"{{"last_seq":{},"reason":"process_ended"}}"#, second.last_seq)
        );
        pipeline.shutdown(SOON).await;
    });
}

/// The segments of the one stream in a folder.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let streams = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = streams
        .filter(|path| path.is_dir() && !path.ends_with("quarantine"))
        .flat_map(|path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    files.sort();
    files
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
