//! The end of an old stream: what it began and did not end gets an end, and so does the stream.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Core, Number, OpenNumber, SpoolError,
    active::{Current, Place},
    format::{self, FRAMES_AT, Kind, SegmentHeader},
    gaps::digest,
    scan::{Scanner, Step},
    stream::{Content, Segment, Stream},
    walk::Walk,
};
use crate::time::Timestamp;

/// Gives an end to what an earlier process began.
#[derive(Debug)]
pub(in crate::pipeline) struct Ending {
    core: Arc<Core>,
    stream: Arc<Stream>,
    seed: Option<format::Seed>,
    secret: Option<format::Secret>,
    opens: VecDeque<(OpenNumber, Place)>,
    lost: BTreeSet<OpenNumber>,
    next: Number,
    next_open: OpenNumber,
    /// How many records there were is not known.
    is_vague: bool,
    /// The number of the segment that is written to, if anything is.
    segment: u64,
    last: Option<(Number, Place)>,
    at: Timestamp,
    /// The store has more of the stream than the files do.
    is_ahead: bool,
    file: Option<Current>,
    scanner: Option<(u64, Scanner)>,
    frame: Vec<u8>,
}

/// Something that was begun and did not end.
#[derive(Debug)]
pub(in crate::pipeline) struct Unfinished {
    pub(in crate::pipeline) open: OpenNumber,
    pub(in crate::pipeline) recorded_at: Timestamp,
    pub(in crate::pipeline) record: Vec<u8>,
}

/// What the last record of a stream is made of, beside what it says.
#[derive(Debug, Clone, Copy)]
pub(in crate::pipeline) struct EndOfStream {
    pub(in crate::pipeline) number: Number,
    /// The last sign of the process.
    pub(in crate::pipeline) at: Timestamp,
    pub(in crate::pipeline) random: [u8; 10],
}

impl Ending {
    pub(super) fn find(
        core: Arc<Core>,
        stream: Arc<Stream>,
        position: Number,
    ) -> Result<Self, SpoolError> {
        let (numbers, segment) = segments_of(&stream);
        let failed = |number: u64| {
            let path = stream.path(number);
            move |error: io::Error| SpoolError::io("read", path, error)
        };
        // What was read must be there again after a power cut, names and all: the process may have died
        // before it synced its last segment.
        stream
            .fs
            .sync_folder(&stream.folder)
            .map_err(|error| SpoolError::io("sync the folder", &stream.folder, error))?;
        for number in &numbers {
            stream.learn_content(*number).map_err(failed(*number))?;
        }
        stream.refuse_later()?;
        let secret = stream.segments().secret;
        let seed = secret.map(|secret| secret.seed());
        let mut walk = Walk::default();
        if let Some(seed) = seed {
            for number in &numbers {
                walk.segment(&stream, *number, seed).map_err(failed(*number))?;
            }
        }
        let end = walk.end();
        if walk.is_holed {
            // Their ends may be among the records that are missing, and those are told of.
            walk.lost = std::mem::take(&mut walk.unreadable);
        }
        Ok(Self {
            seed,
            secret,
            opens: walk.opens.into_iter().collect(),
            lost: walk.lost,
            last: walk.last,
            at: walk.at,
            is_ahead: position >= end.next,
            next: end.next.max(position.saturating_add(1)),
            is_vague: end.is_vague && position < end.next,
            segment,
            next_open: walk.next_open.unwrap_or(1),
            file: None,
            scanner: None,
            frame: Vec::new(),
            core,
            stream,
        })
    }

    /// Returns the next thing that did not end; read it, and give it an [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// A file could not be read.
    pub(in crate::pipeline) fn next_unfinished(
        &mut self,
    ) -> Result<Option<Unfinished>, SpoolError> {
        while let Some((open, place)) = self.opens.pop_front() {
            let read = self.read(place);
            let path = self.stream.path(place.segment);
            let read = read.map_err(|error| SpoolError::io("read", path, error))?;
            if let Some((recorded_at, record)) = read {
                return Ok(Some(Unfinished { open, recorded_at, record }));
            }
        }
        Ok(None)
    }

    /// Returns how many things were begun of which nothing can be read, see [`tell_lost`](Self::tell_lost).
    pub(in crate::pipeline) fn lost(&self) -> u64 {
        self.lost.len() as u64
    }

    /// Writes the record that ends an open, with the next number of the stream.
    ///
    /// # Errors
    ///
    /// It could not be written. A next attempt begins with another [`OldStream::ending`].
    pub(in crate::pipeline) fn end(
        &mut self,
        open: OpenNumber,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<(), SpoolError> {
        self.frame.clear();
        self.push_record(open, recorded_at, record);
        self.write()
    }

    /// Writes a record that tells of [`lost`](Self::lost) opens; they are not found again.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    pub(in crate::pipeline) fn tell_lost(
        &mut self,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<(), SpoolError> {
        self.frame.clear();
        self.push_record(0, recorded_at, record);
        for open in std::mem::take(&mut self.lost) {
            if let Some(seed) = self.seed {
                format::encode(seed, Kind::Cancel, open, 0, recorded_at, &[], &mut self.frame);
            }
        }
        self.write()
    }

    /// Returns the number and the bytes of the last record that the process wrote, as far as it can be read.
    ///
    /// # Errors
    ///
    /// A file could not be read.
    pub(in crate::pipeline) fn last(&mut self) -> Result<Option<(Number, Vec<u8>)>, SpoolError> {
        let Some((number, place)) = self.last else { return Ok(None) };
        let read = self.read(place);
        let path = self.stream.path(place.segment);
        let read = read.map_err(|error| SpoolError::io("read", path, error))?;
        Ok(read.map(|(_, record)| (number, record)))
    }

    /// Returns the word that the stream is to end with, if it may have one: it has records, and the store has none
    /// that are not in the files. It is the same each time.
    pub(in crate::pipeline) fn end_of_stream(&self) -> Option<EndOfStream> {
        let may_end = self.secret.is_some() && self.next > 1 && !self.is_ahead;
        may_end.then(|| {
            let digest = digest(b"tower-activity spool end", self.stream.writer_id, self.next);
            let mut random = [0; 10];
            random.copy_from_slice(&digest[..10]);
            EndOfStream { number: self.next, at: self.at, random }
        })
    }

    /// Writes the last record of the stream, see [`end_of_stream`](Self::end_of_stream).
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    pub(in crate::pipeline) fn close(
        &mut self,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<(), SpoolError> {
        self.end(0, recorded_at, record)
    }

    /// Brings onto the disk what was written; the stream can be read then.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    pub(in crate::pipeline) fn finish(mut self) -> Result<(), SpoolError> {
        if let Some(current) = self.file.take() {
            let path = self.stream.path(current.number);
            current
                .file
                .sync_data()
                .and_then(|()| self.stream.fs.sync_folder(&self.stream.folder))
                .map_err(|error| SpoolError::io("sync", path, error))?;
        }
        self.stream.segments().is_settled = true;
        Ok(())
    }

    fn push_record(&mut self, open: OpenNumber, recorded_at: Timestamp, record: &[u8]) {
        if let Some(seed) = self.seed {
            let number = self.next.cast_unsigned();
            format::encode(seed, Kind::Record, number, open, recorded_at, record, &mut self.frame);
        }
    }

    fn write(&mut self) -> Result<(), SpoolError> {
        let Some(secret) = self.secret else { return Ok(()) };
        if self.file.is_none() {
            self.begin(secret)
                .map_err(|error| SpoolError::io("add to", &self.stream.folder, error))?;
        }
        let Some(current) = &mut self.file else { return Ok(()) };
        if let Err(error) = current.file.write_at(&self.frame, current.end) {
            // Half a frame would be told of as a record that is missing.
            drop(current.file.set_len(current.end));
            return Err(SpoolError::io("write to", self.stream.path(current.number), error));
        }
        let size = self.frame.len() as u64;
        current.end += size;
        self.next += 1;
        self.stream.room.took(size);
        let mut segments = self.stream.segments();
        if let Some(segment) = segments.list.iter_mut().find(|s| s.number == current.number) {
            segment.end = current.end;
            segment.bytes = current.end;
            segment.last = Some(self.next - 1);
        }
        Ok(())
    }

    /// Begins a segment behind the last one.
    fn begin(&mut self, secret: format::Secret) -> io::Result<()> {
        let number = self.segment;
        // A number is used once, also where making the file fails halfway.
        self.segment += 1;
        let file = self.stream.fs.create(&self.stream.path(number))?;
        let header = SegmentHeader {
            writer_id: self.stream.writer_id,
            segment: number,
            first: self.next,
            first_open: self.next_open,
            is_guessed: self.is_vague,
            created_at: self.core.clock.now(),
            secret,
        };
        if let Err(error) = file.write_at(&header.encode(), 0) {
            drop(self.stream.fs.remove_file(&self.stream.path(number)));
            return Err(error);
        }
        let mut segment = Segment::new(number, Content::From(self.next), FRAMES_AT);
        segment.closed = true;
        segment.is_guessed = self.is_vague;
        segment.last = Some(self.next - 1);
        self.stream.segments().list.push_back(segment);
        self.stream.room.owed.fetch_add(FRAMES_AT, Ordering::Relaxed);
        self.file = Some(Current { number, file, end: FRAMES_AT });
        Ok(())
    }

    fn read(&mut self, place: Place) -> io::Result<Option<(Timestamp, Vec<u8>)>> {
        let Some(seed) = self.seed else { return Ok(None) };
        if self.scanner.as_ref().is_none_or(|(number, _)| *number != place.segment) {
            let file = self.stream.fs.open(&self.stream.path(place.segment))?;
            let limit = file.len()?;
            self.scanner = Some((place.segment, Scanner::new(file, seed, limit)));
        }
        let Some((_, scanner)) = &mut self.scanner else { return Ok(None) };
        scanner.jump(place.at);
        Ok(match scanner.step()? {
            Step::Frame(found) => Some((found.recorded_at, scanner.record(&found).to_vec())),
            Step::Damage { .. } | Step::End => None,
        })
    }
}

/// Returns the segments that there are, and the number of the next one. Files behind them that were made ahead and not used
/// are put out of the way: what is torn is looked for in the last segment.
fn segments_of(stream: &Stream) -> (Vec<u64>, u64) {
    let mut segments = stream.segments();
    let next = segments.list.back().map_or(1, |last| last.number + 1);
    let mut unused = Vec::new();
    while let Some(last) = segments.list.pop_back_if(|last| last.bytes == 0) {
        unused.push(last.number);
    }
    let numbers = segments.list.iter().map(|segment| segment.number).collect();
    drop(segments);
    for number in unused {
        // Where it stays, it goes with the folder.
        drop(stream.fs.remove_file(&stream.path(number)));
    }
    (numbers, next)
}
