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

use std::{net::IpAddr, sync::LazyLock};

use super::{
    Record,
    field::{Field, Group, Value},
    seal::{Seal, commitment},
};

/// Encodes records, reusing its buffers.
#[derive(Debug, Default)]
pub struct Canonical {
    object: Vec<u8>,
    group: Vec<u8>,
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
        self.encode_committed(record, &commitments)
    }

    /// Returns the canonical bytes of the sealed fields of `record` and these commitments, whatever its groups hold.
    pub(crate) fn encode_committed(
        &mut self,
        record: &Record,
        commitments: &[Option<[u8; 32]>; 4],
    ) -> &[u8] {
        let object = &mut self.object;
        object.clear();
        object.push(b'{');
        for key in KEYS.iter() {
            match key {
                Key::Field(member) => push_member(object, member, record),
                Key::Commitment { index, key } => {
                    push_key(object, key);
                    match &commitments[*index] {
                        None => object.extend_from_slice(b"null"),
                        Some(hash) => {
                            object.push(b'"');
                            push_hex(object, hash);
                            object.push(b'"');
                        }
                    }
                }
            }
        }
        object.push(b'}');
        object
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
        Some(commitment(group, &salt.unwrap_or_default(), bytes))
    }

    /// Returns the canonical bytes of one group: the object of its fields that are not absent.
    pub fn encode_group(&mut self, record: &Record, group: Group) -> &[u8] {
        self.group.clear();
        self.group.push(b'{');
        for member in members_of(group) {
            push_member(&mut self.group, member, record);
        }
        self.group.push(b'}');
        &self.group
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

impl Record {
    /// Takes the fields of a group out, and leaves its seal to the caller.
    pub(crate) fn clear_group(&mut self, group: Group) {
        for member in members_of(group) {
            // Every field of a group may be absent.
            let _fits = member.field.set(self, Value::Null);
        }
    }
}

/// Tells whether a record has no field of a group.
pub(crate) fn is_empty(record: &Record, group: Group) -> bool {
    members_of(group).iter().all(|member| member.field.value(record).is_null())
}

/// A field with its key as it is written behind another member: `,"name":`.
struct Member {
    field: &'static Field,
    key: String,
}

enum Key {
    Field(&'static Member),
    Commitment {
        /// Into [`Group::ERASABLE`].
        index: usize,
        key: String,
    },
}

/// The keys of the object in their order, sorted once.
static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut keys: Vec<(&str, Key)> = members_of(Group::Sealed)
        .iter()
        .map(|member| (member.field.name(), Key::Field(member)))
        .collect();
    for (index, group) in Group::ERASABLE.into_iter().enumerate() {
        keys.push((group.as_str(), Key::Commitment { index, key: key(group.as_str()) }));
    }
    keys.sort_unstable_by_key(|(name, _)| *name);
    keys.into_iter().map(|(_, key)| key).collect()
});

/// The fields of each group, sorted by name.
fn members_of(group: Group) -> &'static [Member] {
    static MEMBERS: LazyLock<[Vec<Member>; 5]> = LazyLock::new(|| {
        [Group::Sealed, Group::Identity, Group::Network, Group::Target, Group::Content].map(
            |group| {
                let mut members: Vec<_> = Record::FIELDS
                    .iter()
                    .filter(|field| field.group() == group)
                    .map(|field| Member { field, key: key(field.name()) })
                    .collect();
                members.sort_unstable_by_key(|member| member.field.name());
                members
            },
        )
    });
    &MEMBERS[match group {
        Group::Sealed => 0,
        Group::Identity => 1,
        Group::Network => 2,
        Group::Target => 3,
        Group::Content => 4,
    }]
}

/// Names of fields and groups need no escapes.
fn key(name: &str) -> String {
    format!(",\"{name}\":")
}

fn push_key(out: &mut Vec<u8>, key: &str) {
    // The first member stands behind the brace and takes no comma.
    out.extend_from_slice(&key.as_bytes()[usize::from(out.len() == 1)..]);
}

/// Writes a member unless its value is absent. No formatting machinery: this runs for every record.
fn push_member(out: &mut Vec<u8>, member: &Member, record: &Record) {
    let value = member.field.value(record);
    if value.is_null() {
        return;
    }
    push_key(out, &member.key);
    match value {
        Value::Null => {}
        Value::Integer(number) => push_integer(out, number),
        Value::Time(at) => push_integer(out, at.as_micros()),
        Value::Id(id) => {
            out.push(b'"');
            let bytes = id.as_bytes();
            for (index, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
                if index > 0 {
                    out.push(b'-');
                }
                push_hex(out, &bytes[part]);
            }
            out.push(b'"');
        }
        Value::Stream(id) => {
            out.push(b'"');
            push_integer(out, id.get());
            out.push(b'"');
        }
        Value::Text(text) | Value::Json(text) => push_string(out, text),
        Value::Address(address) => {
            out.extend_from_slice(if address.ip().is_ipv4() { b"\"4/" } else { b"\"6/" });
            push_integer(out, i64::from(address.prefix()));
            out.push(b'/');
            match address.ip() {
                IpAddr::V4(ip) => push_hex(out, &ip.octets()),
                IpAddr::V6(ip) => push_hex(out, &ip.octets()),
            }
            out.push(b'"');
        }
    }
}

/// Writes an integer in decimal.
pub(crate) fn push_integer(out: &mut Vec<u8>, number: i64) {
    // 20 digits hold any 64-bit integer.
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[start..]);
}

/// Writes a string as RFC 8785 (3.2.2.2) does.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        let short = match byte {
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            0..0x20 => 0,
            // A quote or a backslash.
            byte => *byte,
        };
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            push_hex(out, &[*byte]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
        rest = after;
    }
    out.push(b'"');
}

/// Returns how many of the first bytes are written as they are.
fn plain(bytes: &[u8]) -> usize {
    // Without branches, so that some bytes are looked at with one instruction: most texts are plain to their end.
    let is_special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    let (chunks, _rest) = bytes.as_chunks::<16>();
    let any = |chunk: &&[u8; 16]| chunk.iter().fold(false, |any, byte| any | is_special(byte));
    let begins = 16 * chunks.iter().take_while(|chunk| !any(chunk)).count();
    let special = bytes[begins..].iter().position(is_special);
    special.map_or(bytes.len(), |at| begins + at)
}

/// Writes bytes as lower-case hex.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let begins = out.len();
    out.resize(begins + 2 * bytes.len(), 0);
    let (pairs, _rest) = out[begins..].as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = HEX[usize::from(*byte)];
    }
}

/// The two digits of each byte.
static HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Returns bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(2 * bytes.len());
    push_hex(&mut out, bytes);
    out.into_iter().map(char::from).collect()
}

/// Reads so many bytes in hex, of either case; `None` when it is anything else.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let (mut bytes, mut all) = ([0; N], 0);
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| UNHEX[usize::from(digit)]);
        *byte = high << 4 | low & 15;
        all |= high | low;
    }
    (all < 16).then_some(bytes)
}

/// What each byte is as a digit of either case; 16 and above where it is none.
static UNHEX: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut byte = 0_u8;
    while byte < 16 {
        let digit = HEX[byte as usize][1];
        digits[digit as usize] = byte;
        digits[digit.to_ascii_uppercase() as usize] = byte;
        byte += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_as_it_is_written() {
        let all: [u8; 32] = std::array::from_fn(|byte| byte as u8 * 7);
        assert_eq!(unhex(&hex(&all)), Some(all));
        assert_eq!(unhex(&hex(&all).to_uppercase()), Some(all));
        for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66), &"é".repeat(32)]
        {
            assert_eq!(unhex::<32>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn strings_are_escaped_as_serde_json_does_which_is_rfc_8785() {
        let all: String = (0..=0x7f_u8).map(char::from).chain("äöü€😀\u{2028}".chars()).collect();
        // Wherever what is escaped stands among what is not.
        for begins in 0..40 {
            let text = format!("{}{all}{}{all}", "x".repeat(begins), "y".repeat(2 * begins));
            let mut out = Vec::new();
            push_string(&mut out, &text);
            assert_eq!(out, serde_json::to_vec(&text).unwrap());
        }
        for begins in 0..40 {
            for special in ["", "\"", "\\", "\u{1f}", "\u{7f}", " ", "!", "ä"] {
                let text = format!("{}{special}", "x".repeat(begins));
                let mut out = Vec::new();
                push_string(&mut out, &text);
                assert_eq!(out, serde_json::to_vec(&text).unwrap());
            }
        }
    }

    #[test]
    fn integers_are_written_in_decimal() {
        for number in [0, 7, -1, 1_234_567_890_123_456, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            push_integer(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
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
