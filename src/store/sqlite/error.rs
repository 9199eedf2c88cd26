//! What SQLite's result codes ask of the writer.

use sqlx::error::DatabaseError;

use crate::store::{StoreError, StoreErrorKind};

/// Wraps an error of the database; `doing` says what was being tried.
pub(super) fn store_error(doing: &str, error: sqlx::Error) -> StoreError {
    StoreError::new(kind(&error), doing).with_source(error)
}

fn kind(error: &sqlx::Error) -> StoreErrorKind {
    match error {
        sqlx::Error::Database(error) => kind_of_code(code(error.as_ref())),
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
            StoreErrorKind::Configuration
        }
        // A row that does not read as a record was not written by us.
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. } => StoreErrorKind::Data,
        _ => StoreErrorKind::Transient,
    }
}

/// Returns the extended result code.
fn code(error: &dyn DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// Returns the primary result code, which is the low byte of the extended one.
pub(super) fn primary_code(error: &dyn DatabaseError) -> u8 {
    code(error).to_le_bytes()[0]
}

/// Tells whether a statement was ended by the connection's progress handler.
pub(super) fn is_interrupted(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if primary_code(error.as_ref()) == INTERRUPT)
}

const INTERRUPT: u8 = 9;
pub(super) const BUSY: u8 = 5;
pub(super) const CANTOPEN: u8 = 14;
pub(super) const READONLY: u8 = 8;
/// A trigger raised an error.
const CONSTRAINT_TRIGGER: i32 = 1811;

/// Codes: <https://www.sqlite.org/rescode.html>.
fn kind_of_code(code: i32) -> StoreErrorKind {
    if code == CONSTRAINT_TRIGGER {
        // Somebody else's, or ours on the ledger: either refuses every row, and none is to blame.
        return StoreErrorKind::Configuration;
    }
    match code.to_le_bytes()[0] {
        // ERROR is what a missing table or column gives.
        1 // ERROR
        | 3 // PERM
        | READONLY
        | 11 // CORRUPT: waiting heals nothing, and discarding the records would lose them as well
        | CANTOPEN
        | 23 // AUTH
        | 26 // NOTADB
        => StoreErrorKind::Configuration,
        18 // TOOBIG
        | 19 // CONSTRAINT
        | 20 // MISMATCH
        | 25 // RANGE
        => StoreErrorKind::Data,
        // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, FULL, PROTOCOL, SCHEMA and the rest pass with time: a
        // full disk is made room on while the records wait.
        _ => StoreErrorKind::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_row_itself_causes_counts_as_bad_data() {
        for (code, kind) in [
            (5, StoreErrorKind::Transient),
            (6, StoreErrorKind::Transient),
            (10, StoreErrorKind::Transient),
            (13, StoreErrorKind::Transient),
            (1, StoreErrorKind::Configuration),
            (8, StoreErrorKind::Configuration),
            (26, StoreErrorKind::Configuration),
            (18, StoreErrorKind::Data),
            (19, StoreErrorKind::Data),
            (2067, StoreErrorKind::Data),
            (1811, StoreErrorKind::Configuration),
        ] {
            assert_eq!(kind_of_code(code), kind, "{code}");
        }
    }
}
