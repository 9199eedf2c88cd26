//! Records of the log about itself that somebody waits for.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{core::Core, ends::stored, pipeline::HAS_ENDED};
use crate::{
    record::{Record, RecordId},
    store::{AnyStore, Read as _, StoreError, StoreErrorKind},
};

/// A record that is not stored by then is not going to be soon: the store refuses, or what waits before it is much.
const STORED_WITHIN: Duration = Duration::from_secs(30);

/// Has the writer store records of the log about itself.
///
/// The writer tries for as long as its store refuses, and whoever waits for it must not: a run that never ends says
/// nothing, and keeps the runs behind it from their turn.
#[derive(Debug)]
pub(super) struct Teller {
    /// Keeps no pipeline alive.
    core: Weak<Core>,
    store: AnyStore,
    committed: watch::Receiver<bool>,
}

impl Teller {
    /// Tells through the writer of a pipeline.
    pub(super) fn new(core: &Arc<Core>, store: AnyStore) -> Self {
        Self { core: Arc::downgrade(core), store, committed: core.committed.subscribe() }
    }

    /// Has a record stored and returns when it is; `what` it tells, as in "what is to be taken out".
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, and when the writer has not stored it in time: then it may be stored later.
    pub(super) async fn tell(
        &mut self,
        mut record: Box<Record>,
        what: &str,
    ) -> Result<RecordId, StoreError> {
        let failed = |why: String| {
            let doing = format!("have the log tell of {what}");
            StoreError::new(StoreErrorKind::Transient, doing).with_source(why)
        };
        let gone = || failed(HAS_ENDED.to_owned());
        let id = {
            let core = self.core.upgrade().ok_or_else(gone)?;
            let id = RecordId::from_bytes(core.ids.id(core.clock.now()));
            // The id holds the milliseconds of the time.
            (record.id, record.occurred_at) = (id, id.at());
            if !core.tell(record) {
                return Err(gone());
            }
            id
        };
        let deadline = Instant::now() + STORED_WITHIN;
        let store = &self.store;
        let is_there = || async move { Ok(store.record(id).await?.is_some()) };
        let stored = stored(&mut self.committed, is_there);
        match timeout_at(deadline, stored).await {
            Ok(Ok(true)) => Ok(id),
            Ok(Ok(false)) => Err(gone()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(failed(format!(
                "the writer has not stored it within {STORED_WITHIN:?}, and tries on: what keeps it is in the \
                 diagnostics of this process; run it again when that is mended"
            ))),
        }
    }
}
