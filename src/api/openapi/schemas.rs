//! What goes over the wire: the fields of a record, the envelopes, the problem.

use serde_json::Value;
use utoipa::openapi::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat,
    schema::{AdditionalProperties, SchemaType, Type},
};

use crate::{
    api::access::Permission,
    query::{FIELDS, Values},
    record::{ActorType, Field, Kind, Record},
};

type Described = RefOr<Schema>;

/// Every schema that has a name.
pub(super) fn all() -> Vec<(&'static str, Described)> {
    vec![
        ("Record", record()),
        ("NewRecord", new_record()),
        ("Records", records()),
        ("Stats", stats()),
        ("Facets", facets()),
        ("Accepted", accepted()),
        ("Ticket", ticket()),
        ("Me", me()),
        ("Health", health()),
        ("Problem", problem()),
    ]
}

/// Refers to a schema by its name.
pub(super) fn named(name: &str) -> Described {
    Ref::from_schema_name(name).into()
}

pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

pub(super) fn integer() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

pub(super) fn boolean() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> ObjectBuilder {
    text().enum_values(Some(words))
}

pub(super) fn list(items: Described) -> Described {
    ArrayBuilder::new().items(items).into()
}

fn moment() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn or_null(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null]))
}

fn count() -> ObjectBuilder {
    integer().minimum(Some(0))
}

/// An object with these properties, of which the first so many are always there.
fn object(required: usize, properties: Vec<(&str, Described)>) -> Described {
    let mut object = ObjectBuilder::new();
    for (n, (name, schema)) in properties.into_iter().enumerate() {
        object = object.property(name, schema);
        if n < required {
            object = object.required(name);
        }
    }
    object.into()
}

fn by_value() -> Described {
    let counts = AdditionalProperties::RefOr(count().into());
    ObjectBuilder::new().additional_properties(Some(counts)).into()
}

fn record() -> Described {
    let properties = Record::FIELDS.iter().map(|field| (field.name(), field_of(field))).collect();
    object(Record::FIELDS.len(), properties)
}

fn field_of(field: &Field) -> Described {
    let about = FIELDS.iter().find(|asked| asked.name() == field.name());
    let words = match about.map(crate::query::QueryField::values) {
        Some(Values::Word(words)) => words,
        _ => &[],
    };
    let schema = match field.kind() {
        Kind::Id => text().format(Some(SchemaFormat::Custom("uuid".to_owned()))),
        Kind::Time => moment(),
        Kind::Integer if matches!(field.name(), "schema_version" | "severity" | "seq") => count(),
        Kind::Integer => or_null(Type::Integer),
        // Beyond 2^53, where a number of JSON is not exact.
        Kind::Stream => text().pattern(Some("^[0-9]+$")),
        Kind::Word if words.is_empty() => text(),
        Kind::Word => one_of(words.iter().copied()),
        Kind::Json => ObjectBuilder::new().schema_type(SchemaType::AnyValue),
        _ => or_null(Type::String),
    };
    schema.description(about.map(crate::query::QueryField::about)).into()
}

/// What is handed in: fewer fields, and hardly any that must be there.
fn new_record() -> Described {
    let refused = [
        "schema_version",
        "recorded_at",
        "retention_class",
        "origin",
        "service",
        "rule",
        "redactions",
        "truncated",
        "skewed",
        "writer_id",
        "seq",
    ];
    let mut object = ObjectBuilder::new()
        .description(Some(
            "`action` (or `method`, `status` and `route`), and `actor_id` unless `actor_type` is \
             `anonymous`; `entity_type` where there is an `entity_id`",
        ))
        .examples([serde_json::json!({
            "id": "ship-55", "action": "ship", "entity_type": "order", "entity_id": "55",
            "actor_id": "ana", "metadata": { "parcel": 3 },
        })]);
    for field in Record::FIELDS.iter().filter(|field| !refused.contains(&field.name())) {
        let schema = match (field.name(), field.kind()) {
            ("id" | "entity_id" | "actor_id", _) => ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Integer]))
                .into(),
            (_, Kind::Word) => text().into(),
            _ => field_of(field),
        };
        object = object.property(field.name(), schema);
    }
    object.into()
}

fn records() -> Described {
    let cursor = || or_null(Type::String);
    let total = object(
        2,
        vec![("value", count().into()), ("relation", one_of(["eq", "gte", "estimate"]).into())],
    );
    let search = object(
        2,
        vec![
            ("indexed", boolean().into()),
            ("complete", boolean().into()),
            ("from", moment().into()),
            ("hint", text().into()),
        ],
    );
    object(
        4,
        vec![
            ("records", list(named("Record"))),
            ("next", cursor().description(Some("Where the next page begins")).into()),
            ("prev", cursor().description(Some("Where the page before begins")).into()),
            ("live", text().description(Some("Where `live` goes on without a gap")).into()),
            ("total", total),
            ("search", search),
            ("order", one_of(["committed"]).into()),
            ("complete", boolean().into()),
            ("unreadable", count().into()),
        ],
    )
}

fn stats() -> Described {
    let slot = object(
        3,
        vec![("at", moment().into()), ("total", count().into()), ("by_outcome", by_value())],
    );
    object(
        11,
        vec![
            ("total", count().into()),
            ("last_24h", count().into()),
            ("by_action", by_value()),
            ("by_entity_type", by_value()),
            ("by_actor", by_value()),
            ("by_outcome", by_value()),
            ("by_category", by_value()),
            ("series", list(slot)),
            ("exact", boolean().into()),
            ("complete", boolean().into()),
            ("as_of", or_null(Type::String).into()),
            ("interval", text().into()),
            ("tz", text().into()),
        ],
    )
}

fn facets() -> Described {
    let facet = object(2, vec![("value", text().into()), ("count", count().into())]);
    let facets = AdditionalProperties::RefOr(list(facet));
    let facets = ObjectBuilder::new().additional_properties(Some(facets));
    object(
        1,
        vec![
            ("facets", facets.into()),
            ("exact", boolean().into()),
            ("complete", boolean().into()),
            ("as_of", or_null(Type::String).into()),
        ],
    )
}

fn accepted() -> Described {
    let rejected = object(
        3,
        vec![
            ("index", count().into()),
            ("type", text().into()),
            ("detail", text().into()),
            ("retry", boolean().into()),
        ],
    );
    let record = object(
        2,
        vec![("index", count().into()), ("id", text().into()), ("duplicate", boolean().into())],
    );
    object(
        2,
        vec![("accepted", count().into()), ("rejected", list(rejected)), ("records", list(record))],
    )
}

fn ticket() -> Described {
    let seconds = integer().description(Some("Seconds"));
    object(2, vec![("ticket", text().into()), ("expires_in", seconds.into())])
}

fn me() -> Described {
    let actor = vec![
        ("type", one_of(ActorType::WORDS.iter().copied()).into()),
        ("id", or_null(Type::String).into()),
        ("name", or_null(Type::String).into()),
    ];
    let permissions = one_of(Permission::ALL.map(Permission::as_str));
    object(
        3,
        vec![
            ("actor", object(3, actor)),
            ("permissions", list(permissions.into())),
            ("tenant", or_null(Type::String).into()),
        ],
    )
}

fn health() -> Described {
    let status = one_of(["ok", "degraded", "failing"]);
    object(1, vec![("status", status.into())])
}

fn problem() -> Described {
    let example: Value = serde_json::json!({
        "type": "urn:tower-activity:problem:invalid-parameter", "title": "Bad Request", "status": 400,
        "detail": "there is no field `actoin`; did you mean `action`?", "parameter": "q", "column": 1,
    });
    let described = object(
        4,
        vec![
            ("type", text().description(Some("Stable; one word for each kind")).into()),
            ("title", text().into()),
            ("status", integer().into()),
            ("detail", text().description(Some("For people")).into()),
            ("parameter", text().into()),
            ("column", integer().minimum(Some(1)).into()),
        ],
    );
    match described {
        RefOr::T(Schema::Object(mut object)) => {
            object.examples = vec![example];
            RefOr::T(Schema::Object(object))
        }
        other => other,
    }
}
