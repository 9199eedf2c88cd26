//! Frames into records, on another thread; and the next batch, while the store works on the last one.

use std::{path::PathBuf, sync::Arc};

use tokio::task::JoinHandle;

use crate::{
    pipeline::{
        classes::Classes,
        core::Core,
        drain::Size,
        link::Stopped,
        own, quarantine,
        spool::{self, Frame, ReadOutcome, Reader, SpoolError},
    },
    record::{Record, RecordId, WriterId},
};

/// What reads need, whichever stream they are of.
#[derive(Clone)]
pub(in crate::pipeline) struct Means {
    pub(in crate::pipeline) core: Arc<Core>,
    pub(in crate::pipeline) classes: Arc<Classes>,
    pub(in crate::pipeline) size: Size,
}

/// The reader of a stream. It is at hand, or away on another thread, where it reads one batch; what it is told meanwhile
/// it hears when it is back.
pub(super) struct Reading {
    at_hand: Option<Parts>,
    away: Option<JoinHandle<Done>>,
    quarantine: Option<PathBuf>,
    /// Up to this number, what cannot be read was kept aside and counted; it may be read once more.
    stubbed: i64,
    /// The store has the frames up to this number.
    acknowledged: Option<i64>,
    must_restart: bool,
    /// An empty buffer for the records of a next read.
    spare: Vec<Box<Record>>,
}

struct Parts {
    reader: Reader,
    buffer: spool::Batch,
}

/// What a read came to.
pub(super) struct Done {
    parts: Parts,
    stubbed: i64,
    pub(super) records: Vec<Box<Record>>,
    /// How many bytes the frames of the records have.
    pub(super) bytes: usize,
    pub(super) outcome: Result<ReadOutcome, SpoolError>,
}

impl Reading {
    pub(super) fn new(reader: Reader, quarantine: Option<PathBuf>) -> Self {
        Self {
            at_hand: Some(Parts { reader, buffer: spool::Batch::default() }),
            away: None,
            quarantine,
            stubbed: 0,
            acknowledged: None,
            must_restart: false,
            spare: Vec::new(),
        }
    }

    /// Returns the reader, unless it is away.
    pub(super) fn reader(&mut self) -> Option<&mut Reader> {
        self.at_hand.as_mut().map(|parts| &mut parts.reader)
    }

    pub(super) const fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// Begins to read a batch, if the reader is at hand. Files are read, records decoded and sealed: not what requests
    /// should wait for.
    pub(super) fn send(&mut self, means: &Means) {
        let Some(parts) = self.at_hand.take() else { return };
        let job = Job {
            means: means.clone(),
            quarantine: self.quarantine.clone(),
            stubbed: self.stubbed,
            records: std::mem::take(&mut self.spare),
            parts,
        };
        self.away = Some(tokio::task::spawn_blocking(|| job.run()));
    }

    /// Waits for the reader, if it is away, and returns what it has read.
    ///
    /// # Cancel safety
    ///
    /// Whoever asks again gets what was read.
    ///
    /// # Errors
    ///
    /// The runtime is ending.
    pub(super) async fn back(&mut self) -> Result<Option<Done>, Stopped> {
        let Some(away) = &mut self.away else { return Ok(None) };
        let done = away.await;
        self.away = None;
        Ok(Some(done.map_err(|_| Stopped)?))
    }

    /// Has the reader at hand again, and lets it hear what it was told meanwhile. Returns what it has read, with an empty
    /// buffer of records in its place.
    pub(super) fn receive(
        &mut self,
        done: Done,
    ) -> (Vec<Box<Record>>, usize, Result<ReadOutcome, SpoolError>) {
        let Done { mut parts, stubbed, records, bytes, outcome } = done;
        self.stubbed = stubbed;
        if let Some(number) = self.acknowledged.take() {
            parts.reader.acknowledge_number(number);
        }
        if std::mem::take(&mut self.must_restart) {
            parts.reader.restart();
        }
        self.at_hand = Some(parts);
        (records, bytes, outcome)
    }

    /// Keeps an empty buffer for the next read.
    pub(super) fn reuse(&mut self, records: Vec<Box<Record>>) {
        if records.capacity() > self.spare.capacity() {
            self.spare = records;
        }
    }

    /// Takes note that the store has the frames up to this number.
    pub(super) fn acknowledge(&mut self, number: i64) {
        match self.reader() {
            Some(reader) => reader.acknowledge_number(number),
            None => self.acknowledged = self.acknowledged.max(Some(number)),
        }
    }

    /// Has the stream read from its beginning.
    pub(super) fn restart(&mut self) {
        match self.reader() {
            Some(reader) => reader.restart(),
            None => {
                self.must_restart = true;
                // The store may have less by now: it is asked before anything counts as stored.
                self.acknowledged = None;
            }
        }
    }
}

/// A read, on a thread that may wait for files.
struct Job {
    means: Means,
    quarantine: Option<PathBuf>,
    stubbed: i64,
    records: Vec<Box<Record>>,
    parts: Parts,
}

impl Job {
    fn run(mut self) -> Done {
        let Size { rows, bytes, .. } = self.means.size;
        let Parts { reader, buffer } = &mut self.parts;
        let outcome = reader.next_batch(rows, bytes, buffer);
        let mut bytes = 0;
        if matches!(outcome, Ok(ReadOutcome::Read)) {
            let mut records = std::mem::take(&mut self.records);
            let mut stubbed = self.stubbed;
            let buffer = &self.parts.buffer;
            let stream = buffer.stream();
            records.extend(buffer.frames().map(|frame| self.record(stream, &frame, &mut stubbed)));
            bytes = buffer.bytes();
            (self.records, self.stubbed) = (records, stubbed);
        }
        let Self { parts, stubbed, records, .. } = self;
        Done { parts, stubbed, records, bytes, outcome }
    }

    fn record(&self, stream: WriterId, frame: &Frame<'_>, stubbed: &mut i64) -> Box<Record> {
        let mut record = self.means.core.pool.take();
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
        self.means.classes.classify(&mut record);
        record.seal(frame.salts());
        record
    }

    /// Keeps the bytes of a frame that is whole and cannot be read.
    fn keep_aside(&self, stream: WriterId, frame: &Frame<'_>, error: &str) {
        let core = &self.means.core;
        core.counters.quarantine();
        tracing::error!(
            %stream, seq = frame.seq, error,
            "a record in the spool cannot be read; only a stub of it is stored"
        );
        let Some(path) = &self.quarantine else { return };
        let now = core.clock.now();
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
