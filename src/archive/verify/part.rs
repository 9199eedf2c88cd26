//! One part: its files side by side, and what its manifest says of them.

use std::iter;

use super::{
    super::{
        Archive,
        columns::{PERSONAL, RECORDS, Row},
        error::ArchiveError,
        manifest::{FileFacts, Files, Part},
        names::FileKind,
        reader::EntryReader,
        report::{Fault, FaultKind},
        table::{Piece, Table, apart},
    },
    ArchiveAudit,
    entries::Under,
    fault_of,
    group::{Looked, looked},
};
use crate::{
    ledger::{Checkpoint, Hash, RemovalCount, verify::Place},
    record::hex,
    time::Timestamp,
};

/// So many faults of one part are told singly.
const TOLD: usize = 50;

/// One part while it is read.
pub(super) struct PartCheck<'a> {
    pub(super) archive: &'a Archive,
    pub(super) part: &'a Part,
    pub(super) audit: &'a ArchiveAudit,
    pub(super) faults: Vec<Fault>,
    pub(super) head: Option<Checkpoint>,
    pub(super) records: u64,
    pub(super) entries: u64,
    pub(super) proved: u64,
    pub(super) erased: u64,
    pub(super) signed: Option<(u64, Timestamp)>,
    pub(super) anchored: Option<(u64, Timestamp)>,
    pub(super) times: Option<(Timestamp, Timestamp)>,
    pub(super) count: RemovalCount,
}

impl<'a> PartCheck<'a> {
    pub(super) fn new(archive: &'a Archive, part: &'a Part, audit: &'a ArchiveAudit) -> Self {
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

    pub(super) fn found(&mut self, fault: Fault) {
        if self.faults.len() < TOLD {
            self.faults.push(fault);
        }
    }

    pub(super) fn altered(&mut self, file: &str, place: Place, detail: impl Into<String>) {
        self.found(Fault::new(FaultKind::Altered, file, detail).at(place));
    }

    /// Takes what a file came to; `None`, and the fault is kept, when it cannot be read.
    pub(super) fn opened<T>(
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

    pub(super) async fn all(&mut self, progress: impl FnMut(u64)) -> Result<(), ArchiveError> {
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

    /// Reads the records, each under its entry: two row groups at once, each decoded and hashed on a thread of its own.
    async fn rows(
        &mut self,
        entries: &mut Option<EntryReader>,
        table: &mut Option<Table>,
        groups: &mut Option<Table>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), ArchiveError> {
        let records = self.part.manifest.files.records.path.clone();
        let look = |(piece, beside): (Piece, Option<Piece>)| {
            apart(&records, move || looked(&piece, beside.as_ref()))
        };
        let mut current: Option<Under> = None;
        while let Some(one) = self.pieces(table, groups).await? {
            let other = self.pieces(table, groups).await?;
            let (one, other) = match other {
                Some(other) => {
                    let (one, other) = tokio::join!(look(one), look(other));
                    (one, Some(other))
                }
                None => (look(one).await, None),
            };
            for looked in iter::once(one).chain(other) {
                let Some(looked) = self.opened(&records, looked)? else {
                    *table = None;
                    break;
                };
                if !self.looked(looked, entries, &mut current).await? {
                    *groups = None;
                }
                progress(self.records);
            }
        }
        self.under_ends(current, entries).await
    }

    /// Reads the next row group, and that of the personal groups beside it, as they lie there; `None` behind the last.
    async fn pieces(
        &mut self,
        table: &mut Option<Table>,
        groups: &mut Option<Table>,
    ) -> Result<Option<(Piece, Option<Piece>)>, ArchiveError> {
        let Files { records, personal, .. } = self.part.manifest.files.clone();
        let Some(reader) = table else { return Ok(None) };
        let piece = self.opened(&records.path, reader.piece().await)?;
        let Some(piece) = piece else {
            *table = None;
            return Ok(None);
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
                return Ok(None);
            }
            (None, _) => return Ok(None),
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
        Ok(Some((piece, beside)))
    }

    /// Takes a row group as it was decoded; `false` when its personal groups could not be.
    async fn looked(
        &mut self,
        looked: Looked,
        entries: &mut Option<EntryReader>,
        current: &mut Option<Under>,
    ) -> Result<bool, ArchiveError> {
        let Files { records, personal, .. } = self.part.manifest.files.clone();
        let is_whole = looked.unreadable.is_none();
        if let Some(why) = looked.unreadable {
            self.found(Fault::new(FaultKind::Unreadable, &personal.path, why));
        }
        for (row, kind, why) in looked.faults {
            let file = if kind == FileKind::Personal { &personal.path } else { &records.path };
            self.altered(file, place(&row), why);
        }
        self.erased += looked.erased;
        for (row, leaf) in looked.rows.iter().zip(looked.leaves) {
            self.row(row, leaf, entries, current).await?;
        }
        Ok(is_whole)
    }

    /// Takes the next record.
    async fn row(
        &mut self,
        row: &Row,
        leaf: Hash,
        entries: &mut Option<EntryReader>,
        current: &mut Option<Under>,
    ) -> Result<(), ArchiveError> {
        let file = &self.part.manifest.files.records.path;
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
                self.altered(file, place(row), "no entry of the part accounts for it");
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
            self.altered(file, place(row), detail);
        }
        under.frontier.push(leaf);
        under.next = under.next.saturating_add(1);
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

fn place(row: &Row) -> Place {
    let record = &row.record;
    let place = Place::records(record.writer_id, record.seq, record.seq).at(row.position);
    Place { id: Some(record.id), ..place }
}
