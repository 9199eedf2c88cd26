//! Since when something waits for the store, in this stream and in earlier ones.

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn what_earlier_processes_left_waits_from_the_start_on_before_anybody_reads_it() {
    let fs = Memory::new();
    let clock = clock();
    let begun = Timestamp::from_micros(1_000_000);
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    append(&spool, "r1");
    sync(&spool);
    drop(spool);
    clock.advance(HOUR);
    let next = open_with(&fs.after_kill(), settings(), Arc::clone(&clock));
    // As the thread does first.
    next.core.learn_headers();
    assert_eq!((next.status().oldest, next.status().own_oldest), (Some(begun), None));
    // What this process writes is younger.
    let at = begun.saturating_add(HOUR);
    next.append(Share::General, None, at, b"r2").unwrap();
    sync(&next);
    let (mut own, mut batch) = (next.reader(), Batch::default());
    assert_eq!(own.next_batch(10, 1 << 20, &mut batch).unwrap(), ReadOutcome::Read);
    assert_eq!((next.status().oldest, next.status().own_oldest), (Some(begun), Some(at)));
    let mut store = Store::default();
    for old in next.old_streams() {
        drain_old(&old, &mut store);
    }
    assert_eq!((next.status().oldest, next.status().own_oldest), (Some(at), Some(at)));
    own.acknowledge(1);
    assert_eq!(next.status().oldest, None);
}

#[test]
fn what_is_stored_of_an_earlier_stream_waits_no_longer() {
    let fs = Memory::new();
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    let second = Duration::from_secs(1);
    let at = |n: u32| Timestamp::from_micros(1_000_000).saturating_add(second * n);
    for n in 0..20 {
        // Several segments.
        spool.append(Share::General, None, at(n), &[b'x'; 10_000]).unwrap();
        clock.advance(second);
    }
    sync(&spool);
    drop(spool);
    let next = open_with(&fs.after_kill(), settings(), Arc::clone(&clock));
    let old = next.old_streams().remove(0);
    old.ending(0).unwrap().finish().unwrap();
    let (mut reader, mut batch) = (old.reader(), Batch::default());
    for n in 0..20 {
        assert_eq!(reader.next_batch(1, 1 << 20, &mut batch).unwrap(), ReadOutcome::Read);
        assert_eq!(next.status().oldest, Some(at(n)), "it is on its way");
        reader.acknowledge(i64::from(n) + 1);
        let waits = next.status().oldest;
        assert!(waits.is_none_or(|waits| waits >= at(n)), "{waits:?} after {:?}", at(n));
    }
    assert_eq!(reader.next_batch(1, 1 << 20, &mut batch).unwrap(), ReadOutcome::End);
    assert_eq!(next.status().oldest, None);
}
