//! Holds, and the retention policy.

use super::{
    Described, closed, count, either_or_null, list, moment, object, one_of, or_null, text, uuid,
};
use crate::{pipeline::HeldPseudonyms, query::MAX_LENGTH, record::Category};
use utoipa::openapi::{ObjectBuilder, schema::Type};

pub(super) fn new_hold() -> Described {
    let query = text().min_length(Some(1)).max_length(Some(MAX_LENGTH));
    closed(
        2,
        vec![
            (
                "query",
                query
                    .description(Some("What is held, in the query language; `*` is everything"))
                    .into(),
            ),
            ("reason", text().min_length(Some(1)).max_length(Some(2_048)).into()),
            ("name", text().max_length(Some(128)).into()),
        ],
    )
}

pub(super) fn hold() -> Described {
    let lifted = object(
        4,
        vec![
            ("id", uuid().into()),
            ("reason", text().into()),
            ("by", text().into()),
            ("at", moment().into()),
        ],
    );
    let records = object(
        2,
        vec![("value", count().into()), ("relation", one_of(["eq", "gte", "estimate"]).into())],
    );
    let left = object(
        2,
        vec![
            (
                "location",
                text()
                    .description(Some(
                        "An archive that may still have something of people who were erased",
                    ))
                    .into(),
            ),
            ("how", text().description(Some("Why, and how it is reached")).into()),
        ],
    );
    object(
        8,
        vec![
            ("id", uuid().description(Some("The record that places it")).into()),
            ("name", text().into()),
            ("query", text().into()),
            ("tenant", or_null(Type::String).into()),
            ("reason", text().into()),
            ("by", text().description(Some("Who, as type and id")).into()),
            ("at", moment().into()),
            ("lifted", either_or_null(lifted)),
            ("records", either_or_null(records)),
            (
                "restricted",
                either_or_null(
                    count()
                        .description(Some("Of one that is placed: how many restricted records it is on besides"))
                        .into(),
                ),
            ),
            (
                "erased",
                either_or_null(
                    count()
                        .description(Some(
                            "Of one that is lifted: how many restricted records no hold kept any more, and are erased",
                        ))
                        .into(),
                ),
            ),
            ("archive", either_or_null(super::erasure::archive())),
            ("left", list(left)),
            (
                "pseudonyms",
                either_or_null(
                    one_of(HeldPseudonyms::ALL.map(HeldPseudonyms::as_str))
                        .description(Some(
                            "How far what the query names is held also where the log has it as a pseudonym: of every \
                             tenant that there is, of some, or not; `null` where it names nothing of the kind",
                        ))
                        .into(),
                ),
            ),
        ],
    )
}

pub(super) fn restricted() -> Described {
    let next = or_null(Type::String).description(Some("The `cursor` of the next page"));
    object(2, vec![("records", list(super::named("Record"))), ("next", next.into())])
}

pub(super) fn holds() -> Described {
    object(1, vec![("holds", list(super::named("Hold")))])
}

fn keep() -> Described {
    text()
        .pattern(Some("^([0-9]+[dy]|never)$"))
        .description(Some(
            "Days or years, as in `90d` or `6y`, or `never`; a number of days is taken too",
        ))
        .into()
}

pub(super) fn policy() -> Described {
    let group = {
        let mut properties = vec![("name", text().into()), ("tenants", list(text().into()))];
        properties.extend(Category::WORDS.iter().map(|word| (*word, keep())));
        properties.push(("addresses", keep()));
        closed(2, properties)
    };
    let size = text().pattern(Some("^[0-9]+ *([kMGT]B|[KMGT]iB|B)$")).description(Some(
        "How large the log may get, as in `20GB`; with `force`, months go before their time when it is larger",
    ));
    let mut properties = vec![
        ("preset", one_of(crate::rules::Preset::WORDS.iter().copied()).into()),
        ("tenant", list(group)),
        ("addresses", keep()),
        ("max_size", size.into()),
        ("force", ObjectBuilder::new().schema_type(Type::Boolean).into()),
    ];
    properties.extend(Category::WORDS.iter().map(|word| (*word, keep())));
    closed(0, properties)
}

pub(super) fn retention() -> Described {
    let change = || {
        either_or_null(object(
            4,
            vec![
                ("id", uuid().into()),
                ("at", moment().into()),
                ("by", text().into()),
                ("set", either_or_null(super::named("RetentionPolicy"))),
            ],
        ))
    };
    let tenant = object(
        3,
        vec![
            ("tenant", text().into()),
            ("policy", super::named("RetentionPolicy")),
            ("changed", change()),
        ],
    );
    object(
        4,
        vec![
            ("tenant", or_null(Type::String).into()),
            ("source", one_of(["api", "code", "rules", "default"]).into()),
            ("policy", super::named("RetentionPolicy")),
            ("changed", change()),
            ("tenants", list(tenant)),
        ],
    )
}
