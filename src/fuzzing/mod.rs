//! What must hold for any bytes: the bodies of the fuzz targets, behind the feature `internals`.
//!
//! Each body is a plain function of bytes that panics where something does not hold. `tests/faults/fuzz.rs` runs
//! them on random and on golden bytes, `fuzz/` under libFuzzer for as long as one likes:
//!
//! ```text
//! scripts/fuzz                 every target, a minute each
//! scripts/fuzz query 3600      one target, an hour
//! ```
//!
//! They state meanings, not only that nothing panics: what is written is read back as the same, two ways to the
//! same answer agree, what somebody else wrote changes nothing. Nothing here belongs to the API.

mod canonical;
mod client;
mod csv;
mod cursor;
mod input;
mod portable;
mod query;
mod redactor;
mod rules;

pub use self::{
    canonical::canonical, client::client, csv::csv, cursor::cursor, portable::portable,
    query::query, redactor::redactor, rules::rules,
};
pub use crate::pipeline::internals::{fuzz_frames as frames, fuzz_segments as segments};

/// Every target by its name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("frames", frames),
    ("segments", segments),
    ("portable", portable),
    ("canonical", canonical),
    ("query", query),
    ("cursor", cursor),
    ("client", client),
    ("redactor", redactor),
    ("rules", rules),
    ("csv", csv),
];
