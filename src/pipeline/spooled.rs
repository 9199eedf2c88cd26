//! One stream of the spool on its way to the store: where it is read, and what the store has of it.

use std::{path::PathBuf, sync::Arc};

use tokio::time::Instant;

use super::{
    admit,
    classes::{Classes, sort_by_leaf},
    core::Core,
    drain::Size,
    link::Stopped,
    own, quarantine,
    source::Source,
    spool::{self, Break, Cause, Frame, OldStream, ReadOutcome, Reader},
    unfinished,
};
use crate::{
    record::{Record, RecordId, WriterId},
    store::{SPOOL_DAMAGED, STORE_LOST},
};

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There is a batch; a full one, if more may follow at once.
    Batch { is_full: bool },
    /// There is none, and reading again may bring one.
    Again,
    /// There is none for now.
    Nothing,
    /// The files could not be read.
    Failed,
}

pub(super) struct Spooled {
    /// Away only while it is read on another thread.
    parts: Option<Parts>,
    /// The stream of an earlier process, until what it began has an end.
    unended: Option<Arc<OldStream>>,
    /// That it ended could not be written; what is there goes first.
    is_unsaid: bool,
    stream: WriterId,
    /// The one that goes on as `stream`.
    before: WriterId,
    is_own: bool,
    quarantine: Option<PathBuf>,
    /// Whether the reader stands behind what the store has.
    pub(super) is_placed: bool,
    /// All of it is stored.
    pub(super) is_over: bool,
    /// The store had less than before.
    pub(super) went_back: bool,
    pub(super) not_before: Option<Instant>,
    /// How often it could not be read since it last could.
    pub(super) failures: u32,
    /// How far the store was found to be beyond what was sent.
    ahead: Option<i64>,
    /// The gap that the reader stands behind, and whether it is still to be told of.
    leg: Option<Break>,
    is_untold: bool,
    /// Every frame up to this number is settled.
    settled: i64,
    /// The store had every frame up to this number when it was last asked.
    known: i64,
    /// Over which connection it was last asked.
    pub(super) known_at: u64,
    /// Up to this number, what is stored has been counted; it may be stored once more.
    counted: i64,
    /// Up to this number, what cannot be read was kept aside and counted; it may be read once more.
    stubbed: i64,
    /// The numbers that the records of an append had before it was arranged.
    order: Vec<i64>,
}

struct Parts {
    reader: Reader,
    buffer: spool::Batch,
}

impl Spooled {
    /// The stream of this process: the store cannot have anything of it.
    pub(super) fn own(reader: Reader, quarantine: Option<PathBuf>) -> Self {
        Self { is_placed: true, is_own: true, ..Self::of(reader, quarantine) }
    }

    /// The stream of an earlier process.
    pub(super) fn old(old: OldStream, quarantine: Option<PathBuf>) -> Self {
        let (reader, known) = (old.reader(), old.stored());
        Self { unended: Some(Arc::new(old)), known, ..Self::of(reader, quarantine) }
    }

    fn of(reader: Reader, quarantine: Option<PathBuf>) -> Self {
        Self {
            unended: None,
            is_unsaid: false,
            stream: reader.stream(),
            before: reader.stream(),
            parts: Some(Parts { reader, buffer: spool::Batch::default() }),
            is_own: false,
            quarantine,
            is_placed: false,
            is_over: false,
            went_back: false,
            not_before: None,
            failures: 0,
            ahead: None,
            leg: None,
            is_untold: false,
            settled: 0,
            known: 0,
            known_at: 0,
            counted: 0,
            stubbed: 0,
            order: Vec::new(),
        }
    }

    /// Returns the stream that what is read next is stored under.
    pub(super) const fn writer_id(&self) -> WriterId {
        self.stream
    }

    /// Tells whether every frame up to this number is settled.
    pub(super) const fn is_settled(&self, number: i64) -> bool {
        self.settled >= number
    }

    /// Goes on behind the store's position. Returns false when the store had more before, which is said aloud.
    pub(super) fn place(&mut self, core: &Core, position: i64) -> bool {
        self.settled = self.number(position);
        let end = self.parts.as_ref().and_then(|parts| parts.reader.end_of_leg());
        let lost = self.known.min(end.unwrap_or(i64::MAX)) - self.settled;
        if lost > 0 {
            say_restored(core, self.stream, position + lost, position);
            self.known = self.settled;
        }
        self.is_untold = self.leg.is_some() && position == 0;
        self.is_placed = true;
        self.order.clear();
        // What somebody else has sent of this process's own records is read all the same: it is counted.
        let from =
            if self.is_own && self.leg.is_none() { position.min(self.counted) } else { position };
        if let Some(Parts { reader, .. }) = &mut self.parts {
            if !self.is_untold {
                reader.seek(from);
            }
            reader.acknowledge(position);
        }
        lost <= 0
    }

    /// Looks for the beginning of the stream again, and for what the store has of it.
    pub(super) fn displace(&mut self) {
        self.known = self.known.max(self.settled);
        self.is_placed = false;
        self.is_over = false;
        self.leg = None;
        self.is_untold = false;
        self.order.clear();
        if let Some(Parts { reader, .. }) = &mut self.parts {
            reader.restart();
            self.stream = reader.stream();
        }
    }

    /// Reads the next batch into `batch`, which is empty.
    pub(super) async fn read(
        &mut self,
        core: &Arc<Core>,
        classes: &Arc<Classes>,
        size: Size,
        batch: &mut Vec<Box<Record>>,
    ) -> Result<Next, Stopped> {
        if let Some(old) = self.unended.as_ref().filter(|_| !self.is_unsaid) {
            let (core, old, position) = (Arc::clone(core), Arc::clone(old), self.settled);
            let ended = tokio::task::spawn_blocking(move || unfinished::end(&core, &old, position));
            match ended.await.map_err(|_| Stopped)? {
                Ok(true) => self.unended = None,
                Ok(false) => self.is_unsaid = true,
                Err(error) => return Ok(failed(&error)),
            }
        }
        let Some(parts) = self.parts.take() else { return Err(Stopped) };
        if let Some(leg) = self.leg.filter(|_| self.is_untold) {
            return Ok(self.tell(core, classes, leg, parts, batch));
        }
        let job = Job {
            core: Arc::clone(core),
            classes: Arc::clone(classes),
            quarantine: self.quarantine.clone(),
            stubbed: self.stubbed,
            records: std::mem::take(batch),
            parts,
            size,
        };
        // Files are read, records decoded and sealed: not what requests should wait for.
        let done = tokio::task::spawn_blocking(|| job.run()).await;
        // An error means that the runtime is ending.
        let (Job { parts, records, stubbed, .. }, outcome) = done.map_err(|_| Stopped)?;
        let bytes = parts.buffer.bytes();
        self.parts = Some(parts);
        self.stubbed = stubbed;
        *batch = records;
        Ok(match outcome {
            Ok(ReadOutcome::Read) => {
                Next::Batch { is_full: batch.len() >= size.rows || bytes >= size.bytes / 2 }
            }
            Ok(ReadOutcome::Empty) => Next::Nothing,
            // All that there is, but for the last word.
            Ok(ReadOutcome::End) if std::mem::take(&mut self.is_unsaid) => Next::Failed,
            Ok(ReadOutcome::End) => {
                self.is_over = true;
                Next::Nothing
            }
            Ok(ReadOutcome::Broken(leg)) => {
                self.before = std::mem::replace(&mut self.stream, leg.stream);
                self.leg = Some(leg);
                self.is_placed = false;
                // Of its own stream a process always knows the numbers.
                if self.is_own && leg.cause == Cause::Damaged && leg.next - 1 > self.counted {
                    let lost = leg.first_missing.max(self.counted + 1)..leg.next;
                    let own = core.spooling.as_ref().map_or(0, |it| it.own_among(lost.clone()));
                    let count = lost.end.abs_diff(lost.start).saturating_sub(own);
                    core.counters.drop_unseen(count, core.clock.now());
                    self.counted = leg.next - 1;
                }
                Next::Again
            }
            Err(error) => failed(&error),
        })
    }

    /// Makes the record that tells of a gap: the same one each time.
    fn tell(
        &mut self,
        core: &Core,
        classes: &Classes,
        leg: Break,
        mut parts: Parts,
        batch: &mut Vec<Box<Record>>,
    ) -> Next {
        let secret = parts.reader.secret();
        self.parts = Some(parts);
        let Ok(secret) = secret else { return Next::Failed };
        let reason = match leg.cause {
            Cause::Damaged | Cause::Unreadable => SPOOL_DAMAGED,
            Cause::Removed => STORE_LOST,
        };
        let mut record = own::missing(reason, leg.count(), leg.at, Some(self.before));
        record.id = RecordId::new(leg.at, leg.random());
        admit::prepare(core, &mut record);
        record.recorded_at = leg.at;
        record.writer_id = leg.stream;
        record.seq = 1;
        classes.classify(&mut record);
        record.seal(leg.salts(&secret));
        self.is_untold = false;
        batch.push(record);
        Next::Batch { is_full: true }
    }

    /// Returns the number of the frame behind a number of the stream that it is stored under.
    const fn number(&self, position: i64) -> i64 {
        match self.leg {
            None => position,
            Some(leg) if position <= 1 => leg.next - 1,
            Some(leg) => leg.next + position - 2,
        }
    }
}

impl Source for Spooled {
    /// An append covers a run of frames, whatever order its records have within: so they may be put into the
    /// order of their leaves, which keeps the entries of the ledger few.
    fn arrange(&mut self, records: &mut [Box<Record>]) {
        if !self.order.is_empty() {
            return;
        }
        let Some(first) = records.first().map(|record| record.seq) else { return };
        // The first word of a stream and the last one stay where they are.
        let from = usize::from(records.first().is_some_and(|r| own::says(r, own::STARTED)));
        let last = usize::from(records.last().is_some_and(|r| own::says(r, own::STOPPED)));
        if let Some(between) =
            records.len().checked_sub(last).and_then(|to| records.get_mut(from..to))
        {
            sort_by_leaf(between);
        }
        self.order.extend(records.iter().map(|record| record.seq));
        for (record, seq) in records.iter_mut().zip(first..) {
            record.seq = seq;
        }
    }

    fn disarrange(&mut self, records: &mut [Box<Record>]) {
        for (record, seq) in records.iter_mut().zip(self.order.drain(..)) {
            record.seq = seq;
        }
        records.sort_by_key(|record| record.seq);
    }

    fn settled(&mut self, core: &Core, records: &[Box<Record>]) {
        self.order.clear();
        let Some(last) = records.last().map(|record| record.seq) else { return };
        let is_new = |record: &Record| self.number(record.seq) > self.counted;
        if self.is_own {
            core.counters.settle(records.iter().map(|record| &**record).filter(|r| is_new(r)));
        } else {
            let new = records.iter().filter(|record| is_new(record)).count();
            core.counters.drain(new as u64);
        }
        self.settled = self.number(last);
        self.counted = self.counted.max(self.settled);
        if self.is_own
            && let Some(spooling) = &core.spooling
        {
            spooling.note_settled(self.counted);
        }
        if let Some(Parts { reader, .. }) = &mut self.parts {
            reader.acknowledge(last);
        }
    }

    fn is_sent_by_others(&mut self, found: i64) -> bool {
        if self.ahead.replace(found) != Some(found) {
            tracing::warn!(
                stream = %self.stream, found,
                "the store holds more than was sent to it: somebody else has sent a copy of the spool"
            );
        }
        true
    }

    /// The store holds less of the stream than was committed: what is still in the spool is sent again.
    fn disagree(&mut self, core: &Core, batch: &mut Vec<Box<Record>>, found: i64) {
        let committed = batch.first().map_or(0, |record| record.seq - 1);
        batch.drain(..).for_each(|record| core.pool.put_settled(record));
        let stream = self.stream;
        say_restored(core, stream, committed, found);
        self.settled = self.number(found);
        self.known = self.settled;
        self.went_back = true;
        self.displace();
    }
}

fn say_restored(core: &Core, stream: WriterId, committed: i64, found: i64) {
    tracing::error!(
        %stream, committed, found,
        "the store does not hold what was committed to it; what the spool still has is sent again"
    );
    let mut restored = own::restored(&stream.to_string(), committed, found);
    admit::prepare(core, &mut restored);
    if let Some(spooling) = &core.spooling {
        // Where there is no room for it, the line above is all that tells of it.
        let _unsaid = core.spool_own(spooling, restored);
    }
}

fn failed(error: &spool::SpoolError) -> Next {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "the spool could not be read; trying again"
    );
    Next::Failed
}

/// A read, on a thread that may wait for files.
struct Job {
    core: Arc<Core>,
    classes: Arc<Classes>,
    quarantine: Option<PathBuf>,
    stubbed: i64,
    parts: Parts,
    records: Vec<Box<Record>>,
    size: Size,
}

impl Job {
    fn run(mut self) -> (Self, Result<ReadOutcome, spool::SpoolError>) {
        let Parts { reader, buffer } = &mut self.parts;
        let outcome = reader.next_batch(self.size.rows, self.size.bytes, buffer);
        if matches!(outcome, Ok(ReadOutcome::Read)) {
            let mut records = std::mem::take(&mut self.records);
            let mut stubbed = self.stubbed;
            let buffer = &self.parts.buffer;
            let stream = buffer.stream();
            records.extend(buffer.frames().map(|frame| self.record(stream, &frame, &mut stubbed)));
            (self.records, self.stubbed) = (records, stubbed);
        }
        (self, outcome)
    }
}

impl Job {
    fn record(&self, stream: WriterId, frame: &Frame<'_>, stubbed: &mut i64) -> Box<Record> {
        let mut record = self.core.pool.take();
        if let Err(error) = Record::from_portable(frame.record, &mut record) {
            *record = stub(frame);
            if frame.number() > *stubbed {
                *stubbed = frame.number();
                self.keep_aside(stream, frame, &error.to_string());
            }
        }
        record.recorded_at = frame.recorded_at;
        record.writer_id = stream;
        record.seq = frame.seq;
        if frame.is_renumbered() {
            own::renumber(&mut record, frame.seq);
        }
        self.classes.classify(&mut record);
        record.seal(frame.salts());
        record
    }

    /// Keeps the bytes of a frame that is whole and cannot be read.
    fn keep_aside(&self, stream: WriterId, frame: &Frame<'_>, error: &str) {
        self.core.counters.quarantine();
        tracing::error!(
            %stream, seq = frame.seq, error,
            "a record in the spool cannot be read; only a stub of it is stored"
        );
        let Some(path) = &self.quarantine else { return };
        let now = self.core.clock.now();
        if let Err(error) =
            quarantine::keep_bytes(path, stream, frame.seq, frame.record, error, now)
        {
            tracing::error!(
                path = %path.display(), error = &error as &dyn std::error::Error,
                "could not write the quarantine file; only the stub is kept"
            );
        }
    }
}

/// Stands in for a frame that is whole and cannot be read: a later version wrote it.
fn stub(frame: &Frame<'_>) -> Record {
    let mut random = [0; 10];
    random.copy_from_slice(&frame.salts()[0][..10]);
    let unread = Record {
        occurred_at: frame.recorded_at,
        id: RecordId::new(frame.recorded_at, random),
        ..Record::default()
    };
    quarantine::stub(&unread)
}

#[cfg(all(test, unix))]
mod tests;
