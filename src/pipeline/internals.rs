//! Parts of the pipeline that the crate's own benchmarks reach, behind the feature `internals`.
//!
//! Nothing here belongs to the API: it changes and goes without notice, in any release.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use super::spool::{self, Batch, Disk, ReadOutcome, Settings, Share, SyncWait};
use crate::{
    record::WriterId,
    time::{SystemClock, Timestamp},
};

/// See [`fuzzing`](crate::fuzzing): the frames of a segment.
pub fn fuzz_frames(data: &[u8]) {
    spool::fuzzed::frames(data);
}

/// See [`fuzzing`](crate::fuzzing): the segments of a spool.
pub fn fuzz_segments(data: &[u8]) {
    spool::fuzzed::segments(data);
}

/// A spool in a folder.
#[derive(Debug, Clone)]
pub struct Spool(spool::Spool);

/// A record that was appended.
#[derive(Debug, Clone, Copy)]
pub struct Written(spool::Mark);

impl Spool {
    /// Opens the spool in a folder that is its owner's alone, with the settings by default but for these two.
    ///
    /// # Errors
    ///
    /// The folder cannot be used.
    pub fn open(
        folder: &Path,
        fsync_interval: Duration,
        cap: u64,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let settings = Settings { fsync_interval, cap, ..Settings::default() };
        let id = WriterId::new(1);
        let spool = spool::Spool::open(
            Arc::new(Disk),
            folder,
            settings,
            Arc::new(SystemClock::default()),
            id,
        )?;
        Ok(Self(spool))
    }

    /// Appends a record.
    ///
    /// # Errors
    ///
    /// Says why it was refused.
    pub fn append(&self, record: &[u8]) -> Result<Written, &'static str> {
        let appended = self.0.append(Share::General, None, Timestamp::default(), record);
        appended.map(|appended| Written(appended.mark)).map_err(spool::Refused::as_str)
    }

    /// Blocks until a record is on the disk, a minute at most; tells whether it is.
    #[must_use]
    pub fn wait(&self, written: Written) -> bool {
        self.0.wait_synced(written.0, Duration::from_secs(60)).is_ok()
    }

    /// Gives the folder back, a minute at most.
    pub fn close(self) {
        // What was to be on the disk was waited for.
        let _synced = self.0.close(Duration::from_secs(60));
    }

    /// Waits until a record is on the disk; tells whether it is.
    pub async fn synced(&self, written: Written) -> bool {
        let mut wait = SyncWait::default();
        std::future::poll_fn(|cx| self.0.poll_synced(written.0, &mut wait, cx)).await.is_ok()
    }

    /// Reads everything that is on the disk; returns the number of records, and of their bytes.
    ///
    /// # Errors
    ///
    /// A file could not be read.
    pub fn read(&self) -> Result<(u64, u64), Box<dyn Error + Send + Sync>> {
        let mut reader = self.0.reader();
        let mut batch = Batch::default();
        let mut read = (0, 0);
        while reader.next_batch(5_000, 4 << 20, &mut batch)? == ReadOutcome::Read {
            read.0 += batch.len() as u64;
            read.1 += batch.bytes() as u64;
        }
        Ok(read)
    }
}
