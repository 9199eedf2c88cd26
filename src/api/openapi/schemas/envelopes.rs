//! What stands around records: pages, numbers, tickets, messages, problems.

use serde_json::json;
use utoipa::openapi::{
    Schema,
    schema::{OneOfBuilder, Type},
};

use super::{
    Described, boolean, by_key, count, integer, list, moment, moment_or_null, named, object,
    one_of, or_null, text, uuid, with_example,
};
use crate::{
    api::access::Permission,
    query::Interval,
    record::{ActorType, Outcome},
};

pub(super) fn overview() -> Described {
    let endpoint = object(
        3,
        vec![
            ("method", one_of(["GET", "POST", "PUT", "DELETE"]).into()),
            ("href", text().description(Some("Relative to this address")).into()),
            ("about", text().into()),
        ],
    );
    let version = text().description(Some("The version of tower-activity"));
    let properties =
        vec![("name", text().into()), ("version", version.into()), ("endpoints", list(endpoint))];
    object(3, properties)
}

pub(super) fn records() -> Described {
    let cursor = |about| or_null(Type::String).description(Some(about)).into();
    let relation = one_of(["eq", "gte", "estimate"])
        .description(Some("That many, at least that many, or about that many"));
    let total = object(2, vec![("value", count().into()), ("relation", relation.into())]);
    let unfinished = boolean()
        .enum_values(Some([false]))
        .description(Some("The time was up before the page was full; `next` goes on"));
    let committed = one_of(["committed"]).description(Some("A text index answered, in its order"));
    let unreadable = count().description(Some("Rows that are no records any more"));
    object(
        4,
        vec![
            ("records", list(named("Record"))),
            ("next", cursor("Where the next page begins")),
            ("prev", cursor("Where the page before begins")),
            ("live", text().description(Some("Where `live` goes on without a gap")).into()),
            ("total", total),
            ("search", search()),
            ("order", committed.into()),
            ("complete", unfinished.into()),
            ("unreadable", unreadable.into()),
        ],
    )
}

/// How words were looked for: only where some were.
fn search() -> Described {
    let complete = boolean().description(Some("Whether the time sufficed for the whole range"));
    object(
        2,
        vec![
            ("indexed", boolean().into()),
            ("complete", complete.into()),
            ("from", moment().description(Some("How far back words were looked for")).into()),
            ("hint", text().into()),
        ],
    )
}

pub(super) fn exported() -> Described {
    object(1, vec![("records", list(named("Record")))])
}

pub(super) fn stats() -> Described {
    let by_value = || by_key(count().into());
    let by_outcome = || {
        let counts = Outcome::WORDS.iter().map(|word| (*word, count().into())).collect();
        super::closed(0, counts)
    };
    let slot = object(
        3,
        vec![("at", moment().into()), ("total", count().into()), ("by_outcome", by_outcome())],
    );
    object(
        13,
        vec![
            ("total", count().into()),
            ("last_24h", count().into()),
            ("by_action", by_value()),
            ("by_entity_type", by_value()),
            ("by_actor", by_value()),
            ("by_outcome", by_outcome()),
            ("by_category", by_value()),
            ("series", list(slot)),
            ("interval", one_of(Interval::ALL.map(Interval::as_str)).into()),
            ("tz", text().into()),
            ("exact", boolean().into()),
            ("complete", boolean().into()),
            ("as_of", as_of()),
            ("search", search()),
        ],
    )
}

fn as_of() -> Described {
    moment_or_null().description(Some("How far the rollups have come")).into()
}

pub(super) fn facets() -> Described {
    let facet = object(2, vec![("value", text().into()), ("count", count().into())]);
    object(
        4,
        vec![
            ("facets", by_key(list(facet))),
            ("exact", boolean().into()),
            ("complete", boolean().into()),
            ("as_of", as_of()),
            ("search", search()),
        ],
    )
}

pub(super) fn accepted() -> Described {
    let retry = boolean().description(Some("Whether the same item may be taken later"));
    let rejected = object(
        4,
        vec![
            ("index", count().into()),
            ("type", text().description(Some("Stable; one word for each kind")).into()),
            ("detail", text().into()),
            ("retry", retry.into()),
        ],
    );
    let duplicate = boolean().description(Some("It was stored before"));
    let record = object(
        3,
        vec![("index", count().into()), ("id", uuid().into()), ("duplicate", duplicate.into())],
    );
    object(
        3,
        vec![("accepted", count().into()), ("rejected", list(rejected)), ("records", list(record))],
    )
}

pub(super) fn ticket() -> Described {
    let seconds = count().description(Some("Seconds"));
    object(2, vec![("ticket", text().into()), ("expires_in", seconds.into())])
}

pub(super) fn me() -> Described {
    let actor = vec![
        ("type", one_of(ActorType::WORDS.iter().copied()).into()),
        ("id", or_null(Type::String).into()),
        ("name", or_null(Type::String).into()),
    ];
    let permissions = one_of(Permission::ALL.map(Permission::as_str));
    let tenant = or_null(Type::String).description(Some("The only one he may see; null for all"));
    object(
        3,
        vec![
            ("actor", object(3, actor)),
            ("permissions", list(permissions.into())),
            ("tenant", tenant.into()),
        ],
    )
}

pub(super) fn live_message() -> Described {
    let message = |name: &'static str, own: Vec<(&'static str, Described)>| {
        let mut properties = vec![
            ("type", one_of([name]).into()),
            ("cursor", text().description(Some("Where to go on behind it")).into()),
        ];
        properties.extend(own);
        object(properties.len(), properties)
    };
    let messages = OneOfBuilder::new()
        .item(message("records", vec![("data", list(named("Record"))), ("count", count().into())]))
        .item(message("lagged", vec![("missed", count().into())]))
        .item(message("heartbeat", Vec::new()))
        .description(Some(
            "What a live session says, over the WebSocket and as server-sent events",
        ));
    Schema::from(messages.build()).into()
}

pub(super) fn problem() -> Described {
    let example = json!({
        "type": "urn:tower-activity:problem:invalid-parameter", "title": "Bad Request", "status": 400,
        "detail": "there is no field `actoin`; did you mean `action`?", "parameter": "q", "column": 1,
    });
    let column = integer().minimum(Some(1)).description(Some("Where in the parameter, from 1 on"));
    let described = object(
        4,
        vec![
            ("type", text().description(Some("Stable; one word for each kind")).into()),
            ("title", text().into()),
            ("status", integer().into()),
            ("detail", text().description(Some("For people")).into()),
            (
                "parameter",
                text().description(Some("The parameter, or header, that it is about")).into(),
            ),
            ("column", column.into()),
        ],
    );
    with_example(described, example)
}
