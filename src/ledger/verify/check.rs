//! One entry against its records.

use std::ops::Range;

use super::{
    erased::Gone,
    report::{Alteration, AlterationKind, Place},
    rows::RecordRow,
    told::{Telling, told},
};
use crate::{
    ledger::{Entry, Frontier, Hash, leaf_hash, levels::Levels},
    record::{Canonical, Group, Record, Seal, WriterId, is_empty_group},
    time::{Month, Timestamp},
};

/// So many findings of one entry are told singly.
const TOLD: usize = 20;
/// Up to so many records, two that changed their numbers are looked for.
const SWAPS: usize = 300;

/// One entry while its records are read, in the order of their numbers.
#[derive(Debug)]
pub struct EntryCheck {
    entry: Entry,
    /// From the first moment of its month to that of the next: the calendar is not asked for each record.
    within: Range<Timestamp>,
    /// The number that comes next.
    next: i64,
    frontier: Frontier,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    altered: Vec<Alteration>,
    /// Rows that are not right in themselves, and why: if the root is wrong, they are.
    suspects: Vec<(Place, String)>,
    /// A record of another month or class than the entry names.
    misplaced: Option<i64>,
    /// The records, while they are few.
    kept: Vec<Box<Record>>,
    summary: Summary,
}

/// What an entry's records came to.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) records: u64,
    pub(super) erased: u64,
    /// Those of which only the hash is there.
    pub(super) left_out: u64,
    /// Which groups were erased, by their index, in runs.
    pub(super) gone: Vec<(usize, Gone)>,
    /// The stream of the records.
    pub(super) stream: WriterId,
    /// Their month and class, if any group is erased.
    pub(super) unit: Option<(Month, String)>,
    pub(super) tellings: Vec<(Place, Telling)>,
}

/// An entry whose records have been read.
#[derive(Debug)]
pub struct Checked {
    /// The entry, when it has no row at all.
    pub(super) gone: Option<Entry>,
    /// The entry, when rows of it are missing and others are there.
    pub(super) partly: Option<Entry>,
    pub(super) altered: Vec<Alteration>,
    pub(super) summary: Summary,
}

impl Checked {
    /// Returns the entry, when rows of it are missing; `true` when all of them are.
    #[must_use]
    pub fn lost(&self) -> Option<(&Entry, bool)> {
        let gone = self.gone.as_ref().map(|entry| (entry, true));
        gone.or(self.partly.as_ref().map(|entry| (entry, false)))
    }
}

impl EntryCheck {
    /// Begins with an entry; its records follow.
    #[must_use]
    pub fn new(entry: Entry) -> Self {
        Self {
            next: entry.new.first_seq,
            within: entry.new.month.start()..entry.new.month.next().start(),
            entry,
            frontier: Frontier::new(),
            first_at: None,
            last_at: None,
            altered: Vec::new(),
            suspects: Vec::new(),
            misplaced: None,
            kept: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Returns the entry.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Takes the next row of the entry's stream, none of whose numbers is smaller than the one before.
    pub fn row(&mut self, row: &RecordRow, canonical: &mut Canonical) {
        let place = Place { id: row.id(), ..self.place(row.seq, row.seq) };
        if row.seq < self.next {
            let detail = "there is another row of this number";
            return self.found(AlterationKind::RowDuplicated, place, detail);
        }
        if row.seq > self.next {
            self.missing(row.seq - 1);
        }
        self.next = row.seq.saturating_add(1);
        self.summary.records += 1;
        match row.record() {
            Ok(record) => self.record(record, place, canonical),
            Err(why) => {
                let detail = format!("the row is nothing that an append writes: {why}");
                self.found(AlterationKind::RecordEdited, place, detail);
            }
        }
    }

    /// Takes the hash of a record that a scratch copy leaves out, in the order of the numbers, as [`row`](Self::row).
    pub fn left_out(&mut self, seq: i64, hash: Hash) {
        if seq < self.next {
            let detail = "there is a row of this number, and the hash of one that is left out";
            return self.found(AlterationKind::RowDuplicated, self.place(seq, seq), detail);
        }
        if seq > self.next {
            self.missing(seq - 1);
        }
        self.next = seq.saturating_add(1);
        self.summary.left_out += 1;
        self.frontier.push(hash);
    }

    fn record(&mut self, record: Box<Record>, place: Place, canonical: &mut Canonical) {
        self.frontier.push(leaf_hash(canonical.encode(&record)));
        self.first_at =
            Some(self.first_at.map_or(record.occurred_at, |at| at.min(record.occurred_at)));
        self.last_at =
            Some(self.last_at.map_or(record.occurred_at, |at| at.max(record.occurred_at)));
        if !self.is_of_month(&record) || record.retention_class != self.entry.new.class.as_str() {
            self.misplaced.get_or_insert(record.seq);
        }
        if let Some(why) = self.suspicion(&record)
            && self.suspects.len() < TOLD
        {
            self.suspects.push((place, why));
        }
        for (index, group) in Group::ERASABLE.into_iter().enumerate() {
            if matches!(record.seals.of(group), Seal::Erased(_)) {
                self.summary.erased += 1;
                self.gone(index, record.seq);
            }
        }
        if let Some(telling) = told(&record, self.entry.position, self.entry.committed_at) {
            self.summary.tellings.push((place, telling));
        }
        if self.kept.len() <= SWAPS {
            self.kept.push(record);
        }
    }

    fn gone(&mut self, index: usize, seq: i64) {
        let runs = &mut self.summary.gone;
        let before = runs.iter_mut().rev().take(Group::ERASABLE.len()).find(|run| run.0 == index);
        match before {
            Some((_, run)) if run.last.checked_add(1) == Some(seq) => run.last = seq,
            _ => {
                let position = self.entry.position;
                runs.push((
                    index,
                    Gone { until: position, position, first: seq, last: seq, unit: 0 },
                ));
            }
        }
    }

    fn is_of_month(&self, record: &Record) -> bool {
        let at = record.occurred_at;
        self.within.contains(&at) || at.month() == self.entry.new.month
    }

    /// Says what is wrong with a record in itself.
    fn suspicion(&self, record: &Record) -> Option<String> {
        let new = &self.entry.new;
        if !self.is_of_month(record) {
            return Some(format!("it occurred outside of {}, which its entry names", new.month));
        }
        if record.retention_class != new.class.as_str() {
            return Some("its retention class is not the one that its entry names".to_owned());
        }
        if record.id.at().as_millis() != record.occurred_at.as_millis() {
            return Some("its id was made at another moment than it names".to_owned());
        }
        Group::ERASABLE.into_iter().find_map(|group| {
            let name = group.as_str();
            let empty = is_empty_group(record, group);
            match record.seals.of(group) {
                Seal::Salted(_) if empty => Some(format!("its group {name} was emptied")),
                Seal::Erased(_) if !empty => {
                    Some(format!("its group {name} was erased, and has fields again"))
                }
                Seal::Empty if !empty => Some(format!("its group {name} lacks its salt")),
                _ => None,
            }
        })
    }

    /// Ends with what was found.
    #[must_use]
    pub fn finish(mut self) -> Checked {
        let last = self.entry.new.last_seq;
        if self.next <= last {
            self.missing(last);
        }
        if self.altered.is_empty() {
            self.compare();
        }
        self.summary.stream = self.entry.new.writer_id;
        if !self.summary.gone.is_empty() {
            self.summary.unit = Some((self.entry.new.month, self.entry.new.class.clone()));
        }
        let missing = |found: &Alteration| found.kind == AlterationKind::RowMissing;
        let (gone, partly) = match self.summary.records {
            0 => (Some(self.entry), None),
            _ => (None, self.altered.iter().any(missing).then_some(self.entry)),
        };
        Checked { gone, partly, altered: self.altered, summary: self.summary }
    }

    /// Compares what the records come to with what the entry says, all of them being there.
    fn compare(&mut self) {
        let new = &self.entry.new;
        let place = self.place(new.first_seq, new.last_seq);
        if self.frontier.root() != new.batch_root {
            return self.root_differs(place);
        }
        if let Some(misplaced) = self.misplaced {
            let detail = format!("record {misplaced} is of another month or retention class");
            return self.found(AlterationKind::EntryEdited, place, detail);
        }
        // The first and the last may be among those that are left out.
        if self.summary.left_out > 0 {
            return;
        }
        if (self.first_at, self.last_at) != (Some(new.first_at), Some(new.last_at)) {
            let detail = "the times that it names are not those of its first and last record";
            self.found(AlterationKind::EntryEdited, place, detail);
        }
    }

    fn root_differs(&mut self, place: Place) {
        if let Some((one, other)) = self.swapped() {
            let detail = format!("records {one} and {other} have each other's number");
            let swapped = self.place(one, other);
            return self.found(AlterationKind::RowsSwapped, swapped, detail);
        }
        if self.suspects.is_empty() {
            let detail = "the hashes of the records do not give the root of the entry";
            return self.found(AlterationKind::RecordEdited, place, detail);
        }
        for (place, why) in std::mem::take(&mut self.suspects) {
            self.found(AlterationKind::RecordEdited, place, why);
        }
    }

    /// Looks for two records that give the root when their numbers are exchanged.
    fn swapped(&mut self) -> Option<(i64, i64)> {
        let count = self.kept.len();
        if count > SWAPS || count as u64 != self.summary.records || count < 2 {
            return None;
        }
        let mut canonical = Canonical::new();
        let mut tree = Levels::of(
            self.kept.iter().map(|record| leaf_hash(canonical.encode(record))).collect(),
        );
        let wanted = self.entry.new.batch_root;
        for one in 0..count {
            for other in one + 1..count {
                let (first, second) = (self.kept[one].seq, self.kept[other].seq);
                let mut with = |kept: &mut Box<Record>, seq: i64| {
                    let own = std::mem::replace(&mut kept.seq, seq);
                    let hash = leaf_hash(canonical.encode(kept));
                    kept.seq = own;
                    hash
                };
                let right = with(&mut self.kept[one], second);
                let left = with(&mut self.kept[other], first);
                let old = (tree.set(one, left), tree.set(other, right));
                if tree.root() == wanted {
                    return Some((first, second));
                }
                tree.set(other, old.1);
                tree.set(one, old.0);
            }
        }
        None
    }

    fn missing(&mut self, up_to: i64) {
        let place = self.place(self.next, up_to);
        self.found(AlterationKind::RowMissing, place, "the entry accounts for it");
        self.next = up_to.saturating_add(1);
    }

    fn found(&mut self, kind: AlterationKind, place: Place, detail: impl Into<String>) {
        if self.altered.len() < TOLD {
            self.altered.push(Alteration { kind, place, detail: detail.into() });
        }
    }

    fn place(&self, first: i64, last: i64) -> Place {
        Place::records(self.entry.new.writer_id, first, last).at(self.entry.position)
    }
}
