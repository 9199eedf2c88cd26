//! The log watches itself: the guard before every route.
//!
//! It asks the access part before a handler runs, and records from outside of it what became of the request:
//! a success is a view, 401 and 403 are refusals. So a handler can neither show records without having
//! been let in, nor forget to have it recorded; it can only add to it what it alone knows, through [`Caller`].

mod hidden;
mod record;
mod session;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{Method, StatusCode, request::Parts};

use super::{
    access::{Grant, Permission},
    endpoint::{Endpoint, Guard},
    problem::Problem,
    state::Api,
};
use crate::query::Filter;
use record::{Asked, Ended};
pub(super) use session::Session;

/// Guards a route.
pub(super) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let endpoint = Endpoint::of(&parts);
    let door = Door::new(&api, &parts);
    if let Err(problem) = api.origins().check(&parts) {
        door.refused(problem.status());
        return problem.into_response();
    }
    // Asking what one may ask is no use of the log.
    let open = endpoint.guard == Guard::Open || parts.method == Method::OPTIONS;
    if !open
        && !brings_ticket(&parts, endpoint)
        && let Err(problem) = door.knock(&parts).await
    {
        return problem.into_response();
    }
    parts.extensions.insert(door.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    door.left(response.status());
    response
}

/// A ticket stands for the access that its owner had when he took it. Who comes with one is let in by the
/// handler that knows the tickets, or by nobody.
fn brings_ticket(parts: &Parts, endpoint: Endpoint) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    endpoint.name == "live" && query.split('&').any(|pair| pair.starts_with("ticket="))
}

/// What guard and handler share about one request: who came, and what was told about it.
#[derive(Clone)]
pub(super) struct Door(Arc<Visit>);

struct Visit {
    api: Api,
    endpoint: Endpoint,
    asked: Asked,
    grant: OnceLock<Grant>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    shown: Option<u64>,
    /// Whether the record is made, or will be by somebody else.
    settled: bool,
}

impl Door {
    pub(in crate::api) fn new(api: &Api, parts: &Parts) -> Self {
        Self(Arc::new(Visit {
            api: api.clone(),
            endpoint: Endpoint::of(parts),
            asked: Asked::of(parts, api),
            grant: OnceLock::new(),
            told: Mutex::default(),
        }))
    }

    /// Asks the access part, once for each request; a refusal is recorded.
    pub(super) async fn knock(&self, parts: &Parts) -> Result<Caller, Problem> {
        if let Some(grant) = self.0.grant.get() {
            return Ok(self.enter(grant.clone()));
        }
        match self.0.api.access().grant(parts).await {
            Ok(grant) => Ok(self.enter(grant)),
            Err(denial) => {
                let problem = Problem::from(denial);
                self.refused(problem.status());
                Err(problem)
            }
        }
    }

    /// Lets somebody in whom the access part let in before, as the owner of a ticket.
    pub(super) fn enter(&self, grant: Grant) -> Caller {
        let grant = self.0.grant.get_or_init(|| grant).clone();
        Caller { visit: Arc::clone(&self.0), grant }
    }

    /// Records that somebody was refused, unless that has been recorded.
    pub(super) fn refused(&self, status: StatusCode) {
        if self.0.settle() {
            self.0.record(Ended::Refused(status));
        }
    }

    /// Records what became of the request.
    fn left(&self, status: StatusCode) {
        let kept = !matches!(
            self.0.endpoint.guard,
            Guard::Open | Guard::HandedIn | Guard::Changed | Guard::Asked
        );
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.refused(status);
        } else if kept && shows(status) && self.0.grant.get().is_some() && self.0.settle() {
            self.0.record(Ended::Answered(status));
        }
    }
}

/// Tells whether an answer of this status shows something. `304` confirms what the caller has.
fn shows(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::NOT_MODIFIED || status.is_informational()
}

impl Visit {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the duty to record; true for the one who has it.
    fn settle(&self) -> bool {
        !std::mem::replace(&mut self.told().settled, true)
    }

    fn record(&self, ended: Ended) {
        let shown = self.told().shown;
        record::record(self, ended, self.asked.text.clone(), shown);
    }
}

/// Who is calling, what he may do, and what he is shown. The extractor of every handler that shows something.
///
/// ```text
/// async fn list(caller: Caller, …) -> Result<Json<List>, Problem> {
///     caller.must(Permission::Export)?;
///     let filter = filter.and(caller.scope()?);
///     …
///     caller.showed(page.records.len());
/// ```
#[derive(Clone)]
pub(super) struct Caller {
    visit: Arc<Visit>,
    grant: Grant,
}

impl Caller {
    /// Returns who he is and what he may do.
    pub(super) const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Returns path and query of what he asks, without secrets: as the record of it has them.
    pub(super) fn asked(&self) -> &str {
        &self.visit.asked.text
    }

    /// Refuses whoever lacks the permission.
    pub(super) fn must(&self, permission: Permission) -> Result<(), Problem> {
        if self.grant.may(permission) {
            return Ok(());
        }
        Err(Problem::forbidden(permission.as_str()))
    }

    /// Returns the filter that everything he sees passes.
    pub(super) fn scope(&self) -> Result<Filter, Problem> {
        self.visit.api.scope(&self.grant)
    }

    /// Says how many records he is shown; of several calls the sum.
    pub(super) fn showed(&self, records: usize) {
        let mut told = self.visit.told();
        told.shown = Some(told.shown.unwrap_or(0).saturating_add(records as u64));
    }

    /// Records that something he handed in was refused, as `status`.
    pub(super) fn refused(&self, status: StatusCode, what: impl Into<String>) {
        record::record(&self.visit, Ended::Refused(status), what.into(), None);
    }

    /// Begins what goes on behind the answer's head: an export, a live session. Its begin is recorded at
    /// once, its end when the session is dropped.
    pub(super) fn begin(&self) -> Session {
        Session::begin(Arc::clone(&self.visit))
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let door = Door::from_request_parts(parts, api).await?;
        door.knock(parts).await
    }
}

impl FromRequestParts<Api> for Door {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        // Behind the guard there always is one.
        let door = parts.extensions.get::<Self>().cloned();
        Ok(door.unwrap_or_else(|| Self::new(api, parts)))
    }
}
