//! Ends without a word: at the start, streams of this service whose process is gone and that nobody stopped
//! get a gap record, since what that process had not stored is lost. So do, a while later, those whose place this
//! process has taken, see [`starts`](super::starts).
//!
//! It happens behind the first commit, away from the start: the store may be away. Of several processes that
//! start at once one tells, by a claim; who starts later finds the gap record. A claim names its process, so that
//! the next one takes its place when it died before it told; where nobody can look for it, the claim expires. What
//! is read is bounded: the newest starts, and of those the ones of this machine.

mod telling;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use super::{
    core::Core,
    own,
    process::{Life, Process},
    starts::{GRACE, Start, is_shared},
};
use crate::{
    query::PageRequest,
    record::{Record, RecordId, WriterId},
    store::{
        AnyStore, CompletenessRequest, Holding, Maintain as _, Read as _, StoreError, StreamEnd,
        StreamReport, own_filter,
    },
};

/// So many starts are looked at: those of a service of a hundred replicas that was deployed five times.
const STARTS: usize = 500;
/// So many of them are told of at one start.
const TOLD: usize = 64;
/// Whether others have told of what they had claimed is looked at after so long, then after twice as long each time, up
/// to the other: they may have ended before they came to it.
const AGAIN: Duration = Duration::from_secs(1);
const MAX_AGAIN: Duration = Duration::from_secs(10 * 60);
/// What waits between two attempts while the store is away.
const BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Records of the pipeline about itself that wait for the writer.
#[derive(Debug, Default)]
pub(super) struct Ends(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    records: Vec<Box<Record>>,
    is_closed: bool,
}

impl Ends {
    /// Takes what is to be written.
    pub(super) fn take(&self) -> Vec<Box<Record>> {
        std::mem::take(&mut self.lock().records)
    }

    /// Tells whether there is something to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().records.is_empty()
    }

    /// Refuses every later one: what is there is taken once more at most.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Has the writer write a record of the log itself; false when it would not any more.
    pub(super) fn tell(&self, record: Box<Record>) -> bool {
        {
            let mut ends = self.ends.lock();
            if ends.is_closed {
                return false;
            }
            ends.records.push(record);
        }
        self.queue.nudge();
        true
    }
}

/// Waits until the store has a record that the writer was given, for which `is_there` asks it; false when the writer ended
/// without it.
///
/// # Errors
///
/// When the store cannot be asked.
pub(super) async fn stored<L>(
    committed: &mut watch::Receiver<bool>,
    is_there: impl Fn() -> L,
) -> Result<bool, StoreError>
where
    L: Future<Output = Result<bool, StoreError>>,
{
    loop {
        // Before the look: what is committed during it ends the wait below, also where it came too late to be seen.
        let has_ended = *committed.borrow_and_update();
        if is_there().await? {
            return Ok(true);
        }
        // An error means that not even its memory is left.
        if has_ended || committed.changed().await.is_err() {
            return Ok(false);
        }
    }
}

/// Looks for ends without a word once the store has answered, until the pipeline has ended. `committed` knows of no
/// commit of this pipeline yet.
pub(super) fn look_later(
    core: &Arc<Core>,
    store: AnyStore,
    this: Process,
    committed: watch::Receiver<bool>,
    ended: watch::Receiver<bool>,
) {
    let search = Search {
        committed,
        // Keeps no pipeline alive.
        core: Arc::downgrade(core),
        store,
        this,
        claimed: Vec::new(),
        held: Vec::new(),
        given: Vec::new(),
    };
    core.runtime.spawn(search.run_until(ended));
}

/// What became of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Everything is told of.
    All,
    /// Others are about to tell, or died where nobody can look for them.
    ByOthers,
    /// The pipeline has ended.
    Ended,
}

struct Search {
    core: Weak<Core>,
    committed: watch::Receiver<bool>,
    store: AnyStore,
    this: Process,
    /// The records that it has claimed: after an error it goes on with them.
    claimed: Vec<RecordId>,
    /// The claims of those that are not told of yet.
    held: Vec<Holding>,
    /// Those of them that the writer has.
    given: Vec<RecordId>,
}

impl Search {
    async fn run_until(mut self, mut ended: watch::Receiver<bool>) {
        tokio::select! {
            // First: a pipeline that has ended looks for nothing any more.
            biased;
            _ended = ended.wait_for(|ended| *ended) => {}
            () = self.run() => {}
        }
        self.let_go().await;
    }

    async fn run(&mut self) {
        // The store is reached, and holds the start of this very process.
        if self.committed.changed().await.is_err() {
            return;
        }
        let (mut backoff, mut again) = (BACKOFF, AGAIN);
        loop {
            match self.tell().await {
                Ok(Told::All | Told::Ended) => return,
                Ok(Told::ByOthers) => {
                    sleep(again).await;
                    again = (again * 2).min(MAX_AGAIN);
                }
                Err(error) => {
                    complain(&error);
                    if !error.is_transient() {
                        return;
                    }
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        }
    }

    /// Tells of every end without a word that nobody has told of.
    async fn tell(&mut self) -> Result<Told, StoreError> {
        let mut told = Told::All;
        let starts = self.starts().await?;
        // What has a spool is ended by whoever drains that.
        let gone = starts.iter().filter(|start| start.life == Life::Gone && !start.has_spool);
        let gone = gone.map(|start| start.stream).take(TOLD).collect();
        for stream in self.open(gone).await? {
            match self.tell_of(&stream, &starts).await? {
                Told::All => {}
                Told::ByOthers => told = Told::ByOthers,
                Told::Ended => return Ok(Told::Ended),
            }
        }
        let replaced = self.replaced(&starts);
        let before = self.open(replaced.clone()).await?;
        if before.is_empty() {
            return Ok(told);
        }
        // Whoever is about to end says so meanwhile; whoever runs goes on.
        sleep(GRACE).await;
        // What was in a spool is committed by others, and later.
        let namesakes = starts.iter().filter(|start| start.is_namesake && !start.has_spool);
        let namesakes = CompletenessRequest::of(namesakes.map(|start| start.stream));
        let spans = self.store.completeness(&namesakes).await?.streams;
        if is_shared(spans.iter().map(|stream| (stream.began_at, stream.last_at)).collect()) {
            tracing::debug!(
                "several processes bear the name of this one: which of them ended is not known"
            );
            return Ok(told);
        }
        for stream in self.open(replaced).await? {
            let is_still = |then: &StreamReport| {
                (then.writer_id, then.last_seq) == (stream.writer_id, stream.last_seq)
            };
            if before.iter().any(is_still) {
                match self.tell_of(&stream, &starts).await? {
                    Told::All => {}
                    Told::ByOthers => told = Told::ByOthers,
                    Told::Ended => return Ok(Told::Ended),
                }
            }
        }
        Ok(told)
    }

    /// Returns the streams whose place this process has taken, for all that can be seen. One with a spool is among
    /// them when this process has one, too, and it is not that: the folder did not outlive its container.
    fn replaced(&self, starts: &[Start]) -> Vec<WriterId> {
        let Some(core) = self.core.upgrade() else { return Vec::new() };
        let spool = core.spooling.as_ref().map(|spooling| &spooling.spool);
        let is_lost = |start: &Start| {
            !start.has_spool || spool.is_some_and(|spool| !spool.holds(start.stream))
        };
        let replaced = starts
            .iter()
            .filter(|start| start.is_namesake && start.life != Life::Runs && is_lost(start));
        replaced.map(|start| start.stream).take(TOLD).collect()
    }

    /// Returns those of the streams that have no end.
    async fn open(&self, streams: Vec<WriterId>) -> Result<Vec<StreamReport>, StoreError> {
        if streams.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.store.completeness(&CompletenessRequest::of(streams)).await?;
        if !found.complete {
            // Somebody may have told of it: better a stream that is shown as silent than one told of twice.
            tracing::warn!("too many records about streams to see which ended without a word");
            return Ok(Vec::new());
        }
        let open = found.streams.into_iter().filter(|stream| stream.end == StreamEnd::Open);
        Ok(open.collect())
    }

    /// Returns the starts of this service, the newest first.
    async fn starts(&self) -> Result<Vec<Start>, StoreError> {
        let Some(core) = self.core.upgrade() else { return Ok(Vec::new()) };
        let Some(filter) = own_filter(&[own::STARTED, own::RESTORED]) else {
            return Ok(Vec::new());
        };
        let service = core.origins.service.as_str();
        let filter = if service.is_empty() {
            filter
        } else {
            let narrowed = filter.clone().any_of("service", [service]);
            narrowed.unwrap_or(filter)
        };
        let page = self.store.records(&filter, &PageRequest::newest(STARTS)).await?;
        let told = |record| Start::told(record, &self.this, &core.origins);
        Ok(page.records.iter().filter_map(told).collect())
    }
}

fn complain(error: &StoreError) {
    let shown = error as &dyn std::error::Error;
    if error.is_transient() {
        tracing::debug!(error = shown, "looking for ends without a word later");
    } else {
        tracing::warn!(
            error = shown,
            "could not look for activity streams that ended without a word"
        );
    }
}
