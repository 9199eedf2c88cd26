//! Erasing personal groups, and the list of whose they were.

use std::{collections::BTreeMap, future::Future};

use serde::Serialize;

use super::{
    ERASED, ErasedList, RESTRICTED, Read, Restricted, StoreError, holds::of_the_log_itself,
};
use crate::{
    query::PageRequest,
    record::{Canonical, Group, Groups, Record, RecordId, Seal, WriterId},
    time::Timestamp,
};

/// The groups of one record that are to be erased, each with the commitment that takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedGroups {
    /// The record.
    pub id: RecordId,
    /// When it occurred, and its retention class: where it lies.
    pub occurred_at: Timestamp,
    /// See there.
    pub class: String,
    /// The stream.
    pub writer_id: WriterId,
    /// Its number in the stream.
    pub seq: i64,
    /// In the order of [`Group::ERASABLE`]; `None` where the group stays.
    pub groups: [Option<ErasedGroup>; 4],
}

/// One group that is to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "stores outside read it")]
pub struct ErasedGroup {
    /// The salt that it has now: a group of another salt is left alone.
    pub salt: [u8; 16],
    /// The commitment that it has now, and keeps.
    pub commitment: [u8; 32],
}

impl ErasedGroups {
    /// Takes those of the groups that are there; `None` when there is none of them.
    #[must_use]
    pub fn of(record: &Record, groups: Groups, canonical: &mut Canonical) -> Option<Self> {
        let group = |group: Group| match record.seals.of(group) {
            Seal::Salted(salt) if groups.has(group) => {
                let commitment = canonical.commitment(record, group)?;
                Some(ErasedGroup { salt, commitment })
            }
            _ => None,
        };
        let groups = Group::ERASABLE.map(group);
        groups.iter().any(Option::is_some).then(|| Self {
            id: record.id,
            occurred_at: record.occurred_at,
            class: record.retention_class.as_str().to_owned(),
            writer_id: record.writer_id,
            seq: record.seq,
            groups,
        })
    }

    /// Returns which groups they are.
    #[must_use]
    pub fn groups(&self) -> Groups {
        let there = |(group, erased): (Group, &Option<ErasedGroup>)| erased.map(|_| group);
        Group::ERASABLE.into_iter().zip(&self.groups).filter_map(there).collect()
    }
}

/// One name of somebody who was erased, as a keyed digest: what else arrives of him, of the time before, is erased
/// when it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "it is read from a file that somebody keeps")]
pub struct ErasedSubject {
    /// The digest, as [`Keys::pseudonym`](crate::Keys::pseudonym) makes it.
    pub digest: String,
    /// The erasure that it belongs to.
    pub erasure: String,
    /// What occurred up to then is erased.
    pub before: Timestamp,
    /// The types of things that are persons of this name.
    pub types: Vec<String>,
    /// The letters of the groups that are erased whatever part the person has in a record; empty where the part
    /// decides.
    #[serde(default)]
    pub groups: String,
}

/// A place where a copy of what was erased may lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs, reason = "stores outside make it")]
pub struct ErasurePlace {
    /// Its name, as in `person_rollups`.
    pub place: &'static str,
    /// How many rows there name the person; `None` where they cannot be counted.
    pub count: Option<u64>,
    /// Whether erasing empties it.
    pub reached: bool,
    /// How it is emptied, or what remains there and how to reach it.
    pub how: &'static str,
}

/// A store whose records' personal groups can be erased.
pub trait Erase: Send + Sync + 'static {
    /// Erases groups, all in one short transaction: their fields and their salts go, their commitments stay. What is
    /// derived from them (the rollups of persons, the index of words) goes with them. Returns how many groups there
    /// were; what is erased already is not among them, so that it is safe to repeat.
    ///
    /// `holds` is how many records [place and lift holds](super::Holds::told), all of which the caller has looked at:
    /// where there are others by now, nothing is erased, and the answer is `None`. Whoever places a hold meanwhile is
    /// either seen here, or finds what is erased erased: there is no moment between.
    ///
    /// Writes no record of it: see [`Eraser`](crate::pipeline::Eraser), which does so first.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses; then nothing is erased.
    fn erase(
        &self,
        records: &[ErasedGroups],
        holds: u64,
    ) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Erases groups as [`erase`](Self::erase) does, and keeps aside what they held, one of `kept` for each record, in
    /// the same transaction: a legal hold is on it.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses; then nothing is changed.
    fn restrict(
        &self,
        records: &[ErasedGroups],
        kept: &[Restricted],
        holds: u64,
    ) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Lets go what was kept aside under these numbers, for good, and returns how many there were; `None`, and nothing
    /// is changed, where other holds are told of by now.
    ///
    /// Writes no record of it: a record that the groups are erased comes first.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses; then nothing is changed.
    fn end_restricted(
        &self,
        numbers: &[i64],
        holds: u64,
    ) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Overwrites what erased groups have left in files, as far as it can be done from here.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses.
    fn scrub(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns each place beside the records where somebody of one of these names may be found.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn erasure_places(
        &self,
        names: &[String],
    ) -> impl Future<Output = Result<Vec<ErasurePlace>, StoreError>> + Send;

    /// Adds to the list of those who were erased.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses.
    fn add_erased_subjects(
        &self,
        subjects: &[ErasedSubject],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the list after a number, each with its own, at most so many.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn erased_subjects(
        &self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(i64, ErasedSubject)>, StoreError>> + Send;
}

/// Which groups of which records the log tells that they were erased, or restricted: nobody is shown either.
#[derive(Debug, Clone, Default)]
pub struct ToldErasures(Vec<ErasedList>);

impl ToldErasures {
    /// Returns the groups of a record that were erased, or are about to be: they are told of first.
    #[must_use]
    pub fn groups(&self, record: &Record) -> Groups {
        let told = self.0.iter().map(|list| list.groups(record.writer_id, record.seq));
        told.fold(Groups::NONE, Groups::and)
    }

    /// Tells whether nobody was ever erased.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// So many records that tell of erasures are read at once.
const PAGE: usize = 500;

/// Returns what a log tells of erasures.
///
/// # Errors
///
/// When the store cannot be asked.
pub async fn told_erasures<S: Read>(store: &S) -> Result<ToldErasures, StoreError> {
    let mut told = ToldErasures::default();
    for action in [ERASED, RESTRICTED] {
        let filter = of_the_log_itself(action)?;
        let mut request = PageRequest::oldest(PAGE);
        loop {
            let page = store.records(&filter, &request).await?;
            for record in &page.records {
                let facts: serde_json::Value =
                    serde_json::from_str(record.metadata.as_str()).unwrap_or_default();
                told.0.extend(ErasedList::from_json(&facts["records"]));
            }
            match page.next {
                Some(next) => request = request.after(next),
                None => break,
            }
        }
    }
    Ok(told)
}

/// Empties groups of a record in memory, and leaves their commitments.
pub(crate) fn empty(record: &mut Record, erased: &ErasedGroups) -> u64 {
    let mut count = 0;
    for (group, erased) in Group::ERASABLE.into_iter().zip(&erased.groups) {
        let Some(ErasedGroup { salt, commitment }) = erased else { continue };
        if record.seals.of(group) == Seal::Salted(*salt) {
            record.clear_group(group);
            record.seals.set(group, Seal::Erased(*commitment));
            count += 1;
        }
    }
    count
}

/// Returns the names of the columns of each group.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn columns(group: Group) -> impl Iterator<Item = &'static str> {
    Record::FIELDS.iter().filter(move |field| field.group() == group).map(|field| field.name())
}

/// Keeps of the erased groups those of one kind.
#[cfg(feature = "postgres")]
pub(super) fn of_group(
    records: &[ErasedGroups],
    group: Group,
) -> impl Iterator<Item = (&ErasedGroups, ErasedGroup)> {
    let index = Group::ERASABLE.iter().position(|one| *one == group).unwrap_or_default();
    records.iter().filter_map(move |record| Some((record, record.groups[index]?)))
}

/// Counts by group.
#[must_use]
pub(crate) fn by_group(records: &[ErasedGroups]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for group in records.iter().flat_map(|record| record.groups().iter()) {
        *counts.entry(group.as_str()).or_default() += 1;
    }
    counts
}
