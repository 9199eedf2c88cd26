//! What an item means that says how a request went instead of what was done: the same rules decide as for
//! requests of this service.

use std::borrow::Cow;

use http::{HeaderMap, Method};

use super::{answer::Refusal, item::Item};
use crate::{
    pipeline::Recorder,
    record::{ActorType, Json, Outcome, Record, Text},
    rules::{Ended, EntityIdFrom, Meaning, Route},
};

/// Fills in what the item leaves out: operation, outcome, kind of actor, and of a request its meaning.
///
/// # Errors
///
/// When the rules record no such request.
pub(super) fn complete(recorder: &Recorder, item: &mut Item) -> Result<(), Refusal> {
    let ended = Ended {
        status: item.record.status,
        grpc_status: item.record.grpc_status,
        ..Ended::default()
    };
    let has_status = ended.status.is_some() || ended.grpc_status.is_some();
    if !item.has("outcome") {
        // As a record by hand, unless a status says otherwise.
        item.record.outcome = if has_status { ended.outcome() } else { Outcome::Success };
    }
    if !item.has("actor_type") && item.has("actor_id") {
        item.record.actor_type = ActorType::User;
    }
    if !item.has("actor_type") && !item.has("actor_id") {
        let detail =
            "`actor_id` is missing; say `\"actor_type\": \"anonymous\"` where nobody is known";
        return Err(Refusal::new("missing-field", detail));
    }
    if item.has("action") {
        if !item.has("operation") {
            let action = item.record.action.as_str().to_owned();
            item.record.set_verb(&action);
        }
        return Ok(());
    }
    if !item.has("method") || !has_status {
        let detail = "`action` is missing; what was done, such as `cancel`, or of a request `method`, \
                      `route` and `status`";
        return Err(Refusal::new("missing-field", detail));
    }
    by_rules(recorder, item, &ended)
}

fn by_rules(recorder: &Recorder, item: &mut Item, ended: &Ended) -> Result<(), Refusal> {
    let rules = recorder.rules();
    let record = &item.record;
    let method = Method::from_bytes(record.method.as_bytes()).unwrap_or_default();
    let path = record.path.as_str().to_owned();
    // As for requests: a path is never a route, there are as many as clients care to make up.
    let template = match record.route.as_option() {
        Some(route) => Some(route.to_owned()),
        None => rules.template_for(&path).map(str::to_owned),
    };
    let route = template.as_deref().map_or(Route::Unmatched, Route::Template);
    // The sender names the routes: kept apart from those of this service, and for a while.
    let plan = match route {
        Route::Template(template) => rules.plan_named(&method, template),
        Route::Unmatched => rules.plan(&method, route),
    };
    let mask = plan.applicable(&HeaderMap::new(), record.host.as_option(), &path);
    let Some(meaning) = plan.decide(&mask, ended) else {
        let status =
            ended.status.map(|status| format!(" with status {status}")).unwrap_or_default();
        let detail = format!(
            "the rules do not record {method} {}{status}; send `action` to record it all the same",
            super::json::shown(route.as_str()),
        );
        return Err(Refusal::new("not-recorded", detail));
    };
    let said = Said::of(item);
    let record = &mut *item.record;
    record.route.set(route.as_str());
    apply(record, meaning, &path, said);
    Ok(())
}

/// What the item says itself.
#[derive(Clone, Copy)]
struct Said {
    operation: bool,
    category: bool,
    severity: bool,
    targets: bool,
}

impl Said {
    fn of(item: &Item) -> Self {
        let [operation, category, severity, targets] =
            ["operation", "category", "severity", "targets"].map(|field| item.has(field));
        Self { operation, category, severity, targets }
    }
}

fn apply(record: &mut Record, meaning: &Meaning, path: &str, said: Said) {
    record.rule.set(&meaning.rule);
    record.action.set(&meaning.action);
    if !said.operation {
        record.operation = meaning.operation;
    }
    if !said.category {
        record.category = meaning.category;
    }
    if !said.severity {
        record.severity = meaning.severity.unwrap_or_else(|| severity(record));
    }
    if record.entity_type.is_absent() {
        record.entity_type.set(meaning.entity_type.as_deref().unwrap_or_default());
    }
    if record.entity_id.is_absent()
        && !record.entity_type.is_absent()
        && let Some(id) = id_from(&meaning.entity_id, record, meaning, path)
    {
        record.entity_id.set(&id);
    }
    if !said.targets {
        let things = meaning.related.iter().filter_map(|thing| {
            let id = id_from(&thing.id, record, meaning, path)?;
            Some(serde_json::json!({
                "type": &*thing.entity_type, "id": id, "relation": &*thing.relation,
            }))
        });
        let things: Vec<_> = things.collect();
        if !things.is_empty() {
            record.targets = Json::from_stored(serde_json::Value::from(things).to_string());
        }
    }
    if record.description.is_absent()
        && let Some(sentence) = &meaning.description
    {
        let shown = |text: &Text| text.as_option().map(|text| Cow::Owned(text.to_owned()));
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
            name => meaning.path_param(path, name).map(|value| value.into_owned().into()),
        });
        record.description.set(&text);
    }
}

/// Answers and bodies are not at hand: of them the sender says `entity_id` himself.
fn id_from(from: &EntityIdFrom, record: &Record, meaning: &Meaning, path: &str) -> Option<String> {
    match from {
        EntityIdFrom::Param(name) => meaning.path_param(path, name).map(Cow::into_owned),
        EntityIdFrom::Actor => record.actor_id.as_option().map(str::to_owned),
        _ => None,
    }
}

/// As capture has it.
const fn severity(record: &Record) -> u8 {
    match (record.outcome, record.status) {
        (Outcome::Failure, Some(500..)) => 3,
        (Outcome::Failure | Outcome::Denied, _) => 2,
        _ => 1,
    }
}
