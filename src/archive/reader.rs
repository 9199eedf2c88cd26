//! Reading a part back: its records, and the entries that account for them.

use super::{
    Archive,
    columns::{PERSONAL, RECORDS, Row},
    error::ArchiveError,
    ledger::{self, ArchivedEntry, HeadLine},
    lines::Lines,
    manifest::Part,
    table::{Table, apart},
};
use crate::record::{Group, Record, Seal};

/// A record as it comes from an archive.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ArchivedRecord {
    /// The record; groups that were erased since are erased.
    pub record: Box<Record>,
    /// The position of the entry that accounts for it.
    pub position: i64,
}

/// The records of a part, in the order of their entries and numbers.
///
/// What it reads is not verified: [`Archive::verify`] is for that.
#[derive(Debug)]
pub struct PartReader {
    records: Table,
    personal: Table,
    name: String,
}

impl PartReader {
    /// Returns the records of the next row group; `None` behind the last.
    ///
    /// # Errors
    ///
    /// When the archive cannot be reached, or a file is none that this version writes.
    pub async fn next(&mut self) -> Result<Option<Vec<ArchivedRecord>>, ArchiveError> {
        let name = self.name.clone();
        let apart_from = || {
            ArchiveError::unreadable(&name, "its files `records` and `personal` do not correspond")
        };
        let (records, personal) = tokio::join!(self.records.piece(), self.personal.piece());
        let (records, personal) = match (records?, personal?) {
            (Some(records), Some(personal)) if records.rows == personal.rows => (records, personal),
            (None, None) => return Ok(None),
            _ => return Err(apart_from()),
        };
        let rows = apart(&name, move || {
            let mut rows = vec![Row::default(); records.rows];
            records.read(&mut rows)?;
            let keys: Vec<_> = rows.iter().map(key).collect();
            personal.read(&mut rows)?;
            let same = rows.iter().map(key).eq(keys);
            Ok(same.then_some(rows))
        });
        let rows = rows.await?.ok_or_else(apart_from)?;
        let archived = |mut row: Row| {
            settle(&mut row);
            ArchivedRecord { record: row.record, position: row.position }
        };
        Ok(Some(rows.into_iter().map(archived).collect()))
    }
}

impl Archive {
    /// Reads the records of a part.
    ///
    /// # Errors
    ///
    /// When the archive cannot be reached, or a file is none that this version writes.
    pub async fn reader(&self, part: &Part) -> Result<PartReader, ArchiveError> {
        let files = &part.manifest.files;
        Ok(PartReader {
            records: Table::open(self, &files.records.path, &RECORDS).await?,
            personal: Table::open(self, &files.personal.path, &PERSONAL).await?,
            name: part.path(),
        })
    }

    /// Reads the entries of a part.
    ///
    /// # Errors
    ///
    /// As [`reader`](Self::reader).
    pub async fn entries(&self, part: &Part) -> Result<EntryReader, ArchiveError> {
        EntryReader::open(self, &part.manifest.files.ledger.path).await
    }
}

/// The entries of a part, in the order of their positions.
#[derive(Debug)]
pub struct EntryReader {
    pub(super) lines: Lines,
    name: String,
    checkpoint: Option<String>,
}

impl EntryReader {
    pub(super) async fn open(archive: &Archive, name: &str) -> Result<Self, ArchiveError> {
        let mut lines = Lines::open(archive, name).await?;
        let head = match lines.next().await? {
            Some(line) => serde_json::from_slice::<HeadLine>(line).ok(),
            None => None,
        };
        let head = head
            .ok_or_else(|| ArchiveError::unreadable(name, "line 1 is not that of a signed head"))?;
        Ok(Self { lines, name: name.to_owned(), checkpoint: head.checkpoint })
    }

    /// Returns the signed head of the ledger when the part was written.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&str> {
        self.checkpoint.as_deref()
    }

    /// Returns the next entry; `None` behind the last.
    ///
    /// # Errors
    ///
    /// When the archive cannot be reached, or a line is no entry.
    pub async fn next(&mut self) -> Result<Option<ArchivedEntry>, ArchiveError> {
        let Some(line) = self.lines.next().await? else { return Ok(None) };
        let entry = ledger::read_entry(line);
        let entry = entry.ok_or_else(|| {
            ArchiveError::unreadable(&self.name, "a line is no entry as a ledger has them")
        })?;
        Ok(Some(entry))
    }
}

/// Whose row it is.
pub(super) fn key(row: &Row) -> (crate::record::RecordId, crate::record::WriterId, i64) {
    (row.record.id, row.record.writer_id, row.record.seq)
}

/// Says of each group that has a commitment and no salt that it is erased.
pub(super) fn settle(row: &mut Row) {
    for (group, commitment) in Group::ERASABLE.into_iter().zip(row.commitments) {
        if let (Seal::Empty, Some(commitment)) = (row.record.seals.of(group), commitment) {
            row.record.seals.set(group, Seal::Erased(commitment));
        }
    }
}
