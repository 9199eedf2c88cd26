//! The unfinished record of a request in flight.
//!
//! The cell is shared: the response future or body owns the [`Draft`], which finishes it once; handlers
//! hold [`Activity`](super::Activity) handles that may add to it until then; the request body counts into
//! it. Cells are pooled, and come back when nobody else holds them any more.

use std::{
    borrow::Borrow,
    fmt,
    net::IpAddr,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;

use super::{
    client::Chain,
    config::Config,
    finish,
    outcome::Ending,
    tee::Capture,
    threads::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};
use crate::{
    pipeline::{Admission, AdmitWait, Hold, OpenTicket, StrictRefused},
    privacy::Redactions,
    record::Record,
    rules::{Delivery, Mask, Plan},
};

/// What is shared about one request.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Bytes of the request body that were read; outside the lock, because each frame counts.
    pub(super) request_bytes: AtomicU64,
    /// Bytes of the response body that were handed on.
    pub(super) response_bytes: AtomicU64,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while holding it left at worst a half-written text.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was counted so far.
    pub(super) fn bytes(&self) -> Bytes {
        Bytes {
            request: self.request_bytes.load(Ordering::Relaxed),
            response: self.response_bytes.load(Ordering::Relaxed),
        }
    }

    fn reset(&mut self) {
        *self.request_bytes.get_mut() = 0;
        *self.response_bytes.get_mut() = 0;
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner).reset();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What is there only while the draft is open.
pub(super) struct Open {
    pub(super) config: Arc<Config>,
    pub(super) record: Box<Record>,
    pub(super) plan: Arc<Plan>,
    pub(super) mask: Mask,
    pub(super) started: Duration,
    /// The strictest class of the rules that may record it, and of the pipeline.
    pub(super) class: Delivery,
    /// What the spool has of it already.
    pub(super) ticket: Option<OpenTicket>,
}

/// What the application has said itself, and rules therefore leave alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said(u16);

impl Said {
    pub(super) const ACTOR: Self = Self(1);
    pub(super) const ENTITY_TYPE: Self = Self(1 << 1);
    pub(super) const ENTITY_ID: Self = Self(1 << 2);
    pub(super) const ACTION: Self = Self(1 << 3);
    pub(super) const OUTCOME: Self = Self(1 << 4);
    pub(super) const OUTCOME_REASON: Self = Self(1 << 5);
    pub(super) const DESCRIPTION: Self = Self(1 << 6);
    /// Nobody is to record this request.
    pub(super) const DISCARD: Self = Self(1 << 7);
    /// The route came from a router, not from a guess at the path.
    pub(super) const ROUTED: Self = Self(1 << 8);
    /// The application was told once that it came too late.
    pub(super) const WARNED: Self = Self(1 << 9);
    /// The route is the path of a gRPC call, which nobody has checked yet.
    pub(super) const GRPC_ROUTE: Self = Self(1 << 10);
    /// The service was not called: nobody could have vouched for the record.
    pub(super) const NOT_ATTEMPTED: Self = Self(1 << 11);

    pub(super) const fn has(self, what: Self) -> bool {
        self.0 & what.0 != 0
    }

    pub(super) const fn add(&mut self, what: Self) {
        self.0 |= what.0;
    }
}

/// A further target, named by the application.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) entity_type: String,
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) relation: String,
}

/// The state of a draft, with buffers that outlive it.
#[derive(Default)]
pub(super) struct State {
    pub(super) open: Option<Open>,
    pub(super) said: Said,
    /// Raw path, with the query if that is wanted.
    pub(super) target: String,
    pub(super) path_len: usize,
    pub(super) client: Option<IpAddr>,
    pub(super) chain: String,
    pub(super) chained: Chain,
    pub(super) grpc: bool,
    pub(super) head: bool,
    /// Last segment of the answer's `Location`.
    pub(super) location: String,
    pub(super) request: Capture,
    pub(super) response: Capture,
    pub(super) targets: Vec<Target>,
    pub(super) subjects: Vec<String>,
    pub(super) metadata: serde_json::Map<String, serde_json::Value>,
    pub(super) redactions: Redactions,
}

impl State {
    /// Returns the raw path as the client sent it.
    pub(super) fn path(&self) -> &str {
        self.target.get(..self.path_len).unwrap_or(&self.target)
    }

    fn reset(&mut self) {
        self.open = None;
        self.said = Said::default();
        for buffer in [&mut self.target, &mut self.chain, &mut self.location] {
            clear(buffer);
        }
        self.path_len = 0;
        self.client = None;
        self.chained = Chain::Absent;
        self.grpc = false;
        self.head = false;
        self.request.reset();
        self.response.reset();
        self.targets.clear();
        self.subjects.clear();
        if !self.metadata.is_empty() {
            self.metadata = serde_json::Map::new();
        }
        if !self.redactions.is_empty() {
            self.redactions = Redactions::new();
        }
    }
}

/// Buffers above this many bytes are given back when a cell returns to its pool.
const KEPT_CAPACITY: usize = 4 * 1024;

fn clear(buffer: &mut String) {
    if buffer.capacity() > KEPT_CAPACITY {
        *buffer = String::new();
    } else {
        buffer.clear();
    }
}

/// Cells at rest. Their number follows the number of requests that were in flight at once.
const MOST_CELLS: usize = 1_024;

/// The cells that wait for a request.
pub(super) struct Pool(ArrayQueue<Arc<Shared>>);

impl Pool {
    pub(super) fn new() -> Self {
        Self(ArrayQueue::new(MOST_CELLS))
    }

    fn take(&self) -> Arc<Shared> {
        self.0.pop().unwrap_or_default()
    }

    /// Takes back a cell that was reset, and that nobody else points to.
    fn give_back(&self, cell: Arc<Shared>) {
        // A full pool drops it.
        drop(self.0.push(cell));
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.0.len()).finish()
    }
}

/// What was counted of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    pub(super) request: u64,
    pub(super) response: u64,
}

/// The owner of a draft: finishes it exactly once, at the latest when dropped.
#[derive(Debug)]
pub(super) struct Draft {
    cell: Option<Arc<Shared>>,
}

impl Draft {
    /// Opens a draft, filling a cell that nobody else holds yet.
    pub(super) fn open(pool: &Pool, fill: impl FnOnce(&mut State)) -> Self {
        let mut cell = pool.take();
        match Arc::get_mut(&mut cell) {
            Some(shared) => {
                fill(shared.state.get_mut().unwrap_or_else(PoisonError::into_inner));
            }
            // Pooled cells are unique; if one were not, its lock still guards it.
            None => fill(&mut cell.lock()),
        }
        Self { cell: Some(cell) }
    }

    /// Returns the cell, until the draft is finished.
    pub(super) const fn cell(&self) -> Option<&Arc<Shared>> {
        self.cell.as_ref()
    }

    /// Finishes the draft, and returns its record if there is to be one.
    pub(super) fn finish(mut self, ending: &Ending) -> Option<Finished> {
        self.close(|_| Some(ending)).unwrap_or_default()
    }

    /// Finishes the draft if `look`, which is shown its state, knows how the request ended; else it comes
    /// back.
    pub(super) fn finish_if(
        mut self,
        look: impl FnOnce(&mut State) -> Option<Ending>,
    ) -> Result<Option<Finished>, Self> {
        self.close(look).map_err(|StillOpen| self)
    }

    fn close<E: Borrow<Ending>>(
        &mut self,
        look: impl FnOnce(&mut State) -> Option<E>,
    ) -> Result<Option<Finished>, StillOpen> {
        let Some(mut cell) = self.cell.take() else { return Ok(None) };
        let bytes = cell.bytes();
        let seal = |state: &mut State| {
            let ending = look(state)?;
            let open = state.open.take();
            Some(open.map(|open| close_open(state, open, ending.borrow(), bytes)))
        };
        // Most handlers have dropped their handles by now: then there is nobody to lock out, and the cell
        // can go back to its pool. A handle that is still there must go on saying that it is too late, and
        // never reach into somebody else's request.
        let (sealed, unique) = match Arc::get_mut(&mut cell) {
            Some(shared) => {
                let sealed = seal(shared.state.get_mut().unwrap_or_else(PoisonError::into_inner));
                if sealed.is_some() {
                    shared.reset();
                }
                (sealed, true)
            }
            None => (seal(&mut cell.lock()), false),
        };
        match sealed {
            None => {
                self.cell = Some(cell);
                Err(StillOpen)
            }
            Some(None) => Ok(None),
            Some(Some(closed)) => {
                if unique {
                    closed.config().pool.give_back(cell);
                }
                Ok(match closed {
                    Closed::Recorded(finished) => Some(finished),
                    Closed::Untold(_) => None,
                })
            }
        }
    }
}

/// What came of an open draft.
enum Closed {
    Recorded(Finished),
    /// There is to be no record.
    Untold(Arc<Config>),
}

impl Closed {
    const fn config(&self) -> &Arc<Config> {
        match self {
            Self::Recorded(finished) => &finished.config,
            Self::Untold(config) => config,
        }
    }
}

fn close_open(state: &mut State, mut open: Open, ending: &Ending, bytes: Bytes) -> Closed {
    let ticket = open.ticket.take();
    // Nothing was done: it is worth a record, but nobody waits for it a second time.
    let untried = state.said.has(Said::NOT_ATTEMPTED);
    let hold = if untried { Hold::Taken } else { Hold::from(open.class) };
    let (record, config) = finish::seal(state, open, ending, bytes);
    match (record, ticket) {
        (None, ticket) => {
            if let Some(ticket) = ticket {
                config.recorder.abandon(ticket);
            }
            Closed::Untold(config)
        }
        (record, ticket) => {
            let wait = AdmitWait::default();
            Closed::Recorded(Finished { record, ticket, hold, wait, config })
        }
    }
}

/// Nothing is known yet of how the request ended.
struct StillOpen;

impl Drop for Draft {
    fn drop(&mut self) {
        if self.cell.is_none() {
            return;
        }
        // Dropped by an unwinding caller: that panic, not a client, ended the request.
        let ending = if std::thread::panicking() { Ending::Panicked } else { Ending::Dropped };
        without_panic(|| drop(self.close(|_| Some(&ending))));
    }
}

/// Finishes a draft through which a panic unwinds.
pub(super) fn finish_panicked(draft: Option<Draft>) {
    if let Some(draft) = draft {
        without_panic(|| drop(draft.finish(&Ending::Panicked)));
    }
}

/// Runs code of ours inside a destructor, where a second panic would abort the process.
fn without_panic(run: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
        tracing::error!("recording a request panicked; its record may be missing");
    }
}

/// A finished record on its way into the pipeline; dropped, it goes there without waiting.
#[derive(Debug)]
pub(super) struct Finished {
    record: Option<Box<Record>>,
    /// What the spool has of it already, which it ends.
    ticket: Option<OpenTicket>,
    hold: Hold,
    wait: AdmitWait,
    config: Arc<Config>,
}

impl Finished {
    pub(super) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Hands the record over, and waits as its class asks for: for room where the pipeline was built to, and
    /// for the disk.
    ///
    /// # Errors
    ///
    /// Only for a strict request: nobody vouches for its record.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StrictRefused>> {
        let Self { record, ticket, hold, wait, config } = self;
        config.recorder.poll_admit_ended(record, ticket, *hold, wait, cx).map_ok(drop)
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let ticket = self.ticket.take();
            without_panic(|| {
                // What became of it is in the tally; nobody is left to be told.
                let _: Admission = self.config.recorder.admit_ended(record, ticket);
            });
        }
    }
}
