//! One stream of the spool on its way to the store: where it is read, and what the store has of it.

mod reading;

use std::{path::PathBuf, sync::Arc};

use tokio::time::Instant;

pub(super) use reading::Means;
use reading::Reading;

use super::{
    admit,
    classes::sort_by_leaf,
    core::Core,
    link::Stopped,
    own,
    source::Source,
    spool::{self, Break, Cause, OldStream, ReadOutcome, Reader},
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
    reading: Reading,
    /// The stream of an earlier process, until what it began has an end.
    unended: Option<Arc<OldStream>>,
    /// That it ended could not be written; what is there goes first.
    is_unsaid: bool,
    stream: WriterId,
    /// The one that goes on as `stream`.
    before: WriterId,
    /// The name that it has before every gap.
    name: WriterId,
    is_own: bool,
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
    /// The numbers that the records of an append had before it was arranged.
    order: Vec<i64>,
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
            name: reader.stream(),
            reading: Reading::new(reader, quarantine),
            is_own: false,
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

    /// Has nothing read that was not asked for: gives up what was read ahead.
    pub(super) async fn recall(&mut self, core: &Core) -> Result<(), Stopped> {
        if let Some(done) = self.reading.back().await? {
            let (mut records, ..) = self.reading.receive(done);
            records.drain(..).for_each(|record| core.pool.put_settled(record));
            self.reading.reuse(records);
        }
        Ok(())
    }

    /// Goes on behind the store's position; what was read ahead was [given up](Self::recall). Returns false when the store
    /// had more before, which is said aloud.
    pub(super) fn place(&mut self, core: &Core, position: i64) -> bool {
        self.settled = self.number(position);
        let end = self.reading.reader().and_then(|reader| reader.end_of_leg());
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
        let is_untold = self.is_untold;
        if let Some(reader) = self.reading.reader() {
            if !is_untold {
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
        self.reading.restart();
        self.stream = self.name;
    }

    /// Tells whether the next batch is being read, or waits to be asked for.
    pub(super) const fn is_ahead(&self) -> bool {
        self.reading.is_away()
    }

    /// Begins to read the next batch before it is asked for, where it is known which one that is.
    ///
    /// Positions stay as they are: what was read counts for nothing until [`read`](Self::read) returns it, and it is
    /// given up when the stream has to be placed anew.
    pub(super) fn read_ahead(&mut self, means: &Means) {
        let is_ended = self.unended.is_none() || self.is_unsaid;
        if self.is_placed && !self.is_untold && !self.is_over && is_ended {
            self.reading.send(means);
        }
    }

    /// Reads the next batch into `batch`, which is empty.
    pub(super) async fn read(
        &mut self,
        means: &Means,
        batch: &mut Vec<Box<Record>>,
    ) -> Result<Next, Stopped> {
        if let Some(old) = self.unended.as_ref().filter(|_| !self.is_unsaid) {
            let (core, old, position) = (Arc::clone(&means.core), Arc::clone(old), self.settled);
            let ended = tokio::task::spawn_blocking(move || unfinished::end(&core, &old, position));
            match ended.await.map_err(|_| Stopped)? {
                Ok(true) => self.unended = None,
                Ok(false) => self.is_unsaid = true,
                Err(error) => return Ok(failed(&error)),
            }
        }
        if let Some(leg) = self.leg.filter(|_| self.is_untold) {
            return Ok(self.tell(means, leg, batch));
        }
        let was_ahead = self.is_ahead();
        let mut outcome = self.take(means, batch).await?;
        if was_ahead && matches!(outcome, Ok((ReadOutcome::Empty, _))) {
            // Something may have come since.
            outcome = self.take(means, batch).await?;
        }
        Ok(match outcome {
            Ok((ReadOutcome::Read, bytes)) => {
                let size = means.size;
                Next::Batch { is_full: batch.len() >= size.rows || bytes >= size.bytes / 2 }
            }
            Ok((ReadOutcome::Empty, _)) => Next::Nothing,
            // All that there is, but for the last word.
            Ok((ReadOutcome::End, _)) if std::mem::take(&mut self.is_unsaid) => Next::Failed,
            Ok((ReadOutcome::End, _)) => {
                self.is_over = true;
                Next::Nothing
            }
            Ok((ReadOutcome::Broken(leg), _)) => {
                self.go_on(&means.core, leg);
                Next::Again
            }
            Err(error) => failed(&error),
        })
    }

    /// Takes what was read ahead, or reads.
    async fn take(
        &mut self,
        means: &Means,
        batch: &mut Vec<Box<Record>>,
    ) -> Result<Result<(ReadOutcome, usize), spool::SpoolError>, Stopped> {
        self.reading.send(means);
        let Some(done) = self.reading.back().await? else { return Err(Stopped) };
        let (records, bytes, outcome) = self.reading.receive(done);
        self.reading.reuse(std::mem::replace(batch, records));
        Ok(outcome.map(|outcome| (outcome, bytes)))
    }

    /// Goes on behind a gap, under another name.
    fn go_on(&mut self, core: &Core, leg: Break) {
        self.before = std::mem::replace(&mut self.stream, leg.stream);
        self.leg = Some(leg);
        self.is_placed = false;
        // Of its own stream a process always knows the numbers.
        if self.is_own && leg.cause == Cause::Damaged && leg.next - 1 > self.counted {
            let lost = leg.first_missing.max(self.counted + 1)..leg.next;
            let own = core.spooling.as_ref().map_or(0, |it| it.own_among(lost.clone()));
            let count = lost.end.abs_diff(lost.start).saturating_sub(own);
            core.counters.drop_unseen(count, core.clock.now(), core.clock.monotonic());
            self.counted = leg.next - 1;
        }
    }

    /// Makes the record that tells of a gap: the same one each time.
    fn tell(&mut self, means: &Means, leg: Break, batch: &mut Vec<Box<Record>>) -> Next {
        let secret = self.reading.reader().map(Reader::secret);
        let Some(Ok(secret)) = secret else { return Next::Failed };
        let reason = match leg.cause {
            Cause::Damaged | Cause::Unreadable => SPOOL_DAMAGED,
            Cause::Removed => STORE_LOST,
        };
        let mut record = own::missing(reason, leg.count(), leg.at, Some(self.before));
        record.id = RecordId::new(leg.at, leg.random());
        admit::prepare(&means.core, &mut record);
        record.recorded_at = leg.at;
        record.writer_id = leg.stream;
        record.seq = 1;
        means.classes.classify(&mut record);
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
        // What is sent again may have been counted in part: which part, the numbers of the frames tell, and not those that
        // an arranged record is stored under.
        let new = records.iter().enumerate().filter_map(|(index, record)| {
            let frame = self.order.get(index).copied().unwrap_or(record.seq);
            (self.number(frame) > self.counted).then_some(&**record)
        });
        if self.is_own {
            core.counters.settle(new);
        } else {
            core.counters.drain(new.count() as u64);
        }
        self.order.clear();
        let Some(last) = records.last().map(|record| record.seq) else { return };
        self.settled = self.number(last);
        self.counted = self.counted.max(self.settled);
        if self.is_own
            && let Some(spooling) = &core.spooling
        {
            spooling.note_settled(self.counted);
        }
        self.reading.acknowledge(self.settled);
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

#[cfg(all(test, unix))]
mod tests;
