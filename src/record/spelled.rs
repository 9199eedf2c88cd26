//! Fields that are read back from JSON: from canonical bytes, from an export, and from a quarantine file.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    canonical::unhex,
    field::{Field, Kind, Value},
    fields::Record,
    ids::{Address, WriterId},
};
use crate::time::Timestamp;

/// How values are written.
#[cfg_attr(
    not(any(test, feature = "api")),
    allow(dead_code, reason = "for bundles and exports that are read back")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As in the canonical bytes: moments in microseconds, JSON within a string.
    Canonical,
    /// As in an export: moments as RFC 3339, JSON as it is, null where nothing is.
    Export,
}

/// The members of a JSON object, as they stand there; no name may stand there twice, since readers differ in which of
/// the two they see.
#[derive(Debug, Default)]
pub(crate) struct Members<'t>(pub(crate) Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &RawValue)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    // Objects with so many members that this is slow are none of ours.
                    if members.len() > MOST || members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a member stands there twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// More members than an object of ours has.
const MOST: usize = 256;

impl Record {
    /// Sets a field to what stands in JSON text.
    pub(crate) fn set_spelled(
        &mut self,
        field: &'static Field,
        raw: &str,
        spelling: Spelling,
    ) -> Result<(), String> {
        if raw == "null" {
            return Ok(());
        }
        let wrong = || format!("`{}` holds what is never written there", field.name());
        let text = || serde_json::from_str::<String>(raw).map_err(|_| wrong());
        let number = || serde_json::from_str::<i64>(raw).map_err(|_| wrong());
        let canonical = spelling == Spelling::Canonical;
        let spelled;
        let value = match field.kind() {
            Kind::Integer => Value::Integer(number()?),
            Kind::Time if canonical => Value::Time(Timestamp::from_micros(number()?)),
            Kind::Time => Value::Time(text()?.parse().map_err(|_| wrong())?),
            Kind::Id => Value::Id(text()?.parse().map_err(|_| wrong())?),
            Kind::Stream => Value::Stream(text()?.parse::<WriterId>().map_err(|_| wrong())?),
            Kind::Address if canonical => Value::Address(address(&text()?).ok_or_else(wrong)?),
            Kind::Address => Value::Address(text()?.parse().map_err(|_| wrong())?),
            Kind::Json if !canonical => Value::Json(raw),
            Kind::Json => {
                spelled = text()?;
                Value::Json(&spelled)
            }
            Kind::Word | Kind::Text => {
                spelled = text()?;
                Value::Text(&spelled)
            }
        };
        field.set(self, value).map_err(|error| error.to_string())
    }
}

/// Returns the group whose commitment stands under a name in the canonical object.
#[cfg(any(test, feature = "api"))]
pub(crate) fn group_named(name: &str) -> Option<super::Group> {
    super::Group::ERASABLE.into_iter().find(|group| group.as_str() == name)
}

/// Reads `family/prefix/hex bytes`.
fn address(text: &str) -> Option<Address> {
    let mut parts = text.split('/');
    let (family, prefix, bytes) = (parts.next()?, parts.next()?, parts.next()?);
    let ip = match family {
        "4" => std::net::IpAddr::from(unhex::<4>(bytes)?),
        "6" => std::net::IpAddr::from(unhex::<16>(bytes)?),
        _ => return None,
    };
    Some(Address::truncated(ip, prefix.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Canonical, Group};

    #[test]
    fn canonical_bytes_are_read_back() {
        let golden = include_str!("../../tests/golden/records.canonical");
        let mut read = 0;
        // The leaf hash of each stands before it.
        let lines = golden.lines().filter_map(|line| line.split_once(' '));
        // Behind the records stand entries of the ledger.
        for (_, line) in lines.filter(|(_, line)| !line.starts_with("{\"batch_root")) {
            let members: Members<'_> = serde_json::from_str(line).unwrap();
            let mut record = Record::default();
            for (name, raw) in members.0 {
                match group_named(&name) {
                    None => record
                        .set_spelled(Field::named(&name).unwrap(), raw.get(), Spelling::Canonical)
                        .unwrap(),
                    Some(group) => {
                        if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
                            record
                                .seals
                                .set(group, super::super::Seal::Erased(unhex(&text).unwrap()));
                        }
                    }
                }
            }
            assert_eq!(String::from_utf8_lossy(Canonical::new().encode(&record)), line);
            read += 1;
        }
        assert!(read > 0, "there are examples");
    }

    #[test]
    fn a_name_that_stands_there_twice_is_refused() {
        assert!(serde_json::from_str::<Members<'_>>(r#"{"a":1,"b":2}"#).is_ok());
        for wrong in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, "[]", "1"] {
            assert!(serde_json::from_str::<Members<'_>>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["127.0.0.1", "10.0.0.0/8", "2001:db8::1", "2001:db8::/48"] {
            let mut record = Record { ip: Some(text.parse().unwrap()), ..Record::default() };
            record.seal([[0; 16]; 4]);
            let bytes = Canonical::new().encode_group(&record, Group::Network).to_vec();
            let members: Members<'_> = serde_json::from_slice(&bytes).unwrap();
            let mut read = Record::default();
            for (name, raw) in &members.0 {
                let field = Field::named(name).unwrap();
                read.set_spelled(field, raw.get(), Spelling::Canonical).unwrap();
            }
            assert_eq!(read.ip, record.ip);
            let mut read = Record::default();
            let field = Field::named("ip").unwrap();
            read.set_spelled(field, &format!("\"{text}\""), Spelling::Export).unwrap();
            assert_eq!(read.ip, record.ip);
        }
    }
}
