use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::{
    capture::{Activity, OwnBody, RequestBody, ResponseBody, Unrecorded},
    rules::Level,
};

async fn strict() -> Log {
    Log::new(Delivery::Strict).await
}

const CANCEL: &str = "/shop.v1.Orders/Cancel";

fn call(body: Body) -> Request<Body> {
    Request::post(CANCEL).header("content-type", "application/grpc+proto").body(body).unwrap()
}

fn grpc_answer(body: Body) -> Response<Body> {
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
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
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(problem["type"], "urn:tower-activity:problem:not-attempted");
    assert_eq!(problem["status"], 503);
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
    let disk = log.disk.clone();
    let (calls, mut answer) = send(&log, request("POST", "/api/orders"), move |_| {
        disk.hold();
        Response::new(Body::from("done"))
    });
    until_called(&mut answer, &calls).await;
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
        let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(problem["type"], "urn:tower-activity:problem:outcome-not-recorded");
        assert_eq!(problem["status"], 500);
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
            assert_eq!(how(&told[0]), (None, Outcome::Unknown, "process_ended"));
            assert_eq!(told[0].description, "attempted, outcome unknown");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_not_attempted_is_unavailable() {
    let log = strict().await;
    log.disk.refuse(Refused::Opens);
    let (calls, answer) = send(&log, call(Body::from("abc")), |_| grpc_answer(Body::empty()));
    let response = answer.await.unwrap();
    let headers = response.headers();
    assert_eq!(
        (response.status(), &headers["grpc-status"]),
        (StatusCode::OK, &"14".parse().unwrap())
    );
    assert_eq!(headers[header::CONTENT_TYPE], "application/grpc+proto");
    assert!(
        headers["grpc-message"].to_str().unwrap().starts_with("the operation was not attempted")
    );
    assert!(http_body::Body::is_end_stream(response.body()), "trailers only");
    assert_eq!(calls.count(), 0);
    let record = log.only().await;
    assert_eq!((record.status, record.grpc_status), (Some(200), Some(14)));
    assert_eq!((record.outcome, &*record.outcome_reason), (Outcome::Failure, "not_attempted"));
}

#[tokio::test]
async fn trailers_wait_for_the_disk_and_say_internal_without_it() {
    for refused in [false, true] {
        let log = strict().await;
        let (steps, body) = stepped();
        let (_, answer) = send(&log, call(Body::from("abc")), |_| grpc_answer(body));
        let mut body = answer.await.unwrap().into_body();
        steps.send(data("abc")).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
        log.disk.hold();
        steps.send(trailers("0")).unwrap();
        drop(steps);
        assert!(poll_frame(&mut body).is_pending() && poll_frame(&mut body).is_pending());
        assert!(!http_body::Body::is_end_stream(&body));
        let code = if refused {
            lose_patience();
            "13"
        } else {
            log.disk.release();
            "0"
        };
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], code);
        assert_eq!(trailers.contains_key("grpc-message"), refused);
        assert!(body.frame().await.is_none());
        assert_eq!(log.frames(), ["open 1", "end 1"]);
        assert_eq!(log.only().await.grpc_status, Some(0), "what the service said");
    }
}

#[tokio::test]
async fn a_call_that_answers_in_its_head_is_internal_without_its_outcome() {
    let log = strict().await;
    let disk = log.disk.clone();
    let (_, answer) = send(&log, call(Body::empty()), move |_| {
        disk.hold();
        lose_patience();
        let mut response = grpc_answer(Body::empty());
        response.headers_mut().insert("grpc-status", "5".parse().unwrap());
        response
    });
    let response = answer.await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"13".parse().unwrap())
    );
    assert_eq!(log.only().await.grpc_status, Some(5));
}

#[tokio::test]
async fn the_end_of_a_stream_waits_for_the_disk() {
    let log = strict().await;
    let (steps, body) = stepped();
    let (_, answer) = send(&log, request("POST", "/api/reports"), |_| Response::new(body));
    let mut body = answer.await.unwrap().into_body();
    log.disk.hold();
    steps.send(data("one")).unwrap();
    assert!(matches!(poll_frame(&mut body), Poll::Ready(Some(Ok(_)))), "only the last one waits");
    drop(steps);
    assert!(poll_frame(&mut body).is_pending());
    log.disk.release();
    assert!(body.frame().await.is_none());
    assert_eq!(log.frames(), ["open 1", "end 1"], "the intent is what the spool has of a stream");
    assert_eq!(log.only().await.response_bytes, Some(3));
}

#[tokio::test]
async fn a_stream_without_its_outcome_is_cut_off() {
    let log = strict().await;
    let (steps, body) = stepped();
    let (_, answer) = send(&log, request("POST", "/api/reports"), |_| Response::new(body));
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

#[tokio::test]
async fn a_client_that_leaves_while_the_intent_waits_is_one_aborted_record() {
    let log = strict().await;
    log.disk.hold();
    let (calls, mut answer) = send(&log, request("POST", "/api/orders"), small("done"));
    assert!(poll(&mut answer).is_pending());
    drop(answer);
    assert_eq!(calls.count(), 0);
    assert_eq!(log.frames(), ["open 1", "cancel 1", "record"], "nothing waits for an end");
    assert_eq!(how(&log.only().await), (None, Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn a_request_that_was_never_polled_is_one_aborted_record() {
    let log = strict().await;
    let (calls, answer) = send(&log, request("POST", "/api/orders"), small("done"));
    drop(answer);
    assert_eq!((calls.count(), log.frames()), (0, vec!["record".to_owned()]));
    assert_eq!(log.only().await.outcome, Outcome::Aborted);
}

#[tokio::test]
async fn a_client_that_leaves_while_the_service_works_ends_the_intent() {
    let log = strict().await;
    let calls = Calls::default();
    let count = calls.clone();
    let mut service = log.layer().layer(service_fn(move |_: Request<Body>| {
        count.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    }));
    let mut answer: Answered = Box::pin(service.call(request("POST", "/api/orders")));
    until_called(&mut answer, &calls).await;
    drop(answer);
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    assert_eq!(how(&log.only().await), (None, Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn a_client_that_leaves_while_the_outcome_waits_is_one_record_of_what_was_done() {
    let log = strict().await;
    let disk = log.disk.clone();
    let (calls, mut answer) = send(&log, request("POST", "/api/orders"), move |_| {
        disk.hold();
        Response::new(Body::from("done"))
    });
    until_called(&mut answer, &calls).await;
    drop(answer);
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    assert_eq!(how(&log.only().await), (Some(200), Outcome::Success, ""));
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_ends_the_intent() {
    let log = strict().await;
    let (steps, body) = stepped();
    let (_, answer) = send(&log, request("POST", "/api/reports"), |_| Response::new(body));
    drop(answer.await.unwrap());
    drop(steps);
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    assert_eq!(how(&log.only().await), (Some(200), Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn a_panic_ends_the_intent_without_waiting() {
    // In the call itself, in its future, in its body.
    type Panics = fn(
        Request<Body>,
    )
        -> Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;
    struct Broken;
    impl http_body::Body for Broken {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("in the body")
        }
    }
    let places: [(Panics, Option<u16>); 3] = [
        (|_| panic!("in the call"), None),
        (|_| Box::pin(async { panic!("in the future") }), None),
        (|_| Box::pin(async { Ok(Response::new(Body::new(Broken))) }), Some(200)),
    ];
    for (place, status) in places {
        let log = strict().await;
        let disk = log.disk.clone();
        let service = service_fn(move |request| {
            disk.hold();
            place(request)
        });
        let mut service = log.layer().layer(service);
        let unwound = tokio::spawn(async move {
            let response = service.call(request("POST", "/api/orders")).await.unwrap();
            drop(response.into_body().collect().await);
        });
        assert!(unwound.await.unwrap_err().is_panic());
        assert_eq!(log.frames(), ["open 1", "end 1"]);
        assert_eq!(how(&log.only().await), (status, Outcome::Failure, "panic"));
    }
}

#[tokio::test]
async fn a_panic_in_the_call_that_is_caught_outside_is_still_a_panic() {
    use futures_util::FutureExt as _;
    let log = strict().await;
    let mut service = log.layer().layer(service_fn(
        |_: Request<Body>| -> std::future::Ready<Result<Response<Body>, Infallible>> {
            panic!("in the call")
        },
    ));
    let answer = service.call(request("POST", "/api/orders"));
    std::panic::AssertUnwindSafe(answer).catch_unwind().await.unwrap_err();
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    assert_eq!(how(&log.only().await), (None, Outcome::Failure, "panic"));
}

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

/// Counts readiness on the very instance that is called; a clone starts unready.
struct Reserved {
    ready: bool,
    calls: Calls,
}

impl Clone for Reserved {
    fn clone(&self) -> Self {
        Self { ready: false, calls: self.calls.clone() }
    }
}

impl Service<Request<Body>> for Reserved {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(self.ready, "called without having been polled ready");
        self.ready = false;
        self.calls.0.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn the_instance_that_was_polled_ready_is_called_and_another_takes_its_place() {
    let log = strict().await;
    let calls = Calls::default();
    let mut service = log.layer().layer(Reserved { ready: false, calls: calls.clone() });
    let mut answers = Vec::new();
    for _ in 0..3 {
        service.ready().await.unwrap();
        answers.push(service.call(request("POST", "/api/orders")));
        assert!(!service.inner().ready, "whoever calls next polls it ready first");
    }
    assert_eq!(calls.count(), 0);
    for answer in answers {
        answer.await.unwrap();
    }
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn a_request_that_leaves_gives_its_place_back() {
    let log = strict().await;
    log.disk.hold();
    let inner =
        service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let limited = tower::limit::ConcurrencyLimit::new(inner, 1);
    let mut service = log.layer().layer(limited);
    service.ready().await.unwrap();
    let mut answer = Box::pin(service.call(request("POST", "/api/orders")));
    assert!(poll(&mut answer).is_pending());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_pending(), "the one place is taken");
    drop(answer);
    assert!(service.poll_ready(&mut cx).is_ready());
}

#[tokio::test]
async fn our_answers_carry_the_id_of_the_request() {
    for after in [false, true] {
        let log = strict().await;
        let disk = log.disk.clone();
        if !after {
            log.disk.refuse(Refused::Opens);
        }
        let answer = move |_: Request<Body>| {
            disk.hold();
            lose_patience();
            Response::new(Body::empty())
        };
        let mut service =
            log.layer().make_request_id(true).layer(Calls::default().answering(answer));
        let response = service.call(request("POST", "/api/orders")).await.unwrap();
        assert!(response.status().is_server_error());
        assert_eq!(response.headers()["x-request-id"], *log.only().await.request_id);
    }
}

/// A body whose data nobody knows how to make.
struct Foreign;

impl http_body::Body for Foreign {
    type Data = std::io::Cursor<[u8; 3]>;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        Poll::Ready(None)
    }
}

#[tokio::test]
async fn any_body_is_answered_and_known_ones_with_a_problem() {
    async fn refused<B>(answer: fn() -> B) -> Response<ResponseBody<B>>
    where
        B: http_body::Body<Data: 'static, Error = Infallible>,
    {
        let log = strict().await;
        log.disk.refuse(Refused::Opens);
        let service = service_fn(move |_: Request<RequestBody<Body>>| {
            std::future::ready(Ok::<_, Infallible>(Response::new(answer())))
        });
        let layer: ActivityLayer<OwnBody> = log.layer().any_body();
        layer.layer(service).call(request("POST", "/api/orders")).await.unwrap()
    }
    let plain = refused(http_body_util::Full::<Bytes>::default).await;
    let size = http_body::Body::size_hint(plain.body()).exact().unwrap();
    let problem = plain.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(problem.len() as u64, size);
    assert!(serde_json::from_slice::<serde_json::Value>(&problem).is_ok());
    let foreign = refused(|| Foreign).await;
    assert_eq!(foreign.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!foreign.headers().contains_key(header::CONTENT_TYPE));
    assert!(http_body::Body::is_end_stream(foreign.body()));
}

/// With a spinning writer the runtime would never be idle, and a clock that is paused would stand still.
#[test]
fn a_pipeline_that_ends_beneath_a_request_waits_without_spinning() {
    let (passed, has_passed) = std::sync::mpsc::channel();
    // A thread of its own: whoever spins cannot be stopped, and this is to fail, not to hang.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let log = strict().await;
            let calls = Calls::default();
            let count = calls.clone();
            let mut service = log.layer().layer(service_fn(move |_: Request<Body>| {
                count.0.fetch_add(1, Ordering::SeqCst);
                std::future::pending()
            }));
            let mut answer: Answered = Box::pin(service.call(request("POST", "/api/orders")));
            until_called(&mut answer, &calls).await;
            drop(log);
            tokio::time::pause();
            tokio::time::sleep(Duration::from_secs(60)).await;
            passed.send(()).unwrap();
        });
    });
    has_passed.recv_timeout(Duration::from_secs(60)).expect("the clock stands still");
}
