//! `GET /me`: who is asking, and what he may do.

use axum::{Json, Router, extract::State, routing::get};
use http::request::Parts;
use serde_json::{Value, json};

use super::{
    access::Permission, parameters::Parameters, problem::Problem, state::Api, watch::Caller,
};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/me", get(me))
}

/// Nothing of the log: a page learns what it can offer, before it is refused.
async fn me(State(api): State<Api>, caller: Caller, parts: Parts) -> Result<Json<Value>, Problem> {
    Parameters::of(&parts)?.read(&[], api.now())?;
    let grant = caller.grant();
    let actor = grant.actor();
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let permissions: Vec<_> = grant.permissions().iter().map(Permission::as_str).collect();
    Ok(Json(json!({
        "actor": { "type": actor.kind().as_str(), "id": known(actor.id()), "name": known(actor.name()) },
        "permissions": permissions,
        "tenant": grant.only_tenant(),
    })))
}
