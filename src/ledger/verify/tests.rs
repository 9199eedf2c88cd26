//! The verifier over logs in memory, and over what somebody made of them.

mod extract;

use proptest::prelude::*;

use super::*;
use crate::{
    ledger::{
        Checkpoint, new_entries,
        table::{Row, times},
    },
    record::{Canonical, Category, Field, Json, Origin, Record, RecordId, Value},
};

/// A log as a store shows it.
#[derive(Clone)]
struct Log {
    entries: Vec<Entry>,
    records: Vec<Box<Record>>,
}

fn record(writer_id: i64, seq: i64) -> Box<Record> {
    let at = Timestamp::from_micros(1_790_000_000_000_000 + seq * 1_000);
    let mut record = Record {
        id: RecordId::new(at, [7; 10]),
        occurred_at: at,
        recorded_at: at,
        writer_id: WriterId::new(writer_id),
        seq,
        ..Record::default()
    };
    record.actor_id.set("ana");
    record.action.set("update");
    record.retention_class.set("activity");
    record.seal([[1; 16], [2; 16], [3; 16], [4; 16]]);
    Box::new(record)
}

impl Log {
    /// Batches of so many records, of two streams by turns.
    fn of(batches: &[i64]) -> Self {
        let (mut entries, mut records) = (Vec::new(), Vec::new());
        let mut next = [1, 1];
        for (index, size) in batches.iter().enumerate() {
            let stream = index % 2;
            let batch: Vec<_> = (next[stream]..next[stream] + size)
                .map(|seq| record(stream as i64 + 1, seq))
                .collect();
            next[stream] += size;
            for new in new_entries(&batch, &mut Canonical::new()) {
                let position = entries.len() as i64 + 1;
                let committed_at = Timestamp::from_micros(position * 10);
                entries.push(Entry { position, epoch: 1, new, committed_at });
            }
            records.extend(batch);
        }
        Self { entries, records }
    }

    fn verify(&self) -> Report {
        self.verify_with([])
    }

    fn verify_with(&self, heads: impl IntoIterator<Item = Head>) -> Report {
        let mut verifier = Verifier::new();
        verifier.heads(heads);
        let mut canonical = Canonical::new();
        for entry in &self.entries {
            let row = LedgerRow { position: Some(entry.position), entry: Ok(entry.clone()) };
            let Some(entry) = verifier.entry(row) else { continue };
            let new = &entry.new;
            let mut rows: Vec<_> = self
                .records
                .iter()
                .filter(|record| {
                    record.writer_id == new.writer_id
                        && (new.first_seq..=new.last_seq).contains(&record.seq)
                })
                .collect();
            rows.sort_by_key(|record| record.seq);
            let mut check = EntryCheck::new(entry.clone());
            for record in rows {
                check.row(&RecordRow::new(record.seq, record.clone()), &mut canonical);
            }
            verifier.checked(check.finish());
        }
        let mut streams: HashMap<i64, StreamRows> = HashMap::new();
        for record in &self.records {
            let (writer_id, seq) = (record.writer_id.get(), record.seq);
            let rows = streams.entry(writer_id).or_insert(StreamRows {
                writer_id,
                first_seq: seq,
                last_seq: seq,
            });
            (rows.first_seq, rows.last_seq) = (rows.first_seq.min(seq), rows.last_seq.max(seq));
        }
        for rows in streams.into_values() {
            verifier.rows_of_stream(rows, 0);
        }
        verifier.finish()
    }
}

impl Log {
    /// Changes the only record of an entry, and has the entry account for it as it is then.
    fn rewritten(mut self, position: usize, change: impl FnOnce(&mut Record)) -> Self {
        let entry = &mut self.entries[position - 1];
        let of = |record: &&mut Box<Record>| {
            (record.writer_id, record.seq) == (entry.new.writer_id, entry.new.first_seq)
        };
        let record = self.records.iter_mut().find(of).unwrap();
        change(record);
        entry.new = new_entries(std::slice::from_ref(record), &mut Canonical::new()).remove(0);
        self
    }

    /// A log of four records that was found with two of them, and went on in a second epoch; `is_told` by a record.
    fn rolled_back(is_told: bool) -> Self {
        let mut log = Self::of(&[1; 4]).rewritten(3, |record| {
            record.action.set(if is_told { "restored" } else { "forgotten" });
            (record.origin, record.category) = (Origin::System, Category::System);
            record.metadata = Json::from_stored("{\"count\":2}");
            record.seal([[5; 16]; 4]);
        });
        log.entries[2..].iter_mut().for_each(|entry| entry.epoch = 2);
        log
    }

    /// Returns the head of its first entries.
    fn head(&self, size: usize, epoch: i64) -> Checkpoint {
        let mut frontier = Frontier::new();
        self.entries[..size].iter().for_each(|entry| frontier.push(entry.leaf_hash()));
        let at = self.entries[size - 1].committed_at;
        Checkpoint::new("log".to_owned(), size as u64, frontier.root(), epoch, at)
    }
}

fn anchor(head: Checkpoint) -> Head {
    Head { source: Source::Anchor, number: 1, head: Ok(head) }
}

/// Heads that are not those of a log which was rolled back from four entries to two, each with what is found of it where a
/// record tells of that, and where none does.
fn heads_around_a_rollback() -> [(Checkpoint, Option<AlterationKind>, Option<AlterationKind>); 6] {
    use AlterationKind::{EntryMissing, HistoryRewritten};
    let before = Log::of(&[1; 4]);
    let forged = before.clone().rewritten(1, |record| record.action.set("forged"));
    let beyond = |epoch| Checkpoint { size: 9, ..before.head(4, epoch) };
    let (rewritten, missing) = (Some(HistoryRewritten), Some(EntryMissing));
    [
        (before.head(3, 1), None, rewritten),
        (before.head(4, 1), None, rewritten),
        (beyond(1), None, missing),
        // Of what the rollback left, and of what came after it.
        (forged.head(2, 1), rewritten, rewritten),
        (before.head(3, 2), rewritten, rewritten),
        (beyond(2), missing, missing),
    ]
}

#[test]
fn a_rollback_that_is_told_of_explains_the_heads_of_what_it_took_and_no_others() {
    let (told, untold) = (Log::rolled_back(true), Log::rolled_back(false));
    for (head, if_told, if_untold) in heads_around_a_rollback() {
        for (log, expected) in [(&told, if_told), (&untold, if_untold)] {
            let report = log.verify_with([anchor(head.clone())]);
            assert_eq!(kinds(&report), Vec::from_iter(expected), "{head:?}: {report:#?}");
        }
    }
}

#[test]
fn what_came_since_is_counted_by_the_numbers_of_each_stream() {
    let mut verifier = Verifier::new();
    for entry in Log::of(&[3, 2]).entries {
        verifier.entry(LedgerRow { position: Some(entry.position), entry: Ok(entry) });
    }
    let state = verifier.state(Timestamp::default(), 0, false).unwrap();
    let since = |ends: &[(i64, i64)]| {
        state.records_since(ends.iter().map(|&(stream, last)| (WriterId::new(stream), last)))
    };
    assert_eq!(since(&[(1, 3), (2, 2)]), 0);
    assert_eq!(since(&[(1, 10), (2, 3), (7, 4)]), 7 + 1 + 4);
    // Put back to before, and what nobody could have written.
    assert_eq!(since(&[(1, 1), (2, i64::MIN), (3, i64::MAX), (4, i64::MAX)]), u64::MAX - 1);
}

#[test]
fn what_differs_begins_behind_the_last_head_that_agreed() {
    let log = Log::of(&[1; 6]);
    let forged = log.clone().rewritten(4, |record| record.action.set("forged"));
    let heads = [log.head(2, 1), log.head(3, 1), forged.head(5, 1), forged.head(6, 1)];
    let report = log.verify_with(heads.map(anchor));
    assert_eq!(kinds(&report), [AlterationKind::HistoryRewritten], "{report:#?}");
    let found = &report.altered.kept()[0];
    assert_eq!(found.place.position, Some(4), "{found:?}");
    assert!(found.detail.ends_with("those up to 3 are"), "{}", found.detail);
}

#[test]
fn no_head_behind_an_entry_that_is_missing_is_called_another_history() {
    for gone in [2, 3] {
        let mut log = Log::of(&[1; 4]);
        let heads = [1, 2, 3, 4].map(|size| anchor(log.head(size, 1)));
        let lost = log.entries.remove(gone - 1);
        let of = (lost.new.writer_id, lost.new.first_seq);
        log.records.retain(|record| (record.writer_id, record.seq) != of);
        let report = log.verify_with(heads);
        // It is missing at its place, and in its stream where that goes on.
        assert_eq!(kinds(&report)[0], AlterationKind::EntryMissing, "{report:#?}");
        let rewritten = kinds(&report).contains(&AlterationKind::HistoryRewritten);
        assert!(!rewritten, "{gone}: {report:#?}");
        let agreed = report.anchored.map(|(size, _)| size);
        assert_eq!(agreed, i64::try_from(gone - 1).ok(), "{report:#?}");
    }
}

fn kinds(report: &Report) -> Vec<AlterationKind> {
    report.altered.kept().iter().map(|found| found.kind).collect()
}

#[test]
fn the_root_of_a_sound_log_is_that_of_its_entries() {
    let log = Log::of(&[3, 2, 5]);
    let report = log.verify();
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:?}");
    let mut leaves: Vec<_> = log.entries.iter().map(Entry::leaf_hash).collect();
    assert_eq!(report.root, Some(crate::ledger::root(&mut leaves)));
    assert_eq!((report.entries, report.records, report.streams), (3, 10, 2));
}

#[test]
fn two_records_with_each_others_number_are_named() {
    let mut log = Log::of(&[40]);
    log.records[3].seq = 31;
    log.records[30].seq = 4;
    let report = log.verify();
    assert_eq!(kinds(&report), [AlterationKind::RowsSwapped]);
    let place = report.altered.kept()[0].place;
    assert_eq!((place.first_seq, place.last_seq), (Some(4), Some(31)));
}

#[test]
fn numbers_at_the_end_of_what_there_is_are_alterations() {
    for (first, last) in [(i64::MIN, i64::MAX), (1, i64::MAX), (0, 0), (5, 4), (i64::MAX, i64::MAX)]
    {
        let mut log = Log::of(&[2, 2, 2]);
        (log.entries[1].new.first_seq, log.entries[1].new.last_seq) = (first, last);
        assert_eq!(log.verify().verdict(), Verdict::Altered, "{first} to {last}");
    }
    for position in [i64::MAX, i64::MIN, 0, 1] {
        let mut log = Log::of(&[2, 2, 2]);
        log.entries[1].position = position;
        assert_eq!(log.verify().verdict(), Verdict::Altered, "{position}");
    }
}

#[test]
fn a_rollback_is_told_with_what_a_record_says_of_it() {
    let mut log = Log::of(&[2, 2, 2]);
    log.entries[1].epoch = 2;
    log.entries[2].epoch = 2;
    let report = log.verify();
    assert_eq!(report.verdict(), Verdict::Incomplete, "{report:?}");
    let told = report.incomplete.kept()[0].to_string();
    assert_eq!(told, "rolled back at 1, continued as epoch 2: no record says what was lost");
    log.entries[2].epoch = 1;
    assert_eq!(kinds(&log.verify()), [AlterationKind::EntryEdited]);
}

/// Changes a field to something else; `false` when it was that already.
fn edit(record: &mut Record, field: &Field, seed: u8) -> bool {
    let before = field.value(record);
    let text = format!("x{seed}");
    let json = format!("{{\"x\":{seed}}}");
    let value = match field.kind() {
        crate::record::Kind::Id => Value::Id(RecordId::from_bytes([seed; 16])),
        crate::record::Kind::Time => Value::Time(Timestamp::from_micros(i64::from(seed))),
        crate::record::Kind::Integer => Value::Integer(i64::from(seed)),
        crate::record::Kind::Stream => return false,
        crate::record::Kind::Text => Value::Text(&text),
        crate::record::Kind::Json => Value::Json(&json),
        crate::record::Kind::Address => Value::Address("10.0.0.1".parse().unwrap()),
        _ => return false,
    };
    if field.name() == "seq" || before == value {
        return false;
    }
    field.set(record, value).is_ok()
}

proptest! {
    #[test]
    fn an_edit_of_any_field_is_found_in_its_entry(
        sizes in prop::collection::vec(1_i64..9, 1..6),
        which in any::<prop::sample::Index>(),
        field in 0..Record::FIELDS.len(),
        seed in any::<u8>(),
    ) {
        let mut log = Log::of(&sizes);
        let at = which.index(log.records.len());
        let (writer_id, seq) = (log.records[at].writer_id, log.records[at].seq);
        if edit(&mut log.records[at], &Record::FIELDS[field], seed) {
            let report = log.verify();
            prop_assert_eq!(kinds(&report), [AlterationKind::RecordEdited]);
            let place = report.altered.kept()[0].place;
            prop_assert_eq!(place.writer_id, Some(writer_id));
            prop_assert!(place.first_seq <= Some(seq) && Some(seq) <= place.last_seq);
        } else {
            prop_assert_eq!(log.verify().verdict(), Verdict::Unaltered);
        }
    }

    #[test]
    fn a_row_that_is_gone_or_was_added_is_found(
        sizes in prop::collection::vec(1_i64..9, 1..6),
        which in any::<prop::sample::Index>(),
        how in 0..3,
    ) {
        let mut log = Log::of(&sizes);
        let at = which.index(log.records.len());
        let expected = match how {
            0 => {
                log.records.remove(at);
                AlterationKind::RowMissing
            }
            1 => {
                log.records.push(log.records[at].clone());
                AlterationKind::RowDuplicated
            }
            _ => {
                let mut extra = log.records[at].clone();
                extra.seq = 1_000;
                log.records.push(extra);
                AlterationKind::RowExtra
            }
        };
        prop_assert_eq!(kinds(&log.verify()), [expected]);
    }

    #[test]
    fn entries_that_are_gone_or_changed_their_places_are_found(
        sizes in prop::collection::vec(1_i64..9, 3..8),
        which in any::<prop::sample::Index>(),
        swap in any::<bool>(),
    ) {
        let mut log = Log::of(&sizes);
        // The last one is found only by a checkpoint, or by the rows that it leaves behind.
        let at = which.index(log.entries.len() - 1);
        if swap {
            log.entries.swap(at, at + 1);
            let (one, other) = (at as i64 + 1, at as i64 + 2);
            log.entries[at].position = one;
            log.entries[at + 1].position = other;
        } else {
            log.entries.remove(at);
        }
        prop_assert_eq!(log.verify().verdict(), Verdict::Altered);
    }
}

/// The heads of a log, one for every three entries.
fn heads_of(log: &Log, source: Source) -> Vec<Head> {
    let mut frontier = Frontier::new();
    let mut heads = Vec::new();
    for entry in &log.entries {
        frontier.push(entry.leaf_hash());
        if entry.position % 3 == 0 {
            let (size, root) = (frontier.size(), frontier.root());
            let head = Checkpoint::new("log".to_owned(), size, root, 1, entry.committed_at);
            heads.push(Head { source, number: heads.len() as i64 + 1, head: Ok(head) });
        }
    }
    heads
}

/// Fault 42: whoever holds database and key writes a record anew, all entries behind it, and signs every head again. What
/// finds him is an anchor that covers what he changed, and nothing else.
#[test]
fn a_history_that_was_signed_again_is_found_by_an_anchor_behind_it() {
    let runs = times(60, 600);
    let sound = Log::of(&[1; 310]);
    for (every, fault) in [
        (1, "42 signed again, an anchor for each head"),
        (10, "42 signed again, an anchor for each tenth head"),
        (100, "42 signed again, an anchor for each hundredth head"),
    ] {
        let anchors: Vec<_> =
            heads_of(&sound, Source::Anchor).into_iter().skip(every - 1).step_by(every).collect();
        let covered = anchors.last().unwrap().head.as_ref().unwrap().size;
        let (mut found, mut expected) = (0, 0);
        for run in 0..runs {
            let at = run * 310 / runs;
            let mut log = sound.clone();
            log.records[at].action.set("forged");
            for entry in &mut log.entries[at..] {
                let new = &entry.new;
                let written = log.records.iter().find(|record| {
                    record.writer_id == new.writer_id && record.seq == new.first_seq
                });
                let again = new_entries(&[written.unwrap().clone()], &mut Canonical::new());
                entry.new = again.into_iter().next().unwrap();
            }
            let kept = heads_of(&log, Source::Kept);
            assert_eq!(log.verify_with(kept.clone()).verdict(), Verdict::Unaltered, "{at}");
            let report = log.verify_with(kept.into_iter().chain(anchors.clone()));
            found += u64::from(kinds(&report) == [AlterationKind::HistoryRewritten]);
            expected += u64::from((at as u64) < covered);
            assert_eq!(report.verdict() == Verdict::Altered, (at as u64) < covered, "{at}");
        }
        assert_eq!(found, expected, "an anchor for every {every} heads");
        let (runs, lost) = (runs as u64, expected - found);
        Row { fault, runs, sent: runs, stored: found, lost, ..Row::default() }.report();
    }
}
