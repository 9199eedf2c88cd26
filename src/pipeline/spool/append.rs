//! The end of the stream: numbers are given and frames are written here, under one lock.

use super::{
    Appended, Begun, Core, Mark, OpenNumber, Refused, Spool,
    active::{Active, Place},
    format::{self, FRAMES_AT, Kind, MAX_RECORD, frame_size, parse_head},
    settings::Share,
    threads::MutexGuard,
};
use crate::time::Timestamp;

impl Spool {
    /// Writes a finished record, with the open that it ends, and gives it its number.
    ///
    /// The record is in the file when this returns, and survives the death of the process; it is on the disk
    /// when [`poll_synced`](Self::poll_synced) says so.
    pub(in crate::pipeline) fn append(
        &self,
        share: Share,
        ends: Option<OpenNumber>,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<Appended, Refused> {
        // What was begun was admitted then; its end takes the reserve rather than get lost.
        let share = if ends.is_some() && share == Share::General { Share::Security } else { share };
        let core = &self.core;
        let mut active = core.lock()?;
        let number = active.next;
        let frame = Frame {
            kind: Kind::Record,
            number: number as u64,
            ends: ends.unwrap_or(0),
            recorded_at,
            record,
        };
        core.write(&mut active, share, &frame)?;
        active.next += 1;
        if let Some(open) = ends {
            active.opens.remove(&open);
        }
        let mark = Mark(active.written);
        core.release(active);
        Ok(Appended { number, mark })
    }

    /// Writes what is known of something that has only begun.
    pub(in crate::pipeline) fn begin(
        &self,
        share: Share,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<Begun, Refused> {
        let core = &self.core;
        let mut active = core.lock()?;
        let open = active.next_open;
        let frame = Frame { kind: Kind::Open, number: open, ends: 0, recorded_at, record };
        let place = core.write(&mut active, share, &frame)?;
        active.next_open += 1;
        active.opens.insert(open, place);
        let mark = Mark(active.written);
        core.release(active);
        Ok(Begun { open, mark })
    }

    /// Writes what is known by now of something that has begun, in the place of what was known then. Where that cannot be
    /// written, the earlier word stays.
    pub(in crate::pipeline) fn renew(
        &self,
        share: Share,
        open: OpenNumber,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<Mark, Refused> {
        let core = &self.core;
        let mut active = core.lock()?;
        // What has ended stays so.
        if active.opens.contains_key(&open) {
            let frame = Frame { kind: Kind::Carried, number: open, ends: 0, recorded_at, record };
            let place = core.write(&mut active, share, &frame)?;
            active.opens.insert(open, place);
        }
        let mark = Mark(active.written);
        core.release(active);
        Ok(mark)
    }

    /// Writes that an open leads to no record. Where that cannot be written, the open stays.
    pub(in crate::pipeline) fn cancel(&self, open: OpenNumber) -> Result<(), Refused> {
        let core = &self.core;
        let mut active = core.lock()?;
        let frame = Frame {
            kind: Kind::Cancel,
            number: open,
            ends: 0,
            recorded_at: Timestamp::default(),
            record: &[],
        };
        core.write(&mut active, Share::Own, &frame)?;
        active.opens.remove(&open);
        core.release(active);
        Ok(())
    }

    /// Keeps an open that leads to no record no longer than its segment. A crash until then makes a record of
    /// it that says it did not end: rather one too many.
    pub(in crate::pipeline) fn forget(&self, open: OpenNumber) {
        if let Ok(mut active) = self.core.lock() {
            active.opens.remove(&open);
            self.core.release(active);
        }
    }
}

impl Core {
    /// Copies an open forward, if it is still live and stands where it is said to; tells whether it was.
    pub(super) fn carry(
        &self,
        open: OpenNumber,
        from: u64,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<(), Refused> {
        let mut active = self.lock()?;
        if active.opens.get(&open).is_some_and(|place| place.segment == from) {
            let frame = Frame { kind: Kind::Carried, number: open, ends: 0, recorded_at, record };
            let place = self.write(&mut active, Share::Own, &frame)?;
            active.opens.insert(open, place);
        }
        self.release(active);
        Ok(())
    }

    /// Takes the append lock, or says that somebody is stuck with it.
    fn lock(&self) -> Result<MutexGuard<'_, Active>, Refused> {
        if let Some(active) = self.active.try_lock() {
            return Ok(active);
        }
        if !self.is_stuck() {
            // Twice half of it: a process that was stopped for a while finds one of the two over, and its disk was not
            // stuck.
            let half = self.settings.stuck_after / 2;
            let waited = || self.active.try_lock_for(half);
            if let Some(active) = waited().or_else(waited) {
                return Ok(active);
            }
            self.set_stuck();
            // Whoever had it may have let go before the flag was up, and then nobody would take it down.
            if let Some(active) = self.active.try_lock() {
                return Ok(active);
            }
        }
        Err(Refused::Stuck)
    }

    /// Lets go of the append lock, and tells those who have to know.
    fn release(&self, mut active: MutexGuard<'_, Active>) {
        let tell = !std::mem::replace(&mut active.told, true);
        drop(active);
        self.not_stuck();
        if tell {
            self.sync.wake();
        }
    }

    /// Writes one frame at the end of the stream. Where that fails, the stream is as it was.
    fn write(
        &self,
        active: &mut Active,
        share: Share,
        frame: &Frame<'_>,
    ) -> Result<Place, Refused> {
        if active.is_shut {
            return Err(Refused::Closed);
        }
        if frame.record.len() > MAX_RECORD {
            return Err(Refused::TooLong);
        }
        let size = frame_size(frame.record.len()) as u64;
        self.room.admit(share, size).inspect_err(|refused| {
            // What the cap refuses waits for the store, and not for the thread.
            if *refused == Refused::NoSpace {
                self.want_space();
            }
        })?;
        if active.is_poisoned && !active.can_keep(share, size) {
            return Err(Refused::Failed);
        }
        let is_full = active.current.as_ref().is_some_and(|current| {
            current.end > FRAMES_AT && current.end + size > self.settings.segment()
        });
        if is_full {
            self.rotate(active).map_err(|error| self.failed("begin a segment", &error))?;
        }
        let Active { current, frame: buffer, .. } = active;
        let Some(current) = current else {
            // No append that succeeds asks for the next segment while there is none to append to.
            self.sync.wake();
            return Err(Refused::Failed);
        };
        buffer.clear();
        let Frame { kind, number, ends, recorded_at, record } = *frame;
        format::encode(self.seed, kind, number, ends, recorded_at, record, buffer);
        if let Err(error) = current.file.write_at(buffer, current.end) {
            let refused = self.failed("write to", &error);
            self.cut(active);
            return Err(refused);
        }
        let place = Place { segment: current.number, at: current.end };
        let half = self.settings.segment() / 2;
        let is_half = current.end < half && current.end + size >= half;
        current.end += size;
        active.written += 1;
        active.unsynced.push(&active.frame);
        self.room.took(size);
        if is_half {
            self.sync.tidy();
        }
        if active.frame.capacity() > 1 << 20 {
            active.frame = Vec::new();
        }
        Ok(place)
    }
}

struct Frame<'a> {
    kind: Kind,
    number: u64,
    ends: OpenNumber,
    recorded_at: Timestamp,
    record: &'a [u8],
}

/// Calls `each` with the place of every frame in a run of whole frames that begins at `at`.
pub(super) fn each_frame(
    seed: format::Seed,
    frames: &[u8],
    at: u64,
    mut each: impl FnMut(format::Head, u64),
) {
    let mut skip = 0;
    while let Some(bytes) = frames.get(skip..).filter(|bytes| bytes.len() >= format::FRAME_HEADER) {
        let Some(head) = parse_head(seed, bytes) else { return };
        each(head, at + skip as u64);
        skip += head.size;
    }
}
