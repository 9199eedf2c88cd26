//! What a key of an item means.

use crate::{
    record::{Field, Record},
    suggest::did_you_mean,
};

use super::{answer::Refusal, json::shown};

/// What a key of an item means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// The item's own name: the id of the record, or a key by which repeats are known.
    Id,
    /// A field of the record.
    Field(&'static Field),
    /// `metadata`, or `description` where it is text.
    Details,
    /// Only ever this word.
    Only(&'static str),
    /// Only the version that this build writes.
    Version,
    /// The log's own.
    Ours,
}

/// Other spellings, as in filters.
const ALSO: &[(&str, &str)] = &[
    ("action_type", "action"),
    ("event_type", "action"),
    ("verb", "action"),
    ("user_id", "actor_id"),
    ("user_name", "actor_name"),
    ("object_type", "entity_type"),
    ("object_id", "entity_id"),
    ("workspace_id", "tenant_id"),
    ("ip_address", "ip"),
    ("timestamp", "occurred_at"),
    ("details", "details"),
];

/// Fields that the log fills in: numbers, seals and what it says of its own work.
const OURS: &[&str] = &[
    "recorded_at",
    "retention_class",
    "writer_id",
    "seq",
    "rule",
    "redactions",
    "truncated",
    "skewed",
    "seals",
    "identity_salt",
    "network_salt",
    "target_salt",
    "content_salt",
    "identity_commitment",
    "network_commitment",
    "target_commitment",
    "content_commitment",
];

/// Returns what a key means.
pub(super) fn meaning(key: &str) -> Result<Name, Refusal> {
    let name = ALSO.iter().find(|(also, _)| *also == key).map_or(key, |(_, name)| *name);
    Ok(match name {
        "id" => Name::Id,
        "details" => Name::Details,
        "origin" => Name::Only("ingest"),
        "schema_version" => Name::Version,
        _ if OURS.contains(&name) => Name::Ours,
        _ => Name::Field(Field::named(name).ok_or_else(|| unknown(key))?),
    })
}

fn unknown(key: &str) -> Refusal {
    let names = Record::FIELDS.iter().map(Field::name);
    let taken = names.filter(|name| !OURS.contains(name)).chain(ALSO.iter().map(|(also, _)| *also));
    let hint = did_you_mean(key, taken);
    let detail = format!(
        "there is no field `{}`{hint} facts of your own go under `metadata`",
        shown(key),
        hint = if hint.is_empty() { ";".to_owned() } else { hint },
    );
    Refusal::new("unknown-field", detail)
}

/// Says why a field of the log's own is not taken.
pub(super) fn ours(key: &str) -> Refusal {
    let detail = format!(
        "`{key}` is filled in by the log and not taken; what was exported is handed in again without {}",
        OURS[..8].join(", ")
    );
    Refusal::new("refused-field", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_record_has_a_meaning() {
        for field in Record::FIELDS {
            let name = meaning(field.name()).unwrap();
            match field.name() {
                "id" => assert_eq!(name, Name::Id),
                "origin" | "schema_version" => assert_ne!(name, Name::Ours),
                ours if OURS.contains(&ours) => assert_eq!(name, Name::Ours),
                _ => assert_eq!(name, Name::Field(field)),
            }
        }
    }

    #[test]
    fn a_key_that_is_nearly_one_is_told_the_right_one() {
        let detail = meaning("enttiy_id").unwrap_err().detail;
        assert_eq!(
            detail,
            "there is no field `enttiy_id`; did you mean `entity_id`? facts of your own go under \
             `metadata`"
        );
        assert!(
            meaning("colour").unwrap_err().detail.starts_with("there is no field `colour`; facts")
        );
        // None of ours is ever proposed.
        assert!(!meaning("seqq").unwrap_err().detail.contains("did you mean"));
    }
}
