//! The routes, put together.

use axum::{Router, middleware, response::Response};

use super::{records, state::Api, watch};
use crate::pipeline::Unrecorded;

/// Returns the routes and an answer for everything else.
pub(super) fn whole(api: Api) -> Router {
    guarded(&api).layer(middleware::map_response(unrecorded)).with_state(api)
}

/// Returns the routes alone.
pub(super) fn routes(api: Api) -> Router {
    guarded(&api).layer(middleware::map_response(unrecorded)).with_state(api)
}

fn guarded(api: &Api) -> Router<Api> {
    let guard = middleware::from_fn_with_state(api.clone(), watch::guard);
    Router::new().merge(records::routes()).route_layer(guard)
}

/// Marks an answer: the log watches itself, and is not recorded a second time.
async fn unrecorded<B>(mut response: Response<B>) -> Response<B> {
    response.extensions_mut().insert(Unrecorded);
    response
}
