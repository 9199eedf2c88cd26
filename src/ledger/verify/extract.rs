//! Verifying what was taken out of a log: records with their paths to entries, and entries with theirs to a head.
//!
//! What is shown is held to the head alone, and the log is not asked. So it tells whether each record is what was
//! written; whether these are all that were asked for, it cannot tell, unless they are all that there are.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    LedgerRow, Stream, Verifier,
    erased::Gone,
    heads::Head,
    report::{AlterationKind, Place, Report},
    told::{Telling, told},
};
use crate::{
    ledger::{Checkpoint, Entry, Hash, Removal, leaf_hash, root_by_inclusion},
    record::{Canonical, Group, Groups, Record, Seal, WriterId},
    time::Timestamp,
};

/// An entry of the ledger as an extract shows it.
#[derive(Debug)]
pub struct ShownEntry {
    /// Where it stands, as in `entries.jsonl, line 3`.
    pub at: String,
    /// Its position, as far as there is one.
    pub position: Option<i64>,
    /// The entry, or why it is none that an append writes.
    pub entry: Result<Entry, String>,
    /// From its leaf to the root of the ledger.
    pub path: Vec<Hash>,
}

/// A record as an extract shows it.
#[derive(Debug)]
pub struct ShownRecord {
    /// Where it stands, as in `records.jsonl, line 3`.
    pub at: String,
    /// The record, or why it is none that an append writes.
    pub record: Result<Box<Record>, String>,
    /// The position of its entry.
    pub entry: Option<i64>,
    /// From its leaf to the root of the entry.
    pub path: Vec<Hash>,
    /// The groups that are not shown, and were not erased.
    pub masked: Groups,
}

/// What an extract is of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Extent {
    /// How many entries the ledger had under the head of the extract.
    pub size: u64,
    /// Whether each record of each of these entries is in it, but for those whose time was over, as a record in it tells.
    pub is_complete: bool,
    /// How many groups of its records are not shown, and were not erased.
    pub masked: u64,
    /// How many heads from outside could not be compared: those of which the extract does not have all entries, or not
    /// the record by which a store that was found behind went on, and those that are later than its own.
    pub not_compared: u64,
}

/// A verification of an extract: first its head, then its entries in the order of their positions, then its records.
///
/// Holds a few words for each entry, and for each run of records that follow each other.
#[derive(Debug)]
pub struct Extract {
    /// Sees the entries as long as they are all of them.
    verifier: Verifier,
    head: Option<Checkpoint>,
    is_gapless: bool,
    entries: HashMap<i64, Held>,
    seen: HashMap<WriterId, BTreeMap<i64, i64>>,
    anchors: Vec<Checkpoint>,
    /// How many anchors are later than the extract.
    later: u64,
    /// What its records tell of those whose time was over, and how many of these it says itself that there are.
    removals: Vec<Removal>,
    says_expired: u64,
    extent: Extent,
    canonical: Canonical,
}

/// An entry that lies under the head.
#[derive(Debug, Clone)]
struct Held {
    entry: Arc<Entry>,
    /// How many of its records were shown, and their times.
    shown: u64,
    found: Option<(Timestamp, Timestamp)>,
    /// Whether a record of another month or class was told of.
    is_misplaced: bool,
}

impl Held {
    fn count(&self) -> u64 {
        self.entry.new.count().unsigned_abs()
    }
}

impl Extract {
    /// Begins with the head of the extract, and with heads from outside of it.
    #[must_use]
    pub fn new(head: Head, anchors: impl IntoIterator<Item = Head>) -> Self {
        let own = head.head.clone().ok();
        let size = own.as_ref().map_or(0, |head| head.size);
        let (of_size, others): (Vec<_>, Vec<_>) = anchors.into_iter().partition(|anchor| {
            // One of an epoch before may be of what a rollback took: the entries tell, as of those that are smaller.
            let is_of_it = |own: &Checkpoint, head: &Checkpoint| {
                head.size == own.size && (head.root == own.root || head.epoch >= own.epoch)
            };
            own.as_ref()
                .zip(anchor.head.as_ref().ok())
                .is_some_and(|(own, head)| is_of_it(own, head))
        });
        // What is later than the extract says nothing of it.
        let (others, later): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|anchor| anchor.head.as_ref().map_or(true, |head| head.size <= size));
        let anchors = others.iter().filter_map(|anchor| anchor.head.clone().ok()).collect();
        let mut extract = Self {
            verifier: Verifier::new(),
            head: own.clone(),
            is_gapless: true,
            entries: HashMap::new(),
            seen: HashMap::new(),
            anchors,
            later: later.len() as u64,
            removals: Vec::new(),
            says_expired: 0,
            extent: Extent { size, ..Extent::default() },
            canonical: Canonical::new(),
        };
        let forged = head.head.is_err().then_some(head);
        extract.verifier.heads(others.into_iter().chain(forged));
        if let Some(own) = own {
            extract.own_head(&own);
            for anchor in of_size.into_iter().filter_map(|anchor| anchor.head.ok()) {
                extract.anchor_of_its_size(&own, &anchor);
            }
        }
        extract
    }

    fn own_head(&mut self, own: &Checkpoint) {
        let place = (i64::try_from(own.size).unwrap_or(i64::MAX), own.at);
        self.verifier.report.signed = Some(place);
        self.verifier.report.heads += 1;
    }

    fn anchor_of_its_size(&mut self, own: &Checkpoint, anchor: &Checkpoint) {
        let report = &mut self.verifier.report;
        report.heads += 1;
        let size = i64::try_from(own.size).unwrap_or(i64::MAX);
        if anchor.root == own.root {
            report.anchored = report.anchored.max(Some((size, anchor.at)));
            return;
        }
        let detail = format!("another head of {size} entries was anchored at {}", anchor.at);
        self.verifier.found(AlterationKind::HistoryRewritten, Place::default(), detail);
    }

    /// Takes the next entry.
    pub fn entry(&mut self, shown: ShownEntry) {
        let Some(head) = &self.head else { return };
        let ShownEntry { at, position, entry, path } = shown;
        let place = Place { position, ..Place::default() };
        let edited = AlterationKind::EntryEdited;
        let entry = match entry {
            Ok(entry) => entry,
            Err(why) => return self.found(edited, place, &at, &why),
        };
        let leaf = entry.leaf_hash();
        let root =
            entry.index().and_then(|index| root_by_inclusion(&leaf, index, head.size, &path));
        if Some(entry.position) != position || root != Some(head.root) {
            let why = "the entry is not in the ledger whose head was signed";
            return self.found(edited, place, &at, why);
        }
        let kept = Arc::new(entry.clone());
        let held = Held { entry: kept, shown: 0, found: None, is_misplaced: false };
        if self.entries.insert(entry.position, held).is_some() {
            let kind = AlterationKind::EntryExtra;
            return self.found(kind, place, &at, "the entry stands here twice");
        }
        self.is_gapless &= entry.position == self.verifier.position() + 1;
        if self.is_gapless {
            let row = LedgerRow { position: Some(entry.position), entry: Ok(entry) };
            self.verifier.entry(row);
            return;
        }
        let new = &entry.new;
        let stream = self.verifier.streams.entry(new.writer_id).or_default();
        if stream.last_seq < new.last_seq {
            *stream = Stream { last_seq: new.last_seq, position: entry.position };
        }
        self.verifier.committed_at = self.verifier.committed_at.max(Some(entry.committed_at));
    }

    /// Takes the next record.
    pub fn record(&mut self, shown: ShownRecord) {
        if self.head.is_none() {
            return;
        }
        let ShownRecord { at, record, entry, path, masked } = shown;
        let place = Place { position: entry, ..Place::default() };
        let edited = AlterationKind::RecordEdited;
        let record = match record {
            Ok(record) => record,
            Err(why) => return self.found(edited, place, &at, &why),
        };
        let place = Place {
            id: Some(record.id),
            ..Place::records(record.writer_id, record.seq, record.seq)
        };
        let place = Place { position: entry, ..place };
        let held = entry.and_then(|entry| self.entries.get(&entry));
        let Some(of) = held.map(|held| Arc::clone(&held.entry)) else {
            let why = "no entry of the ledger that was proved accounts for it";
            return self.found(AlterationKind::RowExtra, place, &at, why);
        };
        let leaf = leaf_hash(self.canonical.encode(&record));
        let (index, count) = (of.new.index_of(record.seq), of.new.count().unsigned_abs());
        let root = index.and_then(|index| root_by_inclusion(&leaf, index, count, &path));
        if root != Some(of.new.batch_root) || record.writer_id != of.new.writer_id {
            return self.found(edited, place, &at, "it is not what was written");
        }
        if !add(self.seen.entry(record.writer_id).or_default(), record.seq) {
            return self.found(AlterationKind::RowDuplicated, place, &at, "it stands here twice");
        }
        self.verifier.report.records += 1;
        self.belongs(&record, of.position);
        self.groups(&record, &of, masked);
        match told(&record, of.position, of.committed_at) {
            Some(Telling::Removed(removal)) => self.removals.push(removal),
            Some(telling) => self.verifier.told(place, telling),
            None => {}
        }
    }

    /// Compares a record with what its entry names beside its records, which no root vouches for.
    fn belongs(&mut self, record: &Record, position: i64) {
        let Some(held) = self.entries.get_mut(&position) else { return };
        let at = record.occurred_at;
        held.shown += 1;
        held.found =
            Some(held.found.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        let new = &held.entry.new;
        let is_of_unit = new.month == at.month() && record.retention_class == new.class.as_str();
        if !is_of_unit && !std::mem::replace(&mut held.is_misplaced, true) {
            let place = Place::records(new.writer_id, record.seq, record.seq).at(position);
            let detail = format!("record {} is of another month or retention class", record.seq);
            self.verifier.found(AlterationKind::EntryEdited, place, detail);
        }
    }

    /// Compares the times that entries name with those of their records, where these are all there.
    fn compare_times(&mut self) {
        for (position, held) in &self.entries {
            let times = (held.entry.new.first_at, held.entry.new.last_at);
            if held.shown == held.count() && held.found != Some(times) && !held.is_misplaced {
                let detail = "the times that it names are not those of its first and last record";
                let place = Place::entry(*position);
                self.verifier.found(AlterationKind::EntryEdited, place, detail);
            }
        }
    }

    fn groups(&mut self, record: &Record, of: &Entry, masked: Groups) {
        for (index, group) in Group::ERASABLE.into_iter().enumerate() {
            if !matches!(record.seals.of(group), Seal::Erased(_)) {
                continue;
            }
            if masked.has(group) {
                self.extent.masked += 1;
                continue;
            }
            self.verifier.report.erased += 1;
            let (first, last) = (record.seq, record.seq);
            let gone = Gone { position: of.position, until: of.position, first, last, unit: 0 };
            let unit = Some((of.new.month, of.new.class.clone()));
            self.verifier.erasures.found(index, record.writer_id, gone, &unit);
        }
    }

    /// Takes how many entries and records the extract says that it has.
    pub fn counts(&mut self, what: &str, there: u64, told: u64) {
        if there == told || self.head.is_none() {
            return;
        }
        let kind = match (what, there < told) {
            ("entries", true) => AlterationKind::EntryMissing,
            ("entries", false) => AlterationKind::EntryExtra,
            (_, true) => AlterationKind::RowMissing,
            (_, false) => AlterationKind::RowExtra,
        };
        let detail = format!("there are {there} {what}, and it says itself that it has {told}");
        self.verifier.found(kind, Place::default(), detail);
    }

    /// Takes how many records it says have expired. What counts is what its records tell.
    pub const fn says_expired(&mut self, told: u64) {
        self.says_expired = told;
    }

    /// Counts the records of its entries that are not in it, and whose time was over, as far as its records tell of all of
    /// them. Only from all entries it follows that it is those of which they tell.
    fn expired(&mut self) {
        let removals = std::mem::take(&mut self.removals);
        self.verifier.removals(removals.iter().cloned());
        removals.iter().for_each(|removal| self.verifier.removed.confirm(removal));
        let mut held: Vec<_> = self.entries.values().collect();
        held.sort_unstable_by_key(|held| held.entry.position);
        for Held { entry, shown, .. } in held {
            if self.verifier.removed.is_of(entry) {
                self.verifier.removed.passed(entry, entry.leaf_hash());
                if *shown == 0 {
                    self.verifier.removed.gone(entry);
                }
            }
        }
        self.verifier.removed_without_a_word();
    }

    /// Compares how many have expired with what it says of that.
    fn compare_expired(&mut self) {
        let (there, told) = (self.verifier.report.expired, self.says_expired);
        if told > there && self.head.is_some() {
            let detail = format!(
                "it says itself that {told} records have expired, and records in it tell so of {there}"
            );
            self.verifier.found(AlterationKind::RowMissing, Place::default(), detail);
        }
    }

    /// Returns how many records have been read.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.verifier.records()
    }

    /// Ends with the report, and with what the extract is of its log.
    #[must_use]
    pub fn finish(mut self) -> (Report, Extent) {
        self.compare_times();
        let compared = u64::try_from(self.verifier.position()).unwrap_or_default();
        let has_entries = self.head.is_some() && self.is_gapless && compared == self.extent.size;
        if has_entries {
            self.expired();
        }
        self.compare_expired();
        let Self { mut verifier, mut extent, entries, .. } = self;
        let accounted = entries.values().fold(0_u64, |sum, held| sum.saturating_add(held.count()));
        let accounted_for = verifier.report.records.saturating_add(verifier.report.expired);
        extent.is_complete = has_entries && accounted == accounted_for;
        let not_compared = self.anchors.iter().filter(|anchor| anchor.size > compared).count();
        extent.not_compared = self.later + not_compared as u64;
        if extent.is_complete {
            verifier.conclude();
        } else {
            extent.not_compared += verifier.conclude_part();
            verifier.report.position = entries.keys().copied().max().unwrap_or_default();
        }
        verifier.report.entries = entries.len() as u64;
        (verifier.report, extent)
    }

    fn found(&mut self, kind: AlterationKind, place: Place, at: &str, why: &str) {
        self.verifier.found(kind, place, format!("{at}: {why}"));
    }
}

/// Adds a number to runs of numbers; `false` when it is there.
fn add(runs: &mut BTreeMap<i64, i64>, number: i64) -> bool {
    let before = runs.range(..=number).next_back().map(|(first, last)| (*first, *last));
    if before.is_some_and(|(_, last)| number <= last) {
        return false;
    }
    let first = match before {
        Some((first, last)) if last.checked_add(1) == Some(number) => first,
        _ => number,
    };
    let behind = number.checked_add(1).and_then(|next| runs.remove(&next));
    runs.insert(first, behind.unwrap_or(number));
    true
}
