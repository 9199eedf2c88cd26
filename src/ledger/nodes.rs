//! The roots of whole subtrees that are kept, so that a proof in a large ledger reads few of its entries.
//!
//! Kept are those of 2^8, 2^16, 2^24 … entries. A proof then takes at most two runs of 255 nodes of each height:
//! beside the path to the leaf, and at the right edge.

use std::{collections::HashMap, ops::Range};

use super::{
    proof::inclusion_ranges,
    tree::{Hash, empty_root, node_hash},
};

/// Every so many heights, the roots of whole subtrees are kept.
const STEP: u32 = 8;

/// The head of a ledger as it is kept: signed, and with what the next one goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// Counts the checkpoints, from 1 on.
    pub number: i64,
    /// How many entries it covers.
    pub size: i64,
    /// The roots of the whole subtrees at that size, the largest first.
    pub frontier: Vec<Hash>,
    /// The signed note.
    pub note: String,
}

/// The root of a whole subtree of 2^`height` entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeNode {
    /// Its height: 8, 16, 24 ….
    pub height: u32,
    /// Its number among those of this height.
    pub number: i64,
    /// The root.
    pub hash: Hash,
}

impl TreeNode {
    /// Tells whether subtrees of this height are kept.
    #[must_use]
    pub const fn is_kept(height: u32) -> bool {
        height > 0 && height.is_multiple_of(STEP)
    }
}

/// Returns the runs of nodes that a proof for leaf `index` in a tree of `size` leaves needs: for each height that
/// is kept, and 0 for the leaves themselves, the numbers of the nodes.
#[must_use]
pub fn tiles(index: u64, size: u64) -> Vec<(u32, Range<u64>)> {
    let mut runs = Vec::new();
    let mut height = 0;
    while height < 64 && size >> height > 0 {
        let whole = size >> height;
        let first = |node: u64| node & !((1 << STEP) - 1);
        let path = first(index >> height)..(first(index >> height) + (1 << STEP)).min(whole);
        let edge = first(whole)..whole;
        if path.start < path.end {
            runs.push((height, path.clone()));
        }
        if edge.start < edge.end && edge != path {
            runs.push((height, edge));
        }
        height += STEP;
    }
    runs
}

/// Returns the runs of nodes that a proof for leaf `index` needs beside the roots of the whole subtrees of a tree of `size`
/// leaves, which a checkpoint keeps: as [`tiles`], of the one subtree in which the leaf is.
pub(crate) fn tiles_within(index: u64, size: u64) -> Vec<(u32, Range<u64>)> {
    let whole = subtrees(size).find(|(height, start)| index >> height == start >> height);
    let Some((top, start)) = whole else { return Vec::new() };
    let run = |height: u32| {
        let first = (index >> height) & !((1 << STEP) - 1);
        let nodes = start >> height..(start >> height) + (1 << (top - height));
        (height, first.max(nodes.start)..(first + (1 << STEP)).min(nodes.end))
    };
    (0..top).step_by(STEP as usize).map(run).collect()
}

/// Returns the whole subtrees of a tree, the largest first: the height of each, and its first leaf.
fn subtrees(size: u64) -> impl Iterator<Item = (u32, u64)> {
    let heights = (0..u64::BITS).rev().filter(move |height| size >> height & 1 == 1);
    heights.map(move |height| (height, size & !(u64::MAX >> (u64::BITS - 1 - height))))
}

/// Nodes of a tree, by height and number.
#[derive(Debug, Clone, Default)]
pub struct Nodes(HashMap<(u32, u64), Hash>);

impl Nodes {
    /// Adds a node.
    pub fn add(&mut self, height: u32, number: u64, hash: Hash) {
        self.0.insert((height, number), hash);
    }

    /// Adds the roots of the whole subtrees of a tree of `size` leaves, the largest first.
    pub(crate) fn add_frontier(&mut self, size: u64, roots: &[Hash]) {
        for ((height, start), root) in subtrees(size).zip(roots) {
            self.add(height, start >> height, *root);
        }
    }

    /// Proves that leaf `index` lies in a tree of `size` leaves; `None` when a node of [`tiles`] is missing.
    #[must_use]
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        inclusion_ranges(index, size)?.into_iter().map(|range| self.root_of(range)).collect()
    }

    fn root_of(&self, range: Range<u64>) -> Option<Hash> {
        let length = range.end - range.start;
        if length == 0 {
            return Some(empty_root());
        }
        if length.is_power_of_two()
            && let height = length.ilog2()
            && let Some(hash) = self.0.get(&(height, range.start >> height))
        {
            return Some(*hash);
        }
        if length == 1 {
            return None;
        }
        let middle = range.start + (1 << (length - 1).ilog2());
        let left = self.root_of(range.start..middle)?;
        Some(node_hash(&left, &self.root_of(middle..range.end)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Frontier, inclusion_proof, leaf_hash};

    #[test]
    fn a_proof_from_kept_nodes_is_the_proof() {
        let sizes = [1, 2, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_537, 66_000, 70_001];
        let mut all = HashMap::new();
        let (mut frontier, mut leaves) = (Frontier::new(), Vec::new());
        let mut edges = HashMap::new();
        for index in 0..70_001_u64 {
            let leaf = leaf_hash(&index.to_be_bytes());
            frontier.push_and_tell(leaf, |height, number, hash| {
                if TreeNode::is_kept(height) {
                    all.insert((height, number), *hash);
                }
            });
            all.insert((0, index), leaf);
            leaves.push(leaf);
            edges.insert(index + 1, frontier.roots().to_vec());
        }
        for size in sizes {
            for index in [0, 1, size / 3, size / 2, size - 1] {
                let index = index.min(size - 1);
                let mut nodes = Nodes::default();
                let runs = tiles(index, size);
                assert!(runs.len() <= 6, "{runs:?}");
                for (height, run) in runs {
                    assert!(run.end - run.start <= 256);
                    run.for_each(|number| nodes.add(height, number, all[&(height, number)]));
                }
                let expected = inclusion_proof(&leaves[..usize::try_from(size).unwrap()], index);
                assert_eq!(nodes.inclusion_proof(index, size), expected, "{index} of {size}");
                // With the edge as it was signed, less is read.
                let mut nodes = Nodes::default();
                nodes.add_frontier(size, &edges[&size]);
                let (runs, all_runs) = (tiles_within(index, size), tiles(index, size));
                for (height, run) in runs {
                    let is_of = |(at, all): &(u32, Range<u64>)| {
                        *at == height && all.start <= run.start && run.end <= all.end
                    };
                    assert!(all_runs.iter().any(is_of), "{height} {run:?} {all_runs:?}");
                    run.for_each(|number| nodes.add(height, number, all[&(height, number)]));
                }
                assert_eq!(nodes.inclusion_proof(index, size), expected, "{index} of {size}");
            }
        }
        for (index, size) in [(0, 0), (7, 7), (0, 1), (u64::MAX - 1, u64::MAX)] {
            assert!(tiles_within(index, size).is_empty(), "{index} of {size}");
        }
        assert_eq!(tiles_within(3, u64::MAX).len(), 8);
        assert_eq!(Nodes::default().inclusion_proof(0, 2), None);
    }
}
