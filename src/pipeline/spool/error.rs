//! Why the spool does not open, and why it does not take a record.

use std::{error, fmt, io, path::PathBuf};

/// Something that the spool could not do with a file or folder.
#[derive(Debug)]
pub(in crate::pipeline) struct SpoolError {
    doing: &'static str,
    path: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Io(io::Error),
    Said(String),
}

impl SpoolError {
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>, error: io::Error) -> Self {
        Self { doing, path: path.into(), why: Why::Io(error) }
    }

    pub(super) fn said(
        doing: &'static str,
        path: impl Into<PathBuf>,
        why: impl Into<String>,
    ) -> Self {
        Self { doing, path: path.into(), why: Why::Said(why.into()) }
    }
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} `{}`: ", self.doing, self.path.display())?;
        match &self.why {
            Why::Io(error) => fmt::Display::fmt(error, f),
            Why::Said(text) => f.write_str(text),
        }
    }
}

impl error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.why {
            Why::Io(error) => Some(error),
            Why::Said(_) => None,
        }
    }
}

/// Why a frame was not taken. Nothing of it is in the spool then, and no number was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Refused {
    /// The spool holds as much as it may.
    Full,
    /// The disk has less room left than it must keep.
    NoSpace,
    /// Somebody else's append has been stuck in the file system for longer than a request may be held up.
    Stuck,
    /// The file system failed.
    Failed,
    /// The record is longer than a frame may be.
    TooLong,
    /// The spool has been closed.
    Closed,
}

impl Refused {
    pub(in crate::pipeline) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "the spool holds as much as it may",
            Self::NoSpace => "the disk of the spool is nearly full",
            Self::Stuck => "the disk of the spool does not answer",
            Self::Failed => "the disk of the spool failed",
            Self::TooLong => "the record is too long for the spool",
            Self::Closed => "the spool is closed",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
