//! The routes, put together.

use axum::{Router, middleware};

use super::{
    answer, bundle, completeness, consents, cors, export, facets, fallback, health, holds, index,
    ingest, live, me, openapi, proof, records, retention, state::Api, stats, subject_export,
    subjects, trails, viewer, watch,
};

/// Returns the routes, with the viewer, and an answer for everything else.
pub(super) fn whole(api: Api) -> Router {
    let page = index::routes().merge(viewer::routes());
    finished(guarded(&api, page).fallback(fallback::nothing), api)
}

/// Returns the routes alone.
pub(super) fn routes(api: Api) -> Router {
    finished(guarded(&api, Router::new()), api)
}

/// Every route is behind the guard, which goes by the table in [`endpoint`](super::endpoint).
fn guarded(api: &Api, index: Router<Api>) -> Router<Api> {
    Router::new()
        .merge(index)
        .merge(records::routes())
        .merge(proof::routes())
        .merge(trails::routes())
        .merge(stats::routes())
        .merge(facets::routes())
        .merge(export::routes())
        .merge(bundle::routes())
        .merge(live::routes())
        .merge(ingest::routes())
        .merge(health::routes())
        .merge(me::routes())
        .merge(completeness::routes())
        .merge(subjects::routes())
        .merge(consents::routes())
        .merge(subject_export::routes())
        .merge(holds::routes())
        .merge(retention::routes())
        .merge(openapi::routes())
        // These two go on last: they cover the routes that are there.
        .method_not_allowed_fallback(fallback::wrong_method)
        .route_layer(middleware::from_fn_with_state(api.clone(), watch::guard))
}

fn finished(router: Router<Api>, api: Api) -> Router {
    router
        .layer(middleware::from_fn(answer::finish))
        .layer(middleware::from_fn_with_state(api.clone(), cors::tell))
        .with_state(api)
}
