//! A store in memory: for tests, for trying things out, and as the smallest complete example of a store.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Append, Appended, Appender, Batch, Maintain, Read, Storage, StoreError, StoreErrorKind,
    StreamPosition,
};
use crate::{
    ledger::{Entry, new_entries},
    query::{Filter, Keyset, Page},
    record::{Canonical, Record, RecordId, WriterId},
    time::{Clock, SystemClock, Timestamp},
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
    fn of_entry<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a Record> {
        (entry.new.first_seq..=entry.new.last_seq).filter_map(|seq| {
            let place = self.places.get(&(entry.new.writer_id, seq))?;
            self.records.get(place)
        })
    }

    fn append(&mut self, batch: Batch<'_>, now: Timestamp) -> Result<Appended, StoreError> {
        let last_seq = self.streams.get(&batch.writer_id()).copied().unwrap_or(0);
        if last_seq.checked_add(1) != Some(batch.first_seq()) {
            return Err(StoreError::new(StoreErrorKind::Position { last_seq }, "append a batch"));
        }
        let mut places = HashSet::new();
        for place in batch.records().iter().map(|record| Keyset::of(record)) {
            if self.records.contains_key(&place) || !places.insert(place) {
                let doing = format!("append a batch: record {} is there already", place.id);
                return Err(StoreError::new(StoreErrorKind::Data, doing));
            }
        }
        let new = new_entries(batch.records(), &mut self.encoder);
        // Time at the commit goes on from position to position, whatever the clock does.
        let floor = self.entries.last().map(|entry| entry.committed_at);
        let mut committed_at =
            floor.map_or(now, |at| now.max(at.saturating_add(Duration::from_micros(1))));
        let mut entries = Vec::with_capacity(new.len());
        for new in new {
            let position = i64::try_from(self.entries.len()).unwrap_or(i64::MAX) + 1;
            let entry = Entry { position, epoch: 1, new, committed_at };
            committed_at = committed_at.saturating_add(Duration::from_micros(1));
            self.entries.push(entry.clone());
            entries.push(entry);
        }
        for record in batch.records() {
            let place = Keyset::of(record);
            self.places.insert((record.writer_id, record.seq), place);
            self.records.insert(place, Record::clone(record));
        }
        self.streams.insert(batch.writer_id(), batch.last_seq());
        Ok(Appended { entries })
    }
}

/// The connection for appending to a [`MemoryStore`].
#[derive(Debug)]
pub struct MemoryAppender(MemoryStore);

impl Append for MemoryStore {
    type Appender = MemoryAppender;

    async fn connect(&self) -> Result<MemoryAppender, StoreError> {
        Ok(MemoryAppender(self.clone()))
    }
}

impl Appender for MemoryAppender {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        Ok(self.0.lock().streams.get(&writer_id).copied().unwrap_or(0))
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        let now = self.0.clock.now();
        self.0.lock().append(batch, now)
    }
}

impl Read for MemoryStore {
    async fn records(
        &self,
        filter: &Filter,
        after: Option<Keyset>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let state = self.lock();
        let mut older = match after {
            Some(place) => state.records.range(..place),
            None => state.records.range(..),
        }
        .rev()
        .filter(|(_, record)| filter.matches(record));
        let records: Vec<Record> =
            older.by_ref().take(limit).map(|(_, record)| record.clone()).collect();
        let more = older.next().is_some();
        let next = if more { records.last().map(Keyset::of) } else { None };
        Ok(Page { records, next })
    }

    async fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        let state = self.lock();
        // The milliseconds of an id are those of the moment it occurred.
        let from = Keyset { occurred_at: id.at(), id: RecordId::NIL };
        let to = id.at().saturating_add(Duration::from_millis(1));
        let to = Keyset { occurred_at: to, id: RecordId::NIL };
        Ok(state.records.range(from..to).map(|(_, record)| record).find(|r| r.id == id).cloned())
    }

    async fn entries(&self, position: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let state = self.lock();
        let skip = usize::try_from(position).unwrap_or(0);
        Ok(state.entries.iter().skip(skip).take(limit).cloned().collect())
    }

    async fn entry_records(&self, entry: &Entry) -> Result<Vec<Record>, StoreError> {
        Ok(self.lock().of_entry(entry).cloned().collect())
    }
}

impl Maintain for MemoryStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn storage(&self) -> Result<Storage, StoreError> {
        let state = self.lock();
        let bytes: usize = state.records.values().map(Record::footprint).sum();
        Ok(Storage {
            rows: state.entries.iter().map(|entry| entry.new.count()).sum(),
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            oldest: state.records.keys().next().map(|place| place.occurred_at),
            newest: state.records.keys().next_back().map(|place| place.occurred_at),
        })
    }

    async fn streams(&self) -> Result<Vec<StreamPosition>, StoreError> {
        let state = self.lock();
        Ok(state
            .streams
            .iter()
            .map(|(writer_id, last_seq)| StreamPosition {
                writer_id: *writer_id,
                last_seq: *last_seq,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(seqs: std::ops::RangeInclusive<i64>) -> Vec<Box<Record>> {
        seqs.map(|seq| {
            let at = Timestamp::from_micros(1_000_000 * seq);
            Box::new(Record {
                id: RecordId::new(at, [7; 10]),
                occurred_at: at,
                seq,
                writer_id: WriterId::new(1),
                ..Record::default()
            })
        })
        .collect()
    }

    async fn append(store: &MemoryStore, records: &[Box<Record>]) -> Result<Appended, StoreError> {
        store.connect().await?.append(Batch::new(records).unwrap()).await
    }

    #[tokio::test]
    async fn a_batch_out_of_step_is_refused_and_changes_nothing() {
        let store = MemoryStore::new();
        assert_eq!(append(&store, &records(1..=3)).await.unwrap().position(), 1);
        for wrong in [records(1..=3), records(3..=5), records(5..=6)] {
            let error = append(&store, &wrong).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Position { last_seq: 3 });
        }
        assert_eq!(store.len(), 3);
        assert_eq!(append(&store, &records(4..=4)).await.unwrap().position(), 2);
        assert_eq!(store.storage().await.unwrap().rows, 4);
    }

    #[tokio::test]
    async fn an_id_that_is_taken_is_refused_and_changes_nothing() {
        let store = MemoryStore::new();
        append(&store, &records(1..=2)).await.unwrap();
        let mut again = records(3..=4);
        again[1].id = again[0].id;
        again[1].occurred_at = again[0].occurred_at;
        assert_eq!(append(&store, &again).await.unwrap_err().kind(), StoreErrorKind::Data);
        let mut again = records(3..=3);
        again[0].id = records(1..=1)[0].id;
        again[0].occurred_at = records(1..=1)[0].occurred_at;
        assert_eq!(append(&store, &again).await.unwrap_err().kind(), StoreErrorKind::Data);
        assert_eq!((store.len(), store.entries(0, 9).await.unwrap().len()), (2, 1));
    }

    #[tokio::test]
    async fn pages_go_from_new_to_old_without_overlap() {
        let store = MemoryStore::new();
        append(&store, &records(1..=5)).await.unwrap();
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let page = store.records(&Filter::new(), after, 2).await.unwrap();
            seen.extend(page.records.iter().map(|record| record.seq));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, [5, 4, 3, 2, 1]);
    }

    #[tokio::test]
    async fn a_record_is_found_by_its_id_and_by_its_entry() {
        let store = MemoryStore::new();
        let written = records(1..=2);
        append(&store, &written).await.unwrap();
        assert_eq!(store.record(written[1].id).await.unwrap().unwrap().seq, 2);
        assert!(store.record(RecordId::NIL).await.unwrap().is_none());
        let entry = store.entries(0, 10).await.unwrap().remove(0);
        assert_eq!(store.entry_records(&entry).await.unwrap().len(), 2);
        assert!(store.entries(1, 10).await.unwrap().is_empty());
    }
}
