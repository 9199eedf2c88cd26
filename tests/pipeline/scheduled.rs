//! Runs of the retention on a schedule: when, by whom, and what becomes of one that fails. Time is not real, and the clock
//! of the services follows it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, advance, sleep, timeout},
};
use tower_activity::{
    Pipeline,
    ledger::Removal,
    record::{Actor, Category, Groups, Json, Origin, Record},
    rules::{RetentionPolicy, SizeLimit},
    store::{
        AnyStore, Archival, ArchivedPart, Archiving, ErasedGroups, MemoryStore, Retain as _,
        removal_of,
    },
    time::{Clock, ManualClock, Timestamp},
};

use crate::{
    SOON, quick,
    scripted::{Readable, Scripted, has_old, put_old},
};

/// Longer than it takes from the time of a run, failures and all.
const A_WHILE: Duration = Duration::from_secs(60 * 60);

/// A clock that goes as the runtime's.
pub(crate) struct Virtual {
    origin: Timestamp,
    begun: Instant,
}

impl Virtual {
    pub(crate) fn at(text: &str) -> Arc<Self> {
        Arc::new(Self { origin: text.parse().unwrap(), begun: Instant::now() })
    }
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        self.origin.saturating_add(self.begun.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.begun.elapsed()
    }
}

async fn on_schedule(store: &Readable, clock: &Arc<Virtual>) -> Pipeline {
    let builder = quick(store.clone()).clock(Arc::clone(clock));
    builder.retention_schedule("daily@03:00".parse().unwrap()).start().await.unwrap()
}

fn told(memory: &MemoryStore) -> usize {
    memory.all().iter().filter(|record| record.action == "retention_run").count()
}

/// Waits until the old records are gone, and returns the time of day at which they were.
async fn gone(memory: &MemoryStore, clock: &Virtual) -> String {
    let goes = async {
        while has_old(memory) {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(A_WHILE, goes).await.expect("they go");
    clock.now().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_run_that_failed_is_tried_again_soon_and_each_day_has_its_own() {
    let store = Readable(Scripted::gated());
    put_old(&store.0.memory, 1, "authentication", |_| {}).await;
    let clock = Virtual::at("2026-11-22T02:59:50Z");
    let pipeline = on_schedule(&store, &clock).await;
    // What it would tell of is not stored: it fails at half past, and has taken nothing out.
    sleep(Duration::from_secs(45)).await;
    assert!(has_old(&store.0.memory));
    store.0.open_gate();
    let at = gone(&store.0.memory, &clock).await;
    assert!(("2026-11-22T03:01:30".."2026-11-22T03:03:00").contains(&&*at), "{at}");
    assert_eq!(told(&store.0.memory), 1, "the second has gone on with what the first told of");

    put_old(&store.0.memory, 2, "authentication", |_| {}).await;
    advance(Duration::from_secs(23 * 60 * 60 + 50 * 60)).await;
    assert!(has_old(&store.0.memory), "it is not yet time");
    let at = gone(&store.0.memory, &clock).await;
    assert!(("2026-11-23T03:00:00".."2026-11-23T03:01:00").contains(&&*at), "{at}");
    pipeline.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_replicas_one_runs_also_while_the_other_is_at_it() {
    let store = Readable(Scripted::gated());
    put_old(&store.0.memory, 1, "authentication", |_| {}).await;
    let clock = Virtual::at("2026-11-22T02:59:50Z");
    let one = on_schedule(&store, &clock).await;
    let other = on_schedule(&store, &clock).await;
    // Whoever runs waits at the gate; the other has looked at the clock several times.
    sleep(Duration::from_secs(20)).await;
    assert!(has_old(&store.0.memory));
    store.0.open_gate();
    gone(&store.0.memory, &clock).await;
    one.shutdown(SOON).await;
    other.shutdown(SOON).await;
    assert_eq!(told(&store.0.memory), 1);
}

/// One that slept through the time finds that the run is done, however long ago that was.
#[tokio::test(start_paused = true)]
async fn whoever_comes_late_does_not_run_again() {
    let store = Readable(Scripted::new([]));
    put_old(&store.0.memory, 1, "authentication", |_| {}).await;
    let clock = Virtual::at("2026-11-22T02:59:50Z");
    let asleep = Arc::new(ManualClock::at("2026-11-22T02:59:50Z".parse().unwrap()));
    let one = on_schedule(&store, &clock).await;
    let late = quick(store.clone()).clock(Arc::clone(&asleep));
    let late = late.retention_schedule("daily@03:00".parse().unwrap()).start().await.unwrap();
    gone(&store.0.memory, &clock).await;
    // Of the next day's run.
    put_old(&store.0.memory, 2, "authentication", |_| {}).await;
    asleep.advance(Duration::from_secs(2 * 60 * 60));
    sleep(Duration::from_secs(60)).await;
    assert!(has_old(&store.0.memory));
    for pipeline in [one, late] {
        pipeline.shutdown(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_knows_what_another_process_has_set_a_moment_ago() {
    let store = Readable(Scripted::new([]));
    put_old(&store.0.memory, 1, "authentication", |_| {}).await;
    // Looks for what others set at 51, 56 and 01.
    let clock = Virtual::at("2026-11-22T02:59:51Z");
    let pipeline = on_schedule(&store, &clock).await;
    let other = quick(store.clone()).clock(Arc::clone(&clock)).start().await.unwrap();
    sleep(Duration::from_secs(7)).await;
    let never = serde_json::json!({ "authentication": "never" });
    let custodian = other.custodian().unwrap();
    custodian.set_policy(&never, None, &Actor::user("dpo")).await.unwrap();
    assert!(clock.now().to_string().starts_with("2026-11-22T02:59:58"), "{}", clock.now());
    sleep(Duration::from_secs(60)).await;
    assert!(has_old(&store.0.memory));
    for pipeline in [pipeline, other] {
        pipeline.shutdown(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_schedule_nothing_goes_however_large_the_log_is() {
    let store = Readable(Scripted::new([]));
    for seq in 1..=3 {
        put_old(&store.0.memory, seq, "authentication", |record| {
            let text = "x".repeat(500_000);
            record.metadata = Json::of(&serde_json::json!({ "x": text })).unwrap();
        })
        .await;
    }
    let limit = SizeLimit::new(1_000_000).unwrap().force(true);
    let policy = RetentionPolicy::default().max_size(Some(limit));
    let clock = Virtual::at("2026-11-22T12:00:00Z");
    let builder =
        || quick(store.clone()).clock(Arc::clone(&clock)).retention_policy(policy.clone());
    let pipeline = builder().start().await.unwrap();
    sleep(Duration::from_secs(10 * 60)).await;
    assert!(has_old(&store.0.memory), "nobody said that anything may");
    pipeline.shutdown(SOON).await;
    let scheduled = builder().retention_schedule("daily@03:00".parse().unwrap());
    let pipeline = scheduled.start().await.unwrap();
    let at = gone(&store.0.memory, &clock).await;
    assert!(("2026-11-22T12:10:00".."2026-11-22T12:12:00").contains(&&*at), "{at}");
    pipeline.shutdown(SOON).await;
}

/// An archive at which whoever archives waits.
#[derive(Debug, Clone)]
struct Waiting(Arc<(watch::Sender<bool>, Semaphore)>);

impl Archival for Waiting {
    fn location(&self) -> String {
        "memory:waiting".to_owned()
    }

    fn keep<'a>(
        &'a self,
        _store: &'a AnyStore,
        _removal: &'a Removal,
        _seeds: &'a [[u8; 32]],
        _now: Timestamp,
    ) -> Archiving<'a, Vec<ArchivedPart>> {
        Box::pin(async {
            self.0.0.send_replace(true);
            self.0.1.acquire().await?.forget();
            Ok(Vec::new())
        })
    }

    fn parts(&self) -> Archiving<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn find<'a>(
        &'a self,
        _part: &'a str,
        _concerned: &'a mut (dyn FnMut(&Record) -> Groups + Send),
    ) -> Archiving<'a, Vec<ErasedGroups>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn empty<'a>(
        &'a self,
        _store: &'a AnyStore,
        _part: &'a str,
        _records: &'a [ErasedGroups],
        _now: Timestamp,
    ) -> Archiving<'a, u64> {
        Box::pin(async { Ok(0) })
    }
}

/// What an earlier run told of could go without another word: it does not, once the service is down.
#[tokio::test(start_paused = true)]
async fn a_run_on_schedule_ends_with_its_pipeline() {
    let store = Readable(Scripted::new([]));
    let memory = &store.0.memory;
    put_old(memory, 1, "authentication", |_| {}).await;
    let facts = memory.units().await.unwrap().remove(0);
    let removal = removal_of(memory, &facts).await.unwrap().unwrap();
    let mut telling = removal.to_json();
    telling["archive"] = serde_json::json!({ "location": "memory:waiting", "parts": [] });
    put_old(memory, 2, "system", |record| {
        (record.category, record.origin) = (Category::System, Origin::System);
        record.action.set("retention_run");
        record.metadata = Json::of(&telling).unwrap();
    })
    .await;
    let archive = Waiting(Arc::new((watch::Sender::new(false), Semaphore::new(0))));
    let clock = Virtual::at("2026-11-22T02:59:50Z");
    let start = || {
        let builder = quick(store.clone()).clock(Arc::clone(&clock)).archive(archive.clone());
        builder.retention_schedule("daily@03:00".parse().unwrap()).start()
    };
    let of_class = || {
        let all = memory.all();
        all.iter().filter(|record| record.retention_class == "authentication").count()
    };
    let pipeline = start().await.unwrap();
    let mut reached = archive.0.0.subscribe();
    timeout(A_WHILE, reached.wait_for(|reached| *reached)).await.expect("it archives").unwrap();
    pipeline.shutdown(SOON).await;
    archive.0.1.add_permits(100);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(of_class(), 1);
    // The next day's goes on with it.
    let pipeline = start().await.unwrap();
    let goes = async {
        while of_class() > 0 {
            sleep(Duration::from_secs(60)).await;
        }
    };
    timeout(26 * A_WHILE, goes).await.expect("it goes");
    pipeline.shutdown(SOON).await;
    assert_eq!(told(memory), 1, "it was told of once");
}
