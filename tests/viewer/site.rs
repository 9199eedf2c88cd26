//! A service with a log to look at.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::post};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_activity::{
    ActivityLayer, Keys, Pipeline, SqliteStore,
    access::{self, Grant, Permission, Permissions},
    record::{
        Actor, ActorType, Address, Category, Json, Operation, Outcome, Record, RecordId, Seal,
        WriterId,
    },
    store::{Append as _, Appender as _, Batch, make_checkpoint},
    time::Timestamp,
};

/// A service on a port of its own, with its log under `/activity`.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) store: SqliteStore,
    _folder: TempDir,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Site {
    /// Starts it with these records, open to everybody who looks and exports. What the log notes of itself is not
    /// for them, so that they see these records alone.
    pub(crate) async fn with(records: Vec<Record>) -> Self {
        let permissions = Permissions::viewer().with(Permission::Export);
        Self::open(records, permissions, |log| Router::new().nest_service("/activity", log)).await
    }

    /// Starts it with these records for a viewer with some permissions, the log mounted by `app`.
    pub(crate) async fn open(
        records: Vec<Record>,
        permissions: Permissions,
        app: impl FnOnce(Router) -> Router,
    ) -> Self {
        Self::granting(records, Grant::new(vera(), permissions), app).await
    }

    /// Starts it for whom a grant describes.
    pub(crate) async fn granting(
        records: Vec<Record>,
        grant: Grant,
        app: impl FnOnce(Router) -> Router,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store =
            SqliteStore::open(folder.path().join("activity.db").to_str().unwrap()).await.unwrap();
        let keys = Keys::open(folder.path().join("activity.keys")).unwrap();
        let pipeline = Arc::new(Pipeline::builder(store.clone()).keys(keys).start().await.unwrap());
        append(&store, records).await;
        let access = access::from_fn(move |_| {
            let grant = grant.clone();
            async move { Ok(grant) }
        });
        let app = app(pipeline.router(access))
            .route("/orders", post(|| async {}))
            .layer(ActivityLayer::new(pipeline.recorder()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let log = Arc::clone(&pipeline);
        let server = tokio::spawn(async move {
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
                .with_graceful_shutdown(async move {
                    drop(stopped.await);
                    log.hang_up();
                })
                .await
                .unwrap();
        });
        Self { address, pipeline, store, _folder: folder, stop, server }
    }

    /// Returns the address of the viewer with a query.
    pub(crate) fn at(&self, query: &str) -> String {
        format!("http://{}/activity{query}", self.address)
    }

    /// Signs the head of the ledger.
    pub(crate) async fn sign(&self) {
        self.pipeline.flush().await;
        make_checkpoint(&self.store, &[[7; 32]], Timestamp::default()).await.unwrap().unwrap();
    }

    /// Stops it without waiting for connections that a browser keeps.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.server.abort();
        self.pipeline.shutdown(Duration::from_secs(5)).await;
    }
}

/// Returns who looks.
pub(crate) fn vera() -> Actor {
    Actor::user("vera").named("Vera Viewer")
}

/// Appends records as another process would, past the pipeline; each call is a stream of its own.
async fn append(store: &SqliteStore, records: Vec<Record>) {
    static STREAM: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1);
    let stream = STREAM.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let records: Vec<_> = (1..)
        .zip(records)
        .map(|(seq, mut record)| {
            record.writer_id = WriterId::new(stream);
            record.seq = seq;
            let erased: Vec<_> = record.erased().collect();
            record.seal(std::array::from_fn(|group| [u8::try_from(group).unwrap() + 1; 16]));
            for group in erased {
                record.seals.set(group, Seal::Erased([9; 32]));
            }
            Box::new(record)
        })
        .collect();
    let mut appender = store.connect().await.unwrap();
    for part in records.chunks(1_000) {
        appender.append(Batch::new(part).unwrap()).await.unwrap();
    }
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// Returns a record with nothing in it but what every record has.
pub(crate) fn bare(seconds_ago: u64, number: u32) -> Record {
    let at = now().saturating_sub(Duration::from_secs(seconds_ago));
    let mut random = [7; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    let mut record = Record::default();
    record.id = RecordId::new(at, random);
    record.occurred_at = at;
    record.recorded_at = at;
    record.action.set("act");
    record.outcome = Outcome::Success;
    record.category = Category::Activity;
    record.retention_class.set("activity");
    record.service.set("shop");
    record
}

const PEOPLE: [(&str, &str); 4] =
    [("ana", "Ana Lima"), ("bob", "Bob Lund"), ("chen", "Chen Wei"), ("dina", "Dina Haddad")];
const DEEDS: [(&str, Operation); 4] = [
    ("create", Operation::Create),
    ("update", Operation::Update),
    ("cancel", Operation::Update),
    ("delete", Operation::Delete),
];

/// Returns a day in a shop: `count` records, the newest a minute ago and each a minute before the other.
pub(crate) fn shop(count: u32) -> Vec<Record> {
    (0..count).rev().map(order).collect()
}

/// Returns what happened to order `n`, `n + 1` minutes ago. Every seventh was denied.
pub(crate) fn order(n: u32) -> Record {
    let mut record = bare(u64::from(n + 1) * 60, n);
    let (id, name) = PEOPLE[n as usize % PEOPLE.len()];
    let (action, operation) = DEEDS[(n / 4) as usize % DEEDS.len()];
    record.actor_type = ActorType::User;
    record.actor_id.set(id);
    record.actor_name.set(name);
    record.action.set(action);
    record.operation = operation;
    record.entity_type.set("order");
    record.entity_id.set(&(n % 50).to_string());
    record.tenant_id.set(if n.is_multiple_of(2) { "north" } else { "south" });
    record.method.set("POST");
    record.route.set("/orders/{id}");
    record.path.set(&format!("/orders/{}", n % 50));
    record.request_id.set(&format!("req-{n}"));
    record.session_id.set(&format!("p1.session-of-{id}"));
    record.ip = Some(Address::new([192, 0, 2, u8::try_from(n % 200).unwrap()].into()));
    record.duration_us = Some(i64::from(n % 900) * 10 + 100);
    record.user_agent.set("Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0");
    if n % 7 == 3 {
        record.outcome = Outcome::Denied;
        record.status = Some(403);
    } else {
        record.status = Some(200);
    }
    if action == "update" {
        record.changes = Json::from_stored(
            r#"[{"op":"replace","path":"/shipping","old":"standard","new":"express"},
                {"op":"replace","path":"/note","old":"leave it at the front door please","new":"leave it at the back door please"},
                {"op":"replace","path":"/address","old":{"city":"Lisbon","zip":"1000","country":"PT"},"new":{"city":"Porto","zip":"1000","country":"PT"}},
                {"op":"add","path":"/gift","new":true},
                {"op":"replace","path":"/card","old":"[redacted]","new":"[redacted]"}]"#,
        );
    }
    record
}
