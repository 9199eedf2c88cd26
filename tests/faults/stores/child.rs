//! The service: what runs in the process that tests start, kill and freeze.

use std::{
    convert::Infallible,
    env,
    path::PathBuf,
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tower_activity::{
    Activity, ActivityLayer, Keys, Pipeline, PostgresStore, Rules, SqliteStore, access,
    pipeline::{PipelineBuilder, ShutdownReport},
    rules::Delivery,
    store::Append,
};

/// The environment variable that holds the [`Settings`].
pub(crate) const SETTINGS: &str = "ACTIVITY_TEST_APP";

/// What a process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) store: String,
    pub(crate) spool: Option<PathBuf>,
    pub(crate) mode: Option<String>,
    /// In milliseconds, of a call to the database.
    pub(crate) deadline: u64,
    pub(crate) fsync_interval: u64,
    pub(crate) spool_keep: u64,
    pub(crate) batch_rows: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) rules: String,
    pub(crate) quarantine: Option<PathBuf>,
    pub(crate) level: String,
    /// Where the names and values of all metrics are left at the end.
    pub(crate) metrics: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn new(store: impl Into<String>, spool: impl Into<PathBuf>) -> Self {
        Self {
            store: store.into(),
            spool: Some(spool.into()),
            mode: None,
            // Only where it is to run out, it is shorter.
            deadline: 60_000,
            fsync_interval: 5,
            spool_keep: 600_000,
            batch_rows: 500,
            queue_bytes: 4 << 20,
            batch_bytes: 1 << 20,
            rules: String::new(),
            quarantine: None,
            level: "warn".to_owned(),
            metrics: None,
        }
    }

    pub(crate) fn mode(mut self, mode: &str) -> Self {
        self.mode = Some(mode.to_owned());
        self
    }

    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = u64::try_from(deadline.as_millis()).unwrap();
        self
    }
}

/// The service. Does nothing but in a process that was started to be it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs() {
    let Ok(settings) = env::var(SETTINGS) else { return };
    let settings: Settings = serde_json::from_str(&settings).unwrap();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(tracing::Level::from_str(&settings.level).unwrap())
        .init();
    let metrics = settings.metrics.as_ref().map(|_| super::secrets::Metrics::listen());
    let deadline = Duration::from_millis(settings.deadline);
    let pipeline = if settings.store.starts_with("postgres") {
        // Not opened: the server may be away when the service starts.
        let pool = sqlx::PgPool::connect_lazy(&settings.store).unwrap();
        let store = PostgresStore::from_pool(pool).with_deadline(deadline);
        start(Pipeline::builder(store), &settings).await
    } else {
        let store = SqliteStore::open(&settings.store).await.unwrap();
        start(Pipeline::builder(store), &settings).await
    };
    let pipeline = Arc::new(pipeline);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nlistening {}", listener.local_addr().unwrap());
    let serving = tokio::spawn(serve(listener, app(&pipeline)));
    // Whoever started this holds the other end: when it ends, this does too.
    tokio::io::stdin().read_to_end(&mut Vec::new()).await.unwrap();
    serving.abort();
    let report = pipeline.shutdown(Duration::from_secs(60)).await;
    if let (Some(path), Some(metrics)) = (settings.metrics, metrics) {
        std::fs::write(path, metrics.text()).unwrap();
    }
    println!("\nreport {}", reported(&report));
}

async fn start<S: Append>(builder: PipelineBuilder<S>, settings: &Settings) -> Pipeline {
    let rules = Rules::rest().with_toml(&settings.rules).unwrap();
    let mut builder = builder
        .rules(rules)
        .keys(Keys::ephemeral())
        .service("shop")
        .queue_bytes(settings.queue_bytes)
        .batch_bytes(settings.batch_bytes)
        .batch_rows(settings.batch_rows)
        .batch_age(Duration::from_millis(5))
        .call_deadline(Duration::from_millis(settings.deadline));
    if let Some(folder) = &settings.spool {
        builder = builder
            .spool(folder)
            .spool_keep(Duration::from_millis(settings.spool_keep))
            .fsync_interval(Duration::from_millis(settings.fsync_interval))
            // No disk here is stuck.
            .strict_deadline(Duration::from_secs(600));
    }
    if let Some(mode) = &settings.mode {
        builder = builder.mode(Delivery::from_str(mode).unwrap());
    }
    if let Some(path) = &settings.quarantine {
        builder = builder.quarantine(path);
    }
    builder.start().await.unwrap()
}

fn app(pipeline: &Arc<Pipeline>) -> Router {
    let asked = Arc::clone(pipeline);
    let tally = async move || {
        let tally = asked.tally();
        Json(json!({
            "received": tally.received, "stored": tally.stored, "spooled": tally.spooled,
            "queued": tally.queued, "dropped": tally.dropped.total(), "gaps": tally.gaps,
            "quarantined": tally.quarantined, "retries": tally.retries, "drained": tally.drained,
            "duplicates": tally.duplicates, "own": tally.own,
        }))
    };
    Router::new()
        .route("/tally", get(tally))
        .route("/orders/{id}", post(order).put(order))
        .route("/login", post(async || StatusCode::UNAUTHORIZED))
        .route("/streams/{id}", post(stream))
        .route("/hangs/{id}", post(hang))
        .route("/hanging", get(async || HANGING.load(Ordering::SeqCst).to_string()))
        .layer(DefaultBodyLimit::disable())
        .nest("/log", pipeline.router(access::development()))
        .layer(ActivityLayer::new(pipeline.recorder()).query(true))
}

/// Takes whatever is sent. `x-pad` asks for metadata of so many bytes, `x-poison` for text that some indexes cannot
/// take, `x-echo` for the body as answer, `x-tell` for the body in fields of JSON,
/// and `x-say` for its own value in fields of text.
async fn order(
    headers: HeaderMap,
    activity: Activity,
    body: Bytes,
) -> (StatusCode, HeaderMap, Bytes) {
    let number = |name| -> Option<usize> { headers.get(name)?.to_str().ok()?.parse().ok() };
    if let Some(bytes) = number("x-pad") {
        activity.metadata("pad", "x".repeat(bytes));
    }
    if let Some(seed) = number("x-poison") {
        activity.description(&noise(seed)).reason(&noise(seed + 1));
    }
    if headers.contains_key("x-tell") {
        tell(&activity, &String::from_utf8_lossy(&body));
    }
    if let Some(text) = headers.get("x-say").and_then(|text| text.to_str().ok()) {
        say(&activity, text);
    }
    let mut answer = HeaderMap::new();
    for name in ["content-type", "x-request-id"] {
        if let Some(value) = headers.get(name) {
            answer.insert(name, value.clone());
        }
    }
    let echo = if headers.contains_key("x-echo") { body } else { Bytes::from_static(b"done\n") };
    (StatusCode::CREATED, answer, echo)
}

/// Sets what takes JSON.
fn tell(activity: &Activity, text: &str) {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    activity.metadata("told", &value).changes(&json!({ "was": 1 }), &value).session(text);
}

/// Sets what takes text.
fn say(activity: &Activity, text: &str) {
    activity
        .description(text)
        .reason(text)
        .entity_name(text)
        .actor_name(text)
        .metadata("text", text)
        .named_target("note", "1", text, "about")
        .session(text);
}

/// How many requests are in [`hang`].
static HANGING: AtomicUsize = AtomicUsize::new(0);

/// No answer.
async fn hang() -> StatusCode {
    HANGING.fetch_add(1, Ordering::SeqCst);
    std::future::pending().await
}

/// An answer whose head and first bytes come, and no end.
async fn stream() -> (StatusCode, Body) {
    use futures_util::stream::{StreamExt as _, iter, pending};
    let first = iter([Ok::<_, Infallible>(Bytes::from_static(b"begun\n"))]);
    (StatusCode::CREATED, Body::from_stream(first.chain(pending())))
}

/// Text that does not compress.
fn noise(seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(33 + u8::try_from((state >> 33) % 90).unwrap_or(0))
    };
    (0..2_000).map(|_| next()).collect()
}

/// Serves with bounds that let hostile heads through to us.
async fn serve(listener: TcpListener, app: Router) {
    loop {
        let Ok((socket, peer)) = listener.accept().await else { continue };
        let _slower = socket.set_nodelay(true);
        let app = app.clone().layer(axum::Extension(axum::extract::ConnectInfo(peer)));
        tokio::spawn(async move {
            let mut server = hyper::server::conn::http1::Builder::new();
            server.max_headers(4_096).max_buf_size(4 << 20);
            let service = TowerToHyperService::new(app);
            drop(server.serve_connection(TokioIo::new(socket), service).await);
        });
    }
}

fn reported(report: &ShutdownReport) -> Value {
    json!({
        "received": report.received, "stored": report.stored, "spooled": report.spooled,
        "queued": report.queued, "dropped": report.dropped.total(), "gaps": report.gaps,
        "quarantined": report.quarantined,
    })
}
