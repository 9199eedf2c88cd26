//! The formats: against golden files, against the schemas that others publish, and read back.

#[allow(dead_code, reason = "shared with the tests of the stores")]
#[path = "../stores/records.rs"]
mod records;
mod samples;

mod csv;
mod golden;
mod json;
mod schemas;
