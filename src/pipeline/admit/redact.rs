//! Taking secrets out of what people and programs wrote by hand.
//!
//! The path, query and bodies of a request were redacted where they were captured, each by its kind. Here
//! comes what may be in any record: facts, changes, sentences and names; and ids and headers, into which
//! clients write what they like. Of records by hand, all of it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    pipeline::{core::Privacy, own},
    privacy::{Extent, MARKER, Method, Redactions, Redactor},
    record::{Json, Origin, Record, Text},
};

use super::{append_list, by_hand};

pub(super) fn redact(privacy: &Privacy, record: &mut Record) {
    let mut log = Redactions::new();
    // Before the redaction by keys, to which every change is under `old` and `new`.
    if !record.changes.is_absent() {
        redact_changes(privacy, &mut record.changes, &mut log);
    }
    let is_ours = own::is_own(record) && record.action != own::FOLDED;
    for (name, json) in [("changes", &mut record.changes), ("metadata", &mut record.metadata)] {
        // What the pipeline says of itself holds nothing of anybody's; but the names of streams are numbers, one in
        // ten of which passes for a card, and without the name nobody knows whose end or loss is told.
        if !json.is_absent() && !is_ours {
            redact_json(privacy, name, json, &mut log);
        }
    }
    let redactor = &privacy.redactor;
    for (name, text) in [
        ("entity_name", &mut record.entity_name),
        ("actor_name", &mut record.actor_name),
        ("impersonator_name", &mut record.impersonator_name),
        ("description", &mut record.description),
        ("reason", &mut record.reason),
        ("user_agent", &mut record.user_agent),
        ("host", &mut record.host),
    ] {
        redact_text(redactor, name, text, &mut log);
    }
    for (name, text) in [
        ("entity_id", &mut record.entity_id),
        ("actor_id", &mut record.actor_id),
        ("impersonator_id", &mut record.impersonator_id),
        ("request_id", &mut record.request_id),
        ("correlation_id", &mut record.correlation_id),
    ] {
        // The shortest secret that is known by its shape has thirteen characters: a card.
        if text.len() > 12 && !is_long_number(text) {
            redact_text(redactor, name, text, &mut log);
        }
    }
    for (name, json) in [
        ("targets", &mut record.targets),
        ("subject_ids", &mut record.subject_ids),
        ("forwarded", &mut record.forwarded),
    ] {
        // Their keys are ours, so only values can be secret; mostly none is.
        if !json.is_absent() && redactor.masked(json.as_str()).is_some() {
            redact_json(privacy, name, json, &mut log);
        }
    }
    if record.origin == Origin::Ingest {
        redact_words(privacy, record, &mut log);
    }
    // What capture did to the records of requests, at the one place where all others come by.
    if record.origin != Origin::Request {
        redact_by_hand(privacy, record, &mut log);
        by_hand::hide(privacy, record);
    }
    if let Some(list) = log.to_json() {
        append_list(record.redactions.buffer(), &list);
    }
}

/// An id of 64 bits is as long as the longest cards, and one in ten passes for one. To lose which thing a
/// record is about is worse: in an id, cards have sixteen digits at most.
fn is_long_number(id: &str) -> bool {
    id.len() > 16 && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn redact_text(redactor: &Redactor, name: &'static str, text: &mut Text, log: &mut Redactions) {
    if !text.is_absent()
        && let Some((kept, method)) = redactor.masked(text)
    {
        *text = kept.into();
        log.field(name).add("", method);
    }
}

fn redact_json(privacy: &Privacy, name: &'static str, json: &mut Json, log: &mut Redactions) {
    let mut kept = String::with_capacity(json.as_str().len());
    let (input, keys) = (json.as_str().as_bytes(), &privacy.extra_keys);
    privacy.redactor.json(input, Extent::Whole, keys, &mut kept, &mut log.field(name));
    *json = Json::from_stored(kept);
}

/// What the application and its rules fill in where a record is its own, and strangers where it is not.
fn redact_words(privacy: &Privacy, record: &mut Record, log: &mut Redactions) {
    let redactor = &privacy.redactor;
    for (name, text) in [
        ("action", &mut record.action),
        ("outcome_reason", &mut record.outcome_reason),
        ("tenant_id", &mut record.tenant_id),
        ("org_id", &mut record.org_id),
        ("channel", &mut record.channel),
        ("entity_type", &mut record.entity_type),
        ("auth_method", &mut record.auth_method),
        ("method", &mut record.method),
        ("route", &mut record.route),
        ("http_version", &mut record.http_version),
        // Sixteen hex digits may all be decimal ones.
        ("span_id", &mut record.span_id),
        ("instance", &mut record.instance),
        ("environment", &mut record.environment),
    ] {
        if text.len() > 12 && !is_long_number(text) {
            redact_text(redactor, name, text, log);
        }
    }
    if !record.location.is_absent() && redactor.masked(record.location.as_str()).is_some() {
        redact_json(privacy, "location", &mut record.location, log);
    }
}

/// What a request's record has had taken out at its capture.
fn redact_by_hand(privacy: &Privacy, record: &mut Record, log: &mut Redactions) {
    let (redactor, keys) = (&privacy.redactor, &privacy.extra_keys);
    if !record.path.is_absent() {
        let raw = std::mem::take(&mut record.path);
        redactor.path(&raw, record.path.buffer(), &mut log.field("path"));
    }
    if !record.query.is_absent() {
        let raw = std::mem::take(&mut record.query);
        redactor.query(&raw, keys, record.query.buffer(), &mut log.field("query"));
    }
    for (name, body) in
        [("request_body", &mut record.request_body), ("response_body", &mut record.response_body)]
    {
        if body.is_absent() {
            continue;
        }
        let raw = std::mem::take(body);
        // JSON where it looks like that.
        let (kind, extent) = ("text/plain", Extent::Whole);
        let out = body.buffer();
        redactor.body(kind, raw.as_bytes(), extent, keys, out, &mut log.field(name));
    }
}

#[derive(Serialize, Deserialize)]
struct Change<'a> {
    op: String,
    path: String,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    old: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    new: Option<&'a RawValue>,
}

/// Masks both values of a change whose path names a secret.
fn redact_changes(privacy: &Privacy, changes: &mut Json, log: &mut Redactions) {
    let Ok(mut list) = serde_json::from_str::<Vec<Change<'_>>>(changes.as_str()) else { return };
    let Ok(marker) = serde_json::value::to_raw_value(MARKER) else { return };
    let mut found = false;
    for change in &mut list {
        let secret = change.path.split('/').skip(1).any(|segment| {
            // RFC 6901: `~1` first, since `~01` stands for `~1`.
            let key = segment.replace("~1", "/").replace("~0", "~");
            privacy.redactor.is_sensitive_key(&key) || privacy.extra_keys.matches(&key)
        });
        if secret {
            found = true;
            change.old = change.old.map(|_| &*marker);
            change.new = change.new.map(|_| &*marker);
            log.field("changes").add(&change.path, Method::Key);
        }
    }
    if found && let Ok(masked) = Json::of(&list) {
        *changes = masked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{privacy::KeySet, record::Value};

    fn privacy() -> Privacy {
        Privacy {
            redactor: Redactor::default(),
            extra_keys: KeySet::new(["pet_name"]).unwrap(),
            keys: None,
            addresses: Default::default(),
        }
    }

    #[test]
    fn the_pipeline_names_streams_whose_numbers_look_like_cards() {
        // One that was met: nineteen digits that pass for a card.
        let stream = "5446921683426547948";
        let mut record = own::restored(stream, 289, 200);
        redact(&privacy(), &mut record);
        assert!(record.metadata.as_str().contains(stream), "{:?}", record.metadata);
        assert!(record.redactions.is_absent());
        let mut by_hand = Record::by("ana").metadata(&serde_json::json!({ "writer_id": stream }));
        redact(&privacy(), &mut by_hand);
        assert!(!by_hand.metadata.as_str().contains(stream));
    }

    #[test]
    fn facts_changes_and_sentences_lose_their_secrets_and_say_so() {
        let mut record = Record::by("ana")
            .metadata(&serde_json::json!({"password": "hunter2", "petName": "Rex", "size": 1}))
            .describe("reset with password=hunter2");
        record.changes = Json::from_stored(
            r#"[{"op":"replace","path":"/login/password","old":"hunter1","new":"hunter2"},{"op":"add","path":"/size","new":1.0}]"#,
        );
        record.redactions = Json::from_stored(r#"[{"field":"path","path":"","method":"jwt"}]"#);
        redact(&privacy(), &mut record);
        let all = serde_json::to_string(&record).unwrap();
        assert!(!all.contains("hunter") && !all.contains("Rex"), "{all}");
        assert!(record.changes.as_str().contains(r#"{"op":"add","path":"/size","new":1.0}"#));
        let redactions: Vec<serde_json::Value> =
            serde_json::from_str(record.redactions.as_str()).unwrap();
        let fields: Vec<_> =
            redactions.iter().map(|entry| entry["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["path", "changes", "metadata", "metadata", "description"]);
    }

    /// Fault 64, behind the capture.
    #[test]
    fn a_secret_in_any_place_that_people_or_clients_fill_in_is_taken_out() {
        let secrets = [
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "4111111111111111",
            "postgres://app:s3cretpw@db.internal:5432/shop",
        ];
        // Filled in by the crate itself, by the rules, or as hashes.
        let spared = [
            "retention_class",
            "action",
            "outcome_reason",
            "tenant_id",
            "org_id",
            "channel",
            "entity_type",
            "auth_method",
            "credential_id",
            "session_id",
            "method",
            "route",
            "http_version",
            "ip_pseudonym",
            "location",
            "trace_id",
            "span_id",
            "service",
            "instance",
            "environment",
            "rule",
            "redactions",
            "truncated",
            "skewed",
        ];
        let captured = ["path", "query", "request_body", "response_body"];
        // Of strangers only what is checked before it comes here: hashes, hex digits, and our own lists.
        let checked = ["retention_class", "trace_id", "service", "rule"];
        let lists = ["redactions", "truncated", "skewed"];
        let origins = [Origin::Request, Origin::Manual, Origin::Ingest];
        for (secret, origin) in secrets.iter().flat_map(|s| origins.map(|origin| (s, origin))) {
            let hidden = if secret.contains("s3cretpw") { "s3cretpw" } else { secret };
            let quoted = format!("[\"{secret}\"]");
            for field in Record::FIELDS {
                let name = field.name();
                let is_spared = match origin {
                    Origin::Ingest => checked.contains(&name) || lists.contains(&name),
                    Origin::Request => spared.contains(&name) || captured.contains(&name),
                    _ => spared.contains(&name),
                };
                if is_spared {
                    continue;
                }
                let mut record = Record { origin, ..Record::default() };
                let text =
                    if name == "path" { format!("/a/{secret}") } else { (*secret).to_owned() };
                let _only_text = field.set(&mut record, Value::Text(&text));
                let _only_json = field.set(&mut record, Value::Json(&quoted));
                redact(&privacy(), &mut record);
                let all = serde_json::to_string(&record).unwrap();
                assert!(!all.contains(hidden), "{origin} {name}: {all}");
            }
        }
    }

    #[test]
    fn ids_that_only_look_like_a_card_stay() {
        for id in [
            "5555555555554444000",
            "1770000000000000",
            "55",
            "018f3a5e-7c1b-7def-8000-4111111111111",
            "018f3a5e-7c1b-7def-8000-000000000003",
        ] {
            let mut record = Record::by(id).updated("order", id);
            redact(&privacy(), &mut record);
            assert_eq!((record.entity_id.as_str(), record.actor_id.as_str()), (id, id));
        }
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        let mut record = Record::by("ana")
            .metadata(&serde_json::json!({"author": "ana", "monkey": 1e30}))
            .describe("moved to the keyboard shelf");
        let before = record.clone();
        redact(&privacy(), &mut record);
        assert_eq!(record, before);
    }
}
