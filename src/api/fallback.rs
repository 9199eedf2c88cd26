//! What is answered where there is nothing.

use axum::{
    extract::{NestedPath, Request},
    response::{IntoResponse as _, Response},
};
use http::{Method, StatusCode};

use super::{answer::NotOurs, index, problem::Problem};

/// Answers what no route takes.
pub(super) async fn nothing(request: Request) -> Response {
    let path = request.uri().path();
    // `/activity/` is the same place as `/activity`, whatever the router around takes it for.
    if matches!(path, "" | "/") && matches!(*request.method(), Method::GET | Method::HEAD) {
        return index::index(request).await;
    }
    let detail = "there is nothing at this address; `GET openapi.json` lists what there is";
    let nested = request.extensions().get::<NestedPath>().is_some();
    let mut response = Problem::not_found(detail).into_response();
    if !nested {
        // Beside the application's own routes, an unknown path is the application's.
        response.extensions_mut().insert(NotOurs);
    }
    response
}

/// Answers a method that the address does not take. The router adds `Allow`.
pub(super) async fn wrong_method(method: Method) -> Problem {
    let detail = format!("this address does not take {method}; `Allow` says what it takes");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}
