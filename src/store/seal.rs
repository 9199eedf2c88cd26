//! Making checkpoints, and proving that a record lies under one.

use std::ops::RangeInclusive;

use super::{Evidence, StoreError, StoreErrorKind, evidence::is_all_of};
use crate::{
    ledger::{
        Checkpoint, Entry, Frontier, Hash, KeptCheckpoint, Nodes, Note, TreeNode, folded,
        inclusion_proof, leaf_hash, origin_of, root_by_inclusion, tiles_within, verify::RecordRow,
    },
    record::{Canonical, Record, WriterId},
    time::Timestamp,
};

/// So many entries of the ledger, or records of one, are read at once.
const PAGE: usize = 2_000;
/// What [`prove`] does.
const DOING: &str = "prove a record";

/// Why a ledger that is not whole gets no checkpoint and no proof.
fn damaged(doing: &str, what: &str) -> StoreError {
    let doing = format!("{doing}: {what}; `activity verify` says what was altered");
    StoreError::new(StoreErrorKind::Data, doing)
}

/// Makes a checkpoint of the ledger as it stands, signed with each of some keys, and keeps it; `None` when the
/// ledger is empty.
///
/// Goes on from the last one, so that it reads the entries since then and nothing else. Of several processes that
/// do so at once, one keeps its checkpoint, and all return it.
///
/// # Errors
///
/// When the store cannot be asked, or its ledger does not go on from its last checkpoint.
pub async fn make_checkpoint<S: Evidence>(
    store: &S,
    seeds: &[[u8; 32]],
    now: Timestamp,
) -> Result<Option<KeptCheckpoint>, StoreError> {
    const DOING: &str = "make a checkpoint";
    if store.scratch().await?.is_some() {
        // A part of a ledger has no root of its own.
        return Ok(None);
    }
    let last = store.last_checkpoint().await?;
    let (mut frontier, mut epoch) = (Frontier::new(), 1);
    let mut origin = None;
    if let Some(last) = &last {
        let note: Note = last
            .note
            .parse()
            .map_err(|error| damaged(DOING, "the last one is no note").with_source(error))?;
        let head = Checkpoint::parse(note.text())
            .map_err(|error| damaged(DOING, "the last one is no head").with_source(error))?;
        let size = u64::try_from(last.size).unwrap_or_default();
        frontier = Frontier::from_parts(size, last.frontier.clone())
            .filter(|frontier| frontier.root() == head.root && head.size == size)
            .ok_or_else(|| damaged(DOING, "the last one is not of what is kept beside it"))?;
        (origin, epoch) = (Some(head.origin), head.epoch);
    }
    let mut nodes = Vec::new();
    loop {
        let position = i64::try_from(frontier.size()).unwrap_or(i64::MAX);
        let rows = store.ledger_rows(position, PAGE).await?;
        let full = rows.len() == PAGE;
        for row in rows {
            let expected = i64::try_from(frontier.size()).unwrap_or(i64::MAX).saturating_add(1);
            let entry = row.entry.ok().filter(|entry| entry.position == expected);
            let entry = entry.ok_or_else(|| damaged(DOING, "the ledger is not whole"))?;
            epoch = entry.epoch;
            origin.get_or_insert_with(|| origin_of(&entry));
            frontier.push_and_tell(entry.leaf_hash(), |height, number, hash| {
                if TreeNode::is_kept(height) {
                    let number = i64::try_from(number).unwrap_or(i64::MAX);
                    nodes.push(TreeNode { height, number, hash: *hash });
                }
            });
        }
        if !full {
            break;
        }
    }
    let Some(origin) = origin else { return Ok(None) };
    let head = Checkpoint::new(origin, frontier.size(), frontier.root(), epoch, now);
    let note = head.sign(seeds).map_err(|error| damaged(DOING, "its name").with_source(error))?;
    let kept = KeptCheckpoint {
        number: last.map_or(0, |last| last.number) + 1,
        size: i64::try_from(frontier.size()).unwrap_or(i64::MAX),
        frontier: frontier.roots().to_vec(),
        note: note.to_string(),
    };
    if store.add_checkpoint(&kept, &nodes, now).await? {
        return Ok(Some(kept));
    }
    store.last_checkpoint().await
}

/// A proof that a record lies in an entry of the ledger, and the entry under a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordProof {
    /// The canonical bytes of the record, whose hash is the first leaf.
    pub record: Vec<u8>,
    /// The record's leaf hash.
    pub record_leaf: Hash,
    /// Its index among the records of the entry, from 0 on.
    pub record_index: u64,
    /// From the record to the entry's root.
    pub record_path: Vec<Hash>,
    /// The entry.
    pub entry: Entry,
    /// From the entry to the checkpoint's root; its index is its position less one.
    pub entry_path: Vec<Hash>,
    /// The checkpoint.
    pub checkpoint: KeptCheckpoint,
}

/// Proves that a record lies under the last checkpoint; `None` when it was committed after it, or is not there.
///
/// Reads 64 records of its entry, the roots of the others, and a bounded number of entries and nodes, however large the
/// log is; all records of the entry where no such roots are kept, as before version 16 of the schema.
///
/// # Errors
///
/// When the store cannot be asked, or what it holds does not prove it: it was altered.
pub async fn prove<S: Evidence>(
    store: &S,
    record: &Record,
) -> Result<Option<RecordProof>, StoreError> {
    let covered = store.covered(record.writer_id, record.seq).await?;
    let Some((checkpoint, entry)) = covered else { return Ok(None) };
    let altered = |what: &str| damaged(DOING, what);
    let record_index = entry.new.index_of(record.seq).unwrap_or(u64::MAX);
    let bytes = Canonical::new().encode(record).to_vec();
    let record_leaf = leaf_hash(&bytes);
    let size = u64::try_from(checkpoint.size).unwrap_or_default();
    let index = entry.index().unwrap_or(u64::MAX);
    // Neither waits for the other: most of a proof is the way to the database.
    let runs = tiles_within(index, size);
    let (record_path, runs) = tokio::try_join!(
        path_in_entry(store, &entry, record.seq, &record_leaf),
        store.tree_runs(&runs)
    )?;
    // What stands at the edge was kept with the head: another would not come to its root.
    let mut nodes = Nodes::default();
    nodes.add_frontier(size, &checkpoint.frontier);
    runs.into_iter().for_each(|(height, at, hash)| nodes.add(height, at, hash));
    let entry_path = nodes
        .inclusion_proof(index, size)
        .ok_or_else(|| altered("parts of the ledger's tree are missing"))?;
    let root = root_by_inclusion(&entry.leaf_hash(), index, size, &entry_path);
    let head = checkpoint.note.parse::<Note>().and_then(|note| Checkpoint::parse(note.text()));
    if root.is_none() || root != head.ok().map(|head| head.root) {
        return Err(altered("the ledger is not the one that was signed"));
    }
    Ok(Some(RecordProof {
        record: bytes,
        record_leaf,
        record_index,
        record_path,
        entry,
        entry_path,
        checkpoint,
    }))
}

/// Returns the path from a record to the root of its entry.
async fn path_in_entry<S: Evidence>(
    store: &S,
    entry: &Entry,
    seq: i64,
    leaf: &Hash,
) -> Result<Vec<Hash>, StoreError> {
    if let Some(path) = path_beside(store, entry, seq, leaf).await? {
        return Ok(path);
    }
    // No roots are kept, or they are not those of these records, which speak for themselves, in whichever leaf they lie.
    let altered = |what: &str| damaged(DOING, what);
    let new = &entry.new;
    let index = new.index_of(seq).unwrap_or(u64::MAX);
    let leaves = leaves_of(store, new.writer_id, new.first_seq..=new.last_seq).await?;
    let path = inclusion_proof(&leaves, index)
        .ok_or_else(|| altered("records of its entry are missing"))?;
    if root_by_inclusion(leaf, index, leaves.len() as u64, &path) != Some(new.batch_root) {
        return Err(altered("the records of its entry are not those that were written"));
    }
    Ok(path)
}

/// Returns the path from a record to the root of its entry, from the records beside it and the roots that are kept of the
/// others; `None` where none are kept, or they do not prove it.
pub(crate) async fn path_beside<S: Evidence>(
    store: &S,
    entry: &Entry,
    seq: i64,
    leaf: &Hash,
) -> Result<Option<Vec<Hash>>, StoreError> {
    let new = &entry.new;
    let Some(beside) = folded::beside(new, seq) else { return Ok(None) };
    let (rows, folded) = store.entry_parts(entry, beside.clone()).await?;
    let mut canonical = Canonical::new();
    let leaves: Vec<_> = rows.iter().map(|row| leaf_of(row, &mut canonical)).collect();
    let index = new.index_of(seq).unwrap_or(u64::MAX);
    let count = new.count().unsigned_abs();
    let path = match is_all_of(entry, &beside) {
        // Where they are all that there is, no roots are kept.
        true => inclusion_proof(&leaves, index).filter(|_| leaves.len() as u64 == count),
        false => folded::path(&leaves, &folded, index, count),
    };
    Ok(path.filter(|path| root_by_inclusion(leaf, index, count, path) == Some(new.batch_root)))
}

/// Returns the leaf hash of a row. What is missing, doubled or unreadable shows in the root.
fn leaf_of(row: &RecordRow, canonical: &mut Canonical) -> Hash {
    row.record().map_or([0; 32], |record| leaf_hash(canonical.encode(&record)))
}

/// Returns the leaf hashes of records that follow each other in a stream.
async fn leaves_of<S: Evidence>(
    store: &S,
    stream: WriterId,
    numbers: RangeInclusive<i64>,
) -> Result<Vec<Hash>, StoreError> {
    let (mut leaves, mut canonical) = (Vec::new(), Canonical::new());
    let (mut from, to) = numbers.into_inner();
    loop {
        let rows = store.record_rows(stream, from, to, PAGE).await?;
        let full = rows.len() == PAGE;
        for row in rows {
            from = row.seq.saturating_add(1);
            leaves.push(leaf_of(&row, &mut canonical));
        }
        if !full {
            return Ok(leaves);
        }
    }
}

/// Returns the nodes that a proof for an entry needs; they serve all entries whose index is the same without its last
/// eight bits.
#[cfg(any(feature = "api", feature = "archive"))]
pub(crate) async fn entry_nodes<S: Evidence>(
    store: &S,
    index: u64,
    size: u64,
) -> Result<Nodes, StoreError> {
    let mut nodes = Nodes::default();
    for (height, at, hash) in store.tree_runs(&crate::ledger::tiles(index, size)).await? {
        nodes.add(height, at, hash);
    }
    Ok(nodes)
}
