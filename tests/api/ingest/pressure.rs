//! When there is no room, and when the store does not answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http_body_util::BodyExt as _;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::ServiceExt as _;
use tower_activity::{
    MemoryStore, Pipeline,
    record::WriterId,
    store::{AnyStore, Append, Appended, Appender, Batch, MemoryAppender, StoreError},
};

use super::{handed_in, rejected, ship};
use crate::support::by_header;

/// A store that can be asked, and whose appends wait until they are let through.
#[derive(Clone)]
struct Gated {
    memory: MemoryStore,
    gate: Arc<(AtomicBool, Notify)>,
}

impl Gated {
    fn shut() -> Self {
        Self { memory: MemoryStore::new(), gate: Arc::new((AtomicBool::new(true), Notify::new())) }
    }

    fn open(&self) {
        self.gate.0.store(false, Ordering::SeqCst);
        self.gate.1.notify_waiters();
    }
}

struct GatedAppender(Gated, MemoryAppender);

impl Append for Gated {
    type Appender = GatedAppender;

    async fn connect(&self) -> Result<GatedAppender, StoreError> {
        Ok(GatedAppender(self.clone(), self.memory.connect().await?))
    }

    fn reader(&self) -> Option<AnyStore> {
        self.memory.reader()
    }
}

impl Appender for GatedAppender {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        self.1.position(writer_id).await
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        loop {
            let opened = self.0.gate.1.notified();
            if !self.0.gate.0.load(Ordering::SeqCst) {
                return self.1.append(batch).await;
            }
            opened.await;
        }
    }
}

async fn send(app: &Router, body: &Value) -> (StatusCode, Option<String>, Value) {
    let request = Request::post("/records")
        .header("x-test-caller", "shop")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let after = head.headers.get("retry-after").map(|after| after.to_str().unwrap().to_owned());
    (head.status, after, serde_json::from_slice(&body).unwrap())
}

fn keyed(id: u32) -> Value {
    let mut item = ship(id);
    item["id"] = json!(format!("r-{id}"));
    item
}

/// Lets the others on this thread go on until it is so; their clock moves when none of them can.
async fn until(so: impl AsyncFn() -> bool) {
    for _ in 0..10_000 {
        if so().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came about");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_stored_in_time_is_not_acknowledged_and_is_found_done_later() {
    let store = Gated::shut();
    let pipeline = Pipeline::builder(store.clone())
        .call_deadline(Duration::from_secs(3_600))
        .start()
        .await
        .unwrap();
    let app = pipeline.router(by_header());
    let (status, after, problem) = send(&app, &json!([keyed(1), keyed(2)])).await;
    assert_eq!((status.as_u16(), after.as_deref()), (503, Some("5")), "{problem}");
    assert!(handed_in(&store.memory).await.is_empty());
    // Still on its way: it is not taken a second time.
    let (status, after, answer) = send(&app, &keyed(1)).await;
    assert_eq!((status.as_u16(), after.as_deref()), (207, Some("1")));
    assert_eq!(rejected(&answer), [(0, "in-progress".to_owned())]);

    store.open();
    until(async || send(&app, &keyed(1)).await.0 == 201).await;
    let (_, _, answer) = send(&app, &json!([keyed(2), keyed(1)])).await;
    assert_eq!(
        (&answer["accepted"], &answer["records"][0]["duplicate"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(handed_in(&store.memory).await.len(), 2);
    assert_eq!(pipeline.tally().dropped.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_turns_away_what_can_wait_and_keeps_room_for_the_application() {
    let store = Gated::shut();
    let pipeline = Pipeline::builder(store.clone())
        .queue(32)
        .batch_rows(4)
        .call_deadline(Duration::from_secs(3_600))
        .start()
        .await
        .unwrap();
    let app = pipeline.router(by_header());
    let many: Vec<_> = (0..100).map(keyed).collect();
    let (status, after, answer) = send(&app, &json!(many)).await;
    // Some lie in the queue, and are not acknowledged; the others found no room.
    assert_eq!((status.as_u16(), after.as_deref()), (207, Some("5")));
    assert_eq!(answer["accepted"], 0);
    let kinds = rejected(&answer);
    let full = kinds.iter().filter(|(_, kind)| kind == "queue-full").count();
    assert!((60..100).contains(&full), "{full}");
    let (status, after, problem) = send(&app, &json!([keyed(200)])).await;
    assert_eq!((status.as_u16(), after.as_deref()), (429, Some("1")), "{problem}");
    // The application's own have room all the same.
    let recorder = pipeline.recorder();
    for n in 0..8 {
        let own = tower_activity::record::Record::by("ana").cancelled("order", &n.to_string());
        assert!(recorder.record(own).is_accepted());
    }
    store.open();
    pipeline.flush().await;
    until(async || send(&app, &json!(many)).await.0 == 201).await;
    assert_eq!(send(&app, &json!([keyed(200)])).await.0, 201);
    let stored = handed_in(&store.memory).await;
    assert_eq!(stored.len(), 101);
    // Nothing was lost: what was turned away is with its owner.
    assert_eq!(pipeline.tally().dropped.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_was_shut_down_says_so_and_keeps_no_key() {
    let store = Gated::shut();
    store.open();
    let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
    let app = pipeline.router(by_header());
    pipeline.shutdown(Duration::from_secs(5)).await;
    let (status, _, problem) = send(&app, &keyed(1)).await;
    assert_eq!(status.as_u16(), 503, "{problem}");
    let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
    let app = pipeline.router(by_header());
    assert_eq!(send(&app, &keyed(1)).await.0, 201);
    assert_eq!(handed_in(&store.memory).await.len(), 1);
    pipeline.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_shutdown_loses_is_not_acknowledged_and_can_be_handed_in_again() {
    let store = Gated::shut();
    let pipeline = Arc::new(
        Pipeline::builder(store.clone())
            .batch_rows(1)
            .call_deadline(Duration::from_secs(3_600))
            .start()
            .await
            .unwrap(),
    );
    let app = pipeline.router(by_header());
    let sending = tokio::spawn({
        let app = app.clone();
        async move { send(&app, &json!([keyed(1), keyed(2), keyed(3)])).await }
    });
    let queued = Arc::clone(&pipeline);
    until(async || queued.tally().queued == 3).await;
    pipeline.shutdown(Duration::from_secs(1)).await;
    let (status, _, answer) = sending.await.unwrap();
    assert!(!status.is_success() || answer["accepted"] == 0, "{answer}");
    store.open();
    let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
    let app = pipeline.router(by_header());
    // Those that were on their way are unknown until their claims expire; the others are free.
    let (_, _, answer) = send(&app, &json!([keyed(1), keyed(2), keyed(3)])).await;
    let taken = answer["accepted"].as_u64().unwrap();
    assert!(taken >= 2, "{answer}");
    assert_eq!(handed_in(&store.memory).await.len() as u64, taken);
    pipeline.shutdown(Duration::from_secs(5)).await;
}
