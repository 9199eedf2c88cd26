//! Reading a stream back in order, once or again, past whatever is damaged.

mod missing;
mod segments;

use std::{collections::VecDeque, sync::Arc};

use segments::{Chosen, failed};

use super::{
    Batch, Break, Cause, Core, Number, Secret, SpoolError,
    format::Kind,
    scan::{Scanner, Step},
    stream::Stream,
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
        self.acknowledge_number(self.number(position));
    }

    /// Likewise, for the frame with this number, whatever gap the reader stands behind by now.
    pub(in crate::pipeline) fn acknowledge_number(&mut self, number: Number) {
        let is_news = self.stream.acknowledge(number, self.core.clock.monotonic());
        while let Some((_, at)) = self.unacknowledged.pop_front_if(|(last, _)| *last <= number) {
            self.stream.segments().stored_at = Some(at);
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
        let outcome = match self.fill(max_rows, max_bytes, batch) {
            // What was read before it goes on: who asks next hears of it, if it is still so.
            Err(_) if !batch.is_empty() => ReadOutcome::Read,
            filled => filled?,
        };
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
}
