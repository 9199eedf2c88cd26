//! Parameters, from the tables of the query language.

use utoipa::openapi::{
    ArrayBuilder, ObjectBuilder, RefOr, Required, Schema,
    path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle},
};

use super::schemas::{boolean, integer, one_of, text};
use crate::{
    api::facets,
    encode::Format,
    query::{Extra, FIELDS, Interval, MAX_LENGTH, PARAMETERS, Params, QueryField},
};

/// Describes what an endpoint takes behind the `?`.
pub(super) fn of(extras: &[Extra]) -> Vec<Parameter> {
    let own = PARAMETERS.iter().filter(|parameter| extras.contains(&parameter.extra()));
    let own = own.map(|parameter| {
        let also = spellings(parameter.other_spellings());
        let about = format!("{}{also}", parameter.about());
        query(parameter.name(), about, schema(parameter.name(), parameter.example()))
    });
    let fields = FIELDS.iter().filter(|field| field.is_parameter());
    let fields = fields.filter(|_| extras.contains(&Extra::Filters)).map(field);
    own.chain(fields).collect()
}

fn field(field: &QueryField) -> Parameter {
    let also = spellings(field.other_spellings());
    let about = format!("{}; a comma means any of{also}", field.about());
    query(field.name(), about, asked().examples([example(field)]))
}

/// Returns a value for the parameter, from the condition in `q` that the table has.
fn example(field: &QueryField) -> String {
    let condition = field.example().trim_start_matches('-');
    let value = condition.split_once(':').map_or(condition, |(_, value)| value);
    value.trim_matches(['(', ')', '"']).replace(" OR ", ",")
}

fn spellings(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!(" (also spelt {})", names.join(", ")) }
}

/// A parameter without a value is refused.
fn asked() -> ObjectBuilder {
    text().min_length(Some(1))
}

/// The kinds that have bounds are numbers and words; the rest is text.
fn schema(name: &str, example: &str) -> RefOr<Schema> {
    match name {
        "limit" => integer().minimum(Some(1)).maximum(Some(Params::MAX_LIMIT)).into(),
        "top" => integer().minimum(Some(1)).maximum(Some(Params::MAX_TOP)).into(),
        "page" => integer().minimum(Some(1)).maximum(Some(Params::MAX_OFFSET)).into(),
        "offset" => integer().minimum(Some(0)).maximum(Some(Params::MAX_OFFSET - 1)).into(),
        "order" => one_of(["desc", "asc"]).into(),
        "count" => one_of(["estimate", "exact"]).into(),
        "interval" => one_of(Interval::ALL.map(Interval::as_str)).into(),
        "format" => one_of(Format::ALL.map(Format::as_str)).into(),
        "bom" | "proofs" | "restricted" => boolean().into(),
        "fields" => ArrayBuilder::new()
            .items(one_of(facets::FIELDS))
            .min_items(Some(1))
            .max_items(Some(facets::MAX_FIELDS))
            .into(),
        "q" => asked().max_length(Some(MAX_LENGTH)).examples([example]).into(),
        // They come from an answer, and no other is accepted.
        "cursor" | "ticket" => asked().into(),
        _ => asked().examples([example]).into(),
    }
}

/// One that an endpoint alone takes.
pub(super) fn own(name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    query(name, about.to_owned(), schema)
}

fn query(name: &str, about: String, schema: impl Into<RefOr<Schema>>) -> Parameter {
    let parameter = parameter(name, ParameterIn::Query, about, schema);
    if name == "fields" {
        // One value, with commas between the names.
        let list = ParameterBuilder::from(parameter).style(Some(ParameterStyle::Form));
        return list.explode(Some(false)).build();
    }
    parameter
}

/// Describes a parameter that has to be given.
pub(super) fn required(name: &str, about: &str, schema: ObjectBuilder) -> Parameter {
    let parameter = optional(name, about, schema);
    ParameterBuilder::from(parameter).required(Required::True).build()
}

/// Describes one that may be left out.
pub(super) fn optional(name: &str, about: &str, schema: ObjectBuilder) -> Parameter {
    let schema = schema.min_length(Some(1));
    parameter(name, ParameterIn::Query, about.to_owned(), schema)
}

/// Describes a parameter that may be given several times.
pub(super) fn several(name: &str, about: &str, item: ObjectBuilder) -> Parameter {
    let list = ArrayBuilder::new().items(item).max_items(Some(63));
    let parameter = parameter(name, ParameterIn::Query, about.to_owned(), list);
    let list = ParameterBuilder::from(parameter).style(Some(ParameterStyle::Form));
    list.explode(Some(true)).build()
}

/// Describes a part of the path.
pub(super) fn path(name: &str, about: &str, schema: ObjectBuilder) -> Parameter {
    let schema = schema.min_length(Some(1));
    let parameter = parameter(name, ParameterIn::Path, about.to_owned(), schema);
    ParameterBuilder::from(parameter).required(Required::True).build()
}

/// Describes a header.
pub(super) fn header(name: &str, about: &str, schema: ObjectBuilder) -> Parameter {
    parameter(name, ParameterIn::Header, about.to_owned(), schema)
}

fn parameter(
    name: &str,
    place: ParameterIn,
    about: String,
    schema: impl Into<RefOr<Schema>>,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{query::ParamError, time::Timestamp};

    #[test]
    fn every_example_is_a_value_that_is_read() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let mut read = 0;
        for field in FIELDS.iter().filter(|field| field.is_parameter()) {
            let value = example(field);
            let pairs = [(field.name().to_owned(), value.clone())];
            let params: Result<Params, ParamError> = Params::read(&pairs, &[Extra::Filters], now);
            assert!(params.is_ok(), "{}={value}: {params:?}", field.name());
            read += 1;
        }
        assert!(read > 20, "{read}");
    }
}
