//! The meaning of a filter, in memory.

use std::net::IpAddr;

use serde_json::Value as Any;

use super::expr::{Expr, Side, Test, Wanted, folds_case};
use crate::record::{Address, Field, Record, Value};

impl Expr {
    /// Tells whether the condition holds for `record`.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(record)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(record)),
            Self::Not(part) => !part.matches(record),
            Self::Test(test) => test.matches(record),
        }
    }
}

impl Test {
    /// Tells whether the test holds for `record`.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        match self {
            Self::Present(field) => !field.value(record).is_null(),
            Self::OneOf(field, values) => text(field, record).is_some_and(|text| {
                if folds_case(field) {
                    values.iter().any(|value| text.eq_ignore_ascii_case(value))
                } else {
                    values.iter().any(|value| text == value)
                }
            }),
            Self::Like(field, pattern) => text(field, record).is_some_and(|text| {
                if folds_case(field) {
                    pattern.folded().matches(&text.to_ascii_lowercase())
                } else {
                    pattern.matches(text)
                }
            }),
            Self::Number(field, least, most) => match field.value(record) {
                Value::Integer(number) => {
                    least.is_none_or(|least| number >= least)
                        && most.is_none_or(|most| number <= most)
                }
                _ => false,
            },
            Self::Time(field, from, to) => match field.value(record) {
                Value::Time(at) => {
                    from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
                }
                _ => false,
            },
            Self::Id(id) => record.id == *id,
            Self::Network(field, network) => match field.value(record) {
                Value::Address(address) => contains(*network, address),
                _ => false,
            },
            Self::Contains(field, values) => match field.value(record) {
                Value::Json(json) => json_of(json).as_array().is_some_and(|elements| {
                    elements.iter().any(|element| {
                        element.as_str().is_some_and(|e| values.iter().any(|v| v == e))
                    })
                }),
                _ => false,
            },
            Self::Json(field, path, wanted) => match field.value(record) {
                Value::Json(json) => under(&json_of(json), path, wanted),
                _ => false,
            },
            Self::Change(path, side, wanted) => {
                changes(record).iter().any(|change| changed(change, path, *side, wanted))
            }
            Self::Text(phrase) => phrase.matches(record),
        }
    }
}

fn text<'r>(field: &Field, record: &'r Record) -> Option<&'r str> {
    match field.value(record) {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// JSON that a store holds; anything unreadable has no values.
fn json_of(text: &str) -> Any {
    serde_json::from_str(text).unwrap_or(Any::Null)
}

fn under(value: &Any, path: &[String], wanted: &Wanted) -> bool {
    if let Any::Array(elements) = value {
        return elements.iter().any(|element| under(element, path, wanted));
    }
    match path.split_first() {
        None => wanted.matches(value),
        Some((key, rest)) => value.get(key).is_some_and(|value| under(value, rest, wanted)),
    }
}

fn changes(record: &Record) -> Vec<Any> {
    match json_of(record.changes.as_str()) {
        Any::Array(changes) => changes,
        _ => Vec::new(),
    }
}

fn changed(change: &Any, path: &str, side: Side, wanted: &Wanted) -> bool {
    let Some(there) = change.get("path").and_then(Any::as_str) else { return false };
    let below = there
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || path.is_empty());
    let side = match side {
        Side::Either => return below && (*wanted == Wanted::Any || either(change, wanted)),
        Side::Old => "old",
        Side::New => "new",
    };
    below && change.get(side).is_some_and(|value| wanted.matches(value))
}

fn either(change: &Any, wanted: &Wanted) -> bool {
    ["old", "new"].iter().any(|side| change.get(side).is_some_and(|value| wanted.matches(value)))
}

impl Wanted {
    fn matches(&self, value: &Any) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(wanted) => match value {
                Any::String(text) => wanted.iter().any(|wanted| wanted == text),
                Any::Array(_) | Any::Object(_) => false,
                plain => {
                    let spelt = plain.to_string();
                    wanted.contains(&spelt)
                }
            },
            Self::Like(pattern) => value.as_str().is_some_and(|text| pattern.matches(text)),
        }
    }
}

/// Tells whether `address`, which may be a network itself, lies within `network`.
fn contains(network: Address, address: Address) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (4, u128::from(ip.to_bits()) << 96),
        IpAddr::V6(ip) => (6, ip.to_bits()),
    };
    let ((family, ours), (other, theirs)) = (bits(network.ip()), bits(address.ip()));
    if family != other || address.prefix() < network.prefix() {
        return false;
    }
    let mask = u128::MAX.checked_shl(128 - u32::from(network.prefix())).unwrap_or(0);
    ours & mask == theirs & mask
}
