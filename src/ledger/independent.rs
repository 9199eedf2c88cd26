//! Our trees and proofs against another implementation, the crate `ct-merkle`; `tests/golden/proofs.py` holds them
//! to a third one, in Python.

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sha2::Sha256;

use super::{
    Frontier, Hash, consistency_proof, inclusion_proof, is_consistent, leaf_hash,
    root_by_inclusion,
    table::{Row, times},
};

/// So many sizes; `FAULTS=full` tries ten thousand.
fn sizes() -> u64 {
    times(300, 10_000) as u64
}

fn bytes(proof: &[Hash]) -> Vec<u8> {
    proof.concat()
}

#[test]
fn proofs_of_every_size_are_those_of_another_implementation() {
    let mut theirs = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    let mut random = StdRng::seed_from_u64(46);
    let (mut leaves, mut ours) = (Vec::new(), Frontier::new());
    let mut roots: Vec<Hash> = Vec::new();
    for size in 1..=sizes() {
        let value = size.to_be_bytes();
        theirs.push(value);
        leaves.push(leaf_hash(&value));
        ours.push(leaf_hash(&value));
        roots.push(ours.root());
        let root = theirs.root();
        assert_eq!(root.as_bytes()[..], ours.root(), "root of {size}");

        let index = random.random_range(0..size);
        let proof = inclusion_proof(&leaves, index).unwrap();
        let at = usize::try_from(index).unwrap();
        assert_eq!(theirs.prove_inclusion(at).as_bytes(), bytes(&proof), "{index} of {size}");
        assert_eq!(root_by_inclusion(&leaves[at], index, size, &proof), Some(ours.root()));
        let value = (index + 1).to_be_bytes();
        let proof = InclusionProof::<Sha256>::try_from_bytes(bytes(&proof)).unwrap();
        assert!(root.verify_inclusion(&value, index, &proof).is_ok(), "{index} of {size}");

        let old = random.random_range(1..=size);
        let proof = consistency_proof(&leaves, old).unwrap();
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
