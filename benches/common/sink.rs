//! A store that takes everything and forgets it: the cost of the path to it, without its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tower_activity::{
    record::WriterId,
    store::{Append, Appended, Appender, Batch, StoreError},
};

#[derive(Clone, Default)]
pub struct Forget {
    last: Arc<AtomicI64>,
}

impl Append for Forget {
    type Appender = Self;

    async fn connect(&self) -> Result<Self, StoreError> {
        Ok(self.clone())
    }
}

impl Appender for Forget {
    async fn position(&mut self, _: WriterId) -> Result<i64, StoreError> {
        Ok(self.last.load(Ordering::Relaxed))
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        self.last.store(batch.last_seq(), Ordering::Relaxed);
        Ok(Appended { entries: Vec::new() })
    }
}
