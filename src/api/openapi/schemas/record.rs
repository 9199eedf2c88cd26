//! A record, and a record that is handed in: from the table of fields.

use serde_json::json;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, SchemaType, Type,
};

use super::{
    Described, anything, count, either_or_null, list, moment, moment_or_null, named, object,
    one_of, or_null, stream, text, uuid,
};
use crate::{
    api::ingest,
    query::{FIELDS, QueryField, Values},
    record::{Category, Field, Group, Kind, Record},
};

pub(super) fn record() -> Described {
    let fields = Record::FIELDS.iter().map(|field| (field.name(), field_of(field)));
    let groups = || list(one_of(Group::ERASABLE.map(Group::as_str)).into());
    let gone = [("erased", groups()), ("restricted", groups())];
    object(Record::FIELDS.len(), fields.chain(gone).collect())
}

fn field_of(field: &Field) -> Described {
    let schema = match field.kind() {
        Kind::Id => uuid(),
        Kind::Time => moment(),
        Kind::Integer if matches!(field.name(), "schema_version" | "severity" | "seq") => count(),
        Kind::Integer => or_null(Type::Integer),
        Kind::Stream => stream(),
        Kind::Word => one_of(words_of(field).iter().copied()),
        Kind::Json => return described(anything().examples(example_of(field)), field),
        _ => or_null(Type::String),
    };
    described(schema, field)
}

/// What such JSON looks like. What was too long or too deep has a marker in it, and stands in `truncated`.
fn example_of(field: &Field) -> Option<serde_json::Value> {
    Some(match field.name() {
        "changes" => json!([{ "op": "replace", "path": "/price", "old": 4900, "new": 3900 }]),
        "metadata" => json!({ "parcel": 3 }),
        "targets" => json!([{ "type": "user", "id": "7", "relation": "customer" }]),
        "subject_ids" => json!(["ana"]),
        "forwarded" => json!(["192.0.2.7"]),
        "location" => json!({ "country": "PT", "city": "Porto" }),
        "redactions" => json!([{ "field": "changes", "path": "/token", "method": "mask" }]),
        "truncated" => json!(["user_agent"]),
        "skewed" => json!({ "occurred_at": "2036-01-31T12:00:00.000000Z" }),
        _ => return None,
    })
}

fn described(schema: ObjectBuilder, field: &Field) -> Described {
    schema.description(asked(field).map(QueryField::about)).into()
}

fn asked(field: &Field) -> Option<&'static QueryField> {
    FIELDS.iter().find(|asked| asked.name() == field.name())
}

fn words_of(field: &Field) -> &'static [&'static str] {
    match asked(field).map(QueryField::values) {
        Some(Values::Word(words)) => words,
        _ => &[],
    }
}

/// What is handed in: fewer fields, hardly any that must be there, and other spellings.
pub(super) fn new_record() -> Described {
    let mut object = ObjectBuilder::new()
        .description(Some(
            "`action` (or `method`, `status` and `route`), and `actor_id` unless `actor_type` is \
             `anonymous`; `entity_type` where there is an `entity_id`. `null` and the empty text mean \
             that a field is absent",
        ))
        .examples([json!({
            "id": "ship-55", "action": "ship", "entity_type": "order", "entity_id": "55",
            "actor_id": "ana", "metadata": { "parcel": 3 },
        })])
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let id = text_or_integer().max_length(Some(ingest::MAX_KEY)).description(Some(
        "A UUIDv7 of `occurred_at` becomes the record's id; any other text is a key, under which an item \
         is stored once",
    ));
    let version = or_null(Type::Integer).enum_values(Some([Some(Record::SCHEMA_VERSION), None]));
    object = object
        .property("id", id)
        .property("schema_version", version)
        .property("origin", or_null(Type::String).enum_values(Some([Some("ingest"), None])))
        .property(
            "details",
            ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Object, Type::Null]))
                .description(Some("`description` where it is text, else `metadata`")),
        );
    for (name, field) in ingest::taken() {
        object = object.property(name, handed_in(name, field));
    }
    object.into()
}

fn handed_in(name: &str, field: &'static Field) -> Described {
    let about = match asked(field) {
        _ if name != field.name() => Some(format!("Another spelling of `{}`", field.name())),
        _ if field.name() == "service" => {
            Some("That of the caller; nothing else is taken".to_owned())
        }
        Some(asked) => Some(asked.about().to_owned()),
        None => None,
    };
    let schema = match field.kind() {
        Kind::Json => return either_or_null(shape_of(field)),
        Kind::Time => moment_or_null(),
        Kind::Integer => {
            let (least, most) = ingest::bounds(field.name());
            or_null(Type::Integer).minimum(Some(least)).maximum(Some(most))
        }
        // In any case.
        Kind::Word => or_null(Type::String).examples(
            words_of(field).iter().copied().filter(|word| *word != Category::System.as_str()),
        ),
        _ => match field.name() {
            "trace_id" => or_null(Type::String).pattern(Some("^([0-9a-fA-F]{32})?$")),
            "span_id" => text_or_integer().pattern(Some("^([0-9a-fA-F]{16})?$")),
            name if name.ends_with("_id") => text_or_integer(),
            _ => or_null(Type::String),
        },
    };
    schema.description(about).into()
}

fn text_or_integer() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([
        Type::String,
        Type::Integer,
        Type::Null,
    ]))
}

fn shape_of(field: &Field) -> Described {
    match field.name() {
        "metadata" => ObjectBuilder::new().schema_type(Type::Object).into(),
        "changes" => list(named("Change")),
        "targets" => list(named("Target")),
        "location" => named("Location"),
        _ => ArrayBuilder::new().items(text()).into(),
    }
}

pub(super) fn change() -> Described {
    super::closed(
        2,
        vec![
            ("op", one_of(["add", "remove", "replace"]).into()),
            (
                "path",
                text()
                    .pattern(Some("^(/([^~]|~[01])*)?$"))
                    .description(Some("A JSON Pointer (RFC 6901)"))
                    .into(),
            ),
            ("old", anything().into()),
            ("new", anything().into()),
        ],
    )
}

pub(super) fn target() -> Described {
    let there = || text().pattern(Some(r"\S"));
    super::closed(
        2,
        vec![
            ("type", there().into()),
            ("id", there().into()),
            ("name", or_null(Type::String).into()),
            ("relation", or_null(Type::String).into()),
        ],
    )
}

pub(super) fn location() -> Described {
    let part = || or_null(Type::String).into();
    super::closed(0, vec![("country", part()), ("region", part()), ("city", part())])
}
