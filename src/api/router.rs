//! The routes, put together.

use axum::{Router, middleware, response::Response};
use http::{HeaderValue, header};

use super::{export, fallback, ingest, live, records, state::Api, trails, watch};
use crate::pipeline::Unrecorded;

/// Returns the routes and an answer for everything else.
pub(super) fn whole(api: Api) -> Router {
    finished(fallback::closed(guarded(&api)), api)
}

/// Returns the routes alone.
pub(super) fn routes(api: Api) -> Router {
    finished(guarded(&api), api)
}

/// Every endpoint, behind the guard that asks who is calling.
fn guarded(api: &Api) -> Router<Api> {
    let guard = middleware::from_fn_with_state(api.clone(), watch::guard);
    Router::new()
        .merge(records::routes())
        .merge(trails::routes())
        .merge(export::routes())
        .merge(live::routes())
        .merge(ingest::routes())
        .route_layer(guard)
}

fn finished(routes: Router<Api>, api: Api) -> Router {
    routes.layer(middleware::map_response(unrecorded)).with_state(api)
}

/// Marks an answer: the log watches itself, and is not recorded a second time. What it tells is personal, and
/// old as soon as the next record is there: no cache keeps it.
async fn unrecorded<B>(mut response: Response<B>) -> Response<B> {
    response.extensions_mut().insert(Unrecorded);
    let kept = response.headers_mut().entry(header::CACHE_CONTROL);
    kept.or_insert(HeaderValue::from_static("no-store"));
    response
}
