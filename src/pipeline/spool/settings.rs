//! How much the spool may hold, and how soon it syncs.

use std::time::Duration;

/// What a spool may hold by default.
pub(in crate::pipeline) const DEFAULT_CAP: u64 = 1 << 30;
/// What the disk keeps free by default.
pub(in crate::pipeline) const DEFAULT_FLOOR: u64 = 64 << 20;
/// How long acknowledged segments are kept by default: longer than a failover takes.
pub(in crate::pipeline) const DEFAULT_KEEP: Duration = Duration::from_secs(600);
/// How soon an append is synced by default.
pub(in crate::pipeline) const DEFAULT_FSYNC_INTERVAL: Duration = Duration::from_millis(50);
/// An append that takes longer is stuck. A request is not held up for longer, and no further one touches the file.
const STUCK: Duration = Duration::from_millis(100);
/// The least cap: below it, segments would hold a handful of records.
pub(in crate::pipeline) const MIN_CAP: u64 = 1 << 20;

/// Segments are so long, less where the cap is small.
const SEGMENT: u64 = 16 << 20;
/// A spool at its cap consists of so many segments, so that what is freed at once is a small part of it.
const SEGMENTS: u64 = 16;
/// One part in so many of the cap is reserved for the security lane.
const RESERVED_PART: u64 = 8;
/// What gap records and the like may hold beyond the cap.
const BEYOND: u64 = 1 << 20;

#[derive(Debug, Clone, Copy)]
pub(in crate::pipeline) struct Settings {
    /// Bytes that all that is not acknowledged may take, of this stream and of earlier ones.
    pub(in crate::pipeline) cap: u64,
    /// Bytes that the disk keeps free.
    pub(in crate::pipeline) floor: u64,
    /// How long acknowledged segments are kept, so that they can be sent again.
    pub(in crate::pipeline) keep: Duration,
    /// An append is synced so soon.
    pub(in crate::pipeline) fsync_interval: Duration,
    /// An append that takes longer is stuck.
    pub(in crate::pipeline) stuck_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cap: DEFAULT_CAP,
            floor: DEFAULT_FLOOR,
            keep: DEFAULT_KEEP,
            fsync_interval: DEFAULT_FSYNC_INTERVAL,
            stuck_after: STUCK,
        }
    }
}

impl Settings {
    /// Returns how long a segment becomes.
    pub(super) fn segment(&self) -> u64 {
        (self.cap / SEGMENTS).min(SEGMENT)
    }

    /// Returns how much may be held for a frame of this share to be taken.
    pub(super) const fn limit(&self, share: Share) -> u64 {
        match share {
            Share::General => self.cap - self.cap / RESERVED_PART,
            Share::Security => self.cap,
            Share::Own => self.cap.saturating_add(BEYOND),
        }
    }

    /// Returns what must be free on the disk for a frame of this share to be taken.
    pub(super) const fn floor(&self, share: Share) -> u64 {
        match share {
            Share::General => self.floor,
            Share::Security => self.floor / 2,
            Share::Own => self.floor / 4,
        }
    }
}

/// Which share of the spool a frame may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Share {
    General,
    /// What security depends on, and the end of what was begun.
    Security,
    /// What the crate says of itself: above all, that something is missing.
    Own,
}
