use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::pipeline::spool::{MAX_RECORD, MIN_CAP, Refused, SyncWait};

const AT: Timestamp = Timestamp::from_micros(3);

#[test]
fn a_cap_that_is_too_small_is_a_start_error() {
    let fs = Arc::new(Memory::new());
    let small = Settings { cap: MIN_CAP - 1, ..settings() };
    let error = Spool::open_still(fs, root(), small, clock(), WriterId::new(1)).unwrap_err();
    assert!(error.to_string().contains("below the least"), "{error}");
}

#[test]
fn a_record_that_is_too_long_is_refused_for_that() {
    let spool = open(&Memory::new());
    let long = vec![b'x'; MAX_RECORD + 1];
    assert_eq!(spool.append(Share::Own, None, AT, &long), Err(Refused::TooLong));
}

#[test]
fn the_end_of_what_was_begun_takes_the_reserve() {
    let spool = open(&Memory::new());
    let open = spool.begin(Share::General, AT, b"begun").unwrap().open;
    let text = [b'x'; 9_000];
    while spool.append(Share::General, None, AT, &text).is_ok() {}
    assert!(spool.append(Share::General, Some(open), AT, &text).is_ok());
}

#[test]
fn what_a_failed_write_left_is_cut_and_never_told_of() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "r1");
    fs.fail(Some(memory::Failing {
        call: memory::Call::Write,
        after: 0,
        times: 1,
        error: std::io::ErrorKind::Other,
    }));
    assert_eq!(spool.append(Share::General, None, AT, b"r2"), Err(Refused::Failed));
    let mut store = Store::default();
    recover(&fs.after_kill(), &mut store);
    assert_eq!(store.all(), ["r1"]);
}

#[test]
fn a_segment_of_a_later_version_is_refused_by_name_and_left_alone() {
    let fs = Memory::new();
    append(&open(&fs), "r1");
    let fs = fs.after_kill();
    let path = fs.paths(".seg").remove(0);
    fs.edit(&path, |bytes| {
        for at in [0, 512] {
            bytes[at + 8] = 2;
            let crc = crc32c::crc32c(&bytes[at..at + 108]);
            bytes[at + 108..at + 112].copy_from_slice(&crc.to_le_bytes());
        }
    });
    let before = fs.bytes(&path);
    let spool = open(&fs);
    let old = spool.old_streams().remove(0);
    let ended = old.ending(0).unwrap_err();
    let read = old.reader().next_batch(9, 99, &mut Batch::default()).unwrap_err();
    for error in [ended, read] {
        assert!(error.to_string().contains("later version"), "{error}");
    }
    assert_eq!(spool.status().quarantined, 0);
    assert_eq!(fs.bytes(&path), before);
}

#[test]
fn a_copy_of_an_open_is_on_the_disk_before_its_segment_goes() {
    let fs = Memory::new();
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    spool.begin(Share::General, AT, b"long").unwrap();
    for _ in 0..20 {
        append(&spool, &"x".repeat(10_000));
    }
    sync(&spool);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    clock.advance(Duration::from_secs(601));
    spool.core.tidy();
    recover(&fs.after_power_cut(), &mut store);
    assert!(store.all().contains(&"ended:long".to_owned()));
}

#[test]
fn segments_stay_when_the_store_goes_back_before_they_went() {
    let fs = Memory::new();
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    for _ in 0..20 {
        append(&spool, &"x".repeat(10_000));
    }
    sync(&spool);
    let segments = fs.paths(".seg").len();
    let mut reader = spool.reader();
    drain(&mut reader, &mut Store::default());
    reader.acknowledge(0);
    clock.advance(Duration::from_secs(700));
    spool.core.tidy();
    assert!(fs.paths(".seg").len() >= segments);
}

#[test]
fn what_was_ended_after_a_kill_has_what_came_before_it_on_the_disk() {
    let fs = Memory::new();
    let spool = open(&fs);
    sync(&spool);
    spool.begin(Share::General, AT, b"begun").unwrap();
    append(&spool, "r1");
    let fs = fs.after_kill();
    let next = open(&fs);
    let mut ending = next.old_streams()[0].ending(0).unwrap();
    let begun = ending.next_unfinished().unwrap().unwrap();
    ending.end(begun.open, AT, b"ended").unwrap();
    ending.finish().unwrap();
    let mut store = Store::default();
    recover(&fs.after_power_cut(), &mut store);
    assert_eq!(store.all(), ["ended", "r1"]);
}

#[test]
fn waits_that_were_given_up_are_not_kept() {
    struct Task;
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let spool = open(&Memory::new());
    let mark = spool.append(Share::General, None, AT, b"r1").unwrap().mark;
    let task = Arc::new(Task);
    let waker = Waker::from(Arc::clone(&task));
    let poll = |wait: &mut SyncWait, waker: &Waker| {
        spool.poll_synced(mark, wait, &mut Context::from_waker(waker))
    };
    let mut patient = SyncWait::default();
    assert!(poll(&mut patient, Waker::noop()).is_pending());
    for _ in 0..10_000 {
        let mut wait = SyncWait::default();
        assert!(poll(&mut wait, &waker).is_pending());
    }
    assert_eq!(Arc::strong_count(&task), 2, "the task of a wait that is gone is kept");
    assert!(spool.core.sync.waiting() <= 128, "{} waits are kept", spool.core.sync.waiting());
    sync(&spool);
    assert_eq!(poll(&mut patient, Waker::noop()), Poll::Ready(Ok(())));
    assert_eq!(spool.core.sync.waiting(), 0);
}

/// The thread of the spool is in the middle of something that never ends; all that was written is on the disk.
#[cfg(feature = "axum")]
#[test]
fn closing_does_not_wait_for_a_disk_that_hangs() {
    const LONG: Duration = Duration::from_secs(120);
    let (folder, disk) = (tempfile::tempdir().unwrap(), crate::pipeline::gated::Disk::default());
    let (fs, id) = (Arc::new(disk.clone()), WriterId::new(9));
    let spool = Spool::open(fs, folder.path(), settings(), clock(), id).unwrap();
    let mut record = Vec::new();
    crate::record::Record::default().to_portable(&mut record);
    let appended = spool.append(Share::General, None, Timestamp::from_micros(7), &record).unwrap();
    spool.wait_synced(appended.mark, LONG).unwrap();
    disk.hang();
    spool.core.sync.tidy();
    let begun = std::time::Instant::now();
    while !disk.is_asked() {
        assert!(begun.elapsed() < LONG, "the thread does not look after the disk");
        std::thread::yield_now();
    }
    let (done, closed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let synced = spool.close(Duration::from_millis(50));
        let _nobody_waits = done.send(synced);
    });
    let closed = closed.recv_timeout(LONG);
    disk.release();
    assert_eq!(closed, Ok(Ok(())), "what was written is safe, and nobody waits for the rest");
}
