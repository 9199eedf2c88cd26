//! What is answered: content by its media type, headers, and the refusals that endpoints share.

use serde_json::json;
use utoipa::openapi::{
    Content, ContentBuilder, Header, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder, Schema,
    schema::AllOfBuilder,
};

use super::schemas::{integer, named, object, one_of, text};
use crate::api::problem::{CONTENT_TYPE, Problem};

/// A status that is a problem, and the `type`s that come with it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: &'static str,
    /// Its name among the components.
    pub(super) name: &'static str,
    about: &'static str,
    kinds: &'static [&'static str],
    header: Option<(&'static str, &'static str)>,
}

const fn refusal(
    status: &'static str,
    name: &'static str,
    about: &'static str,
    kinds: &'static [&'static str],
) -> Refusal {
    Refusal { status, name, about, kinds, header: None }
}

const fn with(refusal: Refusal, name: &'static str, about: &'static str) -> Refusal {
    Refusal { header: Some((name, about)), ..refusal }
}

const LATER: (&str, &str) = ("Retry-After", "Seconds after which to come back");

/// Every problem of the API.
pub(super) const REFUSALS: &[Refusal] = &[
    refusal(
        "400",
        "BadRequest",
        "A parameter, the path or the body cannot be read",
        &[
            "invalid-parameter",
            "invalid-cursor",
            "invalid-path",
            "invalid-request",
            "invalid-json",
            "empty-body",
            "unreadable-body",
            "websocket-expected",
        ],
    ),
    with(
        refusal(
            "401",
            "Unauthenticated",
            "Nobody said who he is, or the ticket is good no more",
            &["unauthenticated", "unknown-ticket"],
        ),
        "WWW-Authenticate",
        "How to say who one is, where there is a way",
    ),
    refusal(
        "403",
        "Forbidden",
        "The caller lacks the permission that is named, or a page of another origin sent it",
        &["forbidden", "foreign-origin"],
    ),
    refusal("404", "NotFound", "There is no such record for this caller", &["not-found"]),
    refusal("408", "TooSlow", "The body did not arrive in time", &["too-slow"]),
    refusal("413", "TooLarge", "The body holds too much", &["too-large", "too-many-items"]),
    refusal("414", "TooLong", "The question takes more than 16 KiB", &["uri-too-long"]),
    refusal(
        "415",
        "MediaType",
        "The body is of a type that is not taken, or of none",
        &["media-type"],
    ),
    refusal(
        "426",
        "UpgradeRequired",
        "A WebSocket is expected; `live/sse` takes any client",
        &["websocket-expected"],
    ),
    with(
        refusal(
            "429",
            "TooManyRequests",
            "There is no room for it now; nothing of it was taken",
            &["too-many-requests", "queue-full"],
        ),
        LATER.0,
        LATER.1,
    ),
    refusal("500", "Internal", "A defect; the service's diagnostics say more", &["internal"]),
    refusal(
        "501",
        "UnreadableStore",
        "The store takes records and cannot be asked, or the service lacks the keys for it",
        &["unreadable-store", "no-keys"],
    ),
    with(
        refusal(
            "503",
            "Unavailable",
            "The store or its archive is away or does not answer in time, the service stops, or too many listen",
            &["store-unavailable", "archive-unavailable", "shutting-down", "too-many-sessions"],
        ),
        LATER.0,
        LATER.1,
    ),
];

impl Refusal {
    /// Returns what stands among the components.
    pub(super) fn described(&self) -> Response {
        let kinds: Vec<_> =
            self.kinds.iter().map(|kind| format!("{}{kind}", Problem::PREFIX)).collect();
        let status: u16 = self.status.parse().unwrap_or_default();
        let narrowed = object(
            0,
            vec![
                ("type", one_of(kinds.iter().map(String::as_str)).into()),
                ("status", integer().enum_values(Some([json!(status)])).into()),
            ],
        );
        let schema = AllOfBuilder::new().item(named("Problem")).item(narrowed);
        let response = ResponseBuilder::new()
            .description(self.about)
            .content(CONTENT_TYPE, of(Schema::from(schema.build())));
        match self.header {
            Some((name, about)) => response.header(name, header(text(), about)),
            None => response,
        }
        .build()
    }

    /// Returns a reference to it.
    pub(super) fn named(&self) -> Ref {
        Ref::from_response_name(self.name)
    }
}

/// Returns the header that says when to send again.
pub(super) fn retry_after() -> Header {
    header(text(), LATER.1)
}

pub(super) fn header(schema: impl Into<RefOr<Schema>>, about: &str) -> Header {
    HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build()
}

pub(super) fn of(schema: impl Into<RefOr<Schema>>) -> Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

/// Returns an answer in JSON, of a schema that has a name.
pub(super) fn json_of(about: &str, name: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(about).content("application/json", of(named(name)))
}
