//! The request path: drafts, as capture uses them.

use std::{collections::HashSet, sync::Arc, task::Waker, time::Duration};

use super::*;
use crate::{
    pipeline::{Pipeline, PipelineBuilder},
    record::{Actor, ActorType},
    rules::UNMATCHED,
    store::MemoryStore,
    time::{ManualClock, Timestamp},
};

fn builder(store: &MemoryStore) -> PipelineBuilder<MemoryStore> {
    Pipeline::builder(store.clone()).batch_age(Duration::from_millis(5))
}

fn fill(draft: &mut Record) {
    draft.action.set("update");
    draft.path.set("/api/orders/55");
    draft.status = Some(200);
}

#[tokio::test(start_paused = true)]
async fn a_draft_is_open_until_it_is_admitted_or_given_back() {
    let store = MemoryStore::new();
    let pipeline = builder(&store).start().await.unwrap();
    let recorder = pipeline.recorder();
    let (mut kept, unrecorded) = (recorder.draft(), recorder.draft());
    assert_eq!((pipeline.tally().open_drafts, pipeline.tally().received), (2, 0));
    recorder.give_back(unrecorded);
    fill(&mut kept);
    assert!(recorder.admit(kept).is_accepted());
    assert_eq!((pipeline.tally().open_drafts, pipeline.tally().received), (0, 1));
    pipeline.flush().await;
    let record = store.all().into_iter().find(|record| record.action == "update").unwrap();
    assert_eq!(record.origin, Origin::Request);
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn drafts_come_back_with_the_buffers_of_records_that_were_stored() {
    let store = MemoryStore::new();
    let pipeline = builder(&store).start().await.unwrap();
    let recorder = pipeline.recorder();
    let addresses = |records: &[Box<Record>]| -> HashSet<usize> {
        records.iter().map(|record| record.path.as_ptr() as usize).collect()
    };
    let mut drafts: Vec<_> = (0..50).map(|_| recorder.draft()).collect();
    drafts.iter_mut().for_each(|draft| fill(draft));
    let before = addresses(&drafts);
    for draft in drafts {
        assert!(recorder.admit(draft).is_accepted());
    }
    pipeline.flush().await;
    let mut drafts: Vec<_> = (0..51).map(|_| recorder.draft()).collect();
    assert!(drafts.iter().all(|draft| **draft == Record::default()));
    drafts.iter_mut().for_each(|draft| fill(draft));
    let both = before.intersection(&addresses(&drafts)).count();
    assert_eq!(both, 50, "the buffers are the same, and none is shared");
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn a_draft_that_waits_for_room_stays_with_its_owner() {
    let store = MemoryStore::new();
    let pipeline = builder(&store)
        .queue(8)
        .overflow(Overflow::Block(Duration::from_secs(60)))
        .start()
        .await
        .unwrap();
    let recorder = pipeline.recorder();
    let mut cx = TaskContext::from_waker(Waker::noop());
    // The writer does not run before this test waits for something.
    for _ in 0..7 {
        let mut draft = Some(recorder.draft());
        let answer = recorder.poll_admit(&mut draft, &mut AdmitWait::default(), &mut cx);
        assert!(matches!(answer, Poll::Ready(Admission::Accepted(_))) && draft.is_none());
    }
    let (mut draft, mut wait) = (Some(recorder.draft()), AdmitWait::default());
    for _ in 0..3 {
        assert!(recorder.poll_admit(&mut draft, &mut wait, &mut cx).is_pending());
        assert!(draft.is_some());
    }
    let tally = pipeline.tally();
    assert_eq!((tally.received, tally.open_drafts), (7, 1));
    // The client goes: whoever holds the draft drops it into the queue without waiting, or loses it.
    let answer = recorder.admit(draft.take().unwrap());
    assert_eq!(answer, Admission::Dropped(DropReason::QueueFull));
    let mut draft = Some(recorder.draft());
    let mut wait = AdmitWait::default();
    let answer = poll_fn(|cx| recorder.poll_admit(&mut draft, &mut wait, cx)).await;
    assert!(answer.is_accepted(), "the writer has made room");
    pipeline.flush().await;
    let tally = pipeline.tally();
    assert_eq!((tally.received, tally.stored, tally.open_drafts), (9, 8, 0));
    drop(pipeline);
}

/// Fault 66.
#[tokio::test(start_paused = true)]
async fn a_scanner_leaves_few_records_exact_counts_and_a_free_security_lane() {
    const REQUESTS: u64 = 100_000;
    let store = MemoryStore::new();
    let clock = Arc::new(ManualClock::at("2026-01-31T12:00:00Z".parse().unwrap()));
    let pipeline = builder(&store).clock(Arc::clone(&clock)).start().await.unwrap();
    let recorder = pipeline.recorder();
    for n in 0..REQUESTS {
        let mut draft = recorder.draft();
        draft.action.set("read");
        let net = n % 8;
        draft.ip = Some(format!("203.0.{net}.{}", n % 250).parse().unwrap());
        let (status, route) = if n % 3 == 0 { (401, "/api/orders") } else { (404, UNMATCHED) };
        draft.status = Some(status);
        draft.outcome = crate::record::Outcome::Denied;
        draft.route.set(route);
        let mut draft = Some(draft);
        let answer = poll_fn(|cx| recorder.poll_admit(&mut draft, &mut AdmitWait::default(), cx));
        assert!(matches!(answer.await, Admission::Folded | Admission::Accepted(_)));
        if n % 1_000 == 0 {
            clock.advance(Duration::from_millis(590));
            let mut login = recorder.draft();
            login.action.set("login_failed");
            login.category = Category::Authentication;
            login.status = Some(401);
            assert!(recorder.admit(login).is_accepted());
            tokio::task::yield_now().await;
        }
    }
    pipeline.flush().await;
    let tally = pipeline.tally();
    assert_eq!(tally.dropped.total(), 0);
    let (kinds, logins) = (16, 100);
    assert_eq!(tally.received, kinds * 10 + logins);
    assert_eq!(tally.received - logins + tally.folded, REQUESTS);
    let records = store.all();
    let folded: Vec<_> = records.iter().filter(|record| record.action == "folded").collect();
    assert_eq!(folded.len() as u64, kinds);
    let counted: u64 = folded
        .iter()
        .map(|record| {
            let metadata: serde_json::Value =
                serde_json::from_str(record.metadata.as_str()).unwrap();
            assert!(metadata["prefix"].as_str().unwrap().ends_with(".0/24"));
            metadata["count"].as_u64().unwrap()
        })
        .sum();
    assert_eq!(counted, tally.folded);
    assert_eq!(records.iter().filter(|record| record.action == "login_failed").count(), 100);
    drop(pipeline);
}

/// A window that ends while nothing else happens is reported without anybody asking.
#[tokio::test(start_paused = true)]
async fn a_folded_record_appears_when_its_minute_is_over() {
    let store = MemoryStore::new();
    let clock = Arc::new(ManualClock::at("2026-01-31T12:00:00Z".parse().unwrap()));
    let pipeline = builder(&store).clock(Arc::clone(&clock)).start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..25 {
        let mut draft = pipeline.recorder().draft();
        draft.action.set("read");
        draft.status = Some(403);
        draft.route.set("/api/orders");
        let _folded_or_not = pipeline.recorder().admit(draft);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    clock.advance(Duration::from_secs(61));
    tokio::time::sleep(Duration::from_secs(61)).await;
    let folded: Vec<_> =
        store.all().into_iter().filter(|record| record.action == "folded").collect();
    assert_eq!(folded.len(), 1);
    assert!(folded[0].metadata.as_str().contains("\"count\":15"));
    drop(pipeline);
}

/// Fault 36.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_neither_loses_nor_reorders_and_shows_where_it_matters() {
    let store = MemoryStore::new();
    let start: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let pipeline = builder(&store).clock(Arc::clone(&clock)).start().await.unwrap();
    let recorder = pipeline.recorder();
    let hour = Duration::from_secs(3_600);
    let mut drafts = Vec::new();
    for at in [start, start.saturating_sub(hour), start.saturating_add(hour * 24 * 365), start] {
        clock.set(at);
        let mut draft = recorder.draft();
        draft.action.set("read");
        draft.actor_type = ActorType::User;
        draft.occurred_at = at;
        drafts.push(draft);
    }
    // All of them end now, at `start`: the one from next year is not believed.
    for draft in drafts {
        assert!(recorder.admit(draft).is_accepted());
    }
    pipeline.flush().await;
    let records = store.all();
    let ids: HashSet<_> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), 5);
    assert!(records.iter().map(|record| record.seq).eq(1..=5));
    let skewed: Vec<_> = records.iter().filter(|record| !record.skewed.is_absent()).collect();
    assert_eq!(skewed.len(), 1);
    assert_eq!(skewed[0].occurred_at, start.saturating_add(hour * 24));
    assert!(skewed[0].skewed.as_str().contains("2027-01-31"));
    assert!(
        records.iter().all(|record| record.id.at().as_millis() == record.occurred_at.as_millis())
    );
    drop(pipeline);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_any_size_is_cut_and_never_dropped() {
    let store = MemoryStore::new();
    let pipeline =
        builder(&store).queue_bytes(2 * 1024 * 1024).batch_bytes(1 << 20).start().await.unwrap();
    let mut draft = pipeline.recorder().draft();
    for field in Record::FIELDS {
        let huge = "x".repeat(1 << 20);
        let _only_text = field.set(&mut draft, crate::record::Value::Text(&huge));
        let json = format!("[\"{huge}\"]");
        let _only_json = field.set(&mut draft, crate::record::Value::Json(&json));
    }
    draft.set_actor(&Actor::user("ana"));
    assert!(pipeline.recorder().admit(draft).is_accepted());
    pipeline.flush().await;
    let records = store.all();
    let record = records.iter().find(|record| record.actor_id == "ana").unwrap();
    let truncated: Vec<String> = serde_json::from_str(record.truncated.as_str()).unwrap();
    assert!(truncated.iter().any(|field| field == "metadata"));
    assert!(truncated.iter().any(|field| field == "request_body"));
    drop(pipeline);
}

/// Whoever records may run on an executor without a timer of its own.
#[test]
fn waiting_for_room_needs_no_runtime_around_it() {
    let store = MemoryStore::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let overflow = Overflow::Block(Duration::from_secs(60));
    let start = builder(&store).queue(8).overflow(overflow).start();
    let pipeline = runtime.block_on(start).unwrap();
    let recorder = pipeline.recorder();
    let mut cx = TaskContext::from_waker(Waker::noop());
    let answers: Vec<_> = (0..8)
        .map(|n| {
            let record = Record::by("ana").updated("order", &n.to_string());
            let mut waits = std::pin::pin!(recorder.record_wait(record));
            waits.as_mut().poll(&mut cx).is_ready()
        })
        .collect();
    assert_eq!(answers, [true, true, true, true, true, true, true, false]);
    let report = runtime.block_on(pipeline.shutdown(Duration::from_secs(60)));
    assert_eq!((report.received, report.stored), (7, 7));
}

/// Notes that it was woken.
#[cfg(unix)]
#[derive(Default)]
struct Woken(std::sync::atomic::AtomicBool);

#[cfg(unix)]
impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn whoever_waits_for_room_in_a_spool_is_woken_by_the_door_that_closes() {
    use std::{os::unix::fs::PermissionsExt as _, sync::atomic::Ordering::SeqCst};

    let folder = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .unwrap();
    let waits = Overflow::Block(Duration::from_secs(86_400));
    let start = builder(&MemoryStore::new()).spool(folder.path()).spool_cap(8 << 20);
    let pipeline = start.overflow(waits).start().await.unwrap();
    let recorder = pipeline.recorder();
    let large = || {
        let record = Record::by("ana").updated("order", "7").describe(&"x".repeat(2_040));
        record.metadata(&["y".repeat(3_000)])
    };
    // Nothing is stored meanwhile: this thread is whose that would be.
    while recorder.record(large()).is_accepted() {}
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut waiting = std::pin::pin!(recorder.record_wait(large()));
    assert!(waiting.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
    // The thread of the spool may have told of room that there is not.
    woken.0.store(false, SeqCst);
    recorder.core.close();
    assert!(woken.0.load(SeqCst), "by the close itself, and not by what follows it");
    assert_eq!(waiting.await, Admission::Dropped(DropReason::Closed));
    pipeline.shutdown(Duration::from_secs(60)).await;
}
