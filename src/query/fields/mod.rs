//! Everything that can be asked for, in one table: the parser of `q`, the parameters over HTTP, their
//! descriptions and `docs/query.md` all come from it.

#[cfg(test)]
mod documented;
mod table;

pub use table::FIELDS;

use super::expr::Side;
use crate::record::Field;

/// Something that can be asked for by name.
#[derive(Debug, Clone, Copy)]
pub struct QueryField {
    pub(super) name: &'static str,
    pub(super) also: &'static [&'static str],
    pub(super) on: Option<&'static str>,
    pub(super) values: Values,
    pub(super) parameter: bool,
    pub(super) about: &'static str,
    pub(super) example: &'static str,
}

/// What kind of values a field is asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Values {
    /// Text, compared as a whole, with `*` for any run of characters.
    Text,
    /// A word of a closed vocabulary.
    Word(&'static [&'static str]),
    /// An integer, a comparison or a range.
    Number,
    /// An integer, or the name of one: its place in this list.
    Named(&'static [&'static str]),
    /// An HTTP status, or a class of them (`5xx`).
    Status,
    /// Microseconds, or a length of time with its unit (`250ms`).
    Length,
    /// A moment, a day, a month or a range.
    Time,
    /// An address or a network.
    Address,
    /// The id of a record.
    Id,
    /// `entity_type.action`.
    Event,
    /// A JSON Pointer into what changed, and the value on this side.
    Change(Side),
    /// JSON: the keys follow the name, each after a dot.
    Keys,
    /// One key of JSON.
    Key(&'static str),
    /// An element of an array of text.
    Element,
    /// Words anywhere in the record's text.
    Words,
}

impl QueryField {
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

    /// Returns the kind of values.
    #[must_use]
    pub const fn values(&self) -> Values {
        self.values
    }

    /// Tells whether it is also a parameter over HTTP, of the same name and spellings.
    #[must_use]
    pub const fn is_parameter(&self) -> bool {
        self.parameter
    }

    /// Returns one line that says what it is.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        self.about
    }

    /// Returns an example of a condition in `q`.
    #[must_use]
    pub const fn example(&self) -> &'static str {
        self.example
    }

    /// Returns the field of the record that is looked at; `None` where there are several.
    #[must_use]
    pub fn field(&self) -> Option<&'static Field> {
        self.on.and_then(Field::named)
    }

    /// Returns what has this name or spelling, without regard to case.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.names().any(|known| known.eq_ignore_ascii_case(name)))
    }

    /// Returns the names, its own first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }

    /// Returns what asks for a field of the record by its own kind of values.
    pub(super) fn of(field: &Field) -> Option<&'static Self> {
        FIELDS.iter().find(|known| {
            known.on == Some(field.name())
                && !matches!(known.values, Values::Key(_) | Values::Change(_))
        })
    }
}

impl Values {
    /// Returns what such a value is, for messages and documentation.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Text => "text, `*` for any run of characters".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Number => "a number, `>=500`, `<10` or `400..499`".to_owned(),
            Self::Named(words) => {
                format!("a number from 0 to {}, or one of {}", words.len() - 1, words.join(", "))
            }
            Self::Status => "a status, a class such as `5xx`, `>=500` or `400..499`".to_owned(),
            Self::Length => {
                "a length of time such as `>=250ms`; plain numbers are microseconds".to_owned()
            }
            Self::Time => {
                "a day (`2026-01-31`), a month (`2026-01`), a moment (`2026-01-31T12:00:00Z`), \
                 `now-24h`, or `..` between two of them"
                    .to_owned()
            }
            Self::Address => "an address or a network such as `10.0.0.0/8`".to_owned(),
            Self::Id => "the UUID of a record".to_owned(),
            Self::Event => "`entity_type.action`, `*` on either side".to_owned(),
            Self::Change(Side::Either) => "the path of a change such as `/price`".to_owned(),
            Self::Change(_) => "a path and a value such as `/status=PENDING`".to_owned(),
            Self::Keys => {
                "keys after the name, each after a dot, then a value: `.ui.theme:dark`".to_owned()
            }
            Self::Key(_) | Self::Element => "text, `*` for any value".to_owned(),
            Self::Words => {
                "words, a phrase in quotes, or the beginning of a word and `*`".to_owned()
            }
        }
    }
}
