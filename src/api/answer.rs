//! What every answer has in common, whoever gave it.

use std::{
    any::Any,
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body::Frame;

use super::problem::Problem;
use crate::pipeline::Unrecorded;

/// A refusal in plain text is read so far.
const LONGEST_TEXT: usize = 4 * 1024;

/// What is personal, and old as soon as the next record is there, no cache keeps; no page loads anything from
/// elsewhere, none is shown inside another, and none tells others where it was.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
const POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The body of what HEAD is answered where GET has a stream. Unlike an empty body, it does not say that there would be
/// nothing (RFC 9110, 8.6).
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsent;

impl http_body::Body for Unsent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

/// Says that an answer is not the log's: the application's unknown paths are its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotOurs;

/// Finishes an answer: a panic becomes one, a refusal of the framework a problem, and all are marked so that
/// the layer does not record them a second time.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let mut response = match unpanicked(next.run(request)).await {
        Ok(response) => response,
        Err(panic) => {
            tracing::error!(panic = words(&*panic), %method, "a handler of the log panicked");
            Problem::internal().into_response()
        }
    };
    if response.extensions().get::<NotOurs>().is_some() {
        return response;
    }
    if method == Method::OPTIONS && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        // The router adds `Allow`.
        response = StatusCode::NO_CONTENT.into_response();
    } else if is_unexplained(&response) {
        response = explained(response).await;
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response.extensions_mut().insert(Unrecorded);
    response
}

/// Tells whether a refusal is none of ours: those of the framework are plain text, or nothing.
fn is_unexplained(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let status = response.status();
    (status.is_client_error() || status.is_server_error())
        && kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

async fn explained(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, LONGEST_TEXT).await.unwrap_or_default();
    let detail = match str::from_utf8(&text) {
        // What went wrong inside is not told outside.
        Ok(text) if !text.trim().is_empty() && parts.status.is_client_error() => text.trim(),
        _ => parts.status.canonical_reason().unwrap_or("the request was refused"),
    };
    let kind = match parts.status.as_u16() {
        404 => "not-found",
        405 => "method-not-allowed",
        413 => "too-large",
        415 => "media-type",
        500.. => "internal",
        _ => "invalid-request",
    };
    let problem = Problem::new(parts.status, kind, detail).into_response();
    parts.headers.remove(header::CONTENT_LENGTH);
    let (explained, body) = problem.into_parts();
    parts.headers.extend(explained.headers);
    Response::from_parts(parts, body)
}

/// A panic in a handler is one bad answer, and no broken connection.
async fn unpanicked(
    handling: impl Future<Output = Response<Body>>,
) -> Result<Response, Box<dyn Any + Send>> {
    let mut handling = pin!(handling);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx))) {
        Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::get};
    use tower::ServiceExt as _;

    use super::*;
    use crate::api::problem;

    async fn ask(path: &str) -> Response {
        let app: Router = Router::new()
            .route("/panics", get(|| async { panic!("the password is hunter2") as &str }))
            .route(
                "/later",
                get(|| async {
                    tokio::task::yield_now().await;
                    panic!("{}", "later") as &str
                }),
            )
            .route("/fails", get(|| async { (StatusCode::BAD_GATEWAY, "db at 10.0.0.1 is away") }))
            .route("/refuses", get(|| async { (StatusCode::BAD_REQUEST, "no such thing") }))
            .layer(middleware::from_fn(finish));
        let request = http::Request::builder().uri(path).body(Body::empty()).unwrap();
        let Ok::<_, Infallible>(response) = app.oneshot(request).await;
        response
    }

    #[tokio::test]
    async fn a_panic_and_a_failure_are_answers_that_tell_nothing_of_the_inside() {
        for (path, status) in [("/panics", 500), ("/later", 500), ("/fails", 502)] {
            let response = ask(path).await;
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()[header::CONTENT_TYPE], problem::CONTENT_TYPE);
            assert!(response.extensions().get::<Unrecorded>().is_some());
            let body = to_bytes(response.into_body(), 4_096).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(!text.contains("hunter2") && !text.contains("10.0.0.1"), "{text}");
        }
    }

    #[tokio::test]
    async fn what_the_framework_refuses_becomes_a_problem_with_its_words() {
        let response = ask("/refuses").await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers().get_all(header::CONTENT_TYPE).iter().count(), 1);
        let body = to_bytes(response.into_body(), 4_096).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["detail"], "no such thing");
        assert_eq!(problem["type"], "urn:tower-activity:problem:invalid-request");
    }
}
