//! The tally adds up at every moment, gaps tell of every loss, and the feed shows what was committed.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::FutureExt as _;
use tower_activity::{
    pipeline::{Admission, Context, DropReason, Overflow, Tally},
    query::Filter,
    record::{Actor, Category, Origin, Record},
    store::MemoryStore,
};

use crate::{SOON, login, numbered, numbers, quick, scripted::Scripted};

fn adds_up(tally: &Tally) -> bool {
    tally.received == tally.stored + tally.queued + tally.dropped.total()
}

/// Returns the sum of the counts in gap records, and how many there are.
fn gaps(records: &[Record]) -> (u64, usize) {
    let counts: Vec<u64> = records
        .iter()
        .filter(|record| record.action == "gap" && record.category == Category::System)
        .map(|record| {
            let metadata: serde_json::Value =
                serde_json::from_str(record.metadata.as_str()).unwrap();
            metadata["count"].as_u64().unwrap()
        })
        .collect();
    (counts.iter().sum(), counts.len())
}

#[test]
fn the_tally_adds_up_at_every_moment_under_overload_from_many_threads() {
    const THREADS: usize = 8;
    const EACH: usize = 5_000;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Nothing is stored before something was lost: however fast the writer is, there is an overload.
    let store = Scripted::gated();
    let pipeline = runtime.block_on(quick(store.clone()).queue(64).batch_rows(50).start()).unwrap();
    let done = AtomicBool::new(false);
    let accepted: usize = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let tally = pipeline.tally();
                assert!(adds_up(&tally), "{tally:?}");
                assert!(tally.received <= (THREADS * EACH) as u64);
                if tally.dropped.total() > 0 {
                    store.open_gate();
                }
            }
        });
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let recorder = pipeline.recorder();
                scope.spawn(move || {
                    let accepted =
                        |n: &usize| recorder.record(numbered(thread * EACH + n)).is_accepted();
                    (0..EACH).filter(accepted).count()
                })
            })
            .collect();
        let accepted = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
        done.store(true, Ordering::SeqCst);
        watcher.join().unwrap();
        store.open_gate();
        accepted
    });
    let report = runtime.block_on(pipeline.shutdown(SOON));
    let all = (THREADS * EACH) as u64;
    assert_eq!(report.received, all);
    assert_eq!((report.stored, report.queued), (accepted as u64, 0));
    assert_eq!(report.dropped.total(), all - accepted as u64);
    assert!(report.dropped.total() > 0, "there was no overload");
    let records = store.memory.all();
    let mut stored = numbers(&records);
    assert_eq!(stored.len(), accepted);
    stored.sort_unstable();
    stored.dedup();
    assert_eq!(stored.len(), accepted, "none twice");
    assert_eq!(gaps(&records).0, report.dropped.total(), "gap records tell of every loss");
}

#[tokio::test(start_paused = true)]
async fn at_rest_the_derived_queue_is_the_real_one() {
    let store = Scripted::gated();
    let pipeline = quick(store.clone()).start().await.unwrap();
    store.reached().await;
    // The writer is stuck with its first record; from here on nothing leaves the queue.
    for n in 0..100 {
        assert!(pipeline.recorder().record(numbered(n)).is_accepted());
    }
    assert_eq!(pipeline.tally().queued, 100);
    store.open_gate();
    pipeline.flush().await;
    assert_eq!((pipeline.tally().queued, pipeline.tally().stored), (0, 100));
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_losses_is_one_gap_record_that_counts_them() {
    let store = Scripted::gated();
    let pipeline = quick(store.clone()).queue(16).start().await.unwrap();
    store.reached().await;
    let dropped = (0..100)
        .filter(|n| {
            pipeline.recorder().record(numbered(*n)) == Admission::Dropped(DropReason::QueueFull)
        })
        .count();
    assert_eq!(dropped, 86, "two of sixteen places are reserved");
    store.open_gate();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(gaps(&store.memory.all()), (86, 1), "nobody had to ask for it");
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.gaps, tally.dropped.total()), (14, 1, 86));
    drop(pipeline);
}

/// Under an overload without end the writer finds a full batch each time that it looks.
#[tokio::test(start_paused = true)]
async fn an_overload_without_end_is_told_of_while_it_lasts_and_answers_flushes() {
    let store = Scripted::gated();
    let pipeline = quick(store.clone()).queue(64).batch_rows(10).start().await.unwrap();
    store.reached().await;
    let flood = || {
        for n in 0..200 {
            let _most_are_dropped = pipeline.recorder().record(numbered(n));
        }
    };
    flood();
    let mut flush = std::pin::pin!(pipeline.flush());
    let mut flushed = flush.as_mut().now_or_never().is_some();
    // Seventy seconds in which every batch is full and the queue never empty.
    for _ in 0..700 {
        let reached = store.gate_reached();
        store.let_one_through();
        store.reached_times(reached + 1).await;
        flushed = flushed || flush.as_mut().now_or_never().is_some();
        flood();
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert!(flushed, "a flush waits for what was accepted before it, not for a quiet moment");
    assert!(gaps(&store.memory.all()).1 > 0, "losses that go on are told of each minute");
    store.open_gate();
    let report = pipeline.shutdown(SOON).await;
    assert_eq!(gaps(&store.memory.all()).0, report.dropped.total());
}

/// A batch that waits for its age occupies the budget: when that is most of it, waiting only loses.
#[tokio::test(start_paused = true)]
async fn a_batch_that_fills_the_budget_does_not_wait_for_its_age() {
    let store = MemoryStore::new();
    let pipeline = tower_activity::Pipeline::builder(store)
        .queue_bytes(2 * 1024 * 1024)
        .batch_bytes(2 * 1024 * 1024)
        .batch_age(Duration::from_secs(3_600))
        .overflow(Overflow::Block(Duration::from_secs(60)))
        .start()
        .await
        .unwrap();
    let recorder = pipeline.recorder();
    for n in 0..5_000 {
        let record = numbered(n).describe(&"x".repeat(1_000));
        assert!(recorder.record_wait(record).await.is_accepted(), "{n}: {:?}", pipeline.tally());
    }
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn a_flood_leaves_the_security_lane_its_share() {
    let store = Scripted::gated();
    let pipeline = quick(store.clone()).queue(80).start().await.unwrap();
    store.reached().await;
    let recorder = pipeline.recorder();
    for n in 0..800 {
        let _most_are_dropped = recorder.record(numbered(n));
    }
    for n in 0..10 {
        assert!(recorder.record(login(1_000 + n)).is_accepted(), "{n}");
    }
    assert!(!recorder.record(login(2_000)).is_accepted(), "its share is bounded too");
    store.open_gate();
    pipeline.flush().await;
    let logins = numbers(&store.memory.all()).into_iter().filter(|n| *n >= 1_000).count();
    assert_eq!(logins, 10);
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn block_waits_for_room_and_gives_up_at_its_deadline() {
    let store = Scripted::gated();
    let pipeline = quick(store.clone())
        .queue(8)
        .overflow(Overflow::Block(Duration::from_secs(2)))
        .start()
        .await
        .unwrap();
    store.reached().await;
    let recorder = pipeline.recorder();
    for n in 0..7 {
        assert!(recorder.record_wait(numbered(n)).await.is_accepted());
    }
    let begun = tokio::time::Instant::now();
    let gave_up = recorder.record_wait(numbered(7)).await;
    assert_eq!(gave_up, Admission::Dropped(DropReason::Deadline));
    assert_eq!(begun.elapsed().as_secs(), 2);

    let waits = tokio::spawn(async move { recorder.record_wait(numbered(8)).await });
    tokio::task::yield_now().await;
    let tally = pipeline.tally();
    assert!(adds_up(&tally) && tally.received == 8, "who waits is not counted yet: {tally:?}");
    store.open_gate();
    assert!(waits.await.unwrap().is_accepted());
    pipeline.flush().await;
    let records = store.memory.all();
    assert_eq!(numbers(&records), [0, 1, 2, 3, 4, 5, 6, 8]);
    assert_eq!(gaps(&records).0, 1);
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn subscribers_see_what_is_committed_in_order_and_nothing_else() {
    let store = Scripted::gated();
    let pipeline = quick(store.clone()).batch_rows(7).start().await.unwrap();
    let filter = Filter::new().any_of("action", ["update"]).unwrap();
    let mut feed = pipeline.subscribe(filter);
    for n in 0..50 {
        assert!(pipeline.recorder().record(numbered(n)).is_accepted());
    }
    store.reached().await;
    let early = tokio::time::timeout(Duration::from_secs(1), feed.next()).await;
    assert!(early.is_err(), "nothing is committed yet");
    store.open_gate();
    let report = pipeline.shutdown(SOON).await;
    assert_eq!(report.stored, 50);
    let mut seen = Vec::new();
    while let Some(next) = feed.next().await {
        seen.push(next.unwrap().entity_id.parse::<usize>().unwrap());
    }
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_manual_record_is_filled_in_and_refused_by_the_name_of_what_it_lacks() {
    let store = MemoryStore::new();
    let pipeline = quick(store.clone()).service("shop").environment("test").start().await.unwrap();
    let recorder = pipeline.recorder();
    let empty = recorder.record(Record::by(Actor::user("ana")).verb("  ").on("order", "1"));
    assert_eq!(empty, Admission::Refused("action"));
    assert_eq!(empty.to_string(), "refused: `action` is empty");
    let nobody = recorder.record(Record::by(Actor::user(" ")).verb("ship").on("order", "1"));
    assert_eq!(nobody, Admission::Refused("actor_id"));
    let nothing = recorder.record(Record::by("ana").verb("ship").on(" ", "1"));
    assert_eq!(nothing, Admission::Refused("entity_type"));
    assert_eq!((pipeline.tally().refused, pipeline.tally().received), (3, 0));
    let Admission::Accepted(id) =
        recorder.record(Record::by(Actor::user("ana")).verb(" ship ").on("order", "1"))
    else {
        panic!("refused")
    };
    pipeline.flush().await;
    assert_eq!(pipeline.tally().received, 1, "what is refused is no record");
    let record = store.all().into_iter().find(|record| record.id == id).unwrap();
    assert_eq!(record.action, "ship");
    assert_eq!((record.service.as_str(), record.environment.as_str()), ("shop", "test"));
    assert_eq!(record.origin, Origin::Manual);
    assert_eq!(record.id.at().as_millis(), record.occurred_at.as_millis());
    assert_eq!(record.retention_class, "activity");
    assert!(record.recorded_at >= record.occurred_at);
    drop(pipeline);
}

#[tokio::test]
async fn a_scope_fills_in_what_a_record_does_not_say_itself() {
    let store = MemoryStore::new();
    let pipeline = quick(store.clone()).start().await.unwrap();
    let context = Context::new().actor(Actor::system("expiry")).tenant("acme").reason("unpaid");
    let job = pipeline.recorder().scope(context);
    let in_a_task = job.clone();
    tokio::spawn(async move {
        in_a_task.record(Record::by(Actor::anonymous()).cancelled("order", "1"))
    })
    .await
    .unwrap();
    let _accepted = job.record(Record::by("ana").tenant("other").cancelled("order", "2"));
    pipeline.flush().await;
    let records = store.all();
    let of = |n: &str| records.iter().find(|record| record.entity_id == n).unwrap();
    assert_eq!(
        (&*of("1").actor_id, &*of("1").tenant_id, &*of("1").reason),
        ("expiry", "acme", "unpaid")
    );
    assert_eq!((&*of("2").actor_id, &*of("2").tenant_id), ("ana", "other"));
    drop(pipeline);
}
