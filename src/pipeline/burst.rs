//! Losses that no gap record tells of yet, kept from dying with the process.
//!
//! The first loss of a burst begins a gap record in the spool, in the room that is set aside for those, with a count that
//! is not known; the gap record that tells of the burst ends it. A process that is killed in between leaves it to the next
//! one, which tells that records are missing, and not how many. So the losses of a flood cost nothing on the way of a
//! request, but for the first one.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    admit,
    core::Core,
    own,
    spool::{OpenNumber, Share},
    spooling::Spooling,
    tally::DropReason,
};

/// What is to be told of, as the number of what was begun.
#[derive(Debug, Default)]
pub(super) struct Burst(AtomicU64);

/// Nothing was lost.
const NONE: u64 = 0;
/// Somebody is writing it, or the disk takes not even that.
const TRIED: u64 = u64::MAX;

impl Burst {
    /// Returns what was begun of the losses up to now; the next loss begins anew. To be called before the losses are counted.
    pub(super) fn take(&self) -> Option<OpenNumber> {
        let open = self.0.swap(NONE, Ordering::AcqRel);
        (open != NONE && open != TRIED).then_some(open)
    }
}

impl Core {
    /// Begins a gap record about a loss that was counted, unless that is done.
    pub(super) fn begin_gap(&self, spooling: &Spooling, reason: DropReason) {
        let Burst(state) = &spooling.burst;
        let is_first =
            state.compare_exchange(NONE, TRIED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !is_first || !self.queue.enter() {
            return;
        }
        let now = self.clock.now();
        let mut gap = own::missing(reason.as_str(), None, now, None);
        admit::prepare(self, &mut gap);
        if let Ok(begun) = spooling.begin(Share::Own, now, &gap) {
            let kept =
                state.compare_exchange(TRIED, begun.open, Ordering::AcqRel, Ordering::Relaxed);
            // The losses were told of meanwhile. What cannot be taken back says one thing too many after a crash.
            if kept.is_err() && spooling.spool.cancel(begun.open).is_err() {
                spooling.spool.forget(begun.open);
            }
        }
        self.queue.leave();
    }
}
