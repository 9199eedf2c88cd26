//! `GET /records` and `GET /records/{id}`.

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
use crate::{
    query::Filter,
    record::{Record, RecordId},
    store::Read as _,
};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/records", get(list)).route("/records/{id}", get(one))
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    parts: Parts,
) -> Result<Json<Envelope>, Problem> {
    list::answer(&api, &caller, &Parameters::of(&parts)?, Filter::new()).await
}

async fn one(
    State(api): State<Api>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Json<Record>, Problem> {
    let record = visible(&api, &caller, id, &parts).await?;
    caller.showed(1);
    Ok(Json(record))
}

/// Returns the record of that name. Whatever the caller may not see is not there.
pub(super) async fn visible(
    api: &Api,
    caller: &Caller,
    id: Result<Path<String>, PathRejection>,
    parts: &Parts,
) -> Result<Record, Problem> {
    let scope = caller.scope()?;
    Parameters::of(parts)?.read(&[], api.now())?;
    let missing = || Problem::not_found("there is no such record");
    let Path(id) = id?;
    let id: RecordId = id.parse().map_err(|_| missing())?;
    let store = &api.store_for(caller.grant())?;
    let record = api.in_time(async { Ok(store.record(id).await?) }).await?;
    record.filter(|record| scope.matches(record)).ok_or_else(missing)
}
