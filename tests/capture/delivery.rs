//! Delivery classes over real sockets and a real spool.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::StatusCode,
    routing::post,
};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tower::ServiceExt as _;
use tower_activity::{
    capture::{Activity, ActivityLayer},
    pipeline::{Admission, DropReason, Pipeline, Recorder},
    record::{Category, Outcome, Record, WriterId},
    rules::{Delivery, Rule, Rules},
    store::{Append, Appended, Appender, Batch, MemoryAppender, MemoryStore, StoreError},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    support::{Log, read, request},
    table::Row,
};

async fn serve(app: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }))
}

/// Sends one request on a connection of its own; `body` is not read by who refuses.
async fn send(address: SocketAddr, uri: &str, h2: bool, body: Bytes) -> (StatusCode, Bytes) {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let request = hyper::Request::post(format!("http://x{uri}")).header("host", "x");
    let request = request.body(Full::new(body)).unwrap();
    let response = if h2 {
        let (mut sender, connection) =
            http2::Builder::new(TokioExecutor::new()).handshake(io).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        sender.send_request(request).await.unwrap()
    };
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_at_once_are_one_record_each() {
    for mode in [Delivery::BestEffort, Delivery::Durable, Delivery::Strict] {
        let log = Log::in_mode(mode, Rules::rest()).await;
        let streamed = async || {
            let frames = ["one", "two"].map(Ok::<_, std::convert::Infallible>);
            Body::from_stream(futures_util::stream::iter(frames))
        };
        let app = Router::new()
            .route("/api/orders", post(async || "done"))
            .route("/api/reports", post(streamed))
            .layer(log.layer());
        let (address, server) = serve(app).await;
        let mut clients = JoinSet::new();
        for client in 0..60 {
            let (uri, answer) =
                if client % 3 == 0 { ("/api/reports", "onetwo") } else { ("/api/orders", "done") };
            clients.spawn(async move {
                let (status, body) = send(address, uri, client % 2 == 0, Bytes::new()).await;
                assert_eq!((status, &*body), (StatusCode::OK, answer.as_bytes()));
            });
        }
        clients.join_all().await;
        let records = log.records().await;
        assert_eq!(records.len(), 60, "{mode}");
        assert!(records.iter().all(|record| record.outcome == Outcome::Success));
        assert_eq!(log.pipeline.tally().dropped.total(), 0);
        server.abort();
    }
}

#[tokio::test]
async fn panics_are_recorded_in_every_class_with_catch_panic_inside_and_outside() {
    async fn at_once() -> StatusCode {
        panic!("before the first await")
    }
    async fn later() -> StatusCode {
        tokio::task::yield_now().await;
        panic!("after the first await")
    }
    let routes = || Router::new().route("/at-once", post(at_once)).route("/later", post(later));
    for mode in [Delivery::Durable, Delivery::Strict] {
        for uri in ["/at-once", "/later"] {
            let log = Log::in_mode(mode, Rules::rest()).await;
            let app = routes().layer(log.layer()).layer(CatchPanicLayer::new());
            let response = app.oneshot(request("POST", uri)).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let record = log.only().await;
            assert_eq!((record.status, &*record.outcome_reason), (None, "panic"));

            let log = Log::in_mode(mode, Rules::rest()).await;
            let app = routes().layer(CatchPanicLayer::new()).layer(log.layer());
            app.oneshot(request("POST", uri)).await.unwrap();
            assert_eq!(log.only().await.status, Some(500));
        }
    }
}

#[tokio::test]
async fn what_is_too_large_is_cut_and_kept() {
    let log = Log::in_mode(Delivery::Durable, Rules::rest()).await;
    let tell = async |activity: Activity| {
        activity.metadata("all", "x".repeat(300_000)).description(&"d".repeat(9_000));
        for id in 0..5_000 {
            activity.target("order", id, "member");
        }
    };
    let app = Router::new().route("/api/orders", post(tell)).layer(log.layer());
    let response = app.oneshot(request("POST", "/api/orders")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let record = log.only().await;
    for field in ["metadata", "description", "targets"] {
        assert!(record.truncated.as_str().contains(field), "{:?}", record.truncated);
    }
}

#[tokio::test]
async fn a_strict_rule_without_a_spool_is_refused_at_start() {
    let rule =
        Rule::new("cancel order").route("/api/orders/{id}/cancel").delivery(Delivery::Strict);
    let refused = Pipeline::builder(MemoryStore::new())
        .rules(Rules::rest().rule(rule))
        .start()
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("cancel order") && refused.contains("strict"), "{refused}");
}

/// A store that is away.
#[derive(Clone, Default)]
struct Away(MemoryStore);

struct Never(MemoryAppender);

impl Append for Away {
    type Appender = Never;

    async fn connect(&self) -> Result<Never, StoreError> {
        Ok(Never(self.0.connect().await?))
    }
}

impl Appender for Never {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        self.0.position(writer_id).await
    }

    async fn append(&mut self, _: Batch<'_>) -> Result<Appended, StoreError> {
        pending().await
    }
}

/// Records until the spool has no room for ordinary records, or for any.
fn fill(recorder: &Recorder, every_share: bool) {
    let large = || {
        let mut record = Record::by("ana").cancelled("order", "55");
        record.metadata.buffer().push_str(&format!("\"{}\"", "x".repeat(60_000)));
        record
    };
    let until_full = |make: &dyn Fn() -> Record| {
        while recorder.record(make()).is_accepted() {}
        assert_eq!(recorder.record(make()), Admission::Dropped(DropReason::SpoolFull));
    };
    let small = || Record::by("ana").cancelled("order", "55");
    for category in [Category::Activity, Category::Authentication] {
        let of = |mut record: Record| {
            record.category = category;
            record
        };
        until_full(&|| of(large()));
        until_full(&|| of(small()));
        if !every_share {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_without_room_refuses_before_and_after_the_handler() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::builder(Away::default())
        .spool(folder.path())
        .spool_cap(8 << 20)
        .mode(Delivery::Strict)
        .strict_deadline(Duration::from_secs(3_600))
        .start()
        .await
        .unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let (count, recorder) = (Arc::clone(&calls), pipeline.recorder());
    let fills = async move || {
        count.fetch_add(1, Ordering::SeqCst);
        fill(&recorder, true);
        "done"
    };
    let app = Router::new()
        .route("/api/orders", post(fills))
        .layer(ActivityLayer::new(pipeline.recorder()));
    let (address, server) = serve(app).await;
    let (status, body) = send(address, "/api/orders", false, Bytes::new()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(body.starts_with(b"{\"type\":\"urn:tower-activity:problem:outcome-not-recorded\""));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    for h2 in [false, true] {
        // More than a connection holds: who reads the body would have to ask for it.
        let large = Bytes::from(vec![b'x'; 100_000]);
        let (status, body) = send(address, "/api/orders", h2, large).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.starts_with(b"{\"type\":\"urn:tower-activity:problem:not-attempted\""));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1, "the handler did not run");
    Row { fault: "31 strict, refused before and after", runs: 3, sent: 3, ..Row::default() }
        .report();
    server.abort();
}

#[tokio::test]
async fn after_the_shutdown_no_strict_request_is_attempted() {
    let log = Log::in_mode(Delivery::Strict, Rules::rest()).await;
    log.pipeline.shutdown(Duration::from_secs(60)).await;
    async fn never() -> StatusCode {
        panic!("not to be called")
    }
    let app =
        Router::new().route("/api/orders", post(never).get(async || "fine")).layer(log.layer());
    let response = app.clone().oneshot(request("POST", "/api/orders")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(!read(response).await.is_empty());
    let response = app.oneshot(request("GET", "/api/orders")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "reads go on");
}
