//! `GET /records` and `GET /records/{id}`.

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    routing::get,
};
use serde::Serialize;

use super::{problem::Problem, state::Api};
use crate::{
    query::{Filter, PageRequest},
    record::{Record, RecordId},
    store::Read as _,
};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/records", get(list)).route("/records/{id}", get(one))
}

/// The envelope of every list.
#[derive(Debug, Serialize)]
struct List {
    records: Vec<Record>,
}

async fn list(
    State(api): State<Api>,
    Query(parameters): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<Json<List>, Problem> {
    let grant = api.grant(&request.into_parts().0).await?;
    let mut filter = Filter::new();
    let mut limit = 50;
    for (name, value) in parameters {
        if name == "limit" {
            limit =
                value.parse().ok().filter(|limit| (1..=1_000).contains(limit)).ok_or_else(
                    || Problem::parameter("limit", "`limit` is a number from 1 to 1000"),
                )?;
        } else {
            filter = filter
                .any_of(&name, value.split(','))
                .map_err(|error| Problem::parameter(&name, error.to_string()))?;
        }
    }
    let filter = filter.and(api.scope(&grant)?);
    let page = api.store()?.records(&filter, &PageRequest::newest(limit)).await?;
    Ok(Json(List { records: page.records }))
}

async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Record>, Problem> {
    let grant = api.grant(&request.into_parts().0).await?;
    let scope = api.scope(&grant)?;
    // Whatever the caller may not see is not there.
    let missing = || Problem::not_found("there is no such record");
    let id: RecordId = id.parse().map_err(|_| missing())?;
    let record = api.store()?.record(id).await?;
    record.filter(|record| scope.matches(record)).map(Json).ok_or_else(missing)
}
