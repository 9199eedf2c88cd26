//! What would be taken out now, and what would not.

use super::{Addresses, Unit, UnitFacts, told_of_addresses};
use crate::{
    record::RecordId,
    rules::{Fullness, Keep, RetentionPolicy},
    store::{Evidence, Hold, Maintain, Read, Retain, StoreError, holds},
    time::Timestamp,
};

/// What a policy makes of the units that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPlan {
    /// The units, the oldest first.
    pub units: Vec<PlannedUnit>,
    /// How full the log is, where the policy limits its size.
    pub size: Option<Fullness>,
}

/// One unit, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedUnit {
    /// What is there.
    pub facts: UnitFacts,
    /// What becomes of it.
    pub fate: Fate,
    /// The hold that keeps it although its time is over.
    pub held: Option<HeldBy>,
    /// What becomes of the addresses in its records before that.
    pub addresses: Addresses,
    keep: Keep,
}

/// A hold that keeps a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldBy {
    /// Its id.
    pub id: RecordId,
    /// Its name.
    pub name: String,
}

impl From<&Hold> for HeldBy {
    fn from(hold: &Hold) -> Self {
        Self { id: hold.id, name: hold.name.clone() }
    }
}

/// What becomes of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// Its time is over since then.
    Expired(Timestamp),
    /// Its time is over then.
    Until(Timestamp),
    /// It is kept for ever.
    Forever,
    /// The policy does not know its class, so it is kept.
    Unknown,
}

impl PlannedUnit {
    /// Returns which unit it is.
    #[must_use]
    pub const fn unit(&self) -> &Unit {
        &self.facts.unit
    }
}

impl RetentionPlan {
    /// Returns what a policy makes of these units at a moment, whatever is held.
    #[must_use]
    pub fn new(
        units: impl IntoIterator<Item = UnitFacts>,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Self {
        let planned = |facts: UnitFacts| {
            let fate = match policy.keeps(&facts.unit.class) {
                None => Fate::Unknown,
                Some(Keep::Forever) => Fate::Forever,
                Some(keep) => match keep.ends(facts.unit.month) {
                    Some(at) if at <= now => Fate::Expired(at),
                    Some(at) => Fate::Until(at),
                    None => Fate::Forever,
                },
            };
            let keep = policy.keeps(&facts.unit.class).unwrap_or(Keep::Forever);
            let addresses = policy.keeps_addresses(&facts.unit.class);
            let addresses = match addresses.and_then(|keep| keep.ends(facts.unit.month)) {
                Some(at) if at <= now => Addresses::Expired(at),
                Some(at) if keep.ends(facts.unit.month).is_none_or(|end| at < end) => {
                    Addresses::Until(at)
                }
                _ => Addresses::WithRecords,
            };
            PlannedUnit { facts, fate, held: None, addresses, keep }
        };
        Self { units: units.into_iter().map(planned).collect(), size: None }
    }

    /// Returns the units that may go before their time where the log is too large and that is said to be enough, in the
    /// order in which they go: those of the class that is kept for the shortest time first, the oldest of them first.
    /// What is kept for ever is not among them, nor is a month that is not over.
    #[must_use]
    pub fn forced(&self, now: Timestamp) -> Vec<&UnitFacts> {
        let is_over = |unit: &&PlannedUnit| {
            matches!(unit.fate, Fate::Until(_)) && unit.unit().month.next().start() <= now
        };
        let mut units: Vec<_> = self.units.iter().filter(is_over).collect();
        units.sort_by_key(|unit| {
            let days = match unit.keep {
                Keep::Days(days) => days,
                Keep::Forever => u32::MAX,
            };
            (days, unit.unit())
        });
        units.into_iter().map(|unit| &unit.facts).collect()
    }

    /// Returns the units whose time is over, those that are held among them.
    pub fn expired(&self) -> impl Iterator<Item = &UnitFacts> {
        let over = self.units.iter().filter(|unit| matches!(unit.fate, Fate::Expired(_)));
        over.map(|unit| &unit.facts)
    }
}

/// Returns what a policy would take out of a store at a moment, and what it would keep.
///
/// # Errors
///
/// When the store cannot be asked.
pub async fn retention_plan<S: Retain + Read + Evidence + Maintain>(
    store: &S,
    policy: &RetentionPolicy,
    now: Timestamp,
) -> Result<RetentionPlan, StoreError> {
    let mut plan = RetentionPlan::new(store.units().await?, policy, now);
    if let Some(limit) = policy.size_limit() {
        plan.size = Some(limit.filled(store.storage().await?.used));
    }
    let holds = holds(store).await?;
    let told = told_of_addresses(store).await?;
    for unit in &mut plan.units {
        if matches!(unit.fate, Fate::Expired(_)) {
            unit.held = holds.held_in_unit(store, unit.unit()).await?.map(HeldBy::from);
        }
        let is_expired = matches!(unit.addresses, Addresses::Expired(_));
        if is_expired && told.done(unit.unit(), holds.told()).0 >= unit.facts.last {
            unit.addresses = Addresses::Ended;
        }
    }
    Ok(plan)
}
