//! `GET` and `POST /subjects/{id}/erasure`: what the log holds of a person, and taking it out.

use axum::{
    Json, Router,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    routing::get,
};
use http::{StatusCode, request::Parts};
use serde::Deserialize;

use super::{
    access::Permission,
    parameters::Parameters,
    problem::Problem,
    state::Api,
    subject_export::{ALSO, PERSON_TYPE},
    watch::Caller,
};
use crate::{
    pipeline::{Certificate, EraseError, Eraser, ErasurePlan, ErasureRequest},
    record::{Group, Groups},
};

/// A group to be erased of every record about the person; may be given several times.
pub(super) const GROUP: &str = "group";

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/subjects/{id}/erasure", get(plan).post(erase))
}

/// What is handed in to erase somebody.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    basis: String,
    #[serde(default)]
    also: Vec<String>,
    #[serde(default)]
    person_types: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

/// Says what erasing would reach, and changes nothing.
async fn plan(
    State(api): State<Api>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Json<ErasurePlan>, Problem> {
    caller.must(Permission::Delete)?;
    let Path(id) = id?;
    let parameters = Parameters::of(&parts)?;
    parameters.only(&[ALSO, PERSON_TYPE, GROUP])?;
    let named = |name| parameters.all(name).map(str::to_owned).collect::<Vec<_>>();
    let mut wanted = request(&caller, &id, "none, for nothing is erased");
    for name in named(ALSO) {
        wanted = wanted.also(name);
    }
    for kind in named(PERSON_TYPE) {
        wanted = wanted.person_type(kind);
    }
    let wanted = wanted.groups(groups(&named(GROUP))?);
    let (store, keys) = (api.store()?, api.keys());
    let archive = api.recorder().archive();
    let plan = async { Ok(Eraser::plan_of(store, keys, archive, &wanted).await?) };
    let plan = api.in_time(plan).await?;
    Ok(Json(plan))
}

async fn erase(
    State(api): State<Api>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Json<Certificate>, Problem> {
    caller.must(Permission::Delete)?;
    let Path(id) = id?;
    let Json(wanted) = wanted.map_err(|refused| {
        Problem::body(
            &refused,
            "the body is an object with `basis`, and perhaps `also`, `person_types` and `groups`",
        )
    })?;
    let mut request = request(&caller, &id, &wanted.basis).groups(groups(&wanted.groups)?);
    for name in wanted.also {
        request = request.also(name);
    }
    for kind in wanted.person_types {
        request = request.person_type(kind);
    }
    api.store()?;
    let eraser = api.eraser().ok_or_else(Problem::no_keys)?.clone();
    // In a task of its own: that the caller goes away does not leave it half done.
    let done = tokio::spawn(async move { eraser.erase(&request, |_step| {}).await });
    Ok(Json(done.await.map_err(|_panicked| Problem::internal())??))
}

/// Whoever sees one tenant alone erases from that one alone.
fn request(caller: &Caller, id: &str, basis: &str) -> ErasureRequest {
    let grant = caller.grant();
    let tenant = grant.only_tenant().map(str::to_owned);
    ErasureRequest::new(id, basis).by(grant.actor().clone()).tenant(tenant)
}

fn groups(names: &[String]) -> Result<Groups, Problem> {
    let group = |name: &String| {
        let found = Group::ERASABLE.into_iter().find(|group| group.as_str() == name);
        found.ok_or_else(|| {
            Problem::invalid_request(
                "the groups of a person are `identity`, `network`, `target` and `content`",
            )
        })
    };
    names.iter().map(group).collect()
}

impl From<EraseError> for Problem {
    /// Says nothing of the database: its words go to the diagnostics.
    fn from(error: EraseError) -> Self {
        if error.is_request() {
            return Self::invalid_request(error.to_string());
        }
        tracing::error!(error = &error as &dyn std::error::Error, "a person was not erased");
        if error.is_archive() {
            let detail = "the archive does not answer, so the erasure is not finished; please ask again: what is \
                          erased already stays erased";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Self::new(status, "archive-unavailable", detail).retry_after(5);
        }
        let detail =
            "the store does not answer; please ask again: what is erased already stays erased";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail).retry_after(5)
    }
}
