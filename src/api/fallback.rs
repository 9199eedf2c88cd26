//! What is answered where there is nothing.

use axum::Router;
use http::{Method, StatusCode};

use super::{problem::Problem, state::Api};

/// Answers whatever no route of `router` takes. Goes on last: it covers the routes that are there.
pub(super) fn closed(router: Router<Api>) -> Router<Api> {
    router.method_not_allowed_fallback(wrong_method).fallback(nothing)
}

async fn nothing() -> Problem {
    Problem::not_found("there is nothing at this address; `GET openapi.json` lists what there is")
}

/// The router adds `Allow`.
async fn wrong_method(method: Method) -> Problem {
    let detail = format!("this address does not take {method}; `Allow` says what it takes");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}
