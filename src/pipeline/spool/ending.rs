//! The end of an old stream: what it began and did not end gets an end, and so does the stream.

mod write;

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::Arc,
};

use super::{
    Core, Number, OpenNumber, SpoolError,
    active::{Current, Place},
    format,
    gaps::digest,
    scan::{Scanner, Step},
    stream::Stream,
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
