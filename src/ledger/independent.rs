//! Our trees and proofs against another implementation, the crate `ct-merkle`; `tests/golden/proofs.py` holds them
//! to a third one, in Python.

use std::ops::Range;

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sha2::Sha256;

use super::{
    Frontier, Hash, consistency_proof, consistency_ranges, inclusion_proof, inclusion_ranges,
    is_consistent, leaf_hash, node_hash, root_by_inclusion,
    table::{Row, times},
};

/// So many sizes; `FAULTS=full` tries ten thousand.
fn sizes() -> u64 {
    times(300, 10_000) as u64
}

fn bytes(proof: &[Hash]) -> Vec<u8> {
    proof.concat()
}

/// The roots of whole subtrees, level by level: a proof of one more size costs its own length, and not the tree's.
#[derive(Default)]
struct Whole(Vec<Vec<Hash>>);

impl Whole {
    fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for height in 0.. {
            if self.0.len() == height {
                self.0.push(Vec::new());
            }
            let level = &mut self.0[height];
            level.push(hash);
            match level.as_slice() {
                [.., left, right] if level.len().is_multiple_of(2) => hash = node_hash(left, right),
                _ => return,
            }
        }
    }

    fn root_of(&self, range: Range<u64>) -> Hash {
        let length = range.end - range.start;
        if length.is_power_of_two() {
            let height = length.ilog2();
            return self.0[height as usize][usize::try_from(range.start >> height).unwrap()];
        }
        let middle = range.start + (1 << (length - 1).ilog2());
        node_hash(&self.root_of(range.start..middle), &self.root_of(middle..range.end))
    }

    fn proof(&self, ranges: Option<Vec<Range<u64>>>) -> Vec<Hash> {
        ranges.unwrap().into_iter().map(|range| self.root_of(range)).collect()
    }
}

/// Each size up to a thousand, and then each tenth, is proved from its leaves alone as well, all of which that hashes.
fn is_proved_from_leaves(size: u64) -> bool {
    size <= 1_000 || size.is_multiple_of(10)
}

#[test]
fn proofs_of_every_size_are_those_of_another_implementation() {
    let mut theirs = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    let mut random = StdRng::seed_from_u64(46);
    let (mut leaves, mut ours, mut whole) = (Vec::new(), Frontier::new(), Whole::default());
    let mut roots: Vec<Hash> = Vec::new();
    for size in 1..=sizes() {
        let value = size.to_be_bytes();
        theirs.push(value);
        leaves.push(leaf_hash(&value));
        ours.push(leaf_hash(&value));
        whole.push(leaf_hash(&value));
        roots.push(ours.root());
        let root = theirs.root();
        assert_eq!(root.as_bytes()[..], ours.root(), "root of {size}");

        let index = random.random_range(0..size);
        let proof = whole.proof(inclusion_ranges(index, size));
        if is_proved_from_leaves(size) {
            assert_eq!(inclusion_proof(&leaves, index).as_ref(), Some(&proof));
        }
        let at = usize::try_from(index).unwrap();
        assert_eq!(theirs.prove_inclusion(at).as_bytes(), bytes(&proof), "{index} of {size}");
        assert_eq!(root_by_inclusion(&leaves[at], index, size, &proof), Some(ours.root()));
        let value = (index + 1).to_be_bytes();
        let proof = InclusionProof::<Sha256>::try_from_bytes(bytes(&proof)).unwrap();
        assert!(root.verify_inclusion(&value, index, &proof).is_ok(), "{index} of {size}");

        let old = random.random_range(1..=size);
        let proof = whole.proof(consistency_ranges(old, size));
        if is_proved_from_leaves(size) {
            assert_eq!(consistency_proof(&leaves, old).as_ref(), Some(&proof));
        }
        let before = roots[usize::try_from(old).unwrap() - 1];
        assert!(is_consistent(old, &before, size, &ours.root(), &proof), "{old} to {size}");
        let added = usize::try_from(size - old).unwrap();
        if added > 0 {
            let theirs = theirs.prove_consistency(added);
            assert_eq!(theirs.as_bytes(), bytes(&proof), "{old} to {size}");
            let old_root = RootHash::<Sha256>::new(before.into(), old);
            let proof = ConsistencyProof::<Sha256>::try_from_bytes(bytes(&proof)).unwrap();
            assert!(root.verify_consistency(&old_root, &proof).is_ok(), "{old} to {size}");
        }
    }
    let fault = "46 roots and proofs of trees of every size";
    Row { fault, runs: sizes(), sent: sizes(), stored: sizes(), ..Row::default() }.report();
}

/// Writes roots and proofs for the Python implementation, where `PROOFS` names a file.
#[test]
fn proofs_are_written_for_a_third_implementation() {
    let Some(path) = std::env::var_os("PROOFS") else { return };
    let mut random = StdRng::seed_from_u64(47);
    let hex = |hash: &Hash| crate::record::hex(hash);
    let mut lines = String::new();
    let leaves: Vec<Hash> = (0..4_096_u64).map(|index| leaf_hash(&index.to_be_bytes())).collect();
    let root = |size: u64| super::root(&mut leaves[..usize::try_from(size).unwrap()].to_vec());
    for _ in 0..sizes() {
        let size = random.random_range(1..=leaves.len() as u64);
        let (index, old) = (random.random_range(0..size), random.random_range(1..=size));
        let within = &leaves[..usize::try_from(size).unwrap()];
        let line = serde_json::json!({
            "size": size,
            "root": hex(&root(size)),
            "index": index,
            "inclusion": inclusion_proof(within, index).unwrap().iter().map(hex).collect::<Vec<_>>(),
            "old": old,
            "old_root": hex(&root(old)),
            "consistency": consistency_proof(within, old).unwrap().iter().map(hex).collect::<Vec<_>>(),
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    std::fs::write(path, lines).unwrap();
}
