//! Taking records out whose time is over.

use std::collections::BTreeMap;

use super::{MemoryStore, State};
use crate::{
    ledger::{Entry, Removal},
    record::RecordId,
    store::{Ending, Read as _, Retain, StoreError, Unit, UnitFacts, retain},
};

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
