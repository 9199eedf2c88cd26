//! What the layer owes to the services around it: readiness, places, ids and bodies.

use tower::ServiceExt as _;

use super::*;
use crate::capture::{OwnBody, RequestBody, ResponseBody};

/// Counts readiness on the very instance that is called; a clone starts unready.
struct Reserved {
    ready: bool,
    calls: Calls,
}

impl Clone for Reserved {
    fn clone(&self) -> Self {
        Self { ready: false, calls: self.calls.clone() }
    }
}

impl Service<Request<Body>> for Reserved {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(self.ready, "called without having been polled ready");
        self.ready = false;
        self.calls.0.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn the_instance_that_was_polled_ready_is_called_and_another_takes_its_place() {
    let log = strict().await;
    let calls = Calls::default();
    let mut service = log.layer().layer(Reserved { ready: false, calls: calls.clone() });
    let mut answers = Vec::new();
    for _ in 0..3 {
        service.ready().await.unwrap();
        answers.push(service.call(request("POST", "/api/orders")));
        assert!(!service.inner().ready, "whoever calls next polls it ready first");
    }
    assert_eq!(calls.count(), 0);
    for answer in answers {
        answer.await.unwrap();
    }
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn a_request_that_leaves_gives_its_place_back() {
    let log = strict().await;
    log.disk.hold();
    let inner =
        service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let limited = tower::limit::ConcurrencyLimit::new(inner, 1);
    let mut service = log.layer().layer(limited);
    service.ready().await.unwrap();
    let mut answer = Box::pin(service.call(request("POST", "/api/orders")));
    assert!(poll(&mut answer).is_pending());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_pending(), "the one place is taken");
    drop(answer);
    assert!(service.poll_ready(&mut cx).is_ready());
}

#[tokio::test]
async fn our_answers_carry_the_id_of_the_request() {
    for after in [false, true] {
        let log = strict().await;
        let disk = log.disk.clone();
        if !after {
            log.disk.refuse(Refused::Opens);
        }
        let answer = move |_: Request<Body>| {
            disk.hold();
            lose_patience();
            Response::new(Body::empty())
        };
        let mut service =
            log.layer().make_request_id(true).layer(Calls::default().answering(answer));
        let response = service.call(request("POST", "/api/orders")).await.unwrap();
        assert!(response.status().is_server_error());
        assert_eq!(response.headers()["x-request-id"], *log.only().await.request_id);
    }
}

/// A body whose data nobody knows how to make.
struct Foreign;

impl http_body::Body for Foreign {
    type Data = std::io::Cursor<[u8; 3]>;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        Poll::Ready(None)
    }
}

#[tokio::test]
async fn any_body_is_answered_and_known_ones_with_a_problem() {
    async fn refused<B>(answer: fn() -> B) -> Response<ResponseBody<B>>
    where
        B: http_body::Body<Data: 'static, Error = Infallible>,
    {
        let log = strict().await;
        log.disk.refuse(Refused::Opens);
        let service = service_fn(move |_: Request<RequestBody<Body>>| {
            std::future::ready(Ok::<_, Infallible>(Response::new(answer())))
        });
        let layer: ActivityLayer<OwnBody> = log.layer().any_body();
        layer.layer(service).call(request("POST", "/api/orders")).await.unwrap()
    }
    let plain = refused(http_body_util::Full::<Bytes>::default).await;
    let size = http_body::Body::size_hint(plain.body()).exact().unwrap();
    let problem = plain.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(problem.len() as u64, size);
    assert!(serde_json::from_slice::<serde_json::Value>(&problem).is_ok());
    let foreign = refused(|| Foreign).await;
    assert_eq!(foreign.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!foreign.headers().contains_key(header::CONTENT_TYPE));
    assert!(http_body::Body::is_end_stream(foreign.body()));
}
