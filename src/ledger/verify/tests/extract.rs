//! What somebody shows of a log, and what he may have made of it.

use super::*;
use crate::{
    ledger::{inclusion_proof, leaf_hash},
    record::{Group, Groups, Seal},
};

/// What is shown of a log, under the head of all of it.
struct Shown<'l> {
    log: &'l Log,
    anchors: Vec<Head>,
    entries: Vec<ShownEntry>,
    records: Vec<ShownRecord>,
}

impl<'l> Shown<'l> {
    fn all(log: &'l Log) -> Self {
        let leaves: Vec<_> = log.entries.iter().map(Entry::leaf_hash).collect();
        let mut shown = Self { log, anchors: Vec::new(), entries: Vec::new(), records: Vec::new() };
        for (index, entry) in log.entries.iter().enumerate() {
            shown.entries.push(ShownEntry {
                at: format!("entry {}", index + 1),
                position: Some(entry.position),
                entry: Ok(entry.clone()),
                path: inclusion_proof(&leaves, index as u64).unwrap(),
            });
            shown.records_of(entry);
        }
        shown
    }

    fn records_of(&mut self, entry: &Entry) {
        let new = &entry.new;
        let is_of_it = |record: &Record| {
            record.writer_id == new.writer_id
                && (new.first_seq..=new.last_seq).contains(&record.seq)
        };
        let records: Vec<_> = self.log.records.iter().filter(|record| is_of_it(record)).collect();
        let mut canonical = Canonical::new();
        let leaves: Vec<_> =
            records.iter().map(|record| leaf_hash(canonical.encode(record))).collect();
        for (index, record) in records.into_iter().enumerate() {
            self.records.push(ShownRecord {
                at: format!("record {}", record.seq),
                record: Ok(record.clone()),
                entry: Some(entry.position),
                path: inclusion_proof(&leaves, index as u64).unwrap(),
                masked: Groups::NONE,
            });
        }
    }

    fn anchored(self, heads: impl IntoIterator<Item = Checkpoint>) -> Self {
        Self { anchors: heads.into_iter().map(anchor).collect(), ..self }
    }

    fn verify(self) -> (Report, Extent) {
        let log = self.log;
        let head = log.head(log.entries.len(), log.entries[log.entries.len() - 1].epoch);
        let head = Head { source: Source::Kept, number: 1, head: Ok(head) };
        let mut extract = Extract::new(head, self.anchors);
        self.entries.into_iter().for_each(|entry| extract.entry(entry));
        self.records.into_iter().for_each(|record| extract.record(record));
        extract.finish()
    }

    /// Returns the kinds of what was altered.
    fn found(self) -> Vec<AlterationKind> {
        kinds(&self.verify().0)
    }
}

#[test]
fn all_of_a_log_is_whole_and_a_part_of_it_is_not() {
    let log = Log::of(&[3, 2, 5]);
    let (report, extent) = Shown::all(&log).verify();
    assert_eq!((report.verdict(), extent.is_complete), (Verdict::Unaltered, true), "{report:#?}");
    assert_eq!((report.records, report.entries, extent.size), (10, 3, 3));
    assert_eq!(report.root, log.verify().root);
    for without in 0..10 {
        let mut shown = Shown::all(&log);
        shown.records.remove(without);
        let (report, extent) = shown.verify();
        assert_eq!((report.verdict(), extent.is_complete), (Verdict::Unaltered, false));
    }
    // Of an entry that is not shown, no record counts.
    let mut shown = Shown::all(&log);
    shown.entries.remove(1);
    assert_eq!(shown.found(), [AlterationKind::RowExtra; 2]);
    let mut shown = Shown::all(&log);
    shown.entries.remove(1);
    shown.records.retain(|record| record.entry != Some(2));
    let (report, extent) = shown.verify();
    assert_eq!((report.verdict(), extent.is_complete), (Verdict::Unaltered, false), "{report:#?}");
    // All records of the entries that are shown, and the last entry is not: without a gap, and not all.
    let mut shown = Shown::all(&log);
    shown.entries.remove(2);
    shown.records.retain(|record| record.entry != Some(3));
    let (report, extent) = shown.verify();
    assert_eq!((report.verdict(), extent.is_complete), (Verdict::Unaltered, false), "{report:#?}");
}

#[test]
fn an_anchor_from_before_a_rollback_is_explained_by_the_record_that_tells_of_it() {
    use AlterationKind::{EntryMissing, HistoryRewritten};
    let (told, untold) = (Log::rolled_back(true), Log::rolled_back(false));
    for (head, if_told, if_untold) in heads_around_a_rollback() {
        for (log, expected) in [(&told, if_told), (&untold, if_untold)] {
            // What covers more than is shown says nothing of it.
            let expected = expected.filter(|kind| *kind != EntryMissing);
            let (report, extent) = Shown::all(log).anchored([head.clone()]).verify();
            assert_eq!(kinds(&report), Vec::from_iter(expected), "{head:?}: {report:#?}");
            assert_eq!(extent.not_compared, u64::from(head.size > 4));
            // Where that record is not shown, it may be there.
            let mut part = Shown::all(log).anchored([head.clone()]);
            part.records.retain(|record| record.entry != Some(3));
            let (report, extent) = part.verify();
            let may_be = head.epoch == 1 && head.size > 2;
            let expected = expected.filter(|_| !may_be);
            assert_eq!(kinds(&report), Vec::from_iter(expected), "{head:?}: {report:#?}");
            assert_eq!(extent.not_compared, u64::from(may_be || head.size > 4), "{head:?}");
        }
    }
    let other = Checkpoint { root: [7; 32], ..told.head(4, 2) };
    assert_eq!(Shown::all(&told).anchored([other]).found(), [HistoryRewritten]);
    let (report, _) = Shown::all(&told).anchored([told.head(4, 2)]).verify();
    assert_eq!(report.anchored.map(|(position, _)| position), Some(4));
}

/// As whoever holds the key can sign it.
#[test]
fn an_entry_that_names_other_records_than_it_accounts_for_is_found() {
    type Change = fn(&mut Entry);
    let cases: [(AlterationKind, Change); 6] = [
        (AlterationKind::EntryEdited, |entry| entry.new.month = entry.new.month.next()),
        (AlterationKind::EntryEdited, |entry| entry.new.class = "other".to_owned()),
        (AlterationKind::EntryEdited, |entry| entry.new.first_at = Timestamp::from_micros(1)),
        (AlterationKind::EntryEdited, |entry| entry.new.last_at = Timestamp::from_micros(1)),
        (AlterationKind::RecordEdited, |entry| entry.new.batch_root = [7; 32]),
        (AlterationKind::EntryEdited, |entry| entry.committed_at = Timestamp::from_micros(1)),
    ];
    for (index, (kind, change)) in cases.into_iter().enumerate() {
        let mut log = Log::of(&[1; 4]);
        change(&mut log.entries[2]);
        assert_eq!(Shown::all(&log).found(), [kind], "{index}");
    }
    // The root is that of these records, and the stream another one.
    let log = Log::of(&[1; 4]);
    let mut other = log.clone();
    other.entries[2].new.writer_id = WriterId::new(9);
    other.entries[2].new.first_seq = log.entries[2].new.first_seq;
    let mut shown = Shown::all(&other);
    shown.records_of(&log.entries[2]);
    assert!(shown.found().contains(&AlterationKind::RecordEdited));
}

#[test]
fn what_is_shown_twice_or_in_the_place_of_another_is_found() {
    let log = Log::of(&[3, 2, 5]);
    let mut twice = Shown::all(&log);
    twice.records_of(&log.entries[1]);
    assert_eq!(twice.found(), [AlterationKind::RowDuplicated; 2]);
    let mut moved = Shown::all(&log);
    moved.records[4].entry = Some(3);
    assert_eq!(moved.found(), [AlterationKind::RecordEdited]);
    let mut moved = Shown::all(&log);
    moved.entries[1].position = Some(1);
    assert!(moved.found().contains(&AlterationKind::EntryEdited));
    for path in [Vec::new(), vec![[7; 32]], vec![[7; 32]; 64]] {
        let mut shown = Shown::all(&log);
        shown.records[4].path = path.clone();
        assert_eq!(shown.found(), [AlterationKind::RecordEdited]);
        let mut shown = Shown::all(&log);
        shown.entries[1].path = path;
        let found = shown.found();
        assert!(found.contains(&AlterationKind::EntryEdited), "{found:?}");
    }
}

#[test]
fn a_group_that_is_gone_is_told_of_or_masked() {
    let erase = |record: &mut Record| {
        let commitment = Canonical::new().commitment(record, Group::Identity).unwrap();
        record.clear_group(Group::Identity);
        record.seals.set(Group::Identity, Seal::Erased(commitment));
    };
    let mut log = Log::of(&[1; 4]);
    erase(&mut log.records[1]);
    assert_eq!(Shown::all(&log).found(), [AlterationKind::ErasedUnrecorded]);
    // The record that tells of it may be among those that are not shown.
    let mut part = Shown::all(&log);
    part.records.remove(3);
    let (report, extent) = part.verify();
    assert_eq!((report.verdict(), report.erased, extent.masked), (Verdict::Unaltered, 1, 0));
    // Whoever made the extract could not see it, and says so. That is no reason for another group to be gone.
    let (identity, content) = (Groups::of(Group::Identity), Groups::of(Group::Content));
    let mut masked = Shown::all(&log);
    masked.records[1].masked = identity;
    let (report, extent) = masked.verify();
    assert_eq!((report.verdict(), report.erased, extent.masked), (Verdict::Unaltered, 0, 1));
    let mut masked = Shown::all(&log);
    masked.records[1].masked = content;
    assert_eq!(masked.found(), [AlterationKind::ErasedUnrecorded]);
}

#[test]
fn what_records_tell_of_the_log_is_told_of_what_is_shown() {
    let told = |change: fn(&mut Record)| {
        let log = Log::of(&[1; 4]).rewritten(2, |record| {
            (record.origin, record.category) = (Origin::System, Category::System);
            change(record);
            record.seal([[5; 16]; 4]);
        });
        let mut shown = Shown::all(&log);
        shown.records.remove(3);
        let (report, _) = shown.verify();
        assert!(kinds(&report).is_empty(), "{report:#?}");
        report.incomplete.kept().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(|_| {}), Vec::<String>::new());
    let gap = told(|record| {
        record.action.set("gap");
        record.metadata = Json::from_stored("{\"count\":12}");
    });
    assert_eq!(gap.len(), 1, "{gap:?}");
    let end = told(|record| {
        record.action.set("gap");
        record.outcome_reason.set(UNCLEAN_END);
        record.metadata = Json::from_stored("{\"writer_id\":\"77\",\"last_seq\":5}");
    });
    assert_eq!(end.len(), 1, "{end:?}");
    let stub = told(|record| {
        record.outcome_reason.set(QUARANTINED);
        record.metadata = Json::from_stored("{\"quarantined\":true}");
    });
    assert_eq!(stub.len(), 1, "{stub:?}");
}

/// Nothing is taken from a file whose head nobody signed.
#[test]
fn without_a_head_nothing_is_proved() {
    let log = Log::of(&[1; 4]);
    let shown = Shown::all(&log);
    let head = Head { source: Source::Kept, number: 1, head: Err("nobody signed it".to_owned()) };
    let mut extract = Extract::new(head, [anchor(log.head(4, 1))]);
    shown.entries.into_iter().for_each(|entry| extract.entry(entry));
    shown.records.into_iter().for_each(|record| extract.record(record));
    let (report, extent) = extract.finish();
    assert_eq!(kinds(&report), [AlterationKind::HeadForged], "{report:#?}");
    assert_eq!((report.records, report.entries, extent.is_complete), (0, 0, false));
    assert_eq!(report.signed, None);
}
