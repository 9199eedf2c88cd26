//! Going on from where a verification ended.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Report, Stream, Verifier};
use crate::{
    ledger::{Checkpoint, Frontier, Hash},
    record::{WriterId, hex, unhex},
    time::Timestamp,
};

/// The version of the form.
const VERSION: u32 = 1;

/// Where a verification ended, so that the next one reads what came since and nothing else.
///
/// Belongs outside of the database: it stands for all that was verified before, as a signed head does that was kept
/// elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// The position up to which the ledger was verified.
    pub position: i64,
    /// When that was.
    pub verified_at: Timestamp,
    epoch: i64,
    committed_at: Option<Timestamp>,
    /// The roots of the whole subtrees, the largest first, in hex.
    frontier: Vec<String>,
    /// The leaf of the last entry, in hex: the ledger still has it, or the whole of it is verified.
    leaf: String,
    /// The last checkpoint of the database that was compared.
    pub(crate) checkpoints: i64,
    signed: Option<(i64, Timestamp)>,
    anchored: Option<(i64, Timestamp)>,
    /// How many places were known to be incomplete.
    incomplete: u64,
    /// Of each stream its last number, and the position of the entry that ends there.
    streams: Vec<(i64, i64, i64)>,
}

impl State {
    /// Tells whether the ledger's entry at the position is the one that was verified.
    pub(crate) fn is_after(&self, leaf: &Hash) -> bool {
        self.leaf == hex(leaf)
    }

    /// Tells whether a key that was trusted had signed a head of what was verified.
    pub(crate) const fn is_signed(&self) -> bool {
        self.signed.is_some()
    }

    fn frontier(&self) -> Option<Frontier> {
        let size = u64::try_from(self.position).ok()?;
        let roots: Option<Vec<Hash>> = self.frontier.iter().map(|text| unhex(text)).collect();
        Frontier::from_parts(size, roots?)
    }

    /// Returns what was verified, as the head that it is.
    pub(crate) fn head(&self) -> Option<Checkpoint> {
        let frontier = self.frontier()?;
        let (size, root) = (frontier.size(), frontier.root());
        Some(Checkpoint::new(String::new(), size, root, self.epoch, self.verified_at))
    }

    /// Returns how many records were committed since: `ends` are the streams as they are now, each with its last number.
    #[must_use]
    pub fn records_since(&self, ends: impl IntoIterator<Item = (WriterId, i64)>) -> u64 {
        let verified: HashMap<_, _> =
            self.streams.iter().map(|&(stream, last_seq, _)| (stream, last_seq)).collect();
        let since = ends.into_iter().map(|(stream, last_seq)| {
            let verified = verified.get(&stream.get()).copied().unwrap_or_default();
            last_seq.saturating_sub(verified).max(0).unsigned_abs()
        });
        since.fold(0, u64::saturating_add)
    }

    /// Tells whether it can be read, and is of this version.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.version == VERSION && self.position > 0 && self.frontier().is_some()
    }
}

impl Verifier {
    /// Goes on behind what was verified; `None` when the state is none.
    #[must_use]
    pub fn resume(state: &State) -> Option<Self> {
        if !state.is_whole() {
            return None;
        }
        let streams: HashMap<_, _> = state
            .streams
            .iter()
            .map(|&(stream, last_seq, position)| {
                (WriterId::new(stream), Stream { last_seq, position })
            })
            .collect();
        let report = Report {
            position: state.position,
            since: Some((state.position, state.verified_at)),
            incomplete_before: state.incomplete,
            signed: state.signed,
            anchored: state.anchored,
            ..Report::default()
        };
        Some(Self {
            report,
            frontier: state.frontier()?,
            whole: true,
            epoch: state.epoch,
            committed_at: state.committed_at,
            streams,
            ..Self::default()
        })
    }

    /// Returns where the next verification may go on, once this one has ended with `report`; `None` when something was
    /// altered, and when there is nothing yet.
    pub(crate) fn state(&self, now: Timestamp, checkpoints: i64, trusted: bool) -> Option<State> {
        let position = i64::try_from(self.frontier.size()).ok()?;
        if !self.whole || position == 0 || position != self.report.position {
            return None;
        }
        let mut streams: Vec<_> = self
            .streams
            .iter()
            .map(|(stream, end)| (stream.get(), end.last_seq, end.position))
            .collect();
        streams.sort_unstable();
        Some(State {
            version: VERSION,
            position,
            verified_at: now,
            epoch: self.epoch,
            committed_at: self.committed_at,
            frontier: self.frontier.roots().iter().map(|root| hex(root)).collect(),
            leaf: hex(&self.leaf?),
            checkpoints,
            // What nobody vouched for is not taken along.
            signed: self.report.signed.filter(|_| trusted),
            anchored: self.report.anchored.filter(|_| trusted),
            incomplete: self.report.incomplete_before + self.report.incomplete.total(),
            streams,
        })
    }
}
