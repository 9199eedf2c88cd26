//! Parameters, from the tables of the query language.

use utoipa::openapi::{
    ObjectBuilder, Required,
    path::{Parameter, ParameterBuilder, ParameterIn},
};

use super::schemas::{boolean, integer, one_of, text};
use crate::query::{Extra, FIELDS, PARAMETERS, Params, QueryField};

/// Describes what an endpoint takes behind the `?`.
pub(super) fn of(extras: &[Extra]) -> Vec<Parameter> {
    let own = PARAMETERS.iter().filter(|parameter| extras.contains(&parameter.extra())).map(
        |parameter| {
            let also = spellings(parameter.other_spellings());
            let about = format!("{}{also}", parameter.about());
            query(parameter.name(), about, schema(parameter.name(), parameter.example()))
        },
    );
    let fields = FIELDS.iter().filter(|field| field.is_parameter());
    let fields = fields.filter(|_| extras.contains(&Extra::Filters)).map(field);
    own.chain(fields).collect()
}

fn field(field: &QueryField) -> Parameter {
    let also = spellings(field.other_spellings());
    let about = format!("{}; a comma means any of{also}", field.about());
    query(field.name(), about, text())
}

fn spellings(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!(" (also spelt {})", names.join(", ")) }
}

/// The kinds that have bounds are numbers and words; the rest is text.
fn schema(name: &str, example: &str) -> ObjectBuilder {
    let most = i64::try_from(Params::MAX_LIMIT).unwrap_or(i64::MAX);
    match name {
        "limit" | "top" => integer().minimum(Some(1)).maximum(Some(most)),
        "page" => integer().minimum(Some(1)),
        "offset" => integer().minimum(Some(0)).maximum(Some(10_000)),
        "order" => one_of(["desc", "asc"]),
        "count" => one_of(["estimate", "exact"]),
        "interval" => one_of(["auto", "minute", "hour", "day", "week"]),
        "format" => one_of(["csv", "json", "jsonl", "ocsf", "cloudevents"]),
        "bom" => boolean(),
        _ => text().examples([example]),
    }
}

fn query(name: &str, about: String, schema: ObjectBuilder) -> Parameter {
    parameter(name, ParameterIn::Query, about, schema)
}

/// Describes a part of the path.
pub(super) fn path(name: &str, about: &str, schema: ObjectBuilder) -> Parameter {
    let parameter = parameter(name, ParameterIn::Path, about.to_owned(), schema);
    ParameterBuilder::from(parameter).required(Required::True).build()
}

/// Describes a header.
pub(super) fn header(name: &str, about: &str) -> Parameter {
    parameter(name, ParameterIn::Header, about.to_owned(), text().max_length(Some(128)))
}

fn parameter(name: &str, place: ParameterIn, about: String, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}
