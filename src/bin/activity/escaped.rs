//! JSON in which every character that deceives stands as its escape. It means the same to a program, and
//! shows what it is on a terminal.

use std::io::{self, Write};

use serde_json::ser::Formatter;
use tower_activity::record::visible;

/// Writes compact JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write(writer, fragment)
    }

    /// JSON that stands in a record as it is: what deceives can only be inside a string of it.
    fn write_raw_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write(writer, fragment)
    }
}

fn write<W: Write + ?Sized>(writer: &mut W, text: &str) -> io::Result<()> {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        if !deceives(c) {
            continue;
        }
        writer.write_all(&text.as_bytes()[plain..at])?;
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(writer, "\\u{unit:04x}")?;
        }
        plain = at + c.len_utf8();
    }
    writer.write_all(&text.as_bytes()[plain..])
}

/// White space between the values of raw JSON stays; inside strings it is escaped already.
fn deceives(c: char) -> bool {
    !matches!(c, ' '..='~' | '\n' | '\r' | '\t')
        && visible(c.encode_utf8(&mut [0; 4])).to_string().starts_with('\\')
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn written(value: &impl serde::Serialize) -> String {
        let mut text = Vec::new();
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Escaped)).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_deceives_is_escaped_and_means_the_same() {
        let hostile = "a\u{1b}[2J\u{9b}2J\u{202e}nimda\u{e0041}\u{7f} Zoë 李 👩 \"\\\n";
        let text = written(&hostile);
        assert_eq!(
            text,
            "\"a\\u001b[2J\\u009b2J\\u202enimda\\udb40\\udc41\\u007f Zoë 李 👩 \\\"\\\\\\n\""
        );
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    #[test]
    fn raw_json_is_escaped_as_well() {
        let raw = RawValue::from_string("{\"a\\\\\": \"\u{9b}\u{202e}\"}".to_owned()).unwrap();
        assert_eq!(written(&raw), "{\"a\\\\\": \"\\u009b\\u202e\"}");
    }
}
