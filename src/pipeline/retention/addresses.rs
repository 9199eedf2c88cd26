//! Addresses whose time is over go, and the records stay.

use super::run::Sweep;
use crate::{
    ledger::AddressExpiry,
    pipeline::own,
    record::{Canonical, Group, Groups},
    rules::{Keep, RetentionPolicy},
    store::{
        Addresses, AddressesEnded, Erase as _, ErasedGroups, Holds, Read as _, Retain as _,
        RetentionPlan, StoreError, Told, Unit, UnitFacts, holds, told_of_addresses,
    },
};

/// So many entries of the ledger are read at once.
const ENTRIES: usize = 1_000;
/// So many records are emptied at once: the log waits for as long.
const STEP: usize = 200;
/// A unit of which holds change again and again is begun anew so often; then it is left to the next run.
pub(super) const BEGINNINGS: u32 = 10;

/// What became of all units.
#[derive(Default)]
pub(super) struct Ends {
    pub(super) done: Vec<AddressesEnded>,
    /// Those of which holds changed all the while.
    pub(super) busy: Vec<Unit>,
    /// The first unit that failed for itself; those behind it were gone through.
    pub(super) failed: Option<StoreError>,
}

/// What became of a unit.
enum End {
    /// There was nothing to look at.
    Nothing,
    Ended(AddressesEnded),
    HoldsChanged,
}

/// How a walk through a unit ended.
enum Walk {
    Ended { held: u64 },
    HoldsChanged,
}

impl Sweep {
    /// Empties the addresses whose time is over, but for those in units that are `gone`.
    pub(super) async fn end_addresses(
        &mut self,
        plan: &RetentionPlan,
        policy: &RetentionPolicy,
        gone: impl Fn(&Unit) -> bool,
        mut tell: impl FnMut(&AddressesEnded),
    ) -> Result<Ends, StoreError> {
        let is_due = |addresses: Addresses| matches!(addresses, Addresses::Expired(_));
        let due = plan.units.iter().filter(|unit| is_due(unit.addresses) && !gone(unit.unit()));
        let due: Vec<_> = due.map(|unit| &unit.facts).collect();
        let mut ends = Ends::default();
        if due.is_empty() {
            return Ok(ends);
        }
        let told = told_of_addresses(&self.store).await?;
        for facts in due {
            let Some(Keep::Days(days)) = policy.keeps_addresses(&facts.unit.class) else {
                continue;
            };
            match self.end_addresses_of(facts, days, &told).await {
                Ok(End::Ended(ended)) if ended.records > 0 => {
                    tell(&ended);
                    ends.done.push(ended);
                }
                Ok(End::Ended(_) | End::Nothing) => {}
                Ok(End::HoldsChanged) => ends.busy.push(facts.unit.clone()),
                // The store is away, and will be so for the next unit.
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    let unit = facts.unit.to_string();
                    let cause = &error as &dyn std::error::Error;
                    tracing::error!(
                        unit,
                        error = cause,
                        "its expired addresses were not taken out"
                    );
                    ends.failed.get_or_insert(error);
                }
            }
        }
        if !ends.done.is_empty() {
            // As far as it can be done from here: what is left is overwritten by what comes next.
            if let Err(error) = self.store.scrub().await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "what expired addresses have left in files was not overwritten"
                );
            }
        }
        Ok(ends)
    }

    /// Empties those of a unit.
    async fn end_addresses_of(
        &mut self,
        facts: &UnitFacts,
        days: u32,
        told: &Told,
    ) -> Result<End, StoreError> {
        let mut emptied = 0;
        let mut is_announced = None;
        for _ in 0..BEGINNINGS {
            let holds = holds(&self.store).await?;
            let (done, spared) = told.done(&facts.unit, holds.told());
            let after = done.max(facts.first - 1);
            if after >= facts.last {
                return Ok(End::Nothing);
            }
            let announced =
                is_announced.get_or_insert_with(|| told.is_announced(facts, after)).to_owned();
            let expiry = AddressExpiry {
                month: facts.unit.month,
                class: facts.unit.class.clone(),
                // Of the whole unit: what is held now is looked at again when it is not.
                first: facts.first,
                last: facts.last,
                days,
            };
            let announced = &mut (announced, expiry);
            let walk = self.walk(facts, after, &holds, announced, &mut emptied).await?;
            is_announced = Some(announced.0);
            if let Walk::Ended { held } = walk {
                let (unit, held, holds) = (facts.unit.clone(), held + spared, holds.told());
                let ended = AddressesEnded::new(unit, facts.last, emptied, held, holds);
                self.store_own(own::addresses_ended(&ended)).await?;
                return Ok(End::Ended(ended));
            }
        }
        Ok(End::HoldsChanged)
    }

    /// Goes through the entries of a unit behind a position, and empties what is not held.
    async fn walk(
        &mut self,
        facts: &UnitFacts,
        mut after: i64,
        holds: &Holds,
        announced: &mut (bool, AddressExpiry),
        emptied: &mut u64,
    ) -> Result<Walk, StoreError> {
        let mut canonical = Canonical::new();
        let (mut found, mut held) = (Vec::new(), 0);
        loop {
            let mut entries = self.store.unit_entries(&facts.unit, after, ENTRIES).await?;
            let is_last = entries.len() < ENTRIES;
            entries.retain(|entry| entry.position <= facts.last);
            for entry in &entries {
                after = entry.position;
                for record in self.store.entry_records(entry).await? {
                    let groups = Groups::of(Group::Network);
                    let Some(group) = ErasedGroups::of(&record, groups, &mut canonical) else {
                        continue;
                    };
                    if holds.held_whole(&self.store, &record).await?.is_some() {
                        held += 1;
                        continue;
                    }
                    found.push(group);
                    if found.len() == STEP
                        && !self.empty(&mut found, holds.told(), announced, emptied).await?
                    {
                        return Ok(Walk::HoldsChanged);
                    }
                }
            }
            if is_last || entries.is_empty() {
                break;
            }
        }
        if !found.is_empty() && !self.empty(&mut found, holds.told(), announced, emptied).await? {
            return Ok(Walk::HoldsChanged);
        }
        Ok(Walk::Ended { held })
    }

    /// Empties some records, of which the log tells by then; says whether it did: not where holds have changed.
    async fn empty(
        &mut self,
        found: &mut Vec<ErasedGroups>,
        holds: u64,
        announced: &mut (bool, AddressExpiry),
        emptied: &mut u64,
    ) -> Result<bool, StoreError> {
        if !announced.0 {
            self.store_own(own::addresses_expired(&announced.1)).await?;
            announced.0 = true;
        }
        let erased = self.store.erase(found, holds).await?;
        *emptied += erased.unwrap_or_default();
        found.clear();
        Ok(erased.is_some())
    }
}
