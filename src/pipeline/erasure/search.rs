//! What the log holds of a person: what of it is to be emptied, and what a hold keeps.

use std::collections::BTreeSet;

use super::{eraser::STEP, error::EraseError, request::ErasureRequest, restriction::HeldBy};
use crate::{
    pipeline::subject::Sought,
    query::{Filter, PageRequest},
    record::{Canonical, Groups, Record, RecordId},
    store::{AnyStore, ErasedGroups, Holds, Read as _, Restricted, holds},
};

/// What is to be emptied, and what is to be restricted, under the holds that were looked at.
pub(super) struct Found {
    pub(super) erased: Vec<ErasedGroups>,
    pub(super) held: Held,
    /// How many records told of holds.
    pub(super) told: u64,
}

#[derive(Default)]
pub(super) struct Held {
    pub(super) groups: Vec<ErasedGroups>,
    /// What of each is kept.
    pub(super) kept: Vec<Restricted>,
    pub(super) holds: BTreeSet<RecordId>,
}

impl Found {
    pub(super) fn under(holds: &Holds) -> Self {
        Self { erased: Vec::new(), held: Held::default(), told: holds.told() }
    }

    pub(super) const fn len(&self) -> usize {
        self.erased.len() + self.held.kept.len()
    }

    /// Takes those of the groups that a record has, and returns the hold that it is under.
    pub(super) async fn take(
        &mut self,
        store: &AnyStore,
        holds: &Holds,
        record: &Record,
        groups: Groups,
        canonical: &mut Canonical,
    ) -> Result<Option<RecordId>, EraseError> {
        let Some(emptied) = ErasedGroups::of(record, groups, canonical) else { return Ok(None) };
        let hold = holds.held_whole(store, record).await?.map(|hold| hold.id);
        match (hold, Restricted::of(record, groups)) {
            (Some(hold), Some(kept)) => {
                self.held.groups.push(emptied);
                self.held.kept.push(kept);
                self.held.holds.insert(hold);
            }
            _ => self.erased.push(emptied),
        }
        Ok(hold)
    }
}

/// What the log holds of a person, page by page.
pub(super) struct Search<'s> {
    store: &'s AnyStore,
    request: &'s ErasureRequest,
    sought: &'s Sought,
    filter: Filter,
    ask: Option<PageRequest>,
    canonical: Canonical,
    unreadable: u64,
    /// Records that are under a hold, and to be restricted.
    pub(super) held: HeldBy,
}

impl<'s> Search<'s> {
    pub(super) fn new(
        store: &'s AnyStore,
        request: &'s ErasureRequest,
        sought: &'s Sought,
    ) -> Self {
        let filter = sought.filter();
        let (ask, canonical) = (Some(PageRequest::oldest(STEP)), Canonical::new());
        let held = HeldBy::default();
        Self { store, request, sought, filter, ask, canonical, unreadable: 0, held }
    }

    /// Returns the next of it; `None` at the end, which is none as long as there were rows that cannot be read.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, EraseError> {
        let tenant = self.request.subject.tenant.as_deref();
        while let Some(ask) = self.ask.take() {
            let page = self.store.records(&self.filter, &ask).await?;
            self.unreadable += page.unreadable;
            self.ask = page.next.map(|place| PageRequest::oldest(STEP).after(place));
            // Read behind the page: a hold that is placed before this step keeps what the step would empty.
            let holds = holds(self.store).await?;
            let mut found = Found::under(&holds);
            for record in &page.records {
                let groups = self.sought.erased_from(record, self.request.groups);
                let canonical = &mut self.canonical;
                if let Some(hold) =
                    found.take(self.store, &holds, record, groups, canonical).await?
                {
                    self.held.add(hold, &holds, tenant);
                }
            }
            if found.len() > 0 {
                return Ok(Some(found));
            }
        }
        match self.unreadable {
            0 => Ok(None),
            rows => Err(EraseError::unreadable(rows)),
        }
    }
}
