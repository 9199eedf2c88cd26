//! Each endpoint: what it takes and what it answers.

use utoipa::openapi::{
    RefOr, Required, ResponseBuilder, Schema,
    path::OperationBuilder,
    request_body::RequestBodyBuilder,
    schema::{ObjectBuilder, OneOfBuilder},
};

use super::{
    answers::{REFUSALS, header, json_of, of, retry_after},
    parameters::{self, header as header_parameter, optional, path, required, several},
    schemas::{count, either_or_null, list, moment, named, one_of, text, uuid},
};
use crate::{
    api::{
        consents::{AT, PURPOSE, SUBJECT},
        endpoint::{Endpoint, Guard},
        subject_export::{ALSO, PERSON_TYPE},
        subjects::GROUP,
    },
    encode::Format,
    query::Extra,
    record::Group,
};

/// What `/records` and the trails take.
const LIST: [Extra; 6] =
    [Extra::Filters, Extra::Order, Extra::Limit, Extra::Cursor, Extra::Offset, Extra::Count];
const LIVE: [Extra; 3] = [Extra::Filters, Extra::Cursor, Extra::Ticket];

/// Describes an endpoint of the table; the caller adds its name and what it is about.
pub(super) fn describe(endpoint: &Endpoint) -> OperationBuilder {
    let operation = match (endpoint.method, endpoint.path) {
        (_, "/") => answers(
            json_of("What there is; for a browser the viewer", "Overview")
                .content("text/html", of(text()))
                .header("Vary", header(text(), "`Accept` and `Accept-Language` decide"))
                .header("Content-Language", header(text(), "That of the viewer's words")),
        ),
        ("POST", "/records") => ingest(),
        (_, "/records") => records(),
        (_, "/records/{id}") => answers(json_of("The record", "Record")).parameter(path(
            "id",
            "The id of a record",
            uuid(),
        )),
        (_, "/records/{id}/proof") => answers(json_of("The proof", "Proof")).parameter(path(
            "id",
            "The id of a record",
            uuid(),
        )),
        (_, "/subjects/{id}/export") => subject_export(),
        ("POST", "/consents") => {
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content("application/json", of(named("NewConsent")));
            OperationBuilder::new()
                .request_body(Some(body.build()))
                .response("201", json_of("It is stored", "ConsentRecorded"))
        }
        (_, "/consents") => answers(json_of("What stood at that time, and what led to it", "Consents"))
            .parameter(required(SUBJECT, "Whose consents", text().max_length(Some(512)).examples(["ana"])))
            .parameter(optional(PURPOSE, "To this purpose alone", text()))
            .parameter(optional(AT, "As of this moment; now by default", moment())),
        ("GET", "/subjects/{id}/erasure") => answers(json_of("What erasing would reach", "ErasurePlan"))
            .parameter(path("id", "The id that records have of the person", text()))
            .parameter(several(ALSO, "Another id of the same person", name()))
            .parameter(several(PERSON_TYPE, "A type of things that are persons, beside `user`", name()))
            .parameter(several(
                GROUP,
                "A group to be erased of each record about the person; by default his part in the record decides",
                one_of(Group::ERASABLE.map(Group::as_str)),
            )),
        (_, "/subjects/{id}/erasure") => {
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .description(Some("On which legal basis, and what else is known of the person"))
                .content("application/json", of(named("NewErasure")));
            answers(json_of("What was erased", "Certificate"))
                .request_body(Some(body.build()))
                .parameter(path("id", "The id that records have of the person", text()))
        }
        ("POST", "/holds") => {
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .description(Some("What is held, and why"))
                .content("application/json", of(named("NewHold")));
            OperationBuilder::new()
                .response("201", json_of("The hold, which stands from now on", "Hold"))
                .request_body(Some(body.build()))
        }
        (_, "/holds") => answers(json_of("The holds, those that stand first", "Holds")),
        (_, "/holds/restricted") => {
            let extras = [Extra::Filters, Extra::Limit, Extra::Cursor];
            answers(json_of("Records as they were recorded, the first that was restricted first", "Restricted"))
                .parameters(Some(parameters::of(&extras)))
        }
        (_, "/holds/{id}") => answers(json_of("The hold, which was lifted", "Hold"))
            .parameter(path("id", "The id of the hold", uuid()))
            .parameter(parameters::own(
                "reason",
                "Why, for the record of it",
                text().max_length(Some(2_048)),
            )),
        ("PUT", "/retention") => {
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .description(Some(
                    "As `[retention]` of the rules file; from a caller of one tenant the categories alone. `null` takes \
                     back what was set",
                ))
                .content("application/json", of(either_or_null(named("RetentionPolicy"))));
            answers(json_of("How long records are kept from now on", "Retention"))
                .request_body(Some(body.build()))
        }
        (_, "/retention") => answers(json_of("How long records are kept", "Retention")),
        (_, "/checkpoint") => answers(
            ResponseBuilder::new()
                .description("A signed note, as c2sp.org/tlog-checkpoint has it")
                .content("text/plain; charset=utf-8", of(text())),
        ),
        (_, "/entities/{type}/{id}") => records()
            .parameter(path("type", "The type of thing, such as `order`", text()))
            .parameter(path("id", "Its id", text())),
        (_, "/actors/{id}") => records().parameter(path("id", "Who acted", text())),
        (_, "/sessions/{id}") => {
            records().parameter(path("id", "The session, by its pseudonym", text()))
        }
        (_, "/stats") => answers(json_of("The numbers", "Stats"))
            .parameters(Some(parameters::of(&[Extra::Filters, Extra::Interval]))),
        (_, "/facets") => {
            let extras = [Extra::Filters, Extra::Fields, Extra::Top, Extra::Prefix];
            answers(json_of("The values", "Facets")).parameters(Some(parameters::of(&extras)))
        }
        (_, "/export") => export(),
        (_, "/bundle") => bundle(),
        (_, "/live") => OperationBuilder::new()
            .description(Some(
                "A WebSocket (RFC 6455, over HTTP/2 RFC 8441). Each message is a `LiveMessage`, as text.",
            ))
            .response("101", ResponseBuilder::new().description("The session"))
            .parameters(Some(parameters::of(&LIVE))),
        (_, "/live/sse") => {
            let about = "The session: the `data` of each event is a `LiveMessage`, its `event` the `type`, \
                         its `id` the `cursor`";
            answers(ResponseBuilder::new().description(about).content("text/event-stream", of(text())))
                .parameter(header_parameter(
                    "Last-Event-ID",
                    "Where to go on: the `id` of the last event",
                    text().min_length(Some(1)),
                ))
                .parameters(Some(parameters::of(&LIVE)))
        }
        (_, "/me") => answers(json_of("Who is asking", "Me")),
        (_, "/tickets") => OperationBuilder::new()
            .response("201", json_of("A ticket for `?ticket=`, good once, for 30 seconds", "Ticket")),
        (_, "/health") => answers(json_of("How the log is doing", "Health"))
            .response("503", json_of("It is failing", "Health")),
        (_, "/assets/{revision}/{file}") => asset(),
        (_, "/completeness") => answers(json_of("The writers, the one that wrote last first", "Completeness"))
            .parameters(Some(parameters::of(&[Extra::Limit]))),
        _ => answers(
            ResponseBuilder::new()
                .description("This description")
                .content("application/json", of(ObjectBuilder::new())),
        ),
    };
    let mut operation = operation.tag(tag(endpoint));
    for refusal in REFUSALS.iter().filter(|refusal| is_refused(endpoint, refusal.status)) {
        operation = operation.response(refusal.status, RefOr::from(refusal.named()));
    }
    operation
}

/// Tells whether an endpoint may answer this status with a problem.
fn is_refused(endpoint: &Endpoint, status: &str) -> bool {
    let is_open = endpoint.guard == Guard::Open;
    let takes_body =
        matches!(endpoint.guard, Guard::HandedIn | Guard::Changed) && endpoint.method != "DELETE";
    let is_live = endpoint.name == "live";
    match status {
        // Whatever asks for a WebSocket is asked where it comes from; and anything may hold a defect.
        "403" | "500" => true,
        "404" => matches!(
            endpoint.name,
            "record"
                | "proof"
                | "checkpoint"
                | "export"
                | "bundle"
                | "subject_export"
                | "asset"
                | "hold_lift"
        ),
        "408" => endpoint.guard == Guard::HandedIn,
        "413" | "415" => takes_body,
        "426" => endpoint.path == "/live",
        // A ticket is fetched without asking the store. Health has a 503 of its own.
        "501" | "503" => {
            let asks = is_live || endpoint.name == "checkpoint" || endpoint.guard != Guard::Asked;
            !is_open && asks
        }
        "414" => !is_open && !takes_body,
        _ => !is_open,
    }
}

const fn tag(endpoint: &Endpoint) -> &'static str {
    match (endpoint.guard, endpoint.path.as_bytes()) {
        (_, b"/me") => "service",
        (Guard::Asked, _) | (_, b"/live" | b"/live/sse") => "live",
        (Guard::HandedIn, _) => "ingest",
        (Guard::Changed, _) => "privacy",
        (Guard::Exported, _) => "export",
        (Guard::Viewed, _) => "reading",
        (Guard::Open, _) => "service",
    }
}

fn answers(response: ResponseBuilder) -> OperationBuilder {
    OperationBuilder::new().response("200", response)
}

fn records() -> OperationBuilder {
    answers(json_of("A page of records", "Records")).parameters(Some(parameters::of(&LIST)))
}

fn asset() -> OperationBuilder {
    let file = ["text/javascript", "text/css", "image/svg+xml"].into_iter().fold(
        ResponseBuilder::new().description("The file, compressed for whoever takes gzip"),
        |response, kind| response.content(kind, of(text())),
    );
    let file = file
        .header("ETag", header(text(), "Of all files together"))
        .header("Vary", header(text(), "`Accept-Encoding` decides"));
    answers(file)
        .response(
            "304",
            ResponseBuilder::new().description("It is the one that `If-None-Match` names"),
        )
        .parameter(path("revision", "A hash of all files, as the page names it", text()))
        .parameter(path("file", "Its name", text()))
}

fn export() -> OperationBuilder {
    let mut response = ResponseBuilder::new()
        .description(
            "The whole result, streamed. Clients that send `TE: trailers` get `activity-records`, the number \
             of records, and `activity-unreadable`, the number of rows that are no records any more",
        )
        .header("Content-Disposition", header(text(), "A name for the file"))
        .header("activity-position", header(count(), "Where the ledger stood: what is exported"));
    for format in Format::ALL {
        let kind = format.media_type();
        // Parameters of a media type are no part of its name here.
        let kind = kind.split(';').next().unwrap_or(kind);
        let schema: RefOr<Schema> = match format {
            Format::Json => named("Exported"),
            Format::CloudEvents => list(ObjectBuilder::new().into()),
            Format::Csv | Format::JsonLines | Format::Ocsf => text().into(),
        };
        response = response.content(kind, of(schema));
    }
    answers(response).parameters(Some(parameters::of(&[
        Extra::Filters,
        Extra::Order,
        Extra::Format,
        Extra::Bom,
        Extra::Proofs,
        Extra::Restricted,
    ])))
}

fn bundle() -> OperationBuilder {
    let about = "The records with their proofs, the signed head of the ledger, a page for people, and a verifier in \
                 Python. Clients that send `TE: trailers` get `activity-records` and `activity-unreadable`, as of an \
                 export";
    let response = ResponseBuilder::new()
        .description(about)
        .content("application/zip", of(text()))
        .header("Content-Disposition", header(text(), "A name for the file"))
        .header("activity-position", header(count(), "Where the ledger stood: what is bundled"));
    let extras = [Extra::Filters, Extra::Order, Extra::Restricted];
    answers(response).parameters(Some(parameters::of(&extras)))
}

fn subject_export() -> OperationBuilder {
    let about = "All records about the person, oldest first: `data.json` and `data.csv` for reading, without what is about \
                 other people, and their proofs, as of a bundle. Clients that send `TE: trailers` get `activity-records` and \
                 `activity-unreadable`";
    let response = ResponseBuilder::new()
        .description(about)
        .content("application/zip", of(text()))
        .header("Content-Disposition", header(text(), "A name for the file"))
        .header("activity-position", header(count(), "Where the ledger stood: what is exported"));
    answers(response)
        .parameter(path(
            "id",
            "The id that records have of the person",
            text().max_length(Some(512)),
        ))
        .parameter(several(ALSO, "Another id of the same person", name()))
        .parameter(several(PERSON_TYPE, "A type of things that are persons, beside `user`", name()))
}

/// An id or a type of somebody.
fn name() -> ObjectBuilder {
    text().min_length(Some(1)).max_length(Some(512))
}

fn ingest() -> OperationBuilder {
    let one_or_many = OneOfBuilder::new().item(named("NewRecord")).item(list(named("NewRecord")));
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .description(Some(
            "One record, an array of records, or JSON Lines (a record in each line); at most 8 MiB and \
             10,000 records",
        ))
        .content("application/json", of(Schema::from(one_or_many.build())))
        .content("application/x-ndjson", of(text()));
    let some = json_of("Some were rejected, and it is said which and why", "Accepted");
    OperationBuilder::new()
        .request_body(Some(body.build()))
        .parameter(header_parameter(
            "Idempotency-Key",
            "Sent again with the same key, nothing is stored twice",
            text()
                .min_length(Some(1))
                .max_length(Some(128))
                .pattern(Some(r"^[\t -~]*[!-~][\t -~]*$")),
        ))
        .response("201", json_of("All of them are stored", "Accepted"))
        .response("207", some.header("Retry-After", retry_after()))
}
