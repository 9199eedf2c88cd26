//! Archiving from a pipeline: what goes into an archive, and the record of each part.

use std::{error, fmt};

use super::{own, pipeline::Pipeline, teller::Teller};
use crate::{
    archive::{Archive, ArchiveError, Part},
    record::RecordId,
    store::{Fate, PlannedUnit, StoreError, UnitFacts},
    time::{Month, Timestamp},
};

/// Which units are to be archived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ArchiveRequest {
    /// All whose month is over, and not only those whose time is over as well. Defaults to `false`.
    pub closed: bool,
    /// Only those of this retention class. Defaults to all classes.
    pub class: Option<String>,
    /// Only those of months before this one. Defaults to all months.
    pub before: Option<Month>,
    /// The seeds of the keys that sign the head of the ledger for it. Defaults to none: then the last checkpoint proves
    /// what it covers.
    pub seeds: Vec<[u8; 32]>,
}

impl ArchiveRequest {
    /// Asks for the units whose time is over.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn wants(&self, unit: &PlannedUnit, now: Timestamp) -> bool {
        let facts = &unit.facts.unit;
        let due = match self.closed {
            true => facts.month.next().start() <= now,
            false => matches!(unit.fate, Fate::Expired(_)),
        };
        due && self.class.as_ref().is_none_or(|class| *class == facts.class)
            && self.before.is_none_or(|before| facts.month < before)
    }
}

/// A part that was written, and told of in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToldPart {
    /// The part.
    pub part: Part,
    /// The record that tells of it.
    pub told_by: RecordId,
}

/// Why archiving came to no end.
#[derive(Debug)]
#[non_exhaustive]
pub enum ArchivingError {
    /// The archive, or the log on its way there.
    Archive(ArchiveError),
    /// The log.
    Store(StoreError),
}

impl fmt::Display for ArchivingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl error::Error for ArchivingError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Archive(error) => error.source(),
            Self::Store(error) => error.source(),
        }
    }
}

impl From<ArchiveError> for ArchivingError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<StoreError> for ArchivingError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Pipeline {
    /// Puts units into an archive, as far as they are not there yet, and stores a record of each part. Each time `told` is
    /// told. Nothing is removed.
    ///
    /// Safe to repeat, and to run in several processes at once.
    ///
    /// # Errors
    ///
    /// When log or archive cannot be reached, the log is not as it was written, or what is read back from the archive is
    /// not what was written; when the record of a part is not stored within 30 seconds, and when the pipeline ends. The
    /// parts until then stay.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it; the next run goes on. The part that was just written may then be without its record.
    pub async fn run_archive(
        &self,
        archive: &Archive,
        request: &ArchiveRequest,
        mut told: impl FnMut(&ToldPart),
    ) -> Result<Vec<ToldPart>, ArchivingError> {
        let work = async {
            let store = self.readable()?.clone();
            let now = self.core.clock.now();
            let Some(session) = archive.begin(&store, &request.seeds, now).await? else {
                return Ok(Vec::new());
            };
            let plan = self.plan_retention().await?;
            let wanted = plan.units.iter().filter(|unit| request.wants(unit, now));
            let units: Vec<UnitFacts> = wanted.map(|unit| unit.facts.clone()).collect();
            let mut all = Vec::new();
            for facts in units {
                let mut written = Vec::new();
                let ended = session.unit(&facts.unit, |part| written.push(part.clone())).await;
                // Also of those that were written before something went wrong.
                for part in written {
                    let told_by = self.tell_of_part(&part, archive).await?;
                    let part = ToldPart { part, told_by };
                    told(&part);
                    all.push(part);
                }
                ended?;
            }
            Ok(all)
        };
        self.unless_ended("archive what is over", work).await
    }

    /// Has the writer store that a part was written, and waits until it has.
    async fn tell_of_part(&self, part: &Part, archive: &Archive) -> Result<RecordId, StoreError> {
        let mut teller = Teller::new(&self.core, self.readable()?.clone());
        teller.tell(own::archived(part, &archive.to_string()), "what was archived").await
    }
}
