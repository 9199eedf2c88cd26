//! Looking into JSON text without building it: what is not asked for is passed over, and numbers are
//! compared as they are spelt.

use std::{borrow::Cow, fmt};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::expr::{Side, Wanted};

/// Tells whether what stands under `path` is as wanted. JSON that cannot be read has no values.
pub(super) fn under(json: &str, path: &[String], wanted: &Wanted) -> bool {
    read(json, Under { path, wanted }).unwrap_or_default()
}

/// Tells whether an array of text has one of these as an element.
pub(super) fn contains(json: &str, values: &[String]) -> bool {
    let mut found = false;
    let mut each = |element: &RawValue| {
        found |= string(element).is_some_and(|text| values.iter().any(|value| *value == text));
    };
    read(json, Elements(&mut each)).is_some() && found
}

/// Tells whether one of the changes is at this path, or below it, with such a value.
pub(super) fn changed(json: &str, path: &str, side: Side, wanted: &Wanted) -> bool {
    let mut found = false;
    let mut each = |element: &RawValue| {
        if !found && let Ok(change) = serde_json::from_str::<Change<'_>>(element.get()) {
            found = change.is(path, side, wanted);
        }
    };
    read(json, Elements(&mut each)).is_some() && found
}

fn read<'a, S: DeserializeSeed<'a>>(json: &'a str, seed: S) -> Option<S::Value> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = seed.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// The text that a value is, if it is one.
fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let json = value.get();
    if !json.starts_with('"') {
        return None;
    }
    let inner = json.get(1..json.len() - 1)?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(json).ok().map(Cow::Owned)
}

impl Wanted {
    fn is(&self, value: &RawValue) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(wanted) => match value.get().as_bytes().first() {
                Some(b'"') => {
                    string(value).is_some_and(|text| wanted.iter().any(|wanted| *wanted == text))
                }
                Some(b'{' | b'[') | None => false,
                Some(_) => wanted.iter().any(|wanted| wanted == value.get()),
            },
            Self::Like(pattern) => string(value).is_some_and(|text| pattern.matches(&text)),
        }
    }
}

/// Goes down a path; an array is entered by element.
#[derive(Clone, Copy)]
struct Under<'q> {
    path: &'q [String],
    wanted: &'q Wanted,
}

impl<'de> DeserializeSeed<'de> for Under<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        if !self.path.is_empty() {
            return reader.deserialize_any(self);
        }
        let value = <&RawValue>::deserialize(reader)?;
        Ok(itself_or_element(value, self.wanted, MAX_NESTED))
    }
}

/// Arrays within arrays are entered so deep: as deep as the reader goes by itself.
const MAX_NESTED: usize = 128;

fn itself_or_element(value: &RawValue, wanted: &Wanted, depth: usize) -> bool {
    if !value.get().starts_with('[') {
        return wanted.is(value);
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    let mut found = false;
    let mut each = |element: &RawValue| found |= itself_or_element(element, wanted, depth);
    read(value.get(), Elements(&mut each)).is_some() && found
}

impl<'de> Visitor<'de> for Under<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Some((key, rest)) = self.path.split_first() else { return Ok(false) };
        let mut found = false;
        while let Some(Key(there)) = map.next_key()? {
            // The last of keys that occur twice counts.
            if *key == there {
                found = map.next_value_seed(Under { path: rest, ..self })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(there) = seq.next_element_seed(self)? {
            found |= there;
        }
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// A key, borrowed where nothing in it is escaped.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        reader.deserialize_str(Read)
    }
}

/// Shows each element of an array.
struct Elements<'f>(&'f mut dyn FnMut(&RawValue));

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&RawValue>()? {
            (self.0)(element);
        }
        Ok(())
    }
}

/// One of the changes.
#[derive(Default)]
struct Change<'de> {
    path: Option<&'de RawValue>,
    old: Option<&'de RawValue>,
    new: Option<&'de RawValue>,
}

impl Change<'_> {
    fn is(&self, path: &str, side: Side, wanted: &Wanted) -> bool {
        let Some(there) = self.path.and_then(string) else { return false };
        let below = there
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || path.is_empty());
        let is = |value: Option<&RawValue>| value.is_some_and(|value| wanted.is(value));
        below
            && match side {
                Side::Either => *wanted == Wanted::Any || is(self.old) || is(self.new),
                Side::Old => is(self.old),
                Side::New => is(self.new),
            }
    }
}

impl<'de> Deserialize<'de> for Change<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Change<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a change")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Change<'de>, A::Error> {
                let mut change = Change::default();
                while let Some(Key(key)) = map.next_key()? {
                    match &*key {
                        "path" => change.path = Some(map.next_value()?),
                        "old" => change.old = Some(map.next_value()?),
                        "new" => change.new = Some(map.next_value()?),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(change)
            }
        }
        reader.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of(value: &str) -> Wanted {
        Wanted::OneOf(vec![value.to_owned()])
    }

    fn keys(path: &[&str]) -> Vec<String> {
        path.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn keys_are_followed_through_objects_and_arrays() {
        for (json, path, value, holds) in [
            (r#"{"path":"ui.theme"}"#, &["path"][..], "ui.theme", true),
            (r#"{"p\u0061th":"\u0061na"}"#, &["path"], "ana", true),
            (r#"{"a":1,"a":2}"#, &["a"], "1", false),
            (r#"{"a":1,"a":2}"#, &["a"], "2", true),
            (r#"{"a":[{"b":"x"},{"b":["y"]}]}"#, &["a", "b"], "y", true),
            (r#"{"a":{"b":"x"}}"#, &["a"], "x", false),
            (r#"{"n":1.50}"#, &["n"], "1.50", true),
            (r#"{"n":1.50}"#, &["n"], "1.5", false),
            (r#"{"n":1e999}"#, &["n"], "1e999", true),
            (r#"{"n":1e999,"m":[1e999],"a":"x"}"#, &["a"], "x", true),
            (r#"{"a":null}"#, &["a"], "null", true),
            (r#"{"a":"x"}"#, &["a", "b"], "x", false),
            (r#"["x"]"#, &[], "x", true),
            (r#"{"a":"x"} trailing"#, &["a"], "x", false),
            (r#"{"a":"x""#, &["a"], "x", false),
            ("", &[], "", false),
        ] {
            assert_eq!(under(json, &keys(path), &one_of(value)), holds, "{json} {path:?}");
        }
        assert!(under(r#"{"a":{"b":1}}"#, &keys(&["a"]), &Wanted::Any));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(!under(&deep, &[], &one_of("x")) && !under(&deep, &keys(&["a"]), &Wanted::Any));
    }

    #[test]
    fn changes_are_found_at_and_below_a_path() {
        let json = r#"[7,{"op":"replace","path":"/status","old":"PENDING","new":"SHIPPED"},
            {"path":"/price/net","old":10,"new":1e999}]"#;
        for (path, side, wanted, holds) in [
            ("/status", Side::Either, Wanted::Any, true),
            ("/stat", Side::Either, Wanted::Any, false),
            ("", Side::Either, Wanted::Any, true),
            ("/price", Side::Old, one_of("10"), true),
            ("/price", Side::New, one_of("1e999"), true),
            ("/status", Side::Old, one_of("SHIPPED"), false),
            ("/status", Side::Either, one_of("SHIPPED"), true),
        ] {
            assert_eq!(changed(json, path, side, &wanted), holds, "{path} {side:?}");
        }
        assert!(!changed("[1", "", Side::Either, &Wanted::Any));
        assert!(!changed("{}", "", Side::Either, &Wanted::Any));
    }
}
