//! A store in memory: for tests, for trying things out, and as the smallest complete example of a store.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    AnyStore, ApiKey, Append, Appended, Appender, Batch, Claim, Claimed, Completeness,
    CompletenessRequest, Ending, Erase, ErasedGroups, ErasedSubject, ErasurePlace, Evidence,
    Folded, Holding, Index, IngestKey, Maintain, Read, Register, Restricted, Retain, Snapshot,
    Storage, StoreError, StoreErrorKind, StreamPosition, Unit, UnitFacts,
    claims::Claims,
    completeness::{self, Numbers, Wanted},
    erase,
    holds::is_of_holds,
    restrict::mark,
    retain,
    scan::{self, Candidates},
};
use crate::{
    ledger::{
        Entry, Hash, KeptCheckpoint, Removal, TreeNode, new_entries,
        verify::{LedgerRow, RecordRow, StreamRows, Verified, is_stub},
    },
    query::{
        Aggregate, Aggregated, Count, Direction, Filter, Keyset, Page, PageRequest, Place,
        TextSearch, Total,
    },
    record::{Canonical, Groups, Record, RecordId, WriterId},
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
        record.map_or(0, |record| erase::empty(record, erased))
    }

    /// Returns what the entries say of the streams, the one that was written to last first.
    fn numbers(&self, wanted: &Wanted) -> Vec<Numbers> {
        let mut found: HashMap<WriterId, Numbers> = HashMap::new();
        let mut order: Vec<WriterId> = Vec::new();
        for entry in self.entries.iter().rev() {
            let writer_id = entry.new.writer_id;
            let numbers = found.entry(writer_id).or_insert_with(|| {
                order.push(writer_id);
                Numbers::ending_with(entry)
            });
            numbers.prepend(entry);
        }
        let is_wanted = |writer_id: &WriterId| match wanted {
            Wanted::Newest(_) => true,
            Wanted::These(these) => these.contains(writer_id),
        };
        let limit = if let Wanted::Newest(limit) = wanted { *limit } else { usize::MAX };
        let order = order.iter().filter(|writer_id| is_wanted(writer_id)).take(limit);
        order.filter_map(|writer_id| found.remove(writer_id)).collect()
    }

    fn stubs(&self) -> HashMap<WriterId, u64> {
        let mut stubs = HashMap::new();
        for record in self.records.values().filter(|record| is_stub(record)) {
            *stubs.entry(record.writer_id).or_default() += 1;
        }
        stubs
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
        let epoch = batch.epoch(self.entries.last().map_or(1, |entry| entry.epoch));
        let mut entries = Vec::with_capacity(new.len());
        for new in new {
            let position = i64::try_from(self.entries.len()).unwrap_or(i64::MAX) + 1;
            let entry = Entry { position, epoch, new, committed_at };
            committed_at = committed_at.saturating_add(Duration::from_micros(1));
            self.entries.push(entry.clone());
            entries.push(entry);
        }
        for record in batch.records() {
            let place = Keyset::of(record);
            self.places.insert((record.writer_id, record.seq), place);
            self.records.insert(place, Record::clone(record));
        }
        for kept in batch.restricted() {
            self.keep(kept);
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

    fn reader(&self) -> Option<AnyStore> {
        Some(AnyStore::new(self.clone()))
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

impl MemoryStore {
    /// Returns what comes after a place, in the order of the page, and whether there is more.
    fn candidates(
        &self,
        filter: &Filter,
        direction: Direction,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Candidates, StoreError> {
        let after = match after {
            None => None,
            Some(Place::Occurred(place)) => Some(place),
            Some(Place::Committed(_)) => {
                let doing = "read a page: the place is of another order";
                return Err(StoreError::new(StoreErrorKind::Data, doing));
            }
        };
        let state = self.lock();
        let passing = |(_, record): &(&Keyset, &Record)| filter.matches(record);
        let mut records: Vec<_> = match direction {
            Direction::Older => {
                let before = after.map_or(Bound::Unbounded, Bound::Excluded);
                let range = state.records.range((Bound::Unbounded, before)).rev();
                range.filter(passing).take(limit.saturating_add(1)).collect()
            }
            Direction::Newer => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                let range = state.records.range((from, Bound::Unbounded));
                range.filter(passing).take(limit.saturating_add(1)).collect()
            }
        };
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|(place, _)| Place::Occurred(**place));
        let records = records.into_iter().map(|(_, record)| scan::placed(record.clone())).collect();
        Ok(Candidates { records, unreadable: 0, next })
    }
}

impl Read for MemoryStore {
    async fn records(&self, filter: &Filter, request: &PageRequest) -> Result<Page, StoreError> {
        let text = if filter.asks_for_text() { TextSearch::Scanned } else { TextSearch::None };
        let mut page = scan::page(filter, request, true, text, async |after, limit| {
            self.candidates(filter, request.direction, after, limit)
        })
        .await?;
        mark(self, &mut page.records).await?;
        Ok(page)
    }

    async fn count(&self, filter: &Filter, how: Count) -> Result<Total, StoreError> {
        scan::count(how, async |request| self.records(filter, &request).await).await
    }

    async fn aggregate(&self, filter: &Filter, ask: &Aggregate) -> Result<Aggregated, StoreError> {
        let counted =
            scan::aggregate(ask, async |request| self.records(filter, &request).await).await?;
        let as_of = self.lock().entries.last().map(|entry| entry.committed_at);
        Ok(Aggregated { as_of, ..counted })
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        // Under one lock, hence one moment.
        let state = self.lock();
        Ok(Snapshot { position: state.head(), streams: state.streams() })
    }

    async fn head(&self) -> Result<i64, StoreError> {
        Ok(self.lock().head())
    }

    async fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        // The milliseconds of an id are those of the moment it occurred.
        let from = Keyset { occurred_at: id.at(), id: RecordId::NIL };
        let to = id.at().saturating_add(Duration::from_millis(1));
        let to = Keyset { occurred_at: to, id: RecordId::NIL };
        let mut record = {
            let state = self.lock();
            let mut range = state.records.range(from..to).map(|(_, record)| record);
            range.find(|record| record.id == id).cloned()
        };
        mark(self, record.as_mut_slice()).await?;
        Ok(record)
    }

    async fn entries(&self, position: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let state = self.lock();
        let skip = usize::try_from(position).unwrap_or(0);
        Ok(state.entries.iter().skip(skip).take(limit).cloned().collect())
    }

    async fn entry_records(&self, entry: &Entry) -> Result<Vec<Record>, StoreError> {
        let mut records: Vec<_> = self.lock().of_entry(entry).cloned().collect();
        mark(self, &mut records).await?;
        Ok(records)
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
            used: i64::try_from(bytes).unwrap_or(i64::MAX),
            oldest: state.records.keys().next().map(|place| place.occurred_at),
            newest: state.records.keys().next_back().map(|place| place.occurred_at),
        })
    }

    async fn streams(&self) -> Result<Vec<StreamPosition>, StoreError> {
        Ok(self.lock().streams())
    }

    async fn completeness(
        &self,
        request: &CompletenessRequest,
    ) -> Result<Completeness, StoreError> {
        let (numbers, stubs, total) = {
            let state = self.lock();
            (state.numbers(request.wanted()), state.stubs(), state.streams.len())
        };
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        completeness::assemble(self, request, numbers, &stubs, total).await
    }

    /// Nothing to do: everything is counted when it is asked for.
    async fn fold(&self, _entries: usize) -> Result<Folded, StoreError> {
        let head = self.lock().head();
        Ok(Folded { position: head, head, led: true })
    }

    async fn make_index(&self, index: Index) -> Result<(), StoreError> {
        let doing = format!("make the index {}: a store in memory has none", index.as_str());
        Err(StoreError::new(StoreErrorKind::Configuration, doing))
    }

    async fn indexes(&self) -> Result<Vec<Index>, StoreError> {
        Ok(Vec::new())
    }
}

impl Register for MemoryStore {
    async fn claim(&self, claims: &[Claim]) -> Result<Vec<Claimed>, StoreError> {
        let mut state = self.lock();
        Ok(claims.iter().map(|claim| state.claims.claim(claim)).collect())
    }

    async fn settle(&self, keys: &[IngestKey]) -> Result<(), StoreError> {
        let mut state = self.lock();
        keys.iter().for_each(|key| state.claims.settle(key));
        Ok(())
    }

    async fn release(&self, claims: &[Holding]) -> Result<(), StoreError> {
        let mut state = self.lock();
        claims.iter().for_each(|claim| state.claims.release(claim));
        Ok(())
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.lock().claims.forget(before))
    }

    async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.api_keys.iter().any(|other| other.id == key.id) {
            let doing = format!("add the API key {}: there is one of this id", key.id);
            return Err(StoreError::new(StoreErrorKind::Data, doing));
        }
        state.api_keys.push(key.clone());
        Ok(())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        Ok(self.lock().api_keys.clone())
    }

    async fn revoke_api_key(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let key = state.api_keys.iter_mut().find(|key| key.id == id && key.revoked_at.is_none());
        Ok(key.map(|key| key.revoked_at = Some(at)).is_some())
    }
}

impl Evidence for MemoryStore {
    async fn restricted(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Restricted)>, StoreError> {
        let state = self.lock();
        let range = state.restricted.range((Bound::Excluded(after), Bound::Unbounded)).take(limit);
        Ok(range.map(|(number, kept)| (*number, kept.clone())).collect())
    }

    async fn restricted_of(&self, id: RecordId) -> Result<Vec<Restricted>, StoreError> {
        let state = self.lock();
        Ok(state.restricted.values().filter(|kept| kept.id == id).cloned().collect())
    }

    async fn restricted_marks(
        &self,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, Groups)>, StoreError> {
        let state = self.lock();
        let kept = state.restricted.values().filter(|kept| ids.contains(&kept.id));
        Ok(kept.map(|kept| (kept.id, kept.groups)).collect())
    }

    async fn ledger_rows(&self, after: i64, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
        let entries = self.entries(after.max(0), limit).await?;
        let row = |entry: Entry| LedgerRow { position: Some(entry.position), entry: Ok(entry) };
        Ok(entries.into_iter().map(row).collect())
    }

    async fn record_rows(
        &self,
        stream: WriterId,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let state = self.lock();
        let last = state.streams.get(&stream).map_or(0, |last_seq| to.min(*last_seq));
        let found = (from.max(1)..=last).filter_map(|seq| {
            let record = state.records.get(state.places.get(&(stream, seq))?)?;
            Some(RecordRow::new(seq, Box::new(record.clone())))
        });
        Ok(found.take(limit).collect())
    }

    async fn stream_rows(&self, after: i64, limit: usize) -> Result<Vec<StreamRows>, StoreError> {
        let state = self.lock();
        let later = state.streams.iter().filter(|(writer_id, _)| writer_id.get() > after);
        let rows = later.map(|(writer_id, &last_seq)| StreamRows {
            writer_id: writer_id.get(),
            first_seq: 1,
            last_seq,
        });
        Ok(rows.take(limit).collect())
    }

    async fn committed(&self, stream: WriterId) -> Result<i64, StoreError> {
        Ok(self.lock().streams.get(&stream).copied().unwrap_or(0))
    }

    async fn entry_of(&self, stream: WriterId, seq: i64) -> Result<Option<Entry>, StoreError> {
        let state = self.lock();
        let mut entries = state.entries.iter();
        let found = entries.find(|entry| {
            let new = &entry.new;
            new.writer_id == stream && (new.first_seq..=new.last_seq).contains(&seq)
        });
        Ok(found.cloned())
    }

    async fn add_checkpoint(
        &self,
        checkpoint: &KeptCheckpoint,
        nodes: &[TreeNode],
        _at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.checkpoints.len() as i64 + 1 != checkpoint.number {
            return Ok(false);
        }
        state.checkpoints.push(checkpoint.clone());
        for node in nodes {
            state.nodes.insert((node.height, node.number), node.hash);
        }
        Ok(true)
    }

    async fn last_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        Ok(self.lock().checkpoints.last().cloned())
    }

    async fn checkpoints(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        let state = self.lock();
        let later = state.checkpoints.iter().filter(|checkpoint| checkpoint.number > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn tree_nodes(
        &self,
        height: u32,
        from: i64,
        before: i64,
    ) -> Result<Vec<(i64, Hash)>, StoreError> {
        let state = self.lock();
        let nodes = state.nodes.range((height, from)..(height, before.max(from)));
        Ok(nodes.map(|((_, number), hash)| (*number, *hash)).collect())
    }

    async fn add_anchor(&self, note: &str, _at: Timestamp) -> Result<(), StoreError> {
        self.lock().anchors.push(note.to_owned());
        Ok(())
    }

    async fn anchors(&self, after: i64, limit: usize) -> Result<Vec<(i64, String)>, StoreError> {
        let state = self.lock();
        let later = (1..).zip(state.anchors.iter().cloned()).filter(|(number, _)| *number > after);
        Ok(later.take(limit).collect())
    }

    async fn keep_verified(&self, verified: &Verified) -> Result<(), StoreError> {
        self.lock().verified = Some(*verified);
        Ok(())
    }

    async fn last_verified(&self) -> Result<Option<Verified>, StoreError> {
        Ok(self.lock().verified)
    }
}

impl Erase for MemoryStore {
    async fn erase(&self, records: &[ErasedGroups], holds: u64) -> Result<Option<u64>, StoreError> {
        let mut state = self.lock();
        if state.holds_told() != holds {
            return Ok(None);
        }
        Ok(Some(records.iter().map(|erased| state.empty(erased)).sum()))
    }

    async fn restrict(
        &self,
        records: &[ErasedGroups],
        kept: &[Restricted],
        holds: u64,
    ) -> Result<Option<u64>, StoreError> {
        let mut state = self.lock();
        if state.holds_told() != holds {
            return Ok(None);
        }
        let mut count = 0;
        for (erased, kept) in records.iter().zip(kept) {
            let gone = state.empty(erased);
            if gone > 0 {
                state.keep(kept.clone());
            }
            count += gone;
        }
        Ok(Some(count))
    }

    async fn end_restricted(&self, numbers: &[i64], holds: u64) -> Result<Option<u64>, StoreError> {
        let mut state = self.lock();
        if state.holds_told() != holds {
            return Ok(None);
        }
        let ended = numbers.iter().filter_map(|number| state.restricted.remove(number));
        Ok(Some(ended.count() as u64))
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn erasure_places(&self, _names: &[String]) -> Result<Vec<ErasurePlace>, StoreError> {
        Ok(Vec::new())
    }

    async fn add_erased_subjects(&self, subjects: &[ErasedSubject]) -> Result<(), StoreError> {
        self.lock().erased.extend_from_slice(subjects);
        Ok(())
    }

    async fn erased_subjects(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ErasedSubject)>, StoreError> {
        let state = self.lock();
        let skipped = usize::try_from(after).unwrap_or(0);
        let numbered = (1..).zip(&state.erased).skip(skipped).take(limit);
        Ok(numbered.map(|(number, subject)| (number, subject.clone())).collect())
    }
}

impl Retain for MemoryStore {
    async fn units(&self) -> Result<Vec<UnitFacts>, StoreError> {
        let state = self.lock();
        let mut units: BTreeMap<Unit, UnitFacts> = BTreeMap::new();
        for Entry { position, new, .. } in &state.entries {
            let unit = Unit { month: new.month, class: new.class.clone() };
            if state.ended.get(&unit).is_some_and(|ended| position <= ended) {
                continue;
            }
            let facts = units.entry(unit.clone()).or_insert_with(|| UnitFacts {
                unit,
                records: 0,
                entries: 0,
                first: *position,
                last: *position,
                first_at: new.first_at,
                last_at: new.last_at,
                bytes: None,
            });
            (facts.records, facts.entries) = (facts.records + new.count(), facts.entries + 1);
            facts.last = *position;
            facts.first_at = facts.first_at.min(new.first_at);
            facts.last_at = facts.last_at.max(new.last_at);
        }
        Ok(units.into_values().collect())
    }

    async fn unit_entries(
        &self,
        unit: &Unit,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let state = self.lock();
        let of_it = state.entries.iter().filter(|entry| {
            entry.position > after && entry.new.month == unit.month && entry.new.class == unit.class
        });
        Ok(of_it.take(limit).cloned().collect())
    }

    async fn end_unit(
        &self,
        removal: &Removal,
        told_by: RecordId,
        holds: u64,
    ) -> Result<Ending, StoreError> {
        let told = self.record(told_by).await?;
        if told.as_ref().and_then(Removal::told).as_ref() != Some(removal) {
            return Err(retain::untold(told_by));
        }
        let mut state = self.lock();
        if state.holds_told() != holds {
            return Ok(Ending::Held);
        }
        let State { records, places, entries, ended, .. } = &mut *state;
        for Entry { new, .. } in entries.iter().filter(|entry| removal.covers(entry)) {
            for seq in new.first_seq..=new.last_seq {
                if let Some(place) = places.remove(&(new.writer_id, seq)) {
                    records.remove(&place);
                }
            }
        }
        let unit = Unit { month: removal.month, class: removal.class.clone() };
        let last = ended.entry(unit).or_default();
        *last = removal.last.max(*last);
        Ok(Ending::Done)
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
            let request = PageRequest { after, ..PageRequest::newest(2) };
            let page = store.records(&Filter::new(), &request).await.unwrap();
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
