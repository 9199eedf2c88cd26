//! What is wanted.

use super::error::EraseError;
use crate::record::{Actor, Groups};

/// Whom to erase, on which legal basis, and who says so.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing by itself"]
pub struct ErasureRequest {
    pub(super) names: Vec<String>,
    pub(super) types: Vec<String>,
    pub(super) tenant: Option<String>,
    pub(super) groups: Groups,
    pub(super) basis: String,
    pub(super) by: Actor,
    pub(super) alone: bool,
}

/// Longer ones are no names, and no basis.
const LONGEST: usize = 512;
const MOST_NAMES: usize = 64;

impl ErasureRequest {
    /// Asks for somebody to be erased, by the id that records have of him, on a legal basis (`GDPR Art. 17(1)(b)`).
    pub fn new(subject: impl Into<String>, basis: impl Into<String>) -> Self {
        Self {
            names: vec![subject.into()],
            types: vec!["user".to_owned()],
            tenant: None,
            groups: Groups::NONE,
            basis: basis.into(),
            by: Actor::system("activity"),
            alone: false,
        }
    }

    /// Adds another id of the same person, as the account name or an id of before.
    pub fn also(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Adds a type of things that are persons, so that what was done to a `customer` of this id is about him too.
    /// Defaults to `user`.
    pub fn person_type(mut self, kind: impl Into<String>) -> Self {
        self.types.push(kind.into());
        self
    }

    /// Looks at the records of one tenant alone. Defaults to all.
    pub fn tenant(mut self, tenant: Option<String>) -> Self {
        self.tenant = tenant;
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

    pub(super) fn check(&self) -> Result<(), EraseError> {
        let bad = |text: &String| text.trim().is_empty() || text.len() > LONGEST;
        if self.names.iter().any(bad) || self.names.len() > MOST_NAMES {
            return Err(EraseError::request(
                "the subject is empty, or longer than 512 bytes, or has more than 64 names",
            ));
        }
        if bad(&self.basis) {
            return Err(EraseError::request(
                "name the legal basis, as in `GDPR Art. 17(1)(b)`, in at most 512 bytes",
            ));
        }
        if self.types.iter().any(bad) || self.types.len() > MOST_NAMES {
            return Err(EraseError::request(
                "a type of persons is empty or longer than 512 bytes, or there are more than 64",
            ));
        }
        Ok(())
    }
}
