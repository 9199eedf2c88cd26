//! What stands in the files of a bundle. Names are a contract: members are added, never renamed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Ask, Counts};
use crate::{
    ledger::{Checkpoint, Entry, Hash, leaf_hash},
    record::{Canonical, Field, Group, Groups, Record, RecordId, Seal, Value, hex},
    time::Timestamp,
};

/// A line of `records.jsonl`.
#[derive(Debug, Serialize)]
pub(super) struct RecordLine {
    id: RecordId,
    /// The position of its entry; null when no entry accounts for it.
    entry: Option<i64>,
    /// The canonical bytes: the leaf is SHA-256 over 0x00 and these.
    record: String,
    /// From the leaf to the root of the entry, in hex.
    path: Vec<String>,
    groups: OpenedGroups,
    /// Groups that are there and are not opened here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    masked: Vec<&'static str>,
}

/// What the commitments in the canonical bytes are of. A group that was erased is not there.
#[derive(Debug, Default, Serialize)]
struct OpenedGroups {
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<Opened>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Opened>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Opened>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Opened>,
}

/// A group: its commitment is SHA-256 over 0x02, a letter, the salt and the fields.
#[derive(Debug, Serialize)]
struct Opened {
    salt: String,
    /// The canonical bytes of the group.
    fields: String,
}

impl RecordLine {
    /// Opens the groups of a record but those that are `masked`.
    pub(super) fn of(record: &Record, masked: Groups, canonical: &mut Canonical) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut opened = |group: Group| match record.seals.of(group) {
            Seal::Salted(salt) if !masked.has(group) => {
                let fields = text(canonical.encode_group(record, group));
                Some(Opened { salt: hex(&salt), fields })
            }
            _ => None,
        };
        let groups = OpenedGroups {
            identity: opened(Group::Identity),
            network: opened(Group::Network),
            target: opened(Group::Target),
            content: opened(Group::Content),
        };
        let bytes = text(canonical.encode(record));
        let is_there = |group: &Group| matches!(record.seals.of(*group), Seal::Salted(_));
        let masked = masked.iter().filter(is_there).map(Group::as_str).collect();
        Self { id: record.id, entry: None, record: bytes, path: Vec::new(), groups, masked }
    }

    /// Returns the hash of the leaf.
    pub(super) fn leaf(&self) -> Hash {
        leaf_hash(self.record.as_bytes())
    }

    /// Returns how many groups are not opened.
    pub(super) const fn masked(&self) -> u64 {
        self.masked.len() as u64
    }

    /// Names the entry that accounts for it, and the path to its root.
    pub(super) fn lies_in(&mut self, entry: i64, path: &[Hash]) {
        self.entry = Some(entry);
        self.path = path.iter().map(|hash| hex(hash)).collect();
    }
}

/// A line of `entries.jsonl`.
#[derive(Debug, Serialize)]
pub(super) struct EntryLine {
    position: i64,
    /// The canonical bytes; null when the store holds none that can be read.
    entry: Option<String>,
    /// From the entry's leaf to the root of the ledger, in hex.
    path: Vec<String>,
}

impl EntryLine {
    pub(super) fn of(position: i64, entry: Option<&Entry>, path: &[Hash]) -> Self {
        let bytes = entry.map(Entry::canonical_bytes);
        Self {
            position,
            entry: bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            path: path.iter().map(|hash| hex(hash)).collect(),
        }
    }
}

/// An entry among JSON Lines.
#[derive(Debug, Serialize)]
pub(super) struct EntryMember {
    pub(super) ledger_entry: EntryLine,
}

/// The last of JSON Lines.
#[derive(Debug, Serialize)]
pub(super) struct HeadMember<'a> {
    ledger_head: Head<'a>,
}

#[derive(Debug, Serialize)]
struct Head<'a> {
    checkpoint: &'a str,
    #[serde(flatten)]
    manifest: Manifest<'a>,
}

impl<'a> HeadMember<'a> {
    pub(super) const fn of(checkpoint: &'a str, manifest: Manifest<'a>) -> Self {
        Self { ledger_head: Head { checkpoint, manifest } }
    }
}

/// What a record brings along among JSON Lines: its fields are there, and its canonical bytes follow from them.
#[derive(Debug, Serialize)]
pub(super) struct Proof<'a> {
    entry: Option<i64>,
    path: &'a [String],
    /// In hex, by group. A group that is empty has neither.
    salts: BTreeMap<&'static str, String>,
    /// Of groups that were erased.
    commitments: BTreeMap<&'static str, String>,
    /// Which fields hold JSON that is null: an export shows that as it does what is not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nulls: Vec<&'static str>,
}

impl<'a> Proof<'a> {
    pub(super) fn of(line: &'a RecordLine, record: &Record) -> Self {
        let (mut salts, mut commitments) = (BTreeMap::new(), BTreeMap::new());
        for group in Group::ERASABLE {
            match record.seals.of(group) {
                Seal::Empty => {}
                Seal::Salted(salt) => {
                    salts.insert(group.as_str(), hex(&salt));
                }
                Seal::Erased(commitment) => {
                    commitments.insert(group.as_str(), hex(&commitment));
                }
            }
        }
        let is_null = |field: &&Field| field.value(record) == Value::Json("null");
        let nulls = Record::FIELDS.iter().filter(is_null).map(Field::name).collect();
        Self { entry: line.entry, path: &line.path, salts, commitments, nulls }
    }

    /// Makes it the last member of a record, of which a line has been written.
    pub(super) fn push_into(&self, line: &mut Vec<u8>) -> serde_json::Result<()> {
        line.truncate(line.len().saturating_sub(b"}\n".len()));
        line.extend_from_slice(b",\"");
        line.extend_from_slice(super::PROOF_MEMBER.as_bytes());
        line.extend_from_slice(b"\":");
        serde_json::to_writer(&mut *line, self)?;
        line.extend_from_slice(b"}\n");
        Ok(())
    }
}

/// `manifest.json`.
#[derive(Debug, Serialize)]
pub(super) struct Manifest<'a> {
    /// The version of this form.
    bundle: u32,
    made_at: Timestamp,
    made_by: &'static str,
    asked: &'a str,
    /// The name of the ledger, and how many entries its head covers.
    origin: &'a str,
    size: u64,
    records: u64,
    entries: u64,
    unproved: u64,
    later: u64,
    unreadable: u64,
    expired: u64,
    /// Of an export of what is about a person alone.
    #[serde(flatten)]
    about: Option<AboutPerson<'a>>,
}

#[derive(Debug, Serialize)]
struct AboutPerson<'a> {
    /// Groups that are not opened, since something in them is about others.
    masked: u64,
    /// Categories of which whoever asked sees no records: there may be more about the person.
    left_out: &'a [&'static str],
}

impl<'a> Manifest<'a> {
    pub(super) fn of(
        ask: &'a Ask,
        head: &'a Checkpoint,
        counts: &Counts,
        left_out: Option<&'a [&'static str]>,
    ) -> Self {
        let Counts { records, entries, unproved, later, unreadable, expired, masked } = *counts;
        Self {
            bundle: 1,
            made_at: ask.now,
            made_by: concat!("tower-activity ", env!("CARGO_PKG_VERSION")),
            asked: &ask.asked,
            origin: &head.origin,
            size: head.size,
            records,
            entries,
            unproved,
            later,
            unreadable,
            expired,
            about: left_out.map(|left_out| AboutPerson { masked, left_out }),
        }
    }
}
