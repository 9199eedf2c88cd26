//! Letting go of what is stored, without keeping it for a while: somebody was erased, and may be in it.

use std::time::Duration;

use super::{Spool, format::FRAMES_AT};
use crate::time::Timestamp;

/// Longer than an append that is not stuck.
const LOCKED_WITHIN: Duration = Duration::from_secs(2);

impl Spool {
    /// Sees to it that everything written so far goes as soon as the store has it. Where the store comes back without it,
    /// it cannot be sent again. What a request under way has begun is copied forward, as ever. Blocks on the file system.
    ///
    /// With a moment, a stream stays as it is whose segments were all begun after that.
    pub(in crate::pipeline) fn leave_stored(&self, before: Option<Timestamp>) {
        let core = &self.core;
        // A header may have to be read for that: nobody waits for it.
        let old = core.old.lock().clone();
        for stream in old.iter().filter(|stream| stream.is_of_before(before)) {
            stream.segments().left_up_to = Some(u64::MAX);
        }
        if core.stream.is_of_before(before) {
            self.leave_own();
        }
        core.sync.tidy();
    }

    fn leave_own(&self) {
        let core = &self.core;
        // A segment that is written to goes only once another one is.
        let last = if let Some(mut active) = core.active.try_lock_for(LOCKED_WITHIN) {
            let last = core.stream.segments().list.back().map(|segment| segment.number);
            let is_written = active.current.as_ref().is_some_and(|now| now.end > FRAMES_AT);
            if is_written
                && !active.is_shut
                && !active.is_poisoned
                && let Err(error) = core.rotate(&mut active)
            {
                core.report("begin", &error);
            }
            last
        } else {
            core.stream.segments().list.back().map(|segment| segment.number)
        };
        core.stream.segments().left_up_to = last;
    }

    /// Tells whether all of that is gone.
    pub(in crate::pipeline) fn has_left(&self) -> bool {
        let core = &self.core;
        let own = {
            let segments = core.stream.segments();
            let first = segments.list.front().map(|segment| segment.number);
            let is_there = |last| {
                first.is_some_and(|first| first <= last)
                    && segments.list.iter().any(|one| one.number <= last && one.end > FRAMES_AT)
            };
            segments.left_up_to.is_none_or(|last| !is_there(last))
        };
        let old = core.old.lock();
        own && old.iter().all(|stream| {
            let segments = stream.segments();
            segments.left_up_to.is_none() || segments.list.is_empty()
        })
    }
}
