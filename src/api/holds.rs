//! `GET` and `POST /holds`, `DELETE /holds/{id}`: what must not go, whatever the retention says.

use axum::{
    Json, Router,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    routing::{delete, get},
};
use http::{StatusCode, request::Parts};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    access::Permission, parameters::Parameters, problem::Problem, state::Api, watch::Caller,
};
use crate::{
    pipeline::{CustodyError, HeldPseudonyms, HoldRequest, Placed, Released},
    query::Extra,
    record::RecordId,
    store::{Hold, Lifted, holds, shown_holds},
};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/holds", get(list).post(place))
        .route("/holds/restricted", get(restricted))
        .route("/holds/{id}", delete(lift))
}

/// What is handed in to place a hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(alias = "q")]
    query: String,
    reason: String,
    #[serde(default)]
    name: String,
}

/// Whoever sees one tenant alone sees the holds of that one alone.
async fn list(
    State(api): State<Api>,
    caller: Caller,
    parts: Parts,
) -> Result<Json<Value>, Problem> {
    caller.must(Permission::Configure)?;
    Parameters::of(&parts)?.read(&[], api.now())?;
    let store = api.store_for(caller.grant())?;
    let tenant = caller.grant().only_tenant();
    let looked = async {
        Ok(match tenant {
            Some(_) => shown_holds(&store).await?,
            None => holds(&store).await?,
        })
    };
    let holds = api.in_time(looked).await?;
    let own = |hold: &&Hold| tenant.is_none_or(|tenant| hold.tenant.as_deref() == Some(tenant));
    // The newest first, and those that stand before those that were lifted.
    let mut own: Vec<_> = holds.all().iter().rev().filter(own).collect();
    own.sort_by_key(|hold| !hold.stands());
    Ok(Json(json!({ "holds": own.into_iter().map(shown).collect::<Vec<_>>() })))
}

/// What holds keep of people who were erased, for whoever may see holds, as far as he sees the log.
async fn restricted(
    State(api): State<Api>,
    caller: Caller,
    parts: Parts,
) -> Result<Json<Value>, Problem> {
    caller.must(Permission::Configure)?;
    let scope = caller.scope()?;
    let parameters = Parameters::of(&parts)?;
    let params = parameters.read(&[Extra::Filters, Extra::Limit, Extra::Cursor], api.now())?;
    let after = parameters.raw("cursor").map_or(Ok(0), str::parse);
    let after =
        after.map_err(|_| Problem::parameter("cursor", "it is the `next` of a page before"))?;
    let filter = api.unveiled(params.filter.and(scope)).await?;
    let custodian = api.custodian()?;
    let page = async { Ok(custodian.restricted(&filter, after, params.limit).await?) };
    let page = api.in_time(page).await?;
    caller.showed(page.records.len());
    let next = page.next.map(|number| number.to_string());
    Ok(Json(json!({ "records": page.records, "next": next })))
}

async fn place(
    State(api): State<Api>,
    caller: Caller,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.must(Permission::Configure)?;
    let Json(Wanted { query, reason, name }) = wanted.map_err(|refused| {
        Problem::body(&refused, "the body is an object with `query`, `reason`, and perhaps `name`")
    })?;
    let grant = caller.grant();
    let tenant = grant.only_tenant().map(str::to_owned);
    let request =
        HoldRequest::new(query, reason).name(name).by(grant.actor().clone()).tenant(tenant);
    let custodian = api.custodian()?;
    // In a task of its own: that the caller goes away does not leave him in doubt.
    let placed = tokio::spawn(async move { custodian.place(&request).await });
    let Placed { hold, records, restricted, pseudonyms } =
        placed.await.map_err(|_panicked| Problem::internal())??;
    let mut shown = shown(&hold);
    shown["records"] = records
        .map(|total| json!({ "value": total.value, "relation": total.relation.as_str() }))
        .into();
    shown["restricted"] = restricted.into();
    shown["pseudonyms"] = pseudonyms.map(HeldPseudonyms::as_str).into();
    Ok((StatusCode::CREATED, Json(shown)))
}

async fn lift(
    State(api): State<Api>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Json<Value>, Problem> {
    caller.must(Permission::Configure)?;
    let Path(id) = id?;
    let parameters = Parameters::of(&parts)?;
    parameters.only(&["reason"])?;
    let reason = parameters.raw("reason").unwrap_or_default().to_owned();
    let id: RecordId = id.parse().map_err(|_| Problem::from(CustodyError::unknown()))?;
    let by = caller.grant().actor().clone();
    let tenant = caller.grant().only_tenant().map(str::to_owned);
    let custodian = api.custodian()?;
    let lifted =
        tokio::spawn(async move { custodian.lift(id, &by, &reason, tenant.as_deref()).await });
    let Released { hold, erased, archive, left } =
        lifted.await.map_err(|_panicked| Problem::internal())??;
    let mut shown = shown(&hold);
    shown["erased"] = erased.into();
    shown["archive"] = json!(archive);
    shown["left"] = json!(left);
    Ok(Json(shown))
}

fn shown(hold: &Hold) -> Value {
    let lifted = hold.lifted.as_ref().map(|Lifted { id, reason, by, at, .. }| {
        json!({ "id": id.to_string(), "reason": reason, "by": by, "at": at })
    });
    json!({
        "id": hold.id.to_string(),
        "name": hold.name,
        "query": hold.query,
        "tenant": hold.tenant,
        "reason": hold.reason,
        "by": hold.by,
        "at": hold.at,
        "lifted": lifted,
    })
}

impl From<CustodyError> for Problem {
    /// Says nothing of the database: its words go to the diagnostics.
    fn from(error: CustodyError) -> Self {
        if error.is_request() {
            let problem = Self::new(StatusCode::BAD_REQUEST, "invalid-request", error.to_string());
            return match error.column() {
                Some(column) => problem.at_column(column),
                None => problem,
            };
        }
        if error.is_unknown() {
            return Self::not_found(error.to_string());
        }
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a hold or a policy was not changed"
        );
        let detail = "the store does not answer; please look whether it was done, and ask again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail).retry_after(5)
    }
}
