//! Clients that go away, over real sockets: every request that reached the layer is one record.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower::{ServiceBuilder, ServiceExt as _};
use tower_activity::{
    record::{Outcome, Record},
    rules::{Delivery, Rules},
};

use crate::{
    support::Log,
    table::{Row, times},
};

/// How often each point is tried.
fn rounds() -> usize {
    times(2, 50)
}

/// Size of the streamed body.
fn streamed_mib() -> usize {
    times(32, 1_024)
}

async fn answer(headers: HeaderMap, body: Body) -> Response {
    let mode = headers.get("x-mode").and_then(|mode| mode.to_str().ok()).unwrap_or_default();
    let frame = |data: &'static [u8]| Ok::<_, Infallible>(Bytes::from_static(data));
    match mode {
        "read" => match body.collect().await {
            Ok(_) => "done".into_response(),
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        },
        "wait" => std::future::pending().await,
        "stream" => {
            let one = futures_util::stream::iter([frame(b"first")]);
            Body::from_stream(one.chain(futures_util::stream::pending())).into_response()
        }
        "chunks" => {
            let two = futures_util::stream::iter([frame(b"first"), frame(b"last!")]);
            Body::from_stream(two).into_response()
        }
        "exact" => vec![b'x'; 2_000_000].into_response(),
        "large" => {
            let frame = Bytes::from(vec![b'x'; 1 << 20]);
            let frames = (0..streamed_mib()).map(move |_| Ok::<_, Infallible>(frame.clone()));
            Body::from_stream(futures_util::stream::iter(frames)).into_response()
        }
        _ => StatusCode::IM_A_TEAPOT.into_response(),
    }
}

/// A server that counts the requests that reach the layer.
struct Server {
    log: Log,
    address: std::net::SocketAddr,
    entered: Arc<AtomicUsize>,
    accept: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::of(Log::new().await).await
    }

    /// With a spool, and this class for every request.
    async fn in_mode(mode: Delivery) -> Self {
        Self::of(Log::in_mode(mode, Rules::rest()).await).await
    }

    async fn of(log: Log) -> Self {
        let entered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&entered);
        let app = Router::new().route("/api/orders", post(answer)).layer(
            ServiceBuilder::new()
                .map_request(move |request: Request| {
                    count.fetch_add(1, Ordering::SeqCst);
                    request
                })
                .layer(log.layer()),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accept = tokio::spawn(async move {
            axum::serve(listener, app).await.unwrap();
        });
        Self { log, address, entered, accept }
    }

    async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    async fn connect_h2(&self) -> (http2::SendRequest<Full<Bytes>>, JoinHandle<()>) {
        let io = TokioIo::new(self.connect().await);
        let (sender, connection) =
            http2::Builder::new(TokioExecutor::new()).handshake(io).await.unwrap();
        let task = tokio::spawn(async move {
            // How a connection ends that a test cuts is not of interest.
            drop(connection.await);
        });
        (sender, task)
    }

    /// Waits until the server has seen as many requests.
    async fn entered(&self, count: usize) {
        until(async || self.entered.load(Ordering::SeqCst) >= count).await;
    }

    /// Waits until every request that entered is finished, and returns the records.
    async fn finished(&self) -> Vec<Record> {
        until(async || {
            let tally = self.log.pipeline.tally();
            tally.open_drafts == 0
                && self.log.records().await.len() >= self.entered.load(Ordering::SeqCst)
        })
        .await;
        let records = self.log.records().await;
        assert_eq!(records.len(), self.entered.load(Ordering::SeqCst), "exactly one each");
        records
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// Asks until it is so; the deadline is for the case that it never is.
async fn until(so: impl AsyncFn() -> bool) {
    let asked = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    within(asked).await;
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("in good time")
}

/// Reads until `what` has come.
async fn read_until(stream: &mut TcpStream, what: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while !seen.windows(what.len()).any(|window| window == what) {
        let count = within(stream.read(&mut buffer)).await.unwrap();
        assert!(count > 0, "closed before {:?}", String::from_utf8_lossy(what));
        seen.extend_from_slice(&buffer[..count]);
    }
    seen
}

/// A point at which an HTTP/1 client goes away.
struct Point {
    name: &'static str,
    sends: &'static str,
    /// Requests that enter; waited for before the client goes.
    enters: usize,
    reads: &'static [u8],
    outcomes: &'static [Outcome],
}

const HEAD: &str = "POST /api/orders HTTP/1.1\r\nhost: x\r\n";

macro_rules! head {
    ($mode:literal, $rest:literal) => {
        concat!("POST /api/orders HTTP/1.1\r\nhost: x\r\nx-mode: ", $mode, "\r\n", $rest)
    };
}

use Outcome::{Aborted, Failure, Success};

const POINTS: &[Point] = &[
    Point { name: "connected", sends: "", enters: 0, reads: b"", outcomes: &[] },
    Point { name: "in the head", sends: HEAD, enters: 0, reads: b"", outcomes: &[] },
    Point {
        name: "before the body",
        sends: head!("read", "content-length: 10\r\n\r\n"),
        enters: 1,
        reads: b"",
        outcomes: &[Aborted, Failure],
    },
    Point {
        name: "in the body",
        sends: head!("read", "content-length: 10\r\n\r\n12345"),
        enters: 1,
        reads: b"",
        outcomes: &[Aborted, Failure],
    },
    Point {
        name: "in a chunked body",
        sends: head!("read", "transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n"),
        enters: 1,
        reads: b"",
        outcomes: &[Aborted, Failure],
    },
    Point {
        name: "while the handler works",
        sends: head!("wait", "content-length: 0\r\n\r\n"),
        enters: 1,
        reads: b"",
        outcomes: &[Aborted],
    },
    Point {
        name: "while the handler works on a request with a body",
        sends: head!("wait", "content-length: 5\r\n\r\n12345"),
        enters: 1,
        reads: b"",
        outcomes: &[Aborted],
    },
    // With an unread request behind one that never ends, hyper does not look for the end of the
    // connection: nobody learns that the client is gone, so there is no point to test.
    Point {
        name: "with two requests in the pipe",
        sends: concat!(
            head!("read", "content-length: 0\r\n\r\n"),
            head!("read", "content-length: 0\r\n\r\n")
        ),
        enters: 2,
        reads: b"",
        outcomes: &[Success, Aborted],
    },
    Point {
        name: "before the head of a small answer",
        sends: head!("read", "content-length: 5\r\n\r\n12345"),
        enters: 1,
        reads: b"",
        outcomes: &[Success, Aborted],
    },
    Point {
        name: "after a small answer",
        sends: head!("read", "content-length: 5\r\n\r\n12345"),
        enters: 1,
        reads: b"done",
        outcomes: &[Success],
    },
    Point {
        name: "after the head of a stream",
        sends: head!("stream", "content-length: 0\r\n\r\n"),
        enters: 1,
        reads: b"\r\n\r\n",
        outcomes: &[Aborted],
    },
    Point {
        name: "in a stream",
        sends: head!("stream", "content-length: 0\r\n\r\n"),
        enters: 1,
        reads: b"first",
        outcomes: &[Aborted],
    },
    Point {
        name: "after a stream",
        sends: head!("chunks", "content-length: 0\r\n\r\n"),
        enters: 1,
        reads: b"0\r\n\r\n",
        outcomes: &[Success],
    },
    Point {
        name: "in a body of exact size",
        sends: head!("exact", "content-length: 0\r\n\r\n"),
        enters: 1,
        reads: b"xxxx",
        // It was handed to the server whole; what the network then does is not learnt.
        outcomes: &[Success, Aborted],
    },
    Point {
        name: "in the second of two",
        sends: concat!(
            head!("read", "content-length: 0\r\n\r\n"),
            head!("stream", "content-length: 0\r\n\r\n")
        ),
        enters: 2,
        reads: b"first",
        outcomes: &[Success, Aborted],
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_1_client_may_leave_anywhere() {
    let row = leave_http_1("26 client leaves, HTTP/1", async || Server::start().await).await;
    row.report();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_1_client_of_a_durable_service_may_leave_anywhere() {
    let row = leave_http_1("26 client leaves, HTTP/1, durable", async || {
        Server::in_mode(Delivery::Durable).await
    })
    .await;
    row.report();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_1_client_of_a_strict_service_may_leave_anywhere() {
    let row = leave_http_1("26 client leaves, HTTP/1, strict", async || {
        Server::in_mode(Delivery::Strict).await
    })
    .await;
    row.report();
}

async fn leave_http_1(fault: &'static str, start: impl AsyncFn() -> Server) -> Row {
    let mut row = Row { fault, ..Row::default() };
    for point in POINTS {
        for reset in [false, true] {
            let server = start().await;
            let mut entered = 0;
            for _ in 0..rounds() {
                let mut stream = server.connect().await;
                stream.write_all(point.sends.as_bytes()).await.unwrap();
                entered += point.enters;
                server.entered(entered).await;
                if !point.reads.is_empty() {
                    read_until(&mut stream, point.reads).await;
                }
                if reset {
                    // Closing with no linger sends a reset instead of an orderly end.
                    stream.set_zero_linger().unwrap();
                }
                drop(stream);
            }
            let records = server.finished().await;
            row.runs += rounds() as u64;
            row.sent += entered as u64;
            row.stored += records.len() as u64;
            for record in &records {
                assert!(
                    point.outcomes.contains(&record.outcome),
                    "{}, reset {reset}: {} {}",
                    point.name,
                    record.outcome,
                    record.outcome_reason
                );
            }
            if point.name.starts_with("in the second") {
                assert!(records.iter().any(|record| record.outcome == Aborted));
            }
        }
    }
    row
}

/// Where an HTTP/2 client goes away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leave {
    BeforeHead,
    AfterHead,
    AfterFrame,
    AfterAll,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_2_client_may_leave_anywhere() {
    let row = leave_http_2("26 client leaves, HTTP/2", async || Server::start().await).await;
    row.report();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_2_client_of_a_durable_service_may_leave_anywhere() {
    let row = leave_http_2("26 client leaves, HTTP/2, durable", async || {
        Server::in_mode(Delivery::Durable).await
    })
    .await;
    row.report();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_2_client_of_a_strict_service_may_leave_anywhere() {
    let row = leave_http_2("26 client leaves, HTTP/2, strict", async || {
        Server::in_mode(Delivery::Strict).await
    })
    .await;
    row.report();
}

async fn leave_http_2(fault: &'static str, start: impl AsyncFn() -> Server) -> Row {
    let mut row = Row { fault, ..Row::default() };
    let points = [
        ("wait", Leave::BeforeHead, &[Aborted][..]),
        ("stream", Leave::AfterHead, &[Aborted]),
        ("stream", Leave::AfterFrame, &[Aborted]),
        ("chunks", Leave::AfterAll, &[Success]),
        ("read", Leave::AfterHead, &[Success]),
        ("read", Leave::AfterAll, &[Success]),
        ("exact", Leave::AfterHead, &[Aborted, Success]),
        ("exact", Leave::AfterFrame, &[Aborted, Success]),
        ("exact", Leave::AfterAll, &[Success]),
    ];
    for (mode, leave, outcomes) in points {
        for whole_connection in [false, true] {
            let server = start().await;
            for round in 0..rounds() {
                let (mut sender, connection) = server.connect_h2().await;
                let request = hyper::Request::post("http://x/api/orders")
                    .header("x-mode", mode)
                    .body(Full::new(Bytes::from_static(b"12345")))
                    .unwrap();
                let response = tokio::spawn(sender.send_request(request));
                server.entered(round + 1).await;
                if leave == Leave::BeforeHead {
                    response.abort();
                } else {
                    let mut body = within(response).await.unwrap().unwrap().into_body();
                    match leave {
                        Leave::AfterFrame => {
                            within(body.frame()).await.unwrap().unwrap();
                        }
                        Leave::AfterAll => {
                            within(body.collect()).await.unwrap();
                        }
                        Leave::AfterHead | Leave::BeforeHead => {}
                    }
                }
                if whole_connection {
                    connection.abort();
                }
                drop(sender);
            }
            row.runs += rounds() as u64;
            row.sent += rounds() as u64;
            for record in server.finished().await {
                row.stored += 1;
                assert!(
                    outcomes.contains(&record.outcome),
                    "{mode} {leave:?} {whole_connection}: {} {}",
                    record.outcome,
                    record.outcome_reason
                );
                assert_eq!(record.http_version, "HTTP/2.0");
            }
        }
    }
    row
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_stream_that_is_cut_at_half_keeps_status_and_bytes() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    stream.write_all(head!("large", "content-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    let half = (streamed_mib() << 20) / 2;
    let mut buffer = vec![0; 256 * 1024];
    let mut seen = 0;
    while seen < half {
        let count = within(stream.read(&mut buffer)).await.unwrap();
        assert!(count > 0);
        seen += count;
    }
    drop(stream);
    let record = server.finished().await.remove(0);
    assert_eq!((record.status, record.outcome), (Some(200), Aborted));
    assert_eq!(record.outcome_reason, "client_disconnect");
    let bytes = usize::try_from(record.response_bytes.unwrap()).unwrap();
    // What the client read was handed on; the sockets hold a few mebibytes more.
    assert!(bytes + (1 << 20) >= seen && bytes < streamed_mib() << 20, "{bytes} of {seen} read");
    Row { fault: "28 large stream cut", runs: 1, sent: 1, stored: 1, ..Row::default() }.report();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_over_a_socket_is_one_record_with_everything() {
    let log = Log::new().await;
    let app = Router::new().route("/api/orders", post(answer)).layer(log.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = tokio::spawn(async move {
        let make = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
        axum::serve(listener, make).await.unwrap();
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(head!("read", "user-agent: test/1\r\ncontent-length: 5\r\n\r\n12345").as_bytes())
        .await
        .unwrap();
    read_until(&mut stream, b"done").await;
    let record = log.only().await;
    assert_eq!(record.ip.unwrap().to_string(), "127.0.0.1");
    assert_eq!((&*record.user_agent, &*record.host), ("test/1", "x"));
    assert_eq!((record.request_bytes, record.response_bytes), (Some(5), Some(4)));
    assert!(record.duration_us.is_some_and(|duration| duration < 20_000_000));
    serve.abort();
}

#[tokio::test]
async fn a_router_called_without_a_server_is_recorded_all_the_same() {
    let log = Log::new().await;
    let app = Router::new().route("/api/orders", post(answer)).layer(log.layer());
    let request =
        Request::post("/api/orders").header("x-mode", "read").body(Body::empty()).unwrap();
    app.oneshot(request).await.unwrap();
    assert!(log.only().await.ip.is_none());
}
