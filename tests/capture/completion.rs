//! How a request ends, and that it ends once.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::{
    BoxError, Router,
    body::Body,
    error_handling::HandleErrorLayer,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Sse, sse::Event},
    routing::{any, get, post},
};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::sync::{Notify, oneshot};
use tower::{Layer as _, Service as _, ServiceBuilder, ServiceExt as _, service_fn};
use tower_activity::{
    capture::Activity,
    record::{Operation, Outcome, Record},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::support::{Log, Once, Step, ended, next, read, request, stepped};

fn how(record: &Record) -> (Option<u16>, Outcome, &str) {
    (record.status, record.outcome, &record.outcome_reason)
}

/// An app that answers `POST /` with this body.
fn answering(log: &Log, body: impl Into<Body>) -> Router {
    let body = Once::new(body.into());
    Router::new().route("/api/orders", post(async move || body.take())).layer(log.layer())
}

#[tokio::test]
async fn dropping_the_future_records_an_abort() {
    let log = Log::new().await;
    let app =
        Router::new().route("/api/orders", post(std::future::pending::<()>)).layer(log.layer());
    let mut future = Box::pin(app.oneshot(request("POST", "/api/orders")));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    drop(future);
    assert_eq!(how(&log.only().await), (None, Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn a_future_that_was_never_polled_is_recorded_too() {
    let log = Log::new().await;
    let mut service = log.layer().layer(service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
    }));
    drop(service.call(request("POST", "/api/orders")));
    assert_eq!(how(&log.only().await), (None, Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn a_body_cut_after_the_head_keeps_the_status_and_is_aborted() {
    let log = Log::new().await;
    let (steps, body) = stepped();
    let app = answering(&log, Body::new(body));
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    steps.send(Step::Data(b"12345")).unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "12345");
    assert!(log.records().await.is_empty(), "not finished before its end");
    drop(body);
    let record = log.only().await;
    assert_eq!(how(&record), (Some(200), Outcome::Aborted, "client_disconnect"));
    assert_eq!(record.response_bytes, Some(5));
}

#[tokio::test]
async fn a_body_that_fails_keeps_the_status_and_is_a_failure() {
    let log = Log::new().await;
    let (steps, body) = stepped();
    let app = answering(&log, Body::new(body));
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    steps.send(Step::Fail("secret text")).unwrap();
    response.into_body().collect().await.unwrap_err();
    let record = log.only().await;
    assert_eq!((record.status, record.outcome), (Some(200), Outcome::Failure));
    assert!(!record.outcome_reason.is_absent() && !record.outcome_reason.contains("secret"));
}

#[tokio::test]
async fn a_streamed_body_is_finished_at_its_end_with_its_bytes() {
    let log = Log::new().await;
    let (steps, body) = stepped();
    let app = answering(&log, Body::new(body));
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    for data in [&b"abc"[..], b"", b"de"] {
        steps.send(Step::Data(data)).unwrap();
    }
    drop(steps);
    assert_eq!(read(response).await, "abcde");
    let record = log.only().await;
    assert_eq!(how(&record), (Some(200), Outcome::Success, ""));
    assert_eq!(record.response_bytes, Some(5));
}

#[tokio::test]
async fn trailers_end_a_body() {
    let log = Log::new().await;
    let (steps, body) = stepped();
    let app = answering(&log, Body::new(body));
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    let mut body = response.into_body();
    steps.send(Step::Data(b"abc")).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    steps.send(Step::Trailers(trailers)).unwrap();
    body.frame().await.unwrap().unwrap();
    assert!(log.records().await.is_empty());
    assert!(body.frame().await.unwrap().unwrap().is_trailers(), "trailers are handed on");
    assert_eq!(log.only().await.outcome, Outcome::Success);
}

#[tokio::test]
async fn a_small_body_of_exact_size_is_finished_at_the_head() {
    let log = Log::new().await;
    let app = answering(&log, "done");
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    let record = log.only().await;
    assert_eq!(how(&record), (Some(200), Outcome::Success, ""));
    assert_eq!(record.response_bytes, Some(4));
    drop(response);
    assert_eq!(log.records().await.len(), 1);
}

#[tokio::test]
async fn a_large_body_of_exact_size_is_finished_with_its_last_frame() {
    let log = Log::new().await;
    let app = answering(&log, vec![7; 100_000]);
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(100_000));
    assert!(log.records().await.is_empty());
    // As hyper does: no frame is asked for after the announced size.
    next(&mut body).await.unwrap();
    let record = log.only().await;
    assert_eq!(how(&record), (Some(200), Outcome::Success, ""));
    assert_eq!(record.response_bytes, Some(100_000));
    assert!(ended(&body));
    drop(body);
    assert_eq!(log.records().await.len(), 1);
}

#[tokio::test]
async fn answers_without_a_body_are_finished_at_the_head() {
    let log = Log::new().await;
    let app = Router::new()
        .route("/none", post(async || StatusCode::NO_CONTENT))
        .route("/not-modified", post(async || StatusCode::NOT_MODIFIED))
        .route("/empty", post(async || ()))
        .route("/head", any(async || ([(header::CONTENT_TYPE, "text/plain")], vec![7_u8; 200_000])))
        .layer(log.layer());
    for (count, path) in ["/none", "/not-modified", "/empty"].into_iter().enumerate() {
        let response = app.clone().oneshot(request("POST", path)).await.unwrap();
        let records = log.records().await;
        assert_eq!(records.len(), count + 1, "{path}");
        assert_eq!(records[count].response_bytes, Some(0));
        assert_eq!(records[count].outcome, Outcome::Success);
        drop(response);
    }
    let log = Log::with_toml(
        "[[rule]]\nname = \"heads\"\nroute = \"/**\"\nmethods = [\"HEAD\"]\nlevel = \"metadata\"\n",
    )
    .await;
    let body = Once::new(Body::new(stepped().1));
    let service = service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(Response::new(body.take()))
    });
    let response = log.layer().layer(service).oneshot(request("HEAD", "/head")).await.unwrap();
    assert_eq!(log.only().await.response_bytes, Some(0), "a HEAD answer has no body");
    drop(response);
    assert_eq!(log.records().await.len(), 1);
}

#[tokio::test]
async fn an_event_stream_is_finished_at_its_head_unless_a_rule_waits() {
    let stream = || {
        let events = futures_util::stream::pending::<Result<Event, std::convert::Infallible>>();
        Sse::new(events)
    };
    let log = Log::new().await;
    let app = Router::new().route("/api/feeds", post(async move || stream())).layer(log.layer());
    let response = app.oneshot(request("POST", "/api/feeds")).await.unwrap();
    let record = log.only().await;
    assert_eq!((how(&record), record.response_bytes), ((Some(200), Outcome::Success, ""), None));
    drop(response);
    assert_eq!(log.records().await.len(), 1);

    let log = Log::with_toml(
        "[[rule]]\nname = \"feeds\"\nroute = \"/api/feeds\"\naction = \"follow\"\nfinish = \"end\"\n",
    )
    .await;
    let app = Router::new().route("/api/feeds", post(async move || stream())).layer(log.layer());
    let response = app.oneshot(request("POST", "/api/feeds")).await.unwrap();
    assert!(log.records().await.is_empty());
    drop(response);
    assert_eq!(log.only().await.outcome, Outcome::Aborted);
}

#[tokio::test]
async fn a_rule_may_finish_at_the_head() {
    let log = Log::with_toml(
        "[[rule]]\nname = \"x\"\nroute = \"/api/orders\"\naction = \"pour\"\nfinish = \"head\"\n",
    )
    .await;
    let (_steps, body) = stepped();
    let app = answering(&log, Body::new(body));
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    let record = log.only().await;
    assert_eq!((record.outcome, record.response_bytes), (Outcome::Success, None));
    drop(response);
    assert_eq!(log.records().await.len(), 1);
}

#[tokio::test]
async fn an_upgrade_is_a_success_at_its_head() {
    let log = Log::with_toml(
        "[[rule]]\nname = \"ws\"\nroute = \"/ws\"\nmethods = [\"GET\"]\naction = \"connect\"\nlevel = \"metadata\"\n",
    )
    .await;
    let app = Router::new()
        .route("/ws", get(async || StatusCode::SWITCHING_PROTOCOLS))
        .layer(log.layer());
    let response = app.oneshot(request("GET", "/ws")).await.unwrap();
    let record = log.only().await;
    assert_eq!(how(&record), (Some(101), Outcome::Success, ""));
    assert_eq!(record.response_bytes, None);
    drop(response);
    assert_eq!(log.records().await.len(), 1);
}

async fn panic_at_once() -> StatusCode {
    panic!("before the first await")
}

async fn panic_later() -> StatusCode {
    tokio::task::yield_now().await;
    panic!("after the first await")
}

fn panicking() -> Router {
    Router::new().route("/api/orders", post(panic_at_once)).route("/later", post(panic_later))
}

#[tokio::test]
async fn a_panic_is_recorded_while_it_unwinds_and_goes_on() {
    for path in ["/api/orders", "/later"] {
        let log = Log::new().await;
        let app = panicking().layer(log.layer());
        let task = tokio::spawn(app.oneshot(request("POST", path)));
        assert!(task.await.unwrap_err().is_panic(), "the panic is not ours to stop");
        let record = log.only().await;
        assert_eq!(how(&record), (None, Outcome::Failure, "panic"));
        assert_eq!(record.severity, 4);
    }
}

#[tokio::test]
async fn a_panic_of_a_read_is_recorded_too() {
    let log = Log::new().await;
    let app = Router::new().route("/api/orders", get(panic_later)).layer(log.layer());
    let task = tokio::spawn(app.oneshot(request("GET", "/api/orders")));
    task.await.unwrap_err();
    let record = log.only().await;
    assert_eq!((record.operation, &*record.outcome_reason), (Operation::Read, "panic"));
}

#[tokio::test]
async fn a_panic_that_is_caught_outside_is_still_a_panic() {
    for path in ["/api/orders", "/later"] {
        let log = Log::new().await;
        let app = panicking().layer(log.layer()).layer(CatchPanicLayer::new());
        let response = app.oneshot(request("POST", path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(how(&log.only().await), (None, Outcome::Failure, "panic"));
    }
}

#[tokio::test]
async fn a_panic_that_is_caught_inside_is_a_500() {
    for path in ["/api/orders", "/later"] {
        let log = Log::new().await;
        let app = panicking().layer(CatchPanicLayer::new()).layer(log.layer());
        app.oneshot(request("POST", path)).await.unwrap();
        assert_eq!(how(&log.only().await), (Some(500), Outcome::Failure, ""));
    }
}

#[tokio::test]
async fn a_panic_in_the_body_is_recorded_while_it_unwinds() {
    let log = Log::new().await;
    let (steps, body) = stepped();
    let app = answering(&log, Body::new(body));
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    steps.send(Step::Data(b"abc")).unwrap();
    steps.send(Step::Panic).unwrap();
    let task = tokio::spawn(response.into_body().collect());
    assert!(task.await.unwrap_err().is_panic());
    let record = log.only().await;
    assert_eq!(how(&record), (Some(200), Outcome::Failure, "panic"));
    assert_eq!(record.response_bytes, Some(3));
}

#[tokio::test]
async fn a_panic_in_the_call_itself_is_recorded() {
    let log = Log::new().await;
    let mut service = log.layer().layer(service_fn(
        |_: Request<Body>| -> std::future::Ready<Result<Response<Body>, BoxError>> {
            panic!("in call")
        },
    ));
    let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(service.call(request("POST", "/api/orders")));
    }));
    assert!(called.is_err());
    assert_eq!(how(&log.only().await), (None, Outcome::Failure, "panic"));
}

#[tokio::test]
async fn being_dropped_by_a_panic_elsewhere_neither_aborts_nor_loses() {
    let log = Log::new().await;
    let app =
        Router::new().route("/api/orders", post(std::future::pending::<()>)).layer(log.layer());
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut future = pin!(app.oneshot(request("POST", "/api/orders")));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        panic!("in a layer outside of ours");
    }));
    assert!(unwound.is_err());
    assert_eq!(how(&log.only().await), (None, Outcome::Failure, "panic"));
}

#[tokio::test]
async fn a_panic_while_the_handle_is_told_something_poisons_nothing() {
    struct Bad;
    impl std::fmt::Display for Bad {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("in Display")
        }
    }
    impl serde::Serialize for Bad {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("in Serialize")
        }
    }
    let log = Log::new().await;
    let app = Router::new()
        .route(
            "/api/orders",
            post(async |activity: Activity| {
                for tell in [
                    |activity: &Activity| drop(activity.entity_id(Bad).clone()),
                    |activity: &Activity| drop(activity.metadata("a", Bad).clone()),
                    |activity: &Activity| drop(activity.changes(&Bad, &Bad).clone()),
                ] {
                    let activity = activity.clone();
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tell(&activity)))
                        .unwrap_err();
                }
                activity.actor("ana");
            }),
        )
        .layer(log.layer());
    app.oneshot(request("POST", "/api/orders")).await.unwrap();
    let record = log.only().await;
    assert_eq!((record.outcome, &*record.actor_id), (Outcome::Success, "ana"));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_is_recorded_and_returned_unchanged() {
    let log = Log::new().await;
    let inner = service_fn(async |_: Request<Body>| {
        std::future::pending::<()>().await;
        Ok::<_, BoxError>(Response::new(Body::empty()))
    });
    let service =
        ServiceBuilder::new().layer(log.layer()).timeout(Duration::from_secs(3)).service(inner);
    let error = service.oneshot(request("POST", "/api/orders")).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>(), "{error:?}");
    assert_eq!(how(&log.only().await), (None, Outcome::Failure, "timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_drops_the_request_which_is_aborted() {
    let log = Log::new().await;
    let app = Router::new()
        .route("/api/orders", post(std::future::pending::<()>))
        .layer(log.layer())
        .layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(async |_: BoxError| StatusCode::GATEWAY_TIMEOUT))
                .timeout(Duration::from_secs(3)),
        );
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(how(&log.only().await), (None, Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn an_error_of_the_service_keeps_its_type() {
    #[derive(Debug, PartialEq)]
    struct OutOfPaper;
    let log = Log::new().await;
    let inner = service_fn(async |_: Request<Body>| Err::<Response<Body>, _>(OutOfPaper));
    let service = log.layer().layer(inner);
    assert_eq!(service.oneshot(request("POST", "/a")).await.unwrap_err(), OutOfPaper);
    assert_eq!(how(&log.only().await), (None, Outcome::Failure, "out_of_paper"));
}

#[tokio::test]
async fn optional_layers_compose() {
    let log = Log::new().await;
    for layer in [Some(log.layer()), None] {
        let app = Router::new()
            .route("/api/orders", post(async || ()))
            .layer(ServiceBuilder::new().option_layer(layer));
        app.oneshot(request("POST", "/api/orders")).await.unwrap();
    }
    assert_eq!(log.only().await.outcome, Outcome::Success);
}

#[tokio::test]
async fn statuses_have_their_outcomes() {
    let log = Log::new().await;
    let app = Router::new()
        .route(
            "/answer/{status}",
            post(async |axum::extract::Path(status): axum::extract::Path<u16>| {
                StatusCode::from_u16(status).unwrap().into_response()
            }),
        )
        .layer(log.layer());
    let expected = [
        (200, Outcome::Success, ""),
        (302, Outcome::Success, ""),
        (400, Outcome::Failure, ""),
        (401, Outcome::Denied, ""),
        (403, Outcome::Denied, ""),
        (408, Outcome::Failure, "timeout"),
        (429, Outcome::Denied, ""),
        (503, Outcome::Failure, ""),
    ];
    for (status, ..) in expected {
        app.clone().oneshot(request("POST", &format!("/answer/{status}"))).await.unwrap();
    }
    let records = log.records().await;
    let found: Vec<_> = records.iter().map(how).collect();
    let expected: Vec<_> =
        expected.map(|(status, outcome, reason)| (Some(status), outcome, reason)).to_vec();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn durations_come_from_the_monotonic_clock() {
    let log = Log::new().await;
    let gate = std::sync::Arc::new(Notify::new());
    let (arrived, at) = oneshot::channel();
    let (arrived, inside) = (Once::new(arrived), gate.clone());
    let app = Router::new()
        .route(
            "/api/orders",
            post(async move || {
                arrived.take().send(()).unwrap();
                inside.notified().await;
            }),
        )
        .layer(log.layer());
    let task = tokio::spawn(app.oneshot(request("POST", "/api/orders")));
    at.await.unwrap();
    assert!(log.records().await.is_empty(), "nothing is recorded before the end");
    gate.notify_one();
    task.await.unwrap().unwrap();
    let record = log.only().await;
    assert!(record.duration_us.is_some_and(|duration| duration >= 0));
    assert_eq!(record.id.at().as_millis(), record.occurred_at.as_millis());
}

#[tokio::test]
async fn polling_a_body_past_its_end_is_harmless() {
    let log = Log::new().await;
    let (steps, body) = stepped();
    let app = answering(&log, Body::new(body));
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    drop(steps);
    let mut body = response.into_body();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        let polled = http_body::Body::poll_frame(std::pin::Pin::new(&mut body), &mut cx);
        assert!(matches!(polled, Poll::Ready(None)));
    }
    assert_eq!(log.records().await.len(), 1);
}

mod full {
    //! A pipeline that was built to block makes requests wait, and nothing else.

    use std::{future::pending, sync::Arc};

    use tokio::sync::Semaphore;
    use tower_activity::{
        pipeline::{Overflow, Pipeline},
        record::{Category, WriterId},
        store::{Append, Appended, Appender, Batch, MemoryAppender, MemoryStore, StoreError},
    };

    use super::*;

    /// A store whose appends wait for a permit.
    #[derive(Clone)]
    struct Gated {
        store: MemoryStore,
        permits: Arc<Semaphore>,
    }

    struct GatedAppender {
        appender: MemoryAppender,
        permits: Arc<Semaphore>,
    }

    impl Append for Gated {
        type Appender = GatedAppender;

        async fn connect(&self) -> Result<GatedAppender, StoreError> {
            let appender = self.store.connect().await?;
            Ok(GatedAppender { appender, permits: Arc::clone(&self.permits) })
        }
    }

    impl Appender for GatedAppender {
        async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
            self.appender.position(writer_id).await
        }

        async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
            let Ok(permit) = self.permits.acquire().await else { pending().await };
            drop(permit);
            self.appender.append(batch).await
        }
    }

    /// A log with a shut gate, and an app that answers small or as a stream.
    async fn shut() -> (Gated, Pipeline, Router) {
        let store = Gated { store: MemoryStore::new(), permits: Arc::new(Semaphore::new(0)) };
        let pipeline = Pipeline::builder(store.clone())
            .queue(8)
            .batch_rows(1)
            .overflow(Overflow::Block(Duration::from_secs(3_600)))
            .call_deadline(Duration::from_secs(3_600))
            .start()
            .await
            .unwrap();
        let app = Router::new()
            .route("/api/orders", post(async || "done"))
            .route(
                "/api/reports",
                post(async || {
                    let frames = [Ok::<_, std::convert::Infallible>("one"), Ok("two")];
                    Body::from_stream(futures_util::stream::iter(frames))
                }),
            )
            .layer(tower_activity::capture::ActivityLayer::new(pipeline.recorder()));
        (store, pipeline, app)
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Sends requests until one has to wait, and returns it with the number that did not.
    async fn fill(
        app: &Router,
    ) -> (usize, impl Future<Output = Result<Response<Body>, std::convert::Infallible>>) {
        for count in 0..1_000 {
            let mut future = Box::pin(app.clone().oneshot(request("POST", "/api/orders")));
            if poll(future.as_mut()).is_pending() {
                return (count, future);
            }
            tokio::task::yield_now().await;
        }
        panic!("the queue is bounded");
    }

    fn stored(store: &Gated) -> Vec<Record> {
        let mut all = store.store.all();
        all.retain(|record| record.category != Category::System);
        all
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_holds_the_answer_back_and_loses_nothing() {
        let (store, pipeline, app) = shut().await;
        let (count, waiting) = fill(&app).await;
        store.permits.add_permits(Semaphore::MAX_PERMITS / 2);
        assert_eq!(read(waiting.await.unwrap()).await, "done");
        pipeline.flush().await;
        assert_eq!(stored(&store).len(), count + 1);
        assert_eq!(pipeline.tally().dropped.total(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_holds_the_last_frame_back() {
        let (store, pipeline, app) = shut().await;
        let (count, waiting) = fill(&app).await;
        let response = app.clone().oneshot(request("POST", "/api/reports")).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await.unwrap(), "one", "frames before the last do not wait");
        assert_eq!(next(&mut body).await.unwrap(), "two");
        let mut end = Box::pin(body.frame());
        assert!(poll(end.as_mut()).is_pending());
        store.permits.add_permits(Semaphore::MAX_PERMITS / 2);
        assert!(end.await.is_none());
        waiting.await.unwrap();
        pipeline.flush().await;
        assert_eq!(stored(&store).len(), count + 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_while_it_waits_is_counted_once() {
        let (store, pipeline, app) = shut().await;
        let (count, waiting) = fill(&app).await;
        drop(waiting);
        let tally = pipeline.tally();
        assert_eq!(tally.open_drafts, 0);
        assert_eq!(tally.dropped.total(), 1, "nobody waits in a destructor");
        store.permits.add_permits(Semaphore::MAX_PERMITS / 2);
        pipeline.flush().await;
        assert_eq!(stored(&store).len(), count);
    }
}
