//! Consents.

use super::{Described, boolean, closed, list, moment, object, one_of, or_null, text, uuid};
use utoipa::openapi::schema::Type;

const STATES: [&str; 2] = ["given", "withdrawn"];

pub(super) fn new_consent() -> Described {
    let word = |about| text().min_length(Some(1)).max_length(Some(512)).description(Some(about));
    let optional = |about| {
        or_null(Type::String).min_length(Some(1)).max_length(Some(512)).description(Some(about))
    };
    closed(
        3,
        vec![
            ("subject_id", word("Whose consent it is").into()),
            ("purpose", word("To what, as in `newsletter`").into()),
            ("state", one_of(STATES).into()),
            ("version", optional("That of the text that was agreed to").into()),
            ("basis", optional("The legal basis, as in `GDPR Art. 6(1)(a)`").into()),
            ("channel", optional("By which way it came, as in `web`").into()),
            ("tenant_id", optional("The tenant; that of the caller, if he has one").into()),
            ("by", optional("Who handed it in, where it was not the person").into()),
        ],
    )
}

pub(super) fn recorded() -> Described {
    object(3, vec![("id", uuid().into()), ("action", text().into()), ("purpose", text().into())])
}

pub(super) fn consents() -> Described {
    let said = || {
        list(object(
            9,
            vec![
                ("purpose", text().into()),
                ("state", one_of(STATES).into()),
                ("at", moment().into()),
                ("version", or_null(Type::String).into()),
                ("basis", or_null(Type::String).into()),
                ("channel", or_null(Type::String).into()),
                ("tenant_id", or_null(Type::String).into()),
                ("by", or_null(Type::String).into()),
                ("record", uuid().description(Some("The record that says so")).into()),
            ],
        ))
    };
    object(
        5,
        vec![
            ("subject_id", text().into()),
            ("at", moment().into()),
            ("consents", said()),
            ("history", said()),
            ("complete", boolean().description(Some("Whether that is all there is")).into()),
        ],
    )
}
