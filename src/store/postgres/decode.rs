//! Rows back into records, from the server's binary form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sqlx::{Row as _, ValueRef as _, postgres::PgRow};

use super::column::{COLUMN_COUNT, EPOCH_MICROS, FAMILY_V4, FAMILY_V6, SqlType, TYPES};
use crate::{
    ledger::{
        Entry, NewEntry,
        verify::{LedgerRow, RecordRow, WrittenRow},
    },
    record::{Address, Field, Group, Kind, Record, RecordId, Seal, Value, WriterId},
    time::{Month, Timestamp},
};

/// The columns that [`entry`] reads, in their order.
pub(super) const ENTRY_COLUMNS: &str = "position, epoch, writer_id, first_seq, last_seq, month, \
     class, first_at, last_at, batch_root, committed_at";

/// Reads a row of [`COLUMNS`](super::column::COLUMNS).
pub(super) fn record(row: &PgRow) -> Result<Record, sqlx::Error> {
    read(row, Reading::Lenient)
}

/// Whether values are held to the form in which they are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Lenient,
    AsWritten,
}

/// Reads a row of [`COLUMNS`](super::column::COLUMNS) for a verification, which wants to know what it is instead.
pub(super) fn record_row(row: PgRow) -> Result<RecordRow, sqlx::Error> {
    let seq = Record::FIELDS.iter().position(|field| field.name() == "seq").unwrap_or_default();
    Ok(RecordRow::new(integer(&row, seq)?, Written(row)))
}

#[derive(Debug)]
struct Written(PgRow);

impl WrittenRow for Written {
    fn id(&self) -> Option<RecordId> {
        raw(&self.0, 0).ok()??.try_into().ok().map(RecordId::from_bytes)
    }

    fn record(&self) -> Result<Box<Record>, String> {
        read(&self.0, Reading::AsWritten).map(Box::new).map_err(|error| error.to_string())
    }
}

/// Reads a row of [`ENTRY_COLUMNS`], followed by `count`, for a verification.
pub(super) fn ledger_row(row: &PgRow) -> LedgerRow {
    let number = |index| integer(row, index).ok();
    let read = || {
        let entry = entry(row).map_err(|error| error.to_string())?;
        let written = |column: &str, same: bool| {
            if same { Ok(()) } else { Err(format!("`{column}` holds what is never written there")) }
        };
        written("writer_id", number(2) == Some(entry.new.writer_id.get()))?;
        let month = raw(row, 5).ok().flatten();
        written("month", month == Some(entry.new.month.to_string().as_bytes()))?;
        written("count", number(11) == Some(entry.new.count()))?;
        Ok(entry)
    };
    LedgerRow { position: number(0), entry: read() }
}

fn read(row: &PgRow, reading: Reading) -> Result<Record, sqlx::Error> {
    let strict = reading == Reading::AsWritten;
    let mut record = Record::default();
    for (index, (field, sql_type)) in Record::FIELDS.iter().zip(TYPES.iter()).enumerate() {
        let Some(bytes) = raw(row, index)? else { continue };
        let value = value(bytes, *sql_type, field.kind())
            .ok_or_else(|| malformed(index, format!("column {} is malformed", field.name())))?;
        field.set(&mut record, value).map_err(|wrong| malformed(index, wrong))?;
        if strict && !is_as_written(&record, *field, *sql_type, value, bytes) {
            let why = format!("`{}` holds what is never written there", field.name());
            return Err(malformed(index, why));
        }
    }
    let fields = Record::FIELDS.len();
    for (offset, group) in Group::ERASABLE.into_iter().enumerate() {
        let (salt, commitment) = (fields + offset, fields + Group::ERASABLE.len() + offset);
        debug_assert!(commitment < COLUMN_COUNT);
        let seal = match (raw(row, salt)?, raw(row, commitment)?) {
            (Some(_), Some(_)) if strict => {
                let why = format!(
                    "the group {} has both a salt and the commitment of an erasure",
                    group.as_str()
                );
                return Err(malformed(commitment, why));
            }
            (_, Some(bytes)) => Seal::Erased(exactly(commitment, bytes)?),
            (Some(bytes), None) => Seal::Salted(exactly(salt, bytes)?),
            (None, None) => Seal::Empty,
        };
        record.seals.set(group, seal);
    }
    Ok(record)
}

/// Tells whether `bytes`, which were read as `value`, are what is written for it.
fn is_as_written(
    record: &Record,
    field: Field,
    sql_type: SqlType,
    value: Value<'_>,
    bytes: &[u8],
) -> bool {
    match value {
        Value::Stream(_) if bigint(bytes).is_some_and(i64::is_negative) => false,
        // The server keeps bits beyond the prefix.
        Value::Address(address) => match address.ip() {
            IpAddr::V4(ip) => bytes.get(4..) == Some(&ip.octets()[..]),
            IpAddr::V6(ip) => bytes.get(4..) == Some(&ip.octets()[..]),
        },
        Value::Text("") if sql_type == SqlType::Class => true,
        value => field.value(record) == value,
    }
}

/// Reads a row of [`ENTRY_COLUMNS`].
pub(super) fn entry(row: &PgRow) -> Result<Entry, sqlx::Error> {
    let number = |index| {
        let bytes = raw(row, index)?.unwrap_or_default();
        bigint(bytes).ok_or_else(|| malformed(index, "not a bigint"))
    };
    let text = |index| {
        let bytes = raw(row, index)?.unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|source| malformed(index, source))
    };
    let time = |index| number(index).map(from_postgres);
    Ok(Entry {
        position: number(0)?,
        epoch: number(1)?,
        new: NewEntry {
            writer_id: WriterId::new(number(2)?),
            first_seq: number(3)?,
            last_seq: number(4)?,
            month: month(text(5)?).ok_or_else(|| malformed(5, "not a month"))?,
            class: text(6)?.to_owned(),
            first_at: time(7)?,
            last_at: time(8)?,
            batch_root: exactly(9, raw(row, 9)?.unwrap_or_default())?,
        },
        committed_at: time(10)?,
    })
}

/// Reads a bigint.
pub(super) fn integer(row: &PgRow, index: usize) -> Result<i64, sqlx::Error> {
    let bytes = raw(row, index)?.unwrap_or_default();
    bigint(bytes).ok_or_else(|| malformed(index, "not a bigint"))
}

/// Reads the cells of a row that is not a record.
pub(super) trait Cells {
    /// Reads text that may be absent.
    fn text(&self, index: usize) -> Result<Option<&str>, sqlx::Error>;
    /// Reads bytes; none where they are absent.
    fn bytes(&self, index: usize) -> Result<&[u8], sqlx::Error>;
    /// Reads an array of text.
    fn texts(&self, index: usize) -> Result<Vec<String>, sqlx::Error>;
    /// Reads exactly so many bytes: a digest, or a UUID.
    fn array<const N: usize>(&self, index: usize) -> Result<[u8; N], sqlx::Error>;
    /// Reads a moment that may be absent.
    fn moment(&self, index: usize) -> Result<Option<Timestamp>, sqlx::Error>;
}

impl Cells for PgRow {
    fn text(&self, index: usize) -> Result<Option<&str>, sqlx::Error> {
        let bytes = raw(self, index)?;
        bytes
            .map(|bytes| std::str::from_utf8(bytes).map_err(|source| malformed(index, source)))
            .transpose()
    }

    fn bytes(&self, index: usize) -> Result<&[u8], sqlx::Error> {
        Ok(raw(self, index)?.unwrap_or_default())
    }

    fn texts(&self, index: usize) -> Result<Vec<String>, sqlx::Error> {
        self.try_get_unchecked(index)
    }

    fn array<const N: usize>(&self, index: usize) -> Result<[u8; N], sqlx::Error> {
        exactly(index, raw(self, index)?.unwrap_or_default())
    }

    fn moment(&self, index: usize) -> Result<Option<Timestamp>, sqlx::Error> {
        moment(self, index)
    }
}

/// Reads a moment that may be absent.
pub(super) fn moment(row: &PgRow, index: usize) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(raw(row, index)?.and_then(bigint).map(from_postgres))
}

fn raw(row: &PgRow, index: usize) -> Result<Option<&[u8]>, sqlx::Error> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(None);
    }
    value.as_bytes().map(Some).map_err(|source| malformed(index, source))
}

fn malformed(
    index: usize,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: index.to_string(), source: source.into() }
}

fn exactly<const N: usize>(index: usize, bytes: &[u8]) -> Result<[u8; N], sqlx::Error> {
    bytes.try_into().map_err(|_| malformed(index, format!("{} bytes, not {N}", bytes.len())))
}

fn bigint(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

const fn from_postgres(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros.saturating_add(EPOCH_MICROS))
}

fn month(text: &str) -> Option<Month> {
    let (year, month) = text.split_once('-')?;
    let month: i32 = month.parse().ok().filter(|month| (1..=12).contains(month))?;
    Some(Month::from_index(year.parse::<i32>().ok()?.checked_mul(12)? + month - 1))
}

fn value(bytes: &[u8], sql_type: SqlType, kind: Kind) -> Option<Value<'_>> {
    Some(match sql_type {
        SqlType::Uuid => Value::Id(RecordId::from_bytes(bytes.try_into().ok()?)),
        SqlType::Timestamptz => Value::Time(from_postgres(bigint(bytes)?)),
        SqlType::Integer => Value::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        SqlType::Bigint if kind == Kind::Stream => Value::Stream(WriterId::new(bigint(bytes)?)),
        SqlType::Bigint => Value::Integer(bigint(bytes)?),
        SqlType::Text | SqlType::Class => Value::Text(std::str::from_utf8(bytes).ok()?),
        SqlType::Json => Value::Json(std::str::from_utf8(bytes).ok()?),
        SqlType::Inet => Value::Address(address(bytes)?),
    })
}

fn address(bytes: &[u8]) -> Option<Address> {
    let (head, ip) = bytes.split_at_checked(4)?;
    let ip = match head[0] {
        FAMILY_V4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?)),
        FAMILY_V6 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?)),
        _ => return None,
    };
    Some(Address::truncated(ip, head[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_comes_back_from_its_text() {
        let shown = |text| month(text).map(|month| month.to_string());
        assert_eq!(shown("2026-01").as_deref(), Some("2026-01"));
        assert_eq!(shown("2026-13"), None);
        assert_eq!(shown("nonsense"), None);
    }
}
