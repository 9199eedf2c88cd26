//! Reading a stream back in order, once or again, past whatever is damaged.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Batch, Break, Cause, Core, Number, Secret, SpoolError,
    format::{HeaderError, Kind},
    scan::{Found, Scanner, Step},
    stream::{Content, Segment, Stream},
    tail::Tail,
};
use crate::{record::WriterId, time::Timestamp};

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum ReadOutcome {
    /// The batch holds frames.
    Read,
    /// There is nothing more at present; [`Spool::readable`](super::Spool::readable) tells when there is.
    Empty,
    /// There is nothing more, and never will be: the stream is an old one.
    End,
    /// Numbers are missing. The reader stands behind them, in the stream that goes on: ask the store for the
    /// position of `Break::stream`, store the gap record as its number 1 if that position is 0, and
    /// [`seek`](Reader::seek).
    Broken(Break),
}

/// Reads one stream. There is one reader of a stream at a time.
#[derive(Debug)]
pub(in crate::pipeline) struct Reader {
    core: Arc<Core>,
    stream: Arc<Stream>,
    is_old: bool,
    is_ready: bool,
    open: Option<Open>,
    /// Where an old stream ends, as far as it was read.
    tail: Tail,
    /// The number that is to be read next.
    next: Number,
    /// The gap that the reader stands behind.
    leg: Option<Break>,
    /// The last number of each batch that is not acknowledged, with the time of its first record.
    unacknowledged: VecDeque<(Number, Timestamp)>,
}

/// A segment that is being read.
#[derive(Debug)]
struct Open {
    number: u64,
    scanner: Scanner,
    /// It ends in bytes that cannot be read.
    is_torn: bool,
}

impl Reader {
    pub(super) fn new(core: Arc<Core>, stream: Arc<Stream>, is_old: bool) -> Self {
        Self {
            core,
            stream,
            is_old,
            is_ready: false,
            open: None,
            tail: Tail::default(),
            next: 1,
            leg: None,
            unacknowledged: VecDeque::new(),
        }
    }

    /// Returns the stream that the next frames are to be stored under.
    pub(in crate::pipeline) fn stream(&self) -> WriterId {
        self.leg.map_or(self.stream.writer_id, |leg| leg.stream)
    }

    /// Returns the secret that the salts of gap records come from.
    ///
    /// # Errors
    ///
    /// As [`next_batch`](Self::next_batch).
    pub(in crate::pipeline) fn secret(&mut self) -> Result<Secret, SpoolError> {
        self.prepare()?;
        // Without one, nothing of the stream can be read; what tells of that needs salts all the same.
        Ok(self.stream.segments().secret.unwrap_or_else(|| Secret::new([0; 32])))
    }

    /// Returns the number that [`stream`](Self::stream) ends with, if it goes on under another name from there.
    pub(in crate::pipeline) fn end_of_leg(&self) -> Option<Number> {
        let begin = self.leg.map_or(1, |leg| leg.next);
        let segments = self.stream.segments();
        let next = segments.breaks.iter().find(|known| known.first_missing >= begin);
        next.map(|known| known.first_missing - 1)
    }

    /// Goes back before every gap: what is read next is of the stream's own name.
    pub(in crate::pipeline) fn restart(&mut self) {
        self.leg = None;
        self.go_to(1);
    }

    /// Goes on behind the store's position of [`stream`](Self::stream).
    pub(in crate::pipeline) fn seek(&mut self, position: Number) {
        let number = self.number(position);
        self.go_to(number.saturating_add(1));
    }

    /// Takes note of the store's position of [`stream`](Self::stream): what lies before may go after a while.
    pub(in crate::pipeline) fn acknowledge(&mut self, position: Number) {
        let number = self.number(position);
        let is_news = self.stream.acknowledge(number, self.core.clock.monotonic());
        while self.unacknowledged.front().is_some_and(|(last, _)| *last <= number) {
            self.unacknowledged.pop_front();
        }
        self.note_oldest();
        if is_news {
            // What is stored may go, and is to be said.
            self.core.sync.tidy();
        }
    }

    /// Reads the next frames, at most so many, and no more bytes than that unless a single one has more.
    ///
    /// It reads files and blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// A file could not be read. Nothing is passed over: the same call may be made again.
    pub(in crate::pipeline) fn next_batch(
        &mut self,
        max_rows: usize,
        max_bytes: usize,
        batch: &mut Batch,
    ) -> Result<ReadOutcome, SpoolError> {
        self.prepare()?;
        let secret = self.stream.segments().secret;
        batch.clear(self.stream(), secret);
        let outcome = self.fill(max_rows, max_bytes, batch)?;
        if let Some(last) = batch.frames().last() {
            let first = batch.frames().next().map_or(last.recorded_at, |frame| frame.recorded_at);
            self.unacknowledged.push_back((self.next - 1, first));
            self.note_oldest();
        }
        Ok(outcome)
    }

    fn fill(
        &mut self,
        max_rows: usize,
        max_bytes: usize,
        batch: &mut Batch,
    ) -> Result<ReadOutcome, SpoolError> {
        let done = |batch: &Batch, otherwise| {
            if batch.is_empty() { otherwise } else { ReadOutcome::Read }
        };
        loop {
            if let Some(known) = self.break_at_next() {
                if batch.is_empty() {
                    self.leg = Some(known);
                    self.go_to(known.next);
                }
                return Ok(done(batch, ReadOutcome::Broken(known)));
            }
            if batch.len() >= max_rows {
                return Ok(ReadOutcome::Read);
            }
            let Some(open) = &mut self.open else {
                match self.choose()? {
                    Chosen::Opened => continue,
                    Chosen::Unreadable => {
                        let now = self.core.clock.now();
                        self.note_break(self.next + 1, now, Cause::Unreadable);
                        continue;
                    }
                    Chosen::Nothing => return Ok(done(batch, self.nothing())),
                }
            };
            let step =
                open.scanner.step().map_err(|error| failed(&self.stream, open.number, error))?;
            match step {
                Step::Frame(found) if found.kind == Kind::Record => {
                    let number = found.number.cast_signed();
                    self.tail.record(number);
                    if number < self.next {
                        continue;
                    }
                    if number > self.next {
                        self.missing(&found)?;
                        continue;
                    }
                    let record = open.scanner.record(&found);
                    if !batch.is_empty() && batch.bytes() + record.len() > max_bytes {
                        open.scanner.jump(found.at);
                        return Ok(ReadOutcome::Read);
                    }
                    let seq = self.leg.map_or(number, |leg| leg.seq(number));
                    batch.push(seq, number, found.recorded_at, record);
                    self.next += 1;
                }
                Step::Frame(_) => {}
                Step::Damage { bytes, head } => {
                    self.tail.damage(&bytes, head);
                    if bytes.end >= open.scanner.limit() {
                        open.is_torn = true;
                    } else {
                        let number = open.number;
                        self.quarantine(number);
                    }
                }
                Step::End => {
                    if !self.advance()? {
                        return Ok(done(batch, self.nothing()));
                    }
                }
            }
        }
    }

    const fn nothing(&self) -> ReadOutcome {
        if self.is_old { ReadOutcome::End } else { ReadOutcome::Empty }
    }

    /// A record stands where an earlier one should: looks for that further on, and else breaks the stream.
    fn missing(&mut self, found: &Found) -> Result<(), SpoolError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        // It is read again, as the first of what goes on.
        open.scanner.jump(found.at);
        let here = open.number;
        self.learn_firsts()?;
        let segments = self.stream.segments();
        let later = segments
            .list
            .iter()
            .rev()
            .take_while(|segment| segment.number > here)
            .find(|segment| segment.first().is_some_and(|first| first <= self.next))
            .map(|segment| segment.number);
        // Segments go from the front, once they are stored.
        let is_removed = segments.list.front().is_some_and(|segment| {
            segment.number > 1 && segment.first().is_some_and(|first| first > self.next)
        });
        let here_now = segments.list.iter().find(|segment| segment.number == here);
        // The first record of a segment may have been numbered by whoever could not know how many there were before it.
        let guess = here_now.filter(|here| here.is_guessed).and_then(Segment::first);
        let is_guess = |number| guess == Some(number);
        drop(segments);
        if let Some(later) = later {
            return self.open_segment(later);
        }
        if !is_removed {
            self.quarantine(here);
        }
        let number = found.number.cast_signed();
        let cause = match (is_removed, is_guess(number)) {
            (true, _) => Cause::Removed,
            (false, true) => Cause::Unreadable,
            (false, false) => Cause::Damaged,
        };
        self.note_break(number, found.recorded_at, cause);
        Ok(())
    }

    /// Takes note that the numbers from the next one to `present` are missing.
    fn note_break(&mut self, present: Number, at: Timestamp, cause: Cause) {
        let fresh = Break::new(self.stream.writer_id, self.next, present, cause, at);
        tracing::error!(
            path = %self.stream.folder.display(),
            first_missing = fresh.first_missing,
            is_unreadable = fresh.cause == Cause::Unreadable,
            count = fresh.count().unwrap_or(0),
            "records are missing in the spool; the stream goes on under another name"
        );
        let kept = fresh.keep(&self.stream);
        let mut segments = self.stream.segments();
        if let Err(error) = kept {
            // It is found again as long as no segment goes.
            segments.hold = true;
            self.core.report("note what is missing in", &error);
        }
        let at = segments.breaks.partition_point(|b| b.first_missing < fresh.first_missing);
        segments.breaks.insert(at, fresh);
    }

    fn break_at_next(&self) -> Option<Break> {
        let segments = self.stream.segments();
        segments.breaks.iter().find(|known| known.first_missing == self.next).copied()
    }

    /// The segment has been read to its end: goes on to the next one, if there is one to go to.
    fn advance(&mut self) -> Result<bool, SpoolError> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let here = open.number;
        self.stream.learn_content(here).map_err(|error| failed(&self.stream, here, error))?;
        let mut segments = self.stream.segments();
        let Some(at) = segments.list.iter().position(|segment| segment.number == here) else {
            // Removed while it was read: all of it was acknowledged.
            drop(segments);
            self.open = None;
            return Ok(true);
        };
        let segment = &segments.list[at];
        if segment.end > open.scanner.limit() && !self.is_old {
            open.scanner.set_limit(segment.end);
            open.is_torn = false;
            return Ok(true);
        }
        let is_whole = segment.closed && segment.end >= segment.bytes;
        let next = segments.list.get(at + 1).map(|next| next.number);
        let Some(next) = next else {
            if !self.is_old {
                return Ok(false);
            }
            let is_torn = std::mem::take(&mut open.is_torn);
            let next = self.next;
            segments.list[at].last.get_or_insert(next - 1);
            segments.is_read = true;
            self.stream.settle(&mut segments, self.core.clock.monotonic());
            drop(segments);
            // Who removes it may be asleep: nothing has to be appended any more for it to go.
            self.core.sync.tidy();
            if is_torn {
                self.quarantine(here);
            }
            return Ok(self.end());
        };
        drop(segments);
        self.stream.learn_content(next).map_err(|error| failed(&self.stream, next, error))?;
        let segments = self.stream.segments();
        let follows = segments
            .list
            .iter()
            .find(|segment| segment.number == next)
            .and_then(|segment| segment.first())
            .is_some_and(|first| first <= self.next);
        drop(segments);
        if self.is_old || is_whole || follows {
            if self.open.as_ref().is_some_and(|open| open.is_torn) && !follows {
                self.quarantine(here);
            }
            self.open_segment(next)?;
            return Ok(true);
        }
        // Closed and not synced yet.
        Ok(false)
    }

    /// An old stream has been read to its end: tells whether records are missing there, and takes note of it.
    fn end(&mut self) -> bool {
        let end = self.tail.end(self.next);
        if end.next <= self.next {
            return false;
        }
        let now = self.core.clock.now();
        self.note_break(end.next, now, end.cause());
        true
    }

    /// Opens the segment that the next number is in, or the first one there is.
    fn choose(&mut self) -> Result<Chosen, SpoolError> {
        self.learn_firsts()?;
        self.stream.refuse_later()?;
        let segments = self.stream.segments();
        let holds = |segment: &&Segment| segment.first().is_some_and(|first| first <= self.next);
        let chosen = segments
            .list
            .iter()
            .rev()
            .find(holds)
            .or_else(|| segments.list.front())
            .map(|segment| segment.number);
        let (has_secret, has_bytes) =
            (segments.secret.is_some(), segments.list.iter().any(|segment| segment.bytes > 0));
        let is_told = !segments.breaks.is_empty();
        drop(segments);
        match chosen {
            Some(number) if has_secret => {
                self.open_segment(number)?;
                Ok(Chosen::Opened)
            }
            Some(number) if has_bytes && !is_told => {
                self.quarantine(number);
                Ok(Chosen::Unreadable)
            }
            _ => {
                let mut segments = self.stream.segments();
                segments.is_read = self.is_old;
                if self.is_old && !has_secret {
                    // Nobody can read it, now or later; what there was of it is in the quarantine.
                    let last = self.next - 1;
                    segments.list.iter_mut().for_each(|segment| segment.last = Some(last));
                    self.stream.settle(&mut segments, self.core.clock.monotonic());
                }
                Ok(Chosen::Nothing)
            }
        }
    }

    fn learn_firsts(&self) -> Result<(), SpoolError> {
        let unknown: Vec<u64> = {
            let segments = self.stream.segments();
            let unknown = segments.list.iter().filter(|s| s.content == Content::Unknown);
            unknown.map(|segment| segment.number).collect()
        };
        for number in unknown {
            self.stream
                .learn_content(number)
                .map_err(|error| failed(&self.stream, number, error))?;
        }
        Ok(())
    }

    fn open_segment(&mut self, number: u64) -> Result<(), SpoolError> {
        self.stream.learn_content(number).map_err(|error| failed(&self.stream, number, error))?;
        let segments = self.stream.segments();
        let Some(segment) = segments.list.iter().find(|segment| segment.number == number) else {
            self.open = None;
            return Ok(());
        };
        let (content, end) = (segment.content, segment.end);
        self.tail.segment(segment);
        let seed = segments.secret.map(|secret| secret.seed());
        drop(segments);
        let limit = match content {
            Content::Later(version) => {
                return Err(SpoolError::said(
                    "read",
                    self.stream.path(number),
                    format!("it was written by a later version of this crate (format {version})"),
                ));
            }
            // Another segment's copy: nothing in it counts.
            Content::Foreign => 0,
            _ => end,
        };
        if matches!(content, Content::Foreign | Content::Headless) && end > super::format::FRAMES_AT
        {
            self.quarantine(number);
        }
        let Some(seed) = seed else { return Ok(()) };
        let file = self
            .stream
            .fs
            .open(&self.stream.path(number))
            .map_err(|error| failed(&self.stream, number, error))?;
        if self.is_old {
            // What is read is on the disk: the process that wrote it may have died before it synced.
            file.sync_data().map_err(|error| failed(&self.stream, number, error))?;
        }
        let scanner = Scanner::new(file, seed, limit);
        self.open = Some(Open { number, scanner, is_torn: false });
        Ok(())
    }

    /// Reads what there is to know before the first frame.
    fn prepare(&mut self) -> Result<(), SpoolError> {
        if !self.is_ready {
            if self.is_old {
                // The names of the segments, as `open_segment` does for what is in them.
                self.stream.fs.sync_folder(&self.stream.folder).map_err(|error| {
                    SpoolError::io("sync the folder", &self.stream.folder, error)
                })?;
                let breaks = Break::read_all(&self.stream).map_err(|error| {
                    SpoolError::io("read the folder", &self.stream.folder, error)
                })?;
                self.stream.segments().breaks = breaks;
                self.learn_firsts()?;
            }
            self.is_ready = true;
        }
        Ok(())
    }

    fn go_to(&mut self, number: Number) {
        self.next = number.max(1);
        self.open = None;
        self.tail = Tail::default();
        let next = self.next;
        self.unacknowledged.retain(|(last, _)| *last < next);
        self.note_oldest();
    }

    fn number(&self, position: Number) -> Number {
        self.leg.map_or(position, |leg| leg.number(position))
    }

    fn note_oldest(&self) {
        self.stream.segments().oldest = self.unacknowledged.front().map(|(_, at)| *at);
    }

    /// Copies a damaged segment aside, once.
    fn quarantine(&self, number: u64) {
        let mut segments = self.stream.segments();
        let Some(segment) = segments.list.iter_mut().find(|segment| segment.number == number)
        else {
            return;
        };
        if std::mem::replace(&mut segment.quarantined, true) {
            return;
        }
        drop(segments);
        match self.stream.copy_aside(number) {
            Ok(true) => {
                self.core.quarantined.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    path = %self.stream.path(number).display(),
                    "a segment of the spool is damaged; a copy of it is kept in quarantine"
                );
            }
            Ok(false) => {}
            Err(error) => {
                // The original stays instead.
                self.stream.segments().hold = true;
                self.core.report("keep a copy of", &error);
            }
        }
    }
}

enum Chosen {
    Opened,
    /// There are segments, and no header of any of them can be read.
    Unreadable,
    Nothing,
}

fn failed(stream: &Stream, segment: u64, error: io::Error) -> SpoolError {
    SpoolError::io("read", stream.path(segment), error)
}

impl From<HeaderError> for Content {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Blank => Self::Blank,
            HeaderError::Damaged => Self::Headless,
            HeaderError::Foreign => Self::Foreign,
            HeaderError::Version(version) => Self::Later(version),
        }
    }
}
