//! Rows in the format of `COPY … BINARY`, written by hand into one buffer.
//!
//! Format: a header, then each row as its number of columns and, per column, a length (−1 for null) and
//! that many bytes, all in network order; a number of columns of −1 ends the data.
//! Source: the documentation of COPY, *Binary Format*.

use std::net::IpAddr;

use super::column::{COLUMN_COUNT, EPOCH_MICROS, FAMILY_V4, FAMILY_V6, SqlType, TYPES};
use crate::record::{Group, Record, Seal, Value};

/// Signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Writes the header.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(HEADER);
}

/// Writes the end of the data.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i16).to_be_bytes());
}

/// Writes one row.
pub(super) fn row(out: &mut Vec<u8>, record: &Record) {
    const COUNT: [u8; 2] = (COLUMN_COUNT as i16).to_be_bytes();
    out.extend_from_slice(&COUNT);
    for (field, sql_type) in Record::FIELDS.iter().zip(TYPES.iter()) {
        value(out, &field.value(record), *sql_type);
    }
    let seals = Group::ERASABLE.map(|group| record.seals.of(group));
    for seal in &seals {
        match seal {
            Seal::Salted(salt) => bytes(out, salt),
            Seal::Empty | Seal::Erased(_) => out.extend_from_slice(&NULL),
        }
    }
    for seal in &seals {
        match seal {
            Seal::Erased(commitment) => bytes(out, commitment),
            Seal::Empty | Seal::Salted(_) => out.extend_from_slice(&NULL),
        }
    }
}

fn value(out: &mut Vec<u8>, value: &Value<'_>, sql_type: SqlType) {
    match *value {
        Value::Null if sql_type == SqlType::Class => bytes(out, b""),
        Value::Null => out.extend_from_slice(&NULL),
        Value::Id(id) => bytes(out, id.as_bytes()),
        Value::Time(at) => {
            bytes(out, &at.as_micros().saturating_sub(EPOCH_MICROS).to_be_bytes());
        }
        Value::Integer(number) if sql_type == SqlType::Integer => {
            // Sixteen bits and less, see `SqlType::of`.
            bytes(out, &i32::try_from(number).unwrap_or(i32::MAX).to_be_bytes());
        }
        Value::Integer(number) => bytes(out, &number.to_be_bytes()),
        Value::Stream(id) => bytes(out, &id.get().to_be_bytes()),
        Value::Text(text) | Value::Json(text) => bytes(out, text.as_bytes()),
        // Family, prefix, "is a cidr", number of bytes, bytes.
        Value::Address(address) => match address.ip() {
            IpAddr::V4(ip) => {
                out.extend_from_slice(&[0, 0, 0, 8, FAMILY_V4, address.prefix(), 0, 4]);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.extend_from_slice(&[0, 0, 0, 20, FAMILY_V6, address.prefix(), 0, 16]);
                out.extend_from_slice(&ip.octets());
            }
        },
    }
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A text beyond 2 GiB cannot be: fields are bounded at capture, and the server takes 1 GiB a row.
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_as_many_columns_as_it_holds() {
        let mut record = Record::default();
        record.action.set("create");
        record.ip = Some("192.0.2.0/24".parse().unwrap());
        record.seal([[7; 16]; 4]);
        let mut out = Vec::new();
        row(&mut out, &record);
        let count = i16::from_be_bytes([out[0], out[1]]);
        let mut rest = &out[2..];
        let mut found = 0;
        while let Some((length, tail)) = rest.split_at_checked(4) {
            let length = i32::from_be_bytes(length.try_into().unwrap());
            rest = &tail[usize::try_from(length).unwrap_or(0)..];
            found += 1;
        }
        assert!(rest.is_empty());
        assert_eq!(found, count);
        assert_eq!(found as usize, super::super::column::COLUMNS.split(", ").count());
    }
}
