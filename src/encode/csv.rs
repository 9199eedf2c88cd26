//! Rows of CSV (RFC 4180).

use super::json::{Moments, push_bare};
use crate::record::{Record, Value, push_integer};

/// Writes the names of the columns.
pub(super) fn header(out: &mut Vec<u8>) {
    for (index, field) in Record::FIELDS.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(field.name().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a record.
pub(super) fn row(record: &Record, moments: &mut Moments, out: &mut Vec<u8>) {
    for (index, field) in Record::FIELDS.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match field.value(record) {
            Value::Null => {}
            Value::Integer(number) => push_integer(out, number),
            Value::Text(text) | Value::Json(text) => push_cell(out, text),
            Value::Time(at) => {
                let start = out.len();
                moments.push(out, at);
                // A year before 0.
                if out[start] == b'-' {
                    out.insert(start, b'\'');
                }
            }
            value => push_bare(out, value),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Bytes that make quotes necessary. The semicolon and the tab, because spreadsheets of some countries
/// part cells there.
const fn wants_quotes(byte: u8) -> bool {
    matches!(byte, b'"' | b',' | b'\r' | b'\n' | b';' | b'\t')
}

/// Writes text, harmless to a spreadsheet.
fn push_cell(out: &mut Vec<u8>, text: &str) {
    let guard = looks_like_a_formula(text);
    // White space at an end is trimmed by some readers where there are no quotes.
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte == Some(&b' ');
    if !guard
        && !ends(bytes.first())
        && !ends(bytes.last())
        && !bytes.iter().any(|byte| wants_quotes(*byte))
    {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    if guard {
        out.push(b'\'');
    }
    let mut parts = bytes.split(|byte| *byte == b'"');
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        out.extend_from_slice(b"\"\"");
        out.extend_from_slice(part);
    }
    out.push(b'"');
}

/// Tells whether a spreadsheet could take the text for a formula, or for text that we guarded.
fn looks_like_a_formula(text: &str) -> bool {
    match text.as_bytes().first() {
        // What nearly every text begins with.
        None | Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'{' | b'[' | b'"') => false,
        Some(b'\'' | b'\t' | b'\r' | b'\n') => true,
        Some(_) => {
            let first = text.chars().find(|c| !is_passed_over(*c));
            matches!(first, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠'))
        }
    }
}

/// What a spreadsheet may pass over before it looks for a formula.
fn is_passed_over(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut out = Vec::new();
        push_cell(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_cell_that_begins_like_a_formula_gets_a_quote_before_it() {
        for text in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\tx",
            "\rx",
            "\nx",
            " =1",
            "\u{a0}\u{3000}=1",
            "＝1",
            "＋1",
            "－1",
            "＠1",
            " ＝1",
            "\u{feff}=1",
            "\0=1",
            "'=1",
            "'",
            "\u{202e}-1",
        ] {
            assert_eq!(cell(text), format!("\"'{text}\""), "{text:?}");
        }
        assert_eq!(cell("=\"a\""), "\"'=\"\"a\"\"\"");
    }

    #[test]
    fn other_cells_stay_as_they_are() {
        for text in ["a=1", "1-2", "ana@example.com", "order", "{\"a\":-1}", "٪", "a\0\u{1b}b"] {
            let quoted = format!("\"{}\"", text.replace('"', "\"\""));
            assert_eq!(cell(text), if text.contains('"') { quoted } else { text.to_owned() });
        }
        assert_eq!(cell(" a"), "\" a\"");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("a;=b"), "\"a;=b\"");
    }
}
