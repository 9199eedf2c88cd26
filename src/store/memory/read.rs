//! Pages, records and entries.

use std::{ops::Bound, time::Duration};

use super::MemoryStore;
use crate::{
    ledger::Entry,
    query::{
        Aggregate, Aggregated, Count, Direction, Filter, Keyset, Page, PageRequest, Place,
        TextSearch, Total,
    },
    record::{Record, RecordId},
    store::{
        Read, Snapshot, StoreError, StoreErrorKind,
        restrict::mark,
        scan::{self, Candidates},
    },
};

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
