//! From an open draft to a finished record: meaning, outcome, redaction.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    client::{Chain, push_chain},
    config::Config,
    draft::{Bytes, Open, Said, State},
    json,
    outcome::{self, Ending},
    tee::Capture,
};
use crate::{
    privacy::{Extent, KeySet, Keys, Redactions},
    record::{Address, Outcome, Record},
    rules::{EntityIdFrom, Meaning, UNMATCHED},
};

/// Finishes the record of a draft; `None` when there is to be none. The configuration comes back.
pub(super) fn seal(
    state: &mut State,
    open: Open,
    ending: &Ending,
    bytes: Bytes,
) -> (Option<Box<Record>>, Arc<Config>) {
    let Open { config, mut record, plan, mask, started, .. } = open;
    let recorder = &config.recorder;
    let ended = ending.ended(record.status, record.grpc_status);
    let meaning = plan.decide(&mask, &ended).filter(|_| !state.said.has(Said::DISCARD));
    let Some(meaning) = meaning else {
        recorder.give_back(record);
        return (None, config);
    };
    measure(&mut record, &config, started, bytes);
    record.response_bytes = match ending {
        Ending::Head { bytes } => bytes.and_then(|bytes| i64::try_from(bytes).ok()),
        // Without a head there was no body to count.
        _ if state.head => i64::try_from(bytes.response).ok(),
        _ => None,
    };
    let (outcome, reason) = ending.outcome(&ended, state.grpc);
    // What the application says counts where it had the last word.
    let said = if ending.is_complete() { state.said } else { Said::default() };
    if state.said.has(Said::NOT_ATTEMPTED) {
        record.outcome = Outcome::Failure;
        record.outcome_reason.set(NOT_ATTEMPTED);
    } else {
        if !said.has(Said::OUTCOME) {
            record.outcome = outcome;
        }
        if !said.has(Said::OUTCOME_REASON) {
            record.outcome_reason.set(reason);
        }
    }
    record.severity =
        meaning.severity.unwrap_or_else(|| outcome::severity(record.outcome, ending, ended.status));
    fill(state, &mut record, meaning, &config);
    (Some(record), config)
}

/// Writes into `copy` the record that a request has if the process dies now; false when it has none.
///
/// What enters is what [`seal`] lets in, and no more: the copy goes to a file. The draft stays as it is.
pub(super) fn snapshot(state: &mut State, copy: &mut Record, bytes: Bytes) -> bool {
    // Taken out for the while, because what follows reads all of the state.
    let Some(open) = state.open.take() else { return false };
    let known = known(state, &open);
    if let Some(meaning) = known {
        copy.copy_from(&open.record);
        measure(copy, &open.config, open.started, bytes);
        (copy.outcome, copy.severity) = cut_off(state, copy);
        copy.outcome_reason.set(PROCESS_ENDED);
        if let Some(severity) = meaning.severity {
            copy.severity = severity;
        }
        fill(state, copy, meaning, &open.config);
        if !state.head {
            copy.description.set(UNKNOWN_OUTCOME);
        }
        if !state.redactions.is_empty() {
            state.redactions = Redactions::new();
        }
    }
    let known = known.is_some();
    state.open = Some(open);
    known
}

/// Returns what a request that has not ended means, if it is known to mean anything.
fn known<'a>(state: &State, open: &'a Open) -> Option<&'a Meaning> {
    if state.said.has(Said::DISCARD) {
        return None;
    }
    let (status, grpc_status) = (open.record.status, open.record.grpc_status);
    match status {
        // The head of a gRPC answer says nothing about how it ends.
        Some(_) if !state.grpc || grpc_status.is_some() => {
            let ended = Ending::Complete.ended(status, grpc_status);
            open.plan.decide(&open.mask, &ended)
        }
        _ => open.plan.foreseen(&open.mask),
    }
}

/// Says how a request ended with the process, and how bad that is.
fn cut_off(state: &State, record: &Record) -> (Outcome, u8) {
    if !state.head {
        // It may have done anything, or nothing.
        return (Outcome::Unknown, 3);
    }
    let ended = Ending::Complete.ended(record.status, record.grpc_status);
    match ended.outcome() {
        // The handler had done its part, and nobody got the whole of its answer.
        Outcome::Success => (Outcome::Aborted, 2),
        outcome => (outcome, outcome::severity(outcome, &Ending::Complete, ended.status)),
    }
}

/// Takes down what was counted.
fn measure(record: &mut Record, config: &Config, started: Duration, bytes: Bytes) {
    // The recorder dates the start by this, so that an unrecorded request never asks for the time of day.
    let took = config.recorder.clock().monotonic().saturating_sub(started);
    record.duration_us = i64::try_from(took.as_micros()).ok();
    record.request_bytes = i64::try_from(bytes.request).ok();
}

/// Writes what follows from the meaning and from what was seen of the request, without secrets.
fn fill(state: &mut State, record: &mut Record, meaning: &Meaning, config: &Config) {
    if state.said.has(Said::GRPC_ROUTE) && !was_served(record) {
        record.route.set(UNMATCHED);
    }
    name(state, record, meaning, config.recorder.keys());
    network(state, record, config);
    bodies(state, record, meaning, config);
    targets(state, record, meaning);
    describe(state, record, meaning);
    if let Some(list) = state.redactions.to_json() {
        record.redactions.buffer().push_str(&list);
    }
}

/// The reason of what has no end, because the process had one.
const PROCESS_ENDED: &str = "process_ended";
/// The reason of a strict request whose intent could not be kept.
const NOT_ATTEMPTED: &str = "not_attempted";
/// What an intent says if nothing follows it.
const UNKNOWN_OUTCOME: &str = "attempted, outcome unknown";

/// Tells whether a gRPC call reached a service: one that did not has a route that a client made up.
fn was_served(record: &Record) -> bool {
    match (record.grpc_status, record.status) {
        (Some(code), _) => code != UNIMPLEMENTED,
        (None, Some(status)) => status == 200,
        (None, None) => true,
    }
}

const UNIMPLEMENTED: u8 = 12;

/// Says what was done to what.
fn name(state: &State, record: &mut Record, meaning: &Meaning, keys: Option<&Keys>) {
    record.rule.set(&meaning.rule);
    record.category = meaning.category;
    record.operation = meaning.operation;
    if !state.said.has(Said::ACTION) {
        record.action.set(&meaning.action);
    }
    if !state.said.has(Said::ENTITY_TYPE) {
        record.entity_type.set(meaning.entity_type.as_deref().unwrap_or_default());
    }
    if state.said.has(Said::ENTITY_ID) {
        return;
    }
    if let Some(id) = id_from(&meaning.entity_id, state, record, meaning) {
        record.entity_id.set(&id);
    } else if let Some(account) = attempted_account(state, meaning)
        && let Some(keys) = keys
    {
        // Only ever the pseudonym: people type passwords into the field of the name.
        let tenant = record.tenant_id.as_option();
        record.entity_id = keys.pseudonym(Keys::ACCOUNT, tenant, &account).into();
    }
}

fn id_from<'a>(
    from: &EntityIdFrom,
    state: &'a State,
    record: &Record,
    meaning: &Meaning,
) -> Option<Cow<'a, str>> {
    let location = || (!state.location.is_empty()).then(|| Cow::Borrowed(&*state.location));
    let owned = |id: Option<String>| id.map(Cow::Owned);
    match from {
        EntityIdFrom::Nothing => None,
        EntityIdFrom::Param(name) => meaning.path_param(state.path(), name),
        EntityIdFrom::Location => location(),
        EntityIdFrom::Created => location().or_else(|| {
            let answer = &state.response;
            let scanned = answer.is_whole() && answer.bytes().len() <= crate::rules::SCAN_BYTES;
            owned(scanned.then(|| json::created_id(answer.bytes())).flatten())
        }),
        EntityIdFrom::Request(pointer) => {
            owned(json::at_pointer(state.request.bytes(), pointer.as_str()))
        }
        EntityIdFrom::Response(pointer) => {
            owned(json::at_pointer(state.response.bytes(), pointer.as_str()))
        }
        EntityIdFrom::Actor => owned(record.actor_id.as_option().map(str::to_owned)),
    }
}

/// Finds the account that a login tried, in a JSON body or a form.
fn attempted_account(state: &State, meaning: &Meaning) -> Option<String> {
    let body = state.request.bytes();
    if body.is_empty() {
        return None;
    }
    meaning.attempted_account.iter().find_map(|pointer| {
        json::at_pointer(body, pointer.as_str()).or_else(|| {
            let form = state.request.content_type.starts_with("application/x-www-form-urlencoded");
            form.then(|| form_field(body, pointer.as_str().strip_prefix('/')?)).flatten()
        })
    })
}

fn form_field(body: &[u8], name: &str) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
    };
    body.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| decode(key).as_deref() == Some(name))
        .and_then(|(_, value)| decode(value))
        .filter(|value| !value.is_empty())
}

/// Says from where: address under its policy, path and query without secrets.
fn network(state: &mut State, record: &mut Record, config: &Config) {
    let recorder = &config.recorder;
    let policy = recorder.address_policy(record.category);
    if let Some(client) = state.client {
        let kept = policy.apply(client, record.tenant_id.as_option(), recorder.keys());
        record.ip = kept.network.map(|(ip, prefix)| Address::truncated(ip, prefix));
        if let Some(pseudonym) = kept.pseudonym {
            record.ip_pseudonym.set(&pseudonym);
        }
    }
    // The chain holds the address too: it is kept only where the address is.
    if state.chained != Chain::Absent && policy == crate::privacy::AddressPolicy::Full {
        let was_cut = push_chain(&state.chain, record.forwarded.buffer());
        if was_cut || state.chained == Chain::Cut {
            record.truncated.buffer().push_str(r#"["forwarded"]"#);
        }
    }
    let (path, query) =
        (state.target.get(..state.path_len), state.target.get(state.path_len + 1..));
    let (path, redactor) = (path.unwrap_or_default(), recorder.redactor());
    if path == record.route.as_str() {
        // The application's own text: there is nothing of the client in it.
        record.path.set(path);
    } else {
        redactor.path(path, record.path.buffer(), &mut state.redactions.field("path"));
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        let mut log = state.redactions.field("query");
        redactor.query(query, KeySet::none(), record.query.buffer(), &mut log);
    }
}

/// Keeps the bodies that the level of the meaning asks for, without secrets.
fn bodies(state: &mut State, record: &mut Record, meaning: &Meaning, config: &Config) {
    let (request, response) = (meaning.level.keeps_request(), meaning.level.keeps_response());
    if !request && !response {
        return;
    }
    let redactor = config.recorder.redactor();
    // A pattern that is no pattern was refused when the rules were made.
    let extra = KeySet::new(meaning.redact.iter().map(|key| &**key)).unwrap_or_default();
    let mut keep = |body: &Capture, out: &mut String, field: &'static str| {
        if body.bytes().is_empty() {
            return;
        }
        let extent = if body.is_whole() { Extent::Whole } else { Extent::Cut };
        let mut log = state.redactions.field(field);
        // Formats whose secrets cannot be found are not kept; their size is.
        redactor.body(&body.content_type, body.bytes(), extent, &extra, out, &mut log);
    };
    if request {
        keep(&state.request, record.request_body.buffer(), "request_body");
    }
    if response {
        keep(&state.response, record.response_body.buffer(), "response_body");
    }
}

/// Lists further targets: the parents that the route names, then what the application added.
fn targets(state: &State, record: &mut Record, meaning: &Meaning) {
    let mut list = std::mem::take(record.targets.buffer());
    let open = |list: &mut String| list.push(if list.is_empty() { '[' } else { ',' });
    for thing in &meaning.related {
        let Some(id) = id_from(&thing.id, state, record, meaning) else { continue };
        open(&mut list);
        push_target(&mut list, &thing.entity_type, &id, None, &thing.relation);
    }
    for target in &state.targets {
        open(&mut list);
        let name = target.name.as_deref();
        push_target(&mut list, &target.entity_type, &target.id, name, &target.relation);
    }
    if !list.is_empty() {
        list.push(']');
    }
    *record.targets.buffer() = list;
    if !state.subjects.is_empty() {
        let subjects = serde_json::Value::from(state.subjects.as_slice()).to_string();
        record.subject_ids.buffer().push_str(&subjects);
    }
    if !state.metadata.is_empty()
        && let Ok(facts) = serde_json::to_string(&state.metadata)
    {
        record.metadata.buffer().push_str(&facts);
    }
}

fn push_target(list: &mut String, entity: &str, id: &str, name: Option<&str>, relation: &str) {
    list.push_str("{\"type\":");
    json::push_string(list, entity);
    list.push_str(",\"id\":");
    json::push_string(list, id);
    if let Some(name) = name {
        list.push_str(",\"name\":");
        json::push_string(list, name);
    }
    list.push_str(",\"relation\":");
    json::push_string(list, relation);
    list.push('}');
}

/// Fills the sentence of the rule, unless the application wrote one.
fn describe(state: &State, record: &mut Record, meaning: &Meaning) {
    let Some(sentence) = meaning.description.as_ref() else { return };
    if state.said.has(Said::DESCRIPTION) {
        return;
    }
    let shown = |text: &'_ crate::record::Text| text.as_option().map(|text| text.to_owned().into());
    let text = sentence.render(|slot| match slot {
        "actor" => shown(&record.actor_name).or_else(|| shown(&record.actor_id)),
        "entity" => shown(&record.entity_type),
        "entity_id" => shown(&record.entity_id),
        "action" => shown(&record.action),
        "outcome" => Some(Cow::Borrowed(record.outcome.as_str())),
        "status" => record.status.map(|status| status.to_string().into()),
        "method" => shown(&record.method),
        "route" => shown(&record.route),
        "tenant" => shown(&record.tenant_id),
        name => meaning.path_param(state.path(), name).map(|value| value.into_owned().into()),
    });
    record.description.set(&text);
}
