//! Records as one value of a row.
//!
//! What a row costs to read is not its bytes but its columns: the library copies each of them out of
//! SQLite by itself and hands it from one thread to another, present or not. So SQLite writes the columns of
//! a record into one JSON array, and here they are taken apart again: a fifth of the processor time.

use std::{fmt, fmt::Write as _, sync::LazyLock};

use serde::{
    Deserialize as _, Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    record::{Address, Field, Group, Kind, Record, RecordId, Seal, Value, WriterId, unhex},
    time::Timestamp,
};

/// What a function of SQLite takes at most; one more for each group that can be erased is no field.
const _: () = assert!(Record::FIELDS.len() + 2 * Group::ERASABLE.len() <= 127);

/// A record of a row, as one value.
pub(super) static PACKED: LazyLock<String> = LazyLock::new(|| {
    let mut list = String::from("json_array(");
    let bytes = |list: &mut String, name: &str| {
        // JSON holds no bytes, and `hex` makes a text of what is absent.
        let _infallible = write!(list, "iif({name} IS NULL, NULL, hex({name})), ");
    };
    for field in Record::FIELDS {
        if field.kind() == Kind::Id {
            bytes(&mut list, field.name());
        } else {
            list.push_str(field.name());
            list.push_str(", ");
        }
    }
    for group in Group::ERASABLE {
        bytes(&mut list, &format!("{}_salt", group.as_str()));
        bytes(&mut list, &format!("{}_commitment", group.as_str()));
    }
    list.truncate(list.len() - 2);
    list.push(')');
    list
});

/// What a query for records selects: where each lies, and what it is.
pub(super) static COLUMNS: LazyLock<String> =
    LazyLock::new(|| format!("id, occurred_at, {} AS record", *PACKED));

/// The beginning of every query for records.
pub(super) static SELECT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM activity_records", *COLUMNS));

/// Reads a row of [`COLUMNS`].
pub(super) fn record(row: &SqliteRow) -> Result<Record, sqlx::Error> {
    parse(row.try_get::<&str, _>("record")?, Reading::Lenient)
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Reads what [`COLUMNS`] call a record, and refuses what means one but was not written so.
pub(super) fn as_written(packed: &str) -> Result<Record, serde_json::Error> {
    parse(packed, Reading::AsWritten)
}

fn parse(packed: &str, reading: Reading) -> Result<Record, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(packed);
    let record = parser.deserialize_seq(Columns(reading))?;
    parser.end()?;
    Ok(record)
}

/// Whether values are held to the form in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Lenient,
    AsWritten,
}

struct Columns(Reading);

impl<'de> Visitor<'de> for Columns {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the columns of a record")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut columns: A) -> Result<Record, A::Error> {
        let short = || A::Error::custom("there are fewer columns than fields");
        let mut record = Record::default();
        for field in Record::FIELDS {
            let cell = Cell { field, record: &mut record, reading: self.0 };
            columns.next_element_seed(cell)?.ok_or_else(short)?;
        }
        for group in Group::ERASABLE {
            let salt = columns.next_element_seed(Bytes)?.ok_or_else(short)?;
            let commitment = columns.next_element_seed(Bytes)?.ok_or_else(short)?;
            let seal = match (salt, commitment) {
                (Some(_), Some(_)) if self.0 == Reading::AsWritten => {
                    return Err(A::Error::custom(format_args!(
                        "the group {} has both a salt and the commitment of an erasure",
                        group.as_str()
                    )));
                }
                (Some(salt), _) => Seal::Salted(salt),
                (None, Some(commitment)) => Seal::Erased(commitment),
                (None, None) => Seal::Empty,
            };
            record.seals.set(group, seal);
        }
        Ok(record)
    }
}

/// A value of a record, put where it belongs. A new record has every field absent already, and the schema keeps
/// those from being null that have to be there.
struct Cell<'r> {
    field: &'static Field,
    record: &'r mut Record,
    reading: Reading,
}

impl Cell<'_> {
    fn put<E: Error>(self, value: Value<'_>) -> Result<(), E> {
        self.field.set(self.record, value).map_err(E::custom)?;
        if self.reading == Reading::AsWritten && self.field.value(self.record) != value {
            return Err(not_as_written(self.field));
        }
        Ok(())
    }
}

fn not_as_written<E: Error>(field: &Field) -> E {
    E::custom(format_args!("`{}` holds what is never written there", field.name()))
}

impl<'de> DeserializeSeed<'de> for Cell<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Cell<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of `{}`", self.field.name())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let number = match self.field.kind() {
            Kind::Time => Value::Time(Timestamp::from_micros(i64::deserialize(value)?)),
            Kind::Integer => Value::Integer(i64::deserialize(value)?),
            Kind::Stream => {
                let id = i64::deserialize(value)?;
                if self.reading == Reading::AsWritten && id < 0 {
                    return Err(not_as_written(self.field));
                }
                Value::Stream(WriterId::new(id))
            }
            Kind::Id | Kind::Word | Kind::Text | Kind::Json | Kind::Address => {
                return value.deserialize_str(self);
            }
        };
        self.put(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let value = match self.field.kind() {
            Kind::Id => Value::Id(RecordId::from_bytes(
                unhex(text).ok_or_else(|| E::custom("expected 16 bytes"))?,
            )),
            Kind::Json => Value::Json(text),
            Kind::Address => {
                let address = text.parse::<Address>().map_err(E::custom)?;
                if self.reading == Reading::AsWritten && address.to_string() != text {
                    return Err(not_as_written(self.field));
                }
                Value::Address(address)
            }
            _ => Value::Text(text),
        };
        self.put(value)
    }
}

/// So many bytes as hexadecimal digits, or nothing.
struct Bytes<const N: usize>;

impl<'de, const N: usize> DeserializeSeed<'de> for Bytes<N> {
    type Value = Option<[u8; N]>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
    type Value = Option<[u8; N]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_str(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        unhex(text).map(Some).ok_or_else(|| E::custom(format_args!("expected {N} bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns of an empty record, as SQLite would write them.
    fn packed() -> Vec<serde_json::Value> {
        let mut columns = vec![serde_json::Value::Null; Record::FIELDS.len()];
        columns.extend(vec![serde_json::Value::Null; 2 * Group::ERASABLE.len()]);
        columns
    }

    #[test]
    fn what_is_absent_stays_so_and_what_is_there_is_taken() {
        let mut columns = packed();
        assert!(
            parse(&serde_json::Value::from(columns.clone()).to_string(), Reading::Lenient).is_ok()
        );
        let at = |name| Record::FIELDS.iter().position(|field| field.name() == name).unwrap();
        columns[at("id")] = "0190A0B0C0D07000800000000000FFee".into();
        columns[at("action")] = "a\"\\\u{1f980}\n".into();
        columns[at("status")] = 404.into();
        columns[at("writer_id")] = i64::MAX.into();
        columns[at("ip")] = "192.0.2.0/24".into();
        let salt = Record::FIELDS.len();
        columns[salt] = "00112233445566778899AABBCCDDEEFF".into();
        columns[salt + 3] = "ab".repeat(32).into();
        let record =
            parse(&serde_json::Value::from(columns).to_string(), Reading::Lenient).unwrap();
        assert_eq!(record.id.as_bytes()[..2], [0x01, 0x90]);
        assert_eq!(record.id.as_bytes()[14..], [0xff, 0xee]);
        assert_eq!(record.action, "a\"\\\u{1f980}\n");
        assert_eq!((record.status, record.writer_id.get()), (Some(404), i64::MAX));
        assert_eq!(record.ip.unwrap().to_string(), "192.0.2.0/24");
        assert!(matches!(record.seals.of(Group::ERASABLE[0]), Seal::Salted([0, 0x11, ..])));
        assert_eq!(record.seals.of(Group::ERASABLE[1]), Seal::Erased([0xab; 32]));
        assert!(record.entity_id.is_absent());
    }

    #[test]
    fn what_means_a_record_but_was_never_written_so_is_told_apart() {
        let at = |name| Record::FIELDS.iter().position(|field| field.name() == name).unwrap();
        let salts = Record::FIELDS.len();
        for (column, value) in [
            (at("action"), serde_json::Value::from("")),
            (at("metadata"), "".into()),
            (at("ip"), "2001:DB8::1".into()),
            (at("ip"), "10.0.0.7/8".into()),
            (at("writer_id"), (-5).into()),
        ] {
            let mut columns = packed();
            columns[column] = value;
            let text = serde_json::Value::from(columns).to_string();
            assert!(parse(&text, Reading::Lenient).is_ok() && as_written(&text).is_err(), "{text}");
        }
        let mut columns = packed();
        columns[salts] = "ab".repeat(16).into();
        columns[salts + 1] = "ab".repeat(32).into();
        let text = serde_json::Value::from(columns).to_string();
        assert!(parse(&text, Reading::Lenient).is_ok() && as_written(&text).is_err());
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        let at = |name| Record::FIELDS.iter().position(|field| field.name() == name).unwrap();
        for (name, value) in [
            ("id", serde_json::Value::from("00")),
            ("id", "zz90a0b0c0d07000800000000000ffee".into()),
            ("id", "".into()),
            ("action", 5.into()),
            ("outcome", "no such word".into()),
            ("status", "404".into()),
            ("status", 1.5.into()),
            ("ip", "no address".into()),
        ] {
            let mut columns = packed();
            columns[at(name)] = value.clone();
            assert!(
                parse(&serde_json::Value::from(columns).to_string(), Reading::Lenient).is_err(),
                "{name}: {value}"
            );
        }
        let mut columns = packed();
        columns[Record::FIELDS.len()] = "00".into();
        assert!(parse(&serde_json::Value::from(columns).to_string(), Reading::Lenient).is_err());
        for text in ["", "[]", "[null]", "null", "{}"] {
            assert!(parse(text, Reading::Lenient).is_err(), "{text}");
        }
        let mut columns = packed();
        columns.push(serde_json::Value::Null);
        assert!(
            parse(&serde_json::Value::from(columns).to_string(), Reading::Lenient).is_err(),
            "one too many"
        );
    }
}
