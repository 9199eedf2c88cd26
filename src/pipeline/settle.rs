//! Seeing a numbered batch into the store, whatever goes wrong on the way.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    core::Core,
    meters, number, own, quarantine,
    receipts::Fate,
    retry::{Backoff, Complaints},
};
use crate::{
    ledger::Entry,
    record::{PortableError, Record, RecordId, WriterId},
    store::{Append, Appender, Batch, StoreError, StoreErrorKind},
};

/// The deadline of the shutdown has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

/// The store holds less of a stream than was committed, or more than was ever sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// The number of the last record that it should hold.
    pub(super) committed: i64,
    /// The number of the last record that it holds.
    pub(super) found: i64,
}

/// Where a batch came from, which decides how its records are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The recorders of this process.
    Recorders,
    /// An outbox: written by whoever, and not received here.
    Outbox,
}

/// The connection to the store, and what is remembered about its failures.
pub(super) struct Link<S: Append> {
    store: S,
    /// Lives only as long as every call on it succeeds.
    appender: Option<S::Appender>,
    stop: watch::Receiver<Option<Instant>>,
    call_deadline: Duration,
    backoff: Backoff,
    complaints: Complaints,
    /// Apart from the others: a store that was away first and refuses then has something new to say.
    refusals: Complaints,
}

pub(super) enum Cut {
    Store(StoreError),
    Stopped,
}

impl<S: Append> Link<S> {
    pub(super) fn new(
        store: S,
        stop: watch::Receiver<Option<Instant>>,
        call_deadline: Duration,
    ) -> Self {
        Self {
            store,
            appender: None,
            stop,
            call_deadline,
            backoff: Backoff::default(),
            complaints: Complaints::default(),
            refusals: Complaints::default(),
        }
    }

    /// Connects, and asks where a stream stands: under the lock of the appends, so that one whose answer
    /// never came has ended by then.
    async fn connect(&mut self, stream: WriterId) -> Result<(S::Appender, i64), Cut> {
        let limit = self.call_deadline;
        let mut appender = bounded(self.store.connect(), "connect", limit, &mut self.stop).await?;
        let call = appender.position(stream);
        let position = bounded(call, "read the position", limit, &mut self.stop).await?;
        Ok((appender, position))
    }

    /// Bounds a call to something else than the store by the same deadlines.
    pub(super) async fn bounded<T>(
        &mut self,
        doing: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Cut> {
        bounded(call, doing, self.call_deadline, &mut self.stop).await
    }

    /// Waits before the next attempt.
    async fn pause(&mut self) -> Result<(), Stopped> {
        let wait = self.backoff.next(rand::random());
        self.sleep(wait).await
    }

    /// Waits for so long, or until the deadline of the shutdown has passed.
    pub(super) async fn sleep(&mut self, wait: Duration) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = sleep(wait) => Ok(()),
            () = past(&mut self.stop) => Err(Stopped),
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
        self.complaints.reset();
        self.refusals.reset();
    }
}

/// Completes when the deadline of the shutdown has passed.
async fn past(stop: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let deadline = *stop.borrow_and_update();
        tokio::select! {
            () = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            } => return,
            // An earlier deadline may have been set. The sender lives as long as the writer.
            _ = stop.changed() => {}
        }
    }
}

/// Bounds a call to the store: a database that hangs is one that has failed.
async fn bounded<T>(
    call: impl Future<Output = Result<T, StoreError>>,
    doing: &'static str,
    limit: Duration,
    stop: &mut watch::Receiver<Option<Instant>>,
) -> Result<T, Cut> {
    tokio::select! {
        biased;
        result = unpanicked(call, doing) => result.map_err(Cut::Store),
        () = sleep(limit) => {
            let doing = format!("{doing} within {limit:?}");
            Err(Cut::Store(StoreError::new(StoreErrorKind::Transient, doing)))
        }
        () = past(stop) => Err(Cut::Stopped),
    }
}

/// A store may be the application's, and a panic in it must not end everybody's audit trail: it is a
/// failure like others, whose connection is not used again and whose outcome is asked for.
async fn unpanicked<T>(
    call: impl Future<Output = Result<T, StoreError>>,
    doing: &'static str,
) -> Result<T, StoreError> {
    let mut call = pin!(call);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
        polled.unwrap_or_else(|_panic| {
            let doing = format!("{doing}: the store panicked");
            Poll::Ready(Err(StoreError::new(StoreErrorKind::Transient, doing)))
        })
    })
    .await
}

/// Sees numbered batches into the store.
pub(super) struct Settler<S: Append> {
    pub(super) core: Arc<Core>,
    pub(super) link: Link<S>,
    source: Source,
    /// What is settled leaves it at the front.
    pub(super) batch: Vec<Box<Record>>,
    /// How many records at the front of the batch the store may hold, for all that is known.
    pub(super) unsure: usize,
    /// The number of the last record that a stub has taken the place of.
    stubbed: i64,
    /// The number of the last stub that was given an id of its own.
    renamed: i64,
    quarantine: Option<PathBuf>,
    begun: Instant,
}

impl<S: Append> Settler<S> {
    pub(super) fn new(
        core: Arc<Core>,
        link: Link<S>,
        source: Source,
        quarantine: Option<PathBuf>,
    ) -> Self {
        Self {
            core,
            link,
            source,
            batch: Vec::new(),
            unsure: 0,
            stubbed: 0,
            renamed: 0,
            quarantine,
            begun: Instant::now(),
        }
    }

    /// The stream goes on under another name: what is remembered of the old one's numbers means nothing.
    pub(super) fn begin_anew(&mut self) {
        (self.stubbed, self.renamed) = (0, 0);
    }

    /// Returns where a stream stands, once the store has answered.
    pub(super) async fn position(&mut self, stream: WriterId) -> Result<i64, Stopped> {
        loop {
            if let Some(mut appender) = self.link.appender.take() {
                let asked = self.link.bounded("read the position", appender.position(stream)).await;
                match asked {
                    Ok(position) => {
                        self.link.appender = Some(appender);
                        return Ok(position);
                    }
                    Err(Cut::Stopped) => return Err(Stopped),
                    // Idle for long, perhaps: a new connection decides.
                    Err(Cut::Store(_)) => {}
                }
            }
            match self.link.connect(stream).await {
                Ok((appender, position)) => {
                    self.link.appender = Some(appender);
                    return Ok(position);
                }
                Err(Cut::Stopped) => return Err(Stopped),
                Err(Cut::Store(error)) => self.wait_out(&error).await?,
            }
        }
    }

    /// Returns when every record of the batch is stored, when the stream is found to stand elsewhere, or when
    /// the deadline of the shutdown passes.
    pub(super) async fn settle(&mut self) -> Result<Result<(), Elsewhere>, Stopped> {
        // Numbers at which the batch is split while a bad record is looked for; the nearest is last.
        let mut splits: Vec<i64> = Vec::new();
        while let (Some(first), Some(last)) = (self.batch.first(), self.batch.last()) {
            let (first, last) = (first.seq, last.seq);
            while splits.pop_if(|split| *split < first).is_some() {}
            let upto = splits.last().map_or(last, |split| last.min(*split));
            let count = usize::try_from(upto - first + 1).unwrap_or(1).min(self.batch.len());
            let mut appender = match self.link.appender.take() {
                Some(appender) => appender,
                None => match self.connect(first, last).await? {
                    Ok(Some(appender)) => appender,
                    Ok(None) => continue,
                    Err(elsewhere) => return Ok(Err(elsewhere)),
                },
            };
            let Some(batch) = Batch::new(&self.batch[..count]) else {
                // Not reached: numbering leaves no gap, and records leave only at the front.
                tracing::error!("a batch of activity records was not numbered in order");
                self.link.appender = Some(appender);
                return Ok(Err(Elsewhere { committed: first - 1, found: first - 1 }));
            };
            // Until the answer is there the outcome is open, also if the task ends right here.
            self.unsure = count;
            let call = appender.append(batch);
            match bounded(call, "append a batch", self.link.call_deadline, &mut self.link.stop)
                .await
            {
                Ok(appended) => {
                    self.link.appender = Some(appender);
                    self.link.succeeded();
                    self.settled(count, &appended.entries);
                }
                Err(Cut::Stopped) => return Err(Stopped),
                Err(Cut::Store(error)) => {
                    // Never used again: after a deadline it may be one reply off.
                    drop(appender);
                    match error.kind() {
                        StoreErrorKind::Data if count > 1 => {
                            self.unsure = 0;
                            splits.push(first + i64::try_from(count / 2).unwrap_or(1) - 1);
                        }
                        StoreErrorKind::Data if !self.is_stub() => {
                            self.unsure = 0;
                            self.put_stub(&error).await;
                        }
                        StoreErrorKind::Data if self.renamed != first => {
                            self.unsure = 0;
                            self.rename_stub();
                        }
                        _ => self.wait_out(&error).await?,
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    /// Connects, and finds out where the stream stands. `None` means that the batch has changed.
    async fn connect(
        &mut self,
        first: i64,
        last: i64,
    ) -> Result<Result<Option<S::Appender>, Elsewhere>, Stopped> {
        let stream = self.batch.first().map_or_else(WriterId::default, |record| record.writer_id);
        let (appender, position) = match self.link.connect(stream).await {
            Ok(connected) => connected,
            Err(Cut::Stopped) => return Err(Stopped),
            Err(Cut::Store(error)) => {
                self.wait_out(&error).await?;
                return Ok(Ok(None));
            }
        };
        // From here on it is known what the store holds.
        self.unsure = 0;
        if position == first - 1 {
            return Ok(Ok(Some(appender)));
        }
        self.link.appender = Some(appender);
        if !(first..=last).contains(&position) {
            return Ok(Err(Elsewhere { committed: first - 1, found: position }));
        }
        // The answer that named its entries never came.
        self.settled(usize::try_from(position - first + 1).unwrap_or(0), &[]);
        Ok(Ok(None))
    }

    /// Counts `count` records at the front of the batch as stored, and hands them on with the `entries`
    /// that they have in the ledger.
    fn settled(&mut self, count: usize, entries: &[Entry]) {
        let (mut stored, mut own, mut gaps) = (0, 0, 0);
        for record in &self.batch[..count.min(self.batch.len())] {
            if own::is_own(record) {
                own += 1;
                gaps += u64::from(record.action == own::GAP);
            } else {
                stored += 1;
            }
        }
        let records = self.batch.iter().take(count).map(|record| &**record);
        self.core.receipts.tell(records, Fate::Stored);
        match self.source {
            Source::Recorders => self.core.counters.store(stored),
            Source::Outbox => self.core.outboxes.store(stored),
        }
        self.core.counters.store_own(own, gaps);
        self.unsure = self.unsure.saturating_sub(count);
        let left = self.batch.split_off(count.min(self.batch.len()));
        let settled = std::mem::replace(&mut self.batch, left);
        let emptied =
            self.core.feed.publish(settled, entries, |record| self.core.pool.put_settled(record));
        if self.batch.is_empty() {
            // The larger buffer stays in use.
            self.batch = emptied;
        }
        self.core.committed.send_replace(());
    }

    /// Says what is wrong, and waits as long as the kind of error asks for.
    pub(super) async fn wait_out(&mut self, error: &StoreError) -> Result<(), Stopped> {
        self.core.counters.retry();
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
                        queued = self.core.queue.len(),
                        "the activity store refuses; records are held until it is put right"
                    );
                }
            }
            StoreErrorKind::Transient | StoreErrorKind::StalePrimary => {
                if self.link.complaints.pass(now) {
                    tracing::warn!(
                        error = error as &dyn std::error::Error,
                        queued = self.core.queue.len(),
                        "the activity store is away; trying again"
                    );
                }
            }
        }
        self.link.pause().await
    }

    /// Puts bytes that cannot be read as a record into the quarantine file; a stub of it goes on.
    pub(super) async fn keep_unreadable(
        &mut self,
        id: RecordId,
        bytes: &[u8],
        error: PortableError,
    ) {
        self.core.outboxes.quarantine();
        tracing::error!(
            %id, error = &error as &dyn std::error::Error, file = self.quarantine.is_some(),
            "an activity record cannot be read; a stub of it goes to the store, and its bytes to the quarantine \
             file if there is one"
        );
        let Some(path) = self.quarantine.clone() else { return };
        let (bytes, now) = (bytes.to_vec(), self.core.clock.now());
        let kept = tokio::task::spawn_blocking(move || {
            quarantine::keep_bytes(&path, id, &bytes, &error.to_string(), now)
                .map_err(|error| (path, error))
        })
        .await;
        if let Ok(Err((path, error))) = kept {
            tracing::error!(
                %id, path = %path.display(), error = &error as &dyn std::error::Error,
                "could not write the quarantine file; only the stub is kept"
            );
        }
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
    async fn put_stub(&mut self, error: &StoreError) {
        let Some(front) = self.batch.first_mut() else { return };
        self.core.receipts.tell([&**front], Fate::Unstorable);
        let mut stub = quarantine::stub(front);
        number::seal(&mut stub);
        self.stubbed = stub.seq;
        let record = std::mem::replace(&mut **front, stub);
        match self.source {
            Source::Recorders => self.core.counters.quarantine(),
            Source::Outbox => self.core.outboxes.quarantine(),
        }
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
