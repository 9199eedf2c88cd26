//! What legal holds keep of people who were erased, and how it ends.
//!
//! It is under a hold when it is put aside. Once it is under none any more it is due: a record `erased` names it, and
//! then it goes. Whoever lifts a hold, erases or runs the retention looks for what is due.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::eraser::PASSES;
use crate::{
    pipeline::own,
    record::{Canonical, Groups, Operation, Record, RecordId, WriterId},
    store::{
        AnyStore, ERASED, Erase as _, ErasedList, Evidence as _, Holds, Read as _, Restricted,
        StoreError, holds, whole,
    },
};

/// So much of it is looked at, and let go, at once: the log waits for as long.
const STEP: usize = 200;
/// Why it goes, where no erasure of somebody is the reason.
const BASIS: &str = "erased before, and kept aside until no legal hold was on it";
/// In the place of a hold that is not the asking tenant's to know.
const OTHER: &str = "other";

/// Looks for what no hold keeps aside any more, and lets it go.
pub(in crate::pipeline) struct Dues<'s> {
    store: &'s AnyStore,
    after: i64,
    canonical: Canonical,
    /// So often all of it is looked at again.
    rounds: u32,
}

/// Some of it, which is let go at once.
pub(in crate::pipeline) struct Due {
    kept: Vec<(i64, Restricted)>,
    /// How many records told of holds when it was looked at.
    told: u64,
}

impl<'s> Dues<'s> {
    pub(in crate::pipeline) fn new(store: &'s AnyStore) -> Self {
        Self { store, after: 0, canonical: Canonical::new(), rounds: PASSES }
    }

    /// Returns the next of it: to be [told of](Due::telling) first, and then [let go](Self::end).
    pub(in crate::pipeline) async fn next(&mut self) -> Result<Option<Due>, StoreError> {
        loop {
            let page = self.store.restricted(self.after, STEP).await?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            self.after = *last;
            // Read behind it: a hold that is placed before this ends keeps what it would let go.
            let holds = holds(self.store).await?;
            let mut kept = Vec::new();
            for (number, one) in page {
                if !self.is_held(&holds, &one).await? {
                    kept.push((number, one));
                }
            }
            if !kept.is_empty() {
                return Ok(Some(Due { kept, told: holds.told() }));
            }
        }
    }

    async fn is_held(&mut self, holds: &Holds, kept: &Restricted) -> Result<bool, StoreError> {
        let record = self.store.record(kept.id).await?;
        // What is not the record's own may have been made so that no hold is on it: it stays to be found out, unless
        // there is no hold at all.
        match record.filter(|record| kept.proved(record, &mut self.canonical) == kept.groups) {
            Some(record) => Ok(holds.held_whole(self.store, &record).await?.is_some()),
            None => Ok(holds.standing().next().is_some()),
        }
    }

    /// Lets it go, unless holds were placed or lifted meanwhile: then all is looked at again, or left to the next who looks
    /// where they never rest. Returns whether it did.
    pub(in crate::pipeline) async fn end(&mut self, due: &Due) -> Result<bool, StoreError> {
        let numbers: Vec<_> = due.kept.iter().map(|(number, _)| *number).collect();
        let ended = self.store.end_restricted(&numbers, due.told).await?;
        if ended.is_none() {
            self.after = if self.rounds == 0 { i64::MAX } else { 0 };
            self.rounds = self.rounds.saturating_sub(1);
        }
        Ok(ended.is_some())
    }
}

impl Due {
    /// Returns the record that tells of it.
    pub(in crate::pipeline) fn telling(&self) -> Box<Record> {
        let mut places: BTreeMap<_, Groups> = BTreeMap::new();
        for (_, kept) in &self.kept {
            let groups = places.entry((kept.writer_id, kept.seq)).or_default();
            *groups = groups.and(kept.groups);
        }
        ended(&places, &self.groups(), None)
    }

    pub(in crate::pipeline) fn records(&self) -> u64 {
        let places = self.kept.iter().map(|(_, kept)| (kept.writer_id, kept.seq));
        places.collect::<BTreeSet<_>>().len() as u64
    }

    /// Counts by group.
    pub(in crate::pipeline) fn groups(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for group in self.kept.iter().flat_map(|(_, kept)| kept.groups.iter()) {
            *counts.entry(group.as_str()).or_default() += 1;
        }
        counts
    }
}

/// Returns the record that tells which groups of which records go, since no hold is on them any more; and which archive was
/// gone through, where it tells that.
pub(super) fn ended(
    places: &BTreeMap<(WriterId, i64), Groups>,
    groups: &BTreeMap<&'static str, u64>,
    archive: Option<&Value>,
) -> Box<Record> {
    let mut list = ErasedList::default();
    for ((stream, seq), groups) in places {
        list.add(*stream, *seq, *groups);
    }
    let mut facts = json!({
        "basis": BASIS,
        "count": places.len(),
        "groups": groups,
        "records": list.to_json(),
    });
    if let Some(archive) = archive {
        facts["archive"] = archive.clone();
    }
    let mut record = own::record(ERASED, 4, &facts);
    record.operation = Operation::Delete;
    record
}

/// How many records of somebody are kept aside, by the hold that keeps them.
#[derive(Debug, Default)]
pub(super) struct HeldBy {
    pub(super) records: u64,
    pub(super) by: BTreeMap<String, u64>,
}

impl HeldBy {
    /// Counts what is kept aside of what `concerned` knows, for the eyes of a tenant, or of everybody.
    pub(super) async fn of(
        store: &AnyStore,
        tenant: Option<&str>,
        concerned: impl Fn(&Record) -> Groups + Send,
    ) -> Result<Self, StoreError> {
        let holds = holds(store).await?;
        let (mut held, mut seen, mut after) = (Self::default(), BTreeSet::new(), 0);
        loop {
            let page = store.restricted(after, STEP).await?;
            let Some((last, _)) = page.last() else { return Ok(held) };
            after = *last;
            for (_, kept) in page {
                let Some(record) = store.record(kept.id).await? else { continue };
                let record = whole(store, &record).await?;
                if concerned(&record).within(kept.groups).is_empty() || !seen.insert(kept.id) {
                    continue;
                }
                if let Some(hold) = holds.held(&record) {
                    held.add(hold.id, &holds, tenant);
                }
            }
        }
    }

    pub(super) fn add(&mut self, hold: RecordId, holds: &Holds, tenant: Option<&str>) {
        self.records += 1;
        let of = holds.get(hold).and_then(|hold| hold.tenant.as_deref());
        let is_known = tenant.is_none_or(|tenant| of == Some(tenant));
        let name = if is_known { hold.to_string() } else { OTHER.to_owned() };
        *self.by.entry(name).or_default() += 1;
    }
}
