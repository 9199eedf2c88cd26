//! From a request to the record of what it wanted with the log.

use axum::extract::{ConnectInfo, MatchedPath};
use http::{HeaderMap, HeaderName, StatusCode, Version, header, request::Parts};
use std::net::{IpAddr, SocketAddr};

use super::{Visit, hidden};
use crate::{
    api::{
        endpoint::{Endpoint, Guard},
        origin::authority_of,
        state::Api,
    },
    pipeline::Use,
    privacy::{KeySet, PeerAddr, Redactions},
    record::{Actor, Address, Category, Operation, Outcome, Record, traceparent},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Paths and queries are read so far, which is as long as a question may be; a record of a view keeps less.
const LONGEST: usize = 16 * 1024;

/// What is kept of the head of a request.
#[derive(Debug)]
pub(super) struct Asked {
    method: String,
    route: String,
    host: String,
    version: Version,
    address: Option<IpAddr>,
    user_agent: String,
    request_id: String,
    /// Trace and span, of a `traceparent` that is valid.
    trace: Option<(String, String)>,
    /// Path and query, without secrets and without what only turns the page.
    pub(super) text: String,
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended {
    Answered(StatusCode),
    Refused(StatusCode),
    /// What was begun has ended: whether it came to its end.
    Session(bool),
    /// What was begun broke off, because the store failed.
    Broken,
}

impl Asked {
    pub(super) fn of(parts: &Parts, api: &Api) -> Self {
        let matched = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        Self {
            method: parts.method.as_str().to_owned(),
            route: matched.to_owned(),
            host: authority_of(parts).map_or("", without_user).to_owned(),
            version: parts.version,
            address: api.trust().client(&parts.headers, peer(parts)),
            user_agent: text(&parts.headers, &header::USER_AGENT, 512),
            request_id: text(&parts.headers, &REQUEST_ID, 128),
            trace: trace(&parts.headers),
            text: asked(parts, api),
        }
    }
}

/// Hands the record of a use to the recorder.
pub(super) fn record(visit: &Visit, ended: Ended, asked: String, shown: Option<u64>) {
    let recorder = visit.api.recorder();
    let Visit { endpoint, asked: head, grant, .. } = visit;
    let mut record = Box::<Record>::default();
    record.category = Category::System;
    record.operation = Operation::Read;
    // Whoever asks for the head alone learns that there is something, and takes nothing away.
    let is_taken = endpoint.guard == Guard::Exported && head.method != "HEAD";
    record.action.set(match endpoint.guard {
        Guard::Exported if is_taken => "log_exported",
        Guard::HandedIn => "log_ingested",
        Guard::Changed => "log_changed",
        Guard::Open | Guard::Viewed | Guard::Asked | Guard::Exported => "log_viewed",
    });
    match endpoint.guard {
        Guard::HandedIn => record.operation = Operation::Create,
        Guard::Changed => record.operation = Operation::Delete,
        _ => {}
    }
    // Who is to be erased is not written down anew.
    let asked = match endpoint.name {
        "erasure" | "erasure_plan" => endpoint.path.to_owned(),
        _ => asked,
    };
    record.severity = if is_taken { 3 } else { 1 };
    match ended {
        Ended::Answered(status) => {
            record.outcome = Outcome::Success;
            record.status = Some(status.as_u16());
        }
        Ended::Refused(status) => {
            record.outcome = Outcome::Denied;
            record.severity = 3;
            record.status = Some(status.as_u16());
            let known = grant.get().is_some();
            record.outcome_reason.set(if known { "forbidden" } else { "not_let_in" });
        }
        Ended::Session(true) => record.outcome = Outcome::Success,
        Ended::Session(false) => {
            record.outcome = Outcome::Aborted;
            record.outcome_reason.set("client_disconnect");
        }
        Ended::Broken => {
            record.outcome = Outcome::Failure;
            record.outcome_reason.set("store_unavailable");
        }
    }
    match grant.get() {
        Some(grant) => {
            record.set_actor(grant.actor());
            record.tenant_id.set(grant.only_tenant().unwrap_or_default());
        }
        None => record.set_actor(&Actor::anonymous()),
    }
    record.method.set(&head.method);
    record.route.set(&head.route);
    record.host.set(&head.host);
    record.http_version.set(&format!("{:?}", head.version));
    record.user_agent.set(&head.user_agent);
    record.request_id.set(&head.request_id);
    if let Some((trace, span)) = &head.trace {
        record.trace_id.set(trace);
        record.span_id.set(span);
    }
    if let Some(address) = head.address {
        let policy = recorder.address_policy(record.category);
        let kept = policy.apply(address, record.tenant_id.as_option(), recorder.keys());
        record.ip = kept.network.map(|(ip, prefix)| Address::truncated(ip, prefix));
        record.ip_pseudonym.set(&kept.pseudonym.unwrap_or_default());
    }
    let endpoint = place(*endpoint, ended);
    // Lost or not is told by the tally and by the gap record.
    let _admission = recorder.watch(Use { record, endpoint, asked, shown });
}

/// The end of a session is told apart from its begin.
fn place(endpoint: Endpoint, ended: Ended) -> &'static str {
    match (endpoint.name, ended) {
        ("export", Ended::Session(_) | Ended::Broken) => "export_end",
        ("bundle", Ended::Session(_) | Ended::Broken) => "bundle_end",
        ("subject_export", Ended::Session(_) | Ended::Broken) => "subject_export_end",
        ("live", Ended::Session(_) | Ended::Broken) => "live_end",
        (name, _) => name,
    }
}

/// Returns the other end of the connection, if whoever accepted it said so.
fn peer(parts: &Parts) -> Option<IpAddr> {
    let extensions = &parts.extensions;
    let info = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let peer = info.or_else(|| extensions.get::<PeerAddr>().map(|peer| peer.0));
    peer.or_else(|| extensions.get::<SocketAddr>().copied()).map(|peer| peer.ip())
}

fn asked(parts: &Parts, api: &Api) -> String {
    // A page further on is the same question, and a ticket is nobody's business.
    let kept = |pair: &&str| !pair.starts_with("cursor=") && !pair.starts_with("ticket=");
    let query = parts.uri.query().map_or("", |query| cut(query, LONGEST));
    let query: Vec<_> = query.split('&').filter(kept).filter(|pair| !pair.is_empty()).collect();
    let path = cut(parts.uri.path(), LONGEST);
    let (mut text, query) = hidden::question(Endpoint::of(parts), path, &query.join("&"), api);
    if !query.is_empty() {
        text.push('?');
        let mut taken_out = Redactions::new();
        let log = &mut taken_out.field("asked");
        api.recorder().redactor().query(&query, KeySet::none(), &mut text, log);
    }
    text
}

fn text(headers: &HeaderMap, name: &HeaderName, longest: usize) -> String {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    text.map_or("", |text| cut(text, longest)).to_owned()
}

/// As the layer reads it: of several, the last that is valid.
fn trace(headers: &HeaderMap) -> Option<(String, String)> {
    let mut last_first = headers.get_all(TRACEPARENT).iter().rev();
    let (trace, span) = last_first.find_map(|value| traceparent(value.as_bytes()))?;
    Some((trace.to_owned(), span.to_owned()))
}

fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

/// User information in front of a host is nobody's business.
fn without_user(authority: &str) -> &str {
    cut(authority.rsplit_once('@').map_or(authority, |(_, host)| host), 255)
}
