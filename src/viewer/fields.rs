//! The fields of the query language as a module of the page.

use serde_json::json;

use crate::query::{FIELDS, Values};

/// Returns the module: `export const FIELDS = […]`.
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
    format!(
        "// Made of the table of fields in src/query/fields.\nexport const FIELDS = {};\n",
        json!(fields)
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
        assert_eq!(module.lines().count(), 2);
    }
}
