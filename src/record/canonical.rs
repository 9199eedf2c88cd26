//! The canonical bytes of a record: what is hashed, and can never change once written.
//!
//! A flat JSON object as RFC 8785 writes it: keys sorted, no white space, minimal escapes. Its values
//! are strings, integers, or null; integers lie below 2^53, as moments do in the years 1685 to 2255.
//! In detail, for `schema_version` 1:
//!
//! - An absent field is left out. The four keys `content`, `identity`, `network`, `target` are always
//!   there: the commitment of that group in lower-case hex, or null when the group is empty.
//! - The fields of the four groups are in no other way part of the object. A group's own bytes are the
//!   object of its fields that are not absent, by the same rules.
//! - A commitment counts for an erased group only if the group's fields are gone: fields that somebody
//!   put beside a commitment show as another commitment.
//! - Ids are lower-case hyphenated UUIDs; moments are integer microseconds; `writer_id` is a decimal
//!   string; JSON fields enter as the string that is stored; an address is `family/prefix/hex bytes`,
//!   as in `"4/32/7f000001"`.
//!
//! The golden files in `tests/golden/` hold examples of all of it.

use std::{
    fmt::{self, Write as _},
    net::IpAddr,
    sync::LazyLock,
};

use super::{
    Record,
    field::{Field, Group, Value},
    seal::{Seal, commitment},
};

/// Encodes records, reusing its buffers.
#[derive(Debug, Default)]
pub struct Canonical {
    object: String,
    group: String,
}

impl Canonical {
    /// Makes an encoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the canonical bytes of `record`, whose groups must have been given their salts.
    ///
    /// A group that has fields but no salt, or fields beside the commitment of an erasure, is what a
    /// tampered row looks like; it gets a commitment under a zero salt, which no writer produces.
    pub fn encode(&mut self, record: &Record) -> &[u8] {
        let commitments = Group::ERASABLE.map(|group| self.commitment(record, group));
        self.object.clear();
        self.object.push('{');
        for key in KEYS.iter() {
            match key {
                Key::Field(field) => {
                    push_member(&mut self.object, field.name(), &field.value(record))
                }
                Key::Commitment(index) => {
                    push_key(&mut self.object, Group::ERASABLE[*index].as_str());
                    match &commitments[*index] {
                        None => self.object.push_str("null"),
                        Some(hash) => {
                            self.object.push('"');
                            push_hex(&mut self.object, hash);
                            self.object.push('"');
                        }
                    }
                }
            }
        }
        self.object.push('}');
        self.object.as_bytes()
    }

    /// Returns the commitment of one group, or `None` when the group is empty.
    pub fn commitment(&mut self, record: &Record, group: Group) -> Option<[u8; 32]> {
        let salt = match record.seals.of(group) {
            Seal::Salted(salt) => Some(salt),
            // Taken at its word only while nothing is there that it might not be the commitment of.
            Seal::Erased(commitment) if is_empty(record, group) => return Some(commitment),
            Seal::Erased(_) | Seal::Empty => None,
        };
        let bytes = self.encode_group(record, group);
        // An empty group with a salt left behind is a group that somebody emptied by hand.
        if bytes == b"{}" && salt.is_none() {
            return None;
        }
        let bytes = self.group.as_bytes();
        Some(commitment(group, &salt.unwrap_or_default(), bytes))
    }

    /// Returns the canonical bytes of one group: the object of its fields that are not absent.
    pub fn encode_group(&mut self, record: &Record, group: Group) -> &[u8] {
        self.group.clear();
        self.group.push('{');
        for field in fields_of(group) {
            push_member(&mut self.group, field.name(), &field.value(record));
        }
        self.group.push('}');
        self.group.as_bytes()
    }
}

impl Record {
    /// Gives a fresh salt to each group that holds something; `salts` must come from a strong generator.
    ///
    /// Called once, when the record gets its number.
    pub fn seal(&mut self, salts: [[u8; 16]; 4]) {
        for (group, salt) in Group::ERASABLE.into_iter().zip(salts) {
            if matches!(self.seals.of(group), Seal::Erased(_)) {
                continue;
            }
            let seal = if is_empty(self, group) { Seal::Empty } else { Seal::Salted(salt) };
            self.seals.set(group, seal);
        }
    }
}

fn is_empty(record: &Record, group: Group) -> bool {
    fields_of(group).iter().all(|field| field.value(record).is_null())
}

enum Key {
    Field(&'static Field),
    /// Index into [`Group::ERASABLE`].
    Commitment(usize),
}

/// The keys of the object in their order, sorted once.
static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut keys: Vec<(&str, Key)> =
        fields_of(Group::Sealed).iter().map(|field| (field.name(), Key::Field(field))).collect();
    for (index, group) in Group::ERASABLE.into_iter().enumerate() {
        keys.push((group.as_str(), Key::Commitment(index)));
    }
    keys.sort_unstable_by_key(|(name, _)| *name);
    keys.into_iter().map(|(_, key)| key).collect()
});

/// The fields of each group, sorted by name.
fn fields_of(group: Group) -> &'static [&'static Field] {
    static FIELDS: LazyLock<[Vec<&'static Field>; 5]> = LazyLock::new(|| {
        [Group::Sealed, Group::Identity, Group::Network, Group::Target, Group::Content].map(
            |group| {
                let mut fields: Vec<_> =
                    Record::FIELDS.iter().filter(|field| field.group() == group).collect();
                fields.sort_unstable_by_key(|field| field.name());
                fields
            },
        )
    });
    &FIELDS[match group {
        Group::Sealed => 0,
        Group::Identity => 1,
        Group::Network => 2,
        Group::Target => 3,
        Group::Content => 4,
    }]
}

fn push_key(out: &mut String, name: &str) {
    if out.len() > 1 {
        out.push(',');
    }
    // Field names need no escapes.
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
}

fn push_member(out: &mut String, name: &str, value: &Value<'_>) {
    if value.is_null() {
        return;
    }
    push_key(out, name);
    match value {
        Value::Null => {}
        Value::Integer(number) => put(out, format_args!("{number}")),
        Value::Time(at) => put(out, format_args!("{}", at.as_micros())),
        Value::Id(id) => put(out, format_args!("\"{id}\"")),
        Value::Stream(id) => put(out, format_args!("\"{id}\"")),
        Value::Text(text) | Value::Json(text) => push_string(out, text),
        Value::Address(address) => {
            let prefix = address.prefix();
            match address.ip() {
                IpAddr::V4(ip) => {
                    put(out, format_args!("\"4/{prefix}/"));
                    push_hex(out, &ip.octets());
                }
                IpAddr::V6(ip) => {
                    put(out, format_args!("\"6/{prefix}/"));
                    push_hex(out, &ip.octets());
                }
            }
            out.push('"');
        }
    }
}

fn put(out: &mut String, text: fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(text);
}

/// Writes a string as RFC 8785 (3.2.2.2) does.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut start = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            0x0c => "\\f",
            b'\r' => "\\r",
            0..0x20 => "",
            _ => continue,
        };
        // Every byte that is escaped is ASCII, so both cuts fall between characters.
        out.push_str(&text[start..index]);
        if escape.is_empty() {
            out.push_str("\\u00");
            push_hex(out, &[byte]);
        } else {
            out.push_str(escape);
        }
        start = index + 1;
    }
    out.push_str(&text[start..]);
    out.push('"');
}

/// Writes bytes as lower-case hex.
pub(crate) fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_serde_json_does_which_is_rfc_8785() {
        let all: String = (0..=0x7f_u8).map(char::from).chain("äöü€😀\u{2028}".chars()).collect();
        let mut out = String::new();
        push_string(&mut out, &all);
        assert_eq!(out, serde_json::to_string(&all).unwrap());
    }

    #[test]
    fn the_object_is_json_with_sorted_keys_and_flat_values() {
        let mut record = Record { seq: 7, ..Record::default() };
        record.action.set("create");
        record.actor_id.set("ana");
        record.metadata = super::super::Json::of(&serde_json::json!({"a": 1.5})).unwrap();
        record.seal([[1; 16], [2; 16], [3; 16], [4; 16]]);
        let mut encoder = Canonical::new();
        let text = String::from_utf8(encoder.encode(&record).to_vec()).unwrap();
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).unwrap();
        let keys: Vec<_> = object.keys().cloned().collect();
        assert!(keys.is_sorted());
        assert!(!text.contains("ana"), "personal fields enter only as commitments");
        assert!(object["identity"].is_string() && object["content"].is_string());
        assert!(object["network"].is_null() && object["target"].is_null());
    }

    #[test]
    fn erasing_a_group_leaves_the_bytes_as_they_were() {
        let mut record = Record::default();
        record.actor_id.set("ana");
        record.seal([[9; 16]; 4]);
        let mut encoder = Canonical::new();
        let before = encoder.encode(&record).to_vec();
        let commitment = encoder.commitment(&record, Group::Identity).unwrap();
        record.actor_id.clear();
        assert_ne!(encoder.encode(&record), before, "emptied by hand shows");
        record.seals.set(Group::Identity, Seal::Erased(commitment));
        assert_eq!(encoder.encode(&record), before);
        record.actor_id.set("eve");
        assert_ne!(encoder.encode(&record), before, "a commitment does not vouch for new fields");
    }

    #[test]
    fn two_records_that_differ_in_one_place_differ_in_their_bytes() {
        let mut plain = Record::default();
        plain.action.set("a");
        let mut all = vec![plain.clone()];
        let mut add = |change: &dyn Fn(&mut Record)| {
            let mut record = plain.clone();
            change(&mut record);
            all.push(record);
        };
        add(&|record| record.action.set("a\",\"channel\":\"b"));
        add(&|record| record.channel.set("b"));
        add(&|record| record.org_id.set("b"));
        add(&|record| record.action.set("\\u0061"));
        add(&|record| record.action.set("A"));
        add(&|record| record.status = Some(0));
        add(&|record| record.grpc_status = Some(0));
        add(&|record| record.actor_id.set("ana"));
        add(&|record| record.actor_name.set("ana"));
        add(&|record| record.entity_id.set("ana"));
        add(&|record| record.description.set("ana"));
        add(&|record| record.user_agent.set("ana"));
        add(&|record| record.ip = "0.0.0.0".parse().ok());
        add(&|record| record.ip = "0.0.0.0/0".parse().ok());
        add(&|record| record.ip = "::".parse().ok());
        add(&|record| record.ip = "::/0".parse().ok());
        add(&|record| record.metadata = super::super::Json::from_stored("1.0"));
        add(&|record| record.metadata = super::super::Json::from_stored("1"));
        add(&|record| record.changes = super::super::Json::from_stored("1"));
        let mut encoder = Canonical::new();
        let mut seen = std::collections::BTreeSet::new();
        for record in &mut all {
            record.seal([[7; 16]; 4]);
            assert!(seen.insert(encoder.encode(record).to_vec()), "{record:?}");
        }
    }
}
