//! The routes, put together.

use axum::{Router, response::Response};

use super::{access::Access, ingest, records, state::Api};
use crate::pipeline::{Pipeline, Unrecorded};

impl Pipeline {
    /// Returns the API over the pipeline's store, to be mounted anywhere; `access` says who may do what.
    ///
    /// A store that cannot be read (a [`Sink`](crate::pipeline::Sink)) answers every question with 501.
    pub fn router(&self, access: impl Access) -> Router {
        let api = Api::new(self, access);
        Router::new()
            .merge(records::routes())
            .merge(ingest::routes())
            .layer(axum::middleware::map_response(unrecorded))
            .with_state(api)
    }
}

/// Marks an answer: the log watches itself, and is not recorded a second time.
async fn unrecorded<B>(mut response: Response<B>) -> Response<B> {
    response.extensions_mut().insert(Unrecorded);
    response
}
