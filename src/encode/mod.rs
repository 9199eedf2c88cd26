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
#![doc = include_str!("../../docs/export.md")]

mod cloudevents;
mod csv;
mod encoder;
mod format;
mod json;
mod ocsf;
mod rest;

pub use encoder::Encoder;
pub use format::{Format, UnknownFormat};
