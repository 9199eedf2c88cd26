//! The queue against a model, against floods, and against a writer that parks as often as it can.

use std::{collections::VecDeque, sync::atomic::AtomicUsize};

use proptest::prelude::*;

use super::*;
use crate::record::{ActorType, Category, Outcome};

fn record(n: i64) -> Box<Record> {
    Box::new(Record { duration_us: Some(n), ..Record::default() })
}

fn number(queued: &Queued) -> i64 {
    queued.record.duration_us.unwrap()
}

#[derive(Debug, Clone)]
enum Op {
    Push(bool, u32),
    Pop,
    /// Settles what was popped.
    Release,
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (any::<bool>(), 1_u32..400).prop_map(|(security, bytes)| Op::Push(security, bytes)),
        3 => Just(Op::Pop),
        2 => Just(Op::Release),
        1 => Just(Op::Close),
    ];
    proptest::collection::vec(op, 0..120)
}

proptest! {
    /// The queue against the plainest model of what it should do.
    #[test]
    fn it_does_what_two_lists_with_a_budget_would(ops in ops()) {
        const COUNT: usize = 16;
        const BYTES: u64 = 2_400;
        let queue = Queue::new(COUNT, 2_400, usize::MAX);
        let mut lanes = [VecDeque::new(), VecDeque::new()];
        let (mut bytes, mut popped, mut closed, mut n) = (0_u64, 0_u64, false, 0);
        for op in ops {
            match op {
                Op::Push(security, size) => {
                    n += 1;
                    let lane = if security { Lane::Security } else { Lane::General };
                    let (most, budget) =
                        if security { (COUNT, BYTES) } else { (COUNT - 2, BYTES - 300) };
                    let held = lanes[0].len() + lanes[1].len();
                    let room = held < most && bytes + u64::from(size) <= budget;
                    match queue.push(lane, record(n), size) {
                        Ok(()) => {
                            prop_assert!(room && !closed);
                            lanes[usize::from(!security)].push_back((n, size));
                            bytes += u64::from(size);
                        }
                        Err(Refused::Closed(_)) => prop_assert!(closed),
                        Err(Refused::Full(_)) => prop_assert!(!room && !closed),
                    }
                }
                Op::Pop => {
                    let expected =
                        lanes[0].pop_front().or_else(|| lanes[1].pop_front());
                    let got = queue.pop().map(|(_, queued)| (number(&queued), queued.bytes));
                    prop_assert_eq!(got, expected);
                    popped += expected.map_or(0, |(_, size)| u64::from(size));
                }
                Op::Release => {
                    queue.release(popped);
                    bytes -= std::mem::take(&mut popped);
                }
                Op::Close => {
                    queue.close();
                    closed = true;
                }
            }
            prop_assert_eq!(queue.len(), lanes[0].len() + lanes[1].len());
            prop_assert_eq!(queue.bytes(), bytes);
            prop_assert_eq!(queue.lane_lens(), (lanes[0].len(), lanes[1].len()));
            prop_assert_eq!(queue.is_closed(), closed);
        }
    }
}

#[test]
fn a_flood_by_count_or_by_bytes_leaves_the_security_lane_its_share() {
    for (count, size) in [(80, 1), (100_000, 1_000)] {
        let queue = Queue::new(count, 80_000, usize::MAX);
        while queue.push(Lane::General, record(0), size).is_ok() {}
        let mut taken = 0;
        while queue.push(Lane::Security, record(0), size).is_ok() {
            taken += 1;
        }
        assert_eq!(taken, 10, "an eighth of {count} records, or of 80,000 bytes");
        assert!(queue.push(Lane::General, record(0), size).is_err());
    }
}

#[test]
fn refusals_of_somebody_take_the_security_lane_and_those_of_nobody_do_not() {
    let mut record = Record { outcome: Outcome::Denied, ..Record::default() };
    assert_eq!(Lane::of(&record), Lane::General);
    record.actor_type = ActorType::User;
    assert_eq!(Lane::of(&record), Lane::Security);
    record.outcome = Outcome::Success;
    assert_eq!(Lane::of(&record), Lane::General);
    record.category = Category::Authentication;
    assert_eq!(Lane::of(&record), Lane::Security);
}

/// Four producers against a writer that parks as often as it can: with a wake-up lost, it would
/// wait for ever.
#[test]
fn no_wake_up_is_lost() {
    const EACH: usize = 20_000;
    let queue = Queue::new(1_000, 1 << 30, usize::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (taken, parked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // It has to park at least once, however the threads take their turns.
                while parked.load(Ordering::Relaxed) == 0 && !queue.is_closed() {
                    std::thread::yield_now();
                }
                for n in 0..EACH {
                    while queue.push(Lane::General, Box::default(), 1).is_err() {
                        if queue.is_closed() {
                            return;
                        }
                        std::thread::yield_now();
                    }
                    if n % 64 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let writer = async {
            while taken.load(Ordering::Relaxed) < 4 * EACH {
                while queue.pop().is_some() {
                    queue.release(1);
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                queue.disarm();
                if queue.len() > 0 {
                    queue.rearm();
                    continue;
                }
                if taken.load(Ordering::Relaxed) < 4 * EACH {
                    parked.fetch_add(1, Ordering::Relaxed);
                    queue.woken().await;
                }
            }
        };
        let patience = std::time::Duration::from_secs(120);
        let done = runtime.block_on(async { tokio::time::timeout(patience, writer).await });
        // Lets the producers go if the writer sleeps for ever.
        queue.close();
        done.unwrap();
    });
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
    assert!(parked.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_push_after_the_close_is_refused_and_what_is_there_can_still_be_taken() {
    let queue = Queue::new(8, 1 << 20, usize::MAX);
    queue.push(Lane::General, record(1), 10).unwrap();
    queue.close();
    assert!(matches!(queue.push(Lane::Security, record(2), 10), Err(Refused::Closed(_))));
    assert_eq!(number(&queue.pop().unwrap().1), 1);
    assert_eq!(queue.len(), 0);
}
