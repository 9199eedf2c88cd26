use super::input::Input;
use crate::{
    encode::{Encoder, Format},
    record::{Record, Value},
};

/// CSV: a record is a row of as many cells as there are columns, each is read back as what it was, and none is a
/// formula.
///
/// # Panics
///
/// Panics where that does not hold.
pub fn csv(data: &[u8]) {
    let record = Input::new(data).record();
    let mut out = Vec::new();
    let mut encoder = Encoder::new(Format::Csv);
    encoder.begin(&mut out);
    encoder.record(&record, &mut out);
    encoder.end(&mut out);
    let text = String::from_utf8(out).expect("CSV is text");
    let rows = read(&text);
    assert_eq!(rows.len(), 2, "{text:?}");
    for (field, name) in Record::FIELDS.iter().zip(&rows[0]) {
        assert_eq!(field.name(), name);
    }
    assert_eq!((rows[0].len(), rows[1].len()), (Record::FIELDS.len(), Record::FIELDS.len()));
    for (field, cell) in Record::FIELDS.iter().zip(&rows[1]) {
        let value = field.value(&record);
        let plain = cell.strip_prefix('\'').unwrap_or(cell);
        match value {
            Value::Null => assert_eq!(cell, ""),
            Value::Text(text) | Value::Json(text) => assert_eq!(plain, text, "{}", field.name()),
            Value::Integer(number) => assert_eq!(cell, &number.to_string()),
            _ => assert!(!cell.is_empty()),
        }
        assert!(
            matches!(value, Value::Integer(_)) || !is_formula(cell),
            "{}: {cell:?} is a formula",
            field.name()
        );
    }
}

/// Tells whether a spreadsheet that passes over white space and what cannot be seen takes it for a formula.
fn is_formula(cell: &str) -> bool {
    let unseen =
        |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}' || c == '\u{200b}';
    cell.trim_start_matches(unseen).starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// Reads rows as RFC 4180 describes them.
fn read(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    let (mut is_quoted, mut is_begun) = (false, false);
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            c if is_quoted => cell.push(c),
            '"' => {
                assert!(!is_begun, "a quote in the middle of a cell that has none around it");
                is_quoted = true;
            }
            ',' => row.push(std::mem::take(&mut cell)),
            '\r' => {
                assert_eq!(chars.next(), Some('\n'), "a line ends in both");
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
        is_begun = !matches!(c, ',' | '\n' | '\r') || is_quoted;
    }
    assert!(row.is_empty() && cell.is_empty() && !is_quoted, "the last line has no end: {text:?}");
    rows
}
