//! Records in the formats that others read: CSV, JSON, JSON Lines, OCSF and CloudEvents.
//!
//! What enters: finished records, one after the other. What leaves: bytes. An [`Encoder`] writes what comes
//! before the first record, each record, and what comes after the last, into a buffer of the caller's, so
//! that an export of any length takes the memory of one piece of it. Nothing here does I/O.
//!
//! ```
//! use tower_activity::{Actor, Record, encode::{Encoder, Format}};
//!
//! let mut out = Vec::new();
//! let mut encoder = Encoder::new(Format::Csv);
//! encoder.begin(&mut out);
//! encoder.record(&Record::by(Actor::user("ana")).cancelled("order", "55"), &mut out);
//! encoder.end(&mut out);
//! assert!(out.starts_with(b"id,schema_version,occurred_at,"));
//! ```
//!
//! | format | what it is |
//! | --- | --- |
//! | [`Csv`](Format::Csv) | RFC 4180 in UTF-8: one column for each field, in the order of [`Record::FIELDS`](crate::record::Record::FIELDS) |
//! | [`Json`](Format::Json) | `{"records":[…]}`, the envelope and the records of the API |
//! | [`JsonLines`](Format::JsonLines) | the same records, one on each line |
//! | [`Ocsf`](Format::Ocsf) | [OCSF](https://schema.ocsf.io) 1.8.0 events, one on each line |
//! | [`CloudEvents`](Format::CloudEvents) | a batch of [CloudEvents](https://cloudevents.io) 1.0, in their JSON format |
//!
//! # What is promised
//!
//! No format loses a field: what OCSF has no place for stands under `unmapped`, what CloudEvents has no
//! attribute for under `data`. Text is exact, control and bidirectional characters included; whoever shows
//! it makes it [`visible`](crate::record::visible). Only CSV alters text, and so that it can be undone: see
//! below.
//!
//! # CSV
//!
//! Lines end in CR LF. An absent field is an empty cell. Times are RFC 3339 in UTC with microseconds. JSON
//! fields hold their JSON text. Integers are plain digits, which a spreadsheet takes as numbers; `writer_id`
//! has more digits than a spreadsheet keeps, so import it as text.
//!
//! A spreadsheet runs a cell that begins like a formula. So a cell of text gets a `'` put before it when its
//! first character behind any white space is `=`, `+`, `-`, `@`, one of their full-width forms, or when it
//! begins with a tab, CR or LF; and also when it begins with `'` itself. To have the exact text back, take
//! one `'` off every cell that begins with one.
//!
//! # JSON
//!
//! The JSON fields of a record (`changes`, `metadata`, …) are written as they are stored: numbers beyond what
//! a double holds and repeated keys included.

mod cloudevents;
mod csv;
mod encoder;
mod format;
mod json;
mod ocsf;
mod rest;

pub use encoder::Encoder;
pub use format::{Format, UnknownFormat};
