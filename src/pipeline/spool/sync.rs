//! Bringing what was written onto the disk: a thread of its own, outside the append lock.
//!
//! Whoever waits wakes the thread; it syncs what there is, and what queued meanwhile is the next group. No
//! timer stands between. Where nobody waits, it lets `fsync_interval` pass first.

use std::{io, time::Duration};

use super::{
    Core,
    active::{Active, Current, Unsynced},
    threads::{self, Instant, atomic::Ordering},
};
use crate::pipeline::meters;

/// After a failed sync, the next attempt waits so long, whoever waits for it; twice as long after each that follows.
const RETRY: Duration = Duration::from_millis(100);
/// But no longer than that: it is how late it is noticed that the disk is well again.
const MAX_RETRY: Duration = Duration::from_secs(1);
/// How often the thread looks after segments that are kept, and after the disk, while there is a reason.
const TIDY: Duration = Duration::from_secs(1);

/// An append that nobody waits for is given so long at least. Where each is waited for, the wait follows at once: the
/// sync is left to it, so that one append of several does not get a sync of its own.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);
/// So much room is set aside on the disk ahead of what is written.
const AHEAD: u64 = 1 << 20;
/// A buffer that grew beyond this is not kept for the next sync.
const MAX_KEPT: usize = 2 << 20;

/// What goes from one sync to the next.
#[derive(Debug, Default)]
pub(super) struct Syncing {
    /// Memory for frames that are not synced, used again.
    buffer: Vec<u8>,
    /// The segment that has room set aside, and up to where.
    reserved: (u64, u64),
}

impl Syncing {
    fn keep(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= MAX_KEPT {
            buffer.clear();
            self.buffer = buffer;
        }
    }
}

/// What one sync is about.
pub(super) struct Work {
    pub(super) files: Vec<Current>,
    pub(super) names: bool,
    written: u64,
    /// It is about what an earlier sync failed to keep.
    is_again: bool,
    pub(super) unsynced: Unsynced,
}

impl Core {
    /// The thread. It ends after a last attempt when it is told to stop.
    pub(super) fn run_sync(&self) {
        self.learn_headers();
        let sync = &self.sync;
        let mut pause = RETRY;
        loop {
            let stopping = sync.is_stopping.load(Ordering::Acquire);
            let urgent = sync.is_urgent.swap(false, Ordering::AcqRel);
            let wanted = sync.is_wanted.swap(false, Ordering::AcqRel);
            if stopping || urgent || wanted {
                if !urgent && !stopping {
                    self.let_gather();
                    sync.is_urgent.store(false, Ordering::Release);
                }
                let synced = self.sync_once();
                if stopping {
                    self.say_all_stored();
                    break;
                }
                if synced.is_err() {
                    sync.is_wanted.store(true, Ordering::Release);
                    // What may go makes room for the next attempt.
                    self.tidy();
                    self.back_off(pause);
                    pause = (pause * 2).min(MAX_RETRY);
                    continue;
                }
                pause = RETRY;
            }
            if sync.is_untidy.swap(false, Ordering::AcqRel) || !(urgent || wanted) {
                self.tidy();
            }
            let is_idle = !sync.is_urgent.load(Ordering::Acquire)
                && !sync.is_wanted.load(Ordering::Acquire)
                && !sync.is_untidy.load(Ordering::Acquire)
                && !sync.is_stopping.load(Ordering::Acquire);
            if is_idle {
                if self.has_to_tidy() {
                    threads::park_timeout(TIDY);
                } else {
                    threads::park();
                }
            }
        }
        // Whoever sees that it stopped may use the folder.
        self.let_go();
        sync.give_up();
    }

    /// Reads the headers of what earlier processes left, which say since when it waits: not at the start, which takes no
    /// longer the more there is.
    pub(super) fn learn_headers(&self) {
        let old = self.old.lock().clone();
        for stream in old {
            let numbers: Vec<u64> = stream.segments().list.iter().map(|s| s.number).collect();
            for number in numbers {
                // Where it cannot be read now, a reader comes upon it, and says so.
                drop(stream.learn_content(number));
            }
        }
    }

    /// Lets what is to be synced gather for the interval, unless somebody waits for it.
    fn let_gather(&self) {
        let sync = &self.sync;
        let interval = self.settings.fsync_interval.max(LEAST_INTERVAL);
        let begun = Instant::now();
        // The thread is also woken for what does not end the wait: else it would sync without a pause under load.
        while !sync.is_urgent.load(Ordering::Acquire) && !sync.is_stopping.load(Ordering::Acquire) {
            if sync.is_untidy.swap(false, Ordering::AcqRel) {
                self.tidy();
            }
            let left = interval.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            threads::park_timeout(left);
        }
    }

    /// Waits before the next attempt. Nobody but who ends the thread cuts it short: each attempt writes everything
    /// again.
    pub(super) fn back_off(&self, pause: Duration) {
        let begun = Instant::now();
        while !self.sync.is_stopping.load(Ordering::Acquire) {
            let left = pause.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            threads::park_timeout(left);
        }
    }

    /// Brings onto the disk what has been written so far.
    pub(super) fn sync_once(&self) -> io::Result<()> {
        let mut syncing = self.syncing.lock();
        let work = {
            let mut active = self.active.lock();
            active.told = false;
            let owes = active.written > self.sync.synced();
            if active.current.is_none() && (owes || !active.is_shut) {
                // Nothing could be written since a failure; what it left is still in memory, or in files.
                let begun = if active.is_poisoned && active.unsynced.is_over {
                    drop(active);
                    let copied = self.copy_again();
                    active = self.active.lock();
                    copied
                } else {
                    self.begin_after(&mut active)
                };
                begun.inspect_err(|error| self.report("begin", error))?;
                self.has_room.notify_waiters();
            }
            if !owes {
                return Ok(());
            }
            let mut files = std::mem::take(&mut active.closed);
            files.extend(active.current.clone());
            Work {
                files,
                names: std::mem::take(&mut active.names),
                written: active.written,
                is_again: active.is_poisoned,
                unsynced: active.take_unsynced(std::mem::take(&mut syncing.buffer)),
            }
        };
        self.check_space();
        let begun = Instant::now();
        let synced = self.sync_files(&work);
        meters::fsync(begun.elapsed());
        match synced {
            Ok(()) => {
                self.note_synced(&work);
                self.sync.advance(work.written);
                if work.is_again {
                    self.active.lock().is_poisoned = false;
                    self.has_room.notify_waiters();
                }
                self.reserve(&mut syncing, &work);
                syncing.keep(work.unsynced.bytes);
                Ok(())
            }
            Err(error) => {
                self.poison(work, &error);
                Err(error)
            }
        }
    }

    /// Begins a segment where a failure has left none.
    fn begin_after(&self, active: &mut Active) -> io::Result<()> {
        if !active.is_poisoned {
            // It could not be written to, but what is in it can be synced.
            return self.rotate(active);
        }
        let unsynced = active.take_unsynced(Vec::new());
        self.begin_again(active, unsynced)
    }

    fn sync_files(&self, work: &Work) -> io::Result<()> {
        for current in &work.files {
            current.file.sync_data()?;
        }
        // Names after contents: a name on the disk without its header would look like damage.
        if work.names {
            self.fs.sync_folder(&self.stream.folder)?;
        }
        Ok(())
    }

    /// Sets room aside ahead of the segment that is written to.
    fn reserve(&self, syncing: &mut Syncing, work: &Work) {
        let Some(current) = work.files.last() else { return };
        let (segment, until) = syncing.reserved;
        let wanted = (current.end + AHEAD).min(self.settings.segment());
        let is_ample = segment == current.number && until >= wanted.min(current.end + AHEAD / 2);
        if !is_ample && wanted > current.end && !self.room.is_short() {
            current.file.reserve(current.end, wanted - current.end);
            syncing.reserved = (current.number, wanted);
        }
    }

    fn note_synced(&self, work: &Work) {
        let mut segments = self.stream.segments();
        for current in &work.files {
            if let Some(segment) =
                segments.list.iter_mut().find(|segment| segment.number == current.number)
            {
                segment.end = segment.end.max(current.end);
            }
        }
        drop(segments);
        self.clear_left();
    }

    pub(super) fn check_space(&self) {
        match self.fs.free_space(&self.stream.folder) {
            Ok(free) => self.room.set_free(free),
            Err(error) => self.report("look at the disk of", &error),
        }
    }
}
