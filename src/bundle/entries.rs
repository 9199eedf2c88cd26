//! The entries that account for the records of a bundle.

use std::{collections::VecDeque, ops::Range};

use crate::{
    ledger::{Entry, Hash, leaf_hash, levels::Levels},
    record::{Canonical, Record},
    store::{AnyStore, Evidence as _, StoreError, path_beside},
};

/// So many entries share the nodes of their proofs.
pub(super) const BLOCK: usize = 256;
/// So many records of an entry are read at once.
const ROWS: usize = 1_000;
/// So many leaves of entries are held, beside those of the entry in use.
const HELD: usize = 100_000;
/// So many entries are held, of which few records were asked for.
const MOST: usize = 1_000;
/// So many records of an entry are proved by those beside them, while these are fewer than all of it.
const FEW: u32 = 8;
const BESIDE: i64 = 64;
/// No append brings more; a row of the ledger that claims so was edited, and proves nothing.
const LARGEST: i64 = 10_000_000;

/// An entry, with the tree over its records as the store holds them now once many of them were asked for.
#[derive(Debug)]
struct Known {
    entry: Entry,
    /// How many of its records were asked for.
    asked: u32,
    tree: Option<Levels>,
}

/// Where a record lies.
#[derive(Debug)]
pub(super) struct Located {
    /// The position of its entry.
    pub(super) position: i64,
    /// From the record to the root of the entry.
    pub(super) path: Vec<Hash>,
    /// Whether that path proves it.
    pub(super) is_proved: bool,
}

impl Known {
    fn holds(&self, record: &Record) -> bool {
        let new = &self.entry.new;
        new.writer_id == record.writer_id && (new.first_seq..=new.last_seq).contains(&record.seq)
    }

    fn leaves(&self) -> usize {
        self.tree.as_ref().map_or(0, Levels::leaves)
    }

    /// Locates a record, whose leaf that is, by the tree.
    fn located(&self, tree: &Levels, record: &Record, leaf: &Hash) -> Located {
        let new = &self.entry.new;
        let index = new.index_of(record.seq).and_then(|index| usize::try_from(index).ok());
        let index = index.unwrap_or(usize::MAX);
        let is_proved = tree.leaf(index) == Some(leaf)
            && tree.root() == new.batch_root
            && i64::try_from(tree.leaves()) == Ok(new.count());
        let path = tree.inclusion_proof(index).unwrap_or_default();
        Located { position: self.entry.position, path, is_proved }
    }
}

/// The entries that were needed last. Records of a query come in the order of their times, and so do nearly those of the
/// entries.
#[derive(Debug, Default)]
pub(super) struct Trees {
    known: VecDeque<Known>,
    leaves: usize,
}

impl Trees {
    /// Locates a record, whose leaf that is, in the entry that accounts for it, if there is one.
    ///
    /// The first records of a large entry are proved by the few beside them; only where more are asked for, all of it is
    /// read.
    pub(super) async fn locate(
        &mut self,
        store: &AnyStore,
        record: &Record,
        leaf: &Hash,
    ) -> Result<Option<Located>, StoreError> {
        let at = self.known.iter().position(|known| known.holds(record));
        let mut known = match at.and_then(|at| self.known.remove(at)) {
            Some(known) => known,
            None => match store.entry_of(record.writer_id, record.seq).await? {
                Some(entry) => Known { entry, asked: 0, tree: None },
                None => return Ok(None),
            },
        };
        known.asked = known.asked.saturating_add(1);
        let mut located = None;
        if known.tree.is_none()
            && known.asked <= FEW
            && i64::from(known.asked) * BESIDE < known.entry.new.count()
        {
            let path = path_beside(store, &known.entry, record.seq, leaf).await?;
            let position = known.entry.position;
            located = path.map(|path| Located { position, path, is_proved: true });
        }
        if located.is_none() {
            if known.tree.is_none() {
                known.tree = Some(Levels::of(leaves_of(store, &known.entry).await?));
                self.leaves += known.leaves();
            }
            located = known.tree.as_ref().map(|tree| known.located(tree, record, leaf));
        }
        // The one that was used last is the last to go.
        self.known.push_back(known);
        while (self.leaves > HELD || self.known.len() > MOST)
            && self.known.len() > 1
            && let Some(oldest) = self.known.pop_front()
        {
            self.leaves -= oldest.leaves();
        }
        Ok(located)
    }
}

/// Returns the leaf hashes of an entry's records; of one that is gone or cannot be read, none that any record has.
async fn leaves_of(store: &AnyStore, entry: &Entry) -> Result<Vec<Hash>, StoreError> {
    let new = &entry.new;
    let (mut leaves, mut canonical) = (Vec::new(), Canonical::new());
    if !(1..=LARGEST).contains(&new.count()) {
        return Ok(leaves);
    }
    let mut from = new.first_seq;
    loop {
        let rows = store.record_rows(new.writer_id, from, new.last_seq, ROWS).await?;
        let full = rows.len() == ROWS;
        for row in rows {
            from = row.seq.saturating_add(1);
            let index = usize::try_from(row.seq - new.first_seq).unwrap_or(usize::MAX);
            if let Ok(record) = row.record() {
                leaves.resize(leaves.len().max(index.saturating_add(1)), [0; 32]);
                leaves[index] = leaf_hash(canonical.encode(&record));
            }
        }
        if !full {
            return Ok(leaves);
        }
    }
}

/// Which entries of the ledger a bundle needs: a bit for each, so that it is small however many they are.
#[derive(Debug)]
pub(super) struct Marked {
    bits: Vec<u64>,
    size: u64,
}

impl Marked {
    /// None of a ledger of `size` entries. The bits come as they are set: what a note claims takes no memory.
    pub(super) const fn of(size: u64) -> Self {
        Self { bits: Vec::new(), size }
    }

    pub(super) fn mark(&mut self, position: i64) {
        // What a row of the ledger says of itself may be anything.
        let index = position.checked_sub(1).and_then(|index| u64::try_from(index).ok());
        if let Some(index) = index.filter(|index| *index < self.size) {
            let word = usize::try_from(index / 64).unwrap_or(usize::MAX);
            self.bits.resize(self.bits.len().max(word.saturating_add(1)), 0);
            self.bits[word] |= 1 << (index % 64);
        }
    }

    /// Tells whether an entry was marked.
    pub(super) fn has(&self, position: i64) -> bool {
        let index = position.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let word = index.and_then(|index| Some((index, self.bits.get(index / 64)?)));
        word.is_some_and(|(index, bits)| bits >> (index % 64) & 1 == 1)
    }

    /// Returns the next block at or behind an index in which entries are marked, and their positions.
    pub(super) fn block(&self, from: u64) -> Option<(Range<u64>, Vec<i64>)> {
        const WORDS: usize = BLOCK / 64;
        let from = usize::try_from(from / 64).unwrap_or(usize::MAX);
        let word = self.bits.iter().skip(from).position(|bits| *bits != 0)? + from;
        let first = word / WORDS * WORDS;
        let start = first as u64 * 64;
        let words = self.bits.iter().enumerate().skip(first).take(WORDS);
        let positions = words.flat_map(|(word, bits)| {
            let set = (0..64_i64).filter(move |bit| bits >> bit & 1 == 1);
            set.map(move |bit| word as i64 * 64 + bit + 1)
        });
        Some((start..start + BLOCK as u64, positions.collect()))
    }
}

/// Returns the block that begins at an index of a ledger of `size` entries, and the positions of all in it.
pub(super) fn block(from: u64, size: u64) -> Option<(Range<u64>, Vec<i64>)> {
    let block = from..from.saturating_add(BLOCK as u64);
    let positions = (from..block.end.min(size)).filter_map(|index| i64::try_from(index + 1).ok());
    let positions: Vec<_> = positions.collect();
    (!positions.is_empty()).then_some((block, positions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_entries_come_back_block_by_block() {
        let mut marked = Marked::of(100_000);
        for position in [1, 256, 257, 90_000, 100_000, 100_001, 0, -5, i64::MAX, i64::MIN] {
            marked.mark(position);
        }
        let (mut from, mut all) = (0, Vec::new());
        while let Some((block, positions)) = marked.block(from) {
            assert!(positions.iter().all(|one| block.contains(&(one - 1).unsigned_abs())));
            all.push(positions);
            from = block.end;
        }
        assert_eq!(all, [vec![1, 256], vec![257], vec![90_000], vec![100_000]]);
        assert!(marked.has(256) && marked.has(100_000));
        for position in [2, 255, 100_001, 0, -5, i64::MAX, i64::MIN] {
            assert!(!marked.has(position), "{position}");
        }
    }

    #[test]
    fn all_entries_come_block_by_block_and_no_more_than_there_are() {
        let (mut from, mut all) = (0, Vec::new());
        while let Some((range, positions)) = block(from, 600) {
            assert_eq!(range.end - range.start, BLOCK as u64);
            all.extend(positions);
            from = range.end;
        }
        assert_eq!(all, (1..=600).collect::<Vec<_>>());
        assert_eq!(block(0, 0), None);
    }
}
