//! Addresses whose time is over go from the archive too: what was archived before that has them still.

use super::{
    addresses::BEGINNINGS,
    run::{Sweep, said},
};
use crate::{
    pipeline::own,
    record::{Group, Groups, Record, Seal},
    rules::{Keep, RetentionPolicy},
    store::{
        Archival, ArchivedAddressesEnded, StoreError, ToldOfArchive, Unit, holds,
        told_of_archived_addresses,
    },
};

/// What became of all parts.
#[derive(Default)]
pub(super) struct Ends {
    pub(super) done: Vec<ArchivedAddressesEnded>,
    /// Units of those of which holds changed all the while.
    pub(super) busy: Vec<Unit>,
    /// What could not be read or written anew, and why; what lies behind it was gone through.
    pub(super) failed: Vec<String>,
}

/// What became of a part.
enum End {
    /// It was looked at before.
    Nothing,
    Ended(ArchivedAddressesEnded),
    HoldsChanged,
    Failed(String),
}

impl Sweep {
    /// Empties the addresses whose time is over in the parts of the archive, each of which is read once.
    pub(super) async fn end_archived_addresses(
        &mut self,
        policy: &RetentionPolicy,
        mut tell: impl FnMut(&ArchivedAddressesEnded),
    ) -> Result<Ends, StoreError> {
        let mut ends = Ends::default();
        let Some(archive) = self.archive.clone() else { return Ok(ends) };
        let parts = match archive.parts().await {
            Ok(parts) => parts,
            Err(error) => {
                ends.failed.push(format!("the parts of {}: {}", archive.location(), said(&*error)));
                return Ok(ends);
            }
        };
        let mut due = Vec::new();
        for part in parts {
            let Some(unit) = archive.unit_of(&part) else { continue };
            let Some(keep @ Keep::Days(days)) = policy.keeps_addresses(&unit.class) else {
                continue;
            };
            if keep.ends(unit.month).is_some_and(|at| at <= self.now) {
                due.push((part, unit, days));
            }
        }
        if due.is_empty() {
            return Ok(ends);
        }
        let told = told_of_archived_addresses(&self.store, &archive.location()).await?;
        for (part, unit, days) in due {
            match self.end_addresses_in(&*archive, &part, &unit, days, &told).await? {
                End::Ended(ended) if ended.records > 0 => {
                    tell(&ended);
                    ends.done.push(ended);
                }
                End::Ended(_) | End::Nothing => {}
                End::HoldsChanged => ends.busy.push(unit),
                End::Failed(why) => ends.failed.push(format!("{part}: {why}")),
            }
        }
        Ok(ends)
    }

    /// Empties those of a part: told of, and then written anew without them.
    async fn end_addresses_in(
        &mut self,
        archive: &dyn Archival,
        part: &str,
        unit: &Unit,
        days: u32,
        told: &ToldOfArchive,
    ) -> Result<End, StoreError> {
        let location = archive.location();
        let mut is_announced = false;
        for _ in 0..BEGINNINGS {
            let holds = holds(&self.store).await?;
            if told.is_done(part, holds.told()) {
                return Ok(End::Nothing);
            }
            let mut held = 0;
            let mut free = |record: &Record| {
                if !matches!(record.seals.of(Group::Network), Seal::Salted(_)) {
                    return Groups::NONE;
                }
                if holds.held(record).is_some() {
                    held += 1;
                    return Groups::NONE;
                }
                Groups::of(Group::Network)
            };
            let found = match archive.find(part, &mut free).await {
                Ok(found) => found,
                Err(error) => return Ok(End::Failed(said(&*error))),
            };
            if !found.is_empty() && !is_announced {
                let record = own::archived_addresses_expired(unit, days, &location, part);
                self.store_own(record).await?;
                is_announced = true;
            }
            // A hold that was placed meanwhile keeps what it finds; one that is placed from here on comes too late for it,
            // as it does for the log.
            if crate::store::holds(&self.store).await?.told() != holds.told() {
                continue;
            }
            // Also where there are none: a run that broke off may have left the old file over.
            if let Err(error) = archive.empty(&self.store, part, &found, self.now).await {
                return Ok(End::Failed(said(&*error)));
            }
            let ended = ArchivedAddressesEnded {
                location,
                part: part.to_owned(),
                unit: unit.clone(),
                records: found.len() as u64,
                held,
                holds: holds.told(),
            };
            self.store_own(own::archived_addresses_ended(&ended)).await?;
            return Ok(End::Ended(ended));
        }
        Ok(End::HoldsChanged)
    }
}
