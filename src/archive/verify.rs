//! Verifying: everything is read back, and what the manifests say is computed anew.
//!
//! Bottom up: the commitments from the personal groups, the canonical bytes from the sealed fields and the commitments,
//! the root of each entry from its records, the head of the ledger from the entry. So what is wrong is told with its
//! file, and with its record where that shows.

mod entries;
mod group;
mod part;

use std::collections::BTreeSet;

use self::part::PartCheck;
use super::{
    Archive,
    error::{ArchiveError, ArchiveErrorKind},
    manifest::{Files, Part},
    names::{self, FileKind},
    report::{ArchiveReport, Fault, FaultKind},
    told::Present,
};
use crate::{
    ledger::{Checkpoint, Note, Trust},
    store::{AnyStore, Unit},
};

/// A verification of an archive, or of some of it.
#[derive(Debug, Default)]
pub struct ArchiveAudit {
    trust: Option<Trust>,
    anchored: Vec<Checkpoint>,
    unit: Option<Unit>,
    log: Option<AnyStore>,
}

impl ArchiveAudit {
    /// Looks at all of it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes no head that none of these keys signed. Defaults to no key, and then a head counts as what it says.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self }
    }

    /// Compares the heads in it with those from elsewhere, each a signed note, that are of the same size. Those that
    /// cannot be read, or that no trusted key signed, confirm nothing.
    #[must_use]
    pub fn anchored(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        let heads = notes.into_iter().filter_map(|note| self.head(&note).ok());
        self.anchored = heads.collect();
        self
    }

    /// Looks at the parts of one unit alone.
    #[must_use]
    pub fn unit(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// Compares the archive with the log that it was written from: only there it stands which parts there have to be, and
    /// which entries. Whether the log is as it was written, [`Audit`](crate::store::Audit) tells.
    #[must_use]
    pub fn log(self, log: AnyStore) -> Self {
        Self { log: Some(log), ..self }
    }

    fn head(&self, note: &str) -> Result<Checkpoint, String> {
        let note: Note = note.parse().map_err(|error| format!("{error}"))?;
        let head = match &self.trust {
            Some(trust) => trust.head(&note),
            None => Checkpoint::parse(note.text()),
        };
        head.map_err(|error| error.to_string())
    }
}

impl Archive {
    /// Reads everything back and says what is not as it was written; `progress` is told the number of records so far.
    ///
    /// # Errors
    ///
    /// When the archive cannot be reached, or the log that it is compared with shows a part of itself alone or cannot be
    /// asked. What is wrong with its files is no error but the result.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the verification; nothing is left behind.
    pub async fn verify(
        &self,
        audit: &ArchiveAudit,
        mut progress: impl FnMut(u64),
    ) -> Result<ArchiveReport, ArchiveError> {
        let mut report = ArchiveReport::default();
        let mut named = BTreeSet::new();
        let mut present = Present::default();
        let mut before: Option<Part> = None;
        let mut origin: Option<String> = None;
        let folder = match &audit.unit {
            Some(unit) => names::folder(FileKind::Manifest, unit),
            None => FileKind::Manifest.folder().to_owned(),
        };
        for (name, _) in self.list(&folder).await? {
            let Some((unit, number)) = names::of_manifest(&name) else { continue };
            named.insert(name.clone());
            present.named.insert(name.clone());
            let last = before.as_ref().filter(|part| part.unit() == unit);
            let expected = last.map_or(1, |part| part.manifest.part + 1);
            for missing in expected..number {
                let name = names::file(FileKind::Manifest, &unit, missing, "", 0);
                let detail = "there are later parts of the unit, and not this one";
                report.push(Fault::new(FaultKind::Missing, &name, detail));
            }
            let part = match self.part(&name).await {
                Ok(part) => part,
                Err(error) => {
                    report.push(fault_of(&name, error)?);
                    continue;
                }
            };
            let Files { records, personal, ledger } = &part.manifest.files;
            named.extend([records, personal, ledger].map(|file| file.path.clone()));
            if last.is_some_and(|last| last.manifest.last >= part.manifest.first) {
                let detail = "it holds entries of the part before it";
                report.push(Fault::new(FaultKind::Altered, &name, detail));
            }
            if *origin.get_or_insert_with(|| part.manifest.origin.clone()) != part.manifest.origin {
                let detail = "it is of another log than the parts before it";
                report.push(Fault::new(FaultKind::Altered, &name, detail));
            }
            self.verify_part(&part, audit, &mut report, &mut progress).await?;
            if audit.log.is_some() {
                present.parts.push(part.clone());
            }
            before = Some(part);
        }
        if let Some(log) = &audit.log {
            self.compare(log, audit.unit.as_ref(), &present, &mut report).await?;
        }
        for kind in FileKind::ALL {
            let folder = match &audit.unit {
                Some(unit) => names::folder(kind, unit),
                None => kind.folder().to_owned(),
            };
            for (name, _) in self.list(&folder).await? {
                if !named.contains(&name) {
                    let detail = "no manifest names it: a run that did not come to its end left it over, or somebody put it there";
                    report.push(Fault::new(FaultKind::Foreign, &name, detail));
                }
            }
        }
        Ok(report)
    }

    /// Reads a part back.
    pub(super) async fn verify_part(
        &self,
        part: &Part,
        audit: &ArchiveAudit,
        report: &mut ArchiveReport,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), ArchiveError> {
        let base = report.records;
        let mut check = PartCheck::new(self, part, audit);
        check.all(|records| progress(base + records)).await?;
        report.parts += 1;
        report.records += check.records;
        report.entries += check.entries;
        report.proved += check.proved;
        report.erased += check.erased;
        report.signed = report.signed.max(check.signed);
        report.anchored = report.anchored.max(check.anchored);
        check.faults.into_iter().for_each(|fault| report.push(fault));
        Ok(())
    }
}

/// What an error over a file says of it; those that say nothing of it are errors.
fn fault_of(name: &str, error: ArchiveError) -> Result<Fault, ArchiveError> {
    let kind = match error.kind() {
        ArchiveErrorKind::Missing => FaultKind::Missing,
        ArchiveErrorKind::Unreadable => FaultKind::Unreadable,
        _ => return Err(error),
    };
    let detail = match kind {
        FaultKind::Missing => "there is no such file".to_owned(),
        _ => {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        }
    };
    Ok(Fault::new(kind, name, detail))
}
