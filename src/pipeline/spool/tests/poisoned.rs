//! Syncs that keep failing: what that takes, what is told, and that it ends.

use std::{
    io::ErrorKind,
    task::{Context, Poll, Waker},
};

use super::*;
use crate::pipeline::spool::{
    Mark, Refused, SyncFailed, SyncWait, format,
    fuzzed::memory::{Call, Failing},
};

const AT: Timestamp = Timestamp::from_micros(3);

const fn always(call: Call) -> Failing {
    Failing { call, after: 0, times: u64::MAX, error: ErrorKind::Other }
}

fn poll(spool: &Spool, mark: Mark, wait: &mut SyncWait) -> Poll<Result<(), SyncFailed>> {
    spool.poll_synced(mark, wait, &mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_sync_that_keeps_failing_takes_a_bounded_part_of_the_disk_and_ends() {
    let mut row = Row { fault: "17 syncs keep failing", ..Row::default() };
    for keeps in [false, true] {
        let fs = Memory::new();
        if keeps {
            fs.keep_what_fails();
        }
        let spool = open(&fs);
        append(&spool, "r1");
        sync(&spool);
        fs.fail([always(Call::Sync)]);
        let all = times(400, 5_000);
        let mut waits = Vec::new();
        for n in 2..=all {
            let text = format!("r{n}");
            // As a strict request does.
            let mark = spool.append(Share::General, None, AT, text.as_bytes()).unwrap().mark;
            let mut wait = SyncWait::default();
            assert!(poll(&spool, mark, &mut wait).is_pending());
            waits.push((mark, wait));
            assert!(spool.core.sync_once().is_err());
            assert!(fs.open_files() <= 4, "{} files are open", fs.open_files());
            assert!(fs.paths(".seg").len() <= 4, "{:?}", fs.paths(".seg"));
            // The one that failed first, and two copies of what is not safe.
            let most = 3 * (format::FRAMES_AT + n as u64 * 128);
            assert!(fs.bytes_written().1 < most && spool.status().bytes < most);
        }
        assert!(waits.iter_mut().all(|(mark, wait)| poll(&spool, *mark, wait).is_pending()));
        fs.fail(None);
        sync(&spool);
        let told = |(mark, wait): &mut (Mark, SyncWait)| poll(&spool, *mark, wait);
        assert!(waits.iter_mut().all(|wait| told(wait) == Poll::Ready(Ok(()))));
        assert_eq!(fs.paths(".seg").len(), 2, "what failed is cleared away");
        assert_eq!(spool.status().bytes, fs.bytes_written().1, "and accounted for");
        let mut store = Store::default();
        recover(&fs.after_power_cut(), &mut store);
        assert_eq!(store.all(), texts(1..=all));
        let mut store = Store::default();
        drain(&mut spool.reader(), &mut store);
        assert_eq!(store.all(), texts(1..=all));
        row.runs += 1;
        row.sent += all as u64;
        row.stored += all as u64;
    }
    row.report();
}

#[test]
fn while_syncs_fail_no_more_is_taken_than_memory_keeps() {
    let fs = Memory::new();
    let spool = open_with(&fs, Settings { cap: 1 << 30, ..settings() }, clock());
    append(&spool, "r1");
    fs.fail([always(Call::Sync)]);
    let text = [b'x'; 1 << 20];
    let mut taken = 1;
    for _ in 0..3 {
        assert!(spool.core.sync_once().is_err());
        while taken < 20 && spool.append(Share::General, None, AT, &text).is_ok() {
            taken += 1;
        }
        assert_eq!(spool.append(Share::General, None, AT, &text), Err(Refused::Failed));
    }
    assert_eq!(taken, 1 + 6);
    let security = spool.append(Share::Security, None, AT, &text[..1 << 19]);
    assert!(security.is_ok(), "there is a rest for the security lane");
    fs.fail(None);
    sync(&spool);
    for _ in 0..12 {
        spool.append(Share::General, None, AT, &text).unwrap();
    }
    sync(&spool);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    assert_eq!((store.records().len(), store.missing()), (taken + 1 + 12, 0));
}

#[test]
fn more_than_memory_keeps_is_copied_once_for_each_failure_and_not_its_copies_too() {
    let fs = Memory::new();
    fs.keep_what_fails();
    let spool = open_with(&fs, Settings { cap: 1 << 30, ..settings() }, clock());
    let open = spool.begin(Share::General, AT, b"begun").unwrap().open;
    // A sync that hangs for long.
    for _ in 0..12 {
        append(&spool, &"x".repeat(1 << 20));
    }
    let (_, all) = fs.bytes_written();
    fs.fail([always(Call::Sync)]);
    for _ in 0..5 {
        let (before, _) = fs.bytes_written();
        assert!(spool.core.sync_once().is_err());
        let (after, used) = fs.bytes_written();
        assert!(after - before <= all + 4096, "{} of {all} bytes were written", after - before);
        assert!(used <= 2 * all + 4096 && spool.status().bytes <= 2 * all + 4096);
        let refused = spool.append(Share::Own, None, AT, b"more");
        assert_eq!(refused, Err(Refused::Failed), "it would have to be copied too");
    }
    fs.fail(None);
    sync(&spool);
    assert!(fs.bytes_written().1 <= all + 4096);
    spool.append(Share::General, Some(open), AT, b"more").unwrap();
    sync(&spool);
    let mut store = Store::default();
    recover(&fs.after_power_cut(), &mut store);
    assert_eq!((store.records().len(), store.missing()), (13, 0));
}

#[test]
fn whoever_waits_does_not_cut_the_pause_short_after_a_failed_sync() {
    const PAUSE: Duration = Duration::from_millis(30);
    let spool = open(&Memory::new());
    std::thread::current().unpark();
    let begun = std::time::Instant::now();
    spool.core.back_off(PAUSE);
    assert!(begun.elapsed() >= PAUSE);
    spool.close(Duration::ZERO).unwrap();
    spool.core.back_off(Duration::MAX);
}

#[test]
fn copies_that_cannot_be_removed_are_few() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "r1");
    fs.fail([always(Call::Sync), always(Call::Remove)]);
    for _ in 0..50 {
        assert!(spool.core.sync_once().is_err());
    }
    assert!(fs.paths(".seg").len() <= 12, "{:?}", fs.paths(".seg"));
    fs.fail([always(Call::Sync)]);
    assert!(spool.core.sync_once().is_err());
    fs.fail(None);
    sync(&spool);
    assert_eq!(fs.paths(".seg").len(), 1);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    assert_eq!(store.all(), texts(1..=1));
}

#[test]
fn a_close_after_a_sync_that_failed_says_so_and_leaves_what_was_written() {
    let fs = Memory::new();
    fs.keep_what_fails();
    let spool = open(&fs);
    append(&spool, "r1");
    sync(&spool);
    let mark = spool.append(Share::General, None, AT, b"r2").unwrap().mark;
    let mut wait = SyncWait::default();
    assert!(poll(&spool, mark, &mut wait).is_pending());
    fs.fail([always(Call::Any)]);
    assert!(spool.core.sync_once().is_err());
    assert_eq!(spool.close(Duration::ZERO), Err(SyncFailed));
    // The last attempt of the thread.
    spool.core.run_sync();
    assert_eq!(poll(&spool, mark, &mut wait), Poll::Ready(Err(SyncFailed)));
    fs.fail(None);
    let mut store = Store::default();
    recover(&fs.after_kill(), &mut store);
    assert_eq!((store.all(), store.missing()), (texts(1..=2), 0));
}

#[test]
fn a_close_writes_again_what_a_sync_failed_to_keep_once_the_disk_is_well() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "r1");
    fs.fail([always(Call::Any)]);
    assert!(spool.core.sync_once().is_err());
    assert_eq!(spool.close(Duration::ZERO), Err(SyncFailed));
    fs.fail(None);
    spool.core.run_sync();
    assert_eq!(spool.sync_all(Duration::ZERO), Ok(()));
    let mut store = Store::default();
    recover(&fs.after_power_cut(), &mut store);
    assert_eq!(store.all(), texts(1..=1));
}

#[test]
fn what_a_failed_sync_was_about_is_not_tidied_away_before_it_is_safe() {
    let fs = Memory::new();
    fs.keep_what_fails();
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    append(&spool, "r1");
    sync(&spool);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    append(&spool, "r2");
    fs.fail([always(Call::Sync), always(Call::Create)]);
    assert!(spool.core.sync_once().is_err());
    clock.advance(Duration::from_secs(700));
    spool.core.tidy();
    fs.fail(None);
    recover(&fs.after_kill(), &mut store);
    assert_eq!((store.all(), store.missing()), (texts(1..=2), 0));
}

#[test]
fn what_cannot_be_cleared_away_holds_no_reader_up_and_is_tried_again() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "first");
    sync(&spool);
    // Over the end of the segment.
    for _ in 0..9 {
        append(&spool, &"x".repeat(10_000));
    }
    assert_eq!(fs.paths(".seg").len(), 2);
    fs.fail([Failing { times: 1, ..always(Call::Sync) }]);
    assert!(spool.core.sync_once().is_err());
    fs.fail([always(Call::Remove), always(Call::SetLen)]);
    sync(&spool);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    assert_eq!((store.records().len(), store.missing()), (10, 0));
    assert!(spool.core.has_to_tidy());
    fs.fail(None);
    let spent = fs.paths(".seg").remove(1);
    spool.core.tidy();
    assert!(!fs.paths(".seg").contains(&spent));
    let status = spool.status();
    // Beside the segments there is the note of how far the store was.
    let notes = fs.paths("stored").iter().map(|path| fs.bytes(path).len() as u64).sum::<u64>();
    assert_eq!(status.bytes + status.kept + notes, fs.bytes_written().1);
}

#[test]
fn a_disk_that_goes_on_failing_is_given_a_small_part_of_what_memory_does_not_keep() {
    const MANY: usize = 24;
    let fs = Memory::new();
    fs.keep_what_fails();
    let spool = open_with(&fs, Settings { cap: 1 << 30, ..settings() }, clock());
    let open = spool.begin(Share::General, AT, b"begun").unwrap().open;
    for _ in 0..MANY {
        append(&spool, &"x".repeat(1 << 20));
    }
    fs.fail([always(Call::Sync)]);
    assert!(spool.core.sync_once().is_err());
    let (before, used) = fs.bytes_written();
    let failed = spool.status().poisoned;
    for attempt in 1..=30 {
        assert!(spool.core.sync_once().is_err());
        let (after, now) = fs.bytes_written();
        let part = (2 << 20) + format::FRAMES_AT;
        assert!(after - before <= attempt * part, "{} in {attempt}", after - before);
        assert!(now <= used + part && fs.paths(".seg").len() <= 3, "{:?}", fs.paths(".seg"));
        assert_eq!(spool.status().poisoned, failed + attempt);
    }
    // Parts that can be synced, and one in the middle that cannot.
    fs.fail([Failing { after: 7, times: 1, ..always(Call::Sync) }]);
    assert!(spool.core.sync_once().is_err());
    fs.fail(None);
    sync(&spool);
    assert_eq!(fs.bytes_written().1, spool.status().bytes, "and accounted for");
    spool.append(Share::General, Some(open), AT, b"more").unwrap();
    sync(&spool);
    for fs in [fs.after_power_cut(), fs.after_kill()] {
        let mut store = Store::default();
        recover(&fs, &mut store);
        assert_eq!((store.records().len(), store.missing()), (MANY + 1, 0));
    }
}
