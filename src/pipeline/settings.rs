//! What the builder is told in words of its own, and what it refuses.

use std::{error, fmt, time::Duration};

use crate::rules::RulesError;

/// What happens to a record when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It is dropped, counted, and told of in a gap record.
    #[default]
    DropNewest,
    /// The request waits for room for so long, then it is dropped as above. Where nothing can wait (a
    /// request whose future is dropped, [`Recorder::record`](super::Recorder::record)), it is dropped
    /// at once.
    Block(Duration),
}

/// Why a pipeline does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The settings contradict each other, or this version cannot do what they ask; the text says which.
    Settings(String),
    /// The rules are not sound.
    Rules(RulesError),
    /// There is no tokio runtime with its timer enabled.
    Runtime,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(what) => f.write_str(what),
            Self::Rules(_) => f.write_str("the rules are not sound"),
            Self::Runtime => f.write_str("a pipeline needs a tokio runtime with its timer enabled"),
        }
    }
}

impl error::Error for StartError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Rules(error) => Some(error),
            Self::Settings(_) | Self::Runtime => None,
        }
    }
}

impl From<RulesError> for StartError {
    fn from(error: RulesError) -> Self {
        Self::Rules(error)
    }
}
