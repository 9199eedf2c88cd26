//! Verifying: whether a log is what was written, and all of it.
//!
//! A [`Verifier`] is shown every row of the ledger in the order of the positions, and an [`EntryCheck`] for each
//! entry is shown the rows of its records. Both recompute what they are shown: the canonical bytes of each
//! record from its columns, the root of each entry from its records, the ledger's root from its entries.
//! What a row says of itself is never taken at its word, and a row that no append can have written is an
//! alteration and not an error.
//!
//! It tells apart what was changed afterwards ([`Alteration`]) from what never got there
//! ([`Shortfall`]): the log itself says where records are missing, and such a record is under the same proof
//! as any other.
//!
//! By itself the database proves only that it agrees with itself: whoever holds all of it can write another
//! history that agrees with itself too. Checkpoints that were taken out of it say which history it was.

mod check;
mod erased;
mod extract;
mod heads;
mod removed;
mod report;
mod resume;
mod rows;
#[cfg(test)]
mod tests;
mod told;

use std::collections::HashMap;

pub use check::{Checked, EntryCheck};
pub(crate) use erased::ErasedList;
pub use extract::{Extent, Extract, ShownEntry, ShownRecord};
pub use heads::{Head, Source};
pub use report::{
    Alteration, AlterationKind, Findings, Place, Report, Shortfall, Verdict, Verified,
};
pub use resume::State;
pub use rows::{LedgerRow, RecordRow, StreamRows, WrittenRow};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use told::STUB_METADATA;
pub(crate) use told::{ERASED, QUARANTINED, UNCLEAN_END, is_stub};

use self::{erased::Erasures, told::Telling};
use super::{Entry, Frontier, Hash};
use crate::{record::WriterId, time::Timestamp};

/// A verification under way.
///
/// Holds a few words for each stream, for each run of erased records and of those that a record tells of, and the
/// first thousand findings of each kind; nothing else grows with the number of records.
#[derive(Debug, Default)]
pub struct Verifier {
    report: Report,
    frontier: Frontier,
    /// Of the last entry.
    leaf: Option<Hash>,
    /// Whether every entry so far was there and could be read.
    whole: bool,
    epoch: i64,
    committed_at: Option<Timestamp>,
    streams: HashMap<WriterId, Stream>,
    rollbacks: Vec<Rollback>,
    unclean: HashMap<WriterId, i64>,
    heads: heads::Heads,
    erasures: Erasures,
    removed: removed::Removed,
    /// Whether it is a part of a log: what is missing between its entries was never there.
    partial: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Stream {
    last_seq: i64,
    /// The position of the entry that ends there.
    position: i64,
}

/// The epoch went up here.
#[derive(Debug, Clone, Copy)]
struct Rollback {
    position: i64,
    epoch: i64,
    lost: Option<u64>,
}

impl Verifier {
    /// Begins at the ledger's first entry.
    #[must_use]
    pub fn new() -> Self {
        Self { whole: true, epoch: 1, ..Self::default() }
    }

    /// Takes it for a part of a log: entries may be missing between those that are there, and what they tell of. Each is
    /// to be held to the head that it lies under, see [`under`](Self::under).
    #[must_use]
    pub fn of_a_part(self) -> Self {
        Self { partial: true, ..self }
    }

    /// Takes whether an entry of a part of a log lies under a head that was signed at a moment; `anchored` tells whether
    /// that head is known from outside of the database.
    pub fn under(&mut self, position: i64, signed: Result<(Timestamp, bool), String>) {
        match signed {
            Ok((at, anchored)) => {
                let place = Some((position, at));
                self.report.signed = self.report.signed.max(place);
                if anchored {
                    self.report.anchored = self.report.anchored.max(place);
                }
            }
            Err(why) => self.found(AlterationKind::EntryEdited, Place::entry(position), why),
        }
    }

    /// Takes the next row of the ledger, and returns its entry if it has records to be looked at.
    pub fn entry(&mut self, row: LedgerRow) -> Option<Entry> {
        let expected = self.report.position.saturating_add(1);
        let Some(position) = row.position else {
            let detail = "it has no position, which every committed entry has";
            self.found(AlterationKind::EntryExtra, Place::default(), detail);
            return None;
        };
        if position < expected {
            let detail = match position {
                ..1 => "positions begin with 1",
                _ => "there is another entry at this position",
            };
            self.found(AlterationKind::EntryExtra, Place::entry(position), detail);
            return None;
        }
        self.report.entries += 1;
        // Those of what comes before it, which nothing is missing from so far.
        self.compare_heads();
        if position > expected && self.partial {
            self.whole = false;
        } else if position > expected {
            let detail = match position - expected {
                1 => "there is no entry at this position".to_owned(),
                _ => format!("there are none from here to {}", position - 1),
            };
            self.found(AlterationKind::EntryMissing, Place::entry(expected), detail);
            self.whole = false;
        }
        self.report.position = position;
        match row.entry {
            Ok(entry) => self.readable(entry),
            Err(why) => {
                self.whole = false;
                let detail = format!("the row is nothing that an append writes: {why}");
                self.found(AlterationKind::EntryEdited, Place::entry(position), detail);
                None
            }
        }
    }

    fn readable(&mut self, entry: Entry) -> Option<Entry> {
        let leaf = entry.leaf_hash();
        self.leaf = Some(leaf);
        self.frontier.push(leaf);
        self.removed.passed(&entry, leaf);
        let new = &entry.new;
        let place = Place::records(new.writer_id, new.first_seq, new.last_seq).at(entry.position);
        let edited = AlterationKind::EntryEdited;
        if new.first_seq < 1 || new.last_seq < new.first_seq {
            self.found(edited, place, "no records can have these numbers");
            return None;
        }
        if self.committed_at.is_some_and(|before| entry.committed_at <= before) {
            self.found(edited, place, "it was committed no later than the entry before it");
        }
        self.committed_at = Some(entry.committed_at);
        if entry.epoch < self.epoch {
            self.found(edited, place, "its epoch ended before");
        } else if entry.epoch > self.epoch && !self.partial {
            let position = entry.position - 1;
            self.rollbacks.push(Rollback { position, epoch: entry.epoch, lost: None });
        }
        self.epoch = entry.epoch;
        let stream = self.streams.entry(new.writer_id).or_default();
        let before = std::mem::replace(
            stream,
            Stream { last_seq: new.last_seq.max(stream.last_seq), position: entry.position },
        );
        let expected = before.last_seq.saturating_add(1);
        if new.first_seq > expected && !self.partial {
            let lost = Place::records(new.writer_id, expected, new.first_seq - 1);
            let detail = format!(
                "entry {} begins with {}, and no entry before it accounts for these records",
                entry.position, new.first_seq
            );
            self.found(AlterationKind::EntryMissing, lost.at(entry.position), detail);
        } else if new.first_seq < expected {
            let detail = format!("entry {} accounts for some of these records", before.position);
            self.found(edited, place, detail);
        }
        Some(entry)
    }

    /// Takes what was found of an entry's records.
    pub fn checked(&mut self, checked: Checked) {
        let expired = checked.gone.is_some_and(|entry| self.removed.gone(&entry));
        for alteration in checked.altered.into_iter().filter(|_| !expired) {
            self.report.altered.push(alteration);
        }
        self.report.records += checked.summary.records;
        self.report.erased += checked.summary.erased;
        self.report.left_out += checked.summary.left_out;
        for (group, gone) in checked.summary.gone {
            self.erasures.found(group, checked.summary.stream, gone, &checked.summary.unit);
        }
        for (place, telling) in checked.summary.tellings {
            self.told(place, telling);
        }
    }

    fn told(&mut self, place: Place, telling: Telling) {
        match telling {
            Telling::Stub => self.report.incomplete.push(Shortfall::Stub { place }),
            Telling::Gap { count, reason } => {
                self.report.incomplete.push(Shortfall::Gap { place, count, reason });
            }
            Telling::UncleanEnd { of, last_seq } => {
                let known = self.unclean.entry(of).or_insert(last_seq);
                *known = last_seq.max(*known);
            }
            Telling::Erased(list) => self.erasures.told(list),
            Telling::AddressesExpired(expiry) => self.erasures.expired(expiry),
            Telling::Removed(removal) => self.removed.confirm(&removal),
            Telling::Restored { lost } => {
                // It stands in the epoch that it opened, or in a later entry of it.
                let position = place.position.unwrap_or(i64::MAX);
                let opened = self.rollbacks.iter_mut().rev();
                if let Some(rollback) = opened.into_iter().find(|it| it.position < position) {
                    *rollback.lost.get_or_insert(0) += lost;
                }
            }
        }
    }

    /// Takes groups that are gone from their records, and kept aside: whoever calls has found them to be what was there.
    pub(crate) fn kept_aside(&mut self, list: ErasedList) {
        self.erasures.told(list);
    }

    /// Takes from which number to which a stream has rows; `committed` is the last number that the ledger
    /// accounts for by now, which may be more than was verified.
    pub fn rows_of_stream(&mut self, rows: StreamRows, committed: i64) {
        let known = self.streams.get(&rows.stream()).map_or(0, |stream| stream.last_seq);
        let last = if rows.writer_id < 0 { 0 } else { known.max(committed) };
        let extra = AlterationKind::RowExtra;
        let place = |first, last| Place::records(rows.stream(), first, last);
        if rows.first_seq < 1 && last > 0 {
            let place = place(rows.first_seq, rows.first_seq);
            self.found(extra, place, "the numbers of a stream begin with 1");
        }
        if last == 0 {
            let detail = "no entry of the ledger is of this stream";
            self.found(extra, place(rows.first_seq, rows.last_seq), detail);
        } else if rows.last_seq > last {
            let detail =
                format!("the ledger accounts for no more than {last} records of the stream");
            self.found(extra, place(last + 1, rows.last_seq), detail);
        }
    }

    /// Returns how far the ledger has been read.
    #[must_use]
    pub const fn position(&self) -> i64 {
        self.report.position
    }

    /// Returns how many records have been read.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.report.records
    }

    /// Tells whether a group was found erased, or records taken out, of which no record told so far. It may stand further on:
    /// such a record is committed before what it tells of is done, but perhaps after the ledger was read.
    #[must_use]
    pub fn lacks_a_telling(&self) -> bool {
        !self.partial && (!self.erasures.untold().is_empty() || self.removed.lacks_a_telling())
    }

    /// Ends with the report.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.conclude();
        self.report
    }

    /// Comes to the end: what only all of it can tell is in the report.
    pub(crate) fn conclude(&mut self) {
        self.compare_heads();
        self.heads_that_differ();
        self.heads_beyond();
        // What tells of it is in the log.
        let untold = if self.partial { Vec::new() } else { self.erasures.untold() };
        for (group, stream, gone) in untold {
            let place = Place::records(stream, gone.first, gone.last).at(gone.position);
            let group = group.as_str();
            let detail = format!(
                "the group {group} was erased, no record says so, and no hold keeps it aside"
            );
            self.found(AlterationKind::ErasedUnrecorded, place, detail);
        }
        self.removed_without_a_word();
        self.sum_up();
    }

    /// Comes to the end where this was not shown all of it: what only all of it can tell is left out. Returns how many
    /// heads do not agree, and may be explained by what was not shown.
    fn conclude_part(&mut self) -> u64 {
        self.compare_heads();
        let unclear = self.heads_of_rollbacks();
        self.heads_that_differ();
        // The stream itself was not shown, and may have gone on.
        let unknown: Vec<_> =
            self.unclean.extract_if(|of, _| !self.streams.contains_key(of)).collect();
        for (of, told) in unknown {
            let place = Place::records(of, told, told);
            self.report.incomplete.push(Shortfall::UncleanEnd { place });
        }
        self.whole = false;
        self.sum_up();
        unclear
    }

    fn sum_up(&mut self) {
        for rollback in std::mem::take(&mut self.rollbacks) {
            let Rollback { position, epoch, lost } = rollback;
            self.report.incomplete.push(Shortfall::RolledBack { position, epoch, lost });
        }
        for (of, told) in std::mem::take(&mut self.unclean) {
            // Of a stream that went on after all, it says nothing.
            if let Some(stream) = self.streams.get(&of).filter(|stream| stream.last_seq <= told) {
                let place = Place::records(of, stream.last_seq, stream.last_seq);
                let place = place.at(stream.position);
                self.report.incomplete.push(Shortfall::UncleanEnd { place });
            }
        }
        self.report
            .altered
            .sort_by_key(|found| (found.place.position.unwrap_or(i64::MAX), found.place.first_seq));
        self.report.incomplete.sort_by_key(Shortfall::position);
        self.report.streams = self.streams.len() as u64;
        self.report.committed_at = self.committed_at;
        self.report.root = self.whole.then(|| self.frontier.root());
    }

    /// Returns what was found so far.
    pub(crate) const fn report(&self) -> &Report {
        &self.report
    }

    fn found(&mut self, kind: AlterationKind, place: Place, detail: impl Into<String>) {
        self.report.altered.push(Alteration { kind, place, detail: detail.into() });
    }
}
