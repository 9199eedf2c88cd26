//! A store that tells how often it was asked in vain.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use tower_activity::{
    record::WriterId,
    store::{AnyStore, Append, Appended, Appender, Batch, StoreError},
};

/// Far longer than anything here takes on a busy machine: only a defect meets it.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Tried<S> {
    inner: S,
    in_vain: Arc<watch::Sender<u64>>,
}

impl<S: Clone> Tried<S> {
    pub(crate) fn of(store: &S) -> Self {
        Self { inner: store.clone(), in_vain: Arc::new(watch::Sender::new(0)) }
    }
}

impl<S> Tried<S> {
    /// Waits until the pipeline has tried in vain `times` more.
    pub(crate) async fn in_vain(&self, times: u64) {
        let mut told = self.in_vain.subscribe();
        let before = *told.borrow();
        let waits = told.wait_for(|count| *count >= before + times);
        timeout(PATIENCE, waits).await.expect("it tries again").unwrap();
    }

    fn tell<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if outcome.is_err() {
            self.in_vain.send_modify(|count| *count += 1);
        }
        outcome
    }
}

impl<S: Append> Append for Tried<S> {
    type Appender = Tried<S::Appender>;

    async fn connect(&self) -> Result<Self::Appender, StoreError> {
        let inner = self.tell(self.inner.connect().await)?;
        Ok(Tried { inner, in_vain: Arc::clone(&self.in_vain) })
    }

    fn reader(&self) -> Option<AnyStore> {
        self.inner.reader()
    }
}

impl<A: Appender> Appender for Tried<A> {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        let outcome = self.inner.position(writer_id).await;
        self.tell(outcome)
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        let outcome = self.inner.append(batch).await;
        self.tell(outcome)
    }
}
