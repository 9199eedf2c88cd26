//! CSV, read back with a reader of others.

use tower_activity::{
    encode::{Encoder, Format},
    record::{Kind, Record, Value},
};

use crate::samples::{all, encode};

fn rows(bytes: &[u8]) -> Vec<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let names: Vec<_> = Record::FIELDS.iter().map(tower_activity::record::Field::name).collect();
    assert_eq!(reader.headers().unwrap(), names);
    reader.records().collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_value_comes_back_exactly() {
    let records = all();
    let rows = rows(&encode(Format::Csv, &records));
    assert_eq!(rows.len(), records.len());
    for (record, row) in records.iter().zip(&rows) {
        assert_eq!(row.len(), Record::FIELDS.len());
        for (field, cell) in Record::FIELDS.iter().zip(row) {
            let exact = cell.strip_prefix('\'').unwrap_or(cell);
            let value = match field.value(record) {
                Value::Null => String::new(),
                Value::Text(text) | Value::Json(text) => text.to_owned(),
                Value::Integer(number) => number.to_string(),
                Value::Time(at) => at.to_string(),
                Value::Id(id) => id.to_string(),
                Value::Stream(id) => id.to_string(),
                Value::Address(address) => address.to_string(),
                other => panic!("a new kind: {other:?}"),
            };
            assert_eq!(exact, value, "{}", field.name());
        }
    }
}

#[test]
fn no_cell_begins_like_a_formula_unless_its_column_is_of_numbers() {
    let mut records = all();
    for (index, start) in [
        "=",
        "+",
        "-",
        "@",
        "\t",
        "\r",
        "\n",
        " =",
        "\u{3000}+",
        "＝",
        "＋",
        "－",
        "＠",
        "\u{feff}@",
        "'=",
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = Record::default();
        record.duration_us = Some(-5);
        for field in Record::FIELDS {
            let text = format!("{start}cmd|' /C calc'!A{index}");
            let value = match field.kind() {
                Kind::Text => Value::Text(&text),
                Kind::Json => Value::Json(&text),
                _ => continue,
            };
            field.set(&mut record, value).unwrap();
        }
        records.push(record);
    }
    for row in rows(&encode(Format::Csv, &records)) {
        for (field, cell) in Record::FIELDS.iter().zip(&row) {
            if field.kind() == Kind::Integer {
                assert!(cell.is_empty() || cell.parse::<i64>().is_ok(), "{cell}");
                continue;
            }
            let seen = cell.trim_start_matches(|c: char| {
                c.is_whitespace() || c.is_control() || c == '\u{feff}'
            });
            assert!(!seen.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']), "{cell:?}");
            assert!(!cell.starts_with(['\t', '\r', '\n']), "{cell:?}");
        }
    }
}

#[test]
fn lines_end_in_cr_lf_and_a_mark_comes_first_where_it_is_asked_for() {
    let plain = encode(Format::Csv, &[Record::default()]);
    assert_eq!(plain.iter().filter(|byte| **byte == b'\n').count(), 2);
    assert!(plain.ends_with(b"\r\n"));
    for (format, marked) in [(Format::Csv, true), (Format::Json, false)] {
        let mut out = Vec::new();
        Encoder::new(format).bom(true).begin(&mut out);
        assert_eq!(out.starts_with("\u{feff}".as_bytes()), marked);
    }
}

#[test]
fn the_columns_are_documented_in_their_order() {
    let document = include_str!("../../docs/export.md");
    let begin = document.find("The columns, in this order:").expect("a list of columns");
    let end = document[begin..].find("\n## ").expect("a next chapter") + begin;
    let documented: Vec<&str> = document[begin..end]
        .lines()
        .filter_map(|line| line.split('|').nth(2)?.trim().strip_prefix('`')?.strip_suffix('`'))
        .collect();
    let columns: Vec<&str> =
        Record::FIELDS.iter().map(tower_activity::record::Field::name).collect();
    assert_eq!(documented, columns);
}
