//! The entries of a part, each over its records and under the signed head.

use super::{
    super::{error::ArchiveError, ledger::ArchivedEntry, reader::EntryReader},
    part::PartCheck,
};
use crate::ledger::{Frontier, root_by_inclusion, verify::Place};

/// An entry while its records are read.
pub(super) struct Under {
    pub(super) of: ArchivedEntry,
    /// The number that comes next.
    pub(super) next: i64,
    pub(super) frontier: Frontier,
}

impl PartCheck<'_> {
    /// Takes the next entry.
    pub(super) async fn entry(
        &mut self,
        entries: &mut Option<EntryReader>,
    ) -> Result<Option<Under>, ArchiveError> {
        let file = self.part.manifest.files.ledger.path.clone();
        let Some(reader) = entries else { return Ok(None) };
        let next = reader.next().await;
        let Some(next) = self.opened(&file, next)? else {
            *entries = None;
            return Ok(None);
        };
        let Some(of) = next else { return Ok(None) };
        let entry = &of.entry;
        let new = &entry.new;
        let place = entry_place(&of);
        let manifest = &self.part.manifest;
        let order = self.entries > 0 && entry.position <= self.count.last();
        if new.month != manifest.month || new.class != manifest.class {
            self.altered(&file, place, "the entry is of another unit");
        } else if order || new.first_seq < 1 || new.last_seq < new.first_seq {
            self.altered(&file, place, "the entry is none that follows the one before it");
        }
        self.prove(&of, &file);
        self.entries += 1;
        self.count.push(&of.entry);
        let (first, last) = (of.entry.new.first_at, of.entry.new.last_at);
        self.times = Some(match self.times {
            Some(times) => (times.0.min(first), times.1.max(last)),
            None => (first, last),
        });
        Ok(Some(Under { next: of.entry.new.first_seq, frontier: Frontier::new(), of }))
    }

    /// Compares an entry with the signed head.
    fn prove(&mut self, of: &ArchivedEntry, file: &str) {
        let (Some(head), Some(path)) = (&self.head, &of.path) else { return };
        let index = of.entry.index().unwrap_or(u64::MAX);
        let root = root_by_inclusion(&of.entry.leaf_hash(), index, head.size, path);
        if root == Some(head.root) {
            self.proved += 1;
        } else {
            let detail = "the entry does not lie under the signed head";
            self.altered(file, entry_place(of), detail);
        }
    }

    pub(super) fn compare_root(&mut self, under: Under) {
        let file = self.part.manifest.files.records.path.clone();
        let Under { of, next, frontier } = under;
        if next <= of.entry.new.last_seq {
            let new = &of.entry.new;
            let place = Place::records(new.writer_id, next, new.last_seq).at(of.entry.position);
            self.altered(&file, place, "the entry accounts for records that are not there");
        } else if frontier.root() != of.entry.new.batch_root {
            let detail = "the hashes of the records do not give the root of the entry";
            self.altered(&file, entry_place(&of), detail);
        }
    }

    /// Behind the last record: there is no further entry.
    pub(super) async fn under_ends(
        &mut self,
        current: Option<Under>,
        entries: &mut Option<EntryReader>,
    ) -> Result<(), ArchiveError> {
        if let Some(under) = current {
            self.compare_root(under);
        }
        // Where the records could not be read to their end, this was told.
        let whole = self.faults.is_empty();
        while let Some(under) = self.entry(entries).await? {
            if whole {
                self.compare_root(under);
            }
        }
        Ok(())
    }
}

fn entry_place(of: &ArchivedEntry) -> Place {
    let new = &of.entry.new;
    Place::records(new.writer_id, new.first_seq, new.last_seq).at(of.entry.position)
}
