//! The fields of the query language, and those that a proof shows, as a module of the page.

use serde_json::json;

use crate::{
    query::{FIELDS, Values},
    record::{Group, Kind, Record},
};

/// Returns the module: `export const FIELDS = […]`, and `SEALED`, the fields that stand in the canonical bytes of a record
/// as they are.
pub(super) fn module() -> String {
    let fields = FIELDS.iter().map(|field| {
        let (kind, words): (_, &[&str]) = match field.values() {
            Values::Word(words) => ("word", words),
            Values::Named(words) => ("number", words),
            Values::Number => ("number", &[]),
            Values::Status => ("status", &[]),
            Values::Length => ("length", &[]),
            Values::Time => ("time", &[]),
            Values::Address => ("address", &[]),
            Values::Event => ("event", &[]),
            Values::Change(_) => ("change", &[]),
            Values::Keys => ("keys", &[]),
            Values::Words => ("words", &[]),
            _ => ("text", &[]),
        };
        json!({
            "name": field.name(),
            "also": field.other_spellings(),
            "kind": kind,
            "words": words,
            "about": field.about(),
            "example": field.example(),
        })
    });
    let fields: Vec<_> = fields.collect();
    let sealed = Record::FIELDS.iter().filter(|field| field.group() == Group::Sealed);
    let sealed = sealed.map(|field| {
        let kind = match field.kind() {
            Kind::Time => "time",
            Kind::Json => "json",
            _ => "plain",
        };
        json!({ "name": field.name(), "kind": kind })
    });
    let sealed: Vec<_> = sealed.collect();
    format!(
        "// Made of the tables of fields in src/query/fields and src/record.\nexport const FIELDS = {};\nexport const \
         SEALED = {};\n",
        json!(fields),
        json!(sealed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_names_every_field_and_its_words() {
        let module = module();
        for field in FIELDS {
            assert!(module.contains(&format!("\"name\":\"{}\"", field.name())), "{}", field.name());
        }
        assert!(module.contains(r#""words":["success","denied","failure","aborted","unknown"]"#));
        // Text of the table is data of a script: nothing in it may end the script or its line.
        assert_eq!(module.lines().count(), 3);
        for (name, is_sealed) in [("action", true), ("seq", true), ("actor_id", false)] {
            let told = module.contains(&format!("{{\"kind\":\"plain\",\"name\":\"{name}\"}}"));
            assert_eq!(told, is_sealed, "{name}");
        }
    }
}
