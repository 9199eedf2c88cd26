//! A store that is away: what is recorded for it waits in a spool.

use tower_activity::{
    record::WriterId,
    store::{Append, Appended, Appender, Batch, StoreError, StoreErrorKind},
};

/// A store that never answers.
pub(crate) struct Away;

pub(crate) enum Nobody {}

impl Append for Away {
    type Appender = Nobody;

    async fn connect(&self) -> Result<Nobody, StoreError> {
        Err(StoreError::new(StoreErrorKind::Transient, "connect: it is away"))
    }
}

impl Appender for Nobody {
    async fn position(&mut self, _: WriterId) -> Result<i64, StoreError> {
        match *self {}
    }

    async fn append(&mut self, _: Batch<'_>) -> Result<Appended, StoreError> {
        match *self {}
    }
}
