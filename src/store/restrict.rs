//! Restricting: what an erasure would take, and a legal hold keeps.
//!
//! A restricted group leaves its record as an erased one does: fields and salt go, and the commitment stays in their
//! place. So nothing that reads records finds it, and neither do rollups, indexes and whoever may read the tables of
//! the log. What it held lies beside the log, salt and all. Whoever may look there proves it by the commitment: it is
//! what was recorded, or it does not fit.
//!
//! When no hold keeps it any more it is erased: a record says so, and what lies aside goes.

use std::borrow::Cow;

use super::{Evidence, Read, StoreError};
use crate::{
    query::{Filter, Page, PageRequest, Place},
    record::{Canonical, Group, Groups, Record, RecordId, Seal, WriterId},
};

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
    /// The record with these groups and no others; `None` where somebody has made it unreadable.
    pub kept: Option<Box<Record>>,
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
        Some(Self { id, writer_id, seq, groups, kept: Some(kept) })
    }

    /// Takes these groups as those of a record that was numbered anew; `None` where the record does not lack them.
    pub(super) fn renewed(&self, record: &Record) -> Option<Self> {
        let mut whole = record.clone();
        self.unveil(&mut whole);
        Self::of(&whole, self.groups)
    }

    /// Puts the groups back into a record that lacks them.
    pub(crate) fn unveil(&self, record: &mut Record) {
        let Some(kept) = &self.kept else { return };
        for group in self.groups.iter() {
            if !matches!(record.seals.of(group), Seal::Erased(_)) {
                continue;
            }
            for field in Record::FIELDS.iter().filter(|field| field.group() == group) {
                // What one record has of the field another may have.
                let _fits = field.set(record, field.value(kept));
            }
            record.seals.set(group, kept.seals.of(group));
        }
    }

    /// Returns those of the groups that are what `record` had: they open its commitments, and the rest of what is kept
    /// is the record's.
    pub(crate) fn proved(&self, record: &Record, canonical: &mut Canonical) -> Groups {
        let Some(kept) = &self.kept else { return Groups::NONE };
        let mut sealed = Record::FIELDS.iter().filter(|field| field.group() == Group::Sealed);
        if !sealed.all(|field| field.value(record) == field.value(kept)) {
            return Groups::NONE;
        }
        let mut opens = |group: &Group| {
            let Seal::Erased(commitment) = record.seals.of(*group) else { return false };
            canonical.commitment(kept, *group) == Some(commitment)
        };
        self.groups.iter().filter(|group| opens(group)).collect()
    }

    /// Returns what is kept as bytes.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(kept) = &self.kept {
            kept.to_portable(&mut bytes);
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. What nobody wrote reads as nothing: it proves nothing either.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn stored(
        id: RecordId,
        (writer_id, seq): (i64, i64),
        groups: &str,
        bytes: &[u8],
    ) -> Self {
        let groups = Groups::parse(groups).unwrap_or_default();
        let mut kept = Box::<Record>::default();
        let kept = Record::from_portable(bytes, &mut kept).is_ok().then_some(kept);
        Self { id, writer_id: WriterId::new(writer_id), seq, groups, kept }
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

/// Records of which something is kept aside, as they were recorded.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct RestrictedPage {
    /// The first that was restricted first. Which of their groups are restricted, their seals say.
    pub records: Vec<Record>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<i64>,
}

/// Returns what is kept aside of records that pass `filter`, each record as it was recorded, from behind a number on, at
/// most so many: for whoever may see what holds keep.
///
/// # Errors
///
/// When the store cannot be asked, or does not show what is kept aside.
pub async fn restricted_records<S: Read + Evidence>(
    store: &S,
    filter: &Filter,
    mut after: i64,
    limit: usize,
) -> Result<RestrictedPage, StoreError> {
    let mut page = RestrictedPage::default();
    let limit = limit.max(1);
    loop {
        let rows = store.restricted(after, limit).await?;
        let is_last = rows.len() < limit;
        for (number, kept) in rows {
            let parts = store.restricted_of(kept.id).await?;
            // What was restricted of it at another time comes with the first.
            if parts.first().is_some_and(|first| first.groups == kept.groups)
                && let Some(mut record) = store.record(kept.id).await?
            {
                parts.iter().for_each(|part| part.unveil(&mut record));
                let groups = parts.iter().map(|part| part.groups);
                record.seals.restrict(groups.fold(Groups::NONE, Groups::and));
                if filter.matches(&record) {
                    if page.records.len() == limit {
                        page.next = Some(after);
                        return Ok(page);
                    }
                    page.records.push(record);
                }
            }
            after = number;
        }
        if is_last {
            return Ok(page);
        }
    }
}

/// As [`restricted_records`], a page as [`Read::records`] has it, for whoever writes out all of them: its direction says
/// nothing, and its places are good for this alone.
///
/// # Errors
///
/// As [`restricted_records`].
pub async fn restricted_page<S: Read + Evidence>(
    store: &S,
    filter: &Filter,
    request: &PageRequest,
) -> Result<Page, StoreError> {
    let after = match request.after {
        Some(Place::Committed(number)) => number,
        _ => 0,
    };
    let RestrictedPage { records, next } =
        restricted_records(store, filter, after, request.limit).await?;
    let next = next.map(Place::Committed);
    Ok(Page { records, next, complete: true, ..Page::default() })
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
        let shown = kept.kept.as_ref().unwrap();
        assert!(shown.description.is_absent(), "another group's");
        let gone = emptied(&record, identity);
        assert!(gone.actor_id.is_absent());
        let mut canonical = Canonical::new();
        assert_eq!(kept.proved(&gone, &mut canonical), identity);
        let mut back = gone.clone();
        kept.unveil(&mut back);
        assert_eq!(back, record);

        let mut other = kept.clone();
        other.kept.as_mut().unwrap().actor_id.set("bob");
        assert!(other.proved(&gone, &mut canonical).is_empty());
        let mut other = kept.clone();
        other.kept.as_mut().unwrap().action.set("pay");
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
        assert_eq!((renewed.seq, renewed.kept.as_ref().unwrap().seq), (9, 9));
        assert_eq!(renewed.proved(&gone, &mut Canonical::new()), kept.groups);
        assert!(kept.renewed(&Record::default()).is_none(), "a stub in its place");
    }
}
