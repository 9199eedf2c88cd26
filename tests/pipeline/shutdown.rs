//! Every way to end: the report adds up, and nothing waits for ever.

use std::time::Duration;

use tower_activity::{
    pipeline::{Admission, DropReason, Pipeline, ShutdownReport},
    store::{MemoryStore, StoreErrorKind},
};

use crate::{
    SOON, numbered, numbers, quick,
    scripted::{Scripted, Step},
};

fn adds_up(report: &ShutdownReport) -> bool {
    report.received == report.stored + report.queued + report.dropped.total()
}

#[test]
fn under_load_the_report_adds_up_and_says_what_the_store_holds() {
    for round in 0..10 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = MemoryStore::new();
        let pipeline = runtime.block_on(quick(store.clone()).queue(256).start()).unwrap();
        let recorder = pipeline.recorder();
        let (mut accepted, mut closed) = (0, 0);
        let report = std::thread::scope(|scope| {
            let shutdown = scope.spawn(|| {
                while pipeline.tally().received < 1_000 * round {
                    std::thread::yield_now();
                }
                runtime.block_on(pipeline.shutdown(SOON))
            });
            for n in 0.. {
                match recorder.record(numbered(n)) {
                    Admission::Accepted(_) => accepted += 1,
                    Admission::Dropped(DropReason::Closed) => closed += 1,
                    _ => {}
                }
                if closed == 100 {
                    break;
                }
            }
            shutdown.join().unwrap()
        });
        assert!(adds_up(&report), "{report:?}");
        assert_eq!((report.stored, report.queued), (accepted, 0));
        assert_eq!(numbers(&store.all()).len() as u64, accepted);
        let after = pipeline.tally();
        assert_eq!(after.received, after.stored + after.dropped.total(), "later pushes count too");
        let records = store.all();
        assert_eq!(records[0].action, "started");
        let last = records.last().unwrap();
        assert_eq!(last.action, "stopped");
        assert_eq!(last.metadata.as_str(), format!("{{\"last_seq\":{}}}", last.seq));
    }
}

#[test]
fn on_a_current_thread_runtime_twice_and_from_drop_nothing_deadlocks() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::new();
        let pipeline = quick(store.clone()).start().await.unwrap();
        for n in 0..10 {
            assert!(pipeline.recorder().record(numbered(n)).is_accepted());
        }
        let (first, at_once) = tokio::join!(pipeline.shutdown(SOON), pipeline.shutdown(SOON));
        let again = pipeline.shutdown(SOON).await;
        assert_eq!(first.to_string(), "stored 10 · dropped 0 · gaps 0");
        assert_eq!((first, first), (at_once, again));
        pipeline.flush().await;
        drop(pipeline);
    });

    // Dropped inside the runtime, and after it.
    let (left, store) = runtime.block_on(async {
        let (inside, store) = (MemoryStore::new(), MemoryStore::new());
        let pipeline = quick(inside.clone()).start().await.unwrap();
        let recorder = pipeline.recorder();
        assert!(recorder.record(numbered(1)).is_accepted());
        drop(pipeline);
        assert_eq!(recorder.record(numbered(2)), Admission::Dropped(DropReason::Closed));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(numbers(&inside.all()), [1], "the writer drains by itself");
        let pipeline = quick(store.clone()).start().await.unwrap();
        assert!(pipeline.recorder().record(numbered(3)).is_accepted());
        (pipeline, store)
    });
    drop(runtime);
    let tally = left.tally();
    assert_eq!((tally.stored, tally.queued), (0, 0), "{tally:?}");
    assert_eq!(tally.dropped.of(DropReason::Shutdown), 1, "counted by the writer's drop");
    assert!(store.is_empty());
    drop(left);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_cannot_hold_up_the_shutdown() {
    for step in [
        Step::Hang,
        Step::NoConnection(StoreErrorKind::Transient),
        Step::NoConnection(StoreErrorKind::Configuration),
    ] {
        // The first append is that of `started`.
        let hangs = matches!(step, Step::Hang);
        let first = if hangs { Step::Pass } else { step };
        let store = Scripted::new(std::iter::once(first).chain(vec![step; 10_000]));
        let pipeline = quick(store.clone()).batch_rows(10).start().await.unwrap();
        for n in 0..100 {
            assert!(pipeline.recorder().record(numbered(n)).is_accepted());
        }
        let begun = tokio::time::Instant::now();
        let few = Duration::from_secs(5);
        let report = pipeline.shutdown(few).await;
        assert!(begun.elapsed() < few + Duration::from_millis(300), "{:?}", begun.elapsed());
        assert!(adds_up(&report), "{report:?}");
        assert_eq!(report.stored, 0);
        // A batch may be on its way, for all that is known.
        let unsure = if hangs { 10 } else { 0 };
        assert_eq!(report.queued, unsure, "{step:?}");
        assert_eq!(report.dropped.of(DropReason::Shutdown), 100 - unsure);
        assert_eq!(pipeline.shutdown(SOON).await, report);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_door_was_closed_is_told_of_by_the_last_gap() {
    let store = Scripted::gated();
    let pipeline = quick(store.clone()).start().await.unwrap();
    store.reached().await;
    let recorder = pipeline.recorder();
    assert!(recorder.record(numbered(1)).is_accepted());
    let mut shutdown = std::pin::pin!(pipeline.shutdown(SOON));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(shutdown.as_mut().poll(&mut cx).is_pending());
    for n in 2..5 {
        assert_eq!(recorder.record(numbered(n)), Admission::Dropped(DropReason::Closed));
    }
    store.open_gate();
    let report = shutdown.await;
    assert_eq!((report.stored, report.dropped.total(), report.gaps), (1, 3, 1));
    let records = store.memory.all();
    let gap = records.iter().find(|record| record.action == "gap").unwrap();
    assert_eq!(gap.outcome_reason, "closed");
    assert!(gap.metadata.as_str().contains("\"count\":3"), "{:?}", gap.metadata);
    assert_eq!(records.last().unwrap().action, "stopped");
}

#[tokio::test(start_paused = true)]
async fn of_two_deadlines_the_earlier_holds() {
    let store = Scripted::gated();
    let pipeline = quick(store.clone()).start().await.unwrap();
    let begun = tokio::time::Instant::now();
    let long = pipeline.shutdown(Duration::from_secs(3_600));
    let short = pipeline.shutdown(Duration::from_secs(1));
    let (one, other) = tokio::join!(long, short);
    assert_eq!(one, other);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_flush_is_answered_when_the_writer_ends() {
    let store = Scripted::gated();
    let pipeline = quick(store.clone()).start().await.unwrap();
    assert!(pipeline.recorder().record(numbered(1)).is_accepted());
    let ((), report) = tokio::join!(pipeline.flush(), pipeline.shutdown(Duration::from_secs(1)));
    assert!(adds_up(&report));
    pipeline.flush().await;
}

#[test]
fn a_pipeline_is_made_for_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Pipeline>();
    check::<tower_activity::pipeline::Recorder>();
    check::<tower_activity::pipeline::Subscription>();
}
