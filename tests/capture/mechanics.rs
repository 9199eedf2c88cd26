//! The contract of a tower service.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_activity::{
    capture::{
        Activity, ActivityLayer, ActivityService, OwnBody, RequestBody, ResponseBody,
        ResponseFuture, SameBody,
    },
    record::Outcome,
};

use crate::support::{Log, request};

/// Counts readiness on the very instance that is called; a clone starts unready.
struct Reserved {
    ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Reserved {
    fn clone(&self) -> Self {
        Self { ready: false, calls: Arc::clone(&self.calls) }
    }
}

impl Service<Request<Body>> for Reserved {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(self.ready, "called without having been polled ready");
        self.ready = false;
        self.calls.fetch_add(1, Ordering::Relaxed);
        ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn the_instance_that_was_polled_ready_is_called_and_inside_call() {
    let log = Log::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let mut service = log.layer().layer(Reserved { ready: false, calls: Arc::clone(&calls) });
    for (count, method) in ["POST", "GET", "PUT"].into_iter().enumerate() {
        service.ready().await.unwrap();
        let future = service.call(request(method, "/api/orders"));
        assert_eq!(calls.load(Ordering::Relaxed), count + 1, "called before the first poll");
        future.await.unwrap();
    }
}

#[tokio::test]
async fn a_service_is_called_where_it_is_and_not_cloned() {
    struct Sole(#[allow(dead_code)] Cell<u8>);
    impl Clone for Sole {
        fn clone(&self) -> Self {
            panic!("cloned, though nothing had to be waited for")
        }
    }
    impl Service<Request<Body>> for Sole {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            ready(Ok(Response::new(Body::empty())))
        }
    }
    let log = Log::new().await;
    let mut service = log.layer().layer(Sole(Cell::new(0)));
    service.call(request("POST", "/a")).await.unwrap();
    assert_eq!(log.only().await.outcome, Outcome::Success);
}

#[test]
fn services_futures_and_bodies_are_what_servers_ask_for() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn send<T: Send + 'static>() {}
    shared::<ActivityLayer>();
    shared::<ActivityLayer<OwnBody>>();
    shared::<ActivityService<Reserved>>();
    shared::<ActivityService<Reserved, OwnBody>>();
    shared::<Activity>();
    send::<ResponseFuture<Reserved, Request<Body>, SameBody>>();
    send::<RequestBody<Body>>();
    send::<ResponseBody<Body>>();
    // The configuration is one pointer: a clone copies no vectors.
    assert!(size_of::<ActivityService<()>>() <= size_of::<usize>());
}

/// A body that is neither `Sync` nor `Unpin`.
struct Odd {
    left: Cell<u8>,
    pinned: PhantomData<std::marker::PhantomPinned>,
}

impl http_body::Body for Odd {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        Poll::Ready((left > 0).then(|| Ok(Frame::data(Bytes::from_static(b"xy")))))
    }
}

#[tokio::test]
async fn any_body_will_do_and_need_not_be_sync() {
    let log = Log::new().await;
    let service = service_fn(async |request: Request<RequestBody<Odd>>| {
        let read = request.into_body().collect().await.unwrap().to_bytes();
        let odd = Odd { left: Cell::new(read.len() as u8), pinned: PhantomData };
        Ok::<_, Infallible>(Response::new(odd))
    });
    let odd = Odd { left: Cell::new(2), pinned: PhantomData };
    let request = Request::builder().method("POST").uri("/api/orders").body(odd).unwrap();
    let response = log.layer().any_body().layer(service).oneshot(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 8);
    let record = log.only().await;
    assert_eq!((record.request_bytes, record.response_bytes), (Some(4), Some(8)));
    assert_eq!(record.outcome, Outcome::Success);
}

#[tokio::test]
async fn plain_bodies_pass_through_any_body_where_nothing_is_recorded() {
    let log = Log::new().await;
    let service = service_fn(async |_: Request<RequestBody<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
    });
    let request = Request::get("/health").body(Empty::new()).unwrap();
    let response = log.layer().any_body().layer(service).oneshot(request).await.unwrap();
    let body = response.into_body();
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(5), "the size hint is forwarded");
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
    assert!(log.records().await.is_empty());
}

#[tokio::test]
async fn the_handle_is_in_the_extensions_of_any_request() {
    let log = Log::new().await;
    let service = service_fn(async |request: Request<RequestBody<Empty<Bytes>>>| {
        request.extensions().get::<Activity>().unwrap().actor("ana");
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let request = Request::post("/api/orders").body(Empty::new()).unwrap();
    log.layer().any_body().layer(service).oneshot(request).await.unwrap();
    assert_eq!(log.only().await.actor_id, "ana");
}
