//! What the owner of a database can do to a log, and what a verification has to say of it.

use rand::{RngExt as _, rngs::StdRng};
use tower_activity::{
    ledger::{
        AddressExpiry, Checkpoint, Entry, Note, leaf_hash, root,
        verify::{AlterationKind, Report, Verdict},
    },
    record::{Canonical, Category, Field, Group, Record, Seal},
    store::{Evidence as _, Read as _, make_checkpoint},
};

use super::{
    Done, Lived,
    log::{Known, Log, checkpoints},
    shelf,
};
use crate::{
    counts::hex,
    records::ordinary,
    suite::{all, append},
    tampering::{Owned, kinds, names},
};

/// A copy of a log, and somebody at it.
struct Hands<'a, F: Lived> {
    log: &'a Log<F>,
    random: &'a mut StdRng,
    copy: F,
    store: F::Store,
    records: Vec<Record>,
    entries: Vec<Entry>,
    anchors: Vec<Checkpoint>,
}

/// Does something to a copy of a log, or of its archive, and verifies the copy.
pub(super) async fn at<F: Lived + Owned>(log: &mut Log<F>, random: &mut StdRng) -> Done {
    let what = random.random_range(0..20);
    if what >= 15 {
        return shelf::at(log, random).await;
    }
    let copy = log.copied().await?;
    let store = copy.open().await;
    let (records, entries) = (all(&store).await, store.entries(0, 100_000).await.unwrap());
    if records.is_empty() {
        return None;
    }
    let head = |note: &String| Checkpoint::parse(note.parse::<Note>().unwrap().text()).unwrap();
    let anchors = log.anchors.iter().map(head).collect();
    let mut hands = Hands { log, random, copy, store, records, entries, anchors };
    match what {
        0 | 1 => hands.edit_column().await,
        2 => hands.delete_row().await,
        3 => hands.double_row().await,
        4 => hands.move_row().await,
        5 => hands.swap_rows().await,
        6 | 7 => hands.edit_entry().await,
        8 => hands.delete_entry().await,
        9 => hands.forge_head().await,
        10 => hands.cut_the_end().await,
        11 => hands.sign_again().await,
        12 => hands.go_on_from_a_backup().await,
        13 => hands.empty_a_group().await,
        _ => hands.exchange_groups().await,
    }
}

fn at_row(record: &Record) -> String {
    format!("writer_id = {} AND seq = {}", record.writer_id, record.seq)
}

fn place(record: &Record) -> (i64, i64) {
    (record.writer_id.get(), record.seq)
}

impl<F: Lived + Owned> Hands<'_, F> {
    fn one_of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.random.random_range(0..all.len())]
    }

    fn record(&mut self) -> Record {
        let at = self.random.random_range(0..self.records.len());
        self.records[at].clone()
    }

    fn entry(&mut self) -> Entry {
        let at = self.random.random_range(0..self.entries.len());
        self.entries[at].clone()
    }

    async fn verify(&self, anchored: bool) -> Report {
        let (report, state) = self.log.audit(&self.store, anchored, None).await;
        // From a log that was altered nobody goes on.
        assert!(report.verdict() != Verdict::Altered || state.is_none(), "{report:#?}");
        report
    }

    /// It is found, with the place if it is one record's.
    async fn is_found(&self, what: &str, at: &[(i64, i64)]) -> Report {
        let report = self.verify(false).await;
        assert_eq!(report.verdict(), Verdict::Altered, "{what}: {report:#?}");
        assert!(at.iter().all(|at| names(&report, *at)), "{what}: {report:#?}");
        report
    }

    /// 38: any column of any row, the salts and commitments among them.
    async fn edit_column(&mut self) -> Done {
        let records = F::RECORDS;
        let record = self.record();
        let seed = self.random.random_range(0..256_u32);
        let (column, value) = if self.random.random_bool(0.3) {
            let group = *self.one_of(&Group::ERASABLE);
            let (what, size) = *self.one_of(&[("salt", 16), ("commitment", 32)]);
            let value = match self.random.random_bool(0.3) {
                true => "NULL".to_owned(),
                false => F::bytes(&hex(&vec![seed as u8; size])),
            };
            (format!("{}_{what}", group.as_str()), value)
        } else {
            let field: Field = *self.one_of(Record::FIELDS);
            // Which record it is says `seq`: rows that move are another fault.
            if field.name() == "seq" {
                return None;
            }
            let emptied = field.group() != Group::Sealed && self.random.random_bool(0.3);
            let value = match emptied {
                true => "NULL".to_owned(),
                false => F::other(&field, seed)?,
            };
            (field.name().to_owned(), value)
        };
        let row = at_row(&record);
        let sql = format!(
            "UPDATE {records} SET {column} = {value} WHERE {row} \
             AND CAST({column} AS TEXT) IS DISTINCT FROM CAST({value} AS TEXT)"
        );
        if self.copy.force(&sql).await == 0 {
            return None;
        }
        self.is_found(&sql, &[place(&record)]).await;
        Some(("38 column edited", true))
    }

    async fn delete_row(&mut self) -> Done {
        let records = F::RECORDS;
        let record = self.record();
        let sql = format!("DELETE FROM {records} WHERE {}", at_row(&record));
        self.copy.force(&sql).await;
        let report = self.is_found(&sql, &[place(&record)]).await;
        assert!(kinds(&report).contains(&AlterationKind::RowMissing), "{sql}: {report:#?}");
        Some(("39 row deleted", true))
    }

    /// A row twice, and perhaps its entry with the root that this gives.
    async fn double_row(&mut self) -> Done {
        let (records, ledger) = (F::RECORDS, F::LEDGER);
        let record = self.record();
        let row = at_row(&record);
        let mut sql = format!("INSERT INTO {records} SELECT * FROM {records} WHERE {row}");
        let in_root = self.random.random_bool(0.5);
        if in_root {
            let entry = self.entry_of(&record);
            let mut of_entry = self.records_of(&entry);
            of_entry.push(record.clone());
            let root = F::bytes(&hex(&root_of(of_entry)));
            let position = entry.position;
            sql +=
                &format!("; UPDATE {ledger} SET batch_root = {root} WHERE position = {position}");
        }
        self.copy.force(F::DOUBLES).await;
        self.copy.force(&sql).await;
        let report = self.is_found(&sql, &[place(&record)]).await;
        assert!(kinds(&report).contains(&AlterationKind::RowDuplicated), "{sql}: {report:#?}");
        Some((if in_root { "39 row doubled, in the root too" } else { "39 row doubled" }, true))
    }

    async fn move_row(&mut self) -> Done {
        let records = F::RECORDS;
        let record = self.record();
        let to = match self.random.random_bool(0.5) {
            true => "writer_id = 77, seq = 1".to_owned(),
            false => format!("seq = {}", 1_000 + record.seq),
        };
        let sql = format!("UPDATE {records} SET {to} WHERE {}", at_row(&record));
        self.copy.force(&sql).await;
        let report = self.is_found(&sql, &[place(&record)]).await;
        for kind in [AlterationKind::RowMissing, AlterationKind::RowExtra] {
            assert!(kinds(&report).contains(&kind), "{sql}: {report:#?}");
        }
        Some(("39 row moved", true))
    }

    async fn swap_rows(&mut self) -> Done {
        let records = F::RECORDS;
        let one = self.record();
        let of_stream = self.records.iter().filter(|record| record.writer_id == one.writer_id);
        let others: Vec<_> = of_stream.filter(|record| record.seq != one.seq).cloned().collect();
        if others.is_empty() {
            return None;
        }
        let other = self.one_of(&others).clone();
        let (first, second) = (one.seq, other.seq);
        let sql = format!(
            "UPDATE {records} SET seq = 99999 WHERE {}; UPDATE {records} SET seq = {first} WHERE {}; \
             UPDATE {records} SET seq = {second} WHERE writer_id = {} AND seq = 99999",
            at_row(&one),
            at_row(&other),
            one.writer_id
        );
        self.copy.force(&sql).await;
        self.is_found(&sql, &[place(&one), place(&other)]).await;
        Some(("39 rows swapped", true))
    }

    /// 40: what an entry says. What no record bears out shows in a head that covers it.
    async fn edit_entry(&mut self) -> Done {
        let ledger = F::LEDGER;
        let entry = self.entry();
        let position = entry.position;
        let by = self.random.random_range(1..5);
        let mut changes = vec![
            format!("writer_id = writer_id + {}", 70 + by),
            format!("first_seq = first_seq + {0}, last_seq = last_seq + {0}", 100 * by),
            "class = 'other'".to_owned(),
            "month = '2001-01'".to_owned(),
            format!("first_at = {}", F::later("first_at", -by)),
            format!("last_at = {}", F::later("last_at", by)),
            format!("batch_root = {}", F::bytes(&hex(&[by as u8; 32]))),
            format!("position = position + {}", 1_000 * by),
            format!("committed_at = {}", F::later("committed_at", 1)),
            "epoch = epoch + 1".to_owned(),
        ];
        // Elsewhere nobody can write it.
        if F::LEDGER_COLUMNS.contains("count") {
            changes.push(format!("count = count + {by}"));
        }
        let change = self.one_of(&changes).clone();
        let sql = format!("UPDATE {ledger} SET {change} WHERE position = {position}");
        let next = self.entries.iter().find(|next| next.position == position + 1);
        let (is_later, is_older) = (
            next.is_some_and(|next| {
                next.committed_at.as_micros() <= entry.committed_at.as_micros() + 1
            }),
            next.is_some_and(|next| next.epoch <= entry.epoch),
        );
        // The records of a removed month bear out nothing, and the record that tells of it tells of the whole entry.
        let is_gone = self.records_of(&entry).is_empty();
        let is_borne_out = match change.split_once(' ').unwrap().0 {
            "committed_at" => is_later,
            // That the ledger went on in another epoch is no alteration by itself.
            "epoch" if !self.log.known.rolled_back.is_empty() => return None,
            "epoch" => is_older,
            _ => true,
        };
        self.copy.force(&sql).await;
        let is_covered = self.heads().await.iter().any(|head| head.size as i64 >= position);
        // The keys have their name from the first entry.
        let is_named = position == 1 && self.log.trust().await.is_some();
        let is_found = is_borne_out || is_gone || is_covered || is_named;
        let report = self.verify(false).await;
        let altered = report.verdict() == Verdict::Altered;
        assert_eq!(altered, is_found, "{sql}: {report:#?}");
        Some(("40 entry edited", is_found))
    }

    async fn delete_entry(&mut self) -> Done {
        let ledger = F::LEDGER;
        let position = self.entry().position;
        let sql = format!("DELETE FROM {ledger} WHERE position = {position}");
        self.copy.force(&sql).await;
        self.is_found(&sql, &[]).await;
        Some(("40 entry deleted", true))
    }

    /// Another head, or one that the right key did not sign.
    async fn forge_head(&mut self) -> Done {
        let table = F::CHECKPOINTS;
        let kept = checkpoints(&self.store).await;
        if kept.is_empty() {
            return None;
        }
        let kept = self.one_of(&kept).clone();
        let note: Note = kept.note.parse().unwrap();
        let mut head = Checkpoint::parse(note.text()).unwrap();
        // After its time a key signs nothing that counts.
        let retired = self.log.retired().filter(|_| self.random.random_bool(0.5));
        if retired.is_some() {
            head.at = self.log.now();
        }
        let forged = match self.random.random_bool(0.7) {
            true => head.sign(&[retired.unwrap_or([200; 32])]).unwrap().to_string(),
            false => kept.note.replace("\nepoch ", "\nepoch 1"),
        };
        let number = kept.number;
        let changed = match self.random.random_range(0..4) {
            0 => "size = size + 1".to_owned(),
            1 => format!("frontier = {}", F::bytes(&hex(&[7; 32]))),
            _ => format!("note = '{forged}'"),
        };
        let sql = format!("UPDATE {table} SET {changed} WHERE number = {number}");
        self.copy.force(&sql).await;
        let report = self.is_found(&sql, &[]).await;
        assert!(kinds(&report).contains(&AlterationKind::HeadForged), "{sql}: {report:#?}");
        Some(("40 head forged", true))
    }

    /// 41: what is left was written so, and nothing inside the database tells of the rest.
    async fn cut_the_end(&mut self) -> Done {
        let (records, ledger, checkpoints) = (F::RECORDS, F::LEDGER, F::CHECKPOINTS);
        let keep = self.random.random_range(0..self.entries.len());
        let keep = self.entries[..keep].last().map_or(0, |entry| entry.position);
        // Where the end tells of what went from the beginning, that is gone without a word.
        let tells = |record: &&Record| {
            record.category == Category::System
                && ["erased", "retention_run", "addresses_expired"]
                    .contains(&record.action.as_str())
        };
        let behind = self.entries.iter().filter(|entry| entry.position > keep);
        let behind: Vec<_> = behind.flat_map(|entry| self.records_of(entry)).collect();
        let is_told_of = behind.iter().any(|record| tells(&record));
        let sql = format!(
            "DELETE FROM {records} WHERE EXISTS (SELECT 1 FROM {ledger} AS l \
                 WHERE l.writer_id = {records}.writer_id \
                 AND seq BETWEEN l.first_seq AND l.last_seq AND l.position > {keep}); \
             DELETE FROM {ledger} WHERE position > {keep}; \
             DELETE FROM {checkpoints} WHERE size > {keep}"
        );
        self.copy.force(&sql).await;
        let mut known = self.log.known.clone();
        known.is_cut(keep);
        self.is_found_by_anchors(keep, &known, is_told_of, "41 end cut off").await
    }

    /// An anchor finds what it covers, unless the log itself tells why it is of another ledger; nothing else does.
    async fn is_found_by_anchors(
        &self,
        same: i64,
        known: &Known,
        is_told_of: bool,
        what: &'static str,
    ) -> Done {
        if !is_told_of {
            let without = self.verify(false).await;
            assert_ne!(without.verdict(), Verdict::Altered, "{what}, {same}: {without:#?}");
        }
        let covers = |head: &&Checkpoint| head.size as i64 > same && !known.explains(head);
        let is_found = self.anchors.iter().find(covers).is_some();
        let report = self.verify(true).await;
        if is_found || !is_told_of {
            let altered = report.verdict() == Verdict::Altered;
            assert_eq!(altered, is_found, "{what}, {same}: {report:#?}");
        }
        Some((what, is_found))
    }

    /// 42: a record is written anew, its entry with it, and the head is signed again with the right key.
    async fn sign_again(&mut self) -> Done {
        let (records, ledger, checkpoints) = (F::RECORDS, F::LEDGER, F::CHECKPOINTS);
        let record = self.record();
        if record.category == Category::System {
            return None;
        }
        let entry = self.entry_of(&record);
        let mut forged = record.clone();
        forged.action.set("forged");
        let mut of_entry = self.records_of(&entry);
        of_entry.retain(|of| of.seq != record.seq);
        of_entry.push(forged);
        let root = F::bytes(&hex(&root_of(of_entry)));
        let sql = format!(
            "UPDATE {records} SET action = 'forged' WHERE {}; \
             UPDATE {ledger} SET batch_root = {root} WHERE position = {}; \
             DELETE FROM {checkpoints}",
            at_row(&record),
            entry.position
        );
        self.copy.force(&sql).await;
        self.copy.mend().await;
        make_checkpoint(&self.store, &self.log.seeds(), self.log.now()).await.unwrap();
        if entry.position == 1 {
            // With another first entry it is another log, whose keys have another name.
            self.is_found("42 its first entry", &[]).await;
            return Some(("42 signed again, from the first entry on", true));
        }
        // What a hold keeps aside of it has its sealed fields as they were.
        let is_kept = !self.store.restricted_of(record.id).await.unwrap().is_empty();
        if is_kept && self.verify(false).await.verdict() == Verdict::Altered {
            return Some(("42 signed again, with a hold", true));
        }
        let known = self.log.known.clone();
        self.is_found_by_anchors(entry.position - 1, &known, false, "42 signed again").await
    }

    /// 43: a backup is put back and gone on from, and nobody says so.
    async fn go_on_from_a_backup(&mut self) -> Done {
        let (backup, known, _) = self.log.backup.as_ref()?;
        self.copy = backup.copied().await?;
        self.store = self.copy.open().await;
        let same = self.store.head().await.unwrap();
        append(&self.store, &[ordinary(77, 1)]).await.unwrap();
        self.is_found_by_anchors(same, known, false, "43 backup put back").await
    }

    /// 44: what an erasure does, or a part of it, and no record tells of it.
    async fn empty_a_group(&mut self) -> Done {
        let records = F::RECORDS;
        let group = *self.one_of(&Group::ERASABLE);
        let record = self.record();
        let Seal::Salted(_) = record.seals.of(group) else { return None };
        let commitment = Canonical::new().commitment(&record, group).unwrap();
        let commitment = F::bytes(&hex(&commitment));
        let fields = Record::FIELDS.iter().filter(|field| field.group() == group);
        let emptied: String = fields.map(|field| format!("{} = NULL, ", field.name())).collect();
        let name = group.as_str();
        let (seal, what, kind) = match self.random.random_range(0..3) {
            0 => (
                format!("{name}_salt = NULL, {name}_commitment = {commitment}"),
                "44 group erased without a word",
                AlterationKind::ErasedUnrecorded,
            ),
            1 => (
                format!("{name}_salt = NULL"),
                "44 group and salt emptied",
                AlterationKind::RecordEdited,
            ),
            _ => (
                format!("{name}_commitment = NULL"),
                "44 group emptied",
                AlterationKind::RecordEdited,
            ),
        };
        let sql = format!("UPDATE {records} SET {emptied}{seal} WHERE {}", at_row(&record));
        self.copy.force(&sql).await;
        if group == Group::Network
            && kind == AlterationKind::ErasedUnrecorded
            && self.is_announced(&record)
        {
            // Of a record that was held while the others of its month were emptied: they cannot be told apart.
            let report = self.verify(false).await;
            assert_ne!(report.verdict(), Verdict::Altered, "{sql}: {report:#?}");
            return Some(("44 address of a held record", false));
        }
        let report = self.is_found(&sql, &[place(&record)]).await;
        assert!(kinds(&report).contains(&kind), "{sql}: {report:#?}");
        Some((what, true))
    }

    /// Tells whether a record says that the addresses of this one and of others are over.
    fn is_announced(&self, record: &Record) -> bool {
        let entry = self.entry_of(record);
        let covers = |expiry: AddressExpiry| {
            expiry.covers(entry.new.month, &entry.new.class, entry.position)
        };
        self.records.iter().filter_map(AddressExpiry::told).any(covers)
    }

    /// 45: salts, or whole groups, of two records.
    async fn exchange_groups(&mut self) -> Done {
        let records = F::RECORDS;
        let group = *self.one_of(&Group::ERASABLE);
        let (one, other) = (self.record(), self.record());
        let salted = |record: &Record| matches!(record.seals.of(group), Seal::Salted(_));
        if place(&one) == place(&other) || !salted(&one) || !salted(&other) {
            return None;
        }
        let mut columns = vec![format!("{}_salt", group.as_str())];
        let whole = self.random.random_bool(0.5);
        if whole {
            let fields = Record::FIELDS.iter().filter(|field| field.group() == group);
            columns.extend(fields.map(|field| field.name().to_owned()));
        }
        let from = |from: &Record| {
            let of = |column: &String| {
                format!("{column} = (SELECT {column} FROM saved WHERE {})", at_row(from))
            };
            columns.iter().map(of).collect::<Vec<_>>().join(", ")
        };
        let sql = format!(
            "CREATE TEMP TABLE saved AS SELECT * FROM {records}; \
             UPDATE {records} SET {} WHERE {}; UPDATE {records} SET {} WHERE {}",
            from(&other),
            at_row(&one),
            from(&one),
            at_row(&other)
        );
        self.copy.force(&sql).await;
        let report = self.is_found(&sql, &[place(&one), place(&other)]).await;
        assert!(kinds(&report).contains(&AlterationKind::RecordEdited), "{sql}: {report:#?}");
        Some((if whole { "45 groups exchanged" } else { "45 salts exchanged" }, true))
    }

    /// Returns the heads that the database keeps.
    async fn heads(&self) -> Vec<Checkpoint> {
        let kept = checkpoints(&self.store).await;
        let head = |note: &str| Checkpoint::parse(note.parse::<Note>().unwrap().text()).unwrap();
        kept.iter().map(|kept| head(&kept.note)).collect()
    }

    fn entry_of(&self, record: &Record) -> Entry {
        let holds = |entry: &&Entry| {
            entry.new.writer_id == record.writer_id
                && (entry.new.first_seq..=entry.new.last_seq).contains(&record.seq)
        };
        self.entries.iter().find(holds).expect("every record is in an entry").clone()
    }

    fn records_of(&self, entry: &Entry) -> Vec<Record> {
        let new = &entry.new;
        let is_in = |record: &&Record| {
            record.writer_id == new.writer_id
                && (new.first_seq..=new.last_seq).contains(&record.seq)
        };
        self.records.iter().filter(is_in).cloned().collect()
    }
}

/// Returns the root over records, in the order of their numbers.
fn root_of(mut records: Vec<Record>) -> [u8; 32] {
    records.sort_by_key(|record| record.seq);
    let mut canonical = Canonical::new();
    let leaves = records.iter().map(|record| leaf_hash(canonical.encode(record)));
    root(&mut leaves.collect::<Vec<_>>())
}
