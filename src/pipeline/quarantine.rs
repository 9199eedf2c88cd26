//! Records that the store cannot take: kept aside, and stood for by a stub.

mod anew;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

pub(super) use anew::{Anew, Kept};

use crate::{
    record::{Json, Origin, Outcome, Record, RecordId, Text, WriterId, hex},
    store::QUARANTINED,
    time::Timestamp,
};

/// Appends the record to the file as one line of JSON, and syncs it.
pub(super) fn keep(path: &Path, record: &Record, error: &str, now: Timestamp) -> io::Result<()> {
    let line = serde_json::json!({ "quarantined_at": now, "error": error, "record": record });
    let (mut file, _locked) = held(path, &adding())?;
    // One write: a second writer on the same file cannot come between.
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

/// As [`keep`], for the bytes of a record that cannot be read.
pub(super) fn keep_bytes(
    path: &Path,
    stream: WriterId,
    seq: i64,
    bytes: &[u8],
    error: &str,
    now: Timestamp,
) -> io::Result<()> {
    let line = serde_json::json!({
        "quarantined_at": now,
        "error": error,
        "writer_id": stream.to_string(),
        "seq": seq,
        "bytes": hex(bytes),
    });
    let (mut file, _locked) = held(path, &adding())?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

fn adding() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens the file and locks it. An erasure puts another file in its place while it holds the lock: who waited for that
/// looks whether what he has is still the one of this name. Says beside it whether it is locked: where a file system
/// knows no locks, a record is kept all the same.
fn held(path: &Path, options: &OpenOptions) -> io::Result<(File, io::Result<()>)> {
    loop {
        let file = options.open(path)?;
        let locked = file.lock();
        if is_at(&file, path)? {
            return Ok((file, locked));
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let of = |data: std::fs::Metadata| (data.dev(), data.ino());
    match std::fs::metadata(path) {
        Ok(there) => Ok(of(there) == of(file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere none is put in its place.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Finds out at the start what would otherwise be found out with the first bad row, when it is too late:
/// whether the file can be written.
pub(super) async fn check(path: PathBuf) -> Result<(), String> {
    let opened = tokio::task::spawn_blocking(move || {
        adding().open(&path).map_err(|error| {
            format!("the quarantine file `{}` cannot be written: {error}", path.display())
        })
    });
    // An error means that the runtime is ending; then the writer has nothing to write either.
    opened.await.map_or(Ok(()), |opened| opened.map(drop))
}

/// Makes the record that stands in the place of one that cannot be stored: its number, times and words,
/// and none of its text but what no store can object to.
pub(super) fn stub(record: &Record) -> Record {
    let mut stub = Record {
        id: record.id,
        occurred_at: record.occurred_at,
        recorded_at: record.recorded_at,
        origin: record.origin,
        category: record.category,
        operation: record.operation,
        outcome: record.outcome,
        severity: record.severity.min(6),
        actor_type: record.actor_type,
        writer_id: record.writer_id,
        seq: record.seq,
        ..Record::default()
    };
    stub.outcome_reason.set(QUARANTINED);
    stub.action.set(if plain(&record.action) { &record.action } else { QUARANTINED });
    for (text, value) in [
        (&mut stub.retention_class, &record.retention_class),
        (&mut stub.tenant_id, &record.tenant_id),
        (&mut stub.entity_type, &record.entity_type),
        (&mut stub.service, &record.service),
        (&mut stub.instance, &record.instance),
        (&mut stub.environment, &record.environment),
    ] {
        if plain(value) {
            text.set(value);
        }
    }
    stub.metadata = Json::from_stored("{\"quarantined\":true}");
    stub
}

/// Makes the record that stands in the place of one that cannot even be read: of it only the id is known.
pub(super) fn unreadable(id: RecordId) -> Record {
    let record = Record {
        id,
        occurred_at: id.at(),
        origin: Origin::Transaction,
        outcome: Outcome::Unknown,
        severity: 4,
        ..Record::default()
    };
    stub(&record)
}

/// Gives a stub another id, and keeps the one that it had among its facts.
pub(super) fn rename(stub: &mut Record, id: RecordId) {
    let facts = serde_json::json!({ "quarantined": true, "id": stub.id });
    stub.metadata = Json::from_stored(facts.to_string());
    stub.id = id;
}

fn plain(text: &Text) -> bool {
    !text.is_absent()
        && text.len() <= 128
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_keeps_place_and_words_and_no_text_that_could_be_bad() {
        let mut record = Record { seq: 7, severity: 9, ..Record::default() };
        record.action.set("cancel");
        record.entity_type.set("or\u{0}der");
        record.path.set("/x");
        let stub = stub(&record);
        assert_eq!((stub.seq, stub.severity, stub.action.as_str()), (7, 6, "cancel"));
        assert!(stub.entity_type.is_absent() && stub.path.is_absent());
        assert_eq!(stub.outcome_reason, QUARANTINED);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_another_one_took_the_place_of_is_not_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine.jsonl");
        let file = adding().open(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        assert!(!is_at(&file, &path).unwrap());
        adding().open(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap());
    }

    #[test]
    fn the_file_holds_a_line_for_each_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine.jsonl");
        let mut record = Record::default();
        record.path.set("/a\nb");
        for _ in 0..2 {
            keep(&path, &record, "no", Timestamp::default()).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["record"]["path"], "/a\nb");
    }
}
