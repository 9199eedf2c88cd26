//! The hub: knows the end of the ledger, and wakes whoever listens when it moves.
//!
//! All who listen share one ring of the newest records, and each has a place in the ledger of his own. What
//! comes after a place is in the ring, or not there yet, or older than the ring: then it is read from the
//! store. So there is no queue per client that could overflow or be handed over with a gap, and a client
//! costs the same whether he keeps up or not.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::{
    follow,
    place::Place,
    ring::{Ahead, Ring},
};
use crate::{
    pipeline::{CommitSource, Committed},
    query::Filter,
    store::AnyStore,
};

/// How many may listen at once. Each costs a connection and, at worst, what a message and what is read ahead
/// for him may hold: a megabyte.
pub(super) const MAX_SESSIONS: usize = 1_000;

/// How many of them may read the store at once: it has other questions to answer.
const READERS: usize = 4;

/// Knows the end of the ledger for as long as somebody listens.
#[derive(Debug)]
pub(in crate::api) struct Hub {
    source: CommitSource,
    state: Mutex<State>,
    /// Changes whenever there may be something new for somebody.
    moved: watch::Sender<()>,
    readers: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    /// `None` until the end of the ledger is known.
    ring: Option<Ring>,
    seats: HashMap<u64, Listener>,
    next_seat: u64,
    /// Grows whenever the places of before mean nothing any more.
    generation: u64,
    /// Whether somebody follows the ledger.
    following: bool,
}

/// Somebody who listens.
#[derive(Debug)]
struct Listener {
    filter: Arc<Filter>,
    place: Place,
    generation: u64,
    /// Whether he was level with the ring, so that what leaves it before he has read it was missed.
    live: bool,
    missed: u64,
}

impl Listener {
    /// Counts what he would have got of an entry that is not kept any longer.
    fn miss(&mut self, entry: &Committed) {
        if !self.live || self.place.position >= entry.position {
            return;
        }
        let taken = if self.place.position + 1 == entry.position { self.place.taken } else { 0 };
        let left = entry.records.iter().filter(|record| record.seq >= entry.first_seq + taken);
        self.missed += left.filter(|record| self.filter.matches(record)).count() as u64;
    }
}

/// What there is for somebody who listens.
#[derive(Debug)]
pub(super) enum Next {
    /// The entry after his place.
    Entry(Committed),
    /// Nothing yet.
    Level,
    /// What only the store has. He was level before if this says how much he missed.
    Older { missed: u64 },
    /// The ledger went back behind places that were handed out, or nobody follows it any more.
    Lost,
}

impl Hub {
    pub(in crate::api) fn new(source: CommitSource) -> Arc<Self> {
        Arc::new(Self {
            source,
            state: Mutex::default(),
            moved: watch::Sender::new(()),
            readers: Semaphore::new(READERS),
        })
    }

    /// Takes a seat at `place`; `None` when there is none left. The first to sit down starts the following.
    pub(super) fn join(
        self: &Arc<Self>,
        store: &AnyStore,
        filter: Arc<Filter>,
        place: Place,
    ) -> Option<Seat> {
        let mut state = self.lock();
        if state.seats.len() >= MAX_SESSIONS {
            return None;
        }
        let id = state.next_seat;
        state.next_seat += 1;
        let generation = state.generation;
        state.seats.insert(id, Listener { filter, place, generation, live: false, missed: 0 });
        if !state.following {
            state.following = true;
            let following = Following(Some(Arc::clone(self)));
            let (hub, store) = (Arc::clone(self), store.clone());
            let commits = self.source.subscribe();
            tokio::spawn(async move {
                follow::follow(&hub, &store, commits).await;
                following.done();
            });
        }
        drop(state);
        Some(Seat { id, moved: self.moved.subscribe(), hub: Arc::clone(self) })
    }

    /// Returns what becomes true when whoever listens has to go.
    pub(super) fn hung_up(&self) -> watch::Receiver<bool> {
        self.source.hung_up()
    }

    /// Returns the last position that is known.
    pub(super) fn position(&self) -> Option<i64> {
        self.lock().ring.as_ref().map(Ring::position)
    }

    /// Begins behind `position`, and gives up whatever was before.
    pub(super) fn begin(&self, position: i64) {
        let mut state = self.lock();
        if state.ring.is_some() {
            state.generation += 1;
        }
        state.ring = Some(Ring::at(position));
        drop(state);
        self.moved.send_replace(());
    }

    /// Adds entries that were committed at once.
    pub(super) fn push(&self, entries: &[Committed]) {
        let mut state = self.lock();
        let State { ring: Some(ring), seats, .. } = &mut *state else { return };
        for entry in entries {
            // Under the lock: who finds that he is behind has been counted for. Only those who are behind
            // cost anything here.
            ring.push(entry.clone(), |gone| seats.values_mut().for_each(|seat| seat.miss(gone)));
        }
        drop(state);
        self.moved.send_replace(());
    }

    /// Ends the following if nobody listens.
    pub(super) fn is_deserted(&self) -> bool {
        let mut state = self.lock();
        let deserted = state.seats.is_empty();
        if deserted {
            state.stop();
        }
        deserted
    }

    /// Waits for something to change.
    pub(super) fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a filter leaves counts behind that are too low, nothing else.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stop(&mut self) {
        self.following = false;
        self.ring = None;
        // Seats that are still taken belong to sessions that nobody would wake.
        self.generation += 1;
    }
}

/// Held by the task that follows the ledger. Dropped in whatever way that ends, so that nobody waits for
/// what nobody watches.
#[derive(Debug)]
pub(super) struct Following(Option<Arc<Hub>>);

impl Following {
    /// Ends in good order: the hub has noted it, and another may follow already.
    pub(super) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(hub) = self.0.take() {
            hub.lock().stop();
            hub.moved.send_replace(());
        }
    }
}

/// A place at the hub, free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    hub: Arc<Hub>,
    id: u64,
    moved: watch::Receiver<()>,
}

impl Seat {
    /// Returns what comes after `place`, which is where the session stands from now on.
    pub(super) fn next(&mut self, place: Place) -> Next {
        // Before looking, so that what changes afterwards is noticed.
        self.moved.mark_unchanged();
        let mut state = self.hub.lock();
        let State { ring, seats, generation, .. } = &mut *state;
        let Some(seat) = seats.get_mut(&self.id) else { return Next::Lost };
        if seat.generation != *generation {
            return Next::Lost;
        }
        seat.place = place;
        match ring.as_ref().map_or(Ahead::Level, |ring| ring.after(place)) {
            Ahead::Entry(entry) => {
                seat.live = true;
                Next::Entry(entry)
            }
            Ahead::Level => {
                seat.live = ring.is_some();
                Next::Level
            }
            Ahead::Older => {
                seat.live = false;
                Next::Older { missed: std::mem::take(&mut seat.missed) }
            }
        }
    }

    /// Says where the session stands, before it is busy with something else.
    pub(super) fn stand_at(&self, place: Place) {
        if let Some(seat) = self.hub.lock().seats.get_mut(&self.id) {
            seat.place = place;
        }
    }

    /// Waits until there may be something new.
    pub(super) async fn moved(&mut self) {
        if self.moved.changed().await.is_err() {
            // Not reached: the hub is held by the seat.
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a turn to read the store.
    pub(super) async fn reader(&self) -> Option<SemaphorePermit<'_>> {
        self.hub.readers.acquire().await.ok()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let empty = {
            let mut state = self.hub.lock();
            state.seats.remove(&self.id);
            state.seats.is_empty()
        };
        if empty {
            self.hub.moved.send_replace(());
        }
    }
}
