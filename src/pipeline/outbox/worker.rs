//! The worker: claim, append, delete, again and again.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rand::RngExt as _;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};

use super::record::Encoded;
use crate::{
    pipeline::{
        batcher::Limits,
        classes::Classes,
        core::Core,
        link::{Cut, Stopped},
        meters, number, own, quarantine,
        retry::{Backoff, Complaints},
        settle::Settler,
        source::Source,
    },
    record::{PortableError, Record, WriterId},
    store::{
        AnyOutbox, Append, Backlog, ClaimRows, ClaimedRows, Look, OutboxRow, StoreError,
        StoreErrorKind,
    },
};

/// Somebody who has recorded is about to commit, and so are perhaps others.
const SOON: Duration = Duration::from_millis(25);
/// How often to look while there is something to be expected.
const BUSY: Duration = Duration::from_millis(200);
/// How often to look otherwise: for what other processes left behind.
const IDLE: Duration = Duration::from_secs(2);
/// A transaction that is still open so long after somebody recorded in it is found a little later.
const EXPECTANT: Duration = Duration::from_secs(10);
/// After so long without a sign of life from one worker another one takes over.
const LEASE: Duration = Duration::from_secs(10);
/// How often the backlog is counted while there is one.
const COUNT: Duration = Duration::from_secs(1);

/// The pipeline's end of what connects it with a worker.
#[derive(Debug)]
pub(crate) struct Handle {
    /// Each is answered when all that was committed before it is in the log.
    pub(crate) flushes: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// Becomes true, or is dropped, when the worker has ended.
    pub(crate) ended: watch::Receiver<bool>,
}

pub(crate) struct Worker<S: Append> {
    core: Arc<Core>,
    outbox: AnyOutbox,
    /// Into [`Outboxes`](super::Outboxes).
    index: usize,
    settler: Settler<S>,
    classes: Classes,
    quarantine: Option<PathBuf>,
    limits: Limits,
    /// By which the lease knows this worker.
    id: i64,
    stop: watch::Receiver<Option<Instant>>,
    flushes: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    waiting: Vec<Flush>,
    patience: Patience,
    ended: watch::Sender<bool>,
}

/// Somebody waits for all up to a place.
struct Flush {
    upto: Option<i64>,
    reply: oneshot::Sender<()>,
}

/// What is remembered about failures of the outbox's database.
struct Patience {
    backoff: Backoff,
    complaints: Complaints,
    begun: Instant,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Nothing is left.
    Empty,
    /// Something was moved, and nothing is left.
    Moved,
    /// Another worker is at it.
    Held,
    /// There is something that only a later version of this crate can read.
    Foreign,
}

impl<S: Append> Worker<S> {
    pub(crate) fn new(
        (index, outbox): (usize, AnyOutbox),
        settler: Settler<S>,
        classes: Classes,
        limits: Limits,
        quarantine: Option<PathBuf>,
    ) -> (Self, Handle) {
        let (flush, flushes) = mpsc::unbounded_channel();
        let (ended, has_ended) = watch::channel(false);
        let core = Arc::clone(&settler.core);
        let worker = Self {
            outbox,
            index,
            settler,
            classes,
            quarantine,
            limits,
            id: rand::rng().random::<i64>() & i64::MAX,
            stop: core.stop.subscribe(),
            flushes,
            waiting: Vec::new(),
            patience: Patience {
                backoff: Backoff::default(),
                complaints: Complaints::default(),
                begun: Instant::now(),
            },
            ended,
            core,
        };
        (worker, Handle { flushes: flush, ended: has_ended })
    }

    /// Works until the pipeline is shut down, and moves once more what lies there then. What is left is in
    /// the application's database, for the next process.
    pub(crate) async fn run(mut self) {
        let (outbox, core, index) = (self.outbox.clone(), Arc::clone(&self.core), self.index);
        tokio::select! {
            () = self.work() => {}
            () = count(&outbox, &core, index) => {}
        }
    }

    async fn work(&mut self) {
        let mut expected = Instant::now();
        loop {
            let ending = self.stop.borrow_and_update().is_some();
            let Ok(round) = self.round().await else { return };
            if ending {
                return;
            }
            if round == Round::Moved {
                expected = Instant::now() + EXPECTANT;
            }
            let wait = match round {
                _ if !self.waiting.is_empty() => BUSY / 4,
                // Longer than the lease, so that a worker of a later version gets it.
                Round::Foreign => LEASE + LEASE / 2,
                Round::Held => BUSY,
                Round::Empty | Round::Moved if Instant::now() < expected => BUSY,
                Round::Empty | Round::Moved => IDLE,
            };
            let recorded = self.core.outboxes.of(self.index);
            tokio::select! {
                biased;
                _ = self.stop.changed() => {}
                Some(reply) = self.flushes.recv() => self.waiting.push(Flush { upto: None, reply }),
                () = recorded.recorded.notified(), if round != Round::Foreign => {
                    expected = Instant::now() + EXPECTANT;
                    // Those who come together are claimed together.
                    sleep(SOON).await;
                }
                () = sleep(wait) => {}
            }
        }
    }

    /// Moves rows until none is left.
    async fn round(&mut self) -> Result<Round, Stopped> {
        let mut moved = false;
        // Known only from an answer of just now: a database that was put back to an earlier state has gone
        // back on more than one promise.
        let mut position = None;
        let mut stream = WriterId::default();
        loop {
            if position.is_none() {
                let look = self.look().await?;
                if look.places.is_none() {
                    return Ok(if moved { Round::Moved } else { Round::Empty });
                }
                stream = look.writer_id;
            }
            let at = match position {
                Some(position) => position,
                None => self.settler.position(stream).await?,
            };
            let rows = match self.claim(stream, at).await? {
                ClaimedRows::Yours(rows) => rows,
                ClaimedRows::Held => return Ok(Round::Held),
                ClaimedRows::Renamed => {
                    position = None;
                    continue;
                }
                ClaimedRows::Behind(given) => {
                    self.rename(stream, given, at).await?;
                    position = None;
                    continue;
                }
            };
            let mut rows = rows;
            // A hole is what somebody deleted by hand; what is behind it goes on under another stream.
            let whole =
                rows.windows(2).take_while(|pair| pair[0].seq + 1 == pair[1].seq).count() + 1;
            rows.truncate(whole);
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
                // The last were deleted with this claim. Looking once more answers those who wait for it.
                position = None;
                continue;
            };
            let (first, last) = (first.seq, last.seq);
            if first != at + 1 {
                // Another worker was faster, or the log has gone back. It is asked again, since it was asked
                // before the claim.
                let now = self.settler.position(stream).await?;
                if now < first - 1 {
                    self.rename(stream, first - 1, now).await?;
                    position = None;
                } else {
                    position = Some(now);
                }
                continue;
            }
            if !self.decode(stream, rows).await {
                return Ok(Round::Foreign);
            }
            let mut claimed = Claimed { disagreed: false };
            self.settler.settle(&mut claimed).await?;
            position = (!claimed.disagreed).then_some(last);
            moved = true;
        }
    }

    /// Looks what there is, and answers those who wait for what is no longer there.
    async fn look(&mut self) -> Result<Look, Stopped> {
        while let Ok(reply) = self.flushes.try_recv() {
            self.waiting.push(Flush { upto: None, reply });
        }
        let outbox = self.outbox.clone();
        let look = self.ask("look into the outbox", || outbox.look()).await?;
        let shared = self.core.outboxes.of(self.index);
        match look.places {
            None => {
                shared.found(Backlog::default());
                meters::publish(&self.core);
            }
            Some(_) => shared.busy.store(true, Ordering::Relaxed),
        }
        for mut flush in std::mem::take(&mut self.waiting) {
            match look.places {
                Some((first, last)) if first <= *flush.upto.get_or_insert(last) => {
                    self.waiting.push(flush);
                }
                // Whoever gave up waiting does not need the answer.
                _ => drop(flush.reply.send(())),
            }
        }
        Ok(look)
    }

    async fn claim(&mut self, writer_id: WriterId, position: i64) -> Result<ClaimedRows, Stopped> {
        let ask = ClaimRows {
            writer_id,
            position,
            worker: self.id,
            lease: LEASE,
            now: self.core.clock.now(),
            rows: self.limits.rows,
            bytes: self.limits.bytes,
        };
        let outbox = self.outbox.clone();
        self.ask("claim rows of the outbox", || outbox.claim(ask)).await
    }

    /// Goes on under another name, after the log or the outbox was put back to an earlier state: the numbers
    /// of the two no longer fit together. A record of the pipeline's own says so.
    async fn rename(&mut self, from: WriterId, committed: i64, found: i64) -> Result<(), Stopped> {
        tracing::error!(
            stream = %from, committed, found,
            "the store does not hold what was committed to it; the outbox goes on under another stream"
        );
        let mut restored = own::restored(&from.to_string(), committed, found);
        let encoded = Encoded::new(&self.core, &mut restored);
        let to = number::random_id();
        let outbox = self.outbox.clone();
        self.ask("rename the outbox's stream", || outbox.rename(from, to, encoded.row())).await?;
        Ok(())
    }

    /// Makes records of rows. False means that a later version of this crate wrote one of them.
    async fn decode(&mut self, stream: WriterId, rows: Vec<OutboxRow>) -> bool {
        self.settler.batch.clear();
        for row in rows {
            let mut record = self.core.pool.take();
            match Record::from_portable(&row.payload, &mut record) {
                Ok(()) => {}
                Err(
                    error @ (PortableError::Version(_)
                    | PortableError::Schema(_)
                    | PortableError::Unknown(_)),
                ) => {
                    self.settler.batch.clear();
                    if self.patience.pass() {
                        tracing::error!(
                            id = %row.record_id, error = &error as &dyn std::error::Error,
                            "a record in the outbox is of a later version; it waits for a service of that version"
                        );
                    }
                    return false;
                }
                Err(error) => {
                    record = Box::new(quarantine::unreadable(row.record_id));
                    number::seal(&mut record);
                    self.keep_unreadable(stream, &row, error).await;
                }
            }
            self.classes.classify(&mut record);
            record.recorded_at = row.claimed_at;
            record.writer_id = stream;
            record.seq = row.seq;
            self.settler.batch.push(record);
        }
        true
    }

    /// Puts what cannot be read into the quarantine file; a stub of it goes on.
    async fn keep_unreadable(&mut self, stream: WriterId, row: &OutboxRow, error: PortableError) {
        let (id, seq) = (row.record_id, row.seq);
        self.core.outboxes.quarantine();
        tracing::error!(
            %id, seq, error = &error as &dyn std::error::Error, file = self.quarantine.is_some(),
            "a record in the outbox cannot be read; a stub of it goes to the store, and its bytes to the \
             quarantine file if there is one"
        );
        let Some(path) = self.quarantine.clone() else { return };
        let (bytes, now) = (row.payload.clone(), self.core.clock.now());
        let kept = tokio::task::spawn_blocking(move || {
            quarantine::keep_bytes(&path, stream, seq, &bytes, &error.to_string(), now)
                .map_err(|error| (path, error))
        })
        .await;
        if let Ok(Err((path, error))) = kept {
            tracing::error!(
                %id, seq, path = %path.display(), error = &error as &dyn std::error::Error,
                "could not write the quarantine file; only the stub is kept"
            );
        }
    }

    /// Asks the outbox until it answers.
    async fn ask<T, F>(&mut self, doing: &'static str, call: impl Fn() -> F) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match self.settler.link.bounded(doing, call()).await {
                Ok(answer) => {
                    self.patience.succeeded();
                    return Ok(answer);
                }
                Err(Cut::Stopped) => return Err(Stopped),
                Err(Cut::Store(error)) => {
                    self.core.counters.retry();
                    self.patience.complain(&error);
                    let wait = self.patience.backoff.next(rand::random());
                    self.settler.link.sleep(wait).await?;
                }
            }
        }
    }
}

/// Rows that have their numbers for good.
struct Claimed {
    /// The log stands elsewhere: the rows are where they were, and the next claim goes by what it says then.
    disagreed: bool,
}

impl Source for Claimed {
    // Numbered by leaf already, and no number is ever given to another row.
    fn arrange(&mut self, _records: &mut [Box<Record>]) {}

    fn disarrange(&mut self, _records: &mut [Box<Record>]) {}

    fn settled(&mut self, core: &Core, records: &[Box<Record>]) {
        // Nobody here received them, but for what the pipeline says itself.
        let own = || records.iter().map(|record| &**record).filter(|record| own::is_own(record));
        core.outboxes.store((records.len() - own().count()) as u64);
        core.counters.settle(own());
    }

    fn quarantined(&mut self, core: &Core) {
        core.outboxes.quarantine();
    }

    fn disagree(&mut self, _core: &Core, batch: &mut Vec<Box<Record>>, _found: i64) {
        batch.clear();
        self.disagreed = true;
    }
}

impl Patience {
    fn pass(&mut self) -> bool {
        self.complaints.pass(self.begun.elapsed())
    }

    fn succeeded(&mut self) {
        self.backoff.reset();
        self.complaints.reset();
    }

    fn complain(&mut self, error: &StoreError) {
        if !self.pass() {
            return;
        }
        let kind = error.kind();
        let error: &dyn std::error::Error = error;
        match kind {
            StoreErrorKind::Configuration | StoreErrorKind::Data => tracing::error!(
                error,
                "the outbox refuses; what was committed stays in it until it is put right"
            ),
            _ => tracing::warn!(error, "the outbox is away; trying again"),
        }
    }
}

impl<S: Append> Drop for Worker<S> {
    fn drop(&mut self) {
        self.ended.send_replace(true);
    }
}

/// Counts the backlog now and then while there is one: also while the log is away and the worker waits for it.
async fn count(outbox: &AnyOutbox, core: &Core, index: usize) {
    let shared = core.outboxes.of(index);
    loop {
        sleep(COUNT).await;
        if shared.busy.load(Ordering::Relaxed)
            && let Ok(backlog) = outbox.backlog().await
        {
            shared.found(backlog);
            meters::publish(core);
        }
    }
}
