//! Seeing a numbered batch into the store, whatever goes wrong on the way.

use std::{path::PathBuf, sync::Arc};

use tokio::time::Instant;

use super::{
    core::Core,
    epoch::Epochs,
    erasure::{Arrivals, News},
    link::{Cut, Link, Stopped},
    meters, number, quarantine,
    receipts::Fate,
    source::Source,
};
use crate::{
    ledger::Entry,
    record::{Record, RecordId, WriterId},
    store::{Append, Batch, Restricted, StoreError, StoreErrorKind},
};

/// A batch, and the connection that it goes over.
pub(super) struct Settler<S: Append> {
    pub(super) core: Arc<Core>,
    pub(super) link: Link<S>,
    /// What is settled leaves it at the front.
    pub(super) batch: Vec<Box<Record>>,
    /// How many records at the front of the batch the store may hold, for all that is known.
    pub(super) unsure: usize,
    /// The number of the last record that a stub has taken the place of.
    stubbed: i64,
    /// The number of the last stub that was given an id of its own.
    renamed: i64,
    quarantine: Option<PathBuf>,
    epochs: Epochs,
    begun: Instant,
    /// What was taken out of records of the batch, and goes aside with them: holds are on it.
    restricted: Vec<Restricted>,
}

impl<S: Append> Settler<S> {
    pub(super) fn new(core: Arc<Core>, link: Link<S>, quarantine: Option<PathBuf>) -> Self {
        Self {
            core,
            link,
            batch: Vec::new(),
            unsure: 0,
            stubbed: 0,
            renamed: 0,
            quarantine,
            epochs: Epochs::default(),
            begun: Instant::now(),
            restricted: Vec::new(),
        }
    }

    /// Returns when every record of the batch is stored, or has to be read again, or when the deadline of the
    /// shutdown passes.
    pub(super) async fn settle(&mut self, source: &mut impl Source) -> Result<(), Stopped> {
        let begun = Instant::now();
        let _on_its_way = self.core.erased.sending();
        // The numbers of the last stubs were those of the last batch.
        (self.stubbed, self.renamed) = (0, 0);
        let Self { batch, restricted, .. } = self;
        restricted.retain(|kept| batch.iter().any(|record| record.id == kept.id));
        // Numbers at which the batch is split while a bad record is looked for; the nearest is last.
        let mut splits: Vec<i64> = Vec::new();
        let mut stripped = false;
        while let (Some(first), Some(last)) = (self.batch.first(), self.batch.last()) {
            let (stream, first, last) = (first.writer_id, first.seq, last.seq);
            while splits.pop_if(|split| *split < first).is_some() {}
            let upto = splits.last().map_or(last, |split| last.min(*split));
            let count = usize::try_from(upto - first + 1).unwrap_or(1).min(self.batch.len());
            let appender = match self.link.appender.take() {
                Some(appender) => appender,
                None => match self.connect(source, stream, first, last).await? {
                    Some(appender) => {
                        // The store was away for a while: others may have erased somebody meanwhile.
                        stripped = false;
                        appender
                    }
                    None => continue,
                },
            };
            if !stripped {
                // Not before somebody answers: a store that is away is found out without it.
                self.strip().await?;
                stripped = true;
            }
            source.arrange(&mut self.batch[..count]);
            let Some(batch) = Batch::new(&self.batch[..count]) else {
                // Not reached: numbering leaves no gap, and records leave only at the front.
                tracing::error!("a batch of activity records was not numbered in order");
                source.disagree(&self.core, &mut self.batch, first - 1);
                continue;
            };
            // Until the answer is there the outcome is open, also if the task ends right here.
            self.unsure = count;
            let batch = batch.restricting(&self.restricted);
            match self.link.append(appender, self.epochs.mark(batch)).await {
                Ok(appended) => self.settled(source, count, &appended.entries),
                Err(Cut::Stopped) => return Err(Stopped),
                Err(Cut::Store(error)) => match error.kind() {
                    StoreErrorKind::Data if count > 1 => {
                        self.unsure = 0;
                        source.disarrange(&mut self.batch[..count]);
                        splits.push(first + i64::try_from(count / 2).unwrap_or(1) - 1);
                    }
                    StoreErrorKind::Data if !self.is_stub() => {
                        self.unsure = 0;
                        self.put_stub(source, &error).await;
                    }
                    StoreErrorKind::Data if self.renamed != first => {
                        self.unsure = 0;
                        self.rename_stub();
                    }
                    _ => self.wait_out(&error).await?,
                },
            }
        }
        meters::batch(begun.elapsed());
        Ok(())
    }

    /// Empties what is about people who were erased, or puts it aside where a hold is on it. The list may take as long as an append; one that cannot be read
    /// keeps no record back.
    async fn strip(&mut self) -> Result<(), Stopped> {
        let reading = self.core.erased.refresh();
        match self.link.bounded("read the list of who was erased", reading).await {
            Ok(News::Nobody) => {}
            Ok(news) => {
                // What is sent from here on is emptied; what was sent goes with its files.
                if let Some(spooling) = &self.core.spooling {
                    let spool = spooling.spool.clone();
                    let before = match news {
                        News::Before(before) => Some(before),
                        News::Now | News::Nobody => None,
                    };
                    tokio::task::spawn_blocking(move || spool.leave_stored(before));
                }
            }
            Err(Cut::Stopped) => return Err(Stopped),
            Err(Cut::Store(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "the list of who was erased could not be read; `activity subject erase --replay` looks for what came meanwhile"
                );
            }
        }
        let concerned = self.core.erased.concerned(&self.batch);
        if !concerned.is_empty() {
            let asking = async { Ok(self.core.erased.holds().await) };
            let holds = match self.link.bounded("read which holds stand", asking).await {
                Ok(holds) => holds,
                Err(Cut::Stopped) => return Err(Stopped),
                Err(Cut::Store(_)) => None,
            };
            let kept = Arrivals::strip(&mut self.batch, &concerned, holds.as_ref());
            self.restricted.extend(kept);
        }
        Ok(())
    }

    /// Returns where a stream stands, however long it takes until the store says so.
    pub(super) async fn position(&mut self, stream: WriterId) -> Result<i64, Stopped> {
        loop {
            match self.link.position(stream).await {
                Ok(position) => {
                    self.core.set_away(false);
                    return Ok(position);
                }
                Err(Cut::Stopped) => return Err(Stopped),
                Err(Cut::Store(error)) => self.wait_out(&error).await?,
            }
        }
    }

    /// The store was found to hold less than was committed to it: the next batch says so, unless a batch has
    /// said so already. `known_at` is the connection over which it was last seen to hold all of it.
    pub(super) const fn lose(&mut self, known_at: u64) {
        self.epochs.lose(known_at, self.link.connections);
    }

    /// Connects, and finds out where the stream stands. `None` means that the batch has changed.
    async fn connect(
        &mut self,
        source: &mut impl Source,
        stream: WriterId,
        first: i64,
        last: i64,
    ) -> Result<Option<S::Appender>, Stopped> {
        let (appender, position) = match self.link.connect(stream).await {
            Ok(connected) => connected,
            Err(Cut::Stopped) => return Err(Stopped),
            Err(Cut::Store(error)) => {
                self.wait_out(&error).await?;
                return Ok(None);
            }
        };
        // From here on it is known what the store holds.
        let sent = i64::try_from(std::mem::take(&mut self.unsure)).unwrap_or(0);
        if position != first - 1 + sent {
            // Whoever else has sent some of these has cut them elsewhere, and what is in front now may not be what
            // was numbered first.
            source.disarrange(&mut self.batch);
        }
        if position == first - 1 {
            return Ok(Some(appender));
        }
        self.link.appender = Some(appender);
        let is_beyond = position > last && source.is_sent_by_others(position);
        if is_beyond || (first..=last).contains(&position) {
            // The answer that named its entries never came.
            let count = usize::try_from(position.min(last) - first + 1).unwrap_or(0);
            self.core.counters.duplicate(count as u64);
            self.settled(source, count, &[]);
            // The store answers, and this went on.
            self.link.succeeded();
        } else {
            (self.stubbed, self.renamed) = (0, 0);
            if position < first {
                // A stream that is sent was compared with the store since any earlier loss.
                self.epochs.lose(self.link.connections, self.link.connections);
            }
            source.disagree(&self.core, &mut self.batch, position);
        }
        Ok(None)
    }

    /// Counts `count` records at the front of the batch as stored, and hands them on with the `entries`
    /// that they have in the ledger.
    fn settled(&mut self, source: &mut impl Source, count: usize, entries: &[Entry]) {
        let count = count.min(self.batch.len());
        self.core.set_away(false);
        self.epochs.settled(entries);
        self.core.receipts.tell(self.batch[..count].iter().map(|record| &**record), Fate::Stored);
        source.settled(&self.core, &self.batch[..count]);
        self.unsure = self.unsure.saturating_sub(count);
        let left = self.batch.split_off(count);
        let settled = std::mem::replace(&mut self.batch, left);
        let emptied =
            self.core.feed.publish(settled, entries, |record| self.core.pool.put_settled(record));
        if self.batch.is_empty() {
            // The larger buffer stays in use.
            self.batch = emptied;
        }
        self.core.committed.send_modify(|_has_ended| ());
    }

    /// Says what is wrong, and waits as long as the kind of error asks for.
    async fn wait_out(&mut self, error: &StoreError) -> Result<(), Stopped> {
        self.core.counters.retry();
        self.core.set_away(true);
        meters::publish(&self.core);
        let now = self.begun.elapsed();
        match error.kind() {
            StoreErrorKind::Position { .. } => {
                // Nothing was changed. The next connection says where the stream stands.
                self.unsure = 0;
                if self.link.backoff.is_fresh() {
                    let _counts_as_an_attempt = self.link.backoff.next(0.0);
                    return Ok(());
                }
            }
            StoreErrorKind::StalePrimary if self.link.backoff.is_fresh() => {
                let _counts_as_an_attempt = self.link.backoff.next(0.0);
                return Ok(());
            }
            StoreErrorKind::Configuration | StoreErrorKind::Data => {
                self.unsure = 0;
                if self.link.refusals.pass(now) {
                    tracing::error!(
                        error = error as &dyn std::error::Error,
                        held = self.batch.len(),
                        waiting = self.waiting(),
                        "the activity store refuses; records are held until it is put right"
                    );
                }
            }
            StoreErrorKind::Transient | StoreErrorKind::StalePrimary => {
                if self.link.complaints.pass(now) {
                    tracing::warn!(
                        error = error as &dyn std::error::Error,
                        waiting = self.waiting(),
                        "the activity store is away; trying again"
                    );
                }
            }
        }
        self.link.pause().await
    }

    fn waiting(&self) -> u64 {
        let tally = self.core.counters.snapshot();
        tally.queued + tally.spooled
    }

    fn is_stub(&self) -> bool {
        self.batch.first().is_some_and(|record| record.seq == self.stubbed)
    }

    /// Gives the stub at the front an id of its own: what a stub still has that can be refused is an id
    /// that another record has.
    fn rename_stub(&mut self) {
        let core = &self.core;
        let Some(stub) = self.batch.first_mut() else { return };
        quarantine::rename(stub, RecordId::from_bytes(core.ids.id(stub.occurred_at)));
        number::seal(stub);
        self.renamed = stub.seq;
    }

    /// Puts a stub in the place of the record at the front, and the record into the quarantine file.
    async fn put_stub(&mut self, source: &mut impl Source, error: &StoreError) {
        let Some(front) = self.batch.first_mut() else { return };
        self.core.receipts.tell([&**front], Fate::Unstorable);
        let mut stub = quarantine::stub(front);
        number::seal(&mut stub);
        self.stubbed = stub.seq;
        let mut record = std::mem::replace(&mut **front, stub);
        let id = record.id;
        for kept in self.restricted.extract_if(.., |kept| kept.id == id) {
            kept.unveil(&mut record);
        }
        source.quarantined(&self.core);
        let (id, seq) = (record.id, record.seq);
        let Some(path) = self.quarantine.clone() else {
            tracing::error!(
                %id, seq, error = error as &dyn std::error::Error,
                "an activity record cannot be stored; only a stub of it is kept, for want of a quarantine file"
            );
            return;
        };
        tracing::error!(
            %id, seq, error = error as &dyn std::error::Error,
            "an activity record cannot be stored; it goes to the quarantine file, and a stub of it to the store"
        );
        let (said, now) = (error.to_string(), self.core.clock.now());
        let kept = tokio::task::spawn_blocking(move || {
            quarantine::keep(&path, &record, &said, now).map_err(|error| (path, error))
        })
        .await;
        if let Ok(Err((path, error))) = kept {
            tracing::error!(
                %id, seq, path = %path.display(), error = &error as &dyn std::error::Error,
                "could not write the quarantine file; only the stub is kept"
            );
        }
    }
}
