//! The columns of `activity.records`, from the table of the record's fields.

use std::sync::LazyLock;

use crate::record::{Field, Group, Kind, Record};

/// The type of a column, as far as its binary form differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SqlType {
    Uuid,
    Timestamptz,
    Integer,
    Bigint,
    Text,
    /// Text that names the leaf: empty where absent, since a partition has no null among others.
    Class,
    Json,
    Inet,
}

impl SqlType {
    /// Returns the type of a field's column.
    pub(super) fn of(field: &Field) -> Self {
        match field.kind() {
            Kind::Id => Self::Uuid,
            Kind::Time => Self::Timestamptz,
            Kind::Integer => match field.name() {
                // Sixteen bits and less.
                "schema_version" | "severity" | "status" | "grpc_status" => Self::Integer,
                _ => Self::Bigint,
            },
            Kind::Stream => Self::Bigint,
            Kind::Text if field.name() == "retention_class" => Self::Class,
            Kind::Word | Kind::Text => Self::Text,
            Kind::Json => Self::Json,
            Kind::Address => Self::Inet,
        }
    }
}

/// The type of each field's column, in the order of [`Record::FIELDS`].
pub(super) static TYPES: LazyLock<Vec<SqlType>> =
    LazyLock::new(|| Record::FIELDS.iter().map(SqlType::of).collect());

/// The names of all columns, separated by commas: the fields, the four salts, the four commitments.
pub(super) static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let fields = Record::FIELDS.iter().map(|field| field.name().to_owned());
    let seals = ["salt", "commitment"]
        .into_iter()
        .flat_map(|part| Group::ERASABLE.map(|group| format!("{}_{part}", group.as_str())));
    fields.chain(seals).collect::<Vec<_>>().join(", ")
});

/// How many columns there are.
pub(super) const COLUMN_COUNT: usize = Record::FIELDS.len() + 2 * Group::ERASABLE.len();

/// Microseconds from 1970-01-01 to 2000-01-01, from which Postgres counts.
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Address families, as the server names them in the binary form.
pub(super) const FAMILY_V4: u8 = 2;
pub(super) const FAMILY_V6: u8 = 3;
