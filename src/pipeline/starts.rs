//! The starts of earlier processes: what became of them, as far as this process can tell.
//!
//! Of a process on this machine the operating system says whether it is gone. Of one in another container nobody can say;
//! but where this process bears its name, it has taken its place: the [`instance`](super::PipelineBuilder::instance)
//! that both were given, or the name of a container that was moved. Names can be misused, so that is believed only
//! of streams that stay silent for a while, and only where the streams of that name never ran beside each other.

use std::time::Duration;

use serde_json::Value;

use super::{
    core::Origins,
    process::{self, Life, Process},
};
use crate::{
    record::{Record, WriterId},
    rules::Delivery,
    time::Timestamp,
};

/// Longer than a process is given to end after its successor has begun: by then it has said that it stopped.
pub(super) const GRACE: Duration = Duration::from_secs(120);

/// One start of a process of this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) stream: WriterId,
    /// Which process it is of, see [`Process::digest`].
    pub(super) process: [u8; 32],
    pub(super) life: Life,
    /// It bears the name of this process.
    pub(super) is_namesake: bool,
    /// What it had not stored is in a folder.
    pub(super) has_spool: bool,
}

impl Start {
    /// Reads what a record of a start tells; `None` when it is of another service, or tells too little.
    pub(super) fn told(record: &Record, this: &Process, origins: &Origins) -> Option<Self> {
        if *record.service != *origins.service {
            return None;
        }
        let facts: Value = serde_json::from_str(record.metadata.as_str()).unwrap_or_default();
        let process = Process::told(&facts["process"])?;
        let is_namesake = *record.environment == *origins.environment
            && *record.instance == *origins.instance
            && (!record.instance.is_absent() || process.is_namesake(this));
        Some(Self {
            stream: record.writer_id,
            process: process.digest(),
            life: process.life(this, process::look),
            is_namesake,
            has_spool: facts["mode"] != Delivery::BestEffort.as_str(),
        })
    }
}

/// Tells whether processes of one name ran beside each other: then it is the name of several, and says nothing. Each
/// is given by the times of its first commit and of its last.
pub(super) fn is_shared(mut spans: Vec<(Timestamp, Timestamp)>) -> bool {
    spans.sort_unstable();
    let mut last = None;
    for (began_at, last_at) in spans {
        let began_at = began_at.saturating_add(GRACE);
        if last.is_some_and(|last| last > began_at) {
            return true;
        }
        last = last.max(Some(last_at));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(minutes: &[(i64, i64)]) -> Vec<(Timestamp, Timestamp)> {
        let at = |minute: i64| Timestamp::from_micros(minute * 60_000_000);
        minutes.iter().map(|(first, last)| (at(*first), at(*last))).collect()
    }

    #[test]
    fn a_name_that_several_bear_at_once_says_nothing() {
        assert!(!is_shared(spans(&[])));
        assert!(!is_shared(spans(&[(0, 60), (60, 90), (95, 95)])), "one after the other");
        assert!(!is_shared(spans(&[(60, 90), (0, 61)])), "one gave way to the other");
        assert!(is_shared(spans(&[(0, 63), (60, 90)])));
        assert!(is_shared(spans(&[(0, 90), (10, 11), (60, 61)])));
    }
}
