//! What pages of origins that were allowed by name may read (the CORS protocol of the Fetch standard).
//!
//! [`origin`](super::origin) decides what a page may do; a browser also has to be told that the page may see the
//! answer. That is said to the named origins alone, each by itself: never `*`, and nothing to anybody else.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, header};

use super::{answer::NotOurs, state::Api};

/// What pages may send beyond what every page may.
const SENT: &str =
    "authorization, content-type, idempotency-key, if-none-match, last-event-id, traceparent";
/// What pages may read of an answer beyond what every page may.
const READ: &str = "content-disposition, etag, retry-after";
/// Seconds for which a browser need not ask again. Firefox takes as many at most, others less.
const REMEMBERED: &str = "86400";

/// Tells the browser that a page which was allowed by name may read the answer.
pub(super) async fn tell(State(api): State<Api>, request: Request, next: Next) -> Response {
    let origins = api.origins();
    let origin = origins.named(request.headers()).cloned();
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let varies = origins.is_any();
    let mut response = next.run(request).await;
    if !varies || response.extensions().get::<NotOurs>().is_some() {
        return response;
    }
    let headers = response.headers_mut();
    // Also when this one gets nothing: another would.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        allow(headers, origin, asks_first);
    }
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, asks_first: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let mut say = |name, text| headers.insert(name, HeaderValue::from_static(text));
    say(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    if asks_first {
        say(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, DELETE");
        say(header::ACCESS_CONTROL_ALLOW_HEADERS, SENT);
        say(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    } else {
        say(header::ACCESS_CONTROL_EXPOSE_HEADERS, READ);
    }
}
