//! Each endpoint: what it takes and what it answers.

use utoipa::openapi::{
    ContentBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, SchemaFormat,
    path::OperationBuilder, request_body::RequestBodyBuilder,
};

use super::{
    parameters::{self, header, path},
    schemas::{list, named, text},
};
use crate::{api::endpoint::Endpoint, encode::Format, query::Extra};

/// What `/records` and the trails take.
const LIST: [Extra; 6] =
    [Extra::Filters, Extra::Order, Extra::Limit, Extra::Cursor, Extra::Offset, Extra::Count];
const LIVE: [Extra; 3] = [Extra::Filters, Extra::Cursor, Extra::Ticket];

/// Describes an endpoint of the table; the caller adds its name and what it is about.
pub(super) fn describe(endpoint: &Endpoint) -> OperationBuilder {
    let operation = match (endpoint.method, endpoint.path) {
        (_, "/") => answers("The viewer, or the overview as JSON", "text/html", text()),
        ("POST", "/records") => ingest(),
        (_, "/records") => records(),
        (_, "/records/{id}") => {
            json("The record", "Record").parameter(path("id", "The id of a record", id()))
        }
        (_, "/entities/{type}/{id}") => records()
            .parameter(path("type", "The type of thing, such as `order`", text()))
            .parameter(path("id", "Its id", text())),
        (_, "/actors/{id}") => records().parameter(path("id", "Who acted", text())),
        (_, "/sessions/{id}") => {
            records().parameter(path("id", "The session, by its pseudonym", text()))
        }
        (_, "/stats") => json("The numbers", "Stats")
            .parameters(Some(parameters::of(&[Extra::Filters, Extra::Interval]))),
        (_, "/facets") => {
            let extras = [Extra::Filters, Extra::Fields, Extra::Top, Extra::Prefix];
            json("The values", "Facets").parameters(Some(parameters::of(&extras)))
        }
        (_, "/export") => export(),
        (_, "/live") => OperationBuilder::new()
            .description(Some(
                "A WebSocket. Messages: `{\"type\":\"records\",\"data\":[…],\"count\":n,\"cursor\":\"…\"}`, \
                 `{\"type\":\"lagged\",\"missed\":n,\"cursor\":\"…\"}`, \
                 `{\"type\":\"heartbeat\",\"cursor\":\"…\"}`",
            ))
            .response("101", ResponseBuilder::new().description("The session"))
            .parameters(Some(parameters::of(&LIVE))),
        (_, "/live/sse") => answers("The session", "text/event-stream", text())
            .parameter(header("Last-Event-ID", "Where to go on: the `id` of the last event"))
            .parameters(Some(parameters::of(&LIVE))),
        (_, "/tickets") => {
            let content = ContentBuilder::new().schema(Some(named("Ticket"))).build();
            OperationBuilder::new().response(
                "201",
                ResponseBuilder::new()
                    .description("A ticket for `?ticket=`, good once, for 30 seconds")
                    .content("application/json", content),
            )
        }
        (_, "/me") => json("Who is asking", "Me"),
        (_, "/health") => json("How the log is doing", "Health").response(
            "503",
            ResponseBuilder::new()
                .description("It is failing")
                .content("application/json", of(named("Health"))),
        ),
        _ => answers("This description", "application/json", text_object()),
    };
    operation.response("default", problem())
}

fn id() -> utoipa::openapi::ObjectBuilder {
    text().format(Some(SchemaFormat::Custom("uuid".to_owned())))
}

fn text_object() -> utoipa::openapi::ObjectBuilder {
    utoipa::openapi::ObjectBuilder::new()
}

fn of(schema: impl Into<RefOr<Schema>>) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

fn answers(about: &str, kind: &str, schema: utoipa::openapi::ObjectBuilder) -> OperationBuilder {
    let response = ResponseBuilder::new().description(about).content(kind, of(schema));
    OperationBuilder::new().response("200", response)
}

fn json(about: &str, name: &str) -> OperationBuilder {
    let response = ResponseBuilder::new().description(about);
    OperationBuilder::new().response("200", response.content("application/json", of(named(name))))
}

fn records() -> OperationBuilder {
    json("A page of records", "Records").parameters(Some(parameters::of(&LIST)))
}

fn export() -> OperationBuilder {
    let mut response = ResponseBuilder::new().description("The whole result, streamed");
    for format in Format::ALL {
        let kind = format.media_type();
        // Parameters of a media type are no part of its name here.
        let kind = kind.split(';').next().unwrap_or(kind);
        response = response.content(kind, of(text()));
    }
    OperationBuilder::new().response("200", response).parameters(Some(parameters::of(&[
        Extra::Filters,
        Extra::Order,
        Extra::Format,
        Extra::Bom,
    ])))
}

fn ingest() -> OperationBuilder {
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .description(Some(
            "One record, an array of records, or JSON Lines; at most 8 MiB and 10,000",
        ))
        .content("application/json", of(list(named("NewRecord"))))
        .content("application/x-ndjson", of(text()));
    let answer = |about: &str| {
        ResponseBuilder::new().description(about).content("application/json", of(named("Accepted")))
    };
    OperationBuilder::new()
        .request_body(Some(body.build()))
        .parameter(header(
            "Idempotency-Key",
            "Sent again with the same key, nothing is stored twice",
        ))
        .response("201", answer("All of them are stored"))
        .response("207", answer("Some of them were rejected"))
}

fn problem() -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description("What was wrong")
        .content("application/problem+json", content)
}
