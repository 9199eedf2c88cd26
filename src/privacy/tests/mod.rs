//! Facts about redaction, by what is redacted.

mod builder;
mod form;
mod hostile;
mod json;
mod known;
mod model;
mod path;
mod secrets;
mod text;
mod words;

use super::*;

/// Rewrites JSON with the defaults.
fn json_of(input: impl AsRef<[u8]>) -> String {
    let (mut out, mut log) = (String::new(), Redactions::new());
    let redactor = Redactor::default();
    let extent = Extent::Whole;
    redactor.json(input.as_ref(), extent, &KeySet::default(), &mut out, &mut log.field("body"));
    out
}

/// Like `json_of`, with the shape and `path method` of each redaction.
fn json_log(input: impl AsRef<[u8]>) -> (String, JsonShape, Vec<String>) {
    let (mut out, mut log) = (String::new(), Redactions::new());
    let shape = Redactor::default().json(
        input.as_ref(),
        Extent::Whole,
        &KeySet::default(),
        &mut out,
        &mut log.field("body"),
    );
    (out, shape, log.entries().iter().map(|e| format!("{} {}", e.path, e.method)).collect())
}

fn form_of(input: &str, extent: Extent) -> String {
    let (mut out, mut log) = (String::new(), Redactions::new());
    let extra = KeySet::default();
    Redactor::default().form(input.as_bytes(), extent, &extra, &mut out, &mut log.field("body"));
    out
}

fn query_of(redactor: &Redactor, input: &str) -> String {
    let (mut out, mut log) = (String::new(), Redactions::new());
    redactor.query(input, &KeySet::default(), &mut out, &mut log.field("query"));
    out
}

fn path_of(input: &str) -> String {
    let (mut out, mut log) = (String::new(), Redactions::new());
    Redactor::default().path(input, &mut out, &mut log.field("path"));
    assert_eq!(log.is_empty(), out == input, "what changes is logged");
    out
}

fn url_of(input: &str) -> String {
    let (mut out, mut log) = (String::new(), Redactions::new());
    Redactor::default().url(input, &KeySet::default(), &mut out, &mut log.field("url"));
    out
}

fn text_of(input: &str, extent: Extent) -> String {
    let (mut out, mut log) = (String::new(), Redactions::new());
    Redactor::default().text(input, extent, &mut out, &mut log.field("text"));
    assert_eq!(log.is_empty(), out == input, "what changes is logged");
    out
}
