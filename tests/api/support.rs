//! A service with a log, on a port of its own, and a client that speaks HTTP to it.

use std::{collections::BTreeSet, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, StatusCode, body::Bytes, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_activity::{
    ActivityLayer, MemoryStore, Pipeline, SqliteStore,
    access::{self, Access, Denial, Grant, Permission, Permissions},
    pipeline::PipelineBuilder,
    record::{Actor, Record},
    store::{Append, Batch, Erase, Evidence, Maintain, Read, Register, Retain},
    time::{ManualClock, Timestamp},
};

/// A place for a store, cleaned up when dropped.
pub(crate) trait Fixture: Send + Sync + Sized + 'static {
    type Store: Append + Read + Maintain + Register + Evidence + Erase + Retain + Clone;

    fn new() -> impl Future<Output = Self> + Send;
    fn open(&self) -> impl Future<Output = Self::Store> + Send;
}

pub(crate) struct InMemory(MemoryStore);

impl Fixture for InMemory {
    type Store = MemoryStore;

    async fn new() -> Self {
        Self(MemoryStore::new())
    }

    async fn open(&self) -> MemoryStore {
        self.0.clone()
    }
}

pub(crate) struct InFile(TempDir);

impl InFile {
    /// Opens the file as an editor does. It blocks: a service on the same thread would never let it write.
    pub(crate) fn by_hand(&self) -> rusqlite::Connection {
        let file = rusqlite::Connection::open(self.0.path().join("activity.db")).unwrap();
        // On a busy machine the others are not done with it as soon as everywhere else.
        file.busy_timeout(Duration::from_secs(60)).unwrap();
        file
    }
}

impl Fixture for InFile {
    type Store = SqliteStore;

    async fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.path().join("activity.db").to_str().unwrap()).await.unwrap()
    }
}

#[cfg(feature = "postgres")]
impl Fixture for crate::server::Database {
    type Store = tower_activity::PostgresStore;

    async fn new() -> Self {
        Self::migrated().await
    }

    async fn open(&self) -> Self::Store {
        tower_activity::PostgresStore::open(&self.url()).await.unwrap()
    }
}

/// A log in Postgres that keeps tenants apart, asked by a login of a service.
#[cfg(feature = "postgres")]
pub(crate) struct KeptApart<const SEES_ALL: bool>(crate::server::Database);

#[cfg(feature = "postgres")]
impl<const SEES_ALL: bool> KeptApart<SEES_ALL> {
    /// One for all tests, as the roles are: they belong to the server.
    const LOGIN: &str = if SEES_ALL { "activity_test_service" } else { "activity_test_tenant" };

    /// Runs a statement as the owner of the database.
    pub(crate) async fn execute(&self, sql: &str) {
        self.0.execute(sql).await;
    }
}

#[cfg(feature = "postgres")]
impl<const SEES_ALL: bool> Fixture for KeptApart<SEES_ALL> {
    type Store = tower_activity::PostgresStore;

    async fn new() -> Self {
        let database = crate::server::Database::migrated().await;
        let owner = tower_activity::PostgresStore::open(&database.url()).await.unwrap();
        owner.keep_tenants().await.unwrap();
        let more = if SEES_ALL { ", activity_auditor" } else { "" };
        database
            .execute(&format!(
                "do $$ begin if to_regrole('{login}') is null then create role {login} login; \
                 grant activity_writer, activity_reader{more} to {login}; end if; \
                 exception when duplicate_object or unique_violation then null; end $$",
                login = Self::LOGIN,
            ))
            .await;
        Self(database)
    }

    async fn open(&self) -> Self::Store {
        let options: sqlx::postgres::PgConnectOptions = self.0.url().parse().unwrap();
        let options = options.username(Self::LOGIN);
        tower_activity::PostgresStore::from_pool(sqlx::PgPool::connect_lazy_with(options))
    }
}

/// A log in Postgres whose service owns nothing: its login has the roles that write, read and erase, and no other.
#[cfg(feature = "postgres")]
pub(crate) struct OwnsNothing(crate::server::Database);

#[cfg(feature = "postgres")]
impl Fixture for OwnsNothing {
    type Store = tower_activity::PostgresStore;

    async fn new() -> Self {
        let database = crate::server::Database::migrated().await;
        let owner = tower_activity::PostgresStore::open(&database.url()).await.unwrap();
        owner.keep_tenants().await.unwrap();
        database
            .execute(
                "do $$ begin if to_regrole('activity_test_eraser') is null then \
                 create role activity_test_eraser login; \
                 grant activity_writer, activity_reader, activity_auditor, activity_privacy \
                 to activity_test_eraser; end if; \
                 exception when duplicate_object or unique_violation then null; end $$",
            )
            .await;
        Self(database)
    }

    async fn open(&self) -> Self::Store {
        let options: sqlx::postgres::PgConnectOptions = self.0.url().parse().unwrap();
        let options = options.username("activity_test_eraser");
        tower_activity::PostgresStore::from_pool(sqlx::PgPool::connect_lazy_with(options))
    }
}

/// Makes a test of each function for each store: `async fn fact<F: Fixture>()`.
macro_rules! on_every_store {
    ($($fact:ident,)*) => {
        mod memory { on_every_store!(@facts $crate::support::InMemory: $($fact,)*); }
        mod sqlite { on_every_store!(@facts $crate::support::InFile: $($fact,)*); }
        #[cfg(feature = "postgres")]
        mod postgres { on_every_store!(@facts $crate::server::Database: $($fact,)*); }
    };
    (@facts $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            super::$fact::<$fixture>().await;
        }
    )*};
}

/// Who calls is told by one header, `x-test-caller: name permission,permission tenant`; the last two may be
/// left out: `admin` without a tenant, with `logs.ingest`. The tenant `()` is one whose name is empty.
pub(crate) fn by_header() -> impl Access {
    access::from_fn(|parts| {
        let caller = parts.headers.get("x-test-caller").and_then(|caller| caller.to_str().ok());
        let answer = caller.map(|caller| {
            let mut words = caller.split(' ');
            let actor = Actor::user(words.next().unwrap_or_default());
            let permissions =
                words.next().map_or(Permissions::admin().with(Permission::Ingest), |list| {
                    list.split(',').filter_map(|name| name.parse::<Permission>().ok()).collect()
                });
            let grant = Grant::new(actor, permissions);
            match words.next() {
                Some("()") => grant.tenant(""),
                Some(tenant) => grant.tenant(tenant),
                None => grant,
            }
        });
        let answer = answer.ok_or_else(|| Denial::Unauthenticated {
            challenge: None,
            detail: "who are you?".to_owned(),
        });
        async move { answer }
    })
}

/// A service with its log under `/activity`.
pub(crate) struct Service<F: Fixture> {
    pub(crate) fixture: F,
    pub(crate) store: F::Store,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl<F: Fixture> Service<F> {
    /// Starts it, open to whoever sends `x-test-caller`.
    pub(crate) async fn start() -> Self {
        Self::with(|pipeline| Router::new().nest("/activity", pipeline.router(by_header()))).await
    }

    /// Starts it with an app of one's own; the layer goes around it.
    pub(crate) async fn with(app: impl FnOnce(&Pipeline) -> Router) -> Self {
        Self::set_up(|builder| builder, app).await
    }

    /// Starts it by a clock that stands still until the test moves it.
    pub(crate) async fn at(now: Timestamp) -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(now));
        let app =
            |pipeline: &Pipeline| Router::new().nest("/activity", pipeline.router(by_header()));
        (Self::set_up(|builder| builder.clock(Arc::clone(&clock)), app).await, clock)
    }

    /// Starts it with a pipeline of one's own, open to whoever sends `x-test-caller`.
    pub(crate) async fn set(
        set: impl FnOnce(PipelineBuilder<F::Store>) -> PipelineBuilder<F::Store>,
    ) -> Self {
        let app =
            |pipeline: &Pipeline| Router::new().nest("/activity", pipeline.router(by_header()));
        Self::set_up(set, app).await
    }

    /// Starts it with a pipeline and an app of one's own.
    pub(crate) async fn set_up(
        pipeline: impl FnOnce(PipelineBuilder<F::Store>) -> PipelineBuilder<F::Store>,
        app: impl FnOnce(&Pipeline) -> Router,
    ) -> Self {
        let fixture = F::new().await;
        let store = fixture.open().await;
        let builder = pipeline(Pipeline::builder(store.clone()));
        let pipeline = Arc::new(builder.start().await.unwrap());
        let app = app(&pipeline).layer(ActivityLayer::new(pipeline.recorder()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
                .with_graceful_shutdown(async { drop(stopped.await) })
                .await
                .unwrap();
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { fixture, store, pipeline, address, client, stop: Some(stop), server: Some(server) }
    }

    /// Appends records as another process would, past the pipeline.
    pub(crate) async fn append(&self, records: &[Box<Record>]) {
        let batch = Batch::new(records).expect("consecutive records of one stream");
        use tower_activity::store::Appender as _;
        self.store.connect().await.unwrap().append(batch).await.unwrap();
    }

    /// Asks, as an administrator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as("admin", path).await
    }

    /// Asks, as the caller of `x-test-caller`.
    pub(crate) async fn get_as(&self, caller: &str, path: &str) -> Answer {
        self.send(Method::GET, path, &[("x-test-caller", caller)], "").await
    }

    /// Sends a request.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request =
            hyper::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Stops server and pipeline; nothing may be left behind.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            server.await.unwrap();
        }
        self.pipeline.shutdown(Duration::from_secs(5)).await;
    }
}

/// Spells a value so that it can stand in an address.
pub(crate) fn spelt(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Returns the body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("answers are UTF-8")
    }

    /// Returns the body of a success as JSON.
    pub(crate) fn json(&self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text());
        serde_json::from_slice(&self.body).expect("answers are JSON")
    }

    /// Returns the body of a failure, which must be a problem of this status.
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        serde_json::from_slice(&self.body).expect("problems are JSON")
    }
}

/// Returns every endpoint that the service describes, as in `GET /records/{id}`.
pub(crate) async fn described<F: Fixture>(service: &Service<F>) -> BTreeSet<String> {
    let document = service.get("/activity/openapi.json").await.json();
    let paths = document["paths"].as_object().expect("paths");
    let methods = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    methods.collect()
}

/// Tells whether a path, without its mount, is one of an endpoint as it is described.
pub(crate) fn is_of(path: &str, endpoint: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let described = endpoint.split_once(' ').map_or(endpoint, |(_, path)| path);
    let (path, described) = (path.trim_matches('/'), described.trim_matches('/'));
    path.split('/').count() == described.split('/').count()
        && path
            .split('/')
            .zip(described.split('/'))
            .all(|(is, said)| is == said || said.starts_with('{'))
}
