//! How large it is, and whether its streams are whole.

use std::collections::HashMap;

use super::{MemoryStore, State};
use crate::{
    ledger::verify::is_stub,
    record::{Record, WriterId},
    store::{
        Completeness, CompletenessRequest, Folded, Index, Maintain, Storage, StoreError,
        StoreErrorKind, StreamPosition,
        completeness::{self, Numbers, Wanted},
    },
};

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

impl State {
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
}
