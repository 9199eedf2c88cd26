use std::{error, fmt, io, path::PathBuf};

/// Why the key file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeysErrorKind {
    /// It can be neither read nor made.
    Io,
    /// Others than its owner and group may read it, or others than its owner may write it.
    Exposed,
    /// Its text is not that of a key file.
    Malformed,
    /// It was written by a newer version.
    Newer,
}

/// A key file that cannot be used; the text names the file and the way out, and holds no key.
#[derive(Debug)]
pub struct KeysError {
    pub(super) kind: KeysErrorKind,
    pub(super) path: PathBuf,
    pub(super) what: String,
    pub(super) source: Option<io::Error>,
}

impl KeysError {
    /// Returns the kind of error.
    #[must_use]
    pub const fn kind(&self) -> KeysErrorKind {
        self.kind
    }
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key file {}: {}", self.path.display(), self.what)
    }
}

impl error::Error for KeysError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// A word that is no use of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKeyUse {
    pub(super) word: String,
}

impl fmt::Display for UnknownKeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.escape_debug();
        write!(f, "`{word}` is no use of a key; the uses are pseudonym, cursor and signing")
    }
}

impl error::Error for UnknownKeyUse {}
