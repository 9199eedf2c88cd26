//! How the log is doing.

use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::{
    Described, count, either_or_null, list, moment, moment_or_null, object, one_of, or_null,
    stream, text,
};
use crate::{pipeline::DropReason, rules::Delivery, store::Index};

/// Whoever may not configure the log sees the status alone.
pub(super) fn health() -> Described {
    let status = one_of(["ok", "degraded", "failing"]);
    let share = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
    let max = or_null(Type::Integer).description(Some(
        "How large the log may get, as the retention says; null when it does not",
    ));
    let part = or_null(Type::Number).description(Some("How much of that is filled"));
    let storage = object(
        7,
        vec![
            ("rows", or_null(Type::Integer).into()),
            ("bytes", or_null(Type::Integer).into()),
            ("oldest", moment_or_null().into()),
            ("newest", moment_or_null().into()),
            ("used_bytes", or_null(Type::Integer).into()),
            ("max_bytes", max.into()),
            ("share", part.into()),
        ],
    );
    let lag = or_null(Type::Integer).description(Some(
        "How long its oldest record has been waiting; null where only another process knows",
    ));
    let writer = object(
        4,
        vec![
            ("id", stream().into()),
            ("last_seq", count().into()),
            ("gaps", count().into()),
            ("lag_ms", lag.into()),
        ],
    );
    let waited = or_null(Type::Integer).description(Some("How long the oldest of them has waited"));
    let outbox = object(
        5,
        vec![
            ("recorded", count().into()),
            ("stored", count().into()),
            ("quarantined", count().into()),
            ("pending", count().into()),
            ("oldest_ms", waited.into()),
        ],
    );
    let behind = object(1, vec![("behind", count().into())]);
    let verified = object(
        4,
        vec![
            ("at", moment().into()),
            ("age_ms", count().description(Some("How long ago that was")).into()),
            ("position", count().description(Some("Up to where in the ledger")).into()),
            ("result", one_of(["unaltered", "altered", "incomplete"]).into()),
        ],
    );
    let indexes = list(one_of(Index::ALL.map(Index::as_str)).into());
    object(
        1,
        vec![
            ("status", status.into()),
            ("reasons", list(text().into())),
            ("mode", one_of(Delivery::WORDS.iter().copied()).into()),
            ("queue", object(1, vec![("share", share.into())])),
            ("spool", either_or_null(spool())),
            ("tally", tally()),
            ("outbox", either_or_null(outbox)),
            ("writers", either_or_null(list(writer))),
            ("writers_total", or_null(Type::Integer).into()),
            ("storage", either_or_null(storage)),
            ("rollups", either_or_null(behind)),
            ("indexes", either_or_null(indexes)),
            ("last_verify", either_or_null(verified)),
        ],
    )
}

fn spool() -> Described {
    let oldest = or_null(Type::Integer)
        .description(Some("How long ago the oldest record was made that the store does not have"));
    object(
        6,
        vec![
            ("bytes", count().into()),
            ("kept_bytes", count().into()),
            ("cap_bytes", count().into()),
            ("oldest_ms", oldest.into()),
            ("quarantined", count().into()),
            ("failed_syncs", count().into()),
        ],
    )
}

fn tally() -> Described {
    let counts = [
        "received",
        "stored",
        "spooled",
        "queued",
        "quarantined",
        "folded",
        "gaps",
        "own",
        "open_drafts",
        "retries",
        "duplicates",
        "drained",
        "refused",
    ];
    let mut properties: Vec<(&str, Described)> =
        counts.into_iter().map(|name| (name, count().into())).collect();
    let reasons: Vec<_> =
        DropReason::ALL.into_iter().map(|reason| (reason.as_str(), count().into())).collect();
    let dropped = object(reasons.len(), reasons);
    properties.push(("dropped", dropped));
    object(properties.len(), properties)
}
