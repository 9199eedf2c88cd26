//! Clocks that jump under load.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, routing::post};
use http::{Request, StatusCode};
use tokio::sync::watch;
use tower::ServiceExt as _;
use tower_activity::{
    ActivityLayer, Filter, Pipeline, Record, SqliteStore,
    query::PageRequest,
    store::{Append, Read},
    time::{Clock, SystemClock, Timestamp},
};

use crate::{
    process::within,
    table::{Row, times},
};

/// The time of day as somebody set it; the other clock cannot be set.
struct Jumping {
    clock: SystemClock,
    seconds: AtomicI64,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let jump = self.seconds.load(Ordering::SeqCst) * 1_000_000;
        Timestamp::from_micros(self.clock.now().as_micros() + jump)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

const HOUR: i64 = 3_600;
const YEAR: i64 = 366 * 24 * HOUR;

/// Says that no more is to be sent, besides how much.
const END: u64 = 1 << 32;

/// Sends as much as `goal` says, and no more: nothing here depends on how fast it is sent, or stored.
async fn load(goal: &watch::Sender<u64>, sent: &watch::Sender<u64>, send: impl AsyncFn()) {
    let mut goal = goal.subscribe();
    loop {
        let now = *goal.borrow_and_update();
        while *sent.borrow() < now % END {
            send().await;
            sent.send_modify(|sent| *sent += 1);
            tokio::task::yield_now().await;
        }
        if now >= END {
            return;
        }
        goal.changed().await.unwrap();
    }
}

async fn jumps<S: Append + Read + Clone>(fault: &'static str, store: S, spool: bool) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Jumping { clock: SystemClock::default(), seconds: AtomicI64::new(0) });
    let mut builder = Pipeline::builder(store.clone()).clock(Arc::clone(&clock));
    builder = builder.batch_age(Duration::from_millis(5)).queue(100_000).queue_bytes(256 << 20);
    if spool {
        builder = builder.spool(folder.path().join("spool"));
    }
    let pipeline = builder.start().await.unwrap();
    let (goal, sent) = (watch::Sender::new(0), [(); 2].map(|()| watch::Sender::new(0)));
    // What happened on a machine whose clock is right.
    let by_hand = load(&goal, &sent[0], {
        let recorder = pipeline.recorder();
        async move || {
            let record = Record::by("ana").created("order", "7");
            let record = record.occurred_at(SystemClock::default().now());
            assert!(recorder.record(record).is_accepted());
        }
    });
    let app = Router::new()
        .route("/api/orders", post(async || tokio::task::yield_now().await))
        .layer(ActivityLayer::new(pipeline.recorder()));
    let asked = load(&goal, &sent[1], async move || {
        let request = Request::post("/api/orders").body(Body::empty()).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    });
    let rounds = times(1, 20);
    let jumps = async {
        for _ in 0..rounds {
            // Back an hour, on by ten years and a bit, and to where it was.
            for seconds in [-HOUR, 0, 11 * YEAR, -HOUR, 0] {
                clock.seconds.store(seconds, Ordering::SeqCst);
                // The next jump comes while there is still some to send.
                goal.send_modify(|goal| *goal += 20);
                for sent in &sent {
                    let half = *goal.borrow() - 10;
                    sent.subscribe().wait_for(|sent| *sent >= half).await.unwrap();
                }
            }
        }
        goal.send_modify(|goal| *goal += END);
    };
    within("the end of the load", async { tokio::join!(by_hand, asked, jumps) }).await;
    within("a flush", pipeline.flush()).await;
    let report = pipeline.shutdown(Duration::from_secs(60)).await;

    let sent = *sent[0].borrow() + *sent[1].borrow();
    let mut records = Vec::new();
    let mut ask = PageRequest::newest(1_000);
    loop {
        let page = store.records(&Filter::new(), &ask).await.unwrap();
        records.extend(page.records);
        let Some(next) = page.next else { break };
        ask.after = Some(next);
    }
    let ids: BTreeSet<_> = records.iter().map(|record| record.id).collect();
    let mut streams: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for record in &records {
        streams.entry(record.writer_id).or_default().push(record.seq);
    }
    let stored = records.iter().filter(|record| record.action == "create").count() as u64;
    Row { fault, runs: rounds as u64, sent, stored, lost: sent - stored, ..Row::default() }
        .report();
    assert_eq!((report.received, report.stored, report.dropped.total()), (sent, sent, 0));
    assert_eq!(stored, sent, "nothing is lost");
    assert_eq!(ids.len(), records.len(), "ids are unique");
    for numbers in streams.values_mut() {
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as i64), "{numbers:?}");
    }
    // What is ten years away for the clock of the moment is put where there is a leaf, and says so.
    let skewed: Vec<_> = records.iter().filter(|record| !record.skewed.is_absent()).collect();
    assert!(!skewed.is_empty() && skewed.len() < records.len());
    let now = SystemClock::default().now();
    for record in skewed {
        assert!(record.skewed.as_str().contains("occurred_at"), "{:?}", record.skewed);
        assert!(
            record.occurred_at > now,
            "clamped to ten years before the clock: {}",
            record.occurred_at
        );
    }
}

/// Fault 36, SQLite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_under_load_costs_nothing_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    for spool in [false, true] {
        let file = folder.path().join(format!("{spool}.db"));
        let store = SqliteStore::open(file.to_str().unwrap()).await.unwrap();
        jumps(
            if spool { "36 clock jumps, SQLite, spool" } else { "36 clock jumps, SQLite" },
            store,
            spool,
        )
        .await;
    }
}

/// Fault 36, Postgres: leaves of months that are years away.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_under_load_costs_nothing_in_postgres() {
    let database = crate::server::Database::new().await;
    let store = tower_activity::PostgresStore::open(&database.url()).await.unwrap();
    jumps("36 clock jumps, Postgres, spool", store, true).await;
}
