//! A Parquet file of the archive while it is read: row group by row group, from its beginning to its end, hashed as it
//! goes. Nothing that stands in it is believed.

use std::{io::Cursor, ops::Range, sync::Arc};

use bytes::Bytes;
use parquet::{
    errors::{ParquetError, Result as ParquetResult},
    file::{
        metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader},
        properties::ReaderProperties,
        reader::{ChunkReader, Length},
        serialized_reader::SerializedRowGroupReader,
    },
};
use sha2::{Digest as _, Sha256};

use super::{
    Archive,
    columns::{Layout, MAX_ROWS, Row},
    error::ArchiveError,
};
use crate::ledger::Hash;

/// The length of what stands at the end of every file.
const TAIL: u64 = 8;
/// No footer is longer, and no row group.
const MAX_FOOTER: u64 = 64 * 1024 * 1024;
const MAX_GROUP: u64 = 512 * 1024 * 1024;
/// What lies between row groups and behind the last is hashed in such pieces.
const PIECE: u64 = 4 * 1024 * 1024;

/// A file under way.
#[derive(Debug)]
pub(super) struct Table {
    archive: Archive,
    name: String,
    layout: &'static Layout,
    metadata: Arc<ParquetMetaData>,
    groups: Vec<Group>,
    /// The row group that comes next.
    next: usize,
    size: u64,
    hash: Sha256,
    hashed: u64,
}

#[derive(Debug, Clone)]
struct Group {
    bytes: Range<u64>,
    rows: usize,
}

/// A row group as it lies in the file.
#[derive(Debug)]
pub(super) struct Piece {
    layout: &'static Layout,
    metadata: Arc<ParquetMetaData>,
    index: usize,
    chunk: Arc<Chunk>,
    pub(super) rows: usize,
}

impl Table {
    /// Reads the footer of a file.
    pub(super) async fn open(
        archive: &Archive,
        name: &str,
        layout: &'static Layout,
    ) -> Result<Self, ArchiveError> {
        let unreadable = |why: String| ArchiveError::unreadable(name, why);
        let size = archive.size(name).await?;
        let cut = || unreadable("it is too short for a Parquet file".to_owned());
        let tail = archive.range(name, size.checked_sub(TAIL).ok_or_else(cut)?..size).await?;
        let tail = tail[..].try_into().map_err(|_| cut())?;
        let tail = FooterTail::try_new(&tail).map_err(|error| unreadable(error.to_string()))?;
        let length = tail.metadata_length() as u64;
        let end = size - TAIL;
        let begin = end.checked_sub(length).filter(|_| length <= MAX_FOOTER).ok_or_else(cut)?;
        let footer = archive.range(name, begin..end).await?;
        let read = move || {
            let metadata = ParquetMetaDataReader::decode_metadata(&footer)?;
            layout.expect(metadata.file_metadata().schema_descr())?;
            let groups = groups(&metadata, begin)?;
            Ok((Arc::new(metadata), groups))
        };
        let (metadata, groups) = apart(name, read).await?;
        Ok(Self {
            archive: archive.clone(),
            name: name.to_owned(),
            layout,
            metadata,
            groups,
            next: 0,
            size,
            hash: Sha256::new(),
            hashed: 0,
        })
    }

    /// Returns the next row group; `None` behind the last.
    pub(super) async fn piece(&mut self) -> Result<Option<Piece>, ArchiveError> {
        let Some(group) = self.groups.get(self.next).cloned() else { return Ok(None) };
        // All of the file is hashed, also what lies between two groups, however much somebody put there.
        self.hash_up_to(group.bytes.start).await?;
        let from = self.hashed;
        let bytes = self.archive.range(&self.name, from..group.bytes.end).await?;
        self.hash.update(&bytes);
        self.hashed = group.bytes.end;
        let index = self.next;
        self.next += 1;
        Ok(Some(Piece {
            layout: self.layout,
            metadata: Arc::clone(&self.metadata),
            index,
            chunk: Arc::new(Chunk { start: from, bytes }),
            rows: group.rows,
        }))
    }

    /// Hashes what is left of the file, and returns its size and its hash.
    pub(super) async fn finish(mut self) -> Result<(u64, Hash), ArchiveError> {
        self.hash_up_to(self.size).await?;
        Ok((self.size, self.hash.finalize().into()))
    }

    async fn hash_up_to(&mut self, end: u64) -> Result<(), ArchiveError> {
        while self.hashed < end {
            let to = end.min(self.hashed + PIECE);
            let bytes = self.archive.range(&self.name, self.hashed..to).await?;
            self.hash.update(&bytes);
            self.hashed = to;
        }
        Ok(())
    }
}

impl Piece {
    /// Reads its values into rows, of which there are as many.
    pub(super) fn read(&self, rows: &mut [Row]) -> ParquetResult<()> {
        let properties = ReaderProperties::builder().set_read_bloom_filter(false).build();
        let group = SerializedRowGroupReader::new(
            Arc::clone(&self.chunk),
            self.metadata.row_group(self.index),
            self.metadata.page_index_for_row_group(self.index),
            Arc::new(properties),
        )?;
        self.layout.read(&group, rows)
    }
}

/// Does work on a thread where it holds nobody up. A panic in it is one of the decoder over hostile bytes.
pub(super) async fn apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> ParquetResult<T> + Send + 'static,
) -> Result<T, ArchiveError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| ArchiveError::unreadable(name, error)),
        Err(_) => Err(ArchiveError::unreadable(name, "it is no Parquet file that can be decoded")),
    }
}

/// Returns where the row groups lie: one behind the other, before the footer.
fn groups(metadata: &ParquetMetaData, end: u64) -> ParquetResult<Vec<Group>> {
    let wrong = |why: &str| ParquetError::General(why.to_owned());
    let mut before = 0;
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for group in metadata.row_groups() {
        let (mut first, mut last) = (u64::MAX, 0);
        for column in group.columns() {
            let (start, length) = column.byte_range();
            first = first.min(start);
            last = last.max(start.checked_add(length).ok_or_else(|| wrong("a column has no end"))?);
        }
        if first < before || last < first || last > end || last - first > MAX_GROUP {
            return Err(wrong("its row groups do not lie one behind the other"));
        }
        let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
        if !(1..=MAX_ROWS).contains(&rows) {
            return Err(wrong("a row group has more rows than any that is written, or none"));
        }
        before = last;
        groups.push(Group { bytes: first..last, rows });
    }
    Ok(groups)
}

/// Some bytes of a file, by their place in it.
#[derive(Debug)]
struct Chunk {
    start: u64,
    bytes: Bytes,
}

impl Chunk {
    fn from(&self, start: u64) -> ParquetResult<Bytes> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| *at <= self.bytes.len());
        let at = at.ok_or_else(|| ParquetError::EOF("a page lies elsewhere".to_owned()))?;
        Ok(self.bytes.slice(at..))
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Chunk {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(Cursor::new(self.from(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let bytes = self.from(start)?;
        match length <= bytes.len() {
            true => Ok(bytes.slice(..length)),
            false => Err(ParquetError::EOF("a page is cut".to_owned())),
        }
    }
}
