//! Bringing what was written onto the disk: a thread of its own, outside the append lock.
//!
//! Whoever waits wakes the thread; it syncs what there is, and what queued meanwhile is the next group. No
//! timer stands between. Where nobody waits, it lets `fsync_interval` pass first.

use std::{
    io,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    Core, Mark, Spool,
    append::{Current, Unsynced},
    threads::{
        self, Condvar, Instant, Mutex, Thread,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use crate::pipeline::meters;

/// After a failed sync, the next attempt waits so long.
const RETRY: Duration = Duration::from_millis(100);
/// How often the thread looks after segments that are kept, and after the disk, while there is a reason.
const TIDY: Duration = Duration::from_secs(1);

/// An append that nobody waits for is given so long at least. Where each is waited for, the wait follows at once: the
/// sync is left to it, so that one append of several does not get a sync of its own.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);
/// So much room is set aside on the disk ahead of what is written.
const AHEAD: u64 = 1 << 20;
/// A buffer that grew beyond this is not kept for the next sync.
const MAX_KEPT: usize = 2 << 20;

/// What the thread and those who wait for it share.
#[derive(Debug, Default)]
pub(super) struct Sync {
    /// Frames up to here are on the disk.
    synced: AtomicU64,
    waiters: Mutex<Vec<(u64, Arc<Slot>)>>,
    /// Those who block wait here.
    advanced: Condvar,
    thread: OnceLock<Thread>,
    is_wanted: AtomicBool,
    is_urgent: AtomicBool,
    is_untidy: AtomicBool,
    is_stopping: AtomicBool,
    is_stopped: AtomicBool,
    /// There is more to read.
    pub(super) readable: Arc<Notify>,
}

/// Waits for a frame to be on the disk; keep it between polls.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct SyncWait(Option<Arc<Slot>>);

#[derive(Debug, Default)]
struct Slot(Mutex<Option<Waker>>);

/// The spool ended before a frame was on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) struct SyncFailed;

impl Sync {
    /// Tells the thread that there is something to sync within the interval.
    pub(super) fn wake(&self) {
        self.is_wanted.store(true, Ordering::Release);
        self.unpark();
    }

    /// Tells the thread to look for something that can go.
    pub(super) fn tidy(&self) {
        if !self.is_untidy.swap(true, Ordering::AcqRel) {
            self.unpark();
        }
    }

    /// Tells the thread that somebody waits.
    fn hurry(&self) {
        if !self.is_urgent.swap(true, Ordering::AcqRel) {
            self.unpark();
        }
    }

    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.unpark();
    }

    pub(super) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn advance(&self, to: u64) {
        // Under the lock of those who wait, so that nobody looks before and registers after.
        let mut waiters = self.waiters.lock();
        self.synced.fetch_max(to, Ordering::AcqRel);
        let ready = waiters.extract_if(.., |(mark, _)| *mark <= to).collect::<Vec<_>>();
        drop(waiters);
        self.wake_all(ready);
    }

    /// Blocks until the thread has ended and the folder was given back, no longer than `most`: a disk may hang in
    /// whatever the thread is at.
    pub(super) fn wait_stopped(&self, most: Duration) {
        let mut waiters = self.waiters.lock();
        let runs = |_: &mut Vec<_>| !self.is_stopped.load(Ordering::Acquire);
        let _: threads::WaitTimeoutResult = self.advanced.wait_while_for(&mut waiters, runs, most);
    }

    fn give_up(&self) {
        let mut waiters = self.waiters.lock();
        self.is_stopped.store(true, Ordering::Release);
        let all = std::mem::take(&mut *waiters);
        drop(waiters);
        self.wake_all(all);
    }

    fn wake_all(&self, ready: Vec<(u64, Arc<Slot>)>) {
        for (_, slot) in ready {
            let waker = slot.0.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        self.advanced.notify_all();
        self.readable.notify_one();
    }
}

impl Spool {
    /// Tells when a frame is on the disk.
    ///
    /// # Cancel safety
    ///
    /// Dropping the wait forgets that somebody waited, and nothing else.
    pub(in crate::pipeline) fn poll_synced(
        &self,
        mark: Mark,
        wait: &mut SyncWait,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SyncFailed>> {
        let sync = &self.core.sync;
        if sync.synced() >= mark.0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(slot) = &wait.0 {
            let mut waker = slot.0.lock();
            if waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            *waker = Some(cx.waker().clone());
        }
        let mut waiters = sync.waiters.lock();
        if sync.synced() >= mark.0 {
            return Poll::Ready(Ok(()));
        }
        if sync.is_stopped.load(Ordering::Acquire) {
            return Poll::Ready(Err(SyncFailed));
        }
        if wait.0.is_none() {
            let slot = Arc::new(Slot(Mutex::new(Some(cx.waker().clone()))));
            waiters.push((mark.0, Arc::clone(&slot)));
            wait.0 = Some(slot);
        }
        drop(waiters);
        sync.hurry();
        Poll::Pending
    }

    /// Blocks until a frame is on the disk, no longer than `most`.
    pub(in crate::pipeline) fn wait_synced(
        &self,
        mark: Mark,
        most: Duration,
    ) -> Result<(), SyncFailed> {
        let sync = &self.core.sync;
        if sync.synced() >= mark.0 {
            return Ok(());
        }
        sync.hurry();
        let mut waiters = sync.waiters.lock();
        let still =
            |_: &mut Vec<_>| sync.synced() < mark.0 && !sync.is_stopped.load(Ordering::Acquire);
        // The answer is looked up below: it may have come at the last moment.
        let _: threads::WaitTimeoutResult = sync.advanced.wait_while_for(&mut waiters, still, most);
        if sync.synced() >= mark.0 { Ok(()) } else { Err(SyncFailed) }
    }

    /// Blocks until everything that has been written is on the disk, no longer than `most`.
    pub(in crate::pipeline) fn sync_all(&self, most: Duration) -> Result<(), SyncFailed> {
        let Some(active) = self.core.active.try_lock_for(most) else { return Err(SyncFailed) };
        let mark = Mark(active.written);
        drop(active);
        self.wait_synced(mark, most)
    }

    /// Says that somebody waits for what has been written, without waiting.
    pub(in crate::pipeline) fn hurry(&self) {
        self.core.sync.hurry();
    }

    /// Returns what is notified when there is more to read.
    pub(in crate::pipeline) fn readable(&self) -> Arc<Notify> {
        Arc::clone(&self.core.sync.readable)
    }
}

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
    pub(super) unsynced: Unsynced,
}

impl Core {
    /// The thread. It ends after a last attempt when it is told to stop.
    pub(super) fn run_sync(&self) {
        drop(self.sync.thread.set(threads::current()));
        let sync = &self.sync;
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
                    threads::park_timeout(RETRY);
                    continue;
                }
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

    /// Brings onto the disk what has been written so far.
    pub(super) fn sync_once(&self) -> io::Result<()> {
        let mut syncing = self.syncing.lock();
        let work = {
            let mut active = self.active.lock();
            active.told = false;
            if active.current.is_none() && !active.is_shut {
                // Nothing could be written since a failure; what it left is still in memory.
                let unsynced = active.take_unsynced(Vec::new());
                self.begin_again(&mut active, unsynced)?;
            }
            if active.written <= self.sync.synced() {
                return Ok(());
            }
            let mut files = std::mem::take(&mut active.closed);
            files.extend(active.current.clone());
            Work {
                files,
                names: std::mem::take(&mut active.names),
                written: active.written,
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
        let left = std::mem::take(&mut *self.left.lock());
        for old in left {
            self.clear_away(&old);
        }
    }

    pub(super) fn check_space(&self) {
        match self.fs.free_space(&self.stream.folder) {
            Ok(free) => self.room.set_free(free),
            Err(error) => self.report("look at the disk of", &error),
        }
    }
}
