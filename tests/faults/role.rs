//! The other side: a real server in a process of its own, which is this binary once more.
//!
//! It reads what it is to be from its environment, says its address, and at its end what its report says.

use std::{
    env,
    io::Read as _,
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, signal::unix::SignalKind, sync::watch};
use tower_activity::{
    Activity, ActivityLayer, Pipeline, Record, SqliteStore, access,
    pipeline::PipelineBuilder,
    record::{Actor, Category, WriterId},
    rules::{Delivery, Rule, Rules},
    store::{AnyStore, Append, Appended, Appender, Batch, StoreError},
};

/// What says that this process is a server, and the store that it writes to.
pub(crate) const STORE: &str = "FAULTS_STORE";

pub(crate) fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().ok().unwrap_or_else(|| panic!("{name} is `{value}`")))
}

/// Ends this process when the test is gone, however that went: then nobody holds the other end of stdin.
pub(crate) fn end_with_the_test() {
    std::thread::spawn(|| {
        let mut nothing = Vec::new();
        let _gone = std::io::stdin().read_to_end(&mut nothing);
        #[allow(clippy::exit, reason = "a process that nobody needs any more")]
        std::process::exit(3);
    });
}

/// How much a store takes: one record of so many that requests make, however fast they come. No clock is in it.
#[derive(Debug)]
struct Pace {
    /// All of them when 1, none when nothing.
    one_in: watch::Sender<u64>,
    /// Requests that reached a handler.
    ran: watch::Sender<u64>,
    /// How many had when this was set, and how many records were taken since.
    since: Mutex<(u64, u64)>,
}

impl Pace {
    fn new(one_in: u64) -> Self {
        Self {
            one_in: watch::Sender::new(one_in),
            ran: watch::Sender::new(0),
            since: Mutex::default(),
        }
    }

    fn set(&self, one_in: u64) {
        *self.since.lock().unwrap() = (*self.ran.borrow(), 0);
        self.one_in.send_replace(one_in);
    }

    fn take(&self, count: u64) -> bool {
        match *self.one_in.borrow() {
            0 => false,
            1 => true,
            one_in => {
                let mut since = self.since.lock().unwrap();
                let (begun, taken) = *since;
                let is_due = taken + count <= (*self.ran.borrow() - begun) / one_in;
                if is_due {
                    since.1 += count;
                }
                is_due
            }
        }
    }

    /// Waits until so many records may be taken.
    async fn due(&self, count: u64) {
        let (mut one_in, mut ran) = (self.one_in.subscribe(), self.ran.subscribe());
        while !self.take(count) {
            // Both senders live as long as this.
            tokio::select! {
                changed = one_in.changed() => changed.unwrap(),
                changed = ran.changed() => changed.unwrap(),
            }
        }
    }
}

/// A store that takes as much as its pace says.
#[derive(Clone)]
struct Throttled<S> {
    inner: S,
    pace: Arc<Pace>,
}

struct Throttle<A> {
    inner: A,
    pace: Arc<Pace>,
}

impl<S: Append> Append for Throttled<S> {
    type Appender = Throttle<S::Appender>;

    async fn connect(&self) -> Result<Self::Appender, StoreError> {
        let inner = self.inner.connect().await?;
        Ok(Throttle { inner, pace: Arc::clone(&self.pace) })
    }

    fn keep_commits(&self) {
        self.inner.keep_commits();
    }

    fn reader(&self) -> Option<AnyStore> {
        self.inner.reader()
    }
}

impl<A: Appender> Appender for Throttle<A> {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        self.inner.position(writer_id).await
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        self.pace.due(batch.records().len() as u64).await;
        self.inner.append(batch).await
    }
}

/// What the server shares with whoever asks for its state.
struct Shared {
    pipeline: Pipeline,
    pace: Arc<Pace>,
}

type Handle = State<Arc<Shared>>;

fn tally(shared: &Shared) -> Value {
    let tally = shared.pipeline.tally();
    json!({
        "received": tally.received, "stored": tally.stored, "spooled": tally.spooled, "queued": tally.queued,
        "dropped": tally.dropped.total(), "gaps": tally.gaps, "own": tally.own, "folded": tally.folded,
        "drained": tally.drained, "ran": *shared.pace.ran.borrow(),
    })
}

fn control() -> Router<Arc<Shared>> {
    Router::new()
        .route(
            "/take/{one_in}",
            post(async |State(shared): Handle, Path(one_in): Path<u64>| shared.pace.set(one_in)),
        )
        .route("/tally", get(async |State(shared): Handle| Json(tally(&shared))))
        // Large records by hand, for spools that are to be filled without a million requests.
        .route(
            "/fill/{records}/{bytes}",
            post(async |State(shared): Handle, Path((records, bytes)): Path<(u64, usize)>| {
                let recorder = shared.pipeline.recorder();
                let text = "x".repeat(bytes);
                let taken = (0..records)
                    .map(|n| {
                        Record::by("filler").created("brick", &n.to_string()).metadata(&[&text])
                    })
                    .filter(|record| recorder.record(record.clone()).is_accepted())
                    .count();
                taken.to_string()
            }),
        )
}

fn shop() -> Router<Arc<Shared>> {
    let ran = |shared: &Shared| shared.pace.ran.send_modify(|ran| *ran += 1);
    Router::new()
        .route(
            "/api/orders",
            post(async move |State(shared): Handle| {
                ran(&shared);
                "done"
            }),
        )
        .route(
            "/api/reports",
            post(async move |State(shared): Handle| {
                ran(&shared);
                let frames = ["one", "two"].map(Ok::<_, std::convert::Infallible>);
                Body::from_stream(futures_util::stream::iter(frames))
            }),
        )
        .route(
            "/api/letters",
            post(async move |State(shared): Handle, activity: Activity| {
                ran(&shared);
                activity.metadata("text", "x".repeat(30 * 1024));
                "done"
            }),
        )
        .route(
            "/login",
            post(async move |State(shared): Handle, activity: Activity| {
                ran(&shared);
                activity.actor("ana");
                "welcome"
            }),
        )
        .route("/api/secrets", post(async || StatusCode::UNAUTHORIZED))
}

fn rules() -> Rules {
    let login = Rule::new("login").route("/login").methods(["POST"]);
    Rules::rest().rule(login.entity("user").action("login").category(Category::Authentication))
}

fn settings<S: Append>(mut builder: PipelineBuilder<S>) -> PipelineBuilder<S> {
    builder = builder.rules(rules()).service("shop").batch_age(Duration::from_millis(10));
    if let Some(folder) = variable::<PathBuf>("FAULTS_SPOOL") {
        builder = builder.spool(folder);
    }
    if let Some(mode) = variable::<Delivery>("FAULTS_MODE") {
        builder = builder.mode(mode);
    }
    if let Some(bytes) = variable("FAULTS_CAP") {
        builder = builder.spool_cap(bytes);
    }
    if let Some(millis) = variable("FAULTS_KEEP") {
        builder = builder.spool_keep(Duration::from_millis(millis));
    }
    if let Some(count) = variable("FAULTS_QUEUE") {
        builder = builder.queue(count);
    }
    if let Some(bytes) = variable::<usize>("FAULTS_QUEUE_BYTES") {
        builder = builder.queue_bytes(bytes).batch_bytes(bytes / 4);
    }
    if let Some(rows) = variable("FAULTS_BATCH_ROWS") {
        builder = builder.batch_rows(rows);
    }
    if let Some(millis) = variable("FAULTS_STRICT_DEADLINE") {
        builder = builder.strict_deadline(Duration::from_millis(millis));
    }
    builder
}

async fn serve<S: Append>(store: S) {
    let pace = Arc::new(Pace::new(variable("FAULTS_TAKE").unwrap_or(1)));
    let throttled = Throttled { inner: store, pace: Arc::clone(&pace) };
    let pipeline = match settings(Pipeline::builder(throttled)).start().await {
        Ok(pipeline) => pipeline,
        Err(error) => {
            println!("refused: {error}");
            return;
        }
    };
    let shared = Arc::new(Shared { pipeline, pace });
    let layer = ActivityLayer::new(shared.pipeline.recorder());
    let by_service = access::from_fn(|_| {
        let all = access::Permissions::admin().with(access::Permission::Ingest);
        std::future::ready(Ok(access::Grant::new(Actor::service("till"), all)))
    });
    let app = shop()
        .with_state(Arc::clone(&shared))
        .nest_service("/activity", shared.pipeline.router(by_service))
        .layer(layer)
        .nest("/control", control().with_state(Arc::clone(&shared)));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut asked = tokio::signal::unix::signal(SignalKind::terminate()).unwrap();
    println!("ready http://{address} pid {}", std::process::id());

    let deadline = Duration::from_millis(variable("FAULTS_DEADLINE").unwrap_or(60_000));
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            asked.recv().await;
            let _listening = stop.send(());
        });
    let server = tokio::spawn(std::future::IntoFuture::into_future(server));
    let _asked = stopped.await;
    // However short the deadline of the log is: requests do not wait for the store.
    let hanging = tokio::time::timeout(crate::process::PATIENCE, server).await.is_err();
    let report = shared.pipeline.shutdown(deadline).await;
    let mut said = tally(&shared);
    // Of the same moment, unlike a tally that late requests go on changing.
    for (name, value) in [
        ("received", report.received),
        ("stored", report.stored),
        ("spooled", report.spooled),
        ("queued", report.queued),
        ("dropped", report.dropped.total()),
        ("gaps", report.gaps),
        ("hanging", u64::from(hanging)),
    ] {
        said[name] = value.into();
    }
    println!("report {said}");
}

/// The server, when the environment asks for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server() {
    let Some(store) = variable::<String>(STORE) else { return };
    end_with_the_test();
    #[cfg(feature = "postgres")]
    if store.starts_with("postgres:") {
        return serve(tower_activity::PostgresStore::open(&store).await.unwrap()).await;
    }
    serve(SqliteStore::open(&store).await.unwrap()).await;
}
