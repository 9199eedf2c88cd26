//! Why nobody vouches for a record.

use std::fmt;

use crate::pipeline::{admit, spool::Refused, tally::DropReason};

/// Why the spool cannot vouch for a record that must not be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StrictRefused {
    /// There is no spool.
    NoSpool,
    /// The spool has no room for it.
    Full,
    /// The disk did not take it by the deadline.
    Slow,
    /// The disk refuses.
    Failed,
    /// The pipeline was shut down.
    Closed,
    /// The record does not hold all of it.
    TooLarge(admit::Cut),
}

impl StrictRefused {
    /// Returns what was too large, if that is why.
    pub(crate) const fn cut(self) -> Option<admit::Cut> {
        match self {
            Self::TooLarge(cut) => Some(cut),
            _ => None,
        }
    }

    /// Returns what a record that was refused so is counted as.
    pub(in crate::pipeline) const fn reason(self) -> DropReason {
        match self {
            Self::Full => DropReason::SpoolFull,
            Self::Closed => DropReason::Closed,
            Self::NoSpool | Self::Slow | Self::Failed | Self::TooLarge(_) => {
                DropReason::SpoolFailed
            }
        }
    }
}

impl fmt::Display for StrictRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge(cut) => return cut.fmt(f),
            Self::NoSpool => "there is no spool",
            Self::Full => "the spool is full",
            Self::Slow => "the disk of the spool did not answer in time",
            Self::Failed => "the disk of the spool refuses",
            Self::Closed => "the pipeline was shut down",
        })
    }
}

impl From<Refused> for StrictRefused {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full | Refused::NoSpace | Refused::TooLong => Self::Full,
            Refused::Stuck => Self::Slow,
            Refused::Failed => Self::Failed,
            Refused::Closed => Self::Closed,
        }
    }
}
