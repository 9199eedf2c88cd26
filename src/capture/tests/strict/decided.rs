//! Which requests are strict, and what is not to be recorded after all.

use super::*;
use crate::{
    capture::{Activity, Unrecorded},
    rules::Level,
};

#[tokio::test]
async fn what_is_not_to_be_recorded_takes_its_intent_back() {
    let log = strict().await;
    let (_, answer) = send(&log, request("POST", "/api/orders"), |request| {
        request.extensions().get::<Activity>().unwrap().discard();
        Response::new(Body::from("done"))
    });
    answer.await.unwrap();
    assert_eq!(log.frames(), ["open 1", "cancel 1"], "discarded");

    let log = strict().await;
    let (_, answer) = send(&log, request("POST", "/api/orders"), |_| {
        let mut response = Response::new(Body::from("done"));
        response.extensions_mut().insert(Unrecorded);
        response
    });
    answer.await.unwrap();
    assert_eq!(log.frames(), ["open 1", "cancel 1"], "an answer that is not to be recorded");

    let conflicts = Rule::new("conflicts").route("/api/orders").status(["409"]).level(Level::None);
    let log = Log::with(Delivery::Strict, Rules::rest().rule(conflicts)).await;
    let (_, answer) = send(&log, request("POST", "/api/orders"), |_| {
        Response::builder().status(409).body(Body::empty()).unwrap()
    });
    answer.await.unwrap();
    assert_eq!(log.frames(), ["open 1", "cancel 1"], "a rule that decides at the end");
    assert!(log.records().await.is_empty());
}

#[tokio::test]
async fn reads_that_only_a_refusal_records_are_not_announced() {
    let log = strict().await;
    log.disk.refuse(Refused::Everything);
    let (calls, answer) = send(&log, request("GET", "/api/orders"), small("done"));
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    assert_eq!((calls.count(), log.frames().len()), (1, 0));
    let (_, answer) = send(&log, request("GET", "/api/orders"), |_| {
        Response::builder().status(403).body(Body::empty()).unwrap()
    });
    let status = answer.await.unwrap().status();
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "the refusal is a record to be kept");
}

#[tokio::test]
async fn a_strict_rule_is_strict_in_an_app_that_is_not() {
    let rule = Rule::new("cancel").route("/api/orders/{id}/cancel").delivery(Delivery::Strict);
    let log = Log::with(Delivery::BestEffort, Rules::rest().rule(rule)).await;
    log.disk.hold();
    let (calls, mut answer) = send(&log, request("POST", "/api/orders/55/cancel"), small("done"));
    assert!(poll(&mut answer).is_pending());
    assert_eq!(calls.count(), 0);
    let (calls, mut other) = send(&log, request("POST", "/api/orders/55/pay"), small("done"));
    assert_eq!(calls.count(), 1, "called at once, as ever");
    assert!(poll(&mut other).is_ready());
    log.disk.release();
    answer.await.unwrap();
    assert_eq!(log.frames(), ["open 1", "record", "end 1"]);
}

#[tokio::test]
async fn the_strictest_candidate_decides_whichever_rule_wins() {
    let failed =
        Rule::new("failed").route("/api/pay").status(["failure"]).delivery(Delivery::Strict);
    let log = Log::with(Delivery::BestEffort, Rules::rest().rule(failed)).await;
    log.disk.hold();
    let (calls, mut answer) = send(&log, request("POST", "/api/pay"), small("done"));
    assert!(poll(&mut answer).is_pending());
    assert_eq!(calls.count(), 0);
    log.disk.release();
    answer.await.unwrap();
    assert_eq!(log.only().await.rule, "rest");
}

#[tokio::test]
async fn a_layer_inside_with_a_stricter_rule_announces_the_request_of_the_one_outside() {
    let rule = Rule::new("cancel").route("/api/{kind}/{id}/cancel").delivery(Delivery::Strict);
    for refused in [false, true] {
        let log = Log::new(Delivery::BestEffort).await;
        let inside = Log::with(Delivery::BestEffort, Rules::rest().rule(rule.clone())).await;
        if refused {
            log.disk.refuse(Refused::Opens);
        } else {
            log.disk.hold();
        }
        let calls = Calls::default();
        let count = calls.clone();
        let router = axum::Router::new()
            .route(
                "/{kind}/{id}/cancel",
                axum::routing::post(async move || {
                    count.0.fetch_add(1, Ordering::SeqCst);
                    "done"
                }),
            )
            .layer(inside.layer());
        let nested = axum::Router::new().nest("/api", router);
        let mut app = log.layer().layer(nested);
        let mut answer: Answered = Box::pin(app.call(request("POST", "/api/orders/55/cancel")));
        if !refused {
            assert!(poll(&mut answer).is_pending());
            assert_eq!((calls.count(), log.frames()), (0, vec!["open 1".to_owned()]));
            log.disk.release();
        }
        let response = answer.await.unwrap();
        let record = log.only().await;
        assert!(inside.frames().is_empty(), "one request is one record");
        if refused {
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(how(&record), (Some(503), Outcome::Failure, "not_attempted"));
            assert_eq!(calls.count(), 0);
        } else {
            assert_eq!(how(&record), (Some(200), Outcome::Success, ""));
            assert_eq!(log.frames(), ["open 1", "end 1"]);
            assert_eq!(calls.count(), 1);
        }
    }
}
