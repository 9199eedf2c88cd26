//! What the thread that syncs and those who wait for it share.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    Mark, Spool,
    threads::{
        self, Condvar, Mutex, Thread,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// What the thread and those who wait for it share.
#[derive(Debug, Default)]
pub(super) struct Sync {
    /// Frames up to here are on the disk.
    synced: AtomicU64,
    waiters: Mutex<Vec<(u64, Arc<Slot>)>>,
    /// Those whose frames are on the disk, and whom nobody has woken yet.
    ready: Mutex<VecDeque<Arc<Slot>>>,
    /// Those who block wait here.
    advanced: Condvar,
    pub(super) thread: OnceLock<Thread>,
    pub(super) is_wanted: AtomicBool,
    pub(super) is_urgent: AtomicBool,
    pub(super) is_untidy: AtomicBool,
    pub(super) is_stopping: AtomicBool,
    is_stopped: AtomicBool,
    /// There is more to read.
    pub(super) readable: Arc<Notify>,
}

/// Waits for a frame to be on the disk; keep it between polls.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct SyncWait(Option<Arc<Slot>>);

impl Drop for SyncWait {
    /// Lets go of the task. The slot goes when others need the room.
    fn drop(&mut self) {
        if let Some(slot) = &self.0 {
            let waker = slot.0.lock().take();
            drop(waker);
        }
    }
}

#[derive(Debug, Default)]
struct Slot(Mutex<Option<Waker>>);

/// The spool ended before a frame was on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) struct SyncFailed;

impl Sync {
    /// Tells the thread that there is something to sync within the interval, or a segment to begin.
    pub(super) fn wake(&self) {
        if !self.is_wanted.swap(true, Ordering::AcqRel) {
            self.unpark();
        }
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

    /// Returns how many waits are known.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiters.lock().len()
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn advance(&self, to: u64) {
        // Under the lock of those who wait, so that nobody looks before and registers after.
        let mut waiters = self.waiters.lock();
        self.synced.fetch_max(to, Ordering::AcqRel);
        self.ready
            .lock()
            .extend(waiters.extract_if(.., |(mark, _)| *mark <= to).map(|(_, slot)| slot));
        drop(waiters);
        self.wake_all();
    }

    /// Blocks until the thread has ended and the folder was given back, no longer than `most`: a disk may hang in
    /// whatever the thread is at.
    pub(super) fn wait_stopped(&self, most: Duration) {
        let mut waiters = self.waiters.lock();
        let runs = |_: &mut Vec<_>| !self.is_stopped.load(Ordering::Acquire);
        let _: threads::WaitTimeoutResult = self.advanced.wait_while_for(&mut waiters, runs, most);
    }

    pub(super) fn give_up(&self) {
        let mut waiters = self.waiters.lock();
        self.is_stopped.store(true, Ordering::Release);
        self.ready.lock().extend(waiters.drain(..).map(|(_, slot)| slot));
        drop(waiters);
        self.wake_all();
    }

    fn wake_all(&self) {
        self.wake_ready();
        self.advanced.notify_all();
        self.readable.notify_one();
    }

    /// Wakes those who are still to be woken. Whoever was woken does this too: the thread may lose its processor to the
    /// first of them, and the others would wait until it has one again.
    fn wake_ready(&self) {
        loop {
            let Some(slot) = self.ready.lock().pop_front() else { return };
            let waker = slot.0.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
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
            if wait.0.is_some() {
                sync.wake_ready();
            }
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
            if waiters.len() == waiters.capacity() {
                // Whoever gave up has left no other handle. With room for as many more, sweeping costs little.
                waiters.retain(|(_, slot)| Arc::strong_count(slot) > 1);
                let live = waiters.len();
                waiters.reserve(live + 8);
            }
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
