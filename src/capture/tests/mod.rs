//! What a request waits for, on a spool whose disk answers when the test says so.

mod durable;
mod strict;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tokio::sync::mpsc;
use tower::{Layer as _, Service, service_fn, util::BoxCloneService};

use super::ActivityLayer;
use crate::{
    pipeline::{
        Pipeline, PipelineBuilder,
        gated::{self, Disk, Refused},
    },
    privacy::Keys,
    record::{Category, Outcome, Record},
    rules::{Delivery, Rule, Rules},
    store::MemoryStore,
};

/// A pipeline into memory, by way of a disk that answers when it is told to.
struct Log {
    disk: Disk,
    pipeline: Pipeline,
    store: MemoryStore,
    // After the pipeline, which uses it.
    _folder: tempfile::TempDir,
}

impl Log {
    async fn new(mode: Delivery) -> Self {
        Self::with(mode, Rules::rest()).await
    }

    async fn with(mode: Delivery, rules: Rules) -> Self {
        Self::start(mode, rules, |builder| builder).await
    }

    async fn start(
        mode: Delivery,
        rules: Rules,
        set: impl FnOnce(PipelineBuilder<MemoryStore>) -> PipelineBuilder<MemoryStore>,
    ) -> Self {
        let (disk, store) = (Disk::default(), MemoryStore::new());
        let folder = tempfile::tempdir().unwrap();
        // Routes that are known without a router.
        let known = [Rule::new("known").route("/known/{id}/cancel")];
        let builder = Pipeline::builder(store.clone())
            .rules(known.into_iter().fold(rules, Rules::rule))
            .spool(folder.path())
            .disk(&disk)
            .mode(mode)
            .keys(Keys::ephemeral())
            // Who is to lose patience does so in paused time; nobody else, however long the machine stalls.
            .strict_deadline(Duration::from_secs(3_600))
            .batch_age(Duration::from_millis(1));
        let pipeline = set(builder).start().await.unwrap();
        Self { disk, pipeline, store, _folder: folder }
    }

    fn layer(&self) -> ActivityLayer {
        ActivityLayer::new(self.pipeline.recorder())
    }

    /// The records of requests, as they are stored.
    async fn records(&self) -> Vec<Record> {
        self.disk.release();
        self.pipeline.flush().await;
        let mut all = self.store.all();
        all.retain(|record| record.category != Category::System);
        assert_eq!(self.pipeline.tally().open_drafts, 0);
        all
    }

    async fn only(&self) -> Record {
        let mut records = self.records().await;
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }

    /// What was written, in short: `open 1`, `more 1`, `end 1`, `record`, `cancel 1`.
    fn frames(&self) -> Vec<String> {
        let short = |frame: &gated::Frame| match frame {
            gated::Frame::Open(number, _) => format!("open {number}"),
            gated::Frame::More(number, _) => format!("more {number}"),
            gated::Frame::Record(Some(number), _) => format!("end {number}"),
            gated::Frame::Record(None, _) => "record".to_owned(),
            gated::Frame::Cancel(number) => format!("cancel {number}"),
        };
        self.disk.frames().iter().map(short).collect()
    }

    /// What requests and gaps are told of, once this pipeline was shut down and the next one has stored what it left.
    async fn told_by_the_next(&self) -> Vec<Record> {
        let soon = Duration::from_secs(60);
        let report = self.pipeline.shutdown(soon).await;
        let settled = report.stored + report.spooled + report.queued + report.dropped.total();
        assert_eq!(report.received, settled, "{report}");
        let next = Pipeline::builder(self.store.clone()).spool(self._folder.path());
        let next = next.batch_age(Duration::from_millis(1)).start().await.unwrap();
        let ended = |stream| {
            let all = self.store.all();
            let mut ends = all.iter().filter(|record| record.action == "stopped");
            ends.any(|record| {
                record.writer_id == stream
                    && record.seq == all.iter().filter(|r| r.writer_id == stream).count() as i64
            })
        };
        let first = self.store.all()[0].writer_id;
        let begun = std::time::Instant::now();
        while !(ended(first) && next.tally().drained >= report.spooled) {
            assert!(begun.elapsed() < soon, "{:?}", next.tally());
            tokio::task::yield_now().await;
        }
        next.shutdown(soon).await;
        let mut all = self.store.all();
        all.retain(|record| record.category != Category::System || record.action == "gap");
        all
    }

    /// The record that a crash would leave.
    fn begun(&self) -> Record {
        let begun = |frame| match frame {
            gated::Frame::Open(_, record) | gated::Frame::More(_, record) => Some(*record),
            _ => None,
        };
        self.disk.frames().into_iter().rev().find_map(begun).unwrap()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Nobody can end a thread that waits for the disk.
        self.disk.release();
    }
}

fn request(method: &str, uri: &str) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
}

fn how(record: &Record) -> (Option<u16>, Outcome, &str) {
    (record.status, record.outcome, &record.outcome_reason)
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn poll_frame(body: &mut Body) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
    http_body::Body::poll_frame(Pin::new(body), &mut Context::from_waker(Waker::noop()))
}

/// How often a service was called.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A service that counts its calls, at the call and not in its future, and answers this.
    fn answering(
        &self,
        answer: impl Answer,
    ) -> BoxCloneService<Request<Body>, Response<Body>, Infallible> {
        let calls = Arc::clone(&self.0);
        let answer = Arc::new(Mutex::new(Some(answer)));
        BoxCloneService::new(service_fn(move |request: Request<Body>| {
            calls.fetch_add(1, Ordering::SeqCst);
            let answer = answer.lock().unwrap().take().expect("called once");
            std::future::ready(Ok(answer(request)))
        }))
    }
}

/// What a service makes of a request.
trait Answer: FnOnce(Request<Body>) -> Response<Body> + Send + 'static {}

impl<F: FnOnce(Request<Body>) -> Response<Body> + Send + 'static> Answer for F {}

/// What the tests of one request need: the future of its response, not yet polled.
type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

fn send(log: &Log, request: Request<Body>, answer: impl Answer) -> (Calls, Answered) {
    let calls = Calls::default();
    let mut service = log.layer().layer(calls.answering(answer));
    let future = service.call(request);
    (calls, Box::pin(future))
}

/// A request whose answer goes on for as long as the test has something for it.
fn streaming(log: &Log, method: &str) -> (mpsc::UnboundedSender<Frame<Bytes>>, Answered) {
    let (steps, body) = stepped();
    let (_, answer) = send(log, request(method, "/api/reports"), |_| Response::new(body));
    (steps, answer)
}

/// Drives a request until its service was called; it does not answer before.
async fn until_called(answer: &mut Answered, calls: &Calls) {
    std::future::poll_fn(|cx| {
        assert!(answer.as_mut().poll(cx).is_pending());
        if calls.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Lets time fly for whoever waits on a disk that is held: the deadline passes at once.
fn lose_patience() {
    tokio::time::pause();
}

/// A body that gives what the test sends.
struct Stepped(mpsc::UnboundedReceiver<Frame<Bytes>>);

fn stepped() -> (mpsc::UnboundedSender<Frame<Bytes>>, Body) {
    let (steps, body) = mpsc::unbounded_channel();
    (steps, Body::new(Stepped(body)))
}

impl http_body::Body for Stepped {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

fn trailers(status: &'static str) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    Frame::trailers(trailers)
}

fn small(text: &'static str) -> impl Answer {
    move |_| Response::new(Body::from(text))
}

async fn text(response: Response<Body>) -> String {
    use http_body_util::BodyExt as _;
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
