//! What a request pays: a bare axum router, a layer that does nothing, tower-http's `TraceLayer`, and ours,
//! in process and interleaved, with allocations counted.
//!
//! `cargo bench --bench hot_path [-- --rounds 41]`
//!
//! The three cases of ours: (a) a route whose every rule is `none`; (b) a GET that ends unrecorded under
//! the default rules; (c) a PUT that is recorded, with the writer draining into a store that forgets. Then
//! the same PUT in the stricter classes, with the spool on the disk of the target folder: `durable`, whose cost is
//! an append to a file; and `strict`, one request after another, each of which waits for the disk twice.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::{
    convert::Infallible,
    hint::black_box,
    net::SocketAddr,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    routing::{get, put},
};
use common::{Case, argument, interleave, is_test, paired, sink::Forget};
use http::{Method, Request, Response};
use tower::{Layer, Service};
use tower_activity::{
    capture::ActivityLayer,
    pipeline::Pipeline,
    rules::{Delivery, Rule, Rules},
};
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};

fn request(method: &Method, uri: &'static str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "shop.example.com")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        )
        .header("accept", "application/json")
        .header("accept-language", "en-GB,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br")
        .header("content-type", "application/json")
        .header("authorization", "Bearer 4f1d7c3e9a")
        .header("x-request-id", "0a1b2c3d4e5f60718293a4b5c6d7e8f9")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .header("x-forwarded-for", "203.0.113.7")
        .header("cookie", "theme=dark")
        // As every server adds it that is to know who calls.
        .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 50_123))))
        .body(Body::empty())
        .unwrap()
}

fn routes() -> Router {
    Router::new()
        .route("/api/v1/orders/{id}", put(async || "{\"ok\":true}").get(async || "{\"ok\":true}"))
        .route("/health", get(async || "ok").put(async || "ok"))
}

/// A layer that passes everything on: what any layer costs under `Router::layer`.
#[derive(Clone)]
struct NoOp;

impl<S> Layer<S> for NoOp {
    type Service = NoOpService<S>;

    fn layer(&self, inner: S) -> NoOpService<S> {
        NoOpService(inner)
    }
}

#[derive(Clone)]
struct NoOpService<S>(S);

impl<S: Service<Request<B>>, B> Service<Request<B>> for NoOpService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.0.call(request)
    }
}

async fn send(router: &mut Router, request: Request<Body>) {
    let response: Result<Response<Body>, Infallible> = router.call(request).await;
    // Dropping the answer is what hyper does once its exact size has been sent.
    black_box(response.unwrap());
}

fn main() {
    let rounds = argument("--rounds", if is_test() { 1 } else { 41 });
    let requests = if is_test() { 10 } else { 4_000 };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();

    // Bounds so wide that nothing is dropped while a round runs ahead of the writer.
    let start = |rules: Rules| {
        runtime
            .block_on(
                Pipeline::builder(Forget::default())
                    .rules(rules)
                    .queue(1 << 16)
                    .queue_bytes(1 << 29)
                    .start(),
            )
            .unwrap()
    };
    let pipeline = start(Rules::rest());
    let silent = start(
        Rules::rest().rule(Rule::new("health").route("/health").level("none".parse().unwrap())),
    );
    let spool = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let spooled = |delivery: Delivery| {
        let folder = spool.path().join(delivery.as_str());
        let builder = Pipeline::builder(Forget::default()).spool(folder).mode(delivery);
        runtime.block_on(builder.start()).unwrap()
    };
    let (durable, strict) = (spooled(Delivery::Durable), spooled(Delivery::Strict));
    let ours = |pipeline: &Pipeline| routes().layer(ActivityLayer::new(pipeline.recorder()));

    let json = tracing::Dispatch::new(
        tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::INFO)
            .with_writer(std::io::sink)
            .finish(),
    );
    let trace = TraceLayer::new_for_http();
    let trace_json = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(tracing::Level::INFO))
        .on_response(DefaultOnResponse::new().level(tracing::Level::INFO));

    let put = Method::PUT;
    let get = Method::GET;
    let order = "/api/v1/orders/55";
    let settings: Vec<(&str, Router, &Method, &str, bool)> = vec![
        ("PUT bare router", routes(), &put, order, false),
        ("PUT no-op layer", routes().layer(NoOp), &put, order, false),
        ("PUT TraceLayer, no subscriber", routes().layer(trace), &put, order, false),
        ("PUT TraceLayer, JSON at INFO to nowhere", routes().layer(trace_json), &put, order, true),
        ("PUT ours (c) recorded, drained", ours(&pipeline), &put, order, false),
        ("PUT durable, drained", ours(&durable), &put, order, false),
        ("PUT strict, its syncs counted", ours(&strict), &put, order, false),
        ("GET bare router", routes(), &get, order, false),
        ("GET no-op layer", routes().layer(NoOp), &get, order, false),
        ("GET ours (b) ends unrecorded", ours(&pipeline), &get, order, false),
        ("PUT /health no-op layer", routes().layer(NoOp), &put, "/health", false),
        ("PUT /health ours (a) rule `none`", ours(&silent), &put, "/health", false),
    ];

    // What `axum::serve` does to a router before the first request; without it, axum puts the layers
    // around the handlers anew for each request.
    let settings: Vec<_> = settings
        .into_iter()
        .map(|(name, router, method, uri, json)| (name, router.with_state(()), method, uri, json))
        .collect();

    let mut allocations = Vec::new();
    for (name, router, method, uri, is_json) in &settings {
        let mut router = router.clone();
        let uri: &'static str = if *uri == order { order } else { "/health" };
        let mut batch = |n: u64| {
            for _ in 0..n {
                runtime.block_on(send(&mut router, request(method, uri)));
            }
        };
        let _guard = is_json.then(|| tracing::dispatcher::set_default(&json));
        // Enough to fill the pool of records, which then is what a running server has.
        for _ in 0..3 {
            batch(if is_test() || name.contains("strict") { 10 } else { 2_000 });
            runtime.block_on(async {
                for pipeline in [&pipeline, &silent, &durable, &strict] {
                    pipeline.flush().await;
                }
            });
        }
        let n = if name.contains("strict") { 100 } else { 1_000 };
        let counted = allocation_counter::measure(|| batch(n)).count_total as f64 / n as f64;
        let building = allocation_counter::measure(|| {
            for _ in 0..n {
                black_box(request(method, uri));
            }
        });
        allocations.push((*name, counted - building.count_total as f64 / n as f64));
    }

    let mut cases: Vec<Case<'_>> = settings
        .into_iter()
        .map(|(name, mut router, method, uri, is_json)| {
            let uri: &'static str = if uri == order { order } else { "/health" };
            let (runtime, json, pipelines) =
                (&runtime, &json, [&pipeline, &silent, &durable, &strict]);
            // Each of them takes as long as a thousand others.
            let requests =
                if name.contains("strict") { usize::max(requests / 40, 1) } else { requests };
            Case::new(name, move || {
                let input: Vec<_> = (0..requests).map(|_| request(method, uri)).collect();
                let _guard = is_json.then(|| tracing::dispatcher::set_default(json));
                let took = runtime.block_on(async {
                    let start = Instant::now();
                    for request in input {
                        send(&mut router, request).await;
                    }
                    start.elapsed()
                });
                // The next case does not share the machine with what this one left to be written.
                runtime.block_on(async {
                    for pipeline in pipelines {
                        pipeline.flush().await;
                    }
                });
                (requests as u64, took)
            })
        })
        .collect();
    interleave(&mut cases, rounds);

    println!(
        "hot_path: {requests} requests of 11 headers a round, {rounds} rounds, building them not counted"
    );
    println!("{:44} {:>9}  {:>17}  {:>6}", "", "ns", "quartiles", "allocs");
    for (case, (_, count)) in cases.iter().zip(&allocations) {
        let (low, high) = case.quartiles();
        println!("  {:42} {:>9.0}  {low:>7.0}–{high:<8.0} {count:>7.2}", case.name, case.median());
    }
    let by = |name: &str| cases.iter().find(|case| case.name.contains(name)).unwrap();
    let count = |name: &str| allocations.iter().find(|(n, _)| n.contains(name)).unwrap().1;
    let difference = |a: &str, b: &str, target: &str, allocs: f64, target_allocs: &str| {
        let (median, low, high) = paired(by(a), by(b), |a, b| a - b);
        println!(
            "  {a} − {b}: {median:+.0} ns ({low:+.0} to {high:+.0}), target {target}; allocations {allocs:+.2}, target {target_allocs}"
        );
    };
    println!();
    difference(
        "/health ours",
        "/health no-op",
        "≤ +40",
        count("/health ours") - count("/health no-op"),
        "0",
    );
    difference("GET ours", "GET no-op", "≤ +200", count("GET ours") - count("GET no-op"), "≤ 1");
    difference(
        "PUT ours",
        "PUT bare",
        "≤ +400",
        count("PUT ours") - count("PUT no-op"),
        "≤ 1 over no-op",
    );
    difference(
        "PUT durable",
        "PUT ours",
        "≤ +2 500",
        count("PUT durable") - count("PUT ours"),
        "–",
    );
    difference(
        "PUT strict",
        "PUT durable",
        "(two syncs)",
        count("PUT strict") - count("PUT durable"),
        "–",
    );
    difference(
        "PUT no-op",
        "PUT bare",
        "(axum's own)",
        count("PUT no-op") - count("PUT bare"),
        "–",
    );
    let over = |name: &str| {
        let values: Vec<f64> =
            by(name).samples().iter().zip(by("PUT bare").samples()).map(|(a, b)| a - b).collect();
        common::quantile(&values, 0.5)
    };
    println!(
        "  ratio over bare, ours / TraceLayer: {:.2}; ours / TraceLayer-JSON: {:.2}, target ≤ 0.10",
        over("PUT ours") / over("no subscriber"),
        over("PUT ours") / over("JSON at INFO"),
    );

    for pipeline in [&pipeline, &silent, &durable, &strict] {
        let report = runtime.block_on(pipeline.shutdown(Duration::from_secs(10)));
        println!("  {report}");
    }
}
