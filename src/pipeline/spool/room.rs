//! How much there is, and how much more there may be.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{
    Refused,
    settings::{Settings, Share},
};

#[derive(Debug)]
pub(super) struct Room {
    settings: Settings,
    /// Bytes that the store does not have yet, of all streams: what the cap is about.
    pub(super) owed: AtomicU64,
    /// Bytes of segments that the store has and that are kept for a while: they go earlier when room is short.
    pub(super) kept: AtomicU64,
    /// What was free on the disk when somebody last looked, and what has been written since.
    free: AtomicU64,
    since: AtomicU64,
    /// Something was refused for want of space on the disk, and no more was free whenever somebody looked since.
    is_wanted: AtomicBool,
}

impl Room {
    pub(super) const fn new(settings: Settings) -> Self {
        Self {
            settings,
            owed: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            free: AtomicU64::new(u64::MAX),
            since: AtomicU64::new(0),
            is_wanted: AtomicBool::new(false),
        }
    }

    /// Tells whether a frame of `size` bytes may be written. The caller holds the lock that appends hold.
    pub(super) fn admit(&self, share: Share, size: u64) -> Result<(), Refused> {
        if self.owed.load(Ordering::Relaxed) + size > self.settings.limit(share) {
            return Err(Refused::Full);
        }
        if self.free() < self.settings.floor(share).saturating_add(size) {
            return Err(Refused::NoSpace);
        }
        Ok(())
    }

    /// Counts what was written.
    pub(super) fn took(&self, size: u64) {
        self.owed.fetch_add(size, Ordering::Relaxed);
        self.since.fetch_add(size, Ordering::Relaxed);
    }

    /// Returns what is free on the disk, as far as that is known.
    pub(super) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed).saturating_sub(self.since.load(Ordering::Relaxed))
    }

    pub(super) fn set_free(&self, free: u64) {
        if free > self.free() {
            self.is_wanted.store(false, Ordering::Relaxed);
        }
        self.since.store(0, Ordering::Relaxed);
        self.free.store(free, Ordering::Relaxed);
    }

    /// Takes note that something was refused for want of space on the disk; tells whether nothing was before it.
    pub(super) fn begin_want(&self) -> bool {
        !self.is_wanted.swap(true, Ordering::Relaxed)
    }

    /// Tells whether something was refused for want of space on the disk that there may still not be.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Tells whether what is kept has to go at once.
    pub(super) fn is_short(&self) -> bool {
        let segment = self.settings.segment();
        let total = self.owed.load(Ordering::Relaxed) + self.kept.load(Ordering::Relaxed);
        total + segment > self.settings.limit(Share::General)
            || self.free() < self.settings.floor.saturating_add(2 * segment)
    }

    /// Tells whether ordinary frames are refused for want of space on the disk.
    pub(super) fn is_below_floor(&self) -> bool {
        self.free() < self.settings.floor(Share::General)
    }
}
