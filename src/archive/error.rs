//! What can go wrong with an archive.

use std::{error, fmt};

use crate::store::StoreError;

/// What to look at where an archive is not reached. A listing fails without saying what of this it is.
const PLACE: &str = "; is the directory or bucket there, and do the credentials open it (of S3 AWS_ACCESS_KEY_ID, \
                     AWS_SECRET_ACCESS_KEY)";

/// An error of an archive.
#[derive(Debug)]
pub struct ArchiveError {
    kind: ArchiveErrorKind,
    doing: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

/// What sort of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveErrorKind {
    /// The place names no archive, or one of another log.
    Place,
    /// The archive could not be reached, or refused.
    Access,
    /// A file is not there.
    Missing,
    /// A file is there, and is nothing that an archive holds.
    Unreadable,
    /// What was written is not what is read back.
    NotKept,
    /// The log is not as it was written, so that nothing of it is archived.
    Altered,
    /// The log could not be asked.
    Log,
    /// The database into which something is put back has something in it, or refuses.
    Copy,
}

impl ArchiveError {
    pub(super) fn new(kind: ArchiveErrorKind, doing: impl Into<String>) -> Self {
        Self { kind, doing: doing.into(), source: None }
    }

    pub(super) fn with_source(
        mut self,
        source: impl Into<Box<dyn error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The error of an object store over a file.
    pub(super) fn of_file(doing: &str, path: &str, error: object_store::Error) -> Self {
        use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
        let (kind, mend) = match error {
            NotFound { .. } if doing == "read" => (ArchiveErrorKind::Missing, ""),
            // A folder that is not there is an empty one: here the place is not, or refuses.
            _ if doing == "list" => (ArchiveErrorKind::Access, PLACE),
            NotFound { .. } | PermissionDenied { .. } | Unauthenticated { .. } => {
                (ArchiveErrorKind::Access, PLACE)
            }
            _ => (ArchiveErrorKind::Access, ""),
        };
        Self::new(kind, format!("{doing} {path}{mend}")).with_source(Whole(error))
    }

    pub(super) fn unreadable(path: &str, why: impl fmt::Display) -> Self {
        Self::new(ArchiveErrorKind::Unreadable, format!("read {path}")).with_source(why.to_string())
    }

    /// The error of the database into which something is put back.
    #[cfg(feature = "sqlite")]
    pub(super) fn of_copy(error: StoreError) -> Self {
        Self::new(ArchiveErrorKind::Copy, "restore from the archive").with_source(error)
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> ArchiveErrorKind {
        self.kind
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}", self.doing)
    }
}

impl error::Error for ArchiveError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}

/// An error of an object store with its causes, of which its text tells of most, and not of the first.
#[derive(Debug)]
struct Whole(object_store::Error);

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        let mut cause = error::Error::source(&self.0);
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.contains(&text) {
                said.push_str(": ");
                said.push_str(&text);
            }
            cause = error.source();
        }
        f.write_str(&said)
    }
}

impl error::Error for Whole {}

impl From<StoreError> for ArchiveError {
    fn from(error: StoreError) -> Self {
        Self::new(ArchiveErrorKind::Log, "read what is to be archived").with_source(error)
    }
}
