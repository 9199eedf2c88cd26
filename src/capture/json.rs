//! JSON in passing: writing a few strings without allocating, and finding an id without a tree.

use std::fmt::{self, Write as _};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};

/// Appends `text` as a JSON string.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|byte| byte >= 0x20 && !matches!(byte, b'"' | b'\\')) {
        out.push_str(text);
    } else {
        escape(out, text);
    }
    out.push('"');
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                // Writing to a String does not fail.
                let _written: fmt::Result = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// Returns the id that the answer to a creation names: `/id`, `/uuid` or `/data/id`, in this order.
pub(super) fn created_id(body: &[u8]) -> Option<String> {
    let found: Found = serde_json::from_slice(body).ok()?;
    found.id.or(found.uuid).or(found.data)
}

/// Returns the text or number at a JSON pointer.
pub(super) fn at_pointer(body: &[u8], pointer: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    match value.pointer(pointer)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

#[derive(Default)]
struct Found {
    id: Option<String>,
    uuid: Option<String>,
    data: Option<String>,
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;

        impl<'de> Visitor<'de> for Top {
            type Value = Found;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
                let mut found = Found::default();
                while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                    match &*key {
                        "id" => found.id = map.next_value::<Scalar>()?.0,
                        "uuid" => found.uuid = map.next_value::<Scalar>()?.0,
                        "data" => found.data = map.next_value::<Inner>()?.0,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_map(Top)
    }
}

macro_rules! ignored {
    ($($name:ident($type:ty))*) => {$(
        fn $name<E: de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
    )*};
}

/// A text or number; anything else is nothing.
#[derive(Default)]
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;

        impl<'de> Visitor<'de> for One {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar((!text.is_empty()).then(|| text.to_owned())))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(Some(number.to_string())))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(Some(number.to_string())))
            }

            ignored! { visit_f64(f64) visit_bool(bool) }

            fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
                Ok(Scalar::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::default())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::default())
            }
        }

        deserializer.deserialize_any(One)
    }
}

/// The `id` of an object; of anything else nothing.
#[derive(Default)]
struct Inner(Option<String>);

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Data;

        impl<'de> Visitor<'de> for Data {
            type Value = Inner;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            ignored! { visit_str(&str) visit_u64(u64) visit_i64(i64) visit_f64(f64) visit_bool(bool) }

            fn visit_unit<E: de::Error>(self) -> Result<Inner, E> {
                Ok(Inner::default())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Inner, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Inner::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inner, A::Error> {
                let mut inner = Inner::default();
                while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                    if key == "id" {
                        inner.0 = map.next_value::<Scalar>()?.0;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(inner)
            }
        }

        deserializer.deserialize_any(Data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_created_thing_is_found_in_its_usual_places() {
        for (body, id) in [
            (r#"{"name":"x","id":55}"#, Some("55")),
            (r#"{"id":"a-1","uuid":"b"}"#, Some("a-1")),
            (r#"{"uuid":"b","data":{"id":1}}"#, Some("b")),
            (r#"{"data":{"attributes":{"id":9},"id":"c"}}"#, Some("c")),
            (r#"{"id":{"id":1},"uuid":null,"data":[{"id":2}]}"#, None),
            (r#"{"items":[{"id":1}]}"#, None),
            (r#"[{"id":1}]"#, None),
            (r#"{"id":-4}"#, Some("-4")),
            (r#"{"id":1.5}"#, None),
            (r#"{"id":""}"#, None),
            (r#"{"id":55"#, None),
            (r#"{"\u0069d":7}"#, Some("7")),
            ("", None),
        ] {
            assert_eq!(created_id(body.as_bytes()).as_deref(), id, "{body}");
        }
        let deep = format!(r#"{{"x":{}1{},"id":5}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(created_id(deep.as_bytes()).as_deref(), Some("5"));
        let deep = format!(r#"{{"id":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(created_id(deep.as_bytes()), None);
        assert_eq!(at_pointer(deep.as_bytes(), "/id/0"), None);
    }

    #[test]
    fn strings_are_escaped_as_json_asks() {
        let mut out = String::new();
        push_string(&mut out, "a\"b\\c\n\u{1}é");
        assert_eq!(out, r#""a\"b\\c\n\u0001é""#);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), "a\"b\\c\n\u{1}é");
    }
}
