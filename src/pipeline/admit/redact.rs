//! Taking secrets out of what people and programs wrote by hand.
//!
//! What came with a request (path, query, bodies, headers) was redacted where it was captured, by its
//! content type. Here comes what may be in any record: facts, changes, sentences and names.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    pipeline::core::Privacy,
    privacy::{Extent, MARKER, Method, Redactions, Redactor},
    record::{Json, Record, Text},
};

use super::append_list;

pub(super) fn redact(privacy: &Privacy, record: &mut Record) {
    let mut log = Redactions::new();
    // Before the redaction by keys, to which every change is under `old` and `new`.
    if !record.changes.is_absent() {
        redact_changes(privacy, &mut record.changes, &mut log);
    }
    for (name, json) in [("changes", &mut record.changes), ("metadata", &mut record.metadata)] {
        if !json.is_absent() {
            let mut kept = String::with_capacity(json.as_str().len());
            let input = json.as_str().as_bytes();
            let keys = &privacy.extra_keys;
            privacy.redactor.json(input, Extent::Whole, keys, &mut kept, &mut log.field(name));
            *json = Json::from_stored(kept);
        }
    }
    for (name, text) in [
        ("entity_name", &mut record.entity_name),
        ("actor_name", &mut record.actor_name),
        ("impersonator_name", &mut record.impersonator_name),
        ("description", &mut record.description),
        ("reason", &mut record.reason),
    ] {
        if !text.is_absent() {
            redact_text(&privacy.redactor, name, text, &mut log);
        }
    }
    if let Some(list) = log.to_json() {
        append_list(record.redactions.buffer(), &list);
    }
}

fn redact_text(redactor: &Redactor, name: &'static str, text: &mut Text, log: &mut Redactions) {
    let mut kept = String::with_capacity(text.len());
    redactor.text(text, Extent::Whole, &mut kept, &mut log.field(name));
    if kept != text.as_str() {
        *text = kept.into();
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
    use crate::privacy::KeySet;

    fn privacy() -> Privacy {
        Privacy {
            redactor: Redactor::default(),
            extra_keys: KeySet::new(["pet_name"]).unwrap(),
            keys: None,
            addresses: Default::default(),
        }
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
