//! Appending: all of a batch, or nothing.

use std::{collections::HashSet, time::Duration};

use super::{MemoryStore, State};
use crate::{
    ledger::{Entry, new_entries},
    query::Keyset,
    record::{Record, WriterId},
    store::{AnyStore, Append, Appended, Appender, Batch, StoreError, StoreErrorKind},
    time::Timestamp,
};

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

impl State {
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
