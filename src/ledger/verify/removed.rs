//! Records that are gone because their time was over, against what the log says of it.

use std::collections::HashMap;

use super::{
    Verifier,
    report::{AlterationKind, Place},
};
use crate::{
    ledger::{Entry, Hash, Removal, RemovalCount},
    time::Month,
};

/// The removals that the log is said to tell of.
#[derive(Debug, Default)]
pub(super) struct Removed(HashMap<Month, Vec<Claim>>);

/// One of them. What it says counts only once its own record was found, under the same proof as any other.
#[derive(Debug)]
struct Claim {
    removal: Removal,
    confirmed: bool,
    /// What the ledger has of that month and class, between the same positions.
    passed: RemovalCount,
    /// The first entry whose records are gone, and how many records are.
    first_gone: Option<i64>,
    gone: u64,
}

impl Removed {
    /// Tells whether any of them is of an entry's records.
    pub(super) fn is_of(&mut self, entry: &Entry) -> bool {
        self.of(entry).next().is_some()
    }

    /// Takes an entry of the ledger.
    pub(super) fn passed(&mut self, entry: &Entry, hash: Hash) {
        for claim in self.of(entry) {
            claim.passed.push_hashed(entry, hash);
        }
    }

    /// Takes an entry whose records are all gone; tells whether that is accounted for as far as is known.
    pub(super) fn gone(&mut self, entry: &Entry) -> bool {
        let Some(claim) = self.of(entry).next() else { return false };
        // Those of several streams come by turns.
        let first = claim.first_gone.map_or(entry.position, |first| first.min(entry.position));
        claim.first_gone = Some(first);
        claim.gone = claim.gone.saturating_add(entry.new.count().unsigned_abs());
        true
    }

    /// Takes what a record of the log tells.
    pub(super) fn confirm(&mut self, removal: &Removal) {
        let claims = self.0.get_mut(&removal.month).into_iter().flatten();
        claims.filter(|claim| claim.removal == *removal).for_each(|claim| claim.confirmed = true);
    }

    /// Tells whether records are gone by a removal whose own record was not met so far.
    pub(super) fn lacks_a_telling(&self) -> bool {
        self.0.values().flatten().any(|claim| claim.first_gone.is_some() && !claim.confirmed)
    }

    fn of(&mut self, entry: &Entry) -> impl Iterator<Item = &mut Claim> {
        let claims = self.0.get_mut(&entry.new.month).into_iter().flatten();
        claims.filter(|claim| claim.removal.covers(entry))
    }
}

impl Verifier {
    /// Takes what the log is said to tell of records that were taken out when their time was over, before the first
    /// entry. Each counts only if the record that tells it is met among the others.
    pub fn removals(&mut self, removals: impl IntoIterator<Item = Removal>) {
        for removal in removals {
            let claims = self.removed.0.entry(removal.month).or_default();
            if claims.iter().all(|claim| claim.removal != removal) {
                let passed = RemovalCount::default();
                claims.push(Claim { removal, confirmed: false, passed, first_gone: None, gone: 0 });
            }
        }
    }

    /// Tells whether a removal that is known accounts for an entry without its records.
    pub(crate) fn knows_removal_of(&mut self, entry: &Entry) -> bool {
        self.removed.is_of(entry)
    }

    /// Tells whether a removal is known.
    pub(crate) fn knows_removal(&self, removal: &Removal) -> bool {
        let claims = self.removed.0.get(&removal.month).into_iter().flatten();
        claims.into_iter().any(|claim| claim.removal == *removal)
    }

    /// Takes a removal that was told of while this was under way; `passed` is what the ledger has of it up to the last
    /// entry that was taken.
    pub(crate) fn removal_since(&mut self, removal: Removal, passed: RemovalCount) {
        if !self.knows_removal(&removal) {
            let claims = self.removed.0.entry(removal.month).or_default();
            claims.push(Claim { removal, confirmed: false, passed, first_gone: None, gone: 0 });
        }
    }

    /// Counts what expired, and tells of what is gone without a word that holds.
    pub(super) fn removed_without_a_word(&mut self) {
        let mut claims: Vec<_> =
            std::mem::take(&mut self.removed.0).into_values().flatten().collect();
        claims.sort_by_key(|claim| claim.removal.first);
        // What was verified earlier is not passed again, so it cannot be counted once more.
        let since = self.report.since.map_or(0, |(position, _)| position);
        for Claim { removal, confirmed, passed, first_gone, gone } in claims {
            let Some(position) = first_gone else { continue };
            let Removal { month, class, .. } = &removal;
            let why = if !confirmed {
                "the record that tells of it is not as it was written"
            } else if removal.first > since && passed.of(*month, class).as_ref() != Some(&removal) {
                "the ledger accounts for others than the record that tells of it says"
            } else {
                self.report.expired = self.report.expired.saturating_add(gone);
                continue;
            };
            let detail = format!(
                "{gone} records of {month}, class {}, are gone, and {why}",
                class.escape_debug()
            );
            self.found(AlterationKind::RowMissing, Place::entry(position), detail);
        }
    }
}
