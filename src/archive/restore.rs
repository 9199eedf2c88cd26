//! Putting what is archived back into a database of its own, to be asked.

use super::{
    Archive, ArchivedRecord, Part, PartReader,
    error::{ArchiveError, ArchiveErrorKind},
};
use crate::{
    ledger::{Entry, Frontier, leaf_hash},
    query::Filter,
    record::{Canonical, Groups, Record, Seal},
    store::{ErasedGroups, Scratch, ScratchEntry, Unit, sqlite::SqliteStore},
    time::Timestamp,
};

/// About so many records are put back in one transaction.
const STEP: usize = 2_000;

/// What is to be put back.
#[derive(Debug, Clone)]
pub struct RestoreAsk {
    /// Which units; all when there are none.
    pub units: Vec<Unit>,
    /// Which records; all of them when it lets everything pass.
    pub filter: Filter,
    /// The question in the words of whoever asks, where it is not all.
    pub asked: Option<String>,
    /// The time.
    pub now: Timestamp,
}

/// How much was put back so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Restoring {
    /// Records.
    pub records: u64,
    /// Entries of the ledger that account for them.
    pub entries: u64,
}

impl Archive {
    /// Makes a [scratch copy](Scratch) of what is archived: a SQLite database of its own that can be asked as a log can.
    ///
    /// Each entry is verified on its way: its records give its root. What `erased` says of a record stays away, beside
    /// what is erased in the archive. Of entries of which not all records are asked for, the copy has the hashes of the
    /// others; entries without any that is asked for are not in it.
    ///
    /// # Errors
    ///
    /// When the place has anything in it, the archive cannot be reached, or what it holds is not what was archived.
    ///
    /// # Cancel safety
    ///
    /// What is left of a copy that was not ended says so.
    pub async fn restore(
        &self,
        to: &str,
        ask: &RestoreAsk,
        mut erased: impl FnMut(&Record) -> Groups,
        mut progress: impl FnMut(Restoring),
    ) -> Result<Scratch, ArchiveError> {
        let mut parts = self.parts().await?;
        parts.retain(|part| ask.units.is_empty() || ask.units.contains(&part.unit()));
        if parts.is_empty() {
            let doing = format!("restore from {self}: there is nothing of what is asked for");
            return Err(ArchiveError::new(ArchiveErrorKind::Missing, doing));
        }
        let mut scratch = Scratch {
            from: self.to_string(),
            made_at: ask.now,
            asked: ask.asked.clone(),
            parts: parts.iter().map(Part::path).collect(),
            heads: Vec::new(),
            entries: 0,
            records: 0,
            left_out: 0,
            erased: 0,
            whole: false,
        };
        let store = SqliteStore::make_scratch(to, &scratch).await.map_err(ArchiveError::of_copy)?;
        let mut canonical = Canonical::new();
        for part in &parts {
            let mut entries = self.entries(part).await?;
            let head = entries.checkpoint().map(|note| head(&mut scratch.heads, note));
            let mut rows =
                Rows { reader: self.reader(part).await?, waiting: Vec::new().into_iter() };
            let (mut step, mut size) = (Vec::new(), 0);
            while let Some(archived) = entries.next().await? {
                let path = head.zip(archived.path);
                let entry = archived.entry;
                let mut put = ScratchEntry {
                    path,
                    records: Vec::new(),
                    left_out: Vec::new(),
                    entry: entry.clone(),
                };
                let mut frontier = Frontier::new();
                for seq in entry.new.first_seq..=entry.new.last_seq {
                    let altered = || altered(part, &entry, seq);
                    let ArchivedRecord { mut record, .. } =
                        rows.next().await?.ok_or_else(altered)?;
                    if (record.writer_id, record.seq) != (entry.new.writer_id, seq) {
                        return Err(altered());
                    }
                    let leaf = leaf_hash(canonical.encode(&record));
                    frontier.push(leaf);
                    if !ask.filter.matches(&record) {
                        put.left_out.push((seq, leaf));
                        continue;
                    }
                    let groups = erased(&record);
                    scratch.erased += empty(&mut record, groups, &mut canonical);
                    put.records.push(record);
                }
                if frontier.root() != entry.new.batch_root {
                    return Err(altered(part, &entry, entry.new.first_seq));
                }
                if put.records.is_empty() {
                    continue;
                }
                scratch.entries += 1;
                scratch.records += put.records.len() as u64;
                scratch.left_out += put.left_out.len() as u64;
                size += put.records.len() + put.left_out.len();
                step.push(put);
                if size >= STEP {
                    store.put_back(&step).await.map_err(ArchiveError::of_copy)?;
                    (step, size) = (Vec::new(), 0);
                    progress(Restoring { records: scratch.records, entries: scratch.entries });
                }
            }
            store.put_back(&step).await.map_err(ArchiveError::of_copy)?;
            progress(Restoring { records: scratch.records, entries: scratch.entries });
        }
        scratch.whole = true;
        store.end_scratch(&scratch).await.map_err(ArchiveError::of_copy)?;
        store.close().await;
        Ok(scratch)
    }
}

/// Returns the index of a head among those that are known.
fn head(heads: &mut Vec<String>, note: &str) -> usize {
    heads.iter().position(|known| known == note).unwrap_or_else(|| {
        heads.push(note.to_owned());
        heads.len() - 1
    })
}

fn altered(part: &Part, entry: &Entry, seq: i64) -> ArchiveError {
    let doing = format!(
        "restore record {seq} of stream {} from {}: the archive is not as it was written; `activity archive verify` \
         says where",
        entry.new.writer_id,
        part.path()
    );
    ArchiveError::new(ArchiveErrorKind::Altered, doing)
}

/// Empties groups of a record, and leaves their commitments; returns how many there were.
fn empty(record: &mut Record, groups: Groups, canonical: &mut Canonical) -> u64 {
    let Some(erased) = ErasedGroups::of(record, groups, canonical) else { return 0 };
    let mut count = 0;
    for (group, erased) in crate::record::Group::ERASABLE.into_iter().zip(erased.groups) {
        if let Some(erased) = erased {
            record.clear_group(group);
            record.seals.set(group, Seal::Erased(erased.commitment));
            count += 1;
        }
    }
    count
}

/// The records of a part, one by one.
struct Rows {
    reader: PartReader,
    waiting: std::vec::IntoIter<ArchivedRecord>,
}

impl Rows {
    async fn next(&mut self) -> Result<Option<ArchivedRecord>, ArchiveError> {
        loop {
            if let Some(record) = self.waiting.next() {
                return Ok(Some(record));
            }
            let Some(rows) = self.reader.next().await? else { return Ok(None) };
            self.waiting = rows.into_iter();
        }
    }
}
