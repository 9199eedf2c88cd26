//! From the spool to the store: one task that reads frames back in order, and sees them into the store.
//!
//! A frame is read only when it is on the disk, and a batch is taken from one stream at a time: in turns from
//! the one that this process writes, and from those that earlier processes left. What the store holds is
//! known by its position alone. While the store works on a full batch, the next one is read; while it is away this
//! holds those two, and the rest stays on the disk.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    classes::Classes,
    core::Core,
    link::Stopped,
    meters,
    pipeline::DROP_DEADLINE,
    settle::Settler,
    spooled::{Means, Next, Spooled},
};
use crate::store::Append;

/// A file that could not be read is read again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// From one failure to the next that doubles, so often: a file that only a later version can read says so once a
/// minute, and not every second.
const MOST_DOUBLINGS: u32 = 6;
/// What the disk may take for a last sync, once everything else has ended.
const LAST_SYNC: Duration = Duration::from_millis(200);

/// How long the last word of a stream may take.
const LAST_WORD: Duration = Duration::from_millis(20);

/// A flush that is answered once this number is settled.
pub(super) struct Flush {
    pub(super) upto: i64,
    pub(super) reply: oneshot::Sender<()>,
}

/// How large a batch may become, and how long it gathers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) age: Duration,
}

pub(super) struct Drain<S: Append> {
    core: Arc<Core>,
    settler: Settler<S>,
    /// The stream of this process first, then those of earlier ones.
    streams: Vec<Spooled>,
    turn: usize,
    /// How many connections there had been when the streams were last compared with the store.
    connections: u64,
    means: Means,
    flushes: mpsc::UnboundedReceiver<Flush>,
    waiting: Vec<Flush>,
    last: watch::Receiver<Option<i64>>,
    readable: Arc<Notify>,
    /// Since when there may be something in the own stream.
    noticed: Option<Instant>,
    ended: watch::Sender<bool>,
    is_closed: bool,
    reads_ahead: bool,
}

impl<S: Append> Drain<S> {
    pub(super) fn new(
        settler: Settler<S>,
        streams: Vec<Spooled>,
        (size, classes): (Size, Classes),
        flushes: mpsc::UnboundedReceiver<Flush>,
        last: watch::Receiver<Option<i64>>,
        ended: watch::Sender<bool>,
    ) -> Self {
        let core = Arc::clone(&settler.core);
        let readable =
            core.spooling.as_ref().map(|spooling| spooling.spool.readable()).unwrap_or_default();
        Self {
            means: Means { core: Arc::clone(&core), classes: Arc::new(classes), size },
            core,
            settler,
            streams,
            turn: 0,
            connections: 1,
            flushes,
            waiting: Vec::new(),
            last,
            readable,
            // That it started is there already.
            noticed: Some(Instant::now()),
            ended,
            is_closed: false,
            reads_ahead: true,
        }
    }

    /// Says whether the next batch is read while the store works on one.
    pub(super) const fn reading_ahead(mut self, reads_ahead: bool) -> Self {
        self.reads_ahead = reads_ahead;
        self
    }

    /// Works until the last record is stored, or the deadline of the shutdown passes. What is left stays in the
    /// spool for the next process.
    pub(super) async fn run(mut self) {
        let _stopped = self.work().await;
        self.core.close();
        // The folder is given back to others below; a disk that hangs is not waited for.
        let recalled = async {
            for stream in &mut self.streams {
                if stream.recall(&self.core).await.is_err() {
                    break;
                }
            }
        };
        let _hangs = tokio::time::timeout(LAST_SYNC, recalled).await;
        // The clerk waits for nobody, but may come to it later than this; after the spool is closed it would find no room
        // for the last word. One that is gone says so.
        let said = self.last.wait_for(Option::is_some);
        drop(tokio::time::timeout(LAST_WORD, said).await);
        if let Some(spooling) = &self.core.spooling {
            let spool = spooling.spool.clone();
            let closed = tokio::task::spawn_blocking(move || spool.close(LAST_SYNC)).await;
            self.is_closed = closed.is_ok();
        }
    }

    async fn work(&mut self) -> Result<(), Stopped> {
        loop {
            self.take_flushes();
            if self.settler.link.is_past() {
                return Err(Stopped);
            }
            let now = Instant::now();
            let Some(index) = self.next_stream(now) else {
                if self.is_done() {
                    return Ok(());
                }
                self.wait(now).await;
                continue;
            };
            self.turn = index + 1;
            self.drain(index).await?;
            self.compare(index);
            self.answer();
        }
    }

    /// Chooses the stream to read next: in turns, those that may have something.
    fn next_stream(&self, now: Instant) -> Option<usize> {
        let count = self.streams.len();
        let ready = |index: &usize| {
            let stream = &self.streams[*index];
            if stream.is_over || stream.not_before.is_some_and(|at| at > now) {
                return false;
            }
            match index {
                0 => self.is_own_due(now),
                // Whoever waits for the end waits for what this process recorded.
                _ => self.last.borrow().is_none(),
            }
        };
        (0..count).map(|offset| (self.turn + offset) % count).find(ready)
    }

    /// Tells whether what the own stream may have is to be read now.
    fn is_own_due(&self, now: Instant) -> bool {
        let Some(noticed) = self.noticed else { return false };
        noticed + self.means.size.age <= now
            || !self.waiting.is_empty()
            || self.last.borrow().is_some()
    }

    /// Reads a batch of one stream and sees it into the store.
    async fn drain(&mut self, index: usize) -> Result<(), Stopped> {
        let Self { core, settler, streams, means, .. } = self;
        let stream = &mut streams[index];
        if !stream.is_placed {
            stream.recall(core).await?;
            let position = settler.position(stream.writer_id()).await?;
            if !stream.place(core, position) {
                settler.lose(stream.known_at);
            }
            stream.known_at = settler.link.connections;
        }
        if index == 0 {
            // Before it is read: what comes meanwhile is noticed.
            self.noticed = None;
        }
        let next = stream.read(means, &mut settler.batch).await?;
        if next != Next::Failed {
            stream.failures = 0;
        }
        match next {
            Next::Batch { is_full } => {
                if index == 0 && is_full {
                    let age = means.size.age;
                    self.noticed =
                        Some(Instant::now().checked_sub(age).unwrap_or_else(Instant::now));
                }
                if is_full && self.reads_ahead {
                    self.read_ahead(index);
                }
                let stream = &mut self.streams[index];
                self.settler.settle(stream).await?;
                if !stream.is_placed && index == 0 {
                    self.noticed = Some(Instant::now());
                }
                if std::mem::take(&mut stream.went_back) {
                    // So it may have less of the others, too.
                    self.streams.iter_mut().for_each(Spooled::displace);
                    self.noticed = Some(Instant::now());
                }
            }
            Next::Again => {
                if index == 0 {
                    self.noticed = Some(Instant::now());
                }
            }
            Next::Failed => {
                stream.not_before = Some(Instant::now() + AGAIN * (1 << stream.failures));
                stream.failures = (stream.failures + 1).min(MOST_DOUBLINGS);
                if index == 0 {
                    self.noticed = Some(Instant::now());
                }
            }
            Next::Nothing => {}
        }
        meters::publish(&self.core);
        Ok(())
    }

    /// Has the batch read that is sent next, while the store works on the one of the stream `index`. At most one is read
    /// ahead, however many streams there are.
    fn read_ahead(&mut self, index: usize) {
        let Some(next) = self.next_stream(Instant::now()) else { return };
        if self.streams.iter().any(Spooled::is_ahead) {
            return;
        }
        // Of the own stream only what is there already, and as much as now: else a batch would be the smaller for it.
        let sent = self.settler.batch.len() as u64;
        let has_more = || self.core.counters.snapshot().spooled >= 2 * sent;
        if next != 0 || (index == 0 && has_more()) {
            self.streams[next].read_ahead(&self.means);
        }
    }

    /// After a new connection, asks where the other streams stand: whoever answers now may hold less of them than the one
    /// before, also of those that were stored to the end.
    fn compare(&mut self, asked: usize) {
        let connections = self.settler.link.connections;
        if connections <= std::mem::replace(&mut self.connections, connections) {
            return;
        }
        if let Some(stream) = self.streams.get_mut(asked) {
            stream.known_at = connections;
        }
        let others = self.streams.iter_mut().enumerate().filter(|(index, _)| *index != asked);
        others.for_each(|(_, stream)| stream.displace());
        if asked != 0 {
            self.noticed = Some(Instant::now());
        }
    }

    /// Tells whether all that this process recorded is settled, and nothing more will come.
    fn is_done(&self) -> bool {
        let last = *self.last.borrow();
        last.is_some_and(|last| self.streams.first().is_none_or(|own| own.is_settled(last)))
    }

    /// Waits until there may be something to do. Nothing was due at `now`: what is by this time is waited for all the same,
    /// or nobody would look at it before something else comes.
    async fn wait(&mut self, now: Instant) {
        let dues = self.streams.iter().filter_map(|stream| stream.not_before);
        let own = self.noticed.map(|noticed| noticed + self.means.size.age);
        let until = dues.chain(own).filter(|due| *due > now).min();
        if !self.waiting.is_empty() || self.last.borrow().is_some() {
            // Somebody waits for what the disk may not have yet.
            if let Some(spooling) = &self.core.spooling {
                spooling.spool.hurry();
            }
        }
        let Self { readable, flushes, waiting, last, settler, noticed, .. } = self;
        tokio::select! {
            biased;
            () = readable.notified() => {
                noticed.get_or_insert_with(Instant::now);
            }
            flush = flushes.recv(), if !flushes.is_closed() || !flushes.is_empty() => {
                waiting.extend(flush);
            }
            // Whoever said it has ended since: asked again, it would answer at once and for ever.
            _ = last.changed(), if last.borrow().is_none() => {}
            () = settler.link.past() => {}
            () = async move {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }

    fn take_flushes(&mut self) {
        while let Ok(flush) = self.flushes.try_recv() {
            self.waiting.push(flush);
        }
        self.answer();
    }

    /// Answers the flushes whose records are settled.
    fn answer(&mut self) {
        let Some(own) = self.streams.first() else { return };
        for flush in self.waiting.extract_if(.., |flush| own.is_settled(flush.upto)) {
            // Whoever gave up waiting does not need the answer.
            let _answered = flush.reply.send(());
        }
    }
}

impl<S: Append> Drop for Drain<S> {
    /// Closes the door. What is in the spool stays there.
    fn drop(&mut self) {
        let core = &self.core;
        core.close();
        core.counters.warn_of_rest(core.clock.monotonic(), true);
        core.receipts.end();
        core.feed.end();
        core.ends.close();
        core.committed.send_replace(true);
        meters::publish(core);
        if let Some(spooling) = &core.spooling
            && !self.is_closed
        {
            // The runtime is ending, or the task was aborted. Nothing here may block.
            let spool = spooling.spool.clone();
            let closing = std::thread::Builder::new().name("activity-close".to_owned());
            let _given_up = closing.spawn(move || spool.close(DROP_DEADLINE));
        }
        self.ended.send_replace(true);
    }
}

#[cfg(test)]
mod tests;
