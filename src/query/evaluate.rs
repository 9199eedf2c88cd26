//! The meaning of a filter, in memory.

use std::net::IpAddr;

use super::{
    expr::{Expr, Test, folds_case},
    json,
};
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
                    pattern.matches_in_any_case(text)
                } else {
                    pattern.matches(text)
                }
            }),
            Self::Number(field, least, most) => {
                let number = match field.value(record) {
                    Value::Integer(number) => number,
                    Value::Stream(stream) => stream.get(),
                    _ => return false,
                };
                least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
            }
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
                Value::Json(json) => json::contains(json, values),
                _ => false,
            },
            Self::Json(field, path, wanted) => match field.value(record) {
                Value::Json(json) => json::under(json, path, wanted),
                _ => false,
            },
            Self::Change(path, side, wanted) => {
                json::changed(record.changes.as_str(), path, *side, wanted)
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
