//! The owner of the database changes what is in it, past every trigger, at random places: he is found out, with
//! place and kind. (Faults 38 to 41, 44 and 45; `FAULTS=full` tries sixty places each.)

use std::{fmt::Write as _, future::Future};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tower_activity::{
    Keys,
    ledger::{
        NoteSigner, Trust, origin_of,
        verify::{AlterationKind, Report, Verdict},
    },
    pipeline::ErasureRequest,
    record::{Canonical, Category, Field, Group, Groups, Json, Origin, Record, WriterId},
    store::{Audit, Evidence, Read as _, make_checkpoint},
    time::Timestamp,
};

use crate::{
    counts::hex,
    erasing,
    records::{full, ordinary, salts, words},
    suite::{Fixture, append},
};

/// A database whose owner one is.
pub(crate) trait Owned: Fixture {
    const RECORDS: &str;
    const LEDGER: &str;
    const CHECKPOINTS: &str;
    /// The columns of the ledger that can be written.
    const LEDGER_COLUMNS: &str;

    /// Runs statements, and no trigger holds them up.
    fn force(&self, sql: &str) -> impl Future<Output = ()> + Send;

    /// Returns bytes in hex as SQL.
    fn bytes(hex: &str) -> String;

    /// Returns another value for a column, as SQL.
    fn other(field: &Field, seed: u32) -> Option<String>;
}

const SEED: [u8; 32] = [9; 32];

/// How many places are tried.
fn places() -> u32 {
    if std::env::var_os("FAULTS").is_some_and(|value| value == "full") { 60 } else { 4 }
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
    async fn new(seed: u64) -> Self {
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

fn kinds(report: &Report) -> Vec<AlterationKind> {
    report.altered.kept().iter().map(|found| found.kind).collect()
}

/// Tells whether an alteration names the record, or an entry that holds it.
fn names(report: &Report, (stream, seq): (i64, i64)) -> bool {
    report.altered.kept().iter().any(|found| {
        found.place.writer_id.is_some_and(|writer_id| writer_id.get() == stream)
            && found.place.first_seq <= Some(seq)
            && Some(seq) <= found.place.last_seq
    })
}

pub(crate) async fn an_edited_column_is_found_wherever_it_is<F: Owned>() {
    let mut log = Log::<F>::new(38).await;
    for seed in 0..places() * 4 {
        let place = log.place();
        let field = *log.one_of(Record::FIELDS);
        let emptied = field.group() != Group::Sealed && log.random.random_bool(0.3);
        if field.name() == "seq" {
            // It says which record this is: the facts below move records.
            continue;
        }
        let value = match F::other(&field, seed) {
            _ if emptied => "NULL".to_owned(),
            Some(value) => value,
            None => continue,
        };
        let sql = format!(
            "UPDATE {} SET {} = {value} WHERE writer_id = {} AND seq = {}",
            F::RECORDS,
            field.name(),
            place.0,
            place.1
        );
        let report = log.after(&sql, false).await;
        assert_eq!(report.verdict(), Verdict::Altered, "{sql}");
        assert!(names(&report, place), "{sql}: {report:#?}");
    }
    assert_eq!(log.verify(true).await.verdict(), Verdict::Unaltered);
}

pub(crate) async fn rows_that_are_gone_moved_or_added_are_found<F: Owned>() {
    let mut log = Log::<F>::new(39).await;
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
}

pub(crate) async fn an_edited_ledger_is_found<F: Owned>() {
    let mut log = Log::<F>::new(40).await;
    let (ledger, checkpoints) = (F::LEDGER, F::CHECKPOINTS);
    for _ in 0..places() {
        let position = log.random.random_range(1..=8);
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
        ] {
            let sql = format!("UPDATE {ledger} SET {change} WHERE position = {position}");
            let report = log.after(&sql, false).await;
            assert_eq!(report.verdict(), Verdict::Altered, "{sql}: {report:#?}");
        }
        let sql = format!("DELETE FROM {ledger} WHERE position = {position}");
        let report = log.after(&sql, false).await;
        assert_eq!(report.verdict(), Verdict::Altered, "{sql}");
        let sql = format!(
            "UPDATE {checkpoints} SET note = replace(note, 'time 20', 'time 19') WHERE number = {}",
            position % 2 + 1
        );
        let report = log.after(&sql, false).await;
        assert_eq!(kinds(&report), [AlterationKind::HeadForged], "{sql}");
    }
}

pub(crate) async fn an_end_that_was_cut_off_is_found_with_an_anchor_alone<F: Owned>() {
    let mut log = Log::<F>::new(41).await;
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
        assert_eq!(without.verdict(), Verdict::Unaltered, "{keep}: {without:#?}");
        let with = log.after(&sql, true).await;
        assert_eq!(kinds(&with), [AlterationKind::EntryMissing], "{keep}");
        assert_eq!(with.altered.kept()[0].place.position, Some(keep + 1));
    }
}

pub(crate) async fn salts_and_groups_that_changed_their_records_are_found<F: Owned>() {
    let mut log = Log::<F>::new(45).await;
    let records = F::RECORDS;
    for _ in 0..places() {
        let (one, other) = (log.place(), log.place());
        if one == other {
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
        }
    }
}

pub(crate) async fn a_group_that_is_nulled_is_erased_with_its_record_and_found_without<F: Owned>() {
    let mut log = Log::<F>::new(44).await;
    let mut canonical = Canonical::new();
    for _ in 0..places() {
        let (stream, seq) = log.place();
        let group = *log.one_of(&Group::ERASABLE);
        let row =
            log.store.record_rows(WriterId::new(stream), seq, seq, 1).await.unwrap().remove(0);
        let record = row.record.unwrap();
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

/// Another word than the one that stands there.
pub(crate) fn other_word(field: &Field) -> String {
    let [one, other, ..] = words(field) else { return "'x'".to_owned() };
    format!("CASE WHEN {name} = '{one}' THEN '{other}' ELSE '{one}' END", name = field.name())
}
