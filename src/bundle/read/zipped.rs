//! The files of a bundle, whether zipped or unpacked.

use std::io::BufReader;

use serde::Deserialize;

use super::{
    AtMost, Lines, OFTEN, Opened, PATH, ReadError, Reading, Told, Verified, ended, text::short,
};
use crate::{
    ledger::{
        Entry, Hash,
        verify::{Extract, ShownEntry, ShownRecord},
    },
    record::{Field, Group, Groups, Members, Record, Seal, Spelling, group_named, unhex},
};

const RECORDS: &str = "records.jsonl";
const ENTRIES: &str = "entries.jsonl";

pub(super) fn verify(
    files: &mut Opened,
    begin: impl FnOnce(&str) -> Extract,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, ReadError> {
    let manifest = short("manifest.json", files.open("manifest.json")?)?;
    let told: Told = serde_json::from_str(&manifest).map_err(|error| {
        ReadError::new(format!("manifest.json is not that of a bundle: {error}"))
    })?;
    let mut extract = begin(&short("checkpoint.txt", files.open("checkpoint.txt")?)?);
    let (mut entries, mut records) = (0, 0);
    let mut lines = Lines::of(ENTRIES, BufReader::new(files.open(ENTRIES)?));
    while let Some((number, line)) = lines.next()? {
        let shown = line.and_then(entry);
        extract.entry(shown_entry(shown, lines.at(number)));
        entries = number;
    }
    drop(lines);
    let mut reading = Reading::default();
    let mut lines = Lines::of(RECORDS, BufReader::new(files.open(RECORDS)?));
    while let Some((number, line)) = lines.next()? {
        let shown = line.and_then(|line| reading.bundled(line));
        extract.record(shown_record(shown, lines.at(number)));
        records = number;
        if number.is_multiple_of(OFTEN) {
            progress(extract.records());
        }
    }
    Ok(ended(extract, &told, entries, records))
}

/// A line of `entries.jsonl`.
#[derive(Debug, Deserialize)]
pub(super) struct EntryLine {
    position: i64,
    entry: Option<String>,
    path: AtMost<PATH>,
}

/// Reads an entry and its path.
pub(super) fn entry(line: &str) -> Result<(EntryLine, Vec<Hash>), String> {
    let line: EntryLine = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let path = hashes(&line.path.0)?;
    Ok((line, path))
}

pub(super) fn shown_entry(read: Result<(EntryLine, Vec<Hash>), String>, at: String) -> ShownEntry {
    let (line, path) = match read {
        Ok(read) => read,
        Err(why) => {
            return ShownEntry { at, position: None, entry: Err(why), path: Vec::new() };
        }
    };
    let known = line.entry.as_deref().map(str::as_bytes).and_then(Entry::from_canonical);
    let entry = known.ok_or_else(|| "it is nothing that an append writes".to_owned());
    ShownEntry { at, position: Some(line.position), entry, path }
}

/// A record that was read, and its way to an entry.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) record: Box<Record>,
    pub(super) entry: Option<i64>,
    pub(super) path: Vec<Hash>,
    pub(super) masked: Groups,
}

pub(super) fn shown_record(read: Result<Read, String>, at: String) -> ShownRecord {
    match read {
        Ok(Read { record, entry, path, masked }) => {
            ShownRecord { at, record: Ok(record), entry, path, masked }
        }
        Err(why) => {
            let (entry, path, masked) = (None, Vec::new(), Groups::NONE);
            ShownRecord { at, record: Err(why), entry, path, masked }
        }
    }
}

pub(super) fn hashes(path: &[String]) -> Result<Vec<Hash>, String> {
    let hashes: Option<_> = path.iter().map(|hash| unhex(hash)).collect();
    hashes.ok_or_else(|| "its path holds what is no hash".to_owned())
}

/// A line of `records.jsonl`.
#[derive(Debug, Deserialize)]
struct RecordLine {
    id: String,
    entry: Option<i64>,
    record: String,
    path: AtMost<PATH>,
    groups: OpenedGroups,
    #[serde(default)]
    masked: AtMost<{ Group::ERASABLE.len() }>,
}

#[derive(Debug, Deserialize)]
struct OpenedGroups {
    identity: Option<Opening>,
    network: Option<Opening>,
    target: Option<Opening>,
    content: Option<Opening>,
}

#[derive(Debug, Deserialize)]
struct Opening {
    salt: String,
    fields: String,
}

impl Reading {
    /// Reads a line of `records.jsonl`: a record comes of it only if its canonical bytes are those in the line.
    fn bundled(&mut self, line: &str) -> Result<Read, String> {
        let line: RecordLine = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let path = hashes(&line.path.0)?;
        let mut record = Box::new(Record::default());
        let commitments = put(&mut record, &line.record)?;
        if line.id != record.id.to_string() {
            return Err("it stands under the id of another".to_owned());
        }
        let OpenedGroups { identity, network, target, content } = line.groups;
        let openings = [identity, network, target, content];
        for (group, opening) in Group::ERASABLE.into_iter().zip(openings) {
            let commitment = commitments.iter().find(|(of, _)| *of == group).map(|(_, hash)| *hash);
            let Some(opening) = opening else {
                let seal = commitment.map_or(Seal::Empty, Seal::Erased);
                record.seals.set(group, seal);
                continue;
            };
            let wrong = || {
                format!(
                    "the fields of its group {} are not those that were written",
                    group.as_str()
                )
            };
            let salt = unhex(&opening.salt).ok_or_else(wrong)?;
            record.seals.set(group, Seal::Salted(salt));
            put(&mut record, &opening.fields).map_err(|_| wrong())?;
            if self.canonical.commitment(&record, group) != commitment
                || self.canonical.encode_group(&record, group) != opening.fields.as_bytes()
            {
                return Err(wrong());
            }
        }
        if self.canonical.encode(&record) != line.record.as_bytes() {
            return Err(match record.schema_version > Record::SCHEMA_VERSION {
                true => "it was written by a later version, and this one cannot read it".to_owned(),
                false => "it is nothing that an append writes".to_owned(),
            });
        }
        let masked = line.masked.0.iter().filter_map(|name| group_named(name)).collect();
        Ok(Read { record, entry: line.entry, path, masked })
    }
}

/// Sets the fields of an object in its canonical form, and returns the commitments in it.
fn put(record: &mut Record, canonical: &str) -> Result<Vec<(Group, Hash)>, String> {
    let members: Members<'_> =
        serde_json::from_str(canonical).map_err(|error| error.to_string())?;
    let mut commitments = Vec::new();
    for (name, raw) in members.0 {
        if let Some(group) = group_named(&name) {
            if raw.get() == "null" {
                continue;
            }
            let hash = serde_json::from_str::<String>(raw.get()).ok();
            let hash = hash.and_then(|hash| unhex(&hash));
            let wrong = || format!("its commitment of the group {name} is none");
            commitments.push((group, hash.ok_or_else(wrong)?));
            continue;
        }
        let field = Field::named(&name)
            .ok_or_else(|| format!("no record has a field `{}`", name.escape_debug()))?;
        record.set_spelled(field, raw.get(), Spelling::Canonical)?;
    }
    Ok(commitments)
}
