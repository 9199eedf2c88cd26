//! Whether a connection still has the file that its name stands for.
//!
//! A backup that is put in the place of the file, or a file that is taken away, changes nothing for whoever has it
//! open: SQLite in WAL mode goes on in a file without a name, and what it is given there is gone with the last
//! connection. So the name is looked at around each append, and before each read.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::location::open_error;
use crate::store::{StoreError, StoreErrorKind};

/// Device and number of a file. `None` where a name stands for no file, as that of a database in memory does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(Option<(u64, u64)>);

impl Identity {
    /// Returns that of the file that the name stands for now.
    pub(super) fn of(file: &Path) -> Self {
        #[cfg(unix)]
        let found = {
            use std::os::unix::fs::MetadataExt as _;
            std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
        };
        // Elsewhere a file that is open cannot be replaced.
        #[cfg(not(unix))]
        let found = {
            let _never = file;
            None
        };
        Self(found)
    }

    /// Tells whether the name still stands for it.
    pub(super) fn is_that_of(self, file: &Path) -> bool {
        self.0.is_none() || self == Self::of(file)
    }
}

/// Opens a connection, and tells which file it has.
pub(super) async fn connect(
    options: &SqliteConnectOptions,
) -> Result<(SqliteConnection, Identity), StoreError> {
    let file = options.get_filename();
    let identity = Identity::of(file);
    let connection = options.connect().await.map_err(|error| open_error(options, error))?;
    if identity.is_that_of(file) {
        return Ok((connection, identity));
    }
    Err(replaced("open the store", file))
}

pub(super) fn replaced(doing: &str, file: &Path) -> StoreError {
    let file = file.display();
    let doing =
        format!("{doing}: `{file}` is not the file any more that was open; opening it again");
    StoreError::new(StoreErrorKind::Transient, doing)
}

/// What a pool knows about the file that its connections have.
#[derive(Debug)]
pub(super) struct Watched(Mutex<(Identity, Instant)>);

impl Watched {
    pub(super) fn new(file: &Path) -> Self {
        Self(Mutex::new((Identity::of(file), Instant::now())))
    }

    /// Tells whether a connection of that age has the file that the name stands for now.
    pub(super) fn is_current(&self, file: &Path, age: Duration) -> bool {
        let now = Identity::of(file);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 == now {
            return age <= seen.1.elapsed();
        }
        // One that was made a moment ago may have the new file already; it is made once more.
        *seen = (now, Instant::now());
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_itself_and_not_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("a"), folder.path().join("b"));
        assert!(Identity::of(&file).is_that_of(&file), "what is no file does not change");
        std::fs::write(&file, "").unwrap();
        std::fs::write(&other, "").unwrap();
        let (identity, watched) = (Identity::of(&file), Watched::new(&file));
        assert!(identity.is_that_of(&file) && watched.is_current(&file, Duration::ZERO));
        std::fs::rename(&other, &file).unwrap();
        assert!(!identity.is_that_of(&file));
        assert!(!watched.is_current(&file, Duration::ZERO), "found out");
        assert!(!watched.is_current(&file, Duration::from_secs(1)), "made before it was");
        assert!(watched.is_current(&file, Duration::ZERO), "made since");
        std::fs::remove_file(&file).unwrap();
        assert!(!Identity::of(folder.path()).is_that_of(&file));
        assert!(!watched.is_current(&file, Duration::ZERO));
    }
}
