//! Restricting: what an erasure would take, and a legal hold keeps.
//!
//! A restricted group leaves its record as an erased one does: fields and salt go, and the commitment stays in their
//! place. So nothing that reads records finds it, and neither do rollups, indexes and whoever may read the tables of
//! the log. What it held lies beside the log, salt and all. Whoever may look there proves it by the commitment: it is
//! what was recorded, or it does not fit.
//!
//! When no hold keeps it any more it is erased: a record says so, and what lies aside goes.

use std::borrow::Cow;

use super::{Evidence, StoreError, StoreErrorKind};
use crate::record::{Canonical, Group, Groups, Record, RecordId, Seal, WriterId};

/// The action of the record that says which groups of which records are kept aside.
pub(crate) const RESTRICTED: &str = "restricted";

/// So many records are asked for at once.
const IDS: usize = 5_000;

/// Groups of a record that are kept aside.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Restricted {
    /// The record.
    pub id: RecordId,
    /// Its stream.
    pub writer_id: WriterId,
    /// Its number in the stream.
    pub seq: i64,
    /// Which groups.
    pub groups: Groups,
    /// The record with these groups and no others.
    pub kept: Box<Record>,
}

impl Restricted {
    /// Takes those of the groups that are there; `None` when there is none of them.
    #[must_use]
    pub fn of(record: &Record, groups: Groups) -> Option<Self> {
        let is_there = |group: &Group| matches!(record.seals.of(*group), Seal::Salted(_));
        let groups: Groups = groups.iter().filter(is_there).collect();
        if groups.is_empty() {
            return None;
        }
        let mut kept = Box::new(record.clone());
        for group in Group::ERASABLE.into_iter().filter(|group| !groups.has(*group)) {
            kept.clear_group(group);
            kept.seals.set(group, Seal::Empty);
        }
        kept.seals.restrict(Groups::NONE);
        let Record { id, writer_id, seq, .. } = *record;
        Some(Self { id, writer_id, seq, groups, kept })
    }

    /// Takes these groups as those of a record that was numbered anew; `None` where the record does not lack them.
    pub(super) fn renewed(&self, record: &Record) -> Option<Self> {
        let mut whole = record.clone();
        self.unveil(&mut whole);
        Self::of(&whole, self.groups)
    }

    /// Puts the groups back into a record that lacks them.
    pub(crate) fn unveil(&self, record: &mut Record) {
        for group in self.groups.iter() {
            if !matches!(record.seals.of(group), Seal::Erased(_)) {
                continue;
            }
            for field in Record::FIELDS.iter().filter(|field| field.group() == group) {
                // What one record has of the field another may have.
                let _fits = field.set(record, field.value(&self.kept));
            }
            record.seals.set(group, self.kept.seals.of(group));
        }
    }

    /// Returns those of the groups that are what `record` had: they open its commitments, and the rest of what is kept
    /// is the record's.
    pub(super) fn proved(&self, record: &Record, canonical: &mut Canonical) -> Groups {
        let mut sealed = Record::FIELDS.iter().filter(|field| field.group() == Group::Sealed);
        if !sealed.all(|field| field.value(record) == field.value(&self.kept)) {
            return Groups::NONE;
        }
        let mut opens = |group: &Group| {
            let Seal::Erased(commitment) = record.seals.of(*group) else { return false };
            canonical.commitment(&self.kept, *group) == Some(commitment)
        };
        self.groups.iter().filter(|group| opens(group)).collect()
    }

    /// Returns what is kept as bytes.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.kept.to_portable(&mut bytes);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, of these groups.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn from_bytes(
        groups: &str,
        bytes: &[u8],
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let groups = Groups::parse(groups).ok_or("there is no group of such a letter")?;
        let mut kept = Box::<Record>::default();
        Record::from_portable(bytes, &mut kept)?;
        let Record { id, writer_id, seq, .. } = *kept;
        Ok(Self { id, writer_id, seq, groups, kept })
    }
}

/// Returns a record as it was recorded, as far as that is kept: with what is kept aside of it.
///
/// # Errors
///
/// When the store cannot be asked, or does not show what is kept aside.
pub async fn whole<'r, S: Evidence>(
    store: &S,
    record: &'r Record,
) -> Result<Cow<'r, Record>, StoreError> {
    if record.seals.restricted().is_empty() {
        return Ok(Cow::Borrowed(record));
    }
    let mut record = record.clone();
    for kept in store.restricted_of(record.id).await? {
        kept.unveil(&mut record);
    }
    record.seals.restrict(Groups::NONE);
    Ok(Cow::Owned(record))
}

/// Says of records which of their groups are kept aside. Asks for nothing where no group is gone.
pub(super) async fn mark<S: Evidence>(store: &S, records: &mut [Record]) -> Result<(), StoreError> {
    let gone = records.iter().filter(|record| record.erased().next().is_some());
    let gone: Vec<_> = gone.map(|record| record.id).collect();
    if gone.is_empty() {
        return Ok(());
    }
    for ids in gone.chunks(IDS) {
        for (id, groups) in store.restricted_marks(ids).await? {
            for record in records.iter_mut().filter(|record| record.id == id) {
                record.seals.restrict(record.seals.restricted().and(groups));
            }
        }
    }
    Ok(())
}

/// What is said of letters, or bytes, that nobody wrote.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn letters(groups: &str) -> Result<Groups, StoreError> {
    Groups::parse(groups).ok_or_else(|| {
        StoreError::new(StoreErrorKind::Data, "read what is kept aside: no group has such a letter")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ErasedGroups, erase};

    fn record() -> Record {
        let mut record = Record { seq: 7, ..Record::default() };
        record.actor_id.set("ana");
        record.description.set("paid");
        record.seal([[1; 16], [2; 16], [3; 16], [4; 16]]);
        record
    }

    fn emptied(record: &Record, groups: Groups) -> Record {
        let mut emptied = record.clone();
        let gone = ErasedGroups::of(record, groups, &mut Canonical::new()).unwrap();
        erase::empty(&mut emptied, &gone);
        emptied
    }

    #[test]
    fn what_is_kept_aside_is_what_the_record_lacks_and_proves_it() {
        let record = record();
        let identity = Groups::of(Group::Identity);
        let kept = Restricted::of(&record, identity.and(Groups::of(Group::Network))).unwrap();
        assert_eq!(kept.groups, identity, "there is no address");
        assert!(kept.kept.description.is_absent(), "another group's");
        let gone = emptied(&record, identity);
        assert!(gone.actor_id.is_absent());
        let mut canonical = Canonical::new();
        assert_eq!(kept.proved(&gone, &mut canonical), identity);
        let mut back = gone.clone();
        kept.unveil(&mut back);
        assert_eq!(back, record);

        let mut other = kept.clone();
        other.kept.actor_id.set("bob");
        assert!(other.proved(&gone, &mut canonical).is_empty());
        let mut other = kept.clone();
        other.kept.action.set("pay");
        assert!(other.proved(&gone, &mut canonical).is_empty(), "of another record");
        assert!(Restricted::of(&gone, identity).is_none());
    }

    #[test]
    fn a_record_that_is_numbered_anew_takes_what_is_kept_along() {
        let record = record();
        let kept = Restricted::of(&record, Groups::ALL).unwrap();
        let mut gone = emptied(&record, Groups::ALL);
        gone.seq = 9;
        let renewed = kept.renewed(&gone).unwrap();
        assert_eq!((renewed.seq, renewed.kept.seq), (9, 9));
        assert_eq!(renewed.proved(&gone, &mut Canonical::new()), kept.groups);
        assert!(kept.renewed(&Record::default()).is_none(), "a stub in its place");
    }
}
