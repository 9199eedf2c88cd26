//! Whether the log holds all that there was.

use utoipa::openapi::schema::Type;

use super::{
    Described, boolean, count, integer, list, moment, moment_or_null, object, one_of, or_null,
    stream, text,
};

pub(super) fn completeness() -> Described {
    object(
        3,
        vec![
            ("writers", list(writer())),
            ("writers_total", count().into()),
            (
                "complete",
                boolean()
                    .description(Some("Whether everything was read that tells of gaps and ends"))
                    .into(),
            ),
        ],
    )
}

fn writer() -> Described {
    let states = ["running", "silent", "stopped", "recovered", "unclean", "continued"];
    let state = one_of(states).description(Some(
        "`silent`: it has not said that it ended, and has written nothing for five minutes; `recovered`: its \
         process ended without a word, and all that it had written to its spool has been stored; `unclean`: its \
         process ended without a word; `continued`: the store was found behind it, or its spool was damaged, and \
         another goes on",
    ));
    let whole = boolean().description(Some("Whether every number from 1 to `last_seq` was stored"));
    let complete = boolean().description(Some("Whether nothing is known to be missing"));
    let missing = count().description(Some("How many records its gap records say are missing"));
    let ended_by =
        or_null(Type::String).description(Some("The writer that found out, or that goes on"));
    let continues =
        or_null(Type::String).description(Some("The writer that this one went on from"));
    let stubs = count().description(Some("Records of which only a stub is stored"));
    object(
        21,
        vec![
            ("id", stream().into()),
            ("service", or_null(Type::String).into()),
            ("instance", or_null(Type::String).into()),
            ("first_seq", integer().into()),
            ("last_seq", count().into()),
            ("count", count().into()),
            ("whole", whole.into()),
            ("breaks", count().into()),
            ("complete", complete.into()),
            ("state", state.into()),
            ("began_at", moment().into()),
            ("last_at", moment().into()),
            ("ended_at", moment_or_null().into()),
            ("ended_by", ended_by.into()),
            ("continues", continues.into()),
            ("gaps", count().into()),
            ("missing", missing.into()),
            ("gap_records", list(gap())),
            ("stubs", stubs.into()),
            ("first_epoch", count().into()),
            ("last_epoch", count().into()),
        ],
    )
}

fn gap() -> Described {
    let count = or_null(Type::Integer).description(Some("Null when nobody can know"));
    let writer = or_null(Type::String)
        .description(Some("The writer whose records are missing, if it is another one"));
    object(
        6,
        vec![
            ("seq", integer().into()),
            ("count", count.into()),
            ("reason", text().into()),
            ("first_at", moment_or_null().into()),
            ("last_at", moment_or_null().into()),
            ("writer_id", writer.into()),
        ],
    )
}
