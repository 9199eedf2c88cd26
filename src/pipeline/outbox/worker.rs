//! The worker: claim, append, delete, again and again.

mod asking;
mod claimed;
mod decode;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use asking::{LEASE, Patience};
use claimed::Claimed;
use rand::RngExt as _;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};

use crate::{
    pipeline::{
        batcher::Limits, classes::Classes, core::Core, link::Stopped, meters, settle::Settler,
    },
    record::WriterId,
    store::{AnyOutbox, Append, ClaimedRows},
};

/// Somebody who has recorded is about to commit, and so are perhaps others.
const SOON: Duration = Duration::from_millis(25);
/// How often to look while there is something to be expected.
const BUSY: Duration = Duration::from_millis(200);
/// How often to look otherwise: for what other processes left behind.
const IDLE: Duration = Duration::from_secs(2);
/// A transaction that is still open so long after somebody recorded in it is found a little later.
const EXPECTANT: Duration = Duration::from_secs(10);
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
            patience: Patience::new(),
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
            let mut claimed = Claimed::default();
            self.settler.settle(&mut claimed).await?;
            position = (!claimed.disagreed).then_some(last);
            moved = true;
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
