//! One record after the other, into the caller's buffer.

use super::{cloudevents, csv, format::Format, json, json::Moments, ocsf};
use crate::record::Record;

/// Writes records in one format.
///
/// Call [`begin`](Self::begin) once, [`record`](Self::record) for each record and [`end`](Self::end) once.
/// Each appends to the buffer that it is given, which may be another one each time. Output that was never
/// ended is not a whole export: JSON and CloudEvents stay unclosed, the other formats merely stop.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    bom: bool,
    first: bool,
    moments: Moments,
    sentence: String,
}

impl Encoder {
    /// Makes an encoder.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            bom: false,
            first: true,
            moments: Moments::default(),
            sentence: String::new(),
        }
    }

    /// Puts a byte order mark before CSV, by which Excel knows UTF-8. Defaults to false; without effect on
    /// the other formats, where it would be an error.
    #[must_use]
    pub const fn bom(mut self, bom: bool) -> Self {
        self.bom = bom;
        self
    }

    /// Returns the format.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Writes what comes before the first record.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.first = true;
        match self.format {
            Format::Csv => {
                if self.bom {
                    out.extend_from_slice("\u{feff}".as_bytes());
                }
                csv::header(out);
            }
            Format::Json => out.extend_from_slice(b"{\"records\":["),
            Format::CloudEvents => out.push(b'['),
            Format::JsonLines | Format::Ocsf => {}
        }
    }

    /// Writes a record.
    pub fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        let moments = &mut self.moments;
        match self.format {
            Format::Csv => csv::row(record, moments, out),
            Format::JsonLines => {
                json::record(record, moments, out);
                out.push(b'\n');
            }
            Format::Ocsf => {
                ocsf::event(record, moments, &mut self.sentence, out);
                out.push(b'\n');
            }
            // One on each line, so that a file of them can be looked into.
            Format::Json | Format::CloudEvents => {
                out.extend_from_slice(if self.first { b"\n" } else { b",\n" });
                match self.format {
                    Format::Json => json::record(record, moments, out),
                    _ => cloudevents::event(record, moments, out),
                }
            }
        }
        self.first = false;
    }

    /// Writes what comes after the last record.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => out.extend_from_slice(b"\n]}\n"),
            Format::CloudEvents => out.extend_from_slice(b"\n]\n"),
            Format::Csv | Format::JsonLines | Format::Ocsf => {}
        }
    }
}
