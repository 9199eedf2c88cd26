//! What archives still have of people who were erased, once no hold is on it any more.
//!
//! In the log a hold keeps aside what an erasure would take, and lists it. An archive has the whole record, as it was
//! written before. Hence nobody remembers which: once a hold is lifted all parts are gone through for everybody on the
//! list, and a record `erased` says of which archive that was done, and how many holds were lifted by then.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    archived::{Announce, ArchiveErasure, empty_all},
    error::EraseError,
    restriction::ended,
    subject::ErasedPeople,
};
use crate::{
    pipeline::teller::Teller,
    privacy::Keys,
    record::{Actor, Record},
    store::{
        AnyStore, Archival, ERASED, Erase as _, ErasedGroups, StoreError, archive_locations,
        by_group, holds, told_as,
    },
    time::Timestamp,
};

/// An archive that still has something of people who were erased, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeftArchive {
    /// The archive, as the log names it.
    pub location: String,
    /// Why it is left, and how it is reached.
    pub how: String,
}

impl LeftArchive {
    /// Any, where nobody could say which.
    pub(in crate::pipeline) fn unknown() -> Self {
        let how = "which archives there are could not be looked up: if there is any, run \
                   `activity subject erase --replay --archive URL` with it";
        Self { location: String::new(), how: how.to_owned() }
    }

    /// One that is known and could not be gone through.
    pub(in crate::pipeline) fn failed(archive: &dyn Archival, error: &EraseError) -> Self {
        let location = archive.location();
        let how = format!(
            "{error}; the next run of the retention with this archive goes on, and so does `activity subject erase --replay \
             --archive {location}`"
        );
        Self { location, how }
    }
}

/// What archives may still have of people who were erased since holds were lifted.
pub(in crate::pipeline) struct Shelved {
    /// Those that were not gone through since.
    locations: BTreeSet<String>,
    /// How many holds were lifted when this was looked at.
    lifted: usize,
}

impl Shelved {
    /// Looks which archives were not gone through since a hold was lifted: those that the log tells of, and the one that is
    /// known here.
    pub(in crate::pipeline) async fn of(
        store: &AnyStore,
        known: Option<&dyn Archival>,
    ) -> Result<Self, StoreError> {
        let holds = holds(store).await?;
        let lifted = holds.all().len() - holds.standing().count();
        let mut shelved = Self { locations: BTreeSet::new(), lifted };
        if lifted == 0 || store.erased_subjects(0, 1).await?.is_empty() {
            return Ok(shelved);
        }
        let done: BTreeMap<_, _> = told_as(store, ERASED, told).await?.into_iter().collect();
        let mut locations = archive_locations(store).await?;
        locations.extend(known.map(|archive| archive.location()));
        locations.retain(|location| done.get(location) != Some(&(lifted as u64)));
        shelved.locations = locations;
        Ok(shelved)
    }

    pub(in crate::pipeline) fn is_due(&self, archive: &dyn Archival) -> bool {
        self.locations.contains(&archive.location())
    }

    /// Returns those that nobody here can reach; `known` is another.
    pub(in crate::pipeline) fn left(&self, known: Option<&dyn Archival>) -> Vec<LeftArchive> {
        let known = known.map(|archive| archive.location());
        let left = self.locations.iter().filter(|location| known.as_ref() != Some(location));
        let left = left.map(|location| LeftArchive {
            location: location.clone(),
            how: format!(
                "this process does not know it: run `activity subject erase --replay --archive {location}`, or have the \
                 retention run with it"
            ),
        });
        left.collect()
    }

    /// Goes through an archive for everybody on the list, and has the log tell that it was done.
    pub(in crate::pipeline) async fn end(
        &self,
        store: &AnyStore,
        archive: &dyn Archival,
        keys: &Keys,
        teller: &mut Teller,
        by: &Actor,
        now: impl Fn() -> Timestamp + Send + Sync,
    ) -> Result<ArchiveErasure, EraseError> {
        let people = ErasedPeople::of(store, keys.clone()).await?;
        if people.strangers() > 0 {
            // They would be passed over, and the log would tell that all is done.
            return Err(EraseError::other_keys(people.strangers()));
        }
        let mut concerned = |record: &Record| people.groups(record);
        let told = Told { teller: &mut *teller, by };
        let reached = empty_all(store, archive, &mut concerned, told, now).await?;
        let mut record = self.done(&reached);
        record.set_actor(by);
        teller.tell(record, WHAT).await?;
        Ok(reached)
    }

    /// Returns the record which tells that an archive was gone through for everybody on the list.
    pub(super) fn done(&self, reached: &ArchiveErasure) -> Box<Record> {
        let ArchiveErasure { location, parts, records, held, .. } = reached;
        let facts = json!({
            "location": location,
            "parts": parts,
            "count": records,
            "held": held,
            "lifted": self.lifted,
        });
        ended(&BTreeMap::new(), &BTreeMap::new(), Some(&facts))
    }
}

const WHAT: &str = "what is erased from an archive";

/// What a hold kept, by whoever ended that.
struct Told<'t> {
    teller: &'t mut Teller,
    by: &'t Actor,
}

impl Announce for Told<'_> {
    async fn announce(&mut self, found: &[ErasedGroups]) -> Result<(), EraseError> {
        let places = found.iter().map(|one| ((one.writer_id, one.seq), one.groups()));
        let mut record = ended(&places.collect(), &by_group(found), None);
        record.set_actor(self.by);
        self.teller.tell(record, WHAT).await?;
        Ok(())
    }
}

/// Returns which archive a record tells of, and how many holds were lifted by then.
fn told(record: &Record) -> Option<(String, u64)> {
    let told: Value = serde_json::from_str(record.metadata.as_str()).ok()?;
    let archive = &told["archive"];
    Some((archive["location"].as_str()?.to_owned(), archive["lifted"].as_u64()?))
}
