//! Erasures.

use super::{Described, boolean, by_key, count, list, moment, object, one_of, or_null, text, uuid};
use crate::record::Group;
use utoipa::openapi::schema::Type;

fn names() -> Described {
    list(text().min_length(Some(1)).max_length(Some(512)).into())
}

fn groups() -> impl Iterator<Item = &'static str> {
    Group::ERASABLE.into_iter().map(Group::as_str)
}

pub(super) fn new_erasure() -> Described {
    let basis = text().min_length(Some(1)).max_length(Some(512));
    super::closed(
        1,
        vec![
            (
                "basis",
                basis.description(Some("The legal basis, as in `GDPR Art. 17(1)(b)`")).into(),
            ),
            ("also", names()),
            ("person_types", names()),
            ("groups", list(one_of(groups()).into())),
        ],
    )
}

fn places() -> Described {
    list(object(
        4,
        vec![
            ("place", text().into()),
            ("count", or_null(Type::Integer).into()),
            ("reached", boolean().into()),
            ("how", text().into()),
        ],
    ))
}

fn held() -> Described {
    count().description(Some("Records more, which are under a legal hold")).into()
}

fn held_by() -> Described {
    by_key(count().description(Some("How many of these, by the id of the hold")).into())
}

pub(super) fn archive() -> Described {
    object(
        5,
        vec![
            ("location", text().description(Some("The archive")).into()),
            ("parts", count().description(Some("Parts that are written anew")).into()),
            ("records", count().into()),
            ("groups", by_key(count().into())),
            ("held", held()),
        ],
    )
}

pub(super) fn plan() -> Described {
    object(
        5,
        vec![
            ("records", count().into()),
            ("groups", by_key(count().into())),
            ("held", held()),
            ("held_by", held_by()),
            ("places", places()),
            ("archive", archive()),
        ],
    )
}

pub(super) fn certificate() -> Described {
    let head = || {
        super::either_or_null(object(
            2,
            vec![
                ("size", count().into()),
                ("note", text().description(Some("The signed note")).into()),
            ],
        ))
    };
    let subject = object(
        5,
        vec![
            ("digest", text().description(Some("A keyed digest of a name")).into()),
            ("erasure", uuid().into()),
            ("before", moment().into()),
            ("types", list(text().into())),
            ("groups", text().into()),
        ],
    );
    object(
        13,
        vec![
            ("erasure", uuid().into()),
            ("at", moment().into()),
            ("basis", text().into()),
            ("by", text().into()),
            ("records", count().into()),
            ("groups", by_key(count().into())),
            ("held", held()),
            ("held_by", held_by()),
            ("told_by", list(uuid().into())),
            ("checkpoint_before", head()),
            ("checkpoint_after", head()),
            ("places", places()),
            ("subjects", list(subject)),
            ("archive", archive()),
        ],
    )
}
