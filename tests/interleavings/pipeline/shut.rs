//! The end of a pipeline with a spool: whoever was let in has a number before the last word, and the disk has it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use shuttle::{future::block_on, thread};

use super::{
    queue::Queue,
    spool::{
        Settings, Share, Spool,
        fuzzed::{
            Store, drain_old,
            memory::{Memory, root},
        },
    },
};
use crate::{
    record::WriterId,
    time::{ManualClock, Timestamp},
    tried,
};

const AT: Timestamp = Timestamp::from_micros(7);
const LONG: std::time::Duration = std::time::Duration::from_secs(60);

fn open(fs: &Memory) -> Spool {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let id = WriterId::new(NEXT.fetch_add(1, Ordering::Relaxed));
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    let settings = Settings { cap: 1 << 20, floor: 0, ..Settings::default() };
    Spool::open(Arc::new(fs.clone()), root(), settings, clock, id).unwrap()
}

/// As a recorder does: through the door, into the file, and out. Tells the number, or that it was refused.
fn record(queue: &Queue, spool: &Spool, text: &str) -> Option<i64> {
    if !queue.enter() {
        return None;
    }
    let appended = spool.append(Share::General, None, AT, text.as_bytes());
    queue.leave();
    appended.ok().map(|appended| appended.number)
}

/// As the clerk does: sleeps until the door is closed, waits for who is inside, and has the last word.
fn clerk(queue: &Queue, spool: &Spool) -> i64 {
    block_on(async {
        loop {
            queue.disarm();
            if queue.is_closed() {
                queue.rearm();
                break;
            }
            queue.woken().await;
        }
    });
    while queue.len() > 0 {
        thread::yield_now();
    }
    loop {
        // Somebody may hold the lock for long.
        if let Ok(last) = spool.append(Share::Own, None, AT, b"stopped") {
            return last.number;
        }
        thread::yield_now();
    }
}

#[test]
fn who_was_let_in_stands_before_the_last_word_however_often_the_end_is_asked_for() {
    tried(200, 30_000, || {
        let fs = Memory::new();
        let (spool, queue) = (open(&fs), Arc::new(Queue::new(8, 1 << 10, usize::MAX)));
        let recorders: Vec<_> = ["a", "b"]
            .into_iter()
            .map(|name| {
                let (spool, queue) = (spool.clone(), Arc::clone(&queue));
                thread::spawn(move || {
                    ["1", "2"].map(|n| {
                        let text = format!("record {name}{n}");
                        (record(&queue, &spool, &text), text)
                    })
                })
            })
            .collect();
        let closers: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.close())
            })
            .collect();
        let last = clerk(&queue, &spool);
        closers.into_iter().for_each(|closer| closer.join().unwrap());
        let mut taken: Vec<_> = recorders.into_iter().flat_map(|r| r.join().unwrap()).collect();
        taken.retain(|(number, _)| number.is_some());
        assert!(taken.iter().all(|(number, _)| *number < Some(last)), "{taken:?}, {last}");
        assert_eq!(taken.len() as i64 + 1, last, "numbers are given to what was taken alone");
        assert_eq!(record(&queue, &spool, "late"), None);
        // A close that could not get the lock in time says so, and is asked for again.
        while spool.close(LONG).is_err() {
            thread::yield_now();
        }
        drop(spool);
        let (next, mut store) = (open(&fs.after_power_cut()), Store::default());
        next.old_streams().iter().for_each(|old| drain_old(old, &mut store));
        let mut expected: Vec<_> = taken.into_iter().map(|(_, text)| text).collect();
        expected.push("stopped".to_owned());
        expected.sort_unstable();
        assert_eq!(store.all(), expected);
        next.close(LONG).unwrap();
    });
}
