use std::net::IpAddr;

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use super::input::Input;
use crate::record::{Canonical, Group, Record, Seal, Value};

/// Canonical bytes: two ways to them agree, records that differ have others, and erasing leaves them as they are.
///
/// # Panics
///
/// Panics where that does not hold.
pub fn canonical(data: &[u8]) {
    let mut input = Input::new(data);
    let one = input.record();
    let mut other = one.clone();
    for _ in 0..input.below(3) {
        input.edit(&mut other);
    }
    if input.byte().is_multiple_of(2) {
        other.seal(std::array::from_fn(|_| input.array()));
    }
    let mut encoder = Canonical::new();
    let bytes = encoder.encode(&one).to_vec();
    assert_eq!(text(&bytes), text(&by_the_book(&one)));
    let others = encoder.encode(&other).to_vec();
    assert_eq!(others, by_the_book(&other));
    assert_eq!(normal(&one) == normal(&other), bytes == others, "{one:?}\n{other:?}");
    // Erasing a group leaves them as they are.
    for group in Group::ERASABLE {
        let Some(commitment) = encoder.commitment(&one, group) else { continue };
        let mut erased = one.clone();
        let empty = Record::default();
        for field in Record::FIELDS.iter().filter(|field| field.group() == group) {
            let nothing = field.value(&empty);
            assert!(nothing.is_null(), "personal fields can be absent");
            field.set(&mut erased, nothing).expect("a field can be made absent");
        }
        erased.seals.set(group, Seal::Erased(commitment));
        assert_eq!(text(encoder.encode(&erased)), text(&bytes), "{group:?}");
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("canonical bytes are text")
}

/// The bytes as the documents describe them, made by other means: `serde_json` escapes as RFC 8785 does, and its
/// maps are sorted here.
fn by_the_book(record: &Record) -> Vec<u8> {
    let mut object = group_object(record, Group::Sealed);
    for (group, letter) in Group::ERASABLE.into_iter().zip(*b"INTC") {
        let fields = group_object(record, group);
        let salt = match record.seals.of(group) {
            Seal::Salted(salt) => Some(salt),
            Seal::Erased(commitment) if fields.is_empty() => {
                object.push((group.as_str(), Json::from(hex(&commitment))));
                continue;
            }
            Seal::Erased(_) | Seal::Empty if fields.is_empty() => None,
            Seal::Erased(_) | Seal::Empty => Some([0; 16]),
        };
        let commitment = salt.map(|salt| {
            let mut hashed = vec![2, letter];
            hashed.extend_from_slice(&salt);
            hashed.extend_from_slice(&write(fields));
            hex(&Sha256::digest(&hashed))
        });
        object.push((group.as_str(), Json::from(commitment)));
    }
    write(object)
}

fn write(mut members: Vec<(&str, Json)>) -> Vec<u8> {
    members.sort_unstable_by_key(|(name, _)| *name);
    let mut out = Vec::new();
    out.push(b'{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let member = Map::from_iter([((*name).to_owned(), value.clone())]);
        let member = serde_json::to_vec(&member).expect("text, integers and null are JSON");
        out.extend_from_slice(&member[1..member.len() - 1]);
    }
    out.push(b'}');
    out
}

fn group_object(record: &Record, group: Group) -> Vec<(&'static str, Json)> {
    let fields = Record::FIELDS.iter().filter(|field| field.group() == group);
    fields.filter_map(|field| Some((field.name(), json(field.value(record))?))).collect()
}

fn json(value: Value<'_>) -> Option<Json> {
    Some(match value {
        Value::Null => return None,
        Value::Id(id) => Json::from(id.to_string()),
        Value::Time(at) => Json::from(at.as_micros()),
        Value::Integer(number) => Json::from(number),
        Value::Stream(id) => Json::from(id.get().to_string()),
        Value::Text(text) | Value::Json(text) => Json::from(text),
        Value::Address(address) => {
            let (family, bytes) = match address.ip() {
                IpAddr::V4(ip) => (4, ip.octets().to_vec()),
                IpAddr::V6(ip) => (6, ip.octets().to_vec()),
            };
            Json::from(format!("{family}/{}/{}", address.prefix(), hex(&bytes)))
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The record with those seals made one that are documented to count as one: fields without a salt, and fields
/// beside a commitment, count as fields under a salt of zeros.
fn normal(record: &Record) -> Record {
    let mut record = record.clone();
    for group in Group::ERASABLE {
        let is_there = !group_object(&record, group).is_empty();
        if is_there && !matches!(record.seals.of(group), Seal::Salted(_)) {
            record.seals.set(group, Seal::Salted([0; 16]));
        }
    }
    record
}
