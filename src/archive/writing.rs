//! Writing a part: from the log into three files.

use std::{collections::VecDeque, panic::resume_unwind, thread};

use parquet::{errors::ParquetError, file::writer::SerializedFileWriter};
use rand::random;
use tokio::task::JoinHandle;

use super::{
    Archive,
    columns::{PERSONAL, RECORDS, Row},
    error::{ArchiveError, ArchiveErrorKind},
    ledger::{self, HeadLine},
    manifest::{FORMAT, Files, Manifest},
    names::{self, FileKind},
    upload::Upload,
};
use crate::{
    ledger::{Checkpoint, Entry, Frontier, Hash, Nodes, RemovalCount, leaf_hash},
    record::{Canonical, Group, Seal, hex},
    store::{AnyStore, Evidence as _, Retain as _, Unit, entry_nodes},
    time::Timestamp,
};

/// So many entries of the ledger, or records, are read at once.
const ENTRIES: usize = 500;
const ROWS: usize = 2_000;
/// So many entries share the nodes of their paths.
const BLOCK: u64 = 256;

/// The head of the ledger that proves what is archived.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) note: String,
    pub(super) checkpoint: Checkpoint,
    /// It was signed for this run: what came later is left to the next.
    pub(super) fresh: bool,
}

/// What a part is to hold.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) unit: &'a Unit,
    pub(super) origin: &'a str,
    pub(super) part: u32,
    /// Entries up to this position are archived.
    pub(super) after: i64,
    pub(super) head: Option<&'a Head>,
    pub(super) now: Timestamp,
}

/// Files that were written, and have no manifest yet.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) manifest: Manifest,
    uploads: [Upload; 3],
}

impl Written {
    /// Gives the files up.
    pub(super) async fn abort(mut self) {
        for upload in &mut self.uploads {
            upload.abort().await;
        }
    }
}

/// Writes the files of a part; `None` when there is nothing more to archive.
pub(super) async fn write(
    archive: &Archive,
    log: &AnyStore,
    ask: &Ask<'_>,
) -> Result<Option<Written>, ArchiveError> {
    let mut writing = Writing::new(archive, log, ask)?;
    let manifest = match writing.all().await {
        Ok(Some(manifest)) => manifest,
        nothing => {
            for upload in &mut writing.uploads {
                upload.abort().await;
            }
            return nothing.map(|_| None);
        }
    };
    Ok(Some(Written { manifest, uploads: writing.uploads }))
}

/// The error of a log that is not as it was written.
fn altered(position: i64) -> ArchiveError {
    let doing = format!(
        "archive entry {position} of the ledger: its records are not those that were written; \
         `activity verify` says what was altered"
    );
    ArchiveError::new(ArchiveErrorKind::Altered, doing)
}

const IN_RECORDS: usize = 0;
const IN_PERSONAL: usize = 1;
const IN_LEDGER: usize = 2;

/// What a thread of its own is at, and the bytes that became ready.
type Busy = JoinHandle<Result<(Box<Tables>, [Vec<u8>; 2]), Trouble>>;

struct Writing<'a> {
    archive: &'a Archive,
    log: &'a AnyStore,
    ask: &'a Ask<'a>,
    uploads: [Upload; 3],
    tables: Option<Box<Tables>>,
    busy: Option<Busy>,
    rows: Vec<Row>,
    /// Of the rows.
    text: usize,
    /// Whose rows come next.
    entries: Vec<Entry>,
    count: RemovalCount,
    records: u64,
    entries_written: u64,
    times: Option<(Timestamp, Timestamp)>,
    proved: u64,
    nodes: Option<(u64, Nodes)>,
}

impl<'a> Writing<'a> {
    fn new(
        archive: &'a Archive,
        log: &'a AnyStore,
        ask: &'a Ask<'a>,
    ) -> Result<Self, ArchiveError> {
        let token = hex(&random::<[u8; 8]>());
        let upload = |kind| Upload::new(archive, names::file(kind, ask.unit, ask.part, &token, 1));
        let uploads = [FileKind::Records, FileKind::Personal, FileKind::Ledger].map(upload);
        let tables =
            Tables::new().map_err(|error| of_parquet(uploads[IN_RECORDS].name(), error))?;
        Ok(Self {
            archive,
            log,
            ask,
            uploads,
            tables: Some(Box::new(tables)),
            busy: None,
            rows: Vec::new(),
            text: 0,
            entries: Vec::new(),
            count: RemovalCount::default(),
            records: 0,
            entries_written: 0,
            times: None,
            proved: 0,
            nodes: None,
        })
    }

    async fn all(&mut self) -> Result<Option<Manifest>, ArchiveError> {
        let mut after = self.ask.after;
        let until = match self.ask.head {
            Some(head) if head.fresh => i64::try_from(head.checkpoint.size).unwrap_or(i64::MAX),
            _ => i64::MAX,
        };
        loop {
            let mut entries = self.log.unit_entries(self.ask.unit, after, ENTRIES).await?;
            let full = entries.len() == ENTRIES;
            entries.retain(|entry| entry.position <= until);
            let Some(last) = entries.last() else { break };
            after = last.position;
            let all = full && after < until;
            let more = self.page(entries).await?;
            if !more || !all {
                break;
            }
        }
        if self.records == 0 {
            return Ok(None);
        }
        self.flush().await?;
        let tables = self.settled().await?;
        let name = self.uploads[IN_RECORDS].name().to_owned();
        let ended = tokio::task::spawn_blocking(move || tables.finish()).await;
        let (bytes, erased) = ended
            .map_err(|_| of_parquet(&name, ParquetError::General("the writer failed".to_owned())))?
            .map_err(|trouble| trouble.of(&name))?;
        self.upload(&bytes).await?;
        let [records, personal, ledger] = &mut self.uploads;
        let files = Files {
            records: records.finish().await?,
            personal: personal.finish().await?,
            ledger: ledger.finish().await?,
        };
        let Some(counted) = self.count.of(self.ask.unit.month, &self.ask.unit.class) else {
            return Ok(None);
        };
        let Some((first_at, last_at)) = self.times else { return Ok(None) };
        Ok(Some(Manifest {
            format: FORMAT,
            origin: self.ask.origin.to_owned(),
            class: self.ask.unit.class.clone(),
            month: self.ask.unit.month,
            part: self.ask.part,
            records: self.records,
            entries: self.entries_written,
            first: counted.first,
            last: counted.last,
            root: hex(&counted.root),
            first_at,
            last_at,
            proved: self.proved,
            erased,
            generation: 1,
            files,
            written_at: self.ask.now,
            written_by: concat!("tower-activity ", env!("CARGO_PKG_VERSION")).to_owned(),
        }))
    }

    /// Takes some entries, and as many as the part has room for; `false` when it is full.
    async fn page(&mut self, entries: Vec<Entry>) -> Result<bool, ArchiveError> {
        let mut entries = entries.into_iter().peekable();
        while let Some(first) = entries.next() {
            // The records of one stream are read in one go.
            let mut run = vec![first];
            let mut coming = run[0].new.count().unsigned_abs();
            let room = self.archive.limits.part.saturating_sub(self.records);
            while coming < room
                && let Some(next) =
                    entries.next_if(|next| run.last().is_some_and(|last| last.is_followed_by(next)))
            {
                coming += next.new.count().unsigned_abs();
                run.push(next);
            }
            self.run(&run).await?;
            for entry in run {
                self.entry(entry).await?;
            }
            if self.records >= self.archive.limits.part {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the records of entries that follow each other in one stream.
    async fn run(&mut self, run: &[Entry]) -> Result<(), ArchiveError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let (stream, to) = (first.new.writer_id, last.new.last_seq);
        let (mut from, mut entries) = (first.new.first_seq, run.iter());
        let mut entry = entries.next();
        self.entries.extend_from_slice(run);
        while from <= to {
            let rows = self.log.record_rows(stream, from, to, ROWS).await?;
            let read = rows.len();
            for row in rows {
                while entry.is_some_and(|entry| entry.new.last_seq < row.seq) {
                    entry = entries.next();
                }
                let Some(entry) = entry else { break };
                let record = row.record().ok().filter(|record| record.seq == from);
                let record = record.ok_or_else(|| altered(entry.position))?;
                from += 1;
                self.text += record.text_bytes();
                self.rows.push(Row {
                    index: record.seq - entry.new.first_seq,
                    record,
                    position: entry.position,
                    commitments: [None; 4],
                });
                let limits = &self.archive.limits;
                if self.rows.len() >= limits.rows || self.text >= limits.bytes {
                    self.flush().await?;
                }
            }
            if read == 0 {
                return Err(altered(entry.map_or(last.position, |entry| entry.position)));
            }
        }
        Ok(())
    }

    /// Writes an entry down whose records were taken.
    async fn entry(&mut self, entry: Entry) -> Result<(), ArchiveError> {
        if self.entries_written == 0 {
            let checkpoint = self.ask.head.map(|head| head.note.clone());
            self.uploads[IN_LEDGER].write(&ledger::line(&HeadLine { checkpoint })).await?;
        }
        let path = self.path(&entry).await?;
        self.proved += u64::from(path.is_some());
        self.uploads[IN_LEDGER].write(&ledger::entry_line(&entry, path.as_deref())).await?;
        self.count.push(&entry);
        self.entries_written += 1;
        self.records += entry.new.count().unsigned_abs();
        let (first, last) = (entry.new.first_at, entry.new.last_at);
        self.times = Some(match self.times {
            Some(times) => (times.0.min(first), times.1.max(last)),
            None => (first, last),
        });
        Ok(())
    }

    /// Returns the path of an entry to the head, if that covers it.
    async fn path(&mut self, entry: &Entry) -> Result<Option<Vec<Hash>>, ArchiveError> {
        let Some(head) = self.ask.head else { return Ok(None) };
        let size = head.checkpoint.size;
        let Some(index) = (entry.position - 1).try_into().ok().filter(|index| *index < size) else {
            return Ok(None);
        };
        if self.nodes.as_ref().is_none_or(|(block, _)| *block != index / BLOCK) {
            self.nodes = Some((index / BLOCK, entry_nodes(self.log, index, size).await?));
        }
        let path = self.nodes.as_ref().and_then(|(_, nodes)| nodes.inclusion_proof(index, size));
        Ok(Some(path.ok_or_else(|| altered(entry.position))?))
    }

    /// Has a thread of its own hash and write the rows, while the next ones are read.
    async fn flush(&mut self) -> Result<(), ArchiveError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut tables = self.settled().await?;
        let (mut rows, entries) =
            (std::mem::take(&mut self.rows), std::mem::take(&mut self.entries));
        self.text = 0;
        self.busy = Some(tokio::task::spawn_blocking(move || {
            tables.entries.extend(entries);
            tables.group(&mut rows)?;
            let bytes = tables.take()?;
            Ok((tables, bytes))
        }));
        Ok(())
    }

    /// Waits until the rows before are written, and sends what came of them.
    async fn settled(&mut self) -> Result<Box<Tables>, ArchiveError> {
        let name = self.uploads[IN_RECORDS].name().to_owned();
        let failed = || of_parquet(&name, ParquetError::General("the writer failed".to_owned()));
        let Some(busy) = self.busy.take() else { return self.tables.take().ok_or_else(failed) };
        let done = busy.await.map_err(|_| failed())?;
        let (tables, bytes) = done.map_err(|trouble| trouble.of(&name))?;
        self.upload(&bytes).await?;
        Ok(tables)
    }

    async fn upload(&mut self, bytes: &[Vec<u8>; 2]) -> Result<(), ArchiveError> {
        self.uploads[IN_RECORDS].write(&bytes[0]).await?;
        self.uploads[IN_PERSONAL].write(&bytes[1]).await
    }
}

fn of_parquet(name: &str, error: ParquetError) -> ArchiveError {
    ArchiveError::new(ArchiveErrorKind::Unreadable, format!("write {name}")).with_source(error)
}

/// What stopped the thread that writes.
#[derive(Debug)]
enum Trouble {
    /// The records of the entry at this position are not those that were written.
    Altered(i64),
    Parquet(ParquetError),
}

impl Trouble {
    fn of(self, name: &str) -> ArchiveError {
        match self {
            Self::Altered(position) => altered(position),
            Self::Parquet(error) => of_parquet(name, error),
        }
    }
}

impl From<ParquetError> for Trouble {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

/// Gives rows their commitments, and returns the hashes of their records.
fn hashed(rows: &mut [Row]) -> Vec<Hash> {
    let mut canonical = Canonical::new();
    let hash = |row: &mut Row| {
        let record = &row.record;
        row.commitments = Group::ERASABLE.map(|group| canonical.commitment(record, group));
        leaf_hash(canonical.encode_committed(record, &row.commitments))
    };
    rows.iter_mut().map(hash).collect()
}

/// Does two things at the same time.
fn both<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let beside = scope.spawn(one);
        let other = other();
        (beside.join().unwrap_or_else(|panic| resume_unwind(panic)), other)
    })
}

/// The two Parquet files, and what is known of the entries whose records go into them.
struct Tables {
    records: SerializedFileWriter<Vec<u8>>,
    personal: SerializedFileWriter<Vec<u8>>,
    entries: VecDeque<Entry>,
    /// Over the records of the first of the entries, so far.
    frontier: Frontier,
    erased: u64,
}

impl Tables {
    fn new() -> Result<Self, ParquetError> {
        Ok(Self {
            records: RECORDS.begin()?,
            personal: PERSONAL.begin()?,
            entries: VecDeque::new(),
            frontier: Frontier::new(),
            erased: 0,
        })
    }

    /// Writes a row group into both, unless the records are not those that were written. Hashing and writing take two
    /// threads: there are two halves of the rows, and two files.
    fn group(&mut self, rows: &mut [Row]) -> Result<(), Trouble> {
        let (first, second) = rows.split_at_mut(rows.len() / 2);
        let (first, second) = both(|| hashed(first), || hashed(second));
        for (row, leaf) in rows.iter().zip(first.into_iter().chain(second)) {
            let record = &row.record;
            let erased = |group: &Group| matches!(record.seals.of(*group), Seal::Erased(_));
            self.erased += Group::ERASABLE.iter().filter(|group| erased(group)).count() as u64;
            self.frontier.push(leaf);
            let Some(entry) = self.entries.front() else {
                return Err(Trouble::Altered(row.position));
            };
            if record.seq == entry.new.last_seq {
                let frontier = std::mem::take(&mut self.frontier);
                if frontier.root() != entry.new.batch_root {
                    return Err(Trouble::Altered(entry.position));
                }
                self.entries.pop_front();
            }
        }
        let (rows, Self { records, personal, .. }) = (&*rows, self);
        let (sealed, groups) =
            both(|| RECORDS.write(rows, records), || PERSONAL.write(rows, personal));
        sealed?;
        groups?;
        Ok(())
    }

    /// Takes the bytes that are ready.
    fn take(&mut self) -> Result<[Vec<u8>; 2], ParquetError> {
        let taken = |writer: &mut SerializedFileWriter<Vec<u8>>| {
            writer.flush()?;
            Ok::<_, ParquetError>(std::mem::take(writer.inner_mut()))
        };
        Ok([taken(&mut self.records)?, taken(&mut self.personal)?])
    }

    /// Writes the ends of the files; returns them, and how many groups are erased.
    fn finish(mut self: Box<Self>) -> Result<([Vec<u8>; 2], u64), Trouble> {
        if let Some(entry) = self.entries.front() {
            return Err(Trouble::Altered(entry.position));
        }
        self.records.finish()?;
        self.personal.finish()?;
        Ok((self.take()?, self.erased))
    }
}
