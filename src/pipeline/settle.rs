//! Seeing a numbered batch into the store, whatever goes wrong on the way.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    meters, number, own, quarantine,
    receipts::Fate,
    retry::{Backoff, Complaints},
    writer::Writer,
};
use crate::{
    record::RecordId,
    store::{Append, Appender, Batch, StoreError, StoreErrorKind},
};

/// The deadline of the shutdown has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

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

enum Cut {
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

    /// Waits before the next attempt.
    async fn pause(&mut self) -> Result<(), Stopped> {
        let wait = self.backoff.next(rand::random());
        tokio::select! {
            biased;
            () = sleep(wait) => Ok(()),
            () = past(&mut self.stop) => Err(Stopped),
        }
    }

    fn succeeded(&mut self) {
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

impl<S: Append> Writer<S> {
    /// Returns when every record of the batch is stored, or when the deadline of the shutdown passes.
    pub(super) async fn settle(&mut self) -> Result<(), Stopped> {
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
                    Some(appender) => appender,
                    None => continue,
                },
            };
            let Some(batch) = Batch::new(&self.batch[..count]) else {
                // Not reached: numbering leaves no gap, and records leave only at the front.
                tracing::error!("a batch of activity records was not numbered in order");
                self.numbering.begin_anew(&mut self.batch);
                continue;
            };
            // Until the answer is there the outcome is open, also if the task ends right here.
            self.unsure = count;
            let call = appender.append(self.epochs.mark(batch));
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
        Ok(())
    }

    /// Connects, and finds out where the stream stands: under the lock of the appends, so that one whose
    /// answer never came has ended by then. `None` means that the batch has changed.
    async fn connect(&mut self, first: i64, last: i64) -> Result<Option<S::Appender>, Stopped> {
        let Self { link, numbering, .. } = self;
        let limit = link.call_deadline;
        let connected = match bounded(link.store.connect(), "connect", limit, &mut link.stop).await
        {
            Ok(mut appender) => {
                let call = appender.position(numbering.writer_id());
                bounded(call, "read the position", limit, &mut link.stop)
                    .await
                    .map(|position| (appender, position))
            }
            Err(cut) => Err(cut),
        };
        let (appender, position) = match connected {
            Ok(connected) => connected,
            Err(Cut::Stopped) => return Err(Stopped),
            Err(Cut::Store(error)) => {
                self.wait_out(&error).await?;
                return Ok(None);
            }
        };
        // From here on it is known what the store holds.
        self.unsure = 0;
        if position == first - 1 {
            return Ok(Some(appender));
        }
        self.link.appender = Some(appender);
        if (first..=last).contains(&position) {
            // The answer that named its entries never came.
            self.settled(usize::try_from(position - first + 1).unwrap_or(0), &[]);
        } else {
            self.begin_anew(first - 1, position);
        }
        Ok(None)
    }

    /// The store holds less of the stream than was committed (a backup was restored, a replica that lost
    /// its tail became the primary), or more than was ever sent. The numbers that are missing there
    /// cannot be sent again, so another stream goes on, and says why.
    fn begin_anew(&mut self, committed: i64, found: i64) {
        let stream = self.numbering.writer_id();
        if found < committed {
            self.epochs.lose();
        }
        tracing::error!(
            %stream, committed, found,
            "the store does not hold what was committed to it; records go on under another stream"
        );
        let restored =
            self.prepared(own::restored(&self.author, &stream.to_string(), committed, found));
        let mut restored = restored;
        if let Some(next) = self.batch.first() {
            restored.recorded_at = next.recorded_at;
        }
        restored.retention_class.set(restored.category.as_str());
        number::seal(&mut restored);
        self.batch.insert(0, restored);
        // The numbers of the last stubs were those of the stream that ends here.
        (self.stubbed, self.renamed) = (0, 0);
        self.numbering.begin_anew(&mut self.batch);
    }

    /// Says what is wrong, and waits as long as the kind of error asks for.
    async fn wait_out(&mut self, error: &StoreError) -> Result<(), Stopped> {
        self.core.counters.retry();
        meters::publish(&self.core);
        let now = self.now();
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
        self.core.counters.quarantine();
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
