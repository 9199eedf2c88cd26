//! Syncs that keep failing: what that takes, what is told, and that it ends.

use std::{
    io::ErrorKind,
    task::{Context, Poll, Waker},
};

use super::*;
use crate::pipeline::spool::{
    Mark, SyncFailed, SyncWait,
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
    assert_eq!(status.bytes + status.kept, fs.bytes_written().1);
}
