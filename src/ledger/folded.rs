//! The roots of every 64 records of an entry, so that a proof in a large entry reads few of its records.
//!
//! They follow from the records, and the root of the entry follows from them: whoever takes them from a store folds
//! them once more, and believes nothing that does not come to the root in the ledger.

use std::ops::RangeInclusive;

use super::{
    entry::NewEntry,
    proof::inclusion_proof,
    tree::{Hash, root},
};

/// So many records share a root. A proof reads as many records and, of the largest batches, 79 roots.
const FOLD: usize = 64;

/// Replaces the leaf hashes of an entry's records by the roots of each 64 of them, whose root is that of the entry.
///
/// No hash is made more than without: each of these subtrees is a node of the tree.
#[cfg_attr(
    not(any(test, feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "for the stores of databases")
)]
pub(crate) fn fold(leaves: &mut Vec<Hash>) {
    let mut folded = 0;
    for start in (0..leaves.len()).step_by(FOLD) {
        let end = leaves.len().min(start + FOLD);
        // Never behind what is still to be read.
        leaves[folded] = root(&mut leaves[start..end]);
        folded += 1;
    }
    leaves.truncate(folded);
}

/// Tells whether an entry's folded roots are worth keeping: where there is one alone, it is the entry's root.
#[cfg(any(test, feature = "sqlite", feature = "postgres"))]
pub(crate) const fn is_kept(folded: &[Hash]) -> bool {
    folded.len() > 1
}

/// Returns how many bytes the folded roots of an entry have; others are not read, as anybody may have put them there.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn folded_bytes(entry: &super::Entry) -> i64 {
    let roots = entry.new.count().unsigned_abs().div_ceil(FOLD as u64);
    i64::try_from(roots).unwrap_or(i64::MAX).saturating_mul(size_of::<Hash>() as i64)
}

/// Returns which records share a root with a record of an entry; `None` when it is none of the entry.
pub(crate) fn beside(entry: &NewEntry, seq: i64) -> Option<RangeInclusive<i64>> {
    let index = seq.checked_sub(entry.first_seq).filter(|index| *index >= 0)?;
    let first = entry.first_seq.checked_add(index - index % FOLD as i64)?;
    let last = first.saturating_add(FOLD as i64 - 1).min(entry.last_seq);
    (seq <= last).then_some(first..=last)
}

/// Returns the path from the record at `index` to the root of an entry of `count` records, from the leaves of those
/// [beside] it and the folded roots of all; `None` when these are not as many as there should be.
pub(crate) fn path(leaves: &[Hash], folded: &[Hash], index: u64, count: u64) -> Option<Vec<Hash>> {
    let fold = FOLD as u64;
    let expected = fold.min(count.checked_sub(index - index % fold)?);
    if folded.len() as u64 != count.div_ceil(fold) || leaves.len() as u64 != expected {
        return None;
    }
    let mut path = inclusion_proof(leaves, index % fold)?;
    path.extend(inclusion_proof(folded, index / fold)?);
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{leaf_hash, root_by_inclusion},
        record::WriterId,
        time::{Month, Timestamp},
    };

    fn entry(count: i64) -> NewEntry {
        NewEntry {
            writer_id: WriterId::new(1),
            first_seq: 11,
            last_seq: 10 + count,
            month: Month::from_index(0),
            class: String::new(),
            first_at: Timestamp::default(),
            last_at: Timestamp::default(),
            batch_root: [0; 32],
        }
    }

    #[test]
    fn a_path_through_folded_roots_is_the_proof() {
        for count in [1_u32, 2, 63, 64, 65, 127, 128, 129, 1_000, 5_000] {
            let leaves: Vec<_> = (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let mut folded = leaves.clone();
            fold(&mut folded);
            assert_eq!(root(&mut folded.clone()), root(&mut leaves.clone()), "{count} records");
            assert_eq!(is_kept(&folded), count > 64);
            let new = entry(count.into());
            for index in [0, 1, 62, 63, 64, 65, count / 2, count - 1] {
                let index = index.min(count - 1);
                let beside = beside(&new, 11 + i64::from(index)).unwrap();
                let at = |seq: i64| usize::try_from(seq - 11).unwrap();
                let beside = &leaves[at(*beside.start())..=at(*beside.end())];
                let (index, count) = (u64::from(index), u64::from(count));
                let path = path(beside, &folded, index, count).unwrap();
                assert_eq!(
                    Some(&path),
                    inclusion_proof(&leaves, index).as_ref(),
                    "{index} of {count}"
                );
                let leaf = &leaves[usize::try_from(index).unwrap()];
                let root = root_by_inclusion(leaf, index, count, &path);
                assert_eq!(root, Some(super::root(&mut leaves.clone())));
            }
        }
    }

    #[test]
    fn what_cannot_be_of_the_entry_gives_no_path() {
        let leaves = vec![[1; 32]; 64];
        assert_eq!(path(&leaves, &[[2; 32]], 3, 65), None, "a root is missing");
        assert_eq!(path(&leaves[1..], &[[2; 32]; 2], 3, 65), None, "a record is missing");
        assert_eq!(path(&leaves, &[[2; 32]; 2], 64, 65), None, "records of another root");
        assert_eq!(path(&leaves, &[[2; 32]; 2], 200, 65), None, "behind the end");
        let new = entry(65);
        assert_eq!(beside(&new, 75), Some(75..=75));
        assert_eq!(
            (beside(&new, 10), beside(&new, 76), beside(&new, i64::MIN)),
            (None, None, None)
        );
        fold(&mut Vec::new());
    }
}
