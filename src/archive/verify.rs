//! Verifying: everything is read back, and what the manifests say is computed anew.
//!
//! Bottom up: the commitments from the personal groups, the canonical bytes from the sealed fields and the commitments,
//! the root of each entry from its records, the head of the ledger from the entry. So what is wrong is told with its
//! file, and with its record where that shows.

use std::collections::BTreeSet;

use super::{
    Archive,
    columns::{PERSONAL, RECORDS, Row},
    error::{ArchiveError, ArchiveErrorKind},
    ledger::ArchivedEntry,
    manifest::{FileFacts, Files, Part},
    names::{self, FileKind},
    reader::{EntryReader, key, settle},
    report::{ArchiveReport, Fault, FaultKind},
    table::{Piece, Table, apart},
    told::Present,
};
use crate::{
    ledger::{
        Checkpoint, Frontier, Hash, Note, RemovalCount, Trust, leaf_hash, root_by_inclusion,
        verify::Place,
    },
    record::{Canonical, Group, Seal, hex},
    store::{AnyStore, Unit},
    time::Timestamp,
};

/// So many faults of one part are told singly.
const TOLD: usize = 50;

/// A verification of an archive, or of some of it.
#[derive(Debug, Default)]
pub struct ArchiveAudit {
    trust: Option<Trust>,
    anchored: Vec<Checkpoint>,
    unit: Option<Unit>,
    log: Option<AnyStore>,
}

impl ArchiveAudit {
    /// Looks at all of it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes no head that none of these keys signed. Defaults to no key, and then a head counts as what it says.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self }
    }

    /// Compares the heads in it with those from elsewhere, each a signed note, that are of the same size. Those that
    /// cannot be read, or that no trusted key signed, confirm nothing.
    #[must_use]
    pub fn anchored(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        let heads = notes.into_iter().filter_map(|note| self.head(&note).ok());
        self.anchored = heads.collect();
        self
    }

    /// Looks at the parts of one unit alone.
    #[must_use]
    pub fn unit(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// Compares the archive with the log that it was written from: only there it stands which parts there have to be, and
    /// which entries. Whether the log is as it was written, [`Audit`](crate::store::Audit) tells.
    #[must_use]
    pub fn log(self, log: AnyStore) -> Self {
        Self { log: Some(log), ..self }
    }

    fn head(&self, note: &str) -> Result<Checkpoint, String> {
        let note: Note = note.parse().map_err(|error| format!("{error}"))?;
        let head = match &self.trust {
            Some(trust) => trust.head(&note),
            None => Checkpoint::parse(note.text()),
        };
        head.map_err(|error| error.to_string())
    }
}

impl Archive {
    /// Reads everything back and says what is not as it was written; `progress` is told the number of records so far.
    ///
    /// # Errors
    ///
    /// When the archive cannot be reached, or the log that it is compared with shows a part of itself alone or cannot be
    /// asked. What is wrong with its files is no error but the result.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the verification; nothing is left behind.
    pub async fn verify(
        &self,
        audit: &ArchiveAudit,
        mut progress: impl FnMut(u64),
    ) -> Result<ArchiveReport, ArchiveError> {
        let mut report = ArchiveReport::default();
        let mut named = BTreeSet::new();
        let mut present = Present::default();
        let mut before: Option<Part> = None;
        let mut origin: Option<String> = None;
        let folder = match &audit.unit {
            Some(unit) => names::folder(FileKind::Manifest, unit),
            None => FileKind::Manifest.folder().to_owned(),
        };
        for (name, _) in self.list(&folder).await? {
            let Some((unit, number)) = names::of_manifest(&name) else { continue };
            named.insert(name.clone());
            present.named.insert(name.clone());
            let last = before.as_ref().filter(|part| part.unit() == unit);
            let expected = last.map_or(1, |part| part.manifest.part + 1);
            for missing in expected..number {
                let name = names::file(FileKind::Manifest, &unit, missing, "", 0);
                let detail = "there are later parts of the unit, and not this one";
                report.push(Fault::new(FaultKind::Missing, &name, detail));
            }
            let part = match self.part(&name).await {
                Ok(part) => part,
                Err(error) => {
                    report.push(fault_of(&name, error)?);
                    continue;
                }
            };
            let Files { records, personal, ledger } = &part.manifest.files;
            named.extend([records, personal, ledger].map(|file| file.path.clone()));
            if last.is_some_and(|last| last.manifest.last >= part.manifest.first) {
                let detail = "it holds entries of the part before it";
                report.push(Fault::new(FaultKind::Altered, &name, detail));
            }
            if *origin.get_or_insert_with(|| part.manifest.origin.clone()) != part.manifest.origin {
                let detail = "it is of another log than the parts before it";
                report.push(Fault::new(FaultKind::Altered, &name, detail));
            }
            self.verify_part(&part, audit, &mut report, &mut progress).await?;
            if audit.log.is_some() {
                present.parts.push(part.clone());
            }
            before = Some(part);
        }
        if let Some(log) = &audit.log {
            self.compare(log, audit.unit.as_ref(), &present, &mut report).await?;
        }
        for kind in FileKind::ALL {
            let folder = match &audit.unit {
                Some(unit) => names::folder(kind, unit),
                None => kind.folder().to_owned(),
            };
            for (name, _) in self.list(&folder).await? {
                if !named.contains(&name) {
                    let detail = "no manifest names it: a run that did not come to its end left it over, or somebody put it there";
                    report.push(Fault::new(FaultKind::Foreign, &name, detail));
                }
            }
        }
        Ok(report)
    }

    /// Reads a part back.
    pub(super) async fn verify_part(
        &self,
        part: &Part,
        audit: &ArchiveAudit,
        report: &mut ArchiveReport,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), ArchiveError> {
        let base = report.records;
        let mut check = PartCheck::new(self, part, audit);
        check.all(|records| progress(base + records)).await?;
        report.parts += 1;
        report.records += check.records;
        report.entries += check.entries;
        report.proved += check.proved;
        report.erased += check.erased;
        report.signed = report.signed.max(check.signed);
        report.anchored = report.anchored.max(check.anchored);
        check.faults.into_iter().for_each(|fault| report.push(fault));
        Ok(())
    }
}

/// What an error over a file says of it; those that say nothing of it are errors.
fn fault_of(name: &str, error: ArchiveError) -> Result<Fault, ArchiveError> {
    let kind = match error.kind() {
        ArchiveErrorKind::Missing => FaultKind::Missing,
        ArchiveErrorKind::Unreadable => FaultKind::Unreadable,
        _ => return Err(error),
    };
    let detail = match kind {
        FaultKind::Missing => "there is no such file".to_owned(),
        _ => {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        }
    };
    Ok(Fault::new(kind, name, detail))
}

/// One part while it is read.
struct PartCheck<'a> {
    archive: &'a Archive,
    part: &'a Part,
    audit: &'a ArchiveAudit,
    faults: Vec<Fault>,
    head: Option<Checkpoint>,
    records: u64,
    entries: u64,
    proved: u64,
    erased: u64,
    signed: Option<(u64, Timestamp)>,
    anchored: Option<(u64, Timestamp)>,
    times: Option<(Timestamp, Timestamp)>,
    count: RemovalCount,
}

/// What became of a row group.
struct Looked {
    rows: Vec<Row>,
    leaves: Vec<Hash>,
    erased: u64,
    faults: Vec<(Row, FileKind, String)>,
    /// Why the personal groups could not be read.
    unreadable: Option<String>,
}

impl<'a> PartCheck<'a> {
    fn new(archive: &'a Archive, part: &'a Part, audit: &'a ArchiveAudit) -> Self {
        Self {
            archive,
            part,
            audit,
            faults: Vec::new(),
            head: None,
            records: 0,
            entries: 0,
            proved: 0,
            erased: 0,
            signed: None,
            anchored: None,
            times: None,
            count: RemovalCount::default(),
        }
    }

    fn found(&mut self, fault: Fault) {
        if self.faults.len() < TOLD {
            self.faults.push(fault);
        }
    }

    fn altered(&mut self, file: &str, place: Place, detail: impl Into<String>) {
        self.found(Fault::new(FaultKind::Altered, file, detail).at(place));
    }

    /// Takes what a file came to; `None`, and the fault is kept, when it cannot be read.
    fn opened<T>(
        &mut self,
        name: &str,
        opened: Result<T, ArchiveError>,
    ) -> Result<Option<T>, ArchiveError> {
        match opened {
            Ok(opened) => Ok(Some(opened)),
            Err(error) => {
                let fault = fault_of(name, error)?;
                self.found(fault);
                Ok(None)
            }
        }
    }

    async fn all(&mut self, progress: impl FnMut(u64)) -> Result<(), ArchiveError> {
        let Files { records, personal, ledger } = self.part.manifest.files.clone();
        let entries = EntryReader::open(self.archive, &ledger.path).await;
        let mut entries = self.opened(&ledger.path, entries)?;
        if let Some(entries) = &entries {
            self.take_head(entries.checkpoint(), &ledger.path);
        }
        let table = Table::open(self.archive, &records.path, &RECORDS).await;
        let mut table = self.opened(&records.path, table)?;
        let groups = Table::open(self.archive, &personal.path, &PERSONAL).await;
        let mut groups = self.opened(&personal.path, groups)?;
        self.rows(&mut entries, &mut table, &mut groups, progress).await?;
        let hashed = match entries {
            Some(entries) => Some(entries.lines.finish().await),
            None => None,
        };
        self.compare_file(&ledger, hashed)?;
        for (facts, table) in [(&records, table), (&personal, groups)] {
            let hashed = match table {
                Some(table) => Some(table.finish().await),
                None => None,
            };
            self.compare_file(facts, hashed)?;
        }
        if self.faults.is_empty() {
            self.compare_manifest();
        }
        if self.faults.is_empty() && self.proved < self.entries {
            let detail = match self.head {
                Some(_) => format!(
                    "the signed head does not cover {} of its entries",
                    self.entries - self.proved
                ),
                None => "there was no signed head when it was written".to_owned(),
            };
            self.found(Fault::new(FaultKind::Unproved, &ledger.path, detail));
        }
        Ok(())
    }

    fn take_head(&mut self, note: Option<&str>, file: &str) {
        let Some(note) = note else { return };
        match self.audit.head(note) {
            Ok(head) if head.origin == self.part.manifest.origin => {
                let covers = Some((head.size, head.at));
                let same = self
                    .audit
                    .anchored
                    .iter()
                    .filter(|anchor| anchor.origin == head.origin && anchor.size == head.size);
                for anchor in same {
                    if anchor.root == head.root {
                        self.anchored = covers;
                    } else {
                        let detail = format!(
                            "its signed head over {} entries is not the one that was kept elsewhere",
                            head.size
                        );
                        self.faults.push(Fault::new(FaultKind::Forged, file, detail));
                    }
                }
                self.signed = covers;
                self.head = Some(head);
            }
            Ok(_) => {
                let detail = "its signed head is of another ledger";
                self.found(Fault::new(FaultKind::Forged, file, detail));
            }
            Err(why) => {
                let detail = format!("its signed head counts for nothing: {why}");
                self.found(Fault::new(FaultKind::Forged, file, detail));
            }
        }
    }

    /// Reads the records, each under its entry.
    async fn rows(
        &mut self,
        entries: &mut Option<EntryReader>,
        table: &mut Option<Table>,
        groups: &mut Option<Table>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), ArchiveError> {
        let Files { records, personal, .. } = self.part.manifest.files.clone();
        let mut current: Option<Under> = None;
        while let Some(reader) = table {
            let piece = self.opened(&records.path, reader.piece().await)?;
            let Some(piece) = piece else {
                *table = None;
                break;
            };
            let beside = match groups {
                Some(reader) => {
                    let beside = reader.piece().await;
                    self.opened(&personal.path, beside)?
                }
                None => None,
            };
            let piece = match (piece, &beside) {
                (Some(piece), _) => piece,
                (None, Some(Some(_))) => {
                    self.altered(&personal.path, Place::default(), "it has rows of no record");
                    break;
                }
                (None, _) => break,
            };
            let beside = match (groups.is_some(), beside) {
                (true, Some(Some(beside))) if beside.rows == piece.rows => Some(beside),
                (true, Some(_)) => {
                    let detail = "its row groups are not those of the file `records`";
                    self.altered(&personal.path, Place::default(), detail);
                    *groups = None;
                    None
                }
                (true, None) => {
                    *groups = None;
                    None
                }
                (false, _) => None,
            };
            let looked = apart(&records.path, move || looked(&piece, beside.as_ref())).await;
            let Some(looked) = self.opened(&records.path, looked)? else {
                *table = None;
                break;
            };
            if let Some(why) = looked.unreadable {
                self.found(Fault::new(FaultKind::Unreadable, &personal.path, why));
                *groups = None;
            }
            for (row, kind, why) in looked.faults {
                let file = if kind == FileKind::Personal { &personal.path } else { &records.path };
                self.altered(file, place(&row), why);
            }
            self.erased += looked.erased;
            for (row, leaf) in looked.rows.iter().zip(looked.leaves) {
                self.row(row, leaf, entries, &mut current).await?;
            }
            progress(self.records);
        }
        self.under_ends(current, entries).await
    }

    /// Takes the next record.
    async fn row(
        &mut self,
        row: &Row,
        leaf: Hash,
        entries: &mut Option<EntryReader>,
        current: &mut Option<Under>,
    ) -> Result<(), ArchiveError> {
        let file = self.part.manifest.files.records.path.clone();
        self.records += 1;
        if current.as_ref().is_none_or(|under| under.next > under.of.entry.new.last_seq) {
            if let Some(under) = current.take() {
                self.compare_root(under);
            }
            *current = self.entry(entries).await?;
        }
        let Some(under) = current else {
            // Without its entries a record proves nothing, which was told already.
            if entries.is_some() {
                self.altered(&file, place(row), "no entry of the part accounts for it");
            }
            return Ok(());
        };
        let new = &under.of.entry.new;
        let expected = (under.of.entry.position, under.next - new.first_seq, under.next);
        if row.record.writer_id != new.writer_id
            || (row.position, row.index, row.record.seq) != expected
        {
            let detail = format!(
                "record {} of stream {} was expected here, of entry {}",
                under.next, new.writer_id, under.of.entry.position
            );
            self.altered(&file, place(row), detail);
        }
        under.frontier.push(leaf);
        under.next += 1;
        Ok(())
    }

    /// Takes the next entry.
    async fn entry(
        &mut self,
        entries: &mut Option<EntryReader>,
    ) -> Result<Option<Under>, ArchiveError> {
        let file = self.part.manifest.files.ledger.path.clone();
        let Some(reader) = entries else { return Ok(None) };
        let next = reader.next().await;
        let Some(next) = self.opened(&file, next)? else {
            *entries = None;
            return Ok(None);
        };
        let Some(of) = next else { return Ok(None) };
        let entry = &of.entry;
        let new = &entry.new;
        let place = entry_place(&of);
        let manifest = &self.part.manifest;
        let order = self.entries > 0 && entry.position <= self.count.last();
        if new.month != manifest.month || new.class != manifest.class {
            self.altered(&file, place, "the entry is of another unit");
        } else if order || new.first_seq < 1 || new.last_seq < new.first_seq {
            self.altered(&file, place, "the entry is none that follows the one before it");
        }
        self.prove(&of, &file);
        self.entries += 1;
        self.count.push(&of.entry);
        let (first, last) = (of.entry.new.first_at, of.entry.new.last_at);
        self.times = Some(match self.times {
            Some(times) => (times.0.min(first), times.1.max(last)),
            None => (first, last),
        });
        Ok(Some(Under { next: of.entry.new.first_seq, frontier: Frontier::new(), of }))
    }

    /// Compares an entry with the signed head.
    fn prove(&mut self, of: &ArchivedEntry, file: &str) {
        let (Some(head), Some(path)) = (&self.head, &of.path) else { return };
        let index = u64::try_from(of.entry.position - 1).unwrap_or(u64::MAX);
        let root = root_by_inclusion(&of.entry.leaf_hash(), index, head.size, path);
        if root == Some(head.root) {
            self.proved += 1;
        } else {
            let detail = "the entry does not lie under the signed head";
            self.altered(file, entry_place(of), detail);
        }
    }

    fn compare_root(&mut self, under: Under) {
        let file = self.part.manifest.files.records.path.clone();
        let Under { of, next, frontier } = under;
        if next <= of.entry.new.last_seq {
            let new = &of.entry.new;
            let place = Place::records(new.writer_id, next, new.last_seq).at(of.entry.position);
            self.altered(&file, place, "the entry accounts for records that are not there");
        } else if frontier.root() != of.entry.new.batch_root {
            let detail = "the hashes of the records do not give the root of the entry";
            self.altered(&file, entry_place(&of), detail);
        }
    }

    /// Behind the last record: there is no further entry.
    async fn under_ends(
        &mut self,
        current: Option<Under>,
        entries: &mut Option<EntryReader>,
    ) -> Result<(), ArchiveError> {
        if let Some(under) = current {
            self.compare_root(under);
        }
        // Where the records could not be read to their end, this was told.
        let whole = self.faults.is_empty();
        while let Some(under) = self.entry(entries).await? {
            if whole {
                self.compare_root(under);
            }
        }
        Ok(())
    }

    /// Compares a file with what the manifest says of it.
    fn compare_file(
        &mut self,
        facts: &FileFacts,
        hashed: Option<Result<(u64, Hash), ArchiveError>>,
    ) -> Result<(), ArchiveError> {
        // One that could not be opened was told of.
        let Some(hashed) = hashed else { return Ok(()) };
        let Some((bytes, hash)) = self.opened(&facts.path, hashed)? else { return Ok(()) };
        if bytes != facts.bytes || hex(&hash) != facts.sha256 {
            let detail = "its bytes are not those that the manifest names";
            self.altered(&facts.path, Place::default(), detail);
        }
        Ok(())
    }

    /// Compares what was computed with what the manifest says.
    fn compare_manifest(&mut self) {
        let manifest = &self.part.manifest;
        let counted = self.count.of(manifest.month, &manifest.class);
        let (first, last) =
            counted.as_ref().map_or((0, 0), |counted| (counted.first, counted.last));
        let root = counted.map(|counted| hex(&counted.root)).unwrap_or_default();
        let wrong = [
            ("records", manifest.records == self.records),
            ("entries", manifest.entries == self.entries),
            ("first", manifest.first == first),
            ("last", manifest.last == last),
            ("root", manifest.root == root),
            ("first_at", Some(manifest.first_at) == self.times.map(|times| times.0)),
            ("last_at", Some(manifest.last_at) == self.times.map(|times| times.1)),
            ("proved", self.head.is_none() || manifest.proved == self.proved),
            ("erased", manifest.erased == self.erased),
        ];
        for (name, _) in wrong.into_iter().filter(|(_, same)| !same) {
            let detail = format!("its `{name}` is not what its files come to");
            self.altered(&self.part.path(), Place::default(), detail);
        }
    }
}

/// An entry while its records are read.
struct Under {
    of: ArchivedEntry,
    /// The number that comes next.
    next: i64,
    frontier: Frontier,
}

fn place(row: &Row) -> Place {
    let record = &row.record;
    let place = Place::records(record.writer_id, record.seq, record.seq).at(row.position);
    Place { id: Some(record.id), ..place }
}

fn entry_place(of: &ArchivedEntry) -> Place {
    let new = &of.entry.new;
    Place::records(new.writer_id, new.first_seq, new.last_seq).at(of.entry.position)
}

/// Decodes and hashes a row group.
fn looked(piece: &Piece, beside: Option<&Piece>) -> parquet::errors::Result<Looked> {
    let mut rows = vec![Row::default(); piece.rows];
    piece.read(&mut rows)?;
    let mut looked = Looked {
        leaves: Vec::with_capacity(rows.len()),
        rows: Vec::new(),
        erased: 0,
        faults: Vec::new(),
        unreadable: None,
    };
    let mut canonical = Canonical::new();
    for row in &rows {
        let leaf = leaf_hash(canonical.encode_committed(&row.record, &row.commitments));
        looked.leaves.push(leaf);
    }
    let Some(beside) = beside else {
        looked.rows = rows;
        return Ok(looked);
    };
    let keys: Vec<_> = rows.iter().map(key).collect();
    if let Err(error) = beside.read(&mut rows) {
        looked.unreadable = Some(error.to_string());
        looked.rows = rows;
        return Ok(looked);
    }
    for (row, own) in rows.iter_mut().zip(keys) {
        if key(row) != own {
            let why = "it is the row of another record";
            looked.faults.push((row.clone(), FileKind::Personal, why.to_owned()));
            (row.record.id, row.record.writer_id, row.record.seq) = own;
            continue;
        }
        settle(row);
        for (index, group) in Group::ERASABLE.into_iter().enumerate() {
            looked.erased += u64::from(matches!(row.record.seals.of(group), Seal::Erased(_)));
            if canonical.commitment(&row.record, group) != row.commitments[index] {
                let why =
                    format!("its group {} is not the one that was committed to", group.as_str());
                looked.faults.push((row.clone(), FileKind::Personal, why));
            }
        }
    }
    looked.rows = rows;
    Ok(looked)
}
