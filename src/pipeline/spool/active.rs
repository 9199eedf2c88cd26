//! What the append lock guards.

use std::{collections::HashMap, sync::Arc};

use super::{Number, OpenNumber, Share, files::File};

/// Frames that are not synced yet are kept in memory up to here. After a failed sync, the kernel's copy of
/// them may be gone.
const MAX_UNSYNCED: usize = 8 << 20;

/// What the append lock guards.
#[derive(Debug)]
pub(super) struct Active {
    /// The segment that is written to; none after the file system failed, until a new one can be made.
    pub(super) current: Option<Current>,
    pub(super) next: Number,
    pub(super) next_open: OpenNumber,
    pub(super) next_segment: u64,
    /// Counts the frames of the stream.
    pub(super) written: u64,
    /// What was written since the last sync began.
    pub(super) unsynced: Unsynced,
    /// Bytes of frames that are being synced; as many as are kept at most, where there are too many to keep.
    pub(super) held: usize,
    /// A sync failed, and what it was about is not safe yet.
    pub(super) is_poisoned: bool,
    /// Segments that were closed and not synced yet.
    pub(super) closed: Vec<Current>,
    /// Where the frame of each live open stands.
    pub(super) opens: HashMap<OpenNumber, Place>,
    /// A file that was made ahead, for the next segment.
    pub(super) spare: Option<(u64, Arc<dyn File>)>,
    /// A name was made in the folder and not synced yet.
    pub(super) names: bool,
    /// The sync thread has been told that there is something to sync.
    pub(super) told: bool,
    pub(super) is_shut: bool,
    pub(super) frame: Vec<u8>,
}

/// A segment that is written to.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) end: u64,
}

/// Where a frame stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) at: u64,
}

/// The frames that are not known to be on the disk.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    pub(super) bytes: Vec<u8>,
    /// There were too many to keep: they have to be read back from the files.
    pub(super) is_over: bool,
    /// The first number and the first open that may be among them.
    pub(super) first: Number,
    pub(super) first_open: OpenNumber,
}

impl Active {
    pub(super) fn new() -> Self {
        Self {
            current: None,
            next: 1,
            next_open: 1,
            next_segment: 1,
            written: 0,
            unsynced: Unsynced { first: 1, first_open: 1, ..Unsynced::default() },
            held: 0,
            is_poisoned: false,
            closed: Vec::new(),
            opens: HashMap::new(),
            spare: None,
            names: false,
            told: false,
            is_shut: false,
            frame: Vec::new(),
        }
    }

    /// Takes what is not synced, and begins to gather anew in an empty buffer.
    pub(super) fn take_unsynced(&mut self, buffer: Vec<u8>) -> Unsynced {
        let fresh = Unsynced {
            bytes: buffer,
            is_over: false,
            first: self.next,
            first_open: self.next_open,
        };
        let taken = std::mem::replace(&mut self.unsynced, fresh);
        self.held = if taken.is_over { MAX_UNSYNCED } else { taken.bytes.len() };
        taken
    }

    /// Tells whether memory keeps a frame beside all that is not safe. After a failed sync it has to: what is there
    /// in files alone may be lost with the next one that fails.
    pub(super) fn can_keep(&self, share: Share, size: u64) -> bool {
        let rest = if share == Share::General { MAX_UNSYNCED / 8 } else { 0 };
        let have = self.held + self.unsynced.bytes.len();
        !self.unsynced.is_over && (have + rest) as u64 + size <= MAX_UNSYNCED as u64
    }
}

impl Unsynced {
    pub(super) fn push(&mut self, frames: &[u8]) {
        if self.is_over {
            return;
        }
        if self.bytes.len() + frames.len() > MAX_UNSYNCED {
            self.is_over = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(frames);
        }
    }
}
