//! Strict requests whose records do not hold all of it: refused, lest an oversize request leaves a record that says less.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Body, routing::post};
use http::{Response, StatusCode};
use tower::ServiceExt as _;
use tower_activity::{
    capture::Activity,
    record::Outcome,
    rules::{Delivery, Rules},
};

use crate::{
    support::{Log, json, read, request},
    table::Row,
};

/// Returns the `detail` of a problem, and the last part of its `type`.
async fn problem(response: Response<Body>) -> (String, String) {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(&read(response).await).unwrap();
    let text = |name: &str| problem[name].as_str().unwrap().to_owned();
    (text("detail"), text("type").rsplit(':').next().unwrap().to_owned())
}

fn long_path() -> String {
    format!("/api/orders/{}", "a".repeat(3_000))
}

#[tokio::test]
async fn a_strict_request_that_fits_no_record_is_not_attempted() {
    let log = Log::in_mode(Delivery::Strict, Rules::rest()).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let handler = async move || {
        count.fetch_add(1, Ordering::SeqCst);
    };
    let app = Router::new().route("/api/orders/{id}", post(handler)).layer(log.layer());
    let response = app.oneshot(request("POST", &long_path())).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (detail, kind) = problem(response).await;
    assert_eq!(kind, "not-attempted");
    for part in ["was not attempted", "`entity_id`", "512 bytes", "durable", "ACTIVITY_MODE"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0, "the handler did not run");
    let record = log.only().await;
    assert_eq!((record.outcome, &*record.outcome_reason), (Outcome::Failure, "not_attempted"));
    assert!(record.truncated.as_str().contains("path"));
    Row { fault: "32 strict, too large before", runs: 1, sent: 1, stored: 1, ..Row::default() }
        .report();
}

#[tokio::test]
async fn an_outcome_that_fits_no_record_is_not_handed_on() {
    let log = Log::in_mode(Delivery::Strict, Rules::rest()).await;
    let tell = async |activity: Activity| {
        activity.metadata("all", "x".repeat(300_000));
        "done"
    };
    let app = Router::new().route("/api/orders", post(tell)).layer(log.layer());
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let (detail, kind) = problem(response).await;
    assert_eq!(kind, "outcome-not-recorded");
    for part in ["was carried out", "`metadata`", "65536 bytes", "64 levels", "durable"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    // What there is of it is kept, once, and says that it is not all.
    let record = log.only().await;
    assert_eq!((record.status, record.outcome), (Some(200), Outcome::Success));
    assert!(record.truncated.as_str().contains("metadata"));
    assert_eq!(log.pipeline.tally().dropped.total(), 0);
    Row { fault: "32 strict, too large after", runs: 1, sent: 1, stored: 1, ..Row::default() }
        .report();
}

#[tokio::test]
async fn a_streamed_answer_whose_outcome_fits_no_record_is_cut_off() {
    let log = Log::in_mode(Delivery::Strict, Rules::rest()).await;
    let tell = async |activity: Activity| {
        activity.metadata("all", "x".repeat(300_000));
        let frames = ["one", "two"].map(Ok::<_, std::convert::Infallible>);
        Body::from_stream(futures_util::stream::iter(frames))
    };
    let app = Router::new().route("/api/orders", post(tell)).layer(log.layer());
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    let read = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    assert!(read.is_err(), "{read:?}");
    assert!(log.only().await.truncated.as_str().contains("metadata"));
}

#[tokio::test]
async fn a_captured_body_may_be_cut_in_a_strict_request() {
    let rules = Rules::rest()
        .with_toml(
            "[[rule]]\nname = \"all\"\nroute = \"/api/orders\"\nlevel = \"request_response\"\n",
        )
        .unwrap();
    let log = Log::in_mode(Delivery::Strict, rules).await;
    let echo = async |body: String| body;
    let app = Router::new().route("/api/orders", post(echo)).layer(log.layer());
    let body = format!("{{\"note\":\"{}\"}}", "x ".repeat(200_000));
    let response = app.oneshot(json("POST", "/api/orders", &body)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(read(response).await.len(), body.len());
    assert!(log.only().await.request_body.len() < body.len());
}

#[tokio::test]
async fn what_is_not_strict_is_cut_and_passes() {
    for mode in [Delivery::BestEffort, Delivery::Durable] {
        let log = Log::in_mode(mode, Rules::rest()).await;
        let app = Router::new().route("/api/orders/{id}", post(async || "done")).layer(log.layer());
        let response = app.oneshot(request("POST", &long_path())).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{mode}");
        assert!(log.only().await.truncated.as_str().contains("path"));
    }
}

#[tokio::test]
async fn a_forwarding_chain_that_is_cut_is_listed_and_refused_where_it_is_strict() {
    let chain = vec!["10.9.9.9"; 1_000].join(", ");
    for (mode, status) in
        [(Delivery::Durable, StatusCode::OK), (Delivery::Strict, StatusCode::SERVICE_UNAVAILABLE)]
    {
        let log = Log::in_mode(mode, Rules::rest()).await;
        let app = Router::new().route("/api/orders", post(async || "done")).layer(log.layer());
        let mut request = request("POST", "/api/orders");
        request.headers_mut().insert("x-forwarded-for", chain.parse().unwrap());
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{mode}");
        let record = log.only().await;
        let is_kept = !record.forwarded.is_absent();
        assert_eq!(record.truncated.as_str().contains("forwarded"), is_kept);
        assert!(is_kept || status == StatusCode::OK);
    }
}
