//! What every module needs: a log in memory, requests, bodies that stop where they are told to.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;
use tower_activity::{
    capture::ActivityLayer,
    pipeline::Pipeline,
    privacy::Keys,
    record::{Category, Record},
    rules::{Delivery, Rules},
    store::MemoryStore,
};

/// A pipeline into a store in memory.
pub(crate) struct Log {
    pub(crate) pipeline: Pipeline,
    store: MemoryStore,
    // After the pipeline, which uses it.
    _spool: Option<tempfile::TempDir>,
}

impl Log {
    /// With the REST conventions and the rules of the login routes.
    pub(crate) async fn new() -> Self {
        Self::with(Rules::rest()).await
    }

    pub(crate) async fn with_toml(text: &str) -> Self {
        Self::with(Rules::rest().with_toml(text).unwrap()).await
    }

    pub(crate) async fn with(rules: Rules) -> Self {
        let store = MemoryStore::new();
        let pipeline = Pipeline::builder(store.clone())
            .rules(rules)
            .keys(Keys::ephemeral())
            .batch_age(Duration::from_millis(1))
            .start()
            .await
            .unwrap();
        Self { pipeline, store, _spool: None }
    }

    /// With a spool in a folder of its own, and this class for every request.
    pub(crate) async fn in_mode(mode: Delivery, rules: Rules) -> Self {
        let (store, spool) = (MemoryStore::new(), tempfile::tempdir().unwrap());
        let pipeline = Pipeline::builder(store.clone())
            .rules(rules)
            .keys(Keys::ephemeral())
            .batch_age(Duration::from_millis(1))
            .spool(spool.path())
            .mode(mode)
            .strict_deadline(Duration::from_secs(3_600))
            .start()
            .await
            .unwrap();
        Self { pipeline, store, _spool: Some(spool) }
    }

    pub(crate) fn layer(&self) -> ActivityLayer {
        ActivityLayer::new(self.pipeline.recorder())
    }

    /// The records of requests so far, in the order in which they began.
    pub(crate) async fn records(&self) -> Vec<Record> {
        self.pipeline.flush().await;
        let mut all = self.store.all();
        all.retain(|record| record.category != Category::System);
        all.sort_by_key(|record| (record.occurred_at, record.id));
        all
    }

    /// The one record that there is.
    #[track_caller]
    pub(crate) fn only(&self) -> impl Future<Output = Record> + '_ {
        let place = std::panic::Location::caller();
        async move {
            let mut records = self.records().await;
            assert_eq!(records.len(), 1, "records at {place}: {records:#?}");
            records.remove(0)
        }
    }
}

/// A request without a body.
pub(crate) fn request(method: &str, uri: &str) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
}

/// A request with a JSON body.
pub(crate) fn json(method: &str, uri: &str, body: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

/// Reads a response to its end.
pub(crate) async fn read<B>(response: Response<B>) -> Bytes
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    response.into_body().collect().await.unwrap().to_bytes()
}

/// One step of a body that a test controls.
pub(crate) enum Step {
    Data(&'static [u8]),
    Trailers(HeaderMap),
    Fail(&'static str),
    Panic,
}

/// A body that gives what the test sends, when the test sends it.
pub(crate) struct Stepped(mpsc::UnboundedReceiver<Step>);

pub(crate) fn stepped() -> (mpsc::UnboundedSender<Step>, Stepped) {
    let (steps, body) = mpsc::unbounded_channel();
    (steps, Stepped(body))
}

impl http_body::Body for Stepped {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx).map(|step| match step? {
            Step::Data(data) => Some(Ok(Frame::data(Bytes::from_static(data)))),
            Step::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Step::Fail(why) => Some(Err(std::io::Error::new(std::io::ErrorKind::BrokenPipe, why))),
            Step::Panic => panic!("the body panicked"),
        })
    }
}

/// Reads the next frame of data.
pub(crate) async fn next(body: &mut Body) -> Option<Bytes> {
    body.frame().await.map(|frame| frame.unwrap().into_data().unwrap_or_default())
}

/// A value that a handler, which must be `Clone`, takes once.
pub(crate) struct Once<T>(std::sync::Arc<std::sync::Mutex<Option<T>>>);

impl<T> Once<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Arc::new(std::sync::Mutex::new(Some(value))))
    }

    pub(crate) fn take(&self) -> T {
        self.0.lock().unwrap().take().expect("taken once")
    }
}

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self(std::sync::Arc::clone(&self.0))
    }
}

/// Whether a body says that nothing more comes.
pub(crate) fn ended(body: &Body) -> bool {
    body.is_end_stream()
}
