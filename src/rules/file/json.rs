//! JSON into the common tree.
//!
//! serde_json keeps no positions, but a raw value is a slice of the text: where it lies in the
//! text is its position.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::tree::{Broken, DEEPEST, Lines, Node, Value};

pub(super) fn parse(text: &str, lines: &Lines) -> Result<Node, Broken> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => Ok(node(text, raw, lines, 0)),
        Err(error) => {
            Err(Broken { line: Some(error.line().max(1)), what: format!("not JSON: {error}") })
        }
    }
}

fn node(text: &str, raw: &RawValue, lines: &Lines, depth: usize) -> Node {
    let json = raw.get();
    let line = lines.at(json.as_ptr() as usize - text.as_ptr() as usize);
    let value = if depth > DEEPEST {
        Value::Other("something nested too deep")
    } else {
        value(text, json, lines, depth)
    };
    Node { line, value }
}

fn value(text: &str, json: &str, lines: &Lines, depth: usize) -> Value {
    // Each branch reads what the first byte announces; a raw value is sound JSON already, so the
    // only failures left are texts with lone surrogates and numbers that are no integers.
    match json.as_bytes().first() {
        Some(b'"') => {
            serde_json::from_str(json).map_or(Value::Other("text that is not Unicode"), Value::Text)
        }
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') => Value::Other("null"),
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(json) {
            Ok(list) => {
                Value::List(list.into_iter().map(|raw| node(text, raw, lines, depth + 1)).collect())
            }
            Err(_) => Value::Other("a list that cannot be read"),
        },
        Some(b'{') => match serde_json::from_str::<Pairs<'_>>(json) {
            Ok(pairs) => Value::Table(
                pairs
                    .0
                    .into_iter()
                    .map(|(key, raw)| {
                        let node = node(text, raw, lines, depth + 1);
                        (key.into_owned(), node.line, node)
                    })
                    .collect(),
            ),
            Err(_) => Value::Other("a table that cannot be read"),
        },
        _ => serde_json::from_str(json).map_or(Value::Other("a fraction"), Value::Number),
    }
}

/// The pairs of an object as they stand, repeated keys included.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
