//! A strict request: its intent is on the disk before the service is called, its outcome before the answer ends.

mod decided;
mod grpc;
mod leaving;
mod service;

use http::{StatusCode, header};
use http_body_util::BodyExt as _;

use super::*;

async fn strict() -> Log {
    Log::new(Delivery::Strict).await
}

/// A body that counts how often it is asked.
struct Asked(Calls);

impl http_body::Body for Asked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(None)
    }
}

/// Reads an answer of our own.
async fn problem(response: Response<Body>, kind: &str) -> serde_json::Value {
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let status = response.status();
    let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(problem["type"], format!("urn:tower-activity:problem:{kind}"));
    assert_eq!(problem["status"], status.as_u16());
    problem
}

/// A request whose outcome waits for the disk.
async fn done(log: &Log) -> Answered {
    let disk = log.disk.clone();
    let (calls, mut answer) = send(log, request("POST", "/api/orders"), move |_| {
        disk.hold();
        Response::new(Body::from("done"))
    });
    until_called(&mut answer, &calls).await;
    answer
}

#[tokio::test]
async fn the_service_is_called_when_the_disk_has_the_intent() {
    let log = strict().await;
    log.disk.hold();
    let (calls, mut answer) = send(&log, request("POST", "/known/55/cancel"), small("done"));
    assert!(poll(&mut answer).is_pending() && poll(&mut answer).is_pending());
    assert_eq!((calls.count(), log.frames()), (0, vec!["open 1".to_owned()]));
    log.disk.release();
    let response = answer.await.unwrap();
    assert_eq!((response.status(), text(response).await), (StatusCode::OK, "done".to_owned()));
    assert_eq!((calls.count(), log.frames()), (1, vec!["open 1".to_owned(), "end 1".to_owned()]));
    let (begun, record) = (log.begun(), log.only().await);
    assert_eq!((record.id, record.occurred_at), (begun.id, begun.occurred_at));
    assert_eq!(how(&record), (Some(200), Outcome::Success, ""));
}

#[tokio::test]
async fn an_intent_without_an_outcome_says_so() {
    let log = strict().await;
    let (_, answer) = send(&log, request("POST", "/known/55/cancel"), small("done"));
    answer.await.unwrap();
    let begun = log.begun();
    assert_eq!(how(&begun), (None, Outcome::Unknown, "process_ended"));
    assert_eq!(begun.description, "attempted, outcome unknown");
    assert_eq!((&*begun.action, &*begun.entity_type, &*begun.entity_id), ("cancel", "known", "55"));
    assert_eq!((begun.severity, begun.response_bytes), (3, None));
    let record = log.only().await;
    assert!(record.description.is_absent(), "it has an outcome: {}", record.description);
}

#[tokio::test]
async fn without_an_intent_the_service_is_not_called_and_the_answer_is_503() {
    let log = strict().await;
    log.disk.refuse(Refused::Opens);
    let asked = Calls::default();
    let body = Body::new(Asked(asked.clone()));
    let request = Request::post("/known/55/cancel").body(body).unwrap();
    let (calls, answer) = send(&log, request, small("done"));
    let response = answer.await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem = problem(response, "not-attempted").await;
    assert!(problem["detail"].as_str().unwrap().starts_with("the operation was not attempted"));
    assert_eq!((calls.count(), asked.count()), (0, 0));
    let record = log.only().await;
    assert_eq!(how(&record), (Some(503), Outcome::Failure, "not_attempted"));
    assert_eq!((record.request_bytes, &*record.entity_id), (Some(0), "55"));
    assert_eq!(log.frames(), ["record"], "nothing waits for it, and nothing is ended by it");
}

#[tokio::test]
async fn a_disk_that_fails_while_the_intent_waits_refuses_it() {
    let log = strict().await;
    log.disk.hold();
    let (calls, mut answer) = send(&log, request("POST", "/known/55/cancel"), small("done"));
    assert!(poll(&mut answer).is_pending());
    lose_patience();
    assert_eq!(answer.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(calls.count(), 0);
    assert_eq!(log.frames(), ["open 1", "cancel 1", "record"]);
    assert_eq!(how(&log.only().await), (Some(503), Outcome::Failure, "not_attempted"));
}

#[tokio::test]
async fn the_head_waits_until_the_disk_has_the_outcome() {
    let log = strict().await;
    let mut answer = done(&log).await;
    assert!(poll(&mut answer).is_pending());
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    log.disk.release();
    assert_eq!(text(answer.await.unwrap()).await, "done");
    assert_eq!(log.only().await.status, Some(200));
}

#[tokio::test]
async fn without_an_outcome_the_answer_is_500_and_none_of_it_is_sent() {
    for slow in [false, true] {
        let log = strict().await;
        let (disk, asked) = (log.disk.clone(), Calls::default());
        let count = asked.clone();
        let (calls, answer) = send(&log, request("POST", "/api/orders"), move |_| {
            if slow {
                disk.hold();
                lose_patience();
            } else {
                disk.refuse(Refused::Everything);
            }
            let mut response = Response::new(Body::new(Asked(count)));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert("x-secret", "5".parse().unwrap());
            response
        });
        let response = answer.await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!response.headers().contains_key("x-secret"));
        let problem = problem(response, "outcome-not-recorded").await;
        assert!(problem["detail"].as_str().unwrap().starts_with("the operation was carried out"));
        assert_eq!((calls.count(), asked.count()), (1, 0));
        if slow {
            // What was done; the disk had it in the end.
            assert_eq!(how(&log.only().await), (Some(204), Outcome::Success, ""));
        } else {
            assert_eq!(log.frames(), ["open 1"], "the intent stays");
            let tally = log.pipeline.tally();
            assert_eq!((tally.received, tally.spooled, tally.dropped.total()), (1, 1, 0));
            log.disk.accept();
            let told = log.told_by_the_next().await;
            assert_eq!(told.len(), 1, "told of once, and no gap of it: {told:#?}");
            // It was done, and this process said so once it could.
            assert_eq!(how(&told[0]), (Some(204), Outcome::Success, ""));
        }
    }
}

#[tokio::test]
async fn what_is_known_at_the_head_of_a_stream_is_known_after_a_crash() {
    for (status, outcome) in
        [(200, Outcome::Aborted), (403, Outcome::Denied), (500, Outcome::Failure)]
    {
        let log = strict().await;
        let (_steps, body) = stepped();
        let (_, answer) = send(&log, request("POST", "/api/reports"), move |_| {
            Response::builder().status(status).body(body).unwrap()
        });
        let response = answer.await.unwrap();
        assert_eq!(log.frames(), ["open 1", "more 1"]);
        assert_eq!(how(&log.begun()), (Some(status), outcome, "process_ended"));
        assert!(log.begun().description.is_absent(), "its outcome is known");
        drop(response);
    }
}

#[tokio::test]
async fn where_every_response_waits_for_the_disk_the_head_of_a_strict_stream_does() {
    let zero = |builder: PipelineBuilder<_>| builder.fsync_interval(Duration::ZERO);
    let log = Log::start(Delivery::Strict, Rules::rest(), zero).await;
    let (steps, body) = stepped();
    let disk = log.disk.clone();
    let (calls, mut answer) = send(&log, request("POST", "/api/reports"), move |_| {
        disk.hold();
        Response::new(body)
    });
    until_called(&mut answer, &calls).await;
    assert!(poll(&mut answer).is_pending());
    assert_eq!(log.frames(), ["open 1", "more 1"]);
    log.disk.release();
    let response = answer.await.unwrap();
    drop(steps);
    response.into_body().collect().await.unwrap();
    assert_eq!(log.frames(), ["open 1", "more 1", "end 1"]);
    assert_eq!(how(&log.only().await), (Some(200), Outcome::Success, ""));
}

#[tokio::test]
async fn the_end_of_a_stream_waits_for_the_disk() {
    let log = strict().await;
    let (steps, answer) = streaming(&log, "POST");
    let mut body = answer.await.unwrap().into_body();
    log.disk.hold();
    steps.send(data("one")).unwrap();
    assert!(matches!(poll_frame(&mut body), Poll::Ready(Some(Ok(_)))), "only the last one waits");
    drop(steps);
    assert!(poll_frame(&mut body).is_pending());
    log.disk.release();
    assert!(body.frame().await.is_none());
    assert_eq!(log.frames(), ["open 1", "more 1", "end 1"]);
    assert_eq!(log.only().await.response_bytes, Some(3));
}

#[tokio::test]
async fn a_stream_without_its_outcome_is_cut_off() {
    let log = strict().await;
    let (steps, answer) = streaming(&log, "POST");
    let mut body = answer.await.unwrap().into_body();
    log.disk.refuse(Refused::Everything);
    drop(steps);
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("audit record"), "{error}");
    assert!(body.frame().await.is_none(), "and then nothing more");
    assert!(http_body::Body::is_end_stream(&body));
}

#[tokio::test]
async fn the_last_frame_of_a_large_body_waits_and_is_kept_back() {
    for refused in [false, true] {
        let log = strict().await;
        let (_, answer) =
            send(&log, request("POST", "/api/reports"), |_| Response::new(vec![7; 100_000].into()));
        let mut body = answer.await.unwrap().into_body();
        log.disk.hold();
        assert!(poll_frame(&mut body).is_pending());
        if refused {
            lose_patience();
            body.frame().await.unwrap().unwrap_err();
        } else {
            log.disk.release();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 100_000);
        }
    }
}
