//! What would be taken out now, and what would not.

use super::{Unit, UnitFacts};
use crate::{
    record::RecordId,
    rules::{Keep, RetentionPolicy},
    store::{Evidence, Hold, Read, Retain, StoreError, holds},
    time::Timestamp,
};

/// What a policy makes of the units that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPlan {
    /// The units, the oldest first.
    pub units: Vec<PlannedUnit>,
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
            PlannedUnit { facts, fate, held: None }
        };
        Self { units: units.into_iter().map(planned).collect() }
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
pub async fn retention_plan<S: Retain + Read + Evidence>(
    store: &S,
    policy: &RetentionPolicy,
    now: Timestamp,
) -> Result<RetentionPlan, StoreError> {
    let mut plan = RetentionPlan::new(store.units().await?, policy, now);
    let holds = holds(store).await?;
    for unit in &mut plan.units {
        if matches!(unit.fate, Fate::Expired(_)) {
            unit.held = holds.held_in(store, &unit.unit().filter()).await?.map(HeldBy::from);
        }
    }
    Ok(plan)
}
