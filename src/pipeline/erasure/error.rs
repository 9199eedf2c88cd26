//! Why somebody was not erased.

use std::{error, fmt};

use crate::store::StoreError;

/// Why an erasure did not happen, or not to its end. It can be begun again: what is done is done.
#[derive(Debug)]
pub struct EraseError(Kind);

#[derive(Debug)]
enum Kind {
    NoStore,
    NoKeys,
    OtherKeys(usize),
    Request(&'static str),
    Unrecorded,
    Unreadable(u64),
    Unsettled,
    Archive { location: String, error: Box<dyn error::Error + Send + Sync> },
    Closed(Box<dyn error::Error + Send + Sync>),
    Files(Box<dyn error::Error + Send + Sync>),
    Store(StoreError),
}

impl EraseError {
    pub(in crate::pipeline) const fn no_store() -> Self {
        Self(Kind::NoStore)
    }

    pub(in crate::pipeline) const fn no_keys() -> Self {
        Self(Kind::NoKeys)
    }

    pub(super) const fn other_keys(erasures: usize) -> Self {
        Self(Kind::OtherKeys(erasures))
    }

    pub(super) const fn request(what: &'static str) -> Self {
        Self(Kind::Request(what))
    }

    pub(super) const fn unrecorded() -> Self {
        Self(Kind::Unrecorded)
    }

    pub(super) const fn unreadable(rows: u64) -> Self {
        Self(Kind::Unreadable(rows))
    }

    pub(super) const fn unsettled() -> Self {
        Self(Kind::Unsettled)
    }

    pub(super) const fn archive(
        location: String,
        error: Box<dyn error::Error + Send + Sync>,
    ) -> Self {
        Self(Kind::Archive { location, error })
    }

    pub(super) const fn closed(error: Box<dyn error::Error + Send + Sync>) -> Self {
        Self(Kind::Closed(error))
    }

    pub(super) const fn files(error: Box<dyn error::Error + Send + Sync>) -> Self {
        Self(Kind::Files(error))
    }

    /// Tells whether the log itself was emptied, and what the archive holds of the person was not, or not all of it.
    #[must_use]
    pub const fn is_archive(&self) -> bool {
        matches!(self.0, Kind::Archive { .. })
    }

    /// Tells whether the request was not sound.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.0, Kind::Request(_))
    }

    /// Tells whether what is missing are keys, or a store that can be read.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        matches!(self.0, Kind::NoStore | Kind::NoKeys | Kind::OtherKeys(_))
    }
}

impl From<StoreError> for EraseError {
    fn from(error: StoreError) -> Self {
        Self(Kind::Store(error))
    }
}

impl fmt::Display for EraseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::NoStore => f.write_str("nobody can be erased from a store that only takes records"),
            Kind::NoKeys => f.write_str(
                "the list of who was erased holds digests under a key, and there is no key: name the key file",
            ),
            Kind::OtherKeys(erasures) => write!(
                f,
                "the list of who was erased has {erasures} erasures under keys that are not in the key file: name the one \
                 that the services have"
            ),
            Kind::Request(what) => f.write_str(what),
            Kind::Unrecorded => f.write_str(
                "the record that tells of the erasure could not be stored, and nothing more was erased",
            ),
            Kind::Unreadable(rows) => write!(
                f,
                "{rows} rows cannot be read, hence nobody knows whether they are about the person; `activity verify` \
                 says where they are"
            ),
            Kind::Unsettled => f.write_str(
                "holds were placed or lifted all the while, and not everything was looked at: begin again when that is over",
            ),
            Kind::Archive { location, .. } => write!(
                f,
                "the archive `{location}` could not be reached or rewritten, so the erasure is not finished: erase again \
                 when it can; what the log itself held is emptied"
            ),
            Kind::Closed(_) => f.write_str("nobody was erased, from here or from the log"),
            Kind::Files(_) => f.write_str(
                "a file could not be read or written anew, so the erasure is not finished: erase again when it can; what \
                 the log itself held is emptied",
            ),
            Kind::Store(_) => f.write_str("the store could not be asked; the erasure can be begun again"),
        }
    }
}

impl error::Error for EraseError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Store(error) => Some(error),
            Kind::Archive { error, .. } | Kind::Closed(error) | Kind::Files(error) => {
                Some(&**error)
            }
            _ => None,
        }
    }
}
