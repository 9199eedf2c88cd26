//! The routes, put together.

use axum::{Router, response::Response};
use http::{HeaderValue, header};

use super::{access::Access, export, fallback, records, state::Api, trails};
use crate::pipeline::{Pipeline, Unrecorded};

impl Pipeline {
    /// Returns the API over the pipeline's store, to be mounted anywhere; `access` says who may do what.
    ///
    /// A store that cannot be read (a [`Sink`](crate::pipeline::Sink)) answers every question with 501.
    pub fn router(&self, access: impl Access) -> Router {
        let api = Api::new(self, access);
        let routes =
            Router::new().merge(records::routes()).merge(trails::routes()).merge(export::routes());
        fallback::closed(routes).layer(axum::middleware::map_response(unrecorded)).with_state(api)
    }
}

/// Marks an answer: the log watches itself, and is not recorded a second time. What it tells is personal, and
/// old as soon as the next record is there: no cache keeps it.
async fn unrecorded<B>(mut response: Response<B>) -> Response<B> {
    response.extensions_mut().insert(Unrecorded);
    let kept = response.headers_mut().entry(header::CACHE_CONTROL);
    kept.or_insert(HeaderValue::from_static("no-store"));
    response
}
