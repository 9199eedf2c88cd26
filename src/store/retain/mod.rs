//! Taking records out when their time is over.
//!
//! A unit is what a policy ends at once: the records of one month and one retention class. Of each unit that has
//! [ended](crate::rules::Keep::ends), first a record is stored that tells what goes ([`Removal`]), and only then
//! the rows go; the ledger's entries stay. So whoever is stopped in between has told of what is still there,
//! which the next run takes out.
//!
//! The addresses in records may end before the records. That is told of in the same way, and how far it went
//! ([`AddressesEnded`]) is a record too.

mod addresses;
mod plan;
mod removals;
mod set;

use std::{fmt, future::Future};

pub(crate) use addresses::{
    ADDRESSES_ENDED, Told, ToldOfArchive, told_of_addresses, told_of_archived_addresses,
};
pub use addresses::{Addresses, AddressesEnded, ArchivedAddressesEnded};
pub use plan::{Fate, HeldBy, PlannedUnit, RetentionPlan, retention_plan};
pub use removals::removal_of;
#[cfg(feature = "archive")]
pub(crate) use removals::{ToldPart, archived_parts};
pub(crate) use removals::{ToldRemoval, archive_locations, removals, tells_of_archives, told_as};
pub(crate) use set::RETENTION_CHANGED;
pub use set::{PolicyChange, PolicySet, policy_set};

use super::{StoreError, StoreErrorKind};
use crate::{
    ledger::{Entry, Removal},
    query::Filter,
    record::RecordId,
    time::{Month, Timestamp},
};

/// The records of one month and one retention class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// The month in UTC in which they occurred.
    pub month: Month,
    /// Their retention class.
    pub class: String,
}

impl Unit {
    /// Returns the filter that its records pass, and no others.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "every record has the field")]
    pub fn filter(&self) -> Filter {
        let of_class = Filter::new().any_of("retention_class", [&*self.class]);
        let of_class = of_class.expect("every record has the field");
        of_class.from(self.month.start()).to(self.month.next().start())
    }
}

impl Removal {
    /// Tells whether it is of this unit's records.
    #[must_use]
    pub fn is_of_unit(&self, unit: &Unit) -> bool {
        (self.month, &self.class) == (unit.month, &unit.class)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.month, self.class.escape_debug())
    }
}

/// What the ledger accounts for of a unit, apart from what was taken out before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFacts {
    /// Which.
    pub unit: Unit,
    /// How many records.
    pub records: i64,
    /// How many entries of the ledger.
    pub entries: i64,
    /// The position of the first entry.
    pub first: i64,
    /// The position of the last entry.
    pub last: i64,
    /// When the first of the records occurred.
    pub first_at: Timestamp,
    /// When the last of the records occurred.
    pub last_at: Timestamp,
    /// The bytes on disk, where the store knows them of one unit.
    pub bytes: Option<i64>,
}

/// How far the end of a unit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is over: none of the records that were told of is there.
    Done,
    /// Some are gone; there are more.
    Partly,
    /// Somebody reads or writes it. Nothing has changed; try again in a moment.
    Busy,
    /// Since it was told of, the ledger has accounted for more of the unit. Nothing has changed.
    Grown,
    /// Holds were placed or lifted since they were looked at. Nothing has changed: look again.
    Held,
}

/// A store that can take records out, a unit at a time, and never others.
pub trait Retain: Send + Sync + 'static {
    /// Returns the units that the ledger accounts for and that were not taken out, the oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn units(&self) -> impl Future<Output = Result<Vec<UnitFacts>, StoreError>> + Send;

    /// Returns the ledger's entries of a unit after position `after`, in the order of their positions, at most
    /// `limit`.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn unit_entries(
        &self,
        unit: &Unit,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;

    /// Takes out the records of a removal, or some of them, in one short transaction. `told_by` is the record in
    /// the log that tells of it; `holds` is how many records [place and lift holds](super::Holds::told), all of
    /// which the caller has looked at: none of those that stand holds a record of the removal.
    ///
    /// Whoever places a hold meanwhile is either seen here, or sees what is gone: there is no moment between.
    ///
    /// Safe to repeat, and to stop at any moment: what is gone is gone whole entry by whole entry. Counts, and the
    /// index of words, follow in the same transaction.
    ///
    /// # Errors
    ///
    /// [`Data`](super::StoreErrorKind::Data) when there is no such record, or it tells something else; and when the
    /// store refuses.
    fn end_unit(
        &self,
        removal: &Removal,
        told_by: RecordId,
        holds: u64,
    ) -> impl Future<Output = Result<Ending, StoreError>> + Send;
}

/// What a store says it was about when it could not take records out.
pub(super) const TAKING_OUT: &str = "take expired records out";

/// The error of a removal that the log does not tell of.
pub(super) fn untold(told_by: RecordId) -> StoreError {
    let why = format!("no record {told_by} in the log tells of this");
    StoreError::new(StoreErrorKind::Data, TAKING_OUT).with_source(why)
}
