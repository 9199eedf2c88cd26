//! Proofs that a leaf lies in a tree, and that one tree goes on from another: RFC 9162, section 2.1.
//!
//! A proof is a list of hashes, each the root of a range of leaves. Which ranges those are follows from the
//! sizes alone ([`inclusion_ranges`], [`consistency_ranges`]); whoever has all leaves takes them from there, and
//! a store that keeps the roots of whole subtrees reads few of them.

use std::ops::Range;

use super::tree::{Hash, node_hash, root};

/// Returns the ranges of leaves whose roots prove that leaf `index` lies in a tree of `size` leaves, the one
/// next to the leaf first; `None` when it cannot lie there.
#[must_use]
pub fn inclusion_ranges(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let (mut within, mut ranges) = (0..size, Vec::new());
    while within.end - within.start > 1 {
        let middle = within.start + split(within.end - within.start);
        if index < middle {
            ranges.push(middle..within.end);
            within.end = middle;
        } else {
            ranges.push(within.start..middle);
            within.start = middle;
        }
    }
    ranges.reverse();
    Some(ranges)
}

/// Returns the ranges of leaves whose roots prove that a tree of `size` leaves goes on from its first `old`
/// leaves; `None` when it cannot. From no leaves, and to the same ones, nothing has to be proved.
#[must_use]
pub fn consistency_ranges(old: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if old > size {
        return None;
    }
    if old == 0 || old == size {
        return Some(Vec::new());
    }
    let (mut within, mut ranges) = (0..size, Vec::new());
    while old < within.end {
        let middle = within.start + split(within.end - within.start);
        if old <= middle {
            ranges.push(middle..within.end);
            within.end = middle;
        } else {
            ranges.push(within.start..middle);
            within.start = middle;
        }
    }
    // The old tree itself is known to whoever asks.
    if within.start > 0 {
        ranges.push(within);
    }
    ranges.reverse();
    Some(ranges)
}

/// Returns the largest power of two smaller than `size`, at which the RFC splits a tree.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// Proves that leaf `index` lies in the tree over `leaves`; `None` when it does not.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: u64) -> Option<Vec<Hash>> {
    inclusion_ranges(index, leaves.len() as u64).and_then(|ranges| roots_of(leaves, ranges))
}

/// Proves that the tree over `leaves` goes on from that over the first `old` of them; `None` when there are
/// fewer.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], old: u64) -> Option<Vec<Hash>> {
    consistency_ranges(old, leaves.len() as u64).and_then(|ranges| roots_of(leaves, ranges))
}

fn roots_of(leaves: &[Hash], ranges: Vec<Range<u64>>) -> Option<Vec<Hash>> {
    let root_of = |range: Range<u64>| {
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        Some(root(&mut leaves.get(range)?.to_vec()))
    };
    ranges.into_iter().map(root_of).collect()
}

/// Returns the root of a tree of `size` leaves in which `leaf` is the one at `index`, by a proof; `None` when no
/// proof of that length can prove it.
///
/// The leaf lies in the tree if this is the tree's root.
#[must_use]
pub fn root_by_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A node without a right neighbour has risen by itself.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

/// Tells whether a proof shows that a tree of `size` leaves with root `new` goes on from its first `old` leaves,
/// whose root is `before`.
#[must_use]
pub fn is_consistent(old: u64, before: &Hash, size: u64, new: &Hash, proof: &[Hash]) -> bool {
    if old > size || (old == size && before != new) {
        return false;
    }
    if old == 0 || old == size {
        return proof.is_empty();
    }
    let (mut node, mut last) = (old - 1, size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let mut path = proof.iter();
    // A tree whose size is a power of two is a node of the larger one.
    let seed = if old.is_power_of_two() { Some(before) } else { path.next() };
    let Some(seed) = seed else { return false };
    let (mut first, mut second) = (*seed, *seed);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            first = node_hash(sibling, &first);
            second = node_hash(sibling, &second);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            second = node_hash(&second, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && first == *before && second == *new
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::leaf_hash;

    /// PATH of RFC 6962, section 2.1.1, word for word.
    fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
        let n = leaves.len();
        if n <= 1 {
            return Vec::new();
        }
        let k = n.next_power_of_two() / 2;
        let (mut proof, other) = if m < k {
            (path(m, &leaves[..k]), &leaves[k..])
        } else {
            (path(m - k, &leaves[k..]), &leaves[..k])
        };
        proof.push(root(&mut other.to_vec()));
        proof
    }

    /// SUBPROOF of RFC 6962, section 2.1.2, word for word.
    fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        let n = leaves.len();
        if m == n {
            return if whole { Vec::new() } else { vec![root(&mut leaves.to_vec())] };
        }
        let k = n.next_power_of_two() / 2;
        let (mut proof, other) = if m <= k {
            (subproof(m, &leaves[..k], whole), &leaves[k..])
        } else {
            (subproof(m - k, &leaves[k..], false), &leaves[..k])
        };
        proof.push(root(&mut other.to_vec()));
        proof
    }

    fn leaves(n: u64) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn proofs_are_those_of_the_rfc_and_prove_what_they_should() {
        for n in 1..70_u64 {
            let all = leaves(n);
            let whole = root(&mut all.clone());
            for m in 0..n {
                let index = usize::try_from(m).unwrap();
                let proof = inclusion_proof(&all, m).unwrap();
                assert_eq!(proof, path(index, &all), "leaf {m} of {n}");
                assert_eq!(root_by_inclusion(&all[index], m, n, &proof), Some(whole));
            }
            for old in 1..=n {
                let first = usize::try_from(old).unwrap();
                let before = root(&mut all[..first].to_vec());
                let proof = consistency_proof(&all, old).unwrap();
                assert_eq!(proof, subproof(first, &all, true), "{old} of {n}");
                assert!(is_consistent(old, &before, n, &whole, &proof), "{old} of {n}");
            }
        }
    }

    #[test]
    fn the_ends_of_what_can_be_proved() {
        let all = leaves(3);
        let whole = root(&mut all.clone());
        assert_eq!((inclusion_proof(&all, 3), inclusion_proof(&[], 0)), (None, None));
        assert_eq!(consistency_proof(&all, 4), None);
        assert_eq!(root_by_inclusion(&all[0], 3, 3, &[]), None);
        assert_eq!(root_by_inclusion(&all[0], 0, 0, &[]), None);
        assert!(is_consistent(0, &root(&mut []), 3, &whole, &[]));
        assert!(is_consistent(3, &whole, 3, &whole, &[]));
        assert!(!is_consistent(3, &all[0], 3, &whole, &[]));
        assert!(!is_consistent(4, &whole, 3, &whole, &[]));
        assert!(!is_consistent(2, &whole, 3, &whole, &[]));
        assert_eq!(inclusion_ranges(u64::MAX - 1, u64::MAX).unwrap().len(), 63);
    }

    proptest! {
        #[test]
        fn a_proof_proves_nothing_else(
            n in 2_u64..600,
            which in any::<prop::sample::Index>(),
            place in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let all = leaves(n);
            let whole = root(&mut all.clone());
            let index = which.index(all.len());
            let m = index as u64;
            let proof = inclusion_proof(&all, m).unwrap();
            prop_assert_eq!(root_by_inclusion(&all[index], m, n, &proof), Some(whole));
            let mut flipped = proof.clone();
            flipped[place.index(proof.len())][place.index(32)] ^= 1 << bit;
            prop_assert_ne!(root_by_inclusion(&all[index], m, n, &flipped), Some(whole));
            prop_assert_ne!(root_by_inclusion(&all[index], m, n, &proof[1..]), Some(whole));
            let longer: Vec<_> = proof.iter().copied().chain([whole]).collect();
            prop_assert_ne!(root_by_inclusion(&all[index], m, n, &longer), Some(whole));

            let before = root(&mut all[..=index].to_vec());
            let proof = consistency_proof(&all, m + 1).unwrap();
            prop_assert!(is_consistent(m + 1, &before, n, &whole, &proof));
            if !proof.is_empty() {
                let mut flipped = proof.clone();
                flipped[place.index(proof.len())][place.index(32)] ^= 1 << bit;
                prop_assert!(!is_consistent(m + 1, &before, n, &whole, &flipped));
                prop_assert!(!is_consistent(m + 1, &before, n, &whole, &proof[1..]));
            }
        }
    }
}
