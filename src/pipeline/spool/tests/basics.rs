use std::task::Poll;

use super::*;
use crate::pipeline::spool::{Disk, Refused, SyncWait};

#[test]
fn what_was_appended_is_read_back_in_order_once_it_is_synced() {
    let spool = open(&Memory::new());
    let mut store = Store::default();
    let mut reader = spool.reader();
    append(&spool, "a");
    assert_eq!(drain(&mut reader, &mut store), ReadOutcome::Empty);
    assert_eq!(store.all(), [""; 0], "nothing is read before it is on the disk");
    sync(&spool);
    append(&spool, "b");
    drain(&mut reader, &mut store);
    assert_eq!(store.all(), ["a"]);
    sync(&spool);
    drain(&mut reader, &mut store);
    assert_eq!(store.streams[&spool.writer_id()], ["a", "b"]);
}

#[test]
fn a_record_read_twice_has_the_same_salts_and_another_one_has_others() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "a");
    append(&spool, "b");
    sync(&spool);
    let salts = |reader: &mut Reader| {
        let mut batch = Batch::default();
        assert_eq!(reader.next_batch(9, 99, &mut batch).unwrap(), ReadOutcome::Read);
        batch.frames().map(|frame| frame.salts()).collect::<Vec<_>>()
    };
    let mut reader = spool.reader();
    let first = salts(&mut reader);
    reader.seek(0);
    assert_eq!(salts(&mut reader), first);
    let later = open(&fs.after_kill());
    assert_eq!(salts(&mut later.old_streams()[0].reader()), first);
    let mut all = first.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 8);
}

#[test]
fn a_next_process_finds_everything_and_ends_what_did_not_end() {
    let fs = Memory::new();
    let spool = open(&fs);
    let at = Timestamp::from_micros(1);
    let ended = spool.begin(Share::General, at, b"one").unwrap();
    spool.begin(Share::General, at, b"two").unwrap();
    let cancelled = spool.begin(Share::General, at, b"three").unwrap();
    spool.append(Share::General, Some(ended.open), at, b"one, done").unwrap();
    spool.cancel(cancelled.open).unwrap();
    let mut store = Store::default();
    let fs = fs.after_kill();
    recover(&fs, &mut store);
    assert_eq!(store.all(), ["ended:two", "one, done"]);
    // And the one after that finds nothing to add, whether the first could store it or not.
    recover(&fs.after_kill(), &mut store);
    assert_eq!(store.all(), ["ended:two", "one, done"]);
    let mut other = Store::default();
    recover(&fs.after_kill(), &mut other);
    assert_eq!(other.streams, store.streams);
}

#[test]
fn what_is_known_later_of_something_is_what_a_next_process_ends() {
    let fs = Memory::new();
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    let at = Timestamp::from_micros(1);
    let live = spool.begin(Share::General, at, b"begun").unwrap().open;
    let ended = spool.begin(Share::General, at, b"short").unwrap().open;
    spool.renew(Share::Security, live, at, b"answered").unwrap();
    spool.append(Share::General, Some(ended), at, b"short, done").unwrap();
    // It comes too late.
    spool.renew(Share::Security, ended, at, b"short, answered").unwrap();
    let mut store = Store::default();
    recover(&fs.after_kill(), &mut store);
    assert_eq!(store.all(), ["ended:answered", "short, done"]);
    // Also where its segment goes.
    for _ in 0..20 {
        append(&spool, &"x".repeat(10_000));
    }
    sync(&spool);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    clock.advance(Duration::from_secs(601));
    spool.core.tidy();
    sync(&spool);
    spool.core.tidy();
    assert_ne!(fs.paths(".seg")[0].file_name().unwrap(), "0000000000000001.seg");
    recover(&fs.after_kill(), &mut store);
    assert!(store.all().contains(&"ended:answered".to_owned()));
}

#[test]
fn a_next_process_knows_what_was_stored() {
    let fs = Memory::new();
    let spool = open(&fs);
    for n in 1..=5 {
        append(&spool, &format!("r{n}"));
    }
    sync(&spool);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    assert_eq!(open(&fs.after_kill()).old_streams()[0].stored(), 0, "nobody has said so");
    spool.core.tidy();
    let fs = fs.after_kill();
    assert_eq!(open(&fs.after_kill()).old_streams()[0].stored(), 5);
    // It counts whether a process that lies between was able to ask the store or not, until the store was asked.
    let fs = fs.after_kill();
    let next = open(&fs);
    next.core.tidy();
    assert_eq!(open(&fs.after_kill()).old_streams()[0].stored(), 5);
    let old = next.old_streams().remove(0);
    old.reader().acknowledge(3);
    next.core.tidy();
    assert_eq!(open(&fs.after_kill()).old_streams()[0].stored(), 3);
    // A note that cannot be read says nothing.
    let path = fs.paths("/stored").pop().unwrap();
    fs.edit(&path, |bytes| bytes[17] ^= 1);
    assert_eq!(open(&fs.after_kill()).old_streams()[0].stored(), 0);
}

#[test]
fn who_was_erased_before_a_stream_was_begun_takes_none_of_its_ten_minutes() {
    let fs = Memory::new();
    let begun = Timestamp::from_micros(1_000_000);
    let before = Timestamp::from_micros(999_999);
    let spool = open(&fs);
    let mut store = Store::default();
    append(&spool, "a");
    sync(&spool);
    drain(&mut spool.reader(), &mut store);
    spool.core.tidy();
    let kept = fs.paths(".seg");
    spool.leave_stored(Some(before));
    assert_eq!(fs.paths(".seg"), kept);

    // A next process has read nothing of it yet, and sends it again.
    let fs = fs.after_kill();
    let next = open(&fs);
    let old = next.old_streams().remove(0);
    next.leave_stored(Some(before));
    drain_old(&old, &mut Store::default());
    next.core.tidy();
    let is_there = || kept[..1].iter().all(|path| fs.paths(".seg").contains(path));
    assert!(is_there(), "{:?}", fs.paths(".seg"));
    next.leave_stored(Some(begun));
    next.core.tidy();
    assert!(!is_there() && next.has_left());
}

#[test]
fn segments_follow_each_other_and_go_ten_minutes_after_they_were_stored() {
    let fs = Memory::new();
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    let long = "x".repeat(10_000);
    for _ in 0..50 {
        append(&spool, &long);
    }
    sync(&spool);
    let before = fs.paths(".seg").len();
    assert!(before > 5, "{before} segments");
    let mut store = Store::default();
    let mut reader = spool.reader();
    drain(&mut reader, &mut store);
    assert_eq!(store.position(spool.writer_id()), 50);
    spool.core.tidy();
    clock.advance(Duration::from_secs(599));
    spool.core.tidy();
    assert!(fs.paths(".seg").len() >= before, "they are kept for ten minutes");
    // The store went back meanwhile: everything is sent again.
    let mut restored = Store::default();
    drain(&mut reader, &mut restored);
    assert_eq!(restored.streams, store.streams);
    clock.advance(Duration::from_secs(601));
    spool.core.tidy();
    assert!(fs.paths(".seg").len() <= 2, "{:?}", fs.paths(".seg"));
    assert_eq!(spool.status().kept, 0);
    // Now it is too late, and the reader says so.
    let mut restored = Store::default();
    drain(&mut reader, &mut restored);
    let kept = restored.records().len() as u64;
    assert_eq!(restored.missing() + kept, 50);
    assert!(kept < 10);
}

#[test]
fn an_open_that_lives_long_is_copied_forward_and_its_segment_goes() {
    let fs = Memory::new();
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    let at = Timestamp::from_micros(1);
    let live = spool.begin(Share::General, at, b"a stream of events").unwrap();
    let mut store = Store::default();
    let mut reader = spool.reader();
    for _ in 0..3 {
        for _ in 0..20 {
            append(&spool, &"x".repeat(10_000));
        }
        sync(&spool);
        drain(&mut reader, &mut store);
        clock.advance(Duration::from_secs(601));
        spool.core.tidy();
        sync(&spool);
        spool.core.tidy();
    }
    assert!(fs.paths(".seg").len() <= 3);
    for cut in [fs.after_kill(), fs.after_power_cut()] {
        let mut later = store.clone();
        recover(&cut, &mut later);
        assert_eq!(later.position(spool.writer_id()), 61);
        assert!(later.all().contains(&"ended:a stream of events".to_owned()));
    }
    spool.append(Share::General, Some(live.open), at, b"done").unwrap();
    let mut later = store.clone();
    recover(&fs.after_kill(), &mut later);
    assert!(later.all().contains(&"done".to_owned()));
    assert_eq!(later.position(spool.writer_id()), 61, "it ended, and once");
}

#[test]
fn a_stored_stream_of_an_earlier_process_is_removed_with_its_folder() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "a");
    spool.begin(Share::General, Timestamp::default(), b"b").unwrap();
    let id = spool.writer_id();
    let fs = fs.after_kill();
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    assert!(spool.status().bytes > 2_000);
    let mut store = Store::default();
    let old = spool.old_streams();
    assert_eq!(old.len(), 1);
    drain_old(&old[0], &mut store);
    clock.advance(Duration::from_secs(601));
    spool.core.tidy();
    assert_eq!(spool.old_streams().len(), 0);
    assert!(fs.paths(&format!("{:016x}", id.get())).is_empty());
    assert_eq!(store.all(), ["a", "ended:b"]);
}

#[test]
fn a_second_process_is_refused_on_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    private(folder.path());
    let open = || {
        let fs: Arc<dyn Filesystem> = Arc::new(Disk);
        Spool::open(fs, folder.path(), settings(), clock(), WriterId::new(rand::random()))
    };
    let first = open().unwrap();
    append(&first, "a");
    let error = open().unwrap_err().to_string();
    assert!(error.contains(&folder.path().display().to_string()), "{error}");
    assert!(error.contains("another process"), "{error}");
    first.close(Duration::from_secs(60)).unwrap();
    let second = open().unwrap();
    let mut store = Store::default();
    drain_old(&second.old_streams()[0], &mut store);
    assert_eq!(store.all(), ["a"]);
    assert_eq!(first.append(Share::Own, None, Timestamp::default(), b"b"), Err(Refused::Closed));
}

#[test]
fn a_folder_that_is_missing_or_open_to_others_or_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: &std::path::Path, what: &str| {
        let fs: Arc<dyn Filesystem> = Arc::new(Disk);
        let error = Spool::open(fs, path, settings(), clock(), WriterId::new(1)).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
        assert!(error.contains(what), "{error}");
    };
    check(&folder.path().join("nowhere"), "no such folder");
    std::fs::write(folder.path().join("file"), "").unwrap();
    check(&folder.path().join("file"), "not a folder");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(), mode(0o777)).unwrap();
        check(folder.path(), "others");
        std::fs::set_permissions(folder.path(), mode(0o770)).unwrap();
        check(folder.path(), "others");
    }
    // Root may write everywhere, so that this is asked of the other file system.
    let fs = Memory::new();
    fs.fail(Some(memory::Failing {
        call: memory::Call::Create,
        after: 0,
        times: 9,
        error: std::io::ErrorKind::PermissionDenied,
    }));
    let error =
        Spool::open_still(Arc::new(fs), root(), settings(), clock(), WriterId::new(1)).unwrap_err();
    assert!(error.to_string().contains("/spool"), "{error}");
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    private(folder.path());
    let fs: Arc<dyn Filesystem> = Arc::new(Disk);
    let spool = Spool::open(fs, folder.path(), settings(), clock(), WriterId::new(5)).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let stream = folder.path().join("0000000000000005");
    assert_eq!(mode(&stream), 0o700);
    assert_eq!(mode(&stream.join("0000000000000001.seg")), 0o600);
    assert_eq!(mode(&folder.path().join("lock")), 0o600);
    assert_eq!(mode(&folder.path().join("quarantine")), 0o700);
    spool.close(Duration::from_secs(60)).unwrap();
}

#[tokio::test]
async fn whoever_waits_for_the_disk_is_woken_by_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    private(folder.path());
    let fs: Arc<dyn Filesystem> = Arc::new(Disk);
    let hour = Settings { fsync_interval: Duration::from_secs(3_600), ..settings() };
    let spool = Spool::open(fs, folder.path(), hour, clock(), WriterId::new(5)).unwrap();
    let wait = async |spool: &Spool| {
        let mark = spool.append(Share::General, None, Timestamp::default(), b"a").unwrap().mark;
        let mut wait = SyncWait::default();
        std::future::poll_fn(|cx| spool.poll_synced(mark, &mut wait, cx)).await.unwrap();
    };
    for _ in 0..20 {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let spool = spool.clone();
                tokio::spawn(async move { wait(&spool).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    assert_eq!(append(&spool, "last"), 161);
    spool.sync_all(Duration::from_secs(60)).unwrap();
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    assert_eq!(store.position(spool.writer_id()), 161);
    // After the end nobody waits for ever.
    spool.close(Duration::from_secs(60)).unwrap();
    let mut wait = SyncWait::default();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = spool.poll_synced(super::super::Mark(999), &mut wait, &mut cx);
    assert!(matches!(polled, Poll::Ready(Err(_))));
}

#[tokio::test]
async fn the_thread_leaves_what_nobody_waits_for_to_gather_whatever_else_wakes_it() {
    let fs = Memory::new();
    let hour = Settings { fsync_interval: Duration::from_secs(3_600), ..settings() };
    let files: Arc<dyn Filesystem> = Arc::new(fs.clone());
    let spool = Spool::open(files, root(), hour, clock(), WriterId::new(5)).unwrap();
    let room = spool.room();
    for _ in 0..3 {
        append(&spool, "a");
        let tidied = room.notified();
        spool.core.sync.tidy();
        tidied.await;
        assert_eq!(spool.core.sync.synced(), 0);
    }
    spool.sync_all(Duration::from_secs(60)).unwrap();
    assert_eq!(spool.core.sync.synced(), 3);
    spool.close(Duration::from_secs(60)).unwrap();
}

#[test]
fn the_lanes_have_their_shares_of_the_cap_and_stored_bytes_come_back() {
    let fs = Memory::new();
    let spool = open(&fs);
    let text = "x".repeat(9_000);
    let fill = |share| {
        let mut count = 0_u64;
        while spool.append(share, None, Timestamp::default(), text.as_bytes()).is_ok() {
            count += 9_036;
        }
        count
    };
    let cap = 1_u64 << 20;
    let general = fill(Share::General);
    assert!((cap * 7 / 8 - general) < 40_000, "{general}");
    let security = fill(Share::Security);
    assert!(security > cap / 8 - 20_000, "{security}");
    assert!(general + security <= cap);
    let own = fill(Share::Own);
    assert!(own > (1 << 20) - 40_000);
    let full = spool.append(Share::General, None, Timestamp::default(), b"a");
    assert_eq!(full, Err(Refused::Full));
    sync(&spool);
    let mut store = Store::default();
    drain(&mut spool.reader(), &mut store);
    spool.core.tidy();
    // Only the segment that is written to is still owed; what was stored gave way at once.
    assert!(spool.status().bytes < 80_000, "{:?}", spool.status());
    let on_disk: usize = fs.paths(".seg").iter().map(|path| fs.bytes(path).len()).sum();
    assert!((on_disk as u64) < cap, "{on_disk}");
    append(&spool, "a");
}

#[test]
fn the_floor_of_the_disk_refuses_lane_by_lane_and_recovers_by_itself() {
    let fs = Memory::new();
    let floor = Settings { floor: 100_000, ..settings() };
    let spool = open_with(&fs, floor, clock());
    fs.set_room(Some(100_000 + 50_000));
    sync(&spool);
    append(&spool, "a");
    sync(&spool);
    append(&spool, &"x".repeat(40_000));
    let refused = |share, len: usize| {
        spool.append(share, None, Timestamp::default(), "x".repeat(len).as_bytes()).err()
    };
    assert_eq!(refused(Share::General, 20_000), Some(Refused::NoSpace));
    assert_eq!(refused(Share::Security, 20_000), None);
    assert_eq!(refused(Share::Security, 40_000), Some(Refused::NoSpace));
    assert!(spool.status().is_below_floor);
    fs.set_room(None);
    spool.core.tidy();
    assert_eq!(refused(Share::General, 20_000), None);
    assert!(!spool.status().is_below_floor);
}

#[test]
fn whoever_is_refused_again_and_again_does_not_keep_the_thread_at_work() {
    // Appends until it is refused; tells for which reason, and whether the thread was asked to look for room.
    let fill = |spool: &Spool| {
        let append =
            || spool.append(Share::General, None, Timestamp::default(), &[b'x'; 9_000]).err();
        let refused = std::iter::repeat_with(append).find_map(|refused| refused).unwrap();
        (refused, spool.core.sync.is_untidy.swap(false, Ordering::AcqRel))
    };
    // Room comes from the store.
    let spool = open(&Memory::new());
    fill(&spool);
    assert_eq!(fill(&spool), (Refused::Full, false));
    // From the disk, whose floor or whose end is met: it is looked at once, then now and then.
    for (floor, room) in [(100_000, 150_000), (0, 50_000)] {
        let fs = Memory::new();
        let spool = open_with(&fs, Settings { floor, ..settings() }, clock());
        fs.set_room(Some(room));
        if floor > 0 {
            spool.core.check_space();
        }
        assert_eq!(fill(&spool), (Refused::NoSpace, true), "{floor}");
        for _ in 0..3 {
            assert_eq!(fill(&spool), (Refused::NoSpace, false), "{floor}");
            assert!(spool.core.has_to_tidy());
            spool.core.tidy();
        }
        fs.set_room(None);
        spool.core.tidy();
        append(&spool, "a");
        // And again when it is short the next time, though nothing is written that would ask for anything itself.
        fs.set_room(Some(0));
        spool.core.check_space();
        spool.core.sync.is_untidy.store(false, Ordering::Release);
        assert_eq!(fill(&spool), (Refused::NoSpace, true), "{floor}");
    }
}

#[test]
fn a_disk_that_is_full_to_the_last_byte_refuses_and_goes_on_when_there_is_room() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "a");
    fs.set_room(Some(5_000));
    let long = "x".repeat(9_000);
    for _ in 0..3 {
        let refused = spool.append(Share::General, None, Timestamp::default(), long.as_bytes());
        assert_eq!(refused, Err(Refused::NoSpace));
    }
    append(&spool, "b");
    fs.set_room(None);
    append(&spool, "c");
    let mut store = Store::default();
    recover(&fs.after_kill(), &mut store);
    assert_eq!(store.all(), ["a", "b", "c"]);
}

#[test]
fn a_stuck_append_keeps_others_off_the_disk() {
    let soon = Settings { stuck_after: Duration::from_millis(10), ..settings() };
    let spool = open_with(&Memory::new(), soon, clock());
    let held = spool.core.active.lock();
    let other = spool.clone();
    let refused = std::thread::spawn(move || {
        let first = other.append(Share::General, None, Timestamp::default(), b"a");
        let second = other.append(Share::General, None, Timestamp::default(), b"a");
        (first, second, other.is_stuck())
    });
    let (first, second, is_stuck) = refused.join().unwrap();
    assert_eq!((first, second), (Err(Refused::Stuck), Err(Refused::Stuck)));
    assert!(is_stuck);
    drop(held);
    append(&spool, "a");
    assert!(!spool.is_stuck());
}

#[test]
fn an_old_spool_of_many_segments_is_opened_by_its_names_alone() {
    let fs = Memory::new();
    let large = Settings { cap: 64 << 20, ..settings() };
    let spool = open_with(&fs, large, clock());
    for _ in 0..times(1_000, 3_000) {
        append(&spool, &"x".repeat(10_000));
    }
    let fs = fs.after_kill();
    assert!(fs.paths(".seg").len() > 2);
    let short = Memory::new();
    append(&open_with(&short, large, clock()), "a");
    let short = short.after_kill();
    let opened = |fs: &Memory| {
        let before = fs.calls();
        let spool = open_with(fs, large, clock());
        append(&spool, "a");
        (fs.calls() - before, spool)
    };
    let (calls, spool) = opened(&fs);
    assert_eq!(calls, opened(&short).0, "as many as for a single segment");
    // And no more than a batch is in memory while it is read.
    let old = spool.old_streams();
    old[0].ending(0).unwrap().finish().unwrap();
    let mut reader = old[0].reader();
    let mut batch = Batch::default();
    let mut count = 0;
    while reader.next_batch(5_000, 1 << 20, &mut batch).unwrap() == ReadOutcome::Read {
        assert!(batch.bytes() <= 1 << 20);
        count += batch.len();
        reader.acknowledge(count as Number);
    }
    assert_eq!(count, times(1_000, 3_000));
}

pub(super) fn private(folder: &std::path::Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let _: &std::path::Path = folder;
}

#[test]
fn what_is_stored_is_kept_while_the_store_is_away_and_ten_minutes_from_then_on() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "r1");
    sync(&spool);
    drop(spool);
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    let old = spool.old_streams().remove(0);
    let mut store = Store::default();
    drain_old(&old, &mut store);
    let minutes = |minutes: u64| clock.advance(Duration::from_secs(60 * minutes));
    let is_there = || {
        spool.core.tidy();
        !spool.old_streams().is_empty()
    };
    minutes(9);
    spool.set_away(true);
    minutes(20);
    assert!(is_there(), "nobody knows what it will come back with");
    spool.set_away(false);
    assert!(is_there());
    minutes(9);
    // It has gone back: all of it is sent again.
    store = Store::default();
    assert!(is_there());
    drain_old(&old, &mut store);
    assert_eq!(store.records(), texts(1..=1));
    minutes(11);
    assert!(!is_there());
}
