//! JSON and JSON Lines: the records as the API writes them.

use serde_json::value::RawValue;
use tower_activity::{
    encode::Format,
    record::{Json, Record},
};

use crate::samples::{all, encode};

#[derive(serde::Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

#[test]
fn records_read_as_the_api_writes_them() {
    let records = all();
    let lines = String::from_utf8(encode(Format::JsonLines, &records)).unwrap();
    assert_eq!(lines.lines().count(), records.len());
    for (line, record) in lines.lines().zip(&records) {
        assert_eq!(line, serde_json::to_string(record).unwrap());
    }
    let document = String::from_utf8(encode(Format::Json, &records)).unwrap();
    let list: List<'_> = serde_json::from_str(&document).unwrap();
    let listed: Vec<&str> = list.records.iter().map(|record| record.get()).collect();
    assert_eq!(listed, lines.lines().collect::<Vec<_>>());
}

#[test]
fn nothing_at_all_is_a_document_too() {
    let document = encode(Format::Json, &[]);
    let list: List<'_> = serde_json::from_slice(&document).unwrap();
    assert!(list.records.is_empty());
    assert!(encode(Format::JsonLines, &[]).is_empty());
    let batch = encode(Format::CloudEvents, &[]);
    let events: Vec<&RawValue> = serde_json::from_slice(&batch).unwrap();
    assert!(events.is_empty());
}

#[test]
fn a_record_is_one_line_even_where_somebody_edited_its_json_by_hand() {
    let mut record = Record::default();
    record.metadata = Json::from_stored("{\n  \"a\": 1\r\n}");
    record.changes = Json::from_stored("]}\n{\"records\":[");
    for format in Format::ALL {
        let lines = String::from_utf8(encode(format, std::slice::from_ref(&record))).unwrap();
        let ends = lines.matches('\n').count();
        match format {
            Format::JsonLines | Format::Ocsf => assert_eq!(ends, 1, "{lines}"),
            Format::Json | Format::CloudEvents => assert_eq!(ends, 3, "{lines}"),
            _ => {}
        }
        if format != Format::Csv {
            for line in lines.lines().filter(|line| line.starts_with("{\"") && line.ends_with('}'))
            {
                serde_json::from_str::<&RawValue>(line).unwrap();
            }
        }
    }
}
