//! The parameters that are not fields.

/// A parameter that is no field of a record.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    pub(super) name: &'static str,
    pub(super) also: &'static [&'static str],
    pub(super) extra: Extra,
    pub(super) about: &'static str,
    pub(super) example: &'static str,
}

/// What an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extra {
    /// Every filter: the fields that are parameters, `q`, `from`, `to` and `tz`.
    Filters,
    /// `order`.
    Order,
    /// `limit`.
    Limit,
    /// `cursor`.
    Cursor,
    /// `page` and `offset`.
    Offset,
    /// `count`.
    Count,
    /// `interval`.
    Interval,
    /// `fields`.
    Fields,
    /// `top`.
    Top,
    /// `prefix`.
    Prefix,
    /// `format`.
    Format,
    /// `bom`.
    Bom,
    /// `proofs`.
    Proofs,
    /// `restricted`.
    Restricted,
    /// `ticket`.
    Ticket,
}

impl Parameter {
    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the other spellings that are understood.
    #[must_use]
    pub const fn other_spellings(&self) -> &'static [&'static str] {
        self.also
    }

    /// Returns which endpoints take it.
    #[must_use]
    pub const fn extra(&self) -> Extra {
        self.extra
    }

    /// Returns one line that says what it is.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        self.about
    }

    /// Returns an example of a value.
    #[must_use]
    pub const fn example(&self) -> &'static str {
        self.example
    }
}

/// Every parameter that is no field of a record.
pub const PARAMETERS: &[Parameter] = &[
    of(
        "q",
        &[],
        Extra::Filters,
        "A condition in the query language",
        "action:cancel -actor_id:bot",
    ),
    of(
        "from",
        &["start_date", "from_date", "since"],
        Extra::Filters,
        "From this moment, or from the beginning of this day in `tz`",
        "2026-01-01",
    ),
    of(
        "to",
        &["end_date", "to_date", "until"],
        Extra::Filters,
        "Before this moment, or to the end of this day in `tz`",
        "2026-01-31",
    ),
    of(
        "tz",
        &[],
        Extra::Filters,
        "The time zone in which days begin; UTC unless it is given",
        "Europe/Lisbon",
    ),
    of("order", &[], Extra::Order, "`desc`, the newest first, unless it is `asc`", "asc"),
    of(
        "limit",
        &[],
        Extra::Limit,
        "How many records at most: 1 to 1000, 50 unless it is given",
        "100",
    ),
    of(
        "cursor",
        &[],
        Extra::Cursor,
        "Where to go on: `next` or `prev` of the answer before",
        "AZq_KT7D3v…",
    ),
    of(
        "page",
        &[],
        Extra::Offset,
        "The number of a page, from 1, within the first 10000 records",
        "2",
    ),
    of(
        "offset",
        &[],
        Extra::Offset,
        "How many records to pass over, within the first 10000",
        "100",
    ),
    of(
        "count",
        &[],
        Extra::Count,
        "`estimate` or `exact`: adds the total, counted up to 10000 when exact",
        "exact",
    ),
    of("interval", &[], Extra::Interval, "`auto`, `minute`, `hour`, `day` or `week`", "day"),
    of("fields", &[], Extra::Fields, "The fields to count by", "action,outcome"),
    of("top", &[], Extra::Top, "How many values of each field: 1 to 1000", "20"),
    of("prefix", &[], Extra::Prefix, "The beginning of the values of the one field", "can"),
    of("format", &[], Extra::Format, "The format of the export", "csv"),
    of(
        "bom",
        &[],
        Extra::Bom,
        "`true` begins a CSV file with a byte order mark, for Excel",
        "true",
    ),
    of(
        "proofs",
        &[],
        Extra::Proofs,
        "`true` has each record of `jsonl` bring its proof along, and ends with the entries and the signed head",
        "true",
    ),
    of(
        "restricted",
        &[],
        Extra::Restricted,
        "`true` exports instead what legal holds keep of people who were erased; takes `logs.configure` too",
        "true",
    ),
    of("ticket", &[], Extra::Ticket, "A one-use ticket instead of credentials", "…"),
];

const fn of(
    name: &'static str,
    also: &'static [&'static str],
    extra: Extra,
    about: &'static str,
    example: &'static str,
) -> Parameter {
    Parameter { name, also, extra, about, example }
}
