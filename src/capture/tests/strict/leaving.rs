//! Clients that leave, handlers that panic, and a pipeline that ends: the intent ends once in each.

use super::*;

/// A request whose service was called, and never answers.
async fn working(log: &Log) -> Answered {
    let calls = Calls::default();
    let count = calls.clone();
    let mut service = log.layer().layer(service_fn(move |_: Request<Body>| {
        count.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    }));
    let mut answer: Answered = Box::pin(service.call(request("POST", "/api/orders")));
    until_called(&mut answer, &calls).await;
    answer
}

#[tokio::test]
async fn a_client_that_leaves_while_the_intent_waits_is_one_aborted_record() {
    let log = strict().await;
    log.disk.hold();
    let (calls, mut answer) = send(&log, request("POST", "/api/orders"), small("done"));
    assert!(poll(&mut answer).is_pending());
    drop(answer);
    assert_eq!(calls.count(), 0);
    assert_eq!(log.frames(), ["open 1", "cancel 1", "record"], "nothing waits for an end");
    assert_eq!(how(&log.only().await), (None, Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn a_request_that_was_never_polled_is_one_aborted_record() {
    let log = strict().await;
    let (calls, answer) = send(&log, request("POST", "/api/orders"), small("done"));
    drop(answer);
    assert_eq!((calls.count(), log.frames()), (0, vec!["record".to_owned()]));
    assert_eq!(log.only().await.outcome, Outcome::Aborted);
}

#[tokio::test]
async fn a_client_that_leaves_while_the_service_works_ends_the_intent() {
    let log = strict().await;
    drop(working(&log).await);
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    assert_eq!(how(&log.only().await), (None, Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn a_client_that_leaves_while_the_outcome_waits_is_one_record_of_what_was_done() {
    let log = strict().await;
    drop(done(&log).await);
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    assert_eq!(how(&log.only().await), (Some(200), Outcome::Success, ""));
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_ends_the_intent() {
    let log = strict().await;
    let (steps, answer) = streaming(&log, "POST");
    drop(answer.await.unwrap());
    drop(steps);
    assert_eq!(log.frames(), ["open 1", "more 1", "end 1"]);
    assert_eq!(how(&log.only().await), (Some(200), Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn a_panic_ends_the_intent_without_waiting() {
    // In the call itself, in its future, in its body.
    type Panics = fn(
        Request<Body>,
    )
        -> Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;
    struct Broken;
    impl http_body::Body for Broken {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("in the body")
        }
    }
    let places: [(Panics, Option<u16>); 3] = [
        (|_| panic!("in the call"), None),
        (|_| Box::pin(async { panic!("in the future") }), None),
        (|_| Box::pin(async { Ok(Response::new(Body::new(Broken))) }), Some(200)),
    ];
    for (place, status) in places {
        let log = strict().await;
        let disk = log.disk.clone();
        let service = service_fn(move |request| {
            disk.hold();
            place(request)
        });
        let mut service = log.layer().layer(service);
        let unwound = tokio::spawn(async move {
            let response = service.call(request("POST", "/api/orders")).await.unwrap();
            drop(response.into_body().collect().await);
        });
        assert!(unwound.await.unwrap_err().is_panic());
        // With the status, where there was one.
        let frames: &[&str] =
            if status.is_some() { &["open 1", "more 1", "end 1"] } else { &["open 1", "end 1"] };
        assert_eq!(log.frames(), frames);
        assert_eq!(how(&log.only().await), (status, Outcome::Failure, "panic"));
    }
}

#[tokio::test]
async fn a_panic_in_the_call_that_is_caught_outside_is_still_a_panic() {
    use futures_util::FutureExt as _;
    let log = strict().await;
    let mut service = log.layer().layer(service_fn(
        |_: Request<Body>| -> std::future::Ready<Result<Response<Body>, Infallible>> {
            panic!("in the call")
        },
    ));
    let answer = service.call(request("POST", "/api/orders"));
    std::panic::AssertUnwindSafe(answer).catch_unwind().await.unwrap_err();
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    assert_eq!(how(&log.only().await), (None, Outcome::Failure, "panic"));
}

/// With a spinning writer the runtime would never be idle, and a clock that is paused would stand still.
#[test]
fn a_pipeline_that_ends_beneath_a_request_waits_without_spinning() {
    let (passed, has_passed) = std::sync::mpsc::channel();
    // A thread of its own: whoever spins cannot be stopped, and this is to fail, not to hang.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let log = strict().await;
            let _answer = working(&log).await;
            drop(log);
            tokio::time::pause();
            tokio::time::sleep(Duration::from_secs(60)).await;
            passed.send(()).unwrap();
        });
    });
    has_passed.recv_timeout(Duration::from_secs(60)).expect("the clock stands still");
}
