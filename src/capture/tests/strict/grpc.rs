//! The same in gRPC, which says it in trailers.

use super::*;

const CANCEL: &str = "/shop.v1.Orders/Cancel";

fn call(body: Body) -> Request<Body> {
    Request::post(CANCEL).header("content-type", "application/grpc+proto").body(body).unwrap()
}

fn grpc_answer(body: Body) -> Response<Body> {
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

#[tokio::test]
async fn a_call_that_is_not_attempted_is_unavailable() {
    let log = strict().await;
    log.disk.refuse(Refused::Opens);
    let (calls, answer) = send(&log, call(Body::from("abc")), |_| grpc_answer(Body::empty()));
    let response = answer.await.unwrap();
    let headers = response.headers();
    assert_eq!(
        (response.status(), &headers["grpc-status"]),
        (StatusCode::OK, &"14".parse().unwrap())
    );
    assert_eq!(headers[header::CONTENT_TYPE], "application/grpc+proto");
    assert!(
        headers["grpc-message"].to_str().unwrap().starts_with("the operation was not attempted")
    );
    assert!(http_body::Body::is_end_stream(response.body()), "trailers only");
    assert_eq!(calls.count(), 0);
    let record = log.only().await;
    assert_eq!((record.status, record.grpc_status), (Some(200), Some(14)));
    assert_eq!((record.outcome, &*record.outcome_reason), (Outcome::Failure, "not_attempted"));
}

#[tokio::test]
async fn trailers_wait_for_the_disk_and_say_internal_without_it() {
    for refused in [false, true] {
        let log = strict().await;
        let (steps, body) = stepped();
        let (_, answer) = send(&log, call(Body::from("abc")), |_| grpc_answer(body));
        let mut body = answer.await.unwrap().into_body();
        steps.send(data("abc")).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
        log.disk.hold();
        steps.send(trailers("0")).unwrap();
        drop(steps);
        assert!(poll_frame(&mut body).is_pending() && poll_frame(&mut body).is_pending());
        assert!(!http_body::Body::is_end_stream(&body));
        let code = if refused {
            lose_patience();
            "13"
        } else {
            log.disk.release();
            "0"
        };
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], code);
        assert_eq!(trailers.contains_key("grpc-message"), refused);
        assert!(body.frame().await.is_none());
        assert_eq!(log.frames(), ["open 1", "more 1", "end 1"]);
        assert_eq!(log.only().await.grpc_status, Some(0), "what the service said");
    }
}

#[tokio::test]
async fn a_call_that_answers_in_its_head_is_internal_without_its_outcome() {
    let log = strict().await;
    let disk = log.disk.clone();
    let (_, answer) = send(&log, call(Body::empty()), move |_| {
        disk.hold();
        lose_patience();
        let mut response = grpc_answer(Body::empty());
        response.headers_mut().insert("grpc-status", "5".parse().unwrap());
        response
    });
    let response = answer.await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"13".parse().unwrap())
    );
    assert_eq!(log.only().await.grpc_status, Some(5));
}
