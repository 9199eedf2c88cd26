//! `GET` and `PUT /retention`: how long records are kept, above rules file and code.

use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    routing::get,
};
use http::request::Parts;
use serde_json::{Value, json};

use super::{
    access::{Grant, Permission},
    parameters::Parameters,
    problem::Problem,
    state::Api,
    watch::Caller,
};
use crate::store::{PolicyChange, PolicySet, policy_set};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/retention", get(show).put(set))
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    parts: Parts,
) -> Result<Json<Value>, Problem> {
    caller.must(Permission::Configure)?;
    Parameters::of(&parts)?.read(&[], api.now())?;
    let store = api.store()?;
    let set = api.in_time(async { Ok(policy_set(store).await?) }).await?;
    shown(&api, caller.grant(), &set)
}

/// Whoever sees one tenant alone sets how long that one's records are kept.
async fn set(
    State(api): State<Api>,
    caller: Caller,
    wanted: Result<Json<Value>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    caller.must(Permission::Configure)?;
    let Json(wanted) = wanted.map_err(|refused| {
        Problem::body(
            &refused,
            "the body is the policy as an object, or `null` to take back what was set",
        )
    })?;
    let grant = caller.grant();
    let (by, tenant) = (grant.actor().clone(), grant.only_tenant().map(str::to_owned));
    let custodian = api.custodian()?;
    // In a task of its own: that the caller goes away does not leave him in doubt.
    let done =
        tokio::spawn(async move { custodian.set_policy(&wanted, tenant.as_deref(), &by).await });
    let set = done.await.map_err(|_panicked| Problem::internal())??;
    shown(&api, grant, &set)
}

fn shown(api: &Api, grant: &Grant, set: &PolicySet) -> Result<Json<Value>, Problem> {
    let (policy, source) = api.recorder().retention_under(set)?;
    let tenant = grant.only_tenant();
    let said = set.of(tenant);
    let change = said.map(change);
    Ok(Json(match tenant {
        Some(tenant) => {
            let is_own = said.is_some_and(|change| !change.policy.is_null());
            json!({
                "tenant": tenant,
                "source": if is_own { "api" } else { source.as_str() },
                "policy": policy.to_json_of(tenant),
                "changed": change,
            })
        }
        None => {
            let tenants = set.tenants().map(|(tenant, said)| {
                json!({ "tenant": tenant, "policy": policy.to_json_of(tenant), "changed": self::change(said) })
            });
            json!({
                "tenant": null,
                "source": source.as_str(),
                "policy": policy.to_json(),
                "changed": change,
                "tenants": tenants.collect::<Vec<_>>(),
            })
        }
    }))
}

/// The last change, with what was set by it.
fn change(change: &PolicyChange) -> Value {
    json!({ "id": change.id.to_string(), "at": change.at, "by": change.by, "set": change.policy })
}
