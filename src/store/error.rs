//! What can go wrong in a store, sorted by what the writer does about it.

use std::{error, fmt};

/// An error of a store.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    doing: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

/// What an error asks of the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Connection, admission, serialization, deadline, shutdown: try again later.
    Transient,
    /// The server has become read-only: look for the primary on a new connection.
    StalePrimary,
    /// Authentication, permission, a missing table or leaf, a schema of another version: hold the
    /// records, say so aloud, and try again; never discard.
    Configuration,
    /// A record that the store cannot take: find it by splitting the batch.
    Data,
    /// The stream stands elsewhere than the batch expects; `last_seq` is where.
    Position {
        /// Number of the stream's last record in the store.
        last_seq: i64,
    },
}

impl StoreError {
    /// Makes an error; `doing` says what was being tried, as in "append a batch".
    #[must_use]
    pub fn new(kind: StoreErrorKind, doing: impl Into<String>) -> Self {
        Self { kind, doing: doing.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Tells whether waiting alone may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Transient | StoreErrorKind::StalePrimary)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}", self.doing)?;
        if let StoreErrorKind::Position { last_seq } = self.kind {
            write!(f, ": the stream stands at {last_seq}")?;
        }
        Ok(())
    }
}

impl error::Error for StoreError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}
