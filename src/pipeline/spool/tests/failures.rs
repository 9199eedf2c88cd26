use std::io::ErrorKind;

use super::*;
use crate::pipeline::spool::{
    Refused, format,
    fuzzed::memory::{Call, Failing},
};

fn fail(fs: &Memory, call: Call, after: u64, times: u64, error: ErrorKind) {
    fs.fail(Some(Failing { call, after, times, error }));
}

#[test]
fn a_failed_sync_poisons_the_segment_and_its_frames_are_written_again() {
    for after in 0..3 {
        let fs = Memory::new();
        let spool = open(&fs);
        let at = Timestamp::default();
        let early = spool.begin(Share::General, at, b"early").unwrap();
        append(&spool, "r1");
        sync(&spool);
        append(&spool, "r2");
        let late = spool.begin(Share::General, at, b"late").unwrap();
        // The memory file system forgets what it could not sync, as kernels may.
        fail(&fs, Call::Sync, 0, 1 + after, ErrorKind::Other);
        for _ in 0..=after {
            assert!(spool.core.sync_once().is_err());
            assert!(spool.core.sync.synced() < late.mark.0, "it is not said to be safe");
        }
        append(&spool, "r3");
        sync(&spool);
        append(&spool, "r4");
        sync(&spool);
        assert_eq!(spool.status().poisoned, 1 + after);
        let mut store = Store::default();
        drain(&mut spool.reader(), &mut store);
        assert_eq!(store.all(), texts(1..=4));
        for open in [early, late] {
            spool.append(Share::General, Some(open.open), at, b"done").unwrap();
        }
        sync(&spool);
        assert_eq!(fs.paths(".seg").len(), 2, "what failed before is cleared away");
        let mut store = Store::default();
        recover(&fs.after_power_cut(), &mut store);
        assert_eq!(store.records().len(), 6);
        assert_eq!(store.missing(), 0);
    }
}

#[test]
fn a_process_that_dies_between_the_failed_sync_and_the_next_one_has_lost_nothing() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "r1");
    sync(&spool);
    append(&spool, "r2");
    fail(&fs, Call::Sync, 0, 1, ErrorKind::Other);
    assert!(spool.core.sync_once().is_err());
    append(&spool, "r3");
    let mut store = Store::default();
    recover(&fs.after_kill(), &mut store);
    assert_eq!(store.all(), texts(1..=3));
    assert_eq!(store.streams.len(), 1);
}

#[test]
fn more_than_memory_keeps_is_read_back_from_the_file_after_a_failed_sync() {
    let fs = Memory::new();
    let large = Settings { cap: 1 << 30, ..settings() };
    let spool = open_with(&fs, large, clock());
    append(&spool, "r1");
    sync(&spool);
    for _ in 0..12 {
        append(&spool, &"x".repeat(1 << 20));
    }
    // The disk fails, but the kernel still has it: the folder does not sync.
    fail(&fs, Call::SyncFolder, 0, 1, ErrorKind::Other);
    spool.core.active.lock().names = true;
    assert!(spool.core.sync_once().is_err());
    sync(&spool);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    assert_eq!((store.records().len(), store.missing()), (13, 0));
}

#[test]
fn a_disk_that_fails_altogether_refuses_and_recovers_with_what_it_owed() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "r1");
    fail(&fs, Call::Any, 0, u64::MAX, ErrorKind::Other);
    assert!(spool.core.sync_once().is_err());
    let refused = spool.append(Share::General, None, Timestamp::default(), b"no");
    assert_eq!(refused, Err(Refused::Failed));
    assert!(spool.core.sync_once().is_err());
    fs.fail(None);
    sync(&spool);
    append(&spool, "r2");
    sync(&spool);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    assert_eq!(store.all(), texts(1..=2));
}

#[tokio::test]
async fn a_disk_that_failed_is_asked_again_for_whoever_has_a_record() {
    for is_owed in [false, true] {
        let fs = Memory::new();
        let files: Arc<dyn Filesystem> = Arc::new(fs.clone());
        let spool = Spool::open(files, root(), settings(), clock(), WriterId::new(5)).unwrap();
        let mark = spool.append(Share::General, None, Timestamp::default(), b"r1").unwrap().mark;
        if !is_owed {
            spool.wait_synced(mark, Duration::from_secs(60)).unwrap();
        }
        fail(&fs, Call::Any, 0, u64::MAX, ErrorKind::Other);
        // Nothing can be written, cut or begun: from here on there is no segment, and nobody who waits for a sync.
        let append = || spool.append(Share::General, None, Timestamp::default(), b"r2");
        while append() != Err(Refused::Failed) || spool.core.active.lock().current.is_some() {}
        fs.fail(None);
        let room = spool.room();
        let taken = async {
            loop {
                let mut there_is = std::pin::pin!(room.notified());
                there_is.as_mut().enable();
                if append().is_ok() {
                    return;
                }
                there_is.await;
            }
        };
        let taken = tokio::time::timeout(Duration::from_secs(60), taken).await;
        taken.unwrap_or_else(|_| panic!("a segment is begun, and told of; owed: {is_owed}"));
        spool.close(Duration::from_secs(60)).unwrap();
        let mut store = Store::default();
        drain(&mut spool.reader(), &mut store);
        assert_eq!(store.all(), texts(1..=2), "owed: {is_owed}");
    }
}

/// One run of everything that a spool does, with one call that fails; what was accepted is there in the end.
fn run(call: Call, after: u64, times: u64, error: ErrorKind) -> bool {
    let fs = Memory::new();
    let clock = clock();
    fail(&fs, call, after, times, error);
    let spool = Spool::open_still(
        Arc::new(fs.clone()),
        root(),
        settings(),
        Arc::clone(&clock) as Arc<dyn crate::time::Clock>,
        WriterId::new(1),
    );
    let Ok(spool) = spool else { return false };
    let at = Timestamp::default();
    let mut accepted = Vec::new();
    let mut store = Store::default();
    let mut reader = spool.reader();
    for n in 0..24 {
        let text = format!("r{n}:{}", "x".repeat(9_000));
        let open = spool.begin(Share::General, at, b"begun");
        let ends = open.ok().map(|begun| begun.open);
        let taken = spool.append(Share::General, ends, at, text.as_bytes());
        if taken.is_ok() {
            accepted.push(text);
        } else if let Some(open) = ends {
            // Refused too, perhaps: then a crash would tell of it, and no crash comes.
            spool.cancel(open).ok();
        }
        if n % 4 == 3 {
            drop(spool.core.sync_once());
            drop(try_drain(&mut reader, &mut store, 3));
            clock.advance(Duration::from_secs(601));
            spool.core.tidy();
        }
    }
    let hit = fs.calls() > after;
    fs.fail(None);
    for _ in 0..3 {
        drop(spool.core.sync_once());
    }
    spool.core.sync_once().unwrap();
    drain(&mut reader, &mut store);
    let gone = store.missing();
    accepted.sort_unstable();
    let context = format!("{call:?} {after} {times} {error:?}");
    assert_eq!(store.records(), accepted, "{context}");
    assert_eq!(gone, 0, "{context}");
    // And a next process finds nothing that is not stored.
    let mut again = store.clone();
    recover(&fs.after_power_cut(), &mut again);
    let extra: Vec<_> = again.records().into_iter().filter(|r| !accepted.contains(r)).collect();
    assert!(extra.iter().all(|r| r == "ended:begun"), "{context}: {extra:?}");
    hit
}

#[test]
fn each_call_that_fails_is_survived_without_a_silent_loss() {
    let calls = [
        Call::Write,
        Call::Sync,
        Call::SyncFolder,
        Call::Create,
        Call::Open,
        Call::Read,
        Call::SetLen,
        Call::Remove,
        Call::Rename,
        Call::Space,
        Call::Any,
    ];
    let mut row = Row { fault: "16 each call to the disk fails", ..Row::default() };
    for call in calls {
        for error in [ErrorKind::Other, ErrorKind::StorageFull] {
            for failing in [1, 3] {
                let step = if call == Call::Any { times(7, 1) } else { times(3, 1) };
                for after in (0..times(60, 400) as u64).step_by(step) {
                    row.runs += 1;
                    if !run(call, after, failing, error) && after > 20 {
                        break;
                    }
                }
            }
        }
    }
    row.report();
}

/// A next process, with one call that fails, and the one after it: everything is stored once.
#[test]
fn recovery_survives_each_call_that_fails() {
    let fs = Memory::new();
    let spool = open(&fs);
    let at = Timestamp::default();
    for n in 1..=9 {
        spool.begin(Share::General, at, format!("o{n}").as_bytes()).unwrap();
        append(&spool, &format!("r{n}"));
    }
    let fs = fs.after_kill();
    let damaged = fs.paths(".seg").remove(0);
    fs.edit(&damaged, |bytes| {
        // The fifth record, behind five opens and four records.
        let frame = format::frame_size(2);
        let at = format::FRAMES_AT as usize + 10 * frame - 2;
        assert_eq!(&bytes[at..at + 2], b"r5");
        bytes[at] ^= 1;
    });
    for after in (0..times(80, 200) as u64).step_by(times(2, 1)) {
        let fs = fs.after_kill();
        let mut store = Store::default();
        fail(&fs, Call::Any, after, 1, ErrorKind::Other);
        let id = WriterId::new(1_000_000);
        if let Ok(spool) = Spool::open_still(Arc::new(fs.clone()), root(), settings(), clock(), id)
        {
            for old in spool.old_streams() {
                drop(try_drain_old(&old, &mut store));
            }
        }
        fs.fail(None);
        recover(&fs.after_kill(), &mut store);
        let mut all: Vec<String> = (1..=9).map(|n| format!("ended:o{n}")).collect();
        all.extend(texts(1..=9));
        all.retain(|text| text != "r5");
        all.sort_unstable();
        assert_eq!(store.records(), all, "after {after}");
        assert_eq!(store.missing(), 1, "after {after}");
    }
}

/// A batch spans segments, and one of them cannot be read just then: what was read goes on, and nothing is passed over,
/// although nobody asks the store in between.
#[test]
fn a_read_that_fails_midway_passes_over_nothing() {
    let fs = Memory::new();
    let spool = open(&fs);
    let text = "x".repeat(9_000);
    for _ in 0..40 {
        append(&spool, &text);
    }
    sync(&spool);
    assert!(fs.paths(".seg").len() > 3, "{:?}", fs.paths(".seg"));
    for is_old in [false, true] {
        let (mut told, mut midway) = (0, 0);
        for after in 0.. {
            let copy = fs.after_kill();
            let (fs, spool) = if is_old { (&copy, open(&copy)) } else { (&fs, spool.clone()) };
            let mut reader = if is_old { spool.old_streams()[0].reader() } else { spool.reader() };
            let before = fs.calls();
            fail(fs, Call::Any, after, 1, ErrorKind::Other);
            let (mut next, mut failures, mut batch) = (1, 0, Batch::default());
            loop {
                match reader.next_batch(100, 1 << 20, &mut batch) {
                    Ok(ReadOutcome::Read) => {
                        for frame in batch.frames() {
                            assert_eq!(frame.seq, next, "call {after}, old: {is_old}");
                            next += 1;
                        }
                    }
                    Ok(ReadOutcome::Empty | ReadOutcome::End) => break,
                    Ok(ReadOutcome::Broken(gap)) => panic!("call {after}: {gap:?}"),
                    Err(_) => failures += 1,
                }
            }
            fs.fail(None);
            assert_eq!(next, 41, "call {after}, old: {is_old}");
            if fs.calls() - before <= after {
                break;
            }
            assert!(failures <= 1, "call {after}, old: {is_old}");
            told += failures;
            midway += 1 - failures;
        }
        assert!(told > 0 && midway > 4, "{told} failed with nothing read, {midway} midway");
    }
}
