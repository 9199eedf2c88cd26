//! What goes over the wire, by name: records, what is handed in, the envelopes, the problem.

mod completeness;
mod consent;
mod custody;
mod envelopes;
mod erasure;
mod health;
mod proof;
mod record;

use serde_json::Value;
use utoipa::openapi::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat,
    schema::{AdditionalProperties, AnyOfBuilder, SchemaType, Type},
};

type Described = RefOr<Schema>;

/// Every schema that has a name.
pub(super) fn all() -> Vec<(&'static str, Described)> {
    vec![
        ("Record", record::record()),
        ("NewRecord", record::new_record()),
        ("Change", record::change()),
        ("Target", record::target()),
        ("Location", record::location()),
        ("Overview", envelopes::overview()),
        ("Records", envelopes::records()),
        ("Exported", envelopes::exported()),
        ("Stats", envelopes::stats()),
        ("Facets", envelopes::facets()),
        ("Accepted", envelopes::accepted()),
        ("Ticket", envelopes::ticket()),
        ("Me", envelopes::me()),
        ("LiveMessage", envelopes::live_message()),
        ("Health", health::health()),
        ("Completeness", completeness::completeness()),
        ("Proof", proof::proof()),
        ("NewConsent", consent::new_consent()),
        ("ConsentRecorded", consent::recorded()),
        ("Consents", consent::consents()),
        ("NewErasure", erasure::new_erasure()),
        ("ErasurePlan", erasure::plan()),
        ("Certificate", erasure::certificate()),
        ("NewHold", custody::new_hold()),
        ("Hold", custody::hold()),
        ("Holds", custody::holds()),
        ("Restricted", custody::restricted()),
        ("RetentionPolicy", custody::policy()),
        ("Retention", custody::retention()),
        ("Problem", envelopes::problem()),
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

/// How many there are of something.
pub(super) fn count() -> ObjectBuilder {
    integer().minimum(Some(0))
}

pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> ObjectBuilder {
    text().enum_values(Some(words))
}

pub(super) fn list(items: Described) -> Described {
    ArrayBuilder::new().items(items).into()
}

pub(super) fn uuid() -> ObjectBuilder {
    text().format(Some(SchemaFormat::Custom("uuid".to_owned())))
}

pub(super) fn moment() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn moment_or_null() -> ObjectBuilder {
    or_null(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn or_null(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null]))
}

pub(super) fn either_or_null(schema: Described) -> Described {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    Schema::from(AnyOfBuilder::new().item(schema).item(null).build()).into()
}

fn anything() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue)
}

/// Text of a stream's name: its numbers go beyond 2^53, where a number of JSON is not exact.
fn stream() -> ObjectBuilder {
    text().pattern(Some("^[0-9]+$"))
}

/// An object with these properties, of which the first so many are always there.
pub(super) fn object(required: usize, properties: Vec<(&str, Described)>) -> Described {
    build(required, properties).into()
}

/// The same, and no other property.
fn closed(required: usize, properties: Vec<(&str, Described)>) -> Described {
    build(required, properties)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .into()
}

fn build(required: usize, properties: Vec<(&str, Described)>) -> ObjectBuilder {
    let mut object = ObjectBuilder::new();
    for (n, (name, schema)) in properties.into_iter().enumerate() {
        object = object.property(name, schema);
        if n < required {
            object = object.required(name);
        }
    }
    object
}

/// An object whose keys are data, and whose values are all of this kind.
fn by_key(values: Described) -> Described {
    let values = AdditionalProperties::RefOr(values);
    ObjectBuilder::new().additional_properties(Some(values)).into()
}

fn with_example(schema: Described, example: Value) -> Described {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.examples = vec![example];
            RefOr::T(Schema::Object(object))
        }
        other => other,
    }
}
