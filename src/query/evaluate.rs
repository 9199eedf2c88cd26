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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        query::{Filter, ParseContext},
        record::Json,
        time::Timestamp,
    };

    fn filter(text: &str) -> Filter {
        Filter::parse(text, &ParseContext::new(Timestamp::default())).unwrap()
    }

    fn record() -> Record {
        let mut record = Record::default();
        record.action.set("Cancel");
        record.actor_id.set("ana");
        record.description.set("Cancelled Order 55 for Ána");
        record.metadata = Json::from_stored(r#"{"ui":{"theme":"dark"},"n":[1,2.50]}"#);
        record.changes =
            Json::from_stored(r#"[{"op":"replace","path":"/status","old":"a","new":"b"}]"#);
        record.ip = Some("10.1.2.3".parse().unwrap());
        record.status = Some(503);
        record
    }

    #[test]
    fn each_kind_of_test_holds_or_does_not() {
        for text in [
            "action:CANCEL",
            "action:can*",
            "actor_id:a*a",
            "-actor_id:ANA",
            "-reason:x",
            "-reason:*",
            "status:5xx",
            "-status:<503",
            "ip:10.0.0.0/8",
            "-ip:10.1.2.128/25,2001:db8::/32",
            "metadata.ui.theme:dark",
            "metadata.n:2.50",
            "-metadata.n:2.5",
            "metadata.ui:*",
            "changed:/status",
            "-changed:/stat",
            "old:/status=a",
            "-old:/status=b",
            "new:/status=x,b",
            "\"order 55\"",
            "cancel*",
            "-cancel",
            "ána",
            "ÁNA",
            "theme dark",
            "-\"dark theme\"",
            "action:(x OR cancel) -(reason:* OR actor_id:bob)",
            "writer_id:0",
            "*",
            "at:..1970-01-01",
        ] {
            assert!(filter(text).matches(&record()), "{text}");
            assert!(!filter(&format!("-({text})")).matches(&record()), "{text}");
        }
    }

    #[test]
    fn looking_at_a_record_allocates_nothing() {
        let record = record();
        let filters: Vec<_> = [
            "nothing",
            "\"order 56\"",
            "cancel*",
            "ÁNA",
            "action:c*x",
            "actor_id:*z*",
            "status:404",
            "metadata.ui.theme:light",
            "metadata.n:7",
            "old:/status=b",
            "subject_id:x",
            "ip:::/0",
        ]
        .map(filter)
        .into();
        // What is made once is made before.
        assert!(filters.iter().filter(|filter| filter.matches(&record)).count() <= filters.len());
        let counted = allocation_counter::measure(|| {
            for filter in &filters {
                std::hint::black_box(filter.matches(&record));
            }
        });
        assert_eq!(counted.count_total, 0);
    }
}
