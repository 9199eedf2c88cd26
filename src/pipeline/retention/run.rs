//! One run: what is over is told of, and then taken out.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use crate::{
    ledger::Removal,
    pipeline::{core::Core, own},
    record::RecordId,
    rules::RetentionPolicy,
    store::{
        AnyStore, Ending, Read as _, Retain as _, StoreError, StoreErrorKind, Unit, UnitFacts,
        removal_of, removals, retention_plan,
    },
    time::Timestamp,
};

/// A unit in use is tried again so often, and so long after; then it is left to the next run.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);
/// A unit that grows while it is taken out is told of so often.
const TELLINGS: u32 = 3;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RetentionRun {
    /// What was taken out.
    pub ended: Vec<EndedUnit>,
    /// What somebody read or wrote all the while, and was left to the next run.
    pub busy: Vec<Unit>,
}

/// A unit that was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedUnit {
    /// What went.
    pub removal: Removal,
    /// The record that tells of it.
    pub told_by: RecordId,
}

pub(super) struct Sweep {
    /// Keeps no pipeline alive.
    core: Weak<Core>,
    committed: watch::Receiver<()>,
    store: AnyStore,
}

impl Sweep {
    pub(super) fn new(core: &Arc<Core>, store: AnyStore) -> Self {
        Self { core: Arc::downgrade(core), committed: core.committed.subscribe(), store }
    }

    pub(super) async fn run(
        mut self,
        policy: &RetentionPolicy,
        now: Timestamp,
        mut tell: impl FnMut(&EndedUnit),
    ) -> Result<RetentionRun, StoreError> {
        let plan = retention_plan(&self.store, policy, now).await?;
        let mut run = RetentionRun::default();
        if plan.expired().next().is_none() {
            return Ok(run);
        }
        let told = removals(&self.store).await?;
        for facts in plan.expired() {
            match self.end(facts, policy, &told).await? {
                Some(ended) => {
                    tell(&ended);
                    run.ended.push(ended);
                }
                None => run.busy.push(facts.unit.clone()),
            }
        }
        Ok(run)
    }

    /// Tells of a unit, unless a run that did not come to its end has, and takes it out; `None` when it is in use.
    async fn end(
        &mut self,
        facts: &UnitFacts,
        policy: &RetentionPolicy,
        told: &[(RecordId, Removal)],
    ) -> Result<Option<EndedUnit>, StoreError> {
        let goes_on = |removal: &&(RecordId, Removal)| {
            let Removal { month, class, first, last, .. } = &removal.1;
            (*month, class) == (facts.unit.month, &facts.unit.class)
                && *first <= facts.first
                && *last == facts.last
        };
        let mut told = told.iter().rev().find(goes_on).cloned();
        for _ in 0..TELLINGS {
            let (told_by, removal) = match told.take() {
                Some(told) => told,
                None => {
                    let Some(removal) = removal_of(&self.store, facts).await? else {
                        return Ok(None);
                    };
                    (self.tell_of(&removal, policy).await?, removal)
                }
            };
            let mut attempts = 0;
            loop {
                match self.store.end_unit(&removal, told_by).await? {
                    Ending::Done => return Ok(Some(EndedUnit { removal, told_by })),
                    Ending::Partly => {}
                    Ending::Grown => break,
                    Ending::Busy if attempts == ATTEMPTS => return Ok(None),
                    Ending::Busy => {
                        attempts += 1;
                        sleep(PAUSE).await;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Has the writer store what is to go, and waits until it has.
    async fn tell_of(
        &mut self,
        removal: &Removal,
        policy: &RetentionPolicy,
    ) -> Result<RecordId, StoreError> {
        let ended = || {
            let doing = "tell of what is to be taken out: the pipeline has ended";
            StoreError::new(StoreErrorKind::Transient, doing)
        };
        let id = {
            let core = self.core.upgrade().ok_or_else(ended)?;
            let id = RecordId::from_bytes(core.ids.id(core.clock.now()));
            let mut record = own::retention_run(removal, policy.keeps(&removal.class));
            // The id holds the milliseconds of the time.
            (record.id, record.occurred_at) = (id, id.at());
            core.ends.put(record);
            core.queue.nudge();
            id
        };
        loop {
            self.committed.changed().await.map_err(|_| ended())?;
            if self.store.record(id).await?.is_some() {
                return Ok(id);
            }
        }
    }
}
