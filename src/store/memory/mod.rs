//! A store in memory: for tests, for trying things out, and as the smallest complete example of a store.

mod append;
mod erase;
mod evidence;
mod maintain;
mod read;
mod register;
mod retain;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use append::MemoryAppender;

use super::{
    ApiKey, ErasedGroups, ErasedSubject, Restricted, StreamPosition, Unit, claims::Claims,
    erase as groups, holds::is_of_holds,
};
use crate::{
    ledger::{Entry, Hash, KeptCheckpoint, verify::Verified},
    query::Keyset,
    record::{Canonical, Record, WriterId},
    time::{Clock, SystemClock},
};

/// Keeps records in memory for as long as a handle to it lives.
///
/// Cloning gives another handle to the same records.
///
/// # Loss
///
/// Everything, when the process ends.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    /// In the order of the pages, oldest first.
    records: BTreeMap<Keyset, Record>,
    /// Where the record with this place in a stream stands.
    places: HashMap<(WriterId, i64), Keyset>,
    entries: Vec<Entry>,
    streams: BTreeMap<WriterId, i64>,
    claims: Claims,
    api_keys: Vec<ApiKey>,
    checkpoints: Vec<KeptCheckpoint>,
    nodes: BTreeMap<(u32, i64), Hash>,
    erased: Vec<ErasedSubject>,
    /// By number.
    restricted: BTreeMap<i64, Restricted>,
    restricted_last: i64,
    anchors: Vec<String>,
    verified: Option<Verified>,
    /// How far each unit was taken out.
    ended: HashMap<Unit, i64>,
    encoder: Canonical,
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock::default()))
    }

    /// Makes an empty store whose entries are dated by `clock`.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::default(), clock }
    }

    /// Returns every record in the order of the ledger: by commit, then by number.
    #[must_use]
    pub fn all(&self) -> Vec<Record> {
        let state = self.lock();
        state.entries.iter().flat_map(|entry| state.of_entry(entry)).cloned().collect()
    }

    /// Returns the number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// Tells whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can unwind runs between the first and the last change of an append, so a state
        // seen through a poisoned lock is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryStore")
            .field("records", &state.records.len())
            .field("entries", &state.entries.len())
            .finish()
    }
}

impl State {
    fn holds_told(&self) -> u64 {
        self.records.values().filter(|record| is_of_holds(record)).count() as u64
    }

    fn head(&self) -> i64 {
        i64::try_from(self.entries.len()).unwrap_or(i64::MAX)
    }

    fn streams(&self) -> Vec<StreamPosition> {
        let streams = self.streams.iter();
        streams.map(|(&writer_id, &last_seq)| StreamPosition { writer_id, last_seq }).collect()
    }

    fn of_entry<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a Record> {
        (entry.new.first_seq..=entry.new.last_seq).filter_map(|seq| {
            let place = self.places.get(&(entry.new.writer_id, seq))?;
            self.records.get(place)
        })
    }

    fn keep(&mut self, kept: Restricted) {
        self.restricted_last += 1;
        self.restricted.insert(self.restricted_last, kept);
    }

    /// Erases groups of a record that is there, and returns how many there were.
    fn empty(&mut self, erased: &ErasedGroups) -> u64 {
        let place = self.places.get(&(erased.writer_id, erased.seq));
        let record = place.and_then(|place| self.records.get_mut(place));
        record.map_or(0, |record| groups::empty(record, erased))
    }
}
