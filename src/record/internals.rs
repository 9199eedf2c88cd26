//! Parts of the record that the crate's own benchmarks reach, behind the feature `internals`.
//!
//! Nothing here belongs to the API: it changes and goes without notice, in any release.

use std::error::Error;

use super::Record;

/// Appends a record as the spool and the outbox keep it.
pub fn write(record: &Record, out: &mut Vec<u8>) {
    record.to_portable(out);
}

/// Reads such a record; what was in `record` is gone.
///
/// # Errors
///
/// The bytes are no record.
pub fn read(bytes: &[u8], record: &mut Record) -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(Record::from_portable(bytes, record)?)
}
