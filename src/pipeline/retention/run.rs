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
        AnyStore, Ending, HeldBy, Read as _, Retain as _, RetentionPlan, StoreError,
        StoreErrorKind, Unit, UnitFacts, holds, removal_of, removals,
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
    /// What stays because a hold is on records of it.
    pub held: Vec<HeldUnit>,
}

/// A unit whose time is over, and that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldUnit {
    /// Which.
    pub unit: Unit,
    /// The hold, or the first of them.
    pub by: HeldBy,
}

/// What became of a unit.
enum End {
    Ended(EndedUnit),
    Busy,
    Held(HeldBy),
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
        // Which are held is asked one by one, when it is their turn.
        let plan = RetentionPlan::new(self.store.units().await?, policy, now);
        let mut run = RetentionRun::default();
        if plan.expired().next().is_none() {
            return Ok(run);
        }
        let told = removals(&self.store).await?;
        for facts in plan.expired() {
            match self.end(facts, policy, &told).await? {
                End::Ended(ended) => {
                    tell(&ended);
                    run.ended.push(ended);
                }
                End::Busy => run.busy.push(facts.unit.clone()),
                End::Held(by) => run.held.push(HeldUnit { unit: facts.unit.clone(), by }),
            }
        }
        Ok(run)
    }

    /// Tells of a unit, unless a run that did not come to its end has, and takes it out, unless it is held.
    async fn end(
        &mut self,
        facts: &UnitFacts,
        policy: &RetentionPolicy,
        told: &[(RecordId, Removal)],
    ) -> Result<End, StoreError> {
        let goes_on = |removal: &&(RecordId, Removal)| {
            let Removal { month, class, first, last, .. } = &removal.1;
            (*month, class) == (facts.unit.month, &facts.unit.class)
                && *first <= facts.first
                && *last == facts.last
        };
        let mut told = told.iter().rev().find(goes_on).cloned();
        for _ in 0..TELLINGS {
            // What is to go before what is held: a record that comes later is not told of, and ends nothing.
            let removal = match &told {
                Some((_, removal)) => Some(removal.clone()),
                None => removal_of(&self.store, facts).await?,
            };
            let Some(removal) = removal else { return Ok(End::Busy) };
            let holds = holds(&self.store).await?;
            if let Some(hold) = holds.held_in(&self.store, &facts.unit.filter()).await? {
                return Ok(End::Held(hold.into()));
            }
            let told_by = match told.take() {
                Some((told_by, _)) => told_by,
                None => self.tell_of(&removal, policy).await?,
            };
            let mut attempts = 0;
            loop {
                match self.store.end_unit(&removal, told_by, holds.told()).await? {
                    Ending::Done => return Ok(End::Ended(EndedUnit { removal, told_by })),
                    Ending::Partly => {}
                    Ending::Grown => break,
                    Ending::Held => {
                        told = Some((told_by, removal));
                        break;
                    }
                    Ending::Busy if attempts == ATTEMPTS => return Ok(End::Busy),
                    Ending::Busy => {
                        attempts += 1;
                        sleep(PAUSE).await;
                    }
                }
            }
        }
        Ok(End::Busy)
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
