//! The spool: records on the disk between the request that made them and the store.
//!
//! # Folder
//!
//! ```text
//! <spool>/lock                          held by the one process that uses the folder
//! <spool>/quarantine/                   copies of damaged segments; never removed by us
//! <spool>/<writer_id, 16 hex>/          one stream: one process, one numbering point
//!         <number, 16 hex>.seg          a segment, see `format`
//!         <first missing, 16 hex>.gap   numbers that are missing, and how the stream goes on, see `gaps`
//!         stored                how far the stream was stored when somebody last looked, see `stored`
//! ```
//!
//! # Invariants
//!
//! 1. *Numbers.* Records of a stream have the numbers 1, 2, 3, … in the order of their frames. A number is
//!    used only once its frame was written whole. Opens are numbered apart, in the same way.
//! 2. *Segments.* What a header calls `first` is a promise: every record from that number on stands in this
//!    segment or in a later one. So a reader that comes upon damage may leave the rest of a segment whose
//!    successor begins early enough, and two frames with one number are the same record.
//! 3. *One writer.* Only the process that made a stream writes to its segments, and never after it
//!    began another. A later process adds a segment of its own for what did not end, see `old`. Of a spool that no
//!    process uses, an erasure puts a copy of a segment in its place that has the same frames, some of their records
//!    emptied, see `resting`.
//! 4. *Synced before read.* A reader is given nothing that is not on the disk. So the store is never
//!    ahead of the spool, and a number that was stored is never given to another record after a power cut.
//! 5. *A failed sync is final.* The file is never synced again; every frame that is not known to be on the disk
//!    is in memory, or is read back, and is written to a new segment. Until that is synced, the file stays, and no more
//!    is taken than memory keeps: a copy that fails too is replaced by the next one.
//! 6. *Acknowledged by position alone.* A segment goes when the store's position has passed its records, none
//!    of its opens is live, and so long has passed that a failover would have shown, or somebody was erased, see `leave`.
//!    Live opens are copied forward and synced first.
//! 7. *Nothing is looped on.* A frame that does not agree with its sum is skipped by looking for the next one that does.
//!    Numbers that are missing end the stream there; what follows has another stream's name, derived from the first
//!    missing number, and its number 1 is a record that says how many are missing. Where nobody can know how many, it
//!    says that: damage behind the last number that can be read, or to every header of a stream.
//! 8. *Everything derived is a function of the files*: names of derived streams, salts, ids of gap records.
//!    Reading again gives the same.
//!
//! # What is not promised
//!
//! A frame that a power cut tears before it was synced is lost; its number, if it can be read, counts as missing.
//! A whole tail that is cut off at the end of a frame cannot be seen. A folder on a network file system is as good as
//! the locks and the syncs of that file system.

mod active;
mod append;
mod batch;
mod ending;
mod error;
mod files;
mod format;
#[cfg(any(test, feature = "internals"))]
#[cfg_attr(not(test), allow(dead_code, unused_imports, reason = "the tests take all of it"))]
pub(super) mod fuzzed;
mod gaps;
mod leave;
mod old;
mod open;
mod poison;
mod reader;
mod resting;
mod room;
mod rotate;
mod said;
mod scan;
mod settings;
mod stored;
mod stream;
mod sync;
mod tail;
super::threads::here_alone! {
    #[cfg(test)]
    mod tests;
}
// Never compiled; by it, rustfmt finds the files.
#[cfg(any())]
mod tests;
mod tidy;
mod waits;
mod walk;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Notify;

pub(super) use batch::{Batch, Frame};
pub(super) use ending::Ending;
pub(super) use error::{Refused, SpoolError};
pub(super) use files::{Disk, Filesystem};
#[cfg(all(test, feature = "axum"))]
pub(super) use files::{Entry, File, Folder, Lock};
#[cfg(test)]
use format::MAX_RECORD;
pub(super) use format::Secret;
pub(super) use gaps::{Break, Cause};
pub(super) use old::OldStream;
pub(super) use reader::{ReadOutcome, Reader};
pub(super) use resting::{Judged, Kept, Looked, Resting, SegmentFile};
#[cfg(test)]
use settings::MIN_CAP;
pub(super) use settings::{Settings, Share};
pub(super) use waits::{SyncFailed, SyncWait};

use super::threads::{
    self, Instant, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use crate::{
    record::WriterId,
    time::{Clock, Timestamp},
};

/// The number of a record in its stream, from 1.
pub(super) type Number = i64;
/// The number of an open in its stream, from 1.
pub(super) type OpenNumber = u64;

const LOCK: &str = "lock";
const QUARANTINE: &str = "quarantine";

/// A frame that was written, for [`Spool::poll_synced`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(u64);

/// A finished record that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appended {
    pub(super) number: Number,
    pub(super) mark: Mark,
}

/// An open that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) open: OpenNumber,
    pub(super) mark: Mark,
}

/// How a spool is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the interface"))]
pub(super) struct Status {
    /// Bytes that the store does not have yet, of this stream and of earlier ones.
    pub(super) bytes: u64,
    /// Bytes that the store has, and that are kept for a while.
    pub(super) kept: u64,
    pub(super) cap: u64,
    pub(super) segments: usize,
    /// When the oldest record was made that the store does not have, to about a second; of earlier streams that are not
    /// read yet, when the segment was begun that it is in, once its header was read.
    pub(super) oldest: Option<Timestamp>,
    /// The same of this stream alone.
    pub(super) own_oldest: Option<Timestamp>,
    /// Damaged segments that were copied aside.
    pub(super) quarantined: u64,
    /// Segments that a failed sync put an end to.
    pub(super) poisoned: u64,
    /// An append is stuck in the file system.
    pub(super) is_stuck: bool,
    /// The disk has less left than it must keep free.
    pub(super) is_below_floor: bool,
}

/// A handle of a spool that is open; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Spool {
    core: Arc<Core>,
    _last: Arc<Last>,
}

/// Stops the thread when the last handle goes.
struct Last(Arc<Core>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.sync.stop();
        if self.0.thread.lock().is_none() {
            self.0.let_go();
        }
    }
}

impl fmt::Debug for Last {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Last")
    }
}

/// What handles, readers and the thread share.
struct Core {
    fs: Arc<dyn Filesystem>,
    root: PathBuf,
    settings: Settings,
    clock: Arc<dyn Clock>,
    stream: Arc<stream::Stream>,
    secret: Secret,
    seed: format::Seed,
    room: Arc<room::Room>,
    /// Taken before the lock of the stream's segments, and never held across a sync.
    active: Mutex<active::Active>,
    /// Held during a sync, and taken before every other lock.
    syncing: Mutex<sync::Syncing>,
    /// Segments that a failed sync put an end to, until what they held is safe.
    left: Mutex<poison::Left>,
    sync: waits::Sync,
    stuck: AtomicBool,
    /// The store does not answer.
    is_away: AtomicBool,
    /// When it answered again, in monotonic microseconds: it may have come back without what it had.
    back_at: AtomicU64,
    has_room: Arc<Notify>,
    poisoned: AtomicU64,
    quarantined: AtomicU64,
    errors: said::Seldom,
    lock: Mutex<Option<Box<dyn files::Lock>>>,
    thread: Mutex<Option<open::Thread>>,
    old: Mutex<Vec<Arc<stream::Stream>>>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Spool {
    /// Returns the name of the stream that this process writes.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the interface"))]
    pub(super) fn writer_id(&self) -> WriterId {
        self.core.stream.writer_id
    }

    /// Returns a reader of the stream that this process writes, at its beginning.
    pub(super) fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.core), Arc::clone(&self.core.stream), false)
    }

    /// Returns what is notified when there may be room again, or when an append is no longer stuck.
    pub(super) fn room(&self) -> Arc<Notify> {
        Arc::clone(&self.core.has_room)
    }

    /// Tells whether an append is stuck in the file system; others do not touch the file meanwhile.
    #[cfg(test)]
    fn is_stuck(&self) -> bool {
        self.core.is_stuck()
    }

    /// Takes note whether the store answers. What it had is kept while it does not, and for the whole time from then
    /// on: who knows what it comes back with.
    pub(super) fn set_away(&self, is_away: bool) {
        let core = &self.core;
        if core.is_away.load(Ordering::Relaxed) != is_away {
            let now = u64::try_from(core.clock.monotonic().as_micros()).unwrap_or(u64::MAX);
            core.back_at.store(now, Ordering::Relaxed);
            core.is_away.store(is_away, Ordering::Release);
        }
    }

    /// Returns how the spool is doing.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the interface"))]
    pub(super) fn status(&self) -> Status {
        let core = &self.core;
        let (segments, own_oldest) = {
            let segments = core.stream.segments();
            (segments.list.len(), segments.oldest)
        };
        let old = core.old.lock().clone();
        let waits = old.iter().filter_map(|stream| stream.segments().waits_since());
        let oldest = waits.chain(own_oldest).min();
        Status {
            bytes: core.room.owed.load(Ordering::Relaxed),
            kept: core.room.kept.load(Ordering::Relaxed),
            cap: core.settings.cap,
            segments,
            oldest,
            own_oldest,
            quarantined: core.quarantined.load(Ordering::Relaxed),
            poisoned: core.poisoned.load(Ordering::Relaxed),
            is_stuck: core.is_stuck(),
            is_below_floor: core.room.is_below_floor(),
        }
    }

    /// Refuses every later append, syncs what is there, ends the thread and gives the folder back. Blocks, no
    /// longer than `most`; the thread goes on by itself where that is not enough.
    pub(super) fn close(&self, most: Duration) -> Result<(), SyncFailed> {
        let core = &self.core;
        if let Some(mut active) = core.active.try_lock_for(most) {
            active.is_shut = true;
        }
        let begun = Instant::now();
        let synced = self.sync_all(most);
        core.sync.stop();
        let thread = core.thread.lock().take();
        match thread {
            // A sync that hangs is not waited for.
            Some(_) if synced.is_ok() => {
                core.sync.wait_stopped(most.saturating_sub(begun.elapsed()));
            }
            Some(_) => {}
            None => core.let_go(),
        }
        if synced.is_err() {
            tracing::error!(
                path = %core.stream.folder.display(),
                "the spool is closed, and its last records are not known to be on the disk"
            );
        }
        synced
    }
}

impl Core {
    fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::SeqCst)
    }

    fn set_stuck(&self) {
        if !self.stuck.swap(true, Ordering::SeqCst) {
            tracing::error!(
                path = %self.stream.folder.display(),
                "an append to the spool is stuck; until it is done, no other one touches the disk"
            );
        }
    }

    fn not_stuck(&self) {
        if self.stuck.load(Ordering::SeqCst) && self.stuck.swap(false, Ordering::SeqCst) {
            self.has_room.notify_waiters();
        }
    }

    /// Gives the folder back.
    fn let_go(&self) {
        drop(self.lock.lock().take());
    }
}
