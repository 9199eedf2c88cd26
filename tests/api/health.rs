//! How the log is doing.

use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tower_activity::{
    ledger::verify::{Verdict, Verified},
    record::{Actor, Record},
    store::Evidence as _,
    time::Timestamp,
};

use crate::support::{Fixture, InMemory, Service};

on_every_store! {
    a_probe_learns_one_word_and_an_administrator_the_rest,
    the_last_verification_is_told_with_its_place_and_age,
}

async fn the_last_verification_is_told_with_its_place_and_age<F: Fixture>() {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let (service, _clock) = Service::<F>::at(now).await;
    let at = "2026-11-20T11:59:00Z".parse().unwrap();
    for result in [Verdict::Incomplete, Verdict::Altered] {
        service.store.keep_verified(&Verified::new(at, 7, result)).await.unwrap();
    }
    let health = service.get("/activity/health").await.json();
    let last = serde_json::json!({
        "at": "2026-11-20T11:59:00.000000Z", "age_ms": 60_000, "position": 7, "result": "altered",
    });
    assert_eq!((&health["last_verify"], &health["status"]), (&last, &"degraded".into()));
    let reason = "the verification of 2026-11-20T11:59:00.000000Z found the log to be altered";
    assert_eq!(health["reasons"], serde_json::json!([reason]));
    service.stop().await;
}

async fn a_probe_learns_one_word_and_an_administrator_the_rest<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", "55"));
    service.pipeline.flush().await;

    let one_word = serde_json::json!({ "status": "ok" });
    let probed = service.send(Method::GET, "/activity/health", &[], "").await.json();
    assert_eq!(probed, one_word);
    let viewer = "eve logs.auth.view,logs.actions.view,logs.export";
    assert_eq!(service.get_as(viewer, "/activity/health").await.json(), one_word);
    // Numbers of the whole are not a tenant's.
    let tenant = "eve logs.configure t1";
    assert_eq!(service.get_as(tenant, "/activity/health").await.json(), one_word);

    let health = service.get("/activity/health").await.json();
    assert_eq!((&health["status"], &health["mode"]), (&"ok".into(), &"best_effort".into()));
    assert_eq!(health["reasons"], serde_json::json!([]));
    assert_eq!(health["tally"]["received"], 1, "{health}");
    let tally = service.pipeline.tally();
    assert_eq!(health["tally"]["stored"], tally.stored);
    let writer = &health["writers"][0];
    assert_eq!((&writer["gaps"], &writer["lag_ms"]), (&0.into(), &0.into()), "{health}");
    assert_eq!(writer["last_seq"], 2, "started, and the cancellation");
    assert!(writer["id"].as_str().unwrap().parse::<i64>().unwrap() > 0);
    assert!(health["storage"]["rows"].as_i64().unwrap() >= 2);
    assert!(health["storage"]["newest"].is_string());
    // The fold goes on in the background, and has a few entries to do at the most.
    assert!(health["rollups"]["behind"].as_i64().is_some_and(|behind| behind <= 3), "{health}");
    assert_eq!(health["last_verify"], Value::Null);
    // Asking how the log is doing shows nothing of it, and is no view.
    service.pipeline.flush().await;
    assert_eq!(service.pipeline.tally().received, 1);
    service.stop().await;
}

#[tokio::test]
async fn whoever_tries_a_key_at_this_door_is_seen() {
    let service = Service::<InMemory>::start().await;
    let headers = [("authorization", "Basic YTpi")];
    let answer = service.send(Method::GET, "/activity/health", &headers, "").await.json();
    assert_eq!(answer, serde_json::json!({ "status": "ok" }));
    service.pipeline.flush().await;
    let records = service.store.all();
    assert!(records.iter().any(|record| record.outcome.as_str() == "denied"), "{records:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_log_that_records_nothing_any_more_is_failing() {
    let service = Service::<InMemory>::start().await;
    service.pipeline.shutdown(Duration::from_secs(5)).await;
    let answer = service.get("/activity/health").await;
    assert_eq!(answer.status, 503);
    let health: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(health["status"], "failing");
    assert!(health["reasons"][0].as_str().unwrap().contains("shut down"), "{health}");
    service.stop().await;
}
