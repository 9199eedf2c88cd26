//! What lies outside of the store: spools of processes that are down, and files of records that no store took.
//!
//! What is in them was never numbered in the ledger, as far as a file can tell, or is there already. So it takes the form
//! of what [arrives late](super::arrivals): the groups are empty, without a commitment, and the record says so itself. Who
//! sends it later sends an emptied record, and nothing of it needs to be told beside it.

use std::{
    collections::BTreeMap,
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{
    arrivals,
    eraser::{PASSES, add},
    error::EraseError,
    request::ErasureRequest,
};
use crate::{
    pipeline::{
        classes::Classes,
        quarantine,
        spool::{self, Disk, Judged, Looked, Resting, SegmentFile},
    },
    record::{Groups, Record},
    store::{AnyStore, ErasurePlace, Holds, holds},
};

/// What an erasure reached of a spool, or of a quarantine file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileErasure {
    /// The folder of the spool, or the file.
    pub location: String,
    /// How many files were written anew.
    pub files: u64,
    /// How many records in them were emptied. One may stand there several times: as it began, as it ended, and in the
    /// copy of a damaged file.
    pub records: u64,
    /// How many groups of them, by the group's name.
    pub groups: BTreeMap<&'static str, u64>,
    /// How many records more are under a legal hold and stayed as they are.
    pub held: u64,
    /// How many places cannot be read, so that nobody knows whether they hold something of the person: damaged ones, and
    /// records of a later version.
    pub unreadable: u64,
    /// The files that have such places, which were not reached as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<UnreachedFile>,
}

/// A file of which something cannot be read, so that it may still hold something of the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnreachedFile {
    /// Its path.
    pub file: String,
    /// How many places in it cannot be read.
    pub unreadable: u64,
    /// What to do.
    pub how: &'static str,
}

/// Says which groups of a record go.
pub(super) type Concerned = Arc<dyn Fn(&Record) -> Groups + Send + Sync>;

/// Whether something is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Plan,
    Erase,
}

/// What became of everything outside.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) spools: Vec<FileErasure>,
    pub(super) quarantines: Vec<FileErasure>,
}

/// The places of a certificate that a request may name.
pub(super) const SPOOL: &str = "spool";
pub(super) const SPOOL_QUARANTINE: &str = "spool_quarantine";
pub(super) const QUARANTINE: &str = "quarantine";

impl Reached {
    /// Says of the places that were named what became of them; `is_own_gone` where this process has nothing left in a
    /// spool of its own.
    pub(super) fn tell(&self, places: &mut [ErasurePlace], is_own_gone: bool) {
        let is_whole =
            |files: &[FileErasure]| files.iter().all(|file: &FileErasure| file.unreadable == 0);
        for place in places {
            let (files, how) = match place.place {
                SPOOL => (&self.spools, OF_SPOOLS),
                SPOOL_QUARANTINE => (&self.spools, OF_COPIES),
                QUARANTINE => (&self.quarantines, OF_QUARANTINES),
                _ => continue,
            };
            if !files.is_empty() {
                let is_left = place.place == SPOOL && !is_own_gone;
                (place.reached, place.how) = (is_whole(files) && !is_left, how);
            }
        }
    }
}

const OF_SPOOLS: &str = "the files of those that are named in `spools` are written anew, but for what cannot be read \
     (`unreadable`, in the files that are named in `unreached`, each with what to do); what waits in any other one is emptied as it is stored, by every pipeline with these keys";
const OF_COPIES: &str = "copies of damaged files in those that are named in `spools` are written anew, but for what cannot \
     be read (`unreached`): look into the damage and remove them by hand, and those in any other spool";
const OF_QUARANTINES: &str = "those that are named in `quarantines` are written anew, but for lines that cannot be read \
     (`unreached`)";

const IN_SEGMENT: &str = "start its process and stop it: it sends what can be read, tells of the rest as a gap, and keeps a \
     copy of the file in the spool's folder `quarantine`; then look into that copy and remove it by hand";
const IN_COPY: &str =
    "look into the damage and remove the file by hand: what of it can be read was sent";
const IN_QUARANTINE: &str = "look into the lines that are no records, and take them out by hand";

/// What a request names, held until the erasure is over.
pub(super) struct Outside {
    spools: Vec<Arc<Resting>>,
    quarantines: Vec<PathBuf>,
}

/// A file that may be written anew.
#[derive(Clone)]
enum Unit {
    Segment(Arc<Resting>, SegmentFile),
    Quarantine(PathBuf),
}

/// A file that was gone through, and what is to become of it.
enum Ready {
    Segment(Arc<Resting>, SegmentFile, Looked),
    /// Nobody adds to it as long as this is held.
    Quarantine(PathBuf, quarantine::Kept, quarantine::Anew),
}

type Failure = Box<dyn Error + Send + Sync>;

impl Outside {
    /// Takes hold of what the request names: none of these processes can be started until this is dropped.
    pub(super) async fn of(request: &ErasureRequest) -> Result<Self, EraseError> {
        let (folders, files) = (request.spools.clone(), request.quarantines.clone());
        let taken = blocking(move || {
            let open = |folder: &PathBuf| Resting::open(Arc::new(Disk), folder).map(Arc::new);
            let spools = folders.iter().map(open).collect::<Result<_, _>>()?;
            for file in &files {
                // Before anything is erased: one that cannot be written anew is found out now.
                quarantine::Kept::open(file).map_err(|error| of_file(file, &error))?;
            }
            Ok(Self { spools, quarantines: files })
        });
        taken.await.map_err(EraseError::closed)
    }

    /// Empties what is there, or says what would be emptied.
    pub(super) async fn reach(
        &self,
        store: &AnyStore,
        concerned: &Concerned,
        does: Does,
    ) -> Result<Reached, EraseError> {
        let mut reached = Reached::default();
        for spool in &self.spools {
            if does == Does::Erase {
                let spool = Arc::clone(spool);
                blocking(move || Ok(spool.tidy()?)).await.map_err(EraseError::files)?;
            }
            let mut here = FileErasure::of(spool.folder());
            for file in spool.files() {
                let unit = Unit::Segment(Arc::clone(spool), file.clone());
                here.add(unit.reach(store, concerned, does).await?);
            }
            reached.spools.push(here);
        }
        for file in &self.quarantines {
            let unit = Unit::Quarantine(file.clone());
            let mut here = FileErasure::of(file);
            here.add(unit.reach(store, concerned, does).await?);
            reached.quarantines.push(here);
        }
        Ok(reached)
    }
}

impl Unit {
    async fn reach(
        &self,
        store: &AnyStore,
        concerned: &Concerned,
        does: Does,
    ) -> Result<Counts, EraseError> {
        for _ in 0..PASSES {
            let holds = Arc::new(holds(store).await?);
            let told = holds.told();
            let judge =
                Judge { concerned: Arc::clone(concerned), holds, counts: Counts::default() };
            let unit = self.clone();
            let looked = blocking(move || unit.look(judge)).await;
            let (ready, counts) = looked.map_err(EraseError::files)?;
            if does == Does::Plan || counts.files == 0 {
                return Ok(counts);
            }
            // A hold that was placed meanwhile keeps what this would empty: once more, with that.
            if crate::store::holds(store).await?.told() == told {
                blocking(move || ready.change()).await.map_err(EraseError::files)?;
                return Ok(counts);
            }
        }
        Err(EraseError::unsettled())
    }

    fn look(self, mut judge: Judge) -> Result<(Ready, Counts), Failure> {
        let (ready, changes, unreadable) = match self {
            Self::Segment(spool, file) => {
                let looked = spool.look(&file, &mut |kept| judge.frame(kept))?;
                let (changes, unreadable) = (looked.changes(), looked.unreadable);
                (Ready::Segment(spool, file, looked), changes, unreadable)
            }
            Self::Quarantine(path) => {
                let mut look = || {
                    let mut kept = quarantine::Kept::open(&path)?;
                    let anew = kept.look(&mut |record| judge.line(record))?;
                    Ok((kept, anew))
                };
                let (kept, anew) = look().map_err(|error| of_file(&path, &error))?;
                let (changes, unreadable) = (anew.changes(), anew.unreadable);
                (Ready::Quarantine(path, kept, anew), changes, unreadable)
            }
        };
        let unreached = match unreadable {
            0 => None,
            unreadable => Some(ready.unreached(unreadable)),
        };
        let files = u64::from(changes);
        Ok((ready, Counts { files, unreadable, unreached, ..judge.counts }))
    }
}

impl Ready {
    /// Says that so much of it cannot be read.
    fn unreached(&self, unreadable: u64) -> UnreachedFile {
        let (file, how) = match self {
            Self::Segment(_, file, _) if file.is_copy() => (file.path(), IN_COPY),
            Self::Segment(_, file, _) => (file.path(), IN_SEGMENT),
            Self::Quarantine(path, ..) => (path.clone(), IN_QUARANTINE),
        };
        UnreachedFile { file: file.display().to_string(), unreadable, how }
    }

    fn change(self) -> Result<(), Failure> {
        match self {
            Self::Segment(spool, file, looked) => Ok(spool.change(&file, &looked)?),
            Self::Quarantine(path, kept, anew) => {
                kept.change(&anew).map_err(|error| of_file(&path, &error))
            }
        }
    }
}

/// Decides about records.
struct Judge {
    concerned: Concerned,
    holds: Arc<Holds>,
    counts: Counts,
}

/// What was found in a file.
#[derive(Default)]
struct Counts {
    files: u64,
    records: u64,
    groups: BTreeMap<&'static str, u64>,
    held: u64,
    unreadable: u64,
    unreached: Option<UnreachedFile>,
}

impl Judge {
    fn frame(&mut self, kept: spool::Kept<'_>) -> Judged {
        let mut record = Record::default();
        if Record::from_portable(kept.record, &mut record).is_err() {
            return Judged::Unreadable;
        }
        // A hold finds it as it would be stored.
        let mut stored = record.clone();
        (stored.writer_id, stored.recorded_at) = (kept.stream, kept.recorded_at);
        Classes::default().classify(&mut stored);
        let Some(emptied) = self.emptied(&record, &stored) else { return Judged::Stays };
        let mut bytes = Vec::new();
        emptied.to_portable(&mut bytes);
        Judged::Becomes(bytes)
    }

    /// Empties a record of a quarantine file, which is as it would have been stored; tells whether anything went.
    fn line(&mut self, record: &mut Record) -> bool {
        let emptied = self.emptied(record, record);
        emptied.map(|emptied| *record = emptied).is_some()
    }

    /// Returns a record without what is about whoever is erased, and counts it; `None` where it stays as it is, because
    /// there is nothing, or because what it is `stored` as is held.
    fn emptied(&mut self, record: &Record, stored: &Record) -> Option<Record> {
        let groups = (self.concerned)(record);
        let mut without = (!groups.is_empty()).then(|| record.clone())?;
        let emptied = arrivals::empty_unsealed(&mut without, groups);
        if emptied.is_empty() {
            return None;
        }
        if self.holds.held(stored).is_some() {
            self.counts.held += 1;
            return None;
        }
        self.counts.records += 1;
        add(&mut self.counts.groups, emptied.iter().map(|group| (group.as_str(), 1)).collect());
        Some(without)
    }
}

impl FileErasure {
    fn of(location: &Path) -> Self {
        let (location, groups) = (location.display().to_string(), BTreeMap::new());
        let unreached = Vec::new();
        Self { location, files: 0, records: 0, groups, held: 0, unreadable: 0, unreached }
    }

    fn add(&mut self, counts: Counts) {
        self.files += counts.files;
        self.records += counts.records;
        add(&mut self.groups, counts.groups);
        self.held += counts.held;
        self.unreadable += counts.unreadable;
        self.unreached.extend(counts.unreached);
    }
}

fn of_file(path: &Path, error: &io::Error) -> Failure {
    format!("cannot erase in the quarantine file `{}`: {error}", path.display()).into()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(error.into()))
}
