//! Why a record did not enter a transaction.

use std::{error, fmt};

use crate::store::{Database, StoreError};

/// Why a record did not enter a transaction. What it describes should then not happen either: let the
/// transaction roll back.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecordInError {
    /// It is no record: this field is required and empty. The transaction is as it was.
    Refused(&'static str),
    /// The pipeline was started without an outbox in a database of this kind, so that nobody would ever
    /// move the record into the log. The transaction is as it was.
    NoOutbox(Database),
    /// A state from before or after a change cannot be written as JSON. The transaction is as it was.
    State(serde_json::Error),
    /// The database did not take it. In Postgres the transaction can only be rolled back after that.
    Store(StoreError),
}

impl fmt::Display for RecordInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(field) => write!(f, "the record was refused: `{field}` is empty"),
            Self::NoOutbox(database) => write!(
                f,
                "the pipeline has no outbox in {database}: give it one with `PipelineBuilder::outbox`"
            ),
            Self::State(_) => f.write_str("could not write a state as JSON"),
            Self::Store(_) => f.write_str(
                "could not put the record into the outbox (`Outbox::migrate` makes its tables)",
            ),
        }
    }
}

impl error::Error for RecordInError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::State(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Refused(_) | Self::NoOutbox(_) => None,
        }
    }
}

/// Why a change that was to be recorded came to nothing: let the transaction roll back.
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteInError<E> {
    /// The change itself failed, or reading the thing before or after it.
    Write(E),
    /// The change was made, and its record did not enter the transaction.
    Record(RecordInError),
}

impl<E> From<RecordInError> for WriteInError<E> {
    fn from(error: RecordInError) -> Self {
        Self::Record(error)
    }
}

impl<E> fmt::Display for WriteInError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write(_) => "the change failed",
            Self::Record(_) => "the change could not be recorded",
        })
    }
}

impl<E: error::Error + 'static> error::Error for WriteInError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Write(error) => Some(error),
            Self::Record(error) => Some(error),
        }
    }
}
