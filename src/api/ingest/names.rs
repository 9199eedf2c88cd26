//! What a key of an item means.

use crate::{
    query::{FIELDS, Values},
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

/// Returns what a key means: a field by its own name, or by one that filters know it by.
pub(super) fn meaning(key: &str) -> Result<Name, Refusal> {
    Ok(match key {
        "id" => Name::Id,
        "details" => Name::Details,
        "origin" => Name::Only("ingest"),
        "schema_version" => Name::Version,
        _ => match Field::named(key).or_else(|| also(key)).ok_or_else(|| unknown(key))? {
            field if OURS.contains(&field.name()) => Name::Ours,
            field => Name::Field(field),
        },
    })
}

/// The other spellings, from the table of the query language.
fn spellings() -> impl Iterator<Item = (&'static str, &'static Field)> {
    FIELDS.iter().filter(|asked| is_a_value(asked.values())).flat_map(|asked| {
        asked.field().into_iter().flat_map(|field| asked.names().map(move |name| (name, field)))
    })
}

/// Returns every key of an item that is a field of the record, with the field.
pub(in crate::api) fn taken() -> impl Iterator<Item = (&'static str, &'static Field)> {
    let own = Record::FIELDS.iter().map(|field| (field.name(), field));
    let also = spellings().filter(|(name, field)| *name != field.name());
    own.chain(also).filter(|(name, _)| matches!(meaning(name), Ok(Name::Field(_))))
}

/// Tells whether what is asked for so is a whole value, as it could be handed in. A length of time is asked
/// for with its unit, and says nothing without one.
const fn is_a_value(values: Values) -> bool {
    !matches!(values, Values::Key(_) | Values::Change(_) | Values::Length)
}

fn also(key: &str) -> Option<&'static Field> {
    spellings().find(|(name, _)| *name == key).map(|(_, field)| field)
}

fn unknown(key: &str) -> Refusal {
    let names = Record::FIELDS.iter().map(Field::name);
    let also = spellings().filter(|(_, field)| !OURS.contains(&field.name()));
    let taken = names.filter(|name| !OURS.contains(name)).chain(also.map(|(also, _)| also));
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
    fn what_filters_know_a_field_by_is_taken_too() {
        for (key, name) in [
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
            ("created_at", "occurred_at"),
        ] {
            assert_eq!(meaning(key).unwrap(), Name::Field(Field::named(name).unwrap()), "{key}");
        }
        assert_eq!(meaning("details").unwrap(), Name::Details);
        // A value with a unit, half of a value, and what is no field.
        for key in ["duration", "old", "new", "changed", "text", "Verb", ""] {
            assert!(meaning(key).is_err(), "{key}");
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
