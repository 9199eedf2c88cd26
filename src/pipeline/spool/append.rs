//! The end of the stream: numbers are given and frames are written here, under one lock.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use super::{
    Appended, Begun, Core, Mark, Number, OpenNumber, Refused, Spool,
    files::File,
    format::{self, FRAMES_AT, Kind, MAX_RECORD, SegmentHeader, frame_size, parse_head},
    settings::Share,
    stream::{Content, Segment},
    threads::MutexGuard,
};
use crate::time::Timestamp;

/// An append that takes longer is stuck. A request is not held up for longer, and no further one touches
/// the file.
const STUCK: Duration = Duration::from_millis(100);
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
    frame: Vec<u8>,
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
        std::mem::replace(&mut self.unsynced, fresh)
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
            if let Some(active) = self.active.try_lock_for(STUCK) {
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
        self.room.admit(share, size).inspect_err(|_| self.sync.tidy())?;
        let is_full = active.current.as_ref().is_some_and(|current| {
            current.end > FRAMES_AT && current.end + size > self.settings.segment()
        });
        if is_full {
            self.rotate(active).map_err(|error| self.failed("begin a segment", &error))?;
        }
        let Active { current, frame: buffer, .. } = active;
        let Some(current) = current else { return Err(Refused::Failed) };
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

impl Core {
    /// Closes the segment and begins the next one, with the file that was made ahead if there is one.
    pub(super) fn rotate(&self, active: &mut Active) -> io::Result<()> {
        let (next, next_open) = (active.next, active.next_open);
        let fresh = self.make_segment(active, next, next_open)?;
        if let Some(old) = active.current.replace(fresh) {
            self.close_segment(&old, next - 1);
            active.closed.push(old);
        }
        Ok(())
    }

    /// Makes the next segment, with its header.
    pub(super) fn make_segment(
        &self,
        active: &mut Active,
        first: Number,
        first_open: OpenNumber,
    ) -> io::Result<Current> {
        let (number, file) = match active.spare.take() {
            Some(spare) => spare,
            None => {
                let number = active.next_segment;
                // A number is used once, also where making the file fails halfway.
                active.next_segment += 1;
                let file = self.fs.create(&self.stream.path(number))?;
                active.names = true;
                (number, file)
            }
        };
        let header = SegmentHeader {
            writer_id: self.stream.writer_id,
            segment: number,
            first,
            first_open,
            is_guessed: false,
            created_at: self.clock.now(),
            secret: self.secret,
        };
        if let Err(error) = file.write_at(&header.encode(), 0) {
            // Without a header it would be taken for damage.
            drop(self.fs.remove_file(&self.stream.path(number)));
            return Err(error);
        }
        self.stream.segments().list.push_back(Segment::new(
            number,
            Content::From(first),
            FRAMES_AT,
        ));
        self.room.took(FRAMES_AT);
        Ok(Current { number, file, end: FRAMES_AT })
    }

    /// Takes note that nothing more is written to a segment.
    pub(super) fn close_segment(&self, current: &Current, last: Number) {
        let mut segments = self.stream.segments();
        if let Some(segment) =
            segments.list.iter_mut().find(|segment| segment.number == current.number)
        {
            segment.closed = true;
            segment.last = Some(last);
            segment.bytes = current.end;
        }
        self.stream.settle(&mut segments, self.clock.monotonic());
    }

    /// Cuts what a failed write may have left behind. A segment that cannot be cut is left for a new one.
    fn cut(&self, active: &mut Active) {
        let Some(current) = &active.current else { return };
        if let Err(error) = current.file.set_len(current.end) {
            tracing::error!(
                path = %self.stream.path(current.number).display(),
                %error,
                "a segment of the spool could not be cut after a failed write; it is left for a new one"
            );
            if self.rotate(active).is_err()
                && let Some(old) = active.current.take()
            {
                self.close_segment(&old, active.next - 1);
                active.closed.push(old);
            }
        }
    }

    /// Says aloud that the file system failed, and how that is told to whoever appends.
    pub(super) fn failed(&self, doing: &'static str, error: &io::Error) -> Refused {
        self.report(doing, error);
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Refused::NoSpace,
            _ => Refused::Failed,
        }
    }

    /// Says aloud, not more than once a second, that the file system failed.
    pub(super) fn report(&self, doing: &'static str, error: &io::Error) {
        if self.errors.admit(self.clock.monotonic()) {
            let path = self.stream.folder.display();
            tracing::error!(%path, %error, "the spool could not {doing} a segment");
        }
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
