//! Admission, the writer's sleep, and the close of the queue.

use std::sync::Arc;

use shuttle::{
    future::block_on,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::queue::{Lane, Queue, Refused};
use crate::{record::Record, tried};

/// Takes records as the writer does: looks, and sleeps when there is nothing, until the door is closed and the last
/// one is taken.
fn write(queue: &Queue) -> Vec<i64> {
    let mut taken = Vec::new();
    block_on(async {
        loop {
            while let Some((_, queued)) = queue.pop() {
                taken.push(queued.record.duration_us.unwrap());
                queue.release(u64::from(queued.bytes));
            }
            queue.disarm();
            if queue.len() > 0 || queue.is_closed() {
                queue.rearm();
                if queue.is_closed() && queue.len() == 0 {
                    return;
                }
                // A producer has its place, and has not put the record there yet.
                thread::yield_now();
                continue;
            }
            queue.woken().await;
        }
    });
    taken
}

fn record(n: i64) -> Box<Record> {
    let mut record = Box::<Record>::default();
    record.duration_us = Some(n);
    record
}

#[test]
fn what_was_taken_is_written_whenever_the_door_is_closed() {
    tried(1_000, 200_000, || {
        // A threshold that is passed, and a lane that runs full.
        let queue = Arc::new(Queue::new(3, 1 << 10, 2));
        let producers: Vec<_> = [Lane::General, Lane::Security]
            .into_iter()
            .zip([10, 20])
            .map(|(lane, first)| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut accepted = Vec::new();
                    for n in first..first + 3 {
                        match queue.push(lane, record(n), 7) {
                            Ok(()) => accepted.push(n),
                            Err(Refused::Full(back) | Refused::Closed(back)) => {
                                assert_eq!(back.duration_us, Some(n), "it comes back");
                            }
                        }
                    }
                    accepted
                })
            })
            .collect();
        let closer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.close())
        };
        let writer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || write(&queue))
        };
        let mut accepted: Vec<i64> =
            producers.into_iter().flat_map(|producer| producer.join().unwrap()).collect();
        closer.join().unwrap();
        let mut taken = writer.join().unwrap();
        accepted.sort_unstable();
        taken.sort_unstable();
        assert_eq!(taken, accepted);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
        assert!(matches!(queue.push(Lane::Security, record(1), 1), Err(Refused::Closed(_))));
    });
}

#[test]
fn a_writer_that_sleeps_is_woken_by_the_next_record() {
    tried(1_000, 200_000, || {
        let queue = Arc::new(Queue::new(8, 1 << 10, usize::MAX));
        let writer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut taken = 0;
                block_on(async {
                    while taken < 3 {
                        while queue.pop().is_some() {
                            taken += 1;
                        }
                        queue.disarm();
                        if queue.len() > 0 {
                            queue.rearm();
                            thread::yield_now();
                            continue;
                        }
                        if taken < 3 {
                            queue.woken().await;
                        }
                    }
                });
            })
        };
        let producers: Vec<_> = (0..3)
            .map(|n| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.push(Lane::General, record(n), 1).unwrap())
            })
            .collect();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        writer.join().unwrap();
    });
}

/// What is written elsewhere than into the lanes (the spool, a fold) is nudged for; the door waits for who is inside.
#[test]
fn a_nudge_wakes_and_the_door_waits_for_who_is_inside() {
    tried(1_000, 200_000, || {
        let queue = Arc::new(Queue::new(8, 1 << 10, usize::MAX));
        let elsewhere = Arc::new(AtomicUsize::new(0));
        let inside = {
            let (queue, elsewhere) = (Arc::clone(&queue), Arc::clone(&elsewhere));
            thread::spawn(move || {
                if !queue.enter() {
                    return false;
                }
                elsewhere.fetch_add(1, Ordering::SeqCst);
                queue.leave();
                queue.nudge();
                true
            })
        };
        let closer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.close())
        };
        // As the clerk of the spool ends: closed, and nobody inside any more.
        let seen = block_on(async {
            loop {
                queue.disarm();
                if queue.is_closed() && queue.len() == 0 {
                    break elsewhere.load(Ordering::SeqCst);
                }
                if queue.is_closed() {
                    queue.rearm();
                    thread::yield_now();
                    continue;
                }
                queue.woken().await;
            }
        });
        closer.join().unwrap();
        let was_inside = inside.join().unwrap();
        assert_eq!(seen, usize::from(was_inside), "who was let in had been seen by the end");
    });
}

#[test]
fn who_waits_for_room_is_woken_when_there_is_some() {
    tried(1_000, 200_000, || {
        let queue = Arc::new(Queue::new(2, 1 << 10, usize::MAX));
        queue.push(Lane::General, record(1), 1).unwrap();
        let waiting = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                block_on(async {
                    let mut next = record(2);
                    loop {
                        // Made before the attempt, as the recorder does.
                        let mut room = Box::pin(queue.room().notified_owned());
                        room.as_mut().enable();
                        match queue.push(Lane::General, next, 1) {
                            Ok(()) => return true,
                            Err(Refused::Full(back)) => next = back,
                            Err(Refused::Closed(_)) => return false,
                        }
                        room.await;
                    }
                })
            })
        };
        let (_, first) = queue.pop().unwrap();
        queue.release(u64::from(first.bytes));
        assert!(waiting.join().unwrap());
    });
}
