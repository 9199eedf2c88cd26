//! What an archive holds of people who are erased.

use std::{collections::BTreeMap, future::Future};

use serde::Serialize;

use super::{
    eraser::{Eraser, PASSES, STEP, Work, add},
    error::EraseError,
};
use crate::{
    record::{Groups, Record},
    store::{
        AnyStore, Archival, ErasedGroups, ErasurePlace, StoreError, by_group, holds,
        tells_of_archives,
    },
    time::Timestamp,
};

/// What an erasure reached of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArchiveErasure {
    /// The archive.
    pub location: String,
    /// How many of its parts were written anew.
    pub parts: u64,
    /// How many records of them were emptied; those that the log has as well are counted there too.
    pub records: u64,
    /// How many groups of them, by the group's name.
    pub groups: BTreeMap<&'static str, u64>,
    /// How many records more are under a legal hold and stayed as they are: they go once it is lifted, with whoever lifts it
    /// or with the next run of the retention, where these know the archive.
    pub held: u64,
}

impl ArchiveErasure {
    fn of(archive: &dyn Archival) -> Self {
        let location = archive.location();
        Self { location, parts: 0, records: 0, groups: BTreeMap::new(), held: 0 }
    }
}

/// Has the log tell first what is about to be emptied.
pub(super) trait Announce: Send {
    fn announce(
        &mut self,
        found: &[ErasedGroups],
    ) -> impl Future<Output = Result<(), EraseError>> + Send;
}

/// An erasure that somebody asked for.
struct Asked<'w, 'r> {
    eraser: &'w Eraser,
    work: &'w mut Work<'r>,
}

impl Announce for Asked<'_, '_> {
    async fn announce(&mut self, found: &[ErasedGroups]) -> Result<(), EraseError> {
        self.eraser.announce(self.work, found).await
    }
}

impl Eraser {
    /// Empties what the archive holds of the people that `concerned` knows. `None` where there is no archive.
    pub(super) async fn erase_archived(
        &self,
        work: &mut Work<'_>,
        mut concerned: impl FnMut(&Record) -> Groups + Send,
    ) -> Result<Option<ArchiveErasure>, EraseError> {
        let core = self.recorder().core();
        let Some(archive) = core.archive.as_deref() else { return Ok(None) };
        let asked = Asked { eraser: self, work };
        let now = || core.clock.now();
        empty_all(self.store(), archive, &mut concerned, asked, now).await.map(Some)
    }
}

/// Empties what an archive holds of the people that `concerned` knows and no hold is on, part by part: announced, as in
/// the log, and then written anew.
pub(super) async fn empty_all(
    store: &AnyStore,
    archive: &dyn Archival,
    concerned: &mut (impl FnMut(&Record) -> Groups + Send),
    mut announcer: impl Announce,
    now: impl Fn() -> Timestamp + Send + Sync,
) -> Result<ArchiveErasure, EraseError> {
    let failed = |error| EraseError::archive(archive.location(), error);
    let mut reached = ArchiveErasure::of(archive);
    for part in archive.parts().await.map_err(failed)? {
        let mut rounds = PASSES;
        loop {
            let holds = holds(store).await?;
            let mut held = 0;
            let mut free = |record: &Record| match concerned(record) {
                groups if !groups.is_empty() && holds.held(record).is_some() => {
                    held += 1;
                    Groups::NONE
                }
                groups => groups,
            };
            let found = archive.find(&part, &mut free).await.map_err(failed)?;
            if found.is_empty() {
                // An earlier one may have broken off behind its last step but one.
                archive.empty(store, &part, &[], now()).await.map_err(failed)?;
                reached.held += held;
                break;
            }
            for step in found.chunks(STEP) {
                announcer.announce(step).await?;
            }
            if rounds == 0 {
                return Err(EraseError::unsettled());
            }
            rounds -= 1;
            // Holds that were placed or lifted meanwhile: once more, with those.
            if crate::store::holds(store).await?.told() != holds.told() {
                continue;
            }
            archive.empty(store, &part, &found, now()).await.map_err(failed)?;
            reached.parts += 1;
            reached.records += found.len() as u64;
            add(&mut reached.groups, by_group(&found));
            reached.held += held;
            break;
        }
    }
    Ok(reached)
}

/// Says what an erasure would reach of an archive, and changes nothing.
pub(super) async fn planned(
    store: &AnyStore,
    archive: &dyn Archival,
    mut concerned: impl FnMut(&Record) -> Groups + Send,
) -> Result<ArchiveErasure, EraseError> {
    let failed = |error| EraseError::archive(archive.location(), error);
    let holds = holds(store).await?;
    let mut reached = ArchiveErasure::of(archive);
    for part in archive.parts().await.map_err(failed)? {
        let held = &mut reached.held;
        let mut free = |record: &Record| match concerned(record) {
            groups if !groups.is_empty() && holds.held(record).is_some() => {
                *held += 1;
                Groups::NONE
            }
            groups => groups,
        };
        let found = archive.find(&part, &mut free).await.map_err(failed)?;
        reached.parts += u64::from(!found.is_empty());
        reached.records += found.len() as u64;
        add(&mut reached.groups, by_group(&found));
    }
    Ok(reached)
}

/// Returns the archive as a place, where there is one: as far as this pipeline knows it, or as the log tells of it.
pub(super) async fn place(
    store: &AnyStore,
    archive: Option<&dyn Archival>,
) -> Result<Option<ErasurePlace>, StoreError> {
    let place = |reached, how| ErasurePlace { place: "archive", count: None, reached, how };
    if archive.is_some() {
        return Ok(Some(place(
            true,
            "the files with personal groups are written anew without them, and the old ones deleted",
        )));
    }
    Ok(tells_of_archives(store).await?.then(|| {
        place(
            false,
            "the log tells of an archive, and none was named: erase again with it (`--archive URL`, or in the rules)",
        )
    }))
}
