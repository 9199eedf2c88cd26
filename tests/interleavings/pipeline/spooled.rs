//! Appends, syncs, waits, damage and the end of a spool, on a file system that keeps only what was synced.

use std::{
    future::poll_fn,
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use shuttle::{future::block_on, thread};

use super::spool::{
    Settings, Share, Spool, SyncWait,
    fuzzed::{
        Store, drain_old,
        memory::{Call, Failing, Memory, root},
    },
};
use crate::{
    record::WriterId,
    time::{ManualClock, Timestamp},
    tried,
};

const AT: Timestamp = Timestamp::from_micros(7);
/// Nothing times out here; where it is waited for so long, it is a deadlock.
const LONG: Duration = Duration::from_secs(60);

fn open(fs: &Memory) -> Spool {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let id = WriterId::new(NEXT.fetch_add(1, Ordering::Relaxed));
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    let settings = Settings { cap: 1 << 20, floor: 0, ..Settings::default() };
    Spool::open(Arc::new(fs.clone()), root(), settings, clock, id).unwrap()
}

/// Appends, and waits as a strict request does; tells whether the record was said to be on the disk.
fn write(spool: &Spool, text: &str) -> Option<bool> {
    let appended = spool.append(Share::General, None, AT, text.as_bytes()).ok()?;
    let mut wait = SyncWait::default();
    Some(block_on(poll_fn(|cx| spool.poll_synced(appended.mark, &mut wait, cx))).is_ok())
}

/// What a next process finds after the power went.
fn found(fs: &Memory) -> Vec<String> {
    let mut store = Store::default();
    let next = open(&fs.after_power_cut());
    for old in next.old_streams() {
        drain_old(&old, &mut store);
    }
    next.close(LONG).unwrap();
    store.all()
}

#[test]
fn whoever_waits_is_told_and_what_was_told_is_on_the_disk() {
    tried(200, 30_000, || {
        let fs = Memory::new();
        let spool = open(&fs);
        let writers: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let spool = spool.clone();
                thread::spawn(move || {
                    ["1", "2"]
                        .into_iter()
                        .map(|n| format!("{name}{n}"))
                        .filter(|text| write(&spool, text) == Some(true))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut told: Vec<_> = writers.into_iter().flat_map(|w| w.join().unwrap()).collect();
        told.sort_unstable();
        // Not closed: the power goes.
        assert_eq!(found(&fs), told);
        spool.close(LONG).unwrap();
    });
}

#[test]
fn who_blocks_is_told_too() {
    tried(200, 30_000, || {
        let fs = Memory::new();
        let spool = open(&fs);
        let blocked = {
            let spool = spool.clone();
            thread::spawn(move || {
                // Refused, where another append holds the lock for too long.
                let Ok(appended) = spool.append(Share::General, None, AT, b"blocked") else {
                    return false;
                };
                spool.wait_synced(appended.mark, LONG).is_ok()
            })
        };
        assert_ne!(write(&spool, "other"), Some(false));
        let told = blocked.join().unwrap();
        assert_eq!(found(&fs).contains(&"blocked".to_owned()), told);
        spool.close(LONG).unwrap();
    });
}

#[test]
fn a_close_keeps_what_was_taken_and_refuses_the_rest() {
    tried(200, 30_000, || {
        let fs = Memory::new();
        let spool = open(&fs);
        let writers: Vec<_> = ["record-a", "record-b"]
            .into_iter()
            .map(|name| {
                let spool = spool.clone();
                thread::spawn(move || {
                    let waits = write(&spool, name) == Some(true);
                    let goes =
                        spool.append(Share::General, None, AT, format!("{name}!").as_bytes());
                    (name, waits, goes.is_ok())
                })
            })
            .collect();
        let closed = spool.close(LONG);
        let mut told = Vec::new();
        for (name, waits, goes) in writers.into_iter().map(|writer| writer.join().unwrap()) {
            told.extend(waits.then(|| name.to_owned()));
            told.extend(goes.then(|| format!("{name}!")));
        }
        let found = found(&fs);
        // A close that could not get the lock in time says so, and owes nothing.
        if closed.is_ok() {
            for record in &told {
                assert!(found.contains(record), "{record} was taken, and {found:?} is there");
            }
        }
        assert!(spool.append(Share::General, None, AT, b"late").is_err() || closed.is_err());
        spool.close(LONG).ok();
    });
}

#[test]
fn a_sync_that_fails_is_never_told_as_done_and_nobody_waits_for_ever() {
    tried(200, 30_000, || {
        let fs = Memory::new();
        let spool = open(&fs);
        // The memory file system forgets what it could not sync, as kernels may.
        let error = ErrorKind::Other;
        fs.fail(Some(Failing { call: Call::Sync, after: 0, times: 2, error }));
        let writers: Vec<_> = ["record-a", "record-b"]
            .into_iter()
            .map(|name| {
                let (spool, fs) = (spool.clone(), fs.clone());
                thread::spawn(move || {
                    let told = write(&spool, name);
                    if told == Some(true) {
                        // At this very moment.
                        assert!(fs.after_power_cut().holds(name.as_bytes()), "{name} is not there");
                    }
                    told.is_some()
                })
            })
            .collect();
        let taken = writers.into_iter().map(|w| w.join().unwrap()).filter(|taken| *taken).count();
        spool.close(LONG).unwrap();
        assert_eq!(found(&fs).len(), taken);
    });
}

#[test]
fn a_reader_beside_the_writers_reads_each_record_once_and_none_that_is_not_on_the_disk() {
    tried(200, 20_000, || {
        let fs = Memory::new();
        let spool = open(&fs);
        let writers: Vec<_> = ["record-a", "record-b"]
            .into_iter()
            .map(|name| {
                let spool = spool.clone();
                thread::spawn(move || write(&spool, name).is_some())
            })
            .collect();
        let reader = {
            let (spool, fs) = (spool.clone(), fs.clone());
            thread::spawn(move || {
                let mut reader = spool.reader();
                let mut batch = super::spool::Batch::default();
                let mut read = Vec::new();
                for _ in 0..4 {
                    if reader.next_batch(8, 1 << 20, &mut batch).unwrap()
                        == super::spool::ReadOutcome::Read
                    {
                        for frame in batch.frames() {
                            assert!(fs.after_power_cut().holds(frame.record), "not on the disk");
                            read.push(frame.record.to_vec());
                        }
                        reader.acknowledge(read.len() as i64);
                    }
                    thread::yield_now();
                }
                (reader, read)
            })
        };
        let taken = writers.into_iter().map(|w| w.join().unwrap()).filter(|t| *t).count();
        let (mut reader, mut read) = reader.join().unwrap();
        spool.close(LONG).unwrap();
        let mut batch = super::spool::Batch::default();
        while reader.next_batch(8, 1 << 20, &mut batch).unwrap() == super::spool::ReadOutcome::Read
        {
            read.extend(batch.frames().map(|frame| frame.record.to_vec()));
        }
        read.sort_unstable();
        let count = read.len();
        read.dedup();
        assert_eq!((read.len(), count), (taken, taken));
    });
}

/// An open that is ended while the power may go: the record, or what says that it did not end, never both.
#[test]
fn what_is_begun_has_one_end() {
    tried(200, 20_000, || {
        let fs = Memory::new();
        let spool = open(&fs);
        let requests: Vec<_> = [true, false]
            .into_iter()
            .map(|is_kept| {
                let spool = spool.clone();
                thread::spawn(move || {
                    let Ok(begun) = spool.begin(Share::General, AT, b"begun") else { return };
                    if is_kept {
                        spool.append(Share::General, Some(begun.open), AT, b"done").ok();
                    } else {
                        spool.cancel(begun.open).ok();
                    }
                })
            })
            .collect();
        let cut = {
            let fs = fs.clone();
            thread::spawn(move || fs.after_kill())
        };
        let cut = cut.join().unwrap();
        requests.into_iter().for_each(|request| request.join().unwrap());
        spool.close(LONG).ok();
        let mut store = Store::default();
        let next = open(&cut);
        for old in next.old_streams() {
            drain_old(&old, &mut store);
        }
        next.close(LONG).unwrap();
        let all = store.all();
        assert!(all.len() <= 2, "{all:?}");
        assert!(all.iter().filter(|record| *record == "done").count() <= 1, "{all:?}");
        assert_eq!(store.missing(), 0, "{all:?}");
    });
}
