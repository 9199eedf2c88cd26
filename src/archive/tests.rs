//! Archives of a store in memory, in memory, on disks that fail and with files that somebody changed.

use std::{
    collections::BTreeSet,
    ops::Range,
    slice,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    memory::InMemory, path::Path,
};

use super::*;
use crate::{
    ledger::{NoteSigner, Trust, verify::Verdict},
    record::{Canonical, Group, Groups, Kind, Record, RecordId, Seal, Value, WriterId},
    store::{
        AnyStore, Append as _, Appender as _, Batch, ErasedGroups, MemoryStore, Retain as _, Unit,
        removal_of,
    },
    time::Timestamp,
};

const SEED: [u8; 32] = [7; 32];

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn unit(class: &str) -> Unit {
    Unit { month: "2026-01".parse().unwrap(), class: class.to_owned() }
}

/// A record that has something in every field, all of it hostile.
fn hostile(seq: i64, class: &str) -> Box<Record> {
    let mut record = Box::new(Record::default());
    let text =
        format!("{seq}\u{1}\"\\\n'ä€😀\u{202e}\u{feff} {}", "x".repeat(seq as usize * 7 % 300));
    let json = r#"{"a":1e400,"a":-0.0,"b":[12345678901234567890123]}"#;
    for field in Record::FIELDS {
        let value = match field.kind() {
            Kind::Text if seq % 3 != 0 || field.group() == Group::Sealed => Value::Text(&text),
            Kind::Json if seq % 2 == 0 => Value::Json(json),
            Kind::Address => Value::Address(
                ["192.0.2.7", "10.0.0.0/8", "2001:db8::1", "::/0"][seq as usize % 4]
                    .parse()
                    .unwrap(),
            ),
            Kind::Integer => Value::Integer((seq * 7) % 200),
            _ => continue,
        };
        // A number that the field is too small for stays out.
        let _fits = field.set(&mut record, value);
    }
    record.schema_version = Record::SCHEMA_VERSION;
    let day: Timestamp = "2026-01-10T00:00:00.000001Z".parse().unwrap();
    record.occurred_at = Timestamp::from_micros(day.as_micros() + seq * 1_000_003);
    record.recorded_at = record.occurred_at;
    record.id = RecordId::new(record.occurred_at, [seq as u8; 10]);
    record.retention_class.set(class);
    (record.writer_id, record.seq) = (WriterId::new(i64::MAX), seq);
    record.seal(std::array::from_fn(|group| [group as u8 * 16 + seq as u8 % 16; 16]));
    if seq % 5 == 0 {
        erase(&mut record, Group::Identity);
    }
    record
}

fn erase(record: &mut Record, group: Group) {
    let Some(commitment) = Canonical::new().commitment(record, group) else { return };
    record.clear_group(group);
    record.seals.set(group, Seal::Erased(commitment));
}

async fn append(store: &MemoryStore, seqs: Range<i64>, class: &str) {
    let records: Vec<_> = seqs.map(|seq| hostile(seq, class)).collect();
    let mut appender = store.connect().await.unwrap();
    appender.append(Batch::new(&records).unwrap()).await.unwrap();
}

/// A log of three entries of one unit and one of another between them.
async fn log() -> (MemoryStore, AnyStore) {
    let store = MemoryStore::new();
    append(&store, 1..20, "a/b c").await;
    append(&store, 20..22, "other").await;
    append(&store, 22..40, "a/b c").await;
    append(&store, 40..41, "a/b c").await;
    (store.clone(), AnyStore::new(store))
}

fn archive(objects: &Arc<InMemory>) -> Archive {
    let mut archive =
        Archive::over(Arc::clone(objects) as Arc<dyn ObjectStore>, Path::from("root"));
    archive.limits.rows = 8;
    archive
}

async fn run(archive: &Archive, log: &AnyStore, class: &str) -> Result<Vec<Part>, ArchiveError> {
    let session = archive.begin(log, &[SEED], now()).await?.expect("there are records");
    session.unit(&unit(class), |_| {}).await
}

/// An archive that has the part of a log's month.
async fn archived() -> (Arc<InMemory>, Archive, Part) {
    let (_, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let archive = archive(&objects);
    let part = run(&archive, &log, "a/b c").await.unwrap().remove(0);
    (objects, archive, part)
}

async fn verify(archive: &Archive) -> ArchiveReport {
    archive.verify(&ArchiveAudit::new(), |_| {}).await.unwrap()
}

async fn records(archive: &Archive) -> Vec<Record> {
    let mut all = Vec::new();
    for part in archive.parts().await.unwrap() {
        let mut reader = archive.reader(&part).await.unwrap();
        while let Some(records) = reader.next().await.unwrap() {
            all.extend(records.into_iter().map(|archived| *archived.record));
        }
    }
    all
}

async fn names(objects: &InMemory) -> Vec<String> {
    let archive = Archive::over(Arc::new(objects.fork()), Path::default());
    let mut names: Vec<_> =
        archive.list("root").await.unwrap().into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

async fn bytes(objects: &InMemory, name: &str) -> Vec<u8> {
    objects.get(&Path::parse(name).unwrap()).await.unwrap().bytes().await.unwrap().to_vec()
}

async fn put(objects: &InMemory, name: &str, bytes: Vec<u8>) {
    objects.put(&Path::parse(name).unwrap(), PutPayload::from(bytes)).await.unwrap();
}

#[tokio::test]
async fn records_come_back_as_they_were_and_what_was_erased_stays_so() {
    let (store, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let archive = archive(&objects);
    let parts = run(&archive, &log, "a/b c").await.unwrap();
    assert_eq!(parts.len(), 1);
    let manifest = &parts[0].manifest;
    assert_eq!((manifest.records, manifest.entries, manifest.proved), (38, 3, 3));

    let mut canonical = Canonical::new();
    let written: Vec<_> =
        store.all().into_iter().filter(|record| record.retention_class == "a/b c").collect();
    let read = records(&archive).await;
    assert_eq!(read, written);
    for (read, written) in read.iter().zip(&written) {
        let read = canonical.encode(read).to_vec();
        assert_eq!(read, canonical.encode(written));
    }
    let report = verify(&archive).await;
    assert_eq!((report.verdict(), report.records, report.erased), (Verdict::Unaltered, 38, 6));

    let removal = removal_of(&log, &log.units().await.unwrap()[0]).await.unwrap().unwrap();
    assert_eq!(archive.holding(&removal).await.unwrap(), Some(parts));
    append(&store, 41..42, "a/b c").await;
    let removal = removal_of(&log, &log.units().await.unwrap()[0]).await.unwrap().unwrap();
    assert_eq!(archive.holding(&removal).await.unwrap(), None, "something came since");
}

#[tokio::test]
async fn nothing_is_archived_twice_and_what_comes_late_makes_a_further_part() {
    let (store, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let mut archive = archive(&objects);
    archive.limits.part = 10;
    let count =
        |parts: Vec<Part>| parts.iter().map(|part| part.manifest.records).collect::<Vec<_>>();
    assert_eq!(count(run(&archive, &log, "a/b c").await.unwrap()), [19, 18, 1]);
    assert_eq!(count(run(&archive, &log, "a/b c").await.unwrap()), [0; 0]);
    append(&store, 41..44, "a/b c").await;
    assert_eq!(count(run(&archive, &log, "a/b c").await.unwrap()), [3]);
    assert_eq!(count(run(&archive, &log, "other").await.unwrap()), [2]);
    let report = verify(&archive).await;
    assert_eq!((report.verdict(), report.parts, report.records), (Verdict::Unaltered, 5, 43));

    // Another log has no place there.
    let other = MemoryStore::new();
    append(&other, 1..3, "a/b c").await;
    let refused = run(&archive, &AnyStore::new(other), "a/b c").await.unwrap_err();
    assert_eq!(refused.kind(), ArchiveErrorKind::Place);
}

#[tokio::test]
async fn two_that_archive_at_once_do_what_one_does() {
    let (_, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let archive = archive(&objects);
    let (one, other) = tokio::join!(run(&archive, &log, "a/b c"), run(&archive, &log, "a/b c"));
    assert_eq!(one.unwrap().len() + other.unwrap().len(), 1);
    let report = verify(&archive).await;
    assert_eq!((report.verdict(), report.parts, report.records), (Verdict::Unaltered, 1, 38));
    assert_eq!(names(&objects).await.len(), 4, "of the other nothing is left");
}

#[tokio::test]
async fn a_flipped_bit_is_found_in_its_file_wherever_it_is() {
    let (_, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let mut archive = archive(&objects);
    archive.limits.rows = 30;
    let part = run(&archive, &log, "a/b c").await.unwrap().remove(0);
    for name in names(&objects).await {
        let own = name.strip_prefix("root/").unwrap();
        let good = bytes(&objects, &name).await;
        let step = (good.len() / 25).max(1);
        for at in (0..good.len()).step_by(step).chain(good.len().saturating_sub(8)..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            if own.starts_with("manifests") && says_as_much(own, &bad, &part) {
                continue;
            }
            put(&objects, &name, bad).await;
            let report = verify(&archive).await;
            assert_eq!(report.verdict(), Verdict::Altered, "byte {at} of {name}");
            let named = report.faults.iter().any(|fault| fault.file == own);
            // What a manifest says wrongly of another file reads as if that was altered.
            assert!(named || own.starts_with("manifests"), "byte {at} of {name}: {report:?}");
        }
        put(&objects, &name, good).await;
    }
    assert_eq!(verify(&archive).await.verdict(), Verdict::Unaltered);
}

/// Tells whether a manifest says the same of what the part holds: when it was written, by what and how often, the log's
/// own record of it vouches for alone.
fn says_as_much(name: &str, bytes: &[u8], part: &Part) -> bool {
    let Ok(read) = Part::read(name, bytes) else { return false };
    let manifest = Manifest {
        written_at: part.manifest.written_at,
        written_by: part.manifest.written_by.clone(),
        generation: part.manifest.generation,
        ..read.manifest
    };
    manifest == part.manifest
}

#[tokio::test]
async fn files_that_are_cut_gone_or_strange_are_told_apart() {
    let (_, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let archive = archive(&objects);
    run(&archive, &log, "a/b c").await.unwrap();
    for name in names(&objects).await {
        let own = name.strip_prefix("root/").unwrap();
        let good = bytes(&objects, &name).await;
        for length in [0, 1, 7, 8, 11, 12, good.len() / 2, good.len() - 1] {
            put(&objects, &name, good[..length].to_vec()).await;
            let report = verify(&archive).await;
            assert_eq!(report.verdict(), Verdict::Altered, "{length} bytes of {name}");
            assert!(report.faults.iter().any(|fault| fault.file == own), "{report:?}");
        }
        objects.delete(&Path::parse(&name).unwrap()).await.unwrap();
        let report = verify(&archive).await;
        let missing = |fault: &Fault| fault.kind == FaultKind::Missing && fault.file == own;
        if own.starts_with("manifests") {
            // Then the part does not exist, and its files are nobody's.
            assert_eq!((report.verdict(), report.total), (Verdict::Incomplete, 3));
            assert!(report.faults.iter().all(|fault| fault.kind == FaultKind::Foreign));
        } else {
            assert!(report.faults.iter().any(missing), "{report:?}");
        }
        put(&objects, &name, good).await;
    }
    put(&objects, "root/personal/notes.txt", b"of somebody".to_vec()).await;
    let report = verify(&archive).await;
    assert_eq!((report.verdict(), report.total), (Verdict::Incomplete, 1));
}

/// Whoever keeps an archive can write any number into it.
#[tokio::test]
async fn numbers_at_the_end_of_what_there_is_are_told_of() {
    let (objects, archive, part) = archived().await;
    let file = &part.manifest.files.ledger.path;
    let name = format!("root/{file}");
    let good = bytes(&objects, &name).await;
    let mut lines: Vec<_> =
        good.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let known = ledger::read_entry(&lines[1]).unwrap();
    let (least, most) = (i64::MIN, i64::MAX);
    for position in [known.entry.position, least, most] {
        for numbers in [(least, most), (most, most), (least, 0), (1, most)] {
            let mut entry = known.entry.clone();
            entry.position = position;
            (entry.new.first_seq, entry.new.last_seq) = numbers;
            lines[1] = ledger::entry_line(&entry, known.path.as_deref());
            put(&objects, &name, lines.concat()).await;
            let report = verify(&archive).await;
            assert_eq!(report.verdict(), Verdict::Altered, "{position}, {numbers:?}");
            assert!(report.faults.iter().any(|fault| fault.file == *file), "{report:?}");
        }
    }
    put(&objects, &name, good).await;
    assert_eq!(verify(&archive).await.verdict(), Verdict::Unaltered);
}

#[tokio::test]
async fn a_group_that_was_changed_is_told_with_its_record() {
    let (objects, archive, part) = archived().await;
    // Somebody writes the sidecar anew, with another name in it, and a manifest that fits.
    let mut reader = archive.reader(&part).await.unwrap();
    let mut file = columns::PERSONAL.begin().unwrap();
    while let Some(records) = reader.next().await.unwrap() {
        let rows: Vec<_> = records
            .into_iter()
            .map(|mut archived| {
                if archived.record.seq == 13 {
                    archived.record.actor_id.set("eve");
                }
                columns::Row { record: archived.record, ..columns::Row::default() }
            })
            .collect();
        columns::PERSONAL.write(&rows, &mut file).unwrap();
    }
    file.finish().unwrap();
    file.flush().unwrap();
    let forged = std::mem::take(file.inner_mut());
    let mut manifest = part.manifest.clone();
    manifest.files.personal.bytes = forged.len() as u64;
    manifest.files.personal.sha256 =
        crate::record::hex(&<sha2::Sha256 as sha2::Digest>::digest(&forged));
    let (part, bytes) = Part::of(manifest);
    put(&objects, &format!("root/{}", part.manifest.files.personal.path), forged).await;
    put(&objects, &format!("root/{}", part.path()), bytes).await;
    let report = verify(&archive).await;
    assert_eq!((report.verdict(), report.total), (Verdict::Altered, 1), "{report:?}");
    let fault = &report.faults[0];
    assert_eq!(
        (fault.place.first_seq, &fault.file),
        (Some(13), &part.manifest.files.personal.path)
    );
    assert!(fault.detail.contains("identity"), "{fault}");
}

#[tokio::test]
async fn only_a_head_that_a_trusted_key_signed_counts() {
    let (_, archive, part) = archived().await;
    let trust = |seed| {
        let signer = NoteSigner::new(&part.manifest.origin, &[seed; 32]).unwrap();
        ArchiveAudit::new().trust(Trust::in_key(signer.key().clone()))
    };
    let report = archive.verify(&trust(7), |_| {}).await.unwrap();
    assert_eq!((report.verdict(), report.proved), (Verdict::Unaltered, 3));
    let report = archive.verify(&trust(8), |_| {}).await.unwrap();
    assert_eq!((report.verdict(), report.proved), (Verdict::Altered, 0));
    assert!(report.faults.iter().any(|fault| fault.kind == FaultKind::Forged));
    // Without a key there is no head, and verification says what that leaves open.
    let objects = Arc::new(InMemory::new());
    let (_, log) = log().await;
    let archive = self::archive(&objects);
    let session = archive.begin(&log, &[], now()).await.unwrap().unwrap();
    session.unit(&unit("a/b c"), |_| {}).await.unwrap();
    let report = verify(&archive).await;
    assert_eq!(
        (report.verdict(), report.faults[0].kind),
        (Verdict::Incomplete, FaultKind::Unproved)
    );
}

#[tokio::test]
async fn a_run_that_dies_at_any_call_leaves_a_whole_part_or_none() {
    let (_, log) = log().await;
    let mut seen = BTreeSet::new();
    for left in 0.. {
        let objects = Arc::new(InMemory::new());
        let failing = Arc::new(Failing::on(&objects).failing_from(left));
        let mut dying = Archive::over(failing, Path::from("root"));
        dying.limits.rows = 8;
        let ended = run(&dying, &log, "a/b c").await;
        let archive = archive(&objects);
        let report = verify(&archive).await;
        assert_ne!(report.verdict(), Verdict::Altered, "call {left}: {report:?}");
        assert!([0, 38].contains(&report.records), "call {left}: {report:?}");
        seen.insert(report.records);
        if ended.is_ok() {
            assert!(left > 20, "the calls are those that were meant");
            break;
        }
        // The next run comes to the same end, whatever was left over.
        run(&archive, &log, "a/b c").await.unwrap();
        let report = verify(&archive).await;
        assert_ne!(report.verdict(), Verdict::Altered, "after call {left}: {report:?}");
        assert_eq!((report.parts, report.records), (1, 38), "after call {left}");
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn what_a_dead_run_left_over_is_removed_when_it_is_a_day_old() {
    let (_, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let archive = archive(&objects);
    let folder = "root/records/class=a%2Fb%20c/month=2026-01";
    put(&objects, &format!("{folder}/00001-dead.parquet"), b"half".to_vec()).await;
    let young = Timestamp::from_micros(0);
    let session = archive.begin(&log, &[SEED], young).await.unwrap().unwrap();
    session.unit(&unit("a/b c"), |_| {}).await.unwrap();
    assert_eq!(names(&objects).await.len(), 5, "it may be another run's");
    session.unit(&unit("a/b c"), |_| {}).await.unwrap();
    assert_eq!(names(&objects).await.len(), 5, "also where there is a part of that number by now");
    let later = "2126-01-01T00:00:00Z".parse().unwrap();
    let session = archive.begin(&log, &[SEED], later).await.unwrap().unwrap();
    session.unit(&unit("a/b c"), |_| {}).await.unwrap();
    assert_eq!(names(&objects).await.len(), 4);
    assert_eq!(verify(&archive).await.verdict(), Verdict::Unaltered);
    // A manifest that was lost takes nothing with it.
    let manifest = Path::parse("root/manifests/class=a%2Fb%20c/month=2026-01/00001.json").unwrap();
    objects.delete(&manifest).await.unwrap();
    let session = archive.begin(&log, &[SEED], later).await.unwrap().unwrap();
    session.unit(&unit("a/b c"), |_| {}).await.unwrap();
    assert_eq!(names(&objects).await.len(), 3 + 4, "what may be all that is left stays");
}

#[tokio::test]
async fn a_manifest_whose_first_answer_was_lost_is_ones_own() {
    let (_, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let failing = Failing { twice: true, ..Failing::on(&objects) };
    let archive = Archive::over(Arc::new(failing), Path::from("root"));
    assert_eq!(run(&archive, &log, "a/b c").await.unwrap().len(), 1);
    assert_eq!(names(&objects).await.len(), 4);
    assert_eq!(verify(&archive).await.verdict(), Verdict::Unaltered);
}

#[tokio::test]
async fn a_manifest_that_got_there_keeps_its_files_though_nobody_was_told() {
    let (store, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let failing = Arc::new(Failing::on(&objects));
    let archive = Archive::over(Arc::clone(&failing) as Arc<dyn ObjectStore>, Path::from("root"));
    failing.lost.store(true, Ordering::SeqCst);
    run(&archive, &log, "a/b c").await.unwrap_err();
    let report = verify(&archive).await;
    assert_eq!((report.verdict(), report.records), (Verdict::Unaltered, 38), "{report:?}");
    assert!(run(&archive, &log, "a/b c").await.unwrap().is_empty(), "it is archived");

    // The same of one that is written anew, without a person.
    let part = archive.parts().await.unwrap().remove(0);
    let person = store.all().into_iter().find(|record| record.seq == 1).unwrap();
    let groups = ErasedGroups::of(&person, Groups::ALL, &mut Canonical::new()).unwrap();
    failing.lost.store(true, Ordering::SeqCst);
    archive.rewrite(&log, &part.path(), &[groups], now()).await.unwrap_err();
    let report = verify(&archive).await;
    assert_ne!(report.verdict(), Verdict::Altered, "{report:?}");
    assert_eq!(report.records, 38);
    let left = records(&archive).await.into_iter().find(|record| record.seq == 1).unwrap();
    assert_eq!(left.erased().count(), person.erased().count() + groups_of(&person));
    // The next one tidies.
    archive.rewrite(&log, &part.path(), &[], now()).await.unwrap();
    assert_eq!(names(&objects).await.len(), 4);
    assert_eq!(verify(&archive).await.verdict(), Verdict::Unaltered);
}

/// How many groups of a record hold something.
fn groups_of(record: &Record) -> usize {
    let is_there = |group: &Group| matches!(record.seals.of(*group), Seal::Salted(_));
    Group::ERASABLE.iter().filter(|group| is_there(group)).count()
}

#[tokio::test]
async fn a_rewriting_that_dies_at_any_call_leaves_the_old_groups_or_the_new() {
    let (store, log) = log().await;
    let person = store.all().into_iter().find(|record| record.seq == 1).unwrap();
    let groups = ErasedGroups::of(&person, Groups::ALL, &mut Canonical::new()).unwrap();
    let archived = Arc::new(InMemory::new());
    let part = run(&archive(&archived), &log, "a/b c").await.unwrap().remove(0);
    let mut seen = BTreeSet::new();
    for left in 0.. {
        let objects = Arc::new(archived.fork());
        let whole = archive(&objects);
        let dying = Arc::new(Failing::on(&objects).failing_from(left));
        let dying = Archive::over(dying, Path::from("root"));
        // Its turn is given back by then: nobody waits for the dead here.
        let ended = dying.rewrite(&log, &part.path(), slice::from_ref(&groups), now()).await;
        let report = verify(&whole).await;
        assert_ne!(report.verdict(), Verdict::Altered, "call {left}: {report:?}");
        assert_eq!(report.records, 38);
        let found = records(&whole).await.into_iter().find(|record| record.seq == 1).unwrap();
        let emptied = found.erased().count() - person.erased().count();
        assert!([0, groups_of(&person)].contains(&emptied), "call {left}: {emptied}");
        seen.insert(emptied);
        whole.rewrite(&log, &part.path(), slice::from_ref(&groups), now()).await.unwrap();
        let report = verify(&whole).await;
        assert_eq!(report.verdict(), Verdict::Unaltered, "after call {left}: {report:?}");
        assert_eq!(names(&objects).await.len(), 4, "after call {left}");
        if ended.is_ok() {
            assert!(left > 5, "the calls are those that were meant");
            break;
        }
    }
    assert_eq!(seen.len(), 2);
}

/// A disk that keeps something else than it was given: what is read back is looked at, and nothing counts as kept.
#[tokio::test]
async fn what_was_not_kept_as_it_was_written_counts_for_nothing() {
    let (store, log) = log().await;
    let damaging = |objects: &Arc<InMemory>, what| {
        let damaging = Failing { damages: Some(what), ..Failing::on(objects) };
        let mut archive = Archive::over(Arc::new(damaging), Path::from("root"));
        archive.limits.rows = 8;
        archive
    };
    for what in ["records/", "personal/", "ledger/"] {
        let objects = Arc::new(InMemory::new());
        let error = run(&damaging(&objects, what), &log, "a/b c").await.unwrap_err();
        assert_eq!(error.kind(), ArchiveErrorKind::NotKept, "{what}: {error}");
        assert!(names(&objects).await.is_empty(), "{what}: what was written is taken back");
    }
    let objects = Arc::new(InMemory::new());
    assert!(run(&damaging(&objects, "manifests/"), &log, "a/b c").await.is_err());

    // The same of one that is written anew: it stays what it was.
    let person = store.all().into_iter().find(|record| record.seq == 1).unwrap();
    let groups = ErasedGroups::of(&person, Groups::ALL, &mut Canonical::new()).unwrap();
    let objects = Arc::new(InMemory::new());
    let whole = archive(&objects);
    let part = run(&whole, &log, "a/b c").await.unwrap().remove(0);
    let damaged = damaging(&objects, "personal/");
    let error = damaged.rewrite(&log, &part.path(), slice::from_ref(&groups), now()).await;
    assert_eq!(error.unwrap_err().kind(), ArchiveErrorKind::NotKept);
    assert_eq!(names(&objects).await.len(), 4);
    assert_eq!(verify(&whole).await.verdict(), Verdict::Unaltered);
    let found = records(&whole).await.into_iter().find(|record| record.seq == 1).unwrap();
    assert_eq!(found.erased().count(), person.erased().count(), "nobody is told that it is done");
    let damaged = damaging(&objects, "manifests/");
    assert!(damaged.rewrite(&log, &part.path(), &[groups], now()).await.is_err());
}

/// Two that write a part anew at once, each without somebody else: both are gone.
#[tokio::test]
async fn two_that_write_a_part_anew_take_turns() {
    let (store, log) = log().await;
    let objects = Arc::new(InMemory::new());
    let archive = archive(&objects);
    let part = run(&archive, &log, "a/b c").await.unwrap().remove(0).path();
    let all = store.all();
    let of = |seq| {
        let person = all.iter().find(|record| record.seq == seq).unwrap();
        [ErasedGroups::of(person, Groups::ALL, &mut Canonical::new()).unwrap()]
    };
    let (one, other) = (of(1), of(2));
    let (one, other) = tokio::join!(
        archive.rewrite(&log, &part, &one, now()),
        archive.rewrite(&log, &part, &other, now())
    );
    assert!(one.unwrap() > 0 && other.unwrap() > 0);
    let left = records(&archive).await;
    let left: usize = left.iter().filter(|it| [1, 2].contains(&it.seq)).map(groups_of).sum();
    assert_eq!(left, 0);
    assert_eq!(verify(&archive).await.verdict(), Verdict::Unaltered);
    assert_eq!(names(&objects).await.len(), 4);
}

/// Of a run that failed, what is left over is taken back, and a server that does not answer holds it up for a while.
#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_after_an_error_holds_no_run_up_for_ever() {
    let (_, log) = log().await;
    for left in 0.. {
        let objects = Arc::new(InMemory::new());
        let hanging = Failing { hangs: true, ..Failing::on(&objects).failing_from(left) };
        let archive = Archive::over(Arc::new(hanging), Path::from("root"));
        let ended = run(&archive, &log, "a/b c");
        let ended = tokio::time::timeout(Duration::from_secs(600), ended).await;
        if ended.expect("it ends").is_ok() {
            break;
        }
    }
}

/// Fails from some call on, and for good: as a process that was killed does, from outside.
#[derive(Debug, Default)]
struct Failing {
    objects: Arc<InMemory>,
    left: AtomicUsize,
    /// What is to be new is sent twice, as it is where the first answer was lost.
    twice: bool,
    /// The next manifest gets there, and its answer does not come back.
    lost: AtomicBool,
    /// One call fails, and those that follow are never answered.
    hangs: bool,
    failed: AtomicBool,
    /// One bit of what is kept of files with this in their name is another one.
    damages: Option<&'static str>,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failing")
    }
}

impl Failing {
    /// One that does not fail by itself.
    fn on(objects: &Arc<InMemory>) -> Self {
        let (objects, left) = (Arc::clone(objects), AtomicUsize::new(usize::MAX));
        Self { objects, left, ..Self::default() }
    }

    fn failing_from(self, left: usize) -> Self {
        Self { left: AtomicUsize::new(left), ..self }
    }

    async fn call(&self) -> object_store::Result<()> {
        let left =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() && self.failed.swap(true, Ordering::SeqCst) && self.hangs {
            std::future::pending::<()>().await;
        }
        left.map(drop).map_err(|_| object_store::Error::Generic {
            store: "failing",
            source: "it was killed".into(),
        })
    }
}

type Listed =
    std::pin::Pin<Box<dyn futures_core::Stream<Item = object_store::Result<ObjectMeta>> + Send>>;
type Deleted =
    std::pin::Pin<Box<dyn futures_core::Stream<Item = object_store::Result<Path>> + Send>>;

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.call().await?;
        let payload = match self.damages.filter(|what| location.as_ref().contains(what)) {
            None => payload,
            Some(_) => {
                let mut bytes = Bytes::from(payload).to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                bytes.into()
            }
        };
        if self.twice && opts.mode == PutMode::Create {
            self.objects.put_opts(location, payload.clone(), opts.clone()).await?;
        }
        let done = self.objects.put_opts(location, payload, opts).await;
        let is_manifest = location.as_ref().contains("manifests");
        match is_manifest && self.lost.swap(false, Ordering::SeqCst) {
            true => Err(object_store::Error::Generic {
                store: "failing",
                source: "the connection was cut".into(),
            }),
            false => done,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.call().await?;
        self.objects.put_multipart_opts(location, opts).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.call().await?;
        self.objects.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        self.call().await?;
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: Deleted) -> Deleted {
        match self.call().now_or_never() {
            Some(Ok(())) => self.objects.delete_stream(locations),
            Some(Err(error)) => Box::pin(stream::iter([Err(error)])),
            None => Box::pin(stream::pending()),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> Listed {
        match self.call().now_or_never() {
            Some(Ok(())) => self.objects.list(prefix),
            Some(Err(error)) => Box::pin(stream::iter([Err(error)])),
            None => Box::pin(stream::pending()),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.call().await?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.call().await?;
        self.objects.copy_opts(from, to, options).await
    }
}
