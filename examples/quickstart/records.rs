//! `GET /activity/records`: what was recorded, as JSON, newest first.

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use serde_json::json;
use tower_activity::{
    Record,
    query::{Filter, PageRequest},
    store::Read,
};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1000;

/// Returns the route over `store`.
pub(crate) fn router<S: Read + Clone>(store: S) -> Router {
    Router::new().route("/activity/records", get(records::<S>)).with_state(store)
}

async fn records<S: Read + Clone>(
    State(store): State<S>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let (filter, limit) = question(parameters)?;
    let page = store.records(&filter, &PageRequest::newest(limit)).await.map_err(|error| {
        eprintln!("{error}");
        Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            parameter: None,
            detail: "the store does not answer".to_owned(),
        }
    })?;
    Ok(Json(Answer { records: page.records }).into_response())
}

/// Not a `Value`, which would sort the fields of a record by name.
#[derive(Serialize)]
struct Answer {
    records: Vec<Record>,
}

/// Reads the parameters of the address; each name but `limit` is that of a field, a comma means any of.
fn question(parameters: Vec<(String, String)>) -> Result<(Filter, usize), Refusal> {
    let (mut filter, mut limit) = (Filter::new(), DEFAULT_LIMIT);
    for (name, value) in parameters {
        if name == "limit" {
            limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(
                || {
                    Refusal::bad(
                        &name,
                        format!(
                            "`limit` is a number from 1 to {MAX_LIMIT}, not `{}`",
                            value.escape_debug()
                        ),
                    )
                },
            )?;
        } else {
            filter = filter
                .any_of(&name, value.split(','))
                .map_err(|error| Refusal::bad(&name, error.to_string()))?;
        }
    }
    Ok((filter, limit))
}

/// An answer that says what was wrong with the question.
struct Refusal {
    status: StatusCode,
    parameter: Option<String>,
    detail: String,
}

impl Refusal {
    fn bad(parameter: &str, detail: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, parameter: Some(parameter.to_owned()), detail }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "parameter": self.parameter,
        });
        let problem = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, problem, body.to_string()).into_response()
    }
}
