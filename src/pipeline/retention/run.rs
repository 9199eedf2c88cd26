//! One run: what is over is told of, and then taken out.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    ledger::Removal,
    pipeline::{
        core::Core,
        erasure::{ArchiveErasure, Dues, EraseError, Shelved},
        own::{self, Cause},
        teller::Teller,
    },
    privacy::Keys,
    record::{Actor, Record, RecordId},
    rules::{Fullness, RetentionPolicy},
    store::{
        AddressesEnded, AnyStore, Archival, Archived, ArchivedAddressesEnded, Ending, HeldBy,
        Maintain as _, Retain as _, RetentionPlan, StoreError, ToldRemoval, Unit, UnitFacts, holds,
        removal_of, removals,
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
    /// What was left to the next run: somebody read or wrote it all the while, or holds changed while its addresses were
    /// looked at.
    pub busy: Vec<Unit>,
    /// What stays because a hold is on records of it.
    pub held: Vec<HeldUnit>,
    /// What stays because it could not be archived, and was left to the next run.
    pub unarchived: Vec<UnarchivedUnit>,
    /// Of which units the addresses were taken out, and the records stay.
    pub addresses: Vec<AddressesEnded>,
    /// From which parts of the archive addresses were taken out.
    pub archived_addresses: Vec<ArchivedAddressesEnded>,
    /// What went from the archive of people who were erased, since the hold that kept it there was lifted; `None` where it
    /// was gone through before.
    pub released: Option<ArchiveErasure>,
    /// What stays in the archive although its time is over, or it was to be erased, because parts could not be read or
    /// written anew, each with why; left to the next run.
    pub unemptied: Vec<String>,
    /// How full the log is after it, where the policy limits its size.
    pub size: Option<Fullness>,
}

/// What a run tells of while it is under way.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum RetentionStep<'a> {
    /// A unit was taken out.
    Ended(&'a EndedUnit),
    /// Of a unit, the addresses were taken out.
    Addresses(&'a AddressesEnded),
    /// Of a part of the archive, the addresses were taken out.
    ArchivedAddresses(&'a ArchivedAddressesEnded),
}

/// A unit whose time is over, and that stays until it is archived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnarchivedUnit {
    /// Which.
    pub unit: Unit,
    /// Why it could not be archived.
    pub why: String,
}

impl fmt::Display for UnarchivedUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.unit, self.why)
    }
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
    Unarchived(String),
}

/// A unit that was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedUnit {
    /// What went.
    pub removal: Removal,
    /// The record that tells of it.
    pub told_by: RecordId,
    /// Whether it went before its time, because the log was too large.
    pub forced: bool,
    /// Where it is kept from now on; `None` where no archive is set.
    pub archived: Option<Archived>,
}

pub(super) struct Sweep {
    teller: Teller,
    pub(super) store: AnyStore,
    pub(super) archive: Option<Arc<dyn Archival>>,
    /// What signs the head that proves what is archived.
    keys: Option<Keys>,
    /// When the run began.
    pub(super) now: Timestamp,
}

impl Sweep {
    pub(super) fn new(core: &Arc<Core>, store: AnyStore, now: Timestamp) -> Self {
        let (archive, keys) = (core.archive.clone(), core.privacy.keys.clone());
        let teller = Teller::new(core, store.clone());
        Self { teller, store, archive, keys, now }
    }

    pub(super) async fn run(
        mut self,
        policy: &RetentionPolicy,
        mut tell: impl FnMut(RetentionStep<'_>),
    ) -> Result<RetentionRun, StoreError> {
        let now = self.now;
        self.end_dues().await?;
        // Which are held is asked one by one, when it is their turn.
        let plan = RetentionPlan::new(self.store.units().await?, policy, now);
        let mut run = RetentionRun { size: self.size(policy).await?, ..RetentionRun::default() };
        let full = run.size.filter(|full| full.is_over());
        if plan.expired().next().is_some() || full.is_some() {
            let told = removals(&self.store).await?;
            for facts in plan.expired() {
                let cause = Cause { is_expired: true, full };
                self.take_out(facts, policy, &told, cause, &mut run, &mut tell).await?;
            }
            if full.is_some() {
                run.size = self.size(policy).await?;
            }
            for facts in plan.forced(now) {
                let full = run.size.filter(|full| full.is_over() && full.limit().is_forced());
                // What is older and in use goes before it, by a later run: nothing goes early in its stead.
                if full.is_none() || !run.busy.is_empty() {
                    break;
                }
                let cause = Cause { is_expired: false, full };
                self.take_out(facts, policy, &told, cause, &mut run, &mut tell).await?;
                run.size = self.size(policy).await?;
            }
        }
        let gone = |unit: &Unit| run.ended.iter().any(|ended| ended.removal.is_of_unit(unit));
        let told = |ended: &AddressesEnded| tell(RetentionStep::Addresses(ended));
        let ended = self.end_addresses(&plan, policy, gone, told).await?;
        // Behind the log: what is archived from here on is archived as emptied.
        let told = |ended: &ArchivedAddressesEnded| tell(RetentionStep::ArchivedAddresses(ended));
        let archived = self.end_archived_addresses(policy, told).await?;
        run.addresses = ended.done;
        run.archived_addresses = archived.done;
        run.busy.extend(ended.busy.into_iter().chain(archived.busy));
        run.unemptied = archived.failed;
        match self.end_shelved().await {
            Ok(released) => run.released = released,
            Err(error) => run.unemptied.push(said(&error)),
        }
        for why in &run.unemptied {
            tracing::warn!(why, "what is to go stays in the archive, and was left to the next run");
        }
        match ended.failed {
            Some(error) => Err(error),
            None => Ok(run),
        }
    }

    /// Lets go what holds kept of people who were erased, and keep no more: a month of which something is kept stays whole.
    async fn end_dues(&mut self) -> Result<(), StoreError> {
        let store = self.store.clone();
        let mut dues = Dues::new(&store);
        while let Some(due) = dues.next().await? {
            self.store_own(due.telling()).await?;
            dues.end(&due).await?;
        }
        Ok(())
    }

    /// Takes out of the archive what a hold kept there of people who were erased, once it is lifted.
    async fn end_shelved(&mut self) -> Result<Option<ArchiveErasure>, EraseError> {
        let Some(archive) = self.archive.as_deref() else { return Ok(None) };
        let shelved = Shelved::of(&self.store, Some(archive)).await?;
        if !shelved.is_due(archive) {
            return Ok(None);
        }
        let keys = self.keys.as_ref().ok_or_else(EraseError::no_keys)?;
        let by = Actor::system("activity");
        let (teller, now) = (&mut self.teller, self.now);
        shelved.end(&self.store, archive, keys, teller, &by, || now).await.map(Some)
    }

    async fn size(&self, policy: &RetentionPolicy) -> Result<Option<Fullness>, StoreError> {
        Ok(match policy.size_limit() {
            Some(limit) => Some(limit.filled(self.store.storage().await?.used)),
            None => None,
        })
    }

    /// Takes a unit out, unless it is held, in use, or could not be archived. Nothing else removes a record.
    async fn take_out(
        &mut self,
        facts: &UnitFacts,
        policy: &RetentionPolicy,
        told: &[ToldRemoval],
        cause: Cause,
        run: &mut RetentionRun,
        tell: &mut impl FnMut(RetentionStep<'_>),
    ) -> Result<(), StoreError> {
        match self.end(facts, policy, told, cause).await? {
            End::Ended(ended) => {
                tell(RetentionStep::Ended(&ended));
                run.ended.push(ended);
            }
            End::Busy => run.busy.push(facts.unit.clone()),
            End::Held(by) => run.held.push(HeldUnit { unit: facts.unit.clone(), by }),
            End::Unarchived(why) => {
                let unit = facts.unit.clone();
                tracing::warn!(%unit, why, "expired records could not be archived, and stay until they are");
                run.unarchived.push(UnarchivedUnit { unit, why });
            }
        }
        Ok(())
    }

    /// Tells of a unit, unless a run that did not come to its end has, and takes it out, unless it is held or cannot
    /// be archived.
    async fn end(
        &mut self,
        facts: &UnitFacts,
        policy: &RetentionPolicy,
        told: &[ToldRemoval],
        cause: Cause,
    ) -> Result<End, StoreError> {
        let location = self.archive.as_ref().map(|archive| archive.location());
        let goes_on = |told: &&ToldRemoval| {
            let Removal { month, class, first, last, .. } = &told.removal;
            (*month, class) == (facts.unit.month, &facts.unit.class)
                && *first <= facts.first
                && *last == facts.last
                // What was told of before there was an archive, or another one, is told of anew.
                && (location.is_none() || told.archived.as_ref().map(|kept| &kept.location) == location.as_ref())
        };
        let mut told = told.iter().rev().find(goes_on).cloned();
        for _ in 0..TELLINGS {
            // What is to go before what is held: a record that comes later is not told of, and ends nothing.
            let removal = match &told {
                Some(told) => Some(told.removal.clone()),
                None => removal_of(&self.store, facts).await?,
            };
            let Some(removal) = removal else { return Ok(End::Busy) };
            let holds = holds(&self.store).await?;
            if let Some(hold) = holds.held_in_unit(&self.store, &facts.unit).await? {
                return Ok(End::Held(hold.into()));
            }
            // Told of before or not: it is looked at once more that all of it is there. What comes to the unit from
            // here on has a later position than the removal, which then ends nothing or leaves it where it is.
            let archived = match &self.archive {
                None => None,
                Some(archive) => {
                    let seeds = self.keys.as_ref().map_or(&[][..], |keys| keys.signing_seeds());
                    match archive.keep(&self.store, &removal, seeds, self.now).await {
                        Ok(parts) => Some(Archived { location: archive.location(), parts }),
                        Err(error) => return Ok(End::Unarchived(said(&*error))),
                    }
                }
            };
            let (told_by, archived) = match told.take() {
                Some(told) => (told.told_by, told.archived),
                None => {
                    let keep = policy.keeps(&removal.class);
                    let record = own::retention_run(&removal, keep, cause, archived.as_ref());
                    (self.store_own(record).await?, archived)
                }
            };
            let mut attempts = 0;
            loop {
                match self.store.end_unit(&removal, told_by, holds.told()).await? {
                    Ending::Done => {
                        let forced = !cause.is_expired;
                        return Ok(End::Ended(EndedUnit { removal, told_by, forced, archived }));
                    }
                    Ending::Partly => {}
                    Ending::Grown => break,
                    Ending::Held => {
                        told = Some(ToldRemoval { told_by, removal, archived });
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

    /// Has the writer store a record of the log itself, and waits until it has.
    pub(super) async fn store_own(&mut self, record: Box<Record>) -> Result<RecordId, StoreError> {
        self.teller.tell(record, "what is to be taken out").await
    }
}

/// Says what failed, and all that made it fail.
pub(super) fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said.push_str(": ");
        said.push_str(&error.to_string());
        source = error.source();
    }
    said
}
