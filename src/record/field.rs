//! What a field is: its name, its kind, its erasable group, and its value.
//!
//! Stores, encoders and filters work from [`Record::FIELDS`](super::Record::FIELDS) instead of naming
//! seventy columns each.

use std::{error, fmt, str::FromStr};

use serde::{Serialize, Serializer};

use super::{
    Record,
    ids::{Address, RecordId, WriterId},
    text::{Json, Text},
    words::{ActorType, Category, Operation, Origin, Outcome},
};
use crate::time::Timestamp;

/// One field of a record.
#[derive(Clone, Copy)]
pub struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) group: Group,
    pub(super) max_bytes: usize,
    pub(super) value: for<'r> fn(&'r Record) -> Value<'r>,
    pub(super) set: fn(&mut Record, Value<'_>) -> Result<(), WrongKind>,
}

impl Field {
    /// Returns the name, which is also the column and the JSON name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the kind of its values.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the erasable group that it belongs to.
    #[must_use]
    pub const fn group(&self) -> Group {
        self.group
    }

    /// Returns how many bytes of text are kept; longer text is cut at capture. 0 where the kind bounds itself.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Returns the field's value in `record`.
    #[must_use]
    pub fn value<'r>(&self, record: &'r Record) -> Value<'r> {
        (self.value)(record)
    }

    /// Sets the field in `record`, as a store does that reads a row back.
    ///
    /// # Errors
    ///
    /// When the value is of another kind, or a word that its vocabulary does not contain.
    pub fn set(&self, record: &mut Record, value: Value<'_>) -> Result<(), WrongKind> {
        (self.set)(record, value).map_err(|wrong| WrongKind { field: self.name, ..wrong })
    }

    /// Returns the field of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Record::FIELDS.iter().find(|field| field.name == name)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Field {}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What values a field takes, hence which column type a store gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A UUID.
    Id,
    /// A moment.
    Time,
    /// An integer below 2^53.
    Integer,
    /// A 63-bit integer, written to JSON as a string.
    Stream,
    /// A word of a closed vocabulary.
    Word,
    /// Text.
    Text,
    /// Compact JSON text.
    Json,
    /// An address or network.
    Address,
}

/// The four groups of a record that can be erased, and the rest that cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Always in the canonical bytes as it is.
    Sealed,
    /// Who acted and for whom.
    Identity,
    /// From where.
    Network,
    /// On what.
    Target,
    /// What was said and changed.
    Content,
}

impl Group {
    /// The erasable groups, in the order of the record's seals.
    pub const ERASABLE: [Self; 4] = [Self::Identity, Self::Network, Self::Target, Self::Content];

    /// Returns the group's name: the key of its commitment in the canonical object, and the first part
    /// of its columns (`identity_salt`, `identity_commitment`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Identity => "identity",
            Self::Network => "network",
            Self::Target => "target",
            Self::Content => "content",
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Absent.
    Null,
    /// A UUID.
    Id(RecordId),
    /// A moment.
    Time(Timestamp),
    /// An integer below 2^53.
    Integer(i64),
    /// The name of a stream.
    Stream(WriterId),
    /// Text, or a word of a vocabulary; never empty.
    Text(&'a str),
    /// Compact JSON text; never empty.
    Json(&'a str),
    /// An address.
    Address(Address),
}

impl Value<'_> {
    /// Tells whether the field is absent.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Id(id) => id.serialize(serializer),
            Self::Time(at) => at.serialize(serializer),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Stream(id) => serializer.collect_str(id),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(text) => match serde_json::from_str::<&serde_json::value::RawValue>(text) {
                Ok(raw) => raw.serialize(serializer),
                // A column that somebody edited by hand: shown as what it is.
                Err(_) => serializer.serialize_str(text),
            },
            Self::Address(address) => address.serialize(serializer),
        }
    }
}

/// A value of another kind than the field's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKind {
    field: &'static str,
    expected: &'static str,
    found: String,
}

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field `{}` takes {}, not {}", self.field, self.expected, self.found)
    }
}

impl error::Error for WrongKind {}

/// The text of one field, for those who clean it before it is kept.
#[derive(Debug)]
pub(crate) enum Slot<'a> {
    /// Text.
    Text(&'a mut Text),
    /// JSON text.
    Json(&'a mut Json),
}

/// A type that a field of a record may have.
pub(super) trait FieldType {
    const KIND: Kind;
    const EXPECTED: &'static str;

    fn value(&self) -> Value<'_>;
    /// Returns `None` when the value does not fit.
    fn put(&mut self, value: Value<'_>) -> Option<()>;
    fn clear(&mut self);
    /// Bytes of buffers that it owns, for the queue's budget.
    fn capacity(&self) -> usize {
        0
    }
    /// Bytes of text that it holds.
    fn len(&self) -> usize {
        0
    }
    /// The text in it, where a writer may have put anything.
    fn slot(&mut self) -> Option<Slot<'_>> {
        None
    }

    fn set(&mut self, value: Value<'_>) -> Result<(), WrongKind> {
        self.put(value).ok_or_else(|| WrongKind {
            field: "",
            expected: Self::EXPECTED,
            found: format!("{value:?}"),
        })
    }
}

impl FieldType for RecordId {
    const KIND: Kind = Kind::Id;
    const EXPECTED: &'static str = "a UUID";

    fn value(&self) -> Value<'_> {
        Value::Id(*self)
    }

    fn put(&mut self, value: Value<'_>) -> Option<()> {
        let Value::Id(id) = value else { return None };
        *self = id;
        Some(())
    }

    fn clear(&mut self) {
        *self = Self::NIL;
    }
}

impl FieldType for Timestamp {
    const KIND: Kind = Kind::Time;
    const EXPECTED: &'static str = "a time";

    fn value(&self) -> Value<'_> {
        Value::Time(*self)
    }

    fn put(&mut self, value: Value<'_>) -> Option<()> {
        let Value::Time(at) = value else { return None };
        *self = at;
        Some(())
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl FieldType for WriterId {
    const KIND: Kind = Kind::Stream;
    const EXPECTED: &'static str = "a 63-bit integer";

    fn value(&self) -> Value<'_> {
        Value::Stream(*self)
    }

    fn put(&mut self, value: Value<'_>) -> Option<()> {
        let Value::Stream(id) = value else { return None };
        *self = id;
        Some(())
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl FieldType for Option<Address> {
    const KIND: Kind = Kind::Address;
    const EXPECTED: &'static str = "an address";

    fn value(&self) -> Value<'_> {
        self.map_or(Value::Null, Value::Address)
    }

    fn put(&mut self, value: Value<'_>) -> Option<()> {
        *self = match value {
            Value::Null => None,
            Value::Address(address) => Some(address),
            _ => return None,
        };
        Some(())
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl FieldType for Text {
    const KIND: Kind = Kind::Text;
    const EXPECTED: &'static str = "text";

    fn value(&self) -> Value<'_> {
        self.as_option().map_or(Value::Null, Value::Text)
    }

    fn put(&mut self, value: Value<'_>) -> Option<()> {
        match value {
            Value::Null => self.clear(),
            Value::Text(text) => Self::set(self, text),
            _ => return None,
        }
        Some(())
    }

    fn clear(&mut self) {
        Self::clear(self);
    }

    fn capacity(&self) -> usize {
        Self::capacity(self)
    }

    fn len(&self) -> usize {
        self.as_str().len()
    }

    fn slot(&mut self) -> Option<Slot<'_>> {
        Some(Slot::Text(self))
    }
}

impl FieldType for Json {
    const KIND: Kind = Kind::Json;
    const EXPECTED: &'static str = "JSON text";

    fn value(&self) -> Value<'_> {
        self.as_option().map_or(Value::Null, Value::Json)
    }

    fn put(&mut self, value: Value<'_>) -> Option<()> {
        match value {
            Value::Null => self.clear(),
            Value::Json(text) => {
                self.clear();
                self.buffer().push_str(text);
            }
            _ => return None,
        }
        Some(())
    }

    fn clear(&mut self) {
        Self::clear(self);
    }

    fn capacity(&self) -> usize {
        Self::capacity(self)
    }

    fn len(&self) -> usize {
        self.as_str().len()
    }

    fn slot(&mut self) -> Option<Slot<'_>> {
        Some(Slot::Json(self))
    }
}

/// Integers beyond this are not exact in JSON.
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Returns an integer that is exact: no other is written, and one that somebody put into a store is nobody's value.
fn exact(number: i64) -> Option<i64> {
    (-MAX_INTEGER..=MAX_INTEGER).contains(&number).then_some(number)
}

macro_rules! integers {
    ($($type:ty, $expected:literal;)*) => {$(
        impl FieldType for $type {
            const KIND: Kind = Kind::Integer;
            const EXPECTED: &'static str = $expected;

            fn value(&self) -> Value<'_> {
                Value::Integer(i64::from(*self).clamp(-MAX_INTEGER, MAX_INTEGER))
            }

            fn put(&mut self, value: Value<'_>) -> Option<()> {
                let Value::Integer(number) = value else { return None };
                *self = exact(number)?.try_into().ok()?;
                Some(())
            }

            fn clear(&mut self) {
                *self = 0;
            }
        }

        impl FieldType for Option<$type> {
            const KIND: Kind = Kind::Integer;
            const EXPECTED: &'static str = $expected;

            fn value(&self) -> Value<'_> {
                self.as_ref().map_or(Value::Null, |number| {
                    Value::Integer(i64::from(*number).clamp(-MAX_INTEGER, MAX_INTEGER))
                })
            }

            fn put(&mut self, value: Value<'_>) -> Option<()> {
                *self = match value {
                    Value::Null => None,
                    Value::Integer(number) => Some(exact(number)?.try_into().ok()?),
                    _ => return None,
                };
                Some(())
            }

            fn clear(&mut self) {
                *self = None;
            }
        }
    )*};
}

integers! {
    u8, "an integer from 0 to 255";
    u16, "an integer from 0 to 65535";
    i64, "an integer below 2^53";
}

macro_rules! words {
    ($($type:ty)*) => {$(
        impl FieldType for $type {
            const KIND: Kind = Kind::Word;
            const EXPECTED: &'static str = concat!("a word of ", stringify!($type));

            fn value(&self) -> Value<'_> {
                Value::Text(self.as_str())
            }

            fn put(&mut self, value: Value<'_>) -> Option<()> {
                let Value::Text(word) = value else { return None };
                *self = Self::from_str(word).ok()?;
                Some(())
            }

            fn clear(&mut self) {
                *self = Self::default();
            }
        }
    )*};
}

words!(Origin Category Operation Outcome ActorType);
