//! Proofs.

use super::{Described, count, integer, list, object, text, uuid};

fn hash() -> Described {
    text().pattern(Some("^[0-9a-f]{64}$")).into()
}

fn bytes(about: &str) -> Described {
    text()
        .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
            utoipa::openapi::KnownFormat::Byte,
        )))
        .description(Some(about))
        .into()
}

pub(super) fn proof() -> Described {
    let entry = object(
        7,
        vec![
            ("position", integer().minimum(Some(1)).into()),
            ("root", hash()),
            ("bytes", bytes("The canonical bytes of the entry, which name its root")),
            ("leaf", hash()),
            ("index", count().description(Some("The place of the leaf in the ledger")).into()),
            (
                "size",
                count().description(Some("The size of the ledger under the checkpoint")).into(),
            ),
            ("path", list(hash())),
        ],
    );
    object(
        8,
        vec![
            ("id", uuid().into()),
            (
                "record",
                bytes("The canonical bytes of the record; its leaf is SHA-256(0x00, these)"),
            ),
            ("leaf", hash()),
            ("index", count().description(Some("Its place in the entry")).into()),
            ("size", count().description(Some("How many records the entry has")).into()),
            ("path", list(hash())),
            ("entry", entry),
            ("checkpoint", text().description(Some("The signed note")).into()),
        ],
    )
}
