//! JSON, written straight into bytes.

use std::{io::Write as _, net::IpAddr};

use serde_json::value::RawValue;

use crate::{
    record::{Address, Record, RecordId, Value, push_hex, push_integer, push_string},
    time::Timestamp,
};

/// Writes a record as the API does: one flat object with every field, null where absent.
pub(super) fn record(record: &Record, moments: &mut Moments, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    for field in Record::FIELDS {
        object.value(field.name(), field.value(record), moments);
    }
    object.close();
}

/// An object under way.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }

    /// Writes a key and returns the place of its value. Keys are ours and need no escapes.
    pub(super) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        push_string(self.key(key), text);
    }

    pub(super) fn integer(&mut self, key: &str, number: i64) {
        push_integer(self.key(key), number);
    }

    pub(super) fn moment(&mut self, key: &str, at: Timestamp, moments: &mut Moments) {
        let out = self.key(key);
        out.push(b'"');
        moments.push(out, at);
        out.push(b'"');
    }

    /// Writes the value of a field.
    pub(super) fn value(&mut self, key: &str, value: Value<'_>, moments: &mut Moments) {
        match value {
            Value::Null => self.key(key).extend_from_slice(b"null"),
            Value::Text(text) => self.text(key, text),
            Value::Integer(number) => self.integer(key, number),
            Value::Time(at) => self.moment(key, at, moments),
            Value::Json(text) => push_json(self.key(key), text),
            Value::Id(_) | Value::Stream(_) | Value::Address(_) => {
                let out = self.key(key);
                out.push(b'"');
                push_bare(out, value);
                out.push(b'"');
            }
        }
    }

    /// Writes an object in it; an empty one is left out.
    pub(super) fn object(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>)) {
        let (before, was_empty) = (self.out.len(), self.empty);
        let mut inner = Object::open(self.key(key));
        write(&mut inner);
        if inner.empty {
            self.out.truncate(before);
            self.empty = was_empty;
        } else {
            inner.close();
        }
    }
}

/// Writes an id, the name of a stream or an address as text without quotes; none of it needs escapes.
pub(super) fn push_bare(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Id(id) => push_id(out, id),
        Value::Stream(id) => push_integer(out, id.get()),
        Value::Address(address) => push_address(out, address),
        _ => {}
    }
}

fn push_id(out: &mut Vec<u8>, id: RecordId) {
    let bytes = id.as_bytes();
    for (index, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if index > 0 {
            out.push(b'-');
        }
        push_hex(out, &bytes[part]);
    }
}

fn push_address(out: &mut Vec<u8>, address: Address) {
    match address.ip() {
        IpAddr::V4(ip) if address.is_whole() => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                push_integer(out, octet.into());
            }
        }
        _ => {
            let _infallible = write!(out, "{address}");
        }
    }
}

/// Writes JSON text as it is; as a string where it is none, because somebody edited the column by hand.
pub(super) fn push_json(out: &mut Vec<u8>, text: &str) {
    match serde_json::from_str::<&RawValue>(text) {
        // Line breaks between values are white space; inside of strings there are none. In JSON Lines one
        // would end the record.
        Ok(raw) => out.extend(raw.get().bytes().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            byte => byte,
        })),
        Err(_) => push_string(out, text),
    }
}

/// Writes moments as RFC 3339, and remembers the date of the last one: records come in the order of time.
#[derive(Debug, Default)]
pub(super) struct Moments {
    day: Option<i64>,
    /// `2026-01-31T`.
    date: String,
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Moments {
    pub(super) fn push(&mut self, out: &mut Vec<u8>, at: Timestamp) {
        // The calendar clamps what lies beyond its years.
        let micros = at.calendar().as_microsecond();
        let (day, rest) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
        if self.day != Some(day) {
            self.date = at.to_string();
            let end = self.date.find('T').map_or(self.date.len(), |end| end + 1);
            self.date.truncate(end);
            self.day = Some(day);
        }
        out.extend_from_slice(self.date.as_bytes());
        let seconds = rest / 1_000_000;
        let mut clock = *b"00:00:00.000000Z";
        two(&mut clock[0..2], seconds / 3_600);
        two(&mut clock[3..5], seconds / 60 % 60);
        two(&mut clock[6..8], seconds % 60);
        two(&mut clock[9..11], rest / 10_000 % 100);
        two(&mut clock[11..13], rest / 100 % 100);
        two(&mut clock[13..15], rest % 100);
        out.extend_from_slice(&clock);
    }
}

/// Writes a number below 100.
fn two(digits: &mut [u8], number: i64) {
    digits[0] = b'0' + (number / 10) as u8;
    digits[1] = b'0' + (number % 10) as u8;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(moments: &mut Moments, at: Timestamp) -> String {
        let mut out = Vec::new();
        moments.push(&mut out, at);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn moments_read_as_timestamps_show_them() {
        let mut moments = Moments::default();
        for micros in [0, -1, 1, MICROS_PER_DAY - 1, MICROS_PER_DAY, i64::MIN, i64::MAX] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(written(&mut moments, at), at.to_string());
        }
    }

    proptest! {
        #[test]
        fn any_moment_reads_as_its_timestamp_shows_it(micros: i64, near in -90_000_000_000..90_000_000_000_i64) {
            let mut moments = Moments::default();
            for micros in [micros, micros.saturating_add(near), near] {
                let at = Timestamp::from_micros(micros);
                prop_assert_eq!(written(&mut moments, at), at.to_string());
            }
        }
    }

    #[test]
    fn json_that_somebody_broke_becomes_a_string_and_line_breaks_go() {
        for (text, written) in [
            ("{\"a\":\n1}", "{\"a\": 1}"),
            ("{\"a\":1},{\"b\":2", r#""{\"a\":1},{\"b\":2""#),
            ("1e999", "1e999"),
            ("\"\\n\"", "\"\\n\""),
        ] {
            let mut out = Vec::new();
            push_json(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }

    #[test]
    fn an_object_with_nothing_in_it_is_left_out() {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.object("nothing", |inner| inner.object("at all", |_| {}));
        object.integer("n", 1);
        object.object("nothing", |_| {});
        object.object("some", |inner| inner.text("t", "\""));
        object.close();
        assert_eq!(out, br#"{"n":1,"some":{"t":"\""}}"#);
    }
}
