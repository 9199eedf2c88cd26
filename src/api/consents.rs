//! `GET` and `POST /consents`: what somebody agreed to, at a time, and what he says now.
//!
//! A consent is a record of category `consent`, and nothing beside the log says what stands: the newest record about a
//! purpose does. So what stood at any earlier time is answered the same way.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    response::IntoResponse,
    routing::get,
};
use http::{StatusCode, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{sync::mpsc, time::timeout};

use super::{
    access::Permission, parameters::Parameters, problem::Problem, state::Api, watch::Caller,
};
use crate::{
    pipeline::{Fate, Turned},
    query::{Expr, Filter, PageRequest, Test},
    record::{Actor, Category, Consent, Field, Record, RecordId},
    store::{AnyStore, Read as _},
    time::Timestamp,
};

/// Whose consents are meant.
pub(super) const SUBJECT: &str = "subject_id";
/// The only purpose that is meant.
pub(super) const PURPOSE: &str = "purpose";
/// As of when.
pub(super) const AT: &str = "at";

/// So many records of a person are read at once, and so many at most are told one by one.
const PAGE: usize = 500;
const MOST_TOLD: usize = 1_000;
/// Nobody is asked about more purposes than that.
const MOST_PURPOSES: usize = 1_000;
/// Longer ones are none.
const LONGEST: usize = 512;
/// A record that is not stored by then is not acknowledged.
const STORED_WITHIN: Duration = Duration::from_secs(10);

const GIVEN: &str = "consent_given";
const WITHDRAWN: &str = "consent_withdrawn";

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/consents", get(list).post(record))
}

#[derive(Debug, Serialize)]
struct Consents {
    subject_id: String,
    at: Timestamp,
    /// What stood then: one for each purpose of each tenant, by name.
    consents: Vec<Said>,
    /// What led to it, the newest first.
    history: Vec<Said>,
    /// Whether that is all there is.
    complete: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Said {
    purpose: String,
    state: &'static str,
    at: Timestamp,
    version: Option<String>,
    basis: Option<String>,
    channel: Option<String>,
    tenant_id: Option<String>,
    by: Option<String>,
    record: RecordId,
}

impl Said {
    /// Reads what a record says; `None` of one of category `consent` that says neither.
    fn of(record: &Record) -> Option<Self> {
        let state = match record.action.as_str() {
            GIVEN => "given",
            WITHDRAWN => "withdrawn",
            _ => return None,
        };
        let facts: Value = serde_json::from_str(record.metadata.as_str()).unwrap_or_default();
        let fact = |name: &str| facts[name].as_str().map(str::to_owned);
        let text = |text: &crate::record::Text| text.as_option().map(str::to_owned);
        Some(Self {
            purpose: text(&record.entity_id).or_else(|| fact("purpose"))?,
            state,
            at: record.occurred_at,
            version: fact("version"),
            basis: fact("basis"),
            channel: text(&record.channel),
            tenant_id: text(&record.tenant_id),
            by: text(&record.actor_id),
            record: record.id,
        })
    }

    fn is_of(&self, other: &Self) -> bool {
        self.purpose == other.purpose && self.tenant_id == other.tenant_id
    }
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    parts: Parts,
) -> Result<Json<Consents>, Problem> {
    if !caller.grant().may_read(Category::Consent) {
        return Err(Problem::forbidden(Permission::ViewActions.as_str()));
    }
    let parameters = Parameters::of(&parts)?;
    parameters.only(&[SUBJECT, PURPOSE, AT])?;
    for name in [SUBJECT, PURPOSE, AT] {
        if parameters.all(name).count() > 1 {
            return Err(Problem::parameter(name, format!("`{name}` is given twice")));
        }
        if parameters.all(name).any(|value| !is_sound(value)) {
            let detail = format!("`{name}` is empty, or longer than 512 bytes");
            return Err(Problem::parameter(name, detail));
        }
    }
    let subject = parameters
        .raw(SUBJECT)
        .ok_or_else(|| Problem::parameter(SUBJECT, "say whose consents are meant: `subject_id`"))?;
    let now = api.now();
    let at = match parameters.raw(AT) {
        None => now,
        Some(at) => at
            .parse()
            .map_err(|_| Problem::parameter(AT, "`at` is a moment, as in 2026-11-20T12:00:00Z"))?,
    };
    let purpose = parameters.raw(PURPOSE);
    // Until then, and at that very moment.
    let until = Timestamp::from_micros(at.as_micros().saturating_add(1));
    let any_of = |filter: Filter, field: &str, value: &str| {
        filter.any_of(field, [value]).map_err(|_| Problem::internal())
    };
    let mut filter = any_of(Filter::new(), "category", Category::Consent.as_str())?;
    let field = Field::named("subject_ids").ok_or_else(Problem::internal)?;
    let is_his = Expr::Test(Test::Contains(field, vec![subject.to_owned()]));
    filter = filter.and(is_his).to(until).and(caller.scope()?);
    if let Some(purpose) = purpose {
        filter = any_of(any_of(filter, "entity_type", "consent")?, "entity_id", purpose)?;
    }
    let store = api.store_for(caller.grant())?;
    let mut found = api.in_time(async { Ok(read(&store, &filter).await?) }).await?;
    caller.showed(found.shown);
    found.stand.sort_by(|a, b| (&a.purpose, &a.tenant_id).cmp(&(&b.purpose, &b.tenant_id)));
    Ok(Json(Consents {
        subject_id: subject.to_owned(),
        at,
        consents: found.stand,
        history: found.history,
        complete: found.complete,
    }))
}

#[derive(Debug, Default)]
struct Found {
    stand: Vec<Said>,
    history: Vec<Said>,
    shown: usize,
    complete: bool,
}

/// Reads from the newest on: the first about a purpose is what stands.
async fn read(store: &AnyStore, filter: &Filter) -> Result<Found, crate::store::StoreError> {
    let mut found = Found { complete: true, ..Found::default() };
    let mut request = PageRequest::newest(PAGE);
    loop {
        let page = store.records(filter, &request).await?;
        found.complete &= page.unreadable == 0;
        for said in page.records.iter().filter_map(Said::of) {
            found.shown += 1;
            if !found.stand.iter().any(|other| other.is_of(&said)) {
                if found.stand.len() < MOST_PURPOSES {
                    found.stand.push(said.clone());
                } else {
                    found.complete = false;
                }
            }
            if found.history.len() < MOST_TOLD {
                found.history.push(said);
            } else {
                found.complete = false;
            }
        }
        match page.next {
            Some(next) => request = PageRequest::newest(PAGE).after(next),
            None => return Ok(found),
        }
    }
}

/// What is handed in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewConsent {
    subject_id: String,
    purpose: String,
    state: Standing,
    version: Option<String>,
    basis: Option<String>,
    channel: Option<String>,
    tenant_id: Option<String>,
    by: Option<String>,
}

#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Given,
    Withdrawn,
}

#[derive(Debug, Serialize)]
struct Recorded {
    id: RecordId,
    action: String,
    purpose: String,
}

/// Records that somebody agreed, or agrees no longer. Nothing is acknowledged before it is stored, or in the spool on
/// the disk.
async fn record(
    State(api): State<Api>,
    caller: Caller,
    said: Result<Json<NewConsent>, JsonRejection>,
) -> Result<impl IntoResponse, Problem> {
    caller.must(Permission::Ingest)?;
    let Json(said) = said.map_err(|refused| Problem::body(&refused, EXPECTED))?;
    let mut record = consent(&said, caller.grant().only_tenant())?;
    let intake = api.intake();
    let bytes = intake
        .prepare(&mut record)
        .map_err(|field| Problem::invalid_request(format!("`{field}` is empty")))?;
    let recorded = Recorded {
        id: record.id,
        action: record.action.as_str().to_owned(),
        purpose: record.entity_id.as_str().to_owned(),
    };
    let (fates, mut told) = mpsc::unbounded_channel();
    match intake.offer(Box::new(record), bytes, 0, &fates) {
        Ok(()) => {}
        Err(Turned::Full(_)) => {
            let detail = "there is no room for it now; nothing of it was taken";
            let status = StatusCode::TOO_MANY_REQUESTS;
            return Err(Problem::new(status, "queue-full", detail).retry_after(1));
        }
        Err(Turned::Closed | Turned::Expected) => return Err(not_stored()),
    }
    drop(fates);
    intake.hurry();
    match timeout(STORED_WITHIN, told.recv()).await {
        Ok(Some((_, Fate::Stored | Fate::Spooled))) => Ok((StatusCode::CREATED, Json(recorded))),
        _ => Err(not_stored()),
    }
}

const EXPECTED: &str = "the body is an object with `subject_id`, `purpose`, `state` (`given` or `withdrawn`), and perhaps \
                        `version`, `basis`, `channel`, `tenant_id` and `by`";

fn consent(said: &NewConsent, only: Option<&str>) -> Result<Record, Problem> {
    let optional = [&said.version, &said.basis, &said.channel, &said.tenant_id, &said.by]
        .into_iter()
        .flatten();
    if ![&said.subject_id, &said.purpose].into_iter().chain(optional).all(|text| is_sound(text)) {
        let detail = "a text is empty, or longer than 512 bytes; leave out what is not known";
        return Err(Problem::invalid_request(detail));
    }
    if only.is_some() && said.tenant_id.is_some() && said.tenant_id.as_deref() != only {
        return Err(Problem::invalid_request("`tenant_id` is another than that of the caller"));
    }
    let by = Actor::user(said.by.as_ref().unwrap_or(&said.subject_id));
    let mut consent = match said.state {
        Standing::Given => Consent::given(by, &said.purpose),
        Standing::Withdrawn => Consent::withdrawn(by, &said.purpose),
    };
    consent = consent.of(&said.subject_id);
    if let Some(version) = &said.version {
        consent = consent.version(version);
    }
    if let Some(basis) = &said.basis {
        consent = consent.basis(basis);
    }
    if let Some(channel) = &said.channel {
        consent = consent.channel(channel);
    }
    if let Some(tenant) = only.or(said.tenant_id.as_deref()) {
        consent = consent.tenant(tenant);
    }
    Ok(consent.into())
}

fn not_stored() -> Problem {
    let detail =
        "the store did not confirm it in time; ask for the consents before you send it again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail).retry_after(5)
}

fn is_sound(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LONGEST
}
