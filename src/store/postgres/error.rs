//! Sorting errors by what the writer does about them, by SQLSTATE and never by text.

use std::time::Duration;

use sqlx::{Error, postgres::PgDatabaseError};

use crate::store::{StoreError, StoreErrorKind};

/// The stream does not stand where the batch begins; the detail is where it stands.
const STREAM_POSITION: &str = "AC001";

/// A key is there already.
const UNIQUE_VIOLATION: &str = "23505";

/// A statement was ended: its time was up.
const QUERY_CANCELED: &str = "57014";

/// Sorts an error; `doing` says what was being tried.
pub(super) fn classify(source: Error, doing: &'static str) -> StoreError {
    StoreError::new(kind_of(&source), doing).with_source(source)
}

pub(super) fn timed_out(doing: &'static str, after: Duration) -> StoreError {
    StoreError::new(StoreErrorKind::Transient, doing)
        .with_source(format!("no answer within {after:?}"))
}

/// Tells whether a key was there already, which has two meanings: the rows were appended before, or two
/// records have one id.
pub(super) fn is_duplicate(source: &Error) -> bool {
    code(source) == Some(UNIQUE_VIOLATION)
}

/// Tells whether somebody else held a lock for too long, or each of two the other's.
pub(super) fn is_locked(source: &Error) -> bool {
    matches!(code(source), Some("55P03" | "40P01"))
}

/// Tells whether the server ended a statement because its time was up.
pub(super) fn is_canceled(source: &Error) -> bool {
    code(source) == Some(QUERY_CANCELED)
}

/// Tells whether the ledger accounts for more than was told of.
pub(super) fn is_grown(source: &Error) -> bool {
    code(source) == Some("AC004")
}

/// Tells whether other holds stand than those that were looked at.
pub(super) fn is_held(source: &Error) -> bool {
    code(source) == Some("AC006")
}

fn database(source: &Error) -> Option<&PgDatabaseError> {
    source.as_database_error()?.try_downcast_ref()
}

fn code(source: &Error) -> Option<&str> {
    database(source).map(PgDatabaseError::code)
}

fn kind_of(source: &Error) -> StoreErrorKind {
    let Some(error) = database(source) else {
        return match source {
            // Encryption that one side lacks, or an address that nobody can read.
            Error::Tls(_) | Error::Configuration(_) => StoreErrorKind::Configuration,
            // A row that was edited by hand into something that no record can hold.
            Error::Decode(_) | Error::ColumnDecode { .. } => StoreErrorKind::Data,
            // Sockets, timeouts, a pool that is busy or closed, replies out of order.
            _ => StoreErrorKind::Transient,
        };
    };
    match (error.code(), error.detail().map(str::parse)) {
        (STREAM_POSITION, Some(Ok(last_seq))) => StoreErrorKind::Position { last_seq },
        (code, _) => kind_of_code(code),
    }
}

fn kind_of_code(code: &str) -> StoreErrorKind {
    use StoreErrorKind::{Configuration, Data, StalePrimary, Transient};
    match code {
        "25006" => StalePrimary,
        // No partition for a row, a row that is not its leaf's, or a constraint that somebody added.
        "23514" => Configuration,
        // Terminated, shutting down, starting up: any other of 57 is the same sort.
        "55P03" | "57014" => Transient,
        _ => match code.get(..2).unwrap_or_default() {
            // A value out of range or malformed, a key that is there already, a row too large for an
            // index, JSON too deep for the stack.
            "22" | "23" | "54" => Data,
            // Login, catalogue, schema, object or right that is missing; unsupported; a trigger of
            // somebody else's; a text that the server cannot be configured to run.
            "28" | "3D" | "3F" | "42" | "0A" | "0L" | "0P" | "F0" | "HV" | "P0" | "AC" => {
                Configuration
            }
            // 08, 25, 40, 53, 55, 57, 58, XX, and what later versions bring: it may pass.
            _ => Transient,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_the_writer_does() {
        use StoreErrorKind::{Configuration, Data, StalePrimary, Transient};
        for (code, kind) in [
            ("08006", Transient),
            ("08P01", Transient),
            ("57P01", Transient),
            ("57P03", Transient),
            ("53300", Transient),
            ("53100", Transient),
            ("40001", Transient),
            ("40P01", Transient),
            ("55P03", Transient),
            ("57014", Transient),
            ("25P03", Transient),
            ("25006", StalePrimary),
            ("28P01", Configuration),
            ("3D000", Configuration),
            ("42P01", Configuration),
            ("42501", Configuration),
            ("3F000", Configuration),
            ("23514", Configuration),
            ("22021", Data),
            ("22P02", Data),
            ("23502", Data),
            ("23505", Data),
            ("54000", Data),
            ("54001", Data),
            ("", Transient),
            ("é", Transient),
        ] {
            assert_eq!(kind_of_code(code), kind, "{code}");
        }
    }
}
