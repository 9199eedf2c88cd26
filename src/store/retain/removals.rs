//! What the log itself tells of what was taken out, and what it would have to tell.

use std::collections::BTreeSet;

#[cfg(feature = "archive")]
use crate::store::{ArchivedPart, StoreErrorKind, Unit};
use crate::{
    ledger::{RETENTION_RUN, Removal, RemovalCount},
    query::PageRequest,
    record::{Record, RecordId},
    store::{Archived, Read, Retain, StoreError, UnitFacts, holds::of_the_log_itself},
};

/// The action of the record that tells what was archived and not removed.
const ARCHIVED: &str = "archived";

/// So many records at once.
const PAGE: usize = 1_000;
/// So many entries of the ledger at once.
const ENTRIES: usize = 5_000;

/// A removal that the log tells of.
#[derive(Debug, Clone)]
pub(crate) struct ToldRemoval {
    /// The record that does.
    pub(crate) told_by: RecordId,
    pub(crate) removal: Removal,
    /// Where the records were kept by then.
    pub(crate) archived: Option<Archived>,
}

impl ToldRemoval {
    fn of(record: &Record) -> Option<Self> {
        let (removal, archived) = (Removal::told(record)?, Archived::told(record));
        Some(Self { told_by: record.id, removal, archived })
    }
}

/// Returns every removal that the log tells of, the oldest first.
pub(crate) async fn removals<S: Read>(store: &S) -> Result<Vec<ToldRemoval>, StoreError> {
    told_as(store, RETENTION_RUN, ToldRemoval::of).await
}

/// Returns what the log tells of itself by records of one action, the oldest first.
pub(crate) async fn told_as<S: Read, T>(
    store: &S,
    action: &str,
    read: impl Fn(&Record) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let filter = of_the_log_itself(action)?;
    let (mut told, mut request) = (Vec::new(), PageRequest::oldest(PAGE));
    loop {
        let page = store.records(&filter, &request).await?;
        told.extend(page.records.iter().filter_map(&read));
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(told),
        }
    }
}

/// Tells whether the log says that anything of it is kept in an archive.
pub(crate) async fn tells_of_archives<S: Read>(store: &S) -> Result<bool, StoreError> {
    let (archived, mut request) = (of_the_log_itself(ARCHIVED)?, PageRequest::newest(1));
    loop {
        let page = store.records(&archived, &request).await?;
        match page.next {
            _ if !page.records.is_empty() => return Ok(true),
            // Its time was up before it found any.
            Some(next) => request = request.after(next),
            None => break,
        }
    }
    Ok(removals(store).await?.iter().any(|told| told.archived.is_some()))
}

/// Returns every archive that the log tells of, by its location.
pub(crate) async fn archive_locations<S: Read>(store: &S) -> Result<BTreeSet<String>, StoreError> {
    let location = |record: &Record| {
        let told: serde_json::Value = serde_json::from_str(record.metadata.as_str()).ok()?;
        told["location"].as_str().map(str::to_owned)
    };
    let told = told_as(store, ARCHIVED, location).await?.into_iter();
    let removals = removals(store).await?.into_iter();
    let of_removals = removals.filter_map(|told| told.archived.map(|kept| kept.location));
    Ok(told.chain(of_removals).collect())
}

/// A part of an archive that the log tells was written.
#[cfg(feature = "archive")]
#[derive(Debug, Clone)]
pub(crate) struct ToldPart {
    /// The record that does.
    pub(crate) told_by: RecordId,
    /// Where it was written to; `None` where the record is of a version that did not say so.
    pub(crate) location: Option<String>,
    pub(crate) part: ArchivedPart,
    /// Its entries, as if they were taken out.
    pub(crate) removal: Removal,
}

#[cfg(feature = "archive")]
impl ToldPart {
    fn of(record: &Record) -> Option<Self> {
        let told: serde_json::Value = serde_json::from_str(record.metadata.as_str()).ok()?;
        let manifest = crate::record::unhex(told["digest"].as_str()?)?;
        Some(Self {
            told_by: record.id,
            location: told["location"].as_str().map(str::to_owned),
            part: ArchivedPart { name: told["manifest"].as_str()?.to_owned(), manifest },
            removal: Removal::read(&told)?,
        })
    }

    pub(crate) fn unit(&self) -> Unit {
        Unit { month: self.removal.month, class: self.removal.class.clone() }
    }
}

/// Returns every part of an archive that the log tells was written, the oldest first, but for those of which the record of
/// a removal tells.
///
/// # Errors
///
/// When the store cannot be asked, and when a record that tells of one cannot be read: then it is not known which.
#[cfg(feature = "archive")]
pub(crate) async fn archived_parts<S: Read>(store: &S) -> Result<Vec<ToldPart>, StoreError> {
    let unreadable = || {
        let why = "records that tell what was archived cannot be read; `activity verify` says where they are";
        StoreError::new(StoreErrorKind::Data, "look for what was archived").with_source(why)
    };
    let (filter, mut request) = (of_the_log_itself(ARCHIVED)?, PageRequest::oldest(PAGE));
    let mut told = Vec::new();
    loop {
        let page = store.records(&filter, &request).await?;
        for record in &page.records {
            told.push(ToldPart::of(record).ok_or_else(unreadable)?);
        }
        match page.next {
            _ if page.unreadable > 0 => return Err(unreadable()),
            Some(next) => request = request.after(next),
            None => return Ok(told),
        }
    }
}

/// Adds up what is to be taken out of a unit: all that the ledger accounts for by now; `None` when that is
/// nothing any more.
///
/// # Errors
///
/// When the store cannot be asked.
pub async fn removal_of<S: Retain>(
    store: &S,
    facts: &UnitFacts,
) -> Result<Option<Removal>, StoreError> {
    let (mut count, mut after) = (RemovalCount::default(), facts.first - 1);
    loop {
        let entries = store.unit_entries(&facts.unit, after, ENTRIES).await?;
        entries.iter().for_each(|entry| count.push(entry));
        match entries.last() {
            Some(last) if entries.len() == ENTRIES => after = last.position,
            _ => return Ok(count.of(facts.unit.month, &facts.unit.class)),
        }
    }
}
