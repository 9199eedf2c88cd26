//! `GET /entities/{type}/{id}`, `GET /actors/{id}` and `GET /sessions/{id}`: what happened to one thing, what
//! one party did, and what was done in one session. Lists like any other, with every filter.

use axum::{
    Json, Router,
    extract::{Path, State, rejection::PathRejection},
    routing::get,
};
use http::request::Parts;

use super::{
    list::{self, Envelope},
    parameters::Parameters,
    problem::Problem,
    state::Api,
    watch::Caller,
};
use crate::query::Filter;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/entities/{type}/{id}", get(entity))
        .route("/actors/{id}", get(actor))
        .route("/sessions/{id}", get(session))
}

async fn entity(
    State(api): State<Api>,
    caller: Caller,
    path: Result<Path<(String, String)>, PathRejection>,
    parts: Parts,
) -> Result<Json<Envelope>, Problem> {
    let path = path.map(|Path((kind, id))| [("entity_type", kind), ("entity_id", id)]);
    trail(&api, &caller, &parts, path).await
}

async fn actor(
    State(api): State<Api>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Json<Envelope>, Problem> {
    trail(&api, &caller, &parts, path.map(|Path(id)| [("actor_id", id)])).await
}

async fn session(
    State(api): State<Api>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Json<Envelope>, Problem> {
    trail(&api, &caller, &parts, path.map(|Path(id)| [("session_id", id)])).await
}

async fn trail<const N: usize>(
    api: &Api,
    caller: &Caller,
    parts: &Parts,
    of: Result<[(&'static str, String); N], PathRejection>,
) -> Result<Json<Envelope>, Problem> {
    let mut filter = Filter::new();
    for (field, value) in of? {
        filter = filter.any_of(field, [value]).map_err(|_| Problem::internal())?;
    }
    list::answer(api, caller, &Parameters::of(parts)?, filter).await
}
