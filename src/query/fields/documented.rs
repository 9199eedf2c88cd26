//! `docs/query.md` says what the tables say. `UPDATE_DOCS=1 cargo test --lib documented` writes it anew.

use std::{fmt::Write as _, fs, path::Path};

use super::FIELDS;
use crate::query::{Filter, PARAMETERS, ParseContext, Values};

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

fn names(names: &[&str]) -> String {
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
}

fn fields() -> String {
    let mut text =
        "| field | also | | what | example |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for field in FIELDS {
        let parameter = if field.is_parameter() { "●" } else { "" };
        let words = match field.values() {
            Values::Word(words) => format!(": {}", names(words)),
            _ => String::new(),
        };
        let also = names(field.other_spellings());
        let (name, about, example) = (code(field.name()), field.about(), code(field.example()));
        writeln!(text, "| {name} | {also} | {parameter} | {about}{words} | {example} |").unwrap();
    }
    text
}

fn parameters() -> String {
    let mut text = "| parameter | also | what | example |\n| --- | --- | --- | --- |\n".to_owned();
    for parameter in PARAMETERS {
        let also = names(parameter.other_spellings());
        let (name, about) = (code(parameter.name()), parameter.about());
        writeln!(text, "| {name} | {also} | {about} | {} |", code(parameter.example())).unwrap();
    }
    text
}

fn error() -> String {
    let context = ParseContext::new(crate::time::Timestamp::default());
    let error = Filter::parse("action:cancel outcome:denid", &context).unwrap_err();
    let (detail, column) = (serde_json::Value::from(error.detail()), error.column());
    format!(
        "```json\n{{\"type\":\"urn:tower-activity:problem:invalid-parameter\",\"title\":\"Bad Request\",\"status\":400,\n \
         \"detail\":{detail},\n \"parameter\":\"q\",\"column\":{column}}}\n```\n"
    )
}

#[test]
fn every_field_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/query.md");
    let there = fs::read_to_string(&path).unwrap();
    let mut text = there.clone();
    for (name, part) in [("fields", fields()), ("parameters", parameters()), ("error", error())] {
        let (before, rest) = text.split_once(&format!("<!-- {name} -->\n")).expect("its beginning");
        let (_, after) = rest.split_once(&format!("<!-- /{name} -->")).expect("its end");
        text = format!("{before}<!-- {name} -->\n{part}<!-- /{name} -->{after}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(text == there || std::env::var_os("UPDATE_DOCS").is_some(), "docs/query.md is behind");
}

/// The queries of the tables, and between them whatever is written as one.
#[test]
fn every_documented_query_is_read() {
    let documents = [
        (include_str!("../../../docs/query.md"), 100),
        (include_str!("../../../docs/reviews.md"), 25),
    ];
    let context = ParseContext::new(crate::time::Timestamp::default());
    for (text, expected) in documents {
        let mut read = 0;
        for span in text.split('`').skip(1).step_by(2).filter(|span| !span.contains('\n')) {
            let field =
                span.trim_start_matches(['-', '(']).split([':', '.']).next().unwrap_or_default();
            if span.contains(':')
                && super::QueryField::named(field).is_some()
                && !span.ends_with(':')
            {
                Filter::parse(span, &context).unwrap_or_else(|error| panic!("{span}: {error}"));
                read += 1;
            }
        }
        assert!(read > expected, "{read}");
    }
}
