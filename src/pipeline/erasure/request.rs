//! What is wanted.

use std::path::PathBuf;

use super::error::EraseError;
use crate::{
    pipeline::subject::{LONGEST, Subject},
    record::{Actor, Groups},
};

/// Whom to erase, on which legal basis, and who says so.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing by itself"]
pub struct ErasureRequest {
    pub(super) subject: Subject,
    pub(super) groups: Groups,
    pub(super) basis: String,
    pub(super) by: Actor,
    pub(super) alone: bool,
    pub(super) spools: Vec<PathBuf>,
    pub(super) quarantines: Vec<PathBuf>,
}

impl ErasureRequest {
    /// Asks for somebody to be erased, by the id that records have of him, on a legal basis (`GDPR Art. 17(1)(b)`).
    pub fn new(subject: impl Into<String>, basis: impl Into<String>) -> Self {
        Self {
            subject: Subject::new(subject),
            groups: Groups::NONE,
            basis: basis.into(),
            by: Actor::system("activity"),
            alone: false,
            spools: Vec::new(),
            quarantines: Vec::new(),
        }
    }

    /// Adds another id of the same person, as the account name or an id of before.
    pub fn also(mut self, name: impl Into<String>) -> Self {
        self.subject = self.subject.also(name);
        self
    }

    /// Adds a type of things that are persons, so that what was done to a `customer` of this id is about him too.
    /// Defaults to `user`.
    pub fn person_type(mut self, kind: impl Into<String>) -> Self {
        self.subject = self.subject.person_type(kind);
        self
    }

    /// Looks at the records of one tenant alone. Defaults to all.
    pub fn tenant(mut self, tenant: Option<String>) -> Self {
        self.subject = self.subject.tenant(tenant);
        self
    }

    /// Erases these groups of every record about him. By default his part in the record decides: see
    /// `docs/privacy.md`.
    pub const fn groups(mut self, groups: Groups) -> Self {
        self.groups = groups;
        self
    }

    /// Says who erases. Defaults to the system.
    pub fn by(mut self, by: Actor) -> Self {
        self.by = by;
        self
    }

    /// Says that no other process writes to this log, which spares the wait until all have learnt of the erasure.
    pub const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Names the spool of a process that is down: it is emptied where it lies, and nobody can start with it meanwhile. A
    /// process that runs empties its own.
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spools.push(folder.into());
        self
    }

    /// Names a [quarantine file](crate::pipeline::PipelineBuilder::quarantine), whether a process writes to it or not: the
    /// records in it are emptied too.
    pub fn quarantine(mut self, file: impl Into<PathBuf>) -> Self {
        self.quarantines.push(file.into());
        self
    }

    pub(super) fn check(&self) -> Result<(), EraseError> {
        self.subject.check().map_err(EraseError::request)?;
        if self.basis.trim().is_empty() || self.basis.len() > LONGEST {
            return Err(EraseError::request(
                "name the legal basis, as in `GDPR Art. 17(1)(b)`, in at most 512 bytes",
            ));
        }
        Ok(())
    }
}
