//! The owner of the database changes what is in it, past every trigger, at random places: he is found out, with
//! place and kind. (Faults 38 to 41, 43 to 45, 47 and 48; `FAULTS=full` tries sixty places each, each column among them.)

use std::{fmt::Write as _, future::Future};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tower_activity::{
    Keys,
    ledger::{
        Hash, NoteSigner, Trust, inclusion_proof, leaf_hash, origin_of, root, root_by_inclusion,
        verify::{AlterationKind, Report, Shortfall, Verdict},
    },
    pipeline::ErasureRequest,
    record::{Canonical, Category, Field, Group, Groups, Json, Origin, Record, WriterId},
    store::{
        Append as _, Appender as _, Audit, Batch, Evidence, Read as _, StoreError, StoreErrorKind,
        make_checkpoint, prove,
    },
    time::Timestamp,
};

use crate::{
    chance::Chance,
    counts::hex,
    erasing,
    records::{full, ordinary, salts, words},
    suite::{Fixture, append},
    table::{Row, times},
};

/// A database whose owner one is.
pub(crate) trait Owned: Fixture {
    /// What the table of faults calls it.
    const NAME: &str;
    const RECORDS: &str;
    const LEDGER: &str;
    const CHECKPOINTS: &str;
    /// The roots of every 64 records of the entries.
    const FOLDED: &str;
    /// The columns of the ledger that can be written.
    const LEDGER_COLUMNS: &str;

    /// What takes away the indexes that keep a number from being there twice.
    const DOUBLES: &str;

    /// Runs statements, and no trigger holds them up; returns how many rows they changed, if it is one statement.
    fn force(&self, sql: &str) -> impl Future<Output = u64> + Send;

    /// Lets appends go on where they need the triggers that were in the way.
    fn mend(&self) -> impl Future<Output = ()> + Send;

    /// Returns bytes in hex as SQL.
    fn bytes(hex: &str) -> String;

    /// Returns the moment in a column of the ledger, so many microseconds later, as SQL.
    #[cfg(all(feature = "sqlite", feature = "archive"))]
    fn later(column: &str, micros: i64) -> String;

    /// Returns another value for a column, as SQL.
    fn other(field: &Field, seed: u32) -> Option<String>;
}

const SEED: [u8; 32] = [9; 32];

/// How many places are tried.
fn places() -> usize {
    times(4, 60)
}

/// Tells of a fault that was found wherever it was made: those that were made and those that were found.
fn found<F: Owned>(fault: &'static str, changes: usize) {
    let changes = changes as u64;
    Row { fault, runs: changes, sent: changes, stored: changes, ..Row::default() }
        .report_of(F::NAME);
}

/// A log with a checkpoint in the middle and one at its end.
struct Log<F: Owned> {
    fixture: F,
    store: F::Store,
    random: StdRng,
    trust: Trust,
    anchor: String,
}

impl<F: Owned> Log<F> {
    async fn new(fault: &str) -> Self {
        let seed = Chance::new(fault).below(usize::MAX) as u64;
        let fixture = F::new().await;
        let store = fixture.open().await;
        let mut at = Timestamp::from_micros(1_790_000_000_000_000);
        let mut anchor = String::new();
        for (turn, stream) in [1, 2, 1, 2, 1, 2, 1, 2].into_iter().enumerate() {
            let first = i64::try_from(turn / 2).unwrap() * 4 + 1;
            let record = |seq| {
                let mut record = full(stream, seq);
                // One leaf for all, hence one entry for each batch.
                record.retention_class.set("activity");
                record
            };
            let records: Vec<_> = (first..first + 4).map(record).collect();
            append(&store, &records).await.unwrap();
            at = Timestamp::from_micros(at.as_micros() + 1);
            if turn % 4 == 3 {
                anchor = make_checkpoint(&store, &[SEED], at).await.unwrap().unwrap().note;
            }
        }
        let first = store.entries(0, 1).await.unwrap().remove(0);
        let trust =
            Trust::in_key(NoteSigner::new(&origin_of(&first), &SEED).unwrap().key().clone());
        let save = |table: &str, name: &str| {
            format!("CREATE TABLE saved_{name} AS SELECT * FROM {table};")
        };
        fixture
            .force(&format!(
                "{}{}{}",
                save(F::RECORDS, "records"),
                save(F::LEDGER, "ledger"),
                save(F::CHECKPOINTS, "checkpoints")
            ))
            .await;
        let random = StdRng::seed_from_u64(seed);
        let log = Self { fixture, store, random, trust, anchor };
        assert_eq!(log.verify(true).await.verdict(), Verdict::Unaltered);
        log
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.random.random_range(0..all.len())]
    }

    /// A stream and a number in it.
    fn place(&mut self) -> (i64, i64) {
        (self.random.random_range(1..=2), self.random.random_range(1..=16))
    }

    async fn verify(&self, anchored: bool) -> Report {
        let audit = Audit::new(&self.store).trust(self.trust.clone());
        let anchors = anchored.then(|| self.anchor.clone());
        audit.anchored(anchors).run(|_progress| {}).await.unwrap()
    }

    /// Changes something, verifies, and puts everything back.
    async fn after(&self, sql: &str, anchored: bool) -> Report {
        self.fixture.force(sql).await;
        let report = self.verify(anchored).await;
        let (records, ledger, checkpoints) = (F::RECORDS, F::LEDGER, F::CHECKPOINTS);
        let columns = F::LEDGER_COLUMNS;
        self.fixture
            .force(&format!(
                "DELETE FROM {records}; INSERT INTO {records} SELECT * FROM saved_records; \
                 DELETE FROM {ledger}; INSERT INTO {ledger} ({columns}) \
                     SELECT {columns} FROM saved_ledger; \
                 DELETE FROM {checkpoints}; INSERT INTO {checkpoints} SELECT * FROM saved_checkpoints"
            ))
            .await;
        report
    }
}

/// What a log is in which nothing is amiss: where its heads went too, it is told that none is signed, and of nothing else.
fn as_signed(report: &Report) -> Verdict {
    match report.incomplete.kept() {
        [Shortfall::Unsigned] if report.signed.is_none() => Verdict::Incomplete,
        _ => Verdict::Unaltered,
    }
}

pub(crate) fn kinds(report: &Report) -> Vec<AlterationKind> {
    report.altered.kept().iter().map(|found| found.kind).collect()
}

/// Tells whether an alteration names the record, or an entry that holds it.
pub(crate) fn names(report: &Report, (stream, seq): (i64, i64)) -> bool {
    report.altered.kept().iter().any(|found| {
        found.place.writer_id.is_some_and(|writer_id| writer_id.get() == stream)
            && found.place.first_seq <= Some(seq)
            && Some(seq) <= found.place.last_seq
    })
}

/// Returns every column of a record that can be edited where it stands, and another value for each, as SQL.
fn edits<F: Owned>(seed: u32) -> Vec<(String, String)> {
    let mut edits = Vec::new();
    for field in Record::FIELDS {
        // It says which record this is: the facts below move records.
        if field.name() == "seq" {
            continue;
        }
        let value = F::other(field, seed);
        edits.extend(value.map(|value| (field.name().to_owned(), value)));
        if field.group() != Group::Sealed {
            edits.push((field.name().to_owned(), "NULL".to_owned()));
        }
    }
    for group in Group::ERASABLE {
        for (what, size) in [("salt", 16), ("commitment", 32)] {
            let column = format!("{}_{what}", group.as_str());
            edits.push((column.clone(), F::bytes(&hex(&vec![seed as u8; size]))));
            // No commitment stands there as long as the group does.
            if what == "salt" {
                edits.push((column, "NULL".to_owned()));
            }
        }
    }
    edits
}

pub(crate) async fn an_edited_column_is_found_wherever_it_is<F: Owned>() {
    let mut log = Log::<F>::new("38 any column").await;
    let mut edited = 0;
    for seed in 0..u32::try_from(times(1, 60)).unwrap() {
        let mut edits = edits::<F>(seed);
        while !edits.is_empty() {
            // One record of each entry at a time, so that each is known by its own entry.
            let mut made = Vec::new();
            for entry in 0..8 {
                if edits.is_empty() {
                    break;
                }
                let (column, value) = edits.swap_remove(log.random.random_range(0..edits.len()));
                let (stream, first) = (entry % 2 + 1, entry / 2 * 4);
                let place = (stream, first + log.random.random_range(1..=4));
                let sql = format!(
                    "UPDATE {} SET {column} = {value} WHERE writer_id = {} AND seq = {}",
                    F::RECORDS,
                    place.0,
                    place.1
                );
                made.push((place, sql));
            }
            let all: Vec<_> = made.iter().map(|(_, sql)| sql.as_str()).collect();
            let report = log.after(&all.join("; "), false).await;
            for (place, sql) in &made {
                assert!(names(&report, *place), "{sql}: {report:#?}");
            }
            assert_eq!(kinds(&report), vec![AlterationKind::RecordEdited; made.len()]);
            edited += made.len();
        }
    }
    assert_eq!(log.verify(true).await.verdict(), Verdict::Unaltered);
    found::<F>("38 any column edited", edited);
}

/// Beyond what JSON holds exactly nothing is written: what stands there stands for no other number.
pub(crate) async fn a_number_that_no_record_has_is_found<F: Owned>() {
    const MOST: i64 = (1 << 53) - 1;
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut record = full(1, 1);
    record.duration_us = Some(i64::MAX);
    record.seal(salts(1));
    append(&store, &[record]).await.unwrap();
    let verify = async || Audit::new(&store).run(|_progress| {}).await.unwrap();
    assert_eq!(verify().await.verdict(), Verdict::Unaltered);
    for number in [MOST - 1, MOST + 1, i64::MAX, -MOST, -MOST - 1, i64::MIN] {
        fixture.force(&format!("UPDATE {} SET duration_us = {number}", F::RECORDS)).await;
        let report = verify().await;
        assert_eq!(report.verdict(), Verdict::Altered, "{number}: {report:#?}");
    }
    fixture.force(&format!("UPDATE {} SET duration_us = {MOST}", F::RECORDS)).await;
    assert_eq!(verify().await.verdict(), Verdict::Unaltered);
}

pub(crate) async fn rows_that_are_gone_moved_or_added_are_found<F: Owned>() {
    let mut log = Log::<F>::new("39 rows").await;
    let records = F::RECORDS;
    for _ in 0..places() {
        let (stream, seq) = log.place();
        let at = format!("writer_id = {stream} AND seq = {seq}");
        let report = log.after(&format!("DELETE FROM {records} WHERE {at}"), false).await;
        assert_eq!(kinds(&report), [AlterationKind::RowMissing], "{at}");
        assert!(names(&report, (stream, seq)));

        let added = format!("UPDATE {records} SET writer_id = 77, seq = 1 WHERE {at}");
        let report = log.after(&added, false).await;
        assert_eq!(kinds(&report), [AlterationKind::RowMissing, AlterationKind::RowExtra], "{at}");
        let behind = format!("UPDATE {records} SET seq = {} WHERE {at}", 17 + seq);
        let report = log.after(&behind, false).await;
        assert_eq!(kinds(&report), [AlterationKind::RowMissing, AlterationKind::RowExtra], "{at}");

        let other = seq % 16 + 1;
        let swap = format!(
            "UPDATE {records} SET seq = 99 WHERE {at}; \
             UPDATE {records} SET seq = {seq} WHERE writer_id = {stream} AND seq = {other}; \
             UPDATE {records} SET seq = {other} WHERE writer_id = {stream} AND seq = 99"
        );
        let report = log.after(&swap, false).await;
        assert_eq!(report.verdict(), Verdict::Altered, "{swap}");
        assert!(names(&report, (stream, seq)) && names(&report, (stream, other)), "{report:#?}");
        if (seq - 1) / 4 == (other - 1) / 4 {
            assert_eq!(kinds(&report), [AlterationKind::RowsSwapped]);
        }
    }
    found::<F>("39 row deleted, added, behind the end, swapped", places() * 4);
}

/// A row twice, and the root of its entry over both: the number is there twice all the same.
pub(crate) async fn rows_that_are_doubled_are_found_in_the_root_too<F: Owned>() {
    let mut log = Log::<F>::new("39 doubled").await;
    let (records, ledger) = (F::RECORDS, F::LEDGER);
    log.fixture.force(F::DOUBLES).await;
    let mut canonical = Canonical::new();
    for _ in 0..places() {
        let (stream, seq) = log.place();
        let double = format!(
            "INSERT INTO {records} SELECT * FROM saved_records WHERE writer_id = {stream} AND seq = {seq}"
        );
        let entry = log.store.entry_of(WriterId::new(stream), seq).await.unwrap().unwrap();
        let (first, last) = (entry.new.first_seq, entry.new.last_seq);
        let rows = log.store.record_rows(WriterId::new(stream), first, last, 10).await.unwrap();
        let mut leaves = Vec::new();
        for row in rows {
            let leaf = leaf_hash(canonical.encode(&row.record().unwrap()));
            leaves.extend(std::iter::repeat_n(leaf, if row.seq == seq { 2 } else { 1 }));
        }
        let root = F::bytes(&hex(&root(&mut leaves)));
        let position = entry.position;
        let in_root = format!(
            "{double}; UPDATE {ledger} SET batch_root = {root} WHERE position = {position}"
        );
        for (sql, covered) in [(double, false), (in_root, true)] {
            let report = log.after(&sql, false).await;
            assert!(kinds(&report).contains(&AlterationKind::RowDuplicated), "{sql}: {report:#?}");
            assert!(names(&report, (stream, seq)), "{sql}: {report:#?}");
            // The entry is not the one whose head was signed.
            let rewritten = kinds(&report).contains(&AlterationKind::HistoryRewritten);
            assert_eq!(rewritten, covered, "{sql}: {report:#?}");
        }
    }
    found::<F>("39 row doubled, in the root too", places() * 2);
}

pub(crate) async fn an_edited_ledger_is_found<F: Owned>() {
    let mut log = Log::<F>::new("40 ledger").await;
    let (ledger, checkpoints) = (F::LEDGER, F::CHECKPOINTS);
    let rounds = times(2, 60);
    for _ in 0..rounds {
        let position = log.random.random_range(1..=8_i64);
        let count = log.random.random_range(1..=5);
        for change in [
            format!("epoch = epoch + {count}"),
            format!("writer_id = writer_id + {}", 70 + count),
            format!(
                "first_seq = first_seq + {}, last_seq = last_seq + {}",
                100 * count,
                100 * count
            ),
            "class = 'other'".to_owned(),
            "month = '2001-01'".to_owned(),
            "first_at = last_at, last_at = first_at".to_owned(),
            "committed_at = first_at".to_owned(),
            format!("position = position + {}", 100 * count),
            format!("batch_root = {}", F::bytes(&hex(&[u8::try_from(count).unwrap(); 32]))),
        ] {
            let sql = format!("UPDATE {ledger} SET {change} WHERE position = {position}");
            let report = log.after(&sql, false).await;
            assert_eq!(report.verdict(), Verdict::Altered, "{sql}: {report:#?}");
        }
        let sql = format!("DELETE FROM {ledger} WHERE position = {position}");
        let report = log.after(&sql, false).await;
        assert_eq!(report.verdict(), Verdict::Altered, "{sql}");
        let number = position % 2 + 1;
        for change in [
            "note = replace(note, 'time 20', 'time 19')".to_owned(),
            format!("size = size + {count}"),
            // Of as many whole subtrees.
            "size = 2 * size".to_owned(),
            format!("frontier = {}", F::bytes(&hex(&[7; 32]))),
            format!("number = number + {}", 10 * count),
        ] {
            let sql = format!("UPDATE {checkpoints} SET {change} WHERE number = {number}");
            let report = log.after(&sql, false).await;
            let kinds = kinds(&report);
            let are_heads = kinds.iter().all(|kind| *kind == AlterationKind::HeadForged);
            assert!(are_heads && !kinds.is_empty(), "{sql}: {report:#?}");
        }
        // The last one may have been cut off with what it covers, which only an anchor tells.
        let sql = format!("DELETE FROM {checkpoints} WHERE number = 1");
        let report = log.after(&sql, false).await;
        assert_eq!(kinds(&report), [AlterationKind::HeadForged], "{sql}: {report:#?}");
    }
    found::<F>("40 entry, root or head edited or deleted", rounds * 16);
}

pub(crate) async fn an_end_that_was_cut_off_is_found_with_an_anchor_alone<F: Owned>() {
    let mut log = Log::<F>::new("41 end").await;
    let (records, ledger, checkpoints) = (F::RECORDS, F::LEDGER, F::CHECKPOINTS);
    for _ in 0..places() {
        let keep = log.random.random_range(1..=7);
        let mut sql = String::new();
        for (stream, entries) in [(1, (keep + 1) / 2), (2, keep / 2)] {
            let last = entries * 4;
            write!(sql, "DELETE FROM {records} WHERE writer_id = {stream} AND seq > {last};")
                .unwrap();
        }
        write!(
            sql,
            "DELETE FROM {ledger} WHERE position > {keep}; \
             DELETE FROM {checkpoints} WHERE size > {keep}"
        )
        .unwrap();
        let without = log.after(&sql, false).await;
        // What is left was written so: nothing inside the database can tell.
        assert_eq!(without.verdict(), as_signed(&without), "{keep}: {without:#?}");
        let with = log.after(&sql, true).await;
        assert_eq!(kinds(&with), [AlterationKind::EntryMissing], "{keep}");
        assert_eq!(with.altered.kept()[0].place.position, Some(keep + 1));
    }
    found::<F>("41 end cut off, with an anchor", places());
}

/// Fault 43: the files of an earlier day are put back, and gone on from. An anchor finds it, unless the log says so
/// itself; then it is what it is, a rollback.
pub(crate) async fn a_backup_that_is_put_back_is_found_with_an_anchor_or_told_of<F: Owned>() {
    let mut log = Log::<F>::new("43 backup").await;
    let (records, ledger, checkpoints) = (F::RECORDS, F::LEDGER, F::CHECKPOINTS);
    for turn in 0..places() {
        let keep: i64 = log.random.random_range(1..=7);
        let last = [(keep + 1) / 2 * 4, keep / 2 * 4];
        let back = format!(
            "DELETE FROM {records} WHERE writer_id NOT IN (1, 2) \
                 OR (writer_id = 1 AND seq > {}) OR (writer_id = 2 AND seq > {}); \
             DELETE FROM {ledger} WHERE position > {keep}; \
             DELETE FROM {checkpoints} WHERE size > {keep}",
            last[0], last[1]
        );
        let is_told_of = turn % 2 == 0;
        log.fixture.force(&back).await;
        log.fixture.mend().await;
        let stream = log.random.random_range(1..=2_usize);
        let first = last[stream - 1] + 1;
        let mut more: Vec<_> = (first..first + 3).map(|seq| ordinary(stream as i64, seq)).collect();
        for record in &mut more {
            record.description.set("another history");
            record.seal(salts(record.seq));
        }
        if is_told_of {
            let told = &mut more[0];
            (told.category, told.origin) = (Category::System, Origin::System);
            told.action.set("restored");
            told.metadata = Json::from_stored("{\"count\":4}".to_owned());
            told.seal(salts(first));
        }
        let batch = Batch::new(&more).unwrap();
        let batch = if is_told_of { batch.after_loss(1) } else { batch };
        log.store.connect().await.unwrap().append(batch).await.unwrap();
        let (without, with) = (log.verify(false).await, log.verify(true).await);
        let expected = if is_told_of {
            (Verdict::Incomplete, Verdict::Incomplete)
        } else {
            (as_signed(&without), Verdict::Altered)
        };
        assert_eq!((without.verdict(), with.verdict()), expected, "{keep}: {with:#?}");
        if !is_told_of {
            let place = with.altered.kept()[0].place;
            // The heads that agree end at the fourth entry, or there is none of them left.
            assert!(place.position <= Some(keep + 2), "{keep}: {with:#?}");
        }
        log.after("", false).await;
    }
    assert_eq!(log.verify(true).await.verdict(), Verdict::Unaltered);
    found::<F>("43 backup put back, with an anchor or told of", places());
}

pub(crate) async fn salts_and_groups_that_changed_their_records_are_found<F: Owned>() {
    let mut log = Log::<F>::new("45 salts").await;
    let (records, mut changed) = (F::RECORDS, 0);
    for _ in 0..places() {
        let (one, other) = (log.place(), log.place());
        // Records of one number have the same salts here, and the same in their groups, whatever their stream.
        if one.1 == other.1 {
            continue;
        }
        let group = *log.one_of(&Group::ERASABLE);
        let salt = format!("{}_salt", group.as_str());
        let fields = Record::FIELDS.iter().filter(|field| field.group() == group);
        let columns: Vec<_> = fields.map(|field| field.name().to_owned()).collect();
        for columns in [vec![salt.clone()], [columns, vec![salt]].concat()] {
            let set: Vec<_> = columns
                .iter()
                .map(|column| {
                    format!(
                        "{column} = (SELECT {column} FROM saved_records \
                         WHERE writer_id = {} AND seq = {})",
                        other.0, other.1
                    )
                })
                .collect();
            let sql = format!(
                "UPDATE {records} SET {} WHERE writer_id = {} AND seq = {}",
                set.join(", "),
                one.0,
                one.1
            );
            let report = log.after(&sql, false).await;
            assert_eq!(kinds(&report), [AlterationKind::RecordEdited], "{sql}");
            assert!(names(&report, one));
            changed += 1;
        }
    }
    found::<F>("45 salts or groups of another record", changed);
}

pub(crate) async fn a_group_that_is_nulled_is_erased_with_its_record_and_found_without<F: Owned>() {
    let mut log = Log::<F>::new("44 groups").await;
    let mut canonical = Canonical::new();
    for _ in 0..places() {
        let (stream, seq) = log.place();
        let group = *log.one_of(&Group::ERASABLE);
        let row =
            log.store.record_rows(WriterId::new(stream), seq, seq, 1).await.unwrap().remove(0);
        let record = row.record().unwrap();
        let commitment = hex(&canonical.commitment(&record, group).unwrap());
        let fields = Record::FIELDS.iter().filter(|field| field.group() == group);
        let emptied: String = fields.map(|field| format!("{} = NULL, ", field.name())).collect();
        let (records, name) = (F::RECORDS, group.as_str());
        // The very change that an erasure makes.
        let sql = format!(
            "UPDATE {records} SET {emptied} {name}_salt = NULL, {name}_commitment = {} \
             WHERE writer_id = {stream} AND seq = {seq}",
            F::bytes(&commitment)
        );
        let report = log.after(&sql, false).await;
        assert_eq!(kinds(&report), [AlterationKind::ErasedUnrecorded], "{sql}: {report:#?}");
        assert!(names(&report, (stream, seq)));
    }
    found::<F>("44 group erased without a record", places());
    // The same change of the same records, by the front door: in a database that nobody forced open.
    let fixture = F::new().await;
    let store = fixture.open().await;
    let records: Vec<_> = (1..=16).map(|seq| full(1, seq)).collect();
    append(&store, &records).await.unwrap();
    let pipeline = erasing::pipeline::<F>(&store, &Keys::ephemeral()).await;
    let somebody = ErasureRequest::new("actor_id 1", "a court's order").groups(Groups::ALL).alone();
    let all = (2..=16).fold(somebody, |all, seq| all.also(format!("actor_id {seq}")));
    let certificate = pipeline.eraser().unwrap().erase(&all, |_step| {}).await.unwrap();
    assert_eq!(certificate.records, 16);
    pipeline.shutdown(std::time::Duration::from_secs(60)).await;
    let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
    let groups = certificate.groups.values().sum();
    assert_eq!((report.verdict(), report.erased), (Verdict::Unaltered, groups), "{report:#?}");
    // Without the record that tells of it, it is what it was before.
    let told = format!("UPDATE {} SET metadata = NULL WHERE action = 'erased'", F::RECORDS);
    fixture.force(&told).await;
    let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
    assert!(kinds(&report).contains(&AlterationKind::ErasedUnrecorded), "{report:#?}");
}

/// Whoever may only record can excuse nothing: neither with what he did, nor with what looks like the log's own.
pub(crate) async fn only_the_log_itself_tells_of_an_erasure<F: Owned>() {
    for (category, origin, expected) in [
        (Category::System, Origin::System, Verdict::Unaltered),
        (Category::System, Origin::Manual, Verdict::Altered),
        (Category::Activity, Origin::System, Verdict::Altered),
    ] {
        let fixture = F::new().await;
        let store = fixture.open().await;
        let record = full(1, 1);
        append(&store, std::slice::from_ref(&record)).await.unwrap();
        let mut told = ordinary(2, 1);
        (told.category, told.origin) = (category, origin);
        told.action.set("erased");
        told.metadata = Json::from_stored(r#"{"records":{"1":"1:i"}}"#.to_owned());
        told.seal(salts(1));
        append(&store, &[told]).await.unwrap();
        let commitment = Canonical::new().commitment(&record, Group::Identity).unwrap();
        let fields = Record::FIELDS.iter().filter(|field| field.group() == Group::Identity);
        let emptied: String = fields.map(|field| format!("{} = NULL, ", field.name())).collect();
        let erased = format!(
            "UPDATE {} SET {emptied} identity_salt = NULL, identity_commitment = {} WHERE writer_id = 1",
            F::RECORDS,
            F::bytes(&hex(&commitment))
        );
        fixture.force(&erased).await;
        let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
        assert_eq!(report.verdict(), expected, "{category:?} {origin:?}: {report:#?}");
    }
}

/// Fault 48: keys take turns at any moment, with an overlap or without. Each head counts that was signed in its key's
/// time, and none other.
pub(crate) async fn keys_take_turns_and_sign_in_their_time_alone<F: Owned>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut random = StdRng::seed_from_u64(Chance::new("48 keys").below(usize::MAX) as u64);
    append(&store, &[full(1, 1)]).await.unwrap();
    let origin = origin_of(&store.entries(0, 1).await.unwrap().remove(0));
    let at = |second: i64| Timestamp::from_micros(1_790_000_000_000_000 + second * 1_000_000);
    let key = |seed| NoteSigner::new(&origin, &[seed; 32]).unwrap().key().to_string();
    for _ in 0..places() {
        // Of three keys each begins before, or just when, the one before it ends.
        let (second, third) = (random.random_range(10..20_i64), random.random_range(30..40_i64));
        let ends = [
            second + random.random_range(0..5_i64),
            third + random.random_range(0..5_i64),
            i64::from(u16::MAX),
        ];
        let begins = [0, second, third];
        let mut file = String::new();
        for (index, (from, until)) in begins.iter().zip(&ends).enumerate() {
            let seed = index as u8 + 1;
            writeln!(file, "{} from={} until={}", key(seed), at(*from), at(*until)).unwrap();
        }
        let trust: Trust = file.parse().unwrap();
        let moment = random.random_range(0..60_i64);
        for seed in 1..=3_u8 {
            fixture.force(&format!("DELETE FROM {}", F::CHECKPOINTS)).await;
            fixture.mend().await;
            make_checkpoint(&store, &[[seed; 32]], at(moment)).await.unwrap().unwrap();
            let index = usize::from(seed) - 1;
            let may = begins[index] <= moment && moment < ends[index];
            let audit = Audit::new(&store).trust(trust.clone());
            let report = audit.run(|_progress| {}).await.unwrap();
            let expected = if may { vec![] } else { vec![AlterationKind::HeadForged] };
            assert_eq!(kinds(&report), expected, "{file} {seed} {moment}: {report:#?}");
            assert_eq!(report.heads, u64::from(may));
        }
    }
    found::<F>("48 heads signed before, in and after a key's time", places() * 3);
}

/// Fault 47: one bit of a proof, anywhere in it, and it proves nothing.
pub(crate) async fn a_proof_with_any_bit_changed_proves_nothing<F: Owned>() {
    let log = Log::<F>::new("47 proofs").await;
    let key = NoteSigner::new(&origin_of(&log.store.entries(0, 1).await.unwrap()[0]), &SEED);
    let key = key.unwrap().key().clone();
    let holds = |proof: &Flat| -> bool {
        let note = std::str::from_utf8(&proof.note).ok().and_then(|note| note.parse().ok());
        let Some(head) = note.and_then(|note| Trust::in_key(key.clone()).head(&note).ok()) else {
            return false;
        };
        let (index, count) = proof.record;
        let entry = root_by_inclusion(&leaf_hash(&proof.bytes), index, count, &hashes(&proof.path));
        let within = hex(&entry.unwrap_or_default());
        let named = format!("\"batch_root\":\"{within}\"");
        let leaf = leaf_hash(&proof.entry);
        let root = root_by_inclusion(&leaf, proof.position, head.size, &hashes(&proof.above));
        std::str::from_utf8(&proof.entry).is_ok_and(|entry| entry.contains(&named))
            && root == Some(head.root)
    };
    let mut proofs = Vec::new();
    for stream in 1..=2 {
        for row in log.store.record_rows(WriterId::new(stream), 1, 16, 16).await.unwrap() {
            let proof = prove(&log.store, &row.record().unwrap()).await.unwrap().unwrap();
            let flat = Flat {
                bytes: proof.record,
                record: (proof.record_index, proof.entry.new.count().unsigned_abs()),
                path: proof.record_path.concat(),
                entry: proof.entry.canonical_bytes(),
                position: proof.entry.position.unsigned_abs() - 1,
                above: proof.entry_path.concat(),
                note: proof.checkpoint.note.into_bytes(),
            };
            assert!(holds(&flat), "{flat:?}");
            proofs.push(flat);
        }
    }
    let mut random = log.random;
    let flips = times(300, 10_000);
    for _ in 0..flips {
        let mut proof = proofs[random.random_range(0..proofs.len())].clone();
        let number = 1 << random.random_range(0..4_u32);
        let part = random.random_range(0..8);
        let bytes = match part {
            0 => &mut proof.bytes,
            1 => &mut proof.path,
            2 => &mut proof.entry,
            3 => &mut proof.above,
            4 | 5 => &mut proof.note,
            6 => {
                proof.record.0 ^= number;
                assert!(!holds(&proof), "{proof:?}");
                continue;
            }
            _ => {
                proof.position ^= number;
                assert!(!holds(&proof), "{proof:?}");
                continue;
            }
        };
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        assert!(!holds(&proof), "byte {at} of part {part}: {proof:?}");
    }
    found::<F>("47 one bit of a proof or its note", flips);
}

/// A proof as it is handed on.
#[derive(Debug, Clone)]
struct Flat {
    bytes: Vec<u8>,
    /// The index of the record in its entry, and how many there are.
    record: (u64, u64),
    path: Vec<u8>,
    entry: Vec<u8>,
    position: u64,
    above: Vec<u8>,
    note: Vec<u8>,
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.chunks_exact(32).map(|hash| hash.try_into().unwrap()).collect()
}

#[cfg(feature = "sqlite")]
pub(crate) async fn what_comes_behind_a_verification_follows_it<F: Owned>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let ledger = F::LEDGER;
    for seq in 1..=2 {
        append(&store, &[full(1, seq)]).await.unwrap();
    }
    // Its epoch is told by nobody, which is no alteration.
    fixture.force(&format!("UPDATE {ledger} SET epoch = 2")).await;
    let (report, state) =
        Audit::new(&store).run_on(Timestamp::default(), |_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Incomplete, "{report:#?}");
    append(&store, &[full(2, 1)]).await.unwrap();
    fixture.force(&format!("UPDATE {ledger} SET epoch = 2 WHERE position = 3")).await;
    let since = async || {
        let audit = Audit::new(&store).since(state.clone().unwrap());
        audit.run(|_progress| {}).await.unwrap()
    };
    let sound = since().await;
    assert_eq!((sound.verdict(), sound.entries), (Verdict::Unaltered, 1), "{sound:#?}");
    fixture.force(&format!("CREATE TABLE saved_last AS SELECT * FROM {ledger}")).await;
    for (change, back) in [
        ("epoch = 1", "epoch = 2"),
        (
            "committed_at = (SELECT committed_at FROM saved_last WHERE position = 1)",
            "committed_at = (SELECT committed_at FROM saved_last WHERE position = 3)",
        ),
    ] {
        fixture.force(&format!("UPDATE {ledger} SET {change} WHERE position = 3")).await;
        let report = since().await;
        assert_eq!(kinds(&report), [AlterationKind::EntryEdited], "{change}: {report:#?}");
        fixture.force(&format!("UPDATE {ledger} SET {back} WHERE position = 3")).await;
        assert_eq!(since().await.verdict(), Verdict::Unaltered);
    }
}

/// Heads from outside that cover less than what was verified were compared when it was; that of its end is, once more.
#[cfg(feature = "sqlite")]
pub(crate) async fn heads_from_before_a_verification_say_nothing_against_it<F: Owned>() {
    let log = Log::<F>::new("what came since").await;
    let first = log.store.checkpoints(0, 1).await.unwrap().remove(0).note;
    let audit = || {
        Audit::new(&log.store)
            .trust(log.trust.clone())
            .anchored([first.clone(), log.anchor.clone()])
    };
    let begun = audit().run_on(Timestamp::default(), |_progress| {});
    let (report, state) = begun.await.unwrap();
    assert_eq!((report.verdict(), report.heads), (Verdict::Unaltered, 4), "{report:#?}");
    let since = audit().since(state.unwrap()).run(|_progress| {}).await.unwrap();
    assert_eq!((since.verdict(), since.heads), (Verdict::Unaltered, 1), "{since:#?}");
}

/// The roots that are kept for it are believed only as far as they lead to the root in the ledger.
pub(crate) async fn a_proof_in_a_large_entry_reads_few_of_its_records<F: Owned>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let records: Vec<_> = (1..=200).map(|seq| ordinary(1, seq)).collect();
    append(&store, &records).await.unwrap();
    append(&store, &[ordinary(2, 1)]).await.unwrap();
    make_checkpoint(&store, &[SEED], Timestamp::default()).await.unwrap().unwrap();
    let kept = async |position: i64| {
        let entry = store.entries(position - 1, 1).await.unwrap().remove(0);
        store.folded_roots(&entry).await.unwrap().len()
    };
    assert_eq!((kept(1).await, kept(2).await), (4, 0), "of 200 records, and of one");
    let leaves: Vec<_> = {
        let mut canonical = Canonical::new();
        records.iter().map(|record| leaf_hash(canonical.encode(record))).collect()
    };
    let prove = async |seq: i64| {
        let record = &records[usize::try_from(seq - 1).unwrap()];
        prove(&store, record).await.map(|proof| proof.unwrap().record_path)
    };
    let all_are_proved = async || {
        for seq in [1, 64, 65, 128, 129, 192, 193, 200] {
            let expected = inclusion_proof(&leaves, u64::try_from(seq - 1).unwrap());
            assert_eq!(Some(prove(seq).await.unwrap()), expected, "{seq}");
        }
    };
    all_are_proved().await;

    // What is beside it in its entry is read no further than to the next root.
    let (logged, folded) = (F::RECORDS, F::FOLDED);
    let alter = format!("UPDATE {logged} SET status = 599 WHERE seq = 70 AND writer_id = 1");
    fixture.force(&alter).await;
    assert!(prove(1).await.is_ok() && prove(200).await.is_ok());
    assert!(prove(65).await.is_err() && prove(128).await.is_err());
    let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
    assert_eq!(kinds(&report), [AlterationKind::RecordEdited], "{report:#?}");
    fixture.force(&alter.replace("599", "NULL")).await;

    // Whatever is made of the roots: the records speak for themselves, and against those that are not theirs.
    for roots in [F::bytes(&"ab".repeat(128)), F::bytes(&"ab".repeat(96)), F::bytes("")] {
        fixture.force(&format!("UPDATE {folded} SET roots = {roots}")).await;
        all_are_proved().await;
    }
    fixture.force(&alter).await;
    assert!(prove(1).await.is_err(), "all of them are read");
    fixture.force(&alter.replace("599", "NULL")).await;
    fixture.force(&format!("DELETE FROM {folded}")).await;
    all_are_proved().await;
    let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
}

/// What does not come to a head that was signed is not proved, and no head is made of it.
pub(crate) async fn a_ledger_that_was_altered_gets_no_proof_and_no_head<F: Owned>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (ledger, heads) = (F::LEDGER, F::CHECKPOINTS);
    let records: Vec<_> = (1..=6).map(|seq| ordinary(1, seq)).collect();
    for record in &records[..3] {
        append(&store, std::slice::from_ref(record)).await.unwrap();
    }
    let at = |micros: i64| Timestamp::from_micros(1_790_000_000_000_000 + micros);
    let sign = async |micros: i64| make_checkpoint(&store, &[SEED], at(micros)).await;
    sign(1).await.unwrap().unwrap();
    for record in &records[3..] {
        append(&store, std::slice::from_ref(record)).await.unwrap();
    }
    let proved = async |seq: usize| prove(&store, &records[seq - 1]).await;
    for seq in 1..=3 {
        let proof = proved(seq).await.unwrap().unwrap();
        assert_eq!((proof.entry.position, proof.checkpoint.size), (seq as i64, 3));
        assert!(proved(seq + 3).await.unwrap().is_none(), "no head covers it yet");
    }
    let damaged = |error: StoreError| {
        assert_eq!(error.kind(), StoreErrorKind::Data, "{error}");
        assert!(error.to_string().contains("`activity verify` says"), "{error}");
    };
    // An entry beside the one that is proved, and the one itself.
    for position in 1..=3 {
        fixture.force(&format!("UPDATE {ledger} SET epoch = 7 WHERE position = {position}")).await;
        for seq in 1..=3 {
            // The root of the first two was kept with the head, and the third is proved without reading them.
            match (seq < 3) == (position < 3) {
                true => damaged(proved(seq).await.unwrap_err()),
                false => assert!(proved(seq).await.unwrap().is_some(), "{seq}, {position}"),
            }
        }
        fixture.force(&format!("UPDATE {ledger} SET epoch = 1 WHERE position = {position}")).await;
    }
    // A position that no entry has.
    for other in ["-9223372036854775807 - 1", "-1", "0"] {
        fixture.force(&format!("UPDATE {ledger} SET position = {other} WHERE position = 3")).await;
        damaged(proved(3).await.unwrap_err());
        fixture.force(&format!("UPDATE {ledger} SET position = 3 WHERE position = {other}")).await;
    }
    // Behind the last head: an entry that is missing, and one that nobody can read.
    fixture.force(&format!("UPDATE {ledger} SET position = 9 WHERE position = 5")).await;
    damaged(sign(2).await.unwrap_err());
    fixture.force(&format!("UPDATE {ledger} SET position = 5 WHERE position = 9")).await;
    fixture.force(&format!("UPDATE {ledger} SET month = 'never' WHERE position = 5")).await;
    damaged(sign(2).await.unwrap_err());
    fixture.force(&format!("UPDATE {ledger} SET month = '2026-05' WHERE position = 5")).await;
    // From what it does not come to, no head goes on.
    let other = F::bytes(&"ab".repeat(64));
    fixture.force(&format!("CREATE TABLE saved_heads AS SELECT * FROM {heads}")).await;
    for change in [
        format!("frontier = {other}"),
        "note = 'none'".to_owned(),
        "size = 2".to_owned(),
        // Of as many whole subtrees: a head of it would go on behind entries that it never read.
        "size = 5".to_owned(),
    ] {
        fixture.force(&format!("UPDATE {heads} SET {change}")).await;
        damaged(sign(2).await.unwrap_err());
        damaged(proved(1).await.unwrap_err());
        fixture.force(&format!("DELETE FROM {heads}")).await;
        fixture.force(&format!("INSERT INTO {heads} SELECT * FROM saved_heads")).await;
    }
    fixture.mend().await;
    let head = sign(2).await.unwrap().unwrap();
    assert_eq!((head.number, head.size), (2, 6));
    for seq in 1..=6 {
        assert!(proved(seq).await.unwrap().is_some());
    }
    // What no entry accounts for, before or behind those of its stream or in one that nobody wrote, is not there.
    for (stream, seq) in [(1, 0), (1, 7), (2, 1)] {
        let other = ordinary(stream, seq);
        assert!(prove(&store, &other).await.unwrap().is_none(), "{stream}, {seq}");
        let accounted_for = store.entry_of(WriterId::new(stream), seq).await.unwrap();
        assert_eq!(accounted_for, None, "{stream}, {seq}");
    }
}

/// Another word than the one that stands there.
pub(crate) fn other_word(field: &Field) -> String {
    let [one, other, ..] = words(field) else { return "'x'".to_owned() };
    format!("CASE WHEN {name} = '{one}' THEN '{other}' ELSE '{one}' END", name = field.name())
}
