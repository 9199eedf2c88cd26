//! The frontier of a tree: what is left of it once every whole subtree is one hash.

use super::tree::{Hash, empty_root, node_hash};

/// A Merkle tree that grows at its right edge, as the roots of its whole subtrees, the largest first.
///
/// Holds one hash for each bit that is set in its size, so that it is as good as constant in memory; the
/// root over all leaves comes out of it, and so does that of any later size as leaves are added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Makes the frontier of an empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, roots: Vec::new() }
    }

    /// Takes a frontier up that was kept; `None` when so many hashes are not those of a tree of this size.
    #[must_use]
    pub fn from_parts(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// Returns the number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the roots of the whole subtrees, the largest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf, by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_and_tell(leaf, |_, _, _| {});
    }

    /// Adds a leaf, by its hash, and tells of each subtree that it makes whole: its height, its number among those
    /// of that height, and its root.
    pub fn push_and_tell(&mut self, leaf: Hash, mut tell: impl FnMut(u32, u64, &Hash)) {
        let mut node = leaf;
        // As many subtrees of the same height stand at the edge as the size ends in ones.
        for height in 1..=self.size.trailing_ones() {
            let Some(left) = self.roots.pop() else { break };
            node = node_hash(&left, &node);
            tell(height, self.size >> height, &node);
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// Returns the root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(smallest) = roots.next() else { return empty_root() };
        roots.fold(*smallest, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{leaf_hash, root};

    #[test]
    fn the_root_is_that_of_the_tree_at_every_size() {
        let mut frontier = Frontier::new();
        let mut leaves = Vec::new();
        for n in 0..300_u32 {
            assert_eq!(frontier.root(), root(&mut leaves.clone()), "{n} leaves");
            let kept = Frontier::from_parts(frontier.size(), frontier.roots().to_vec());
            assert_eq!(kept.as_ref(), Some(&frontier));
            leaves.push(leaf_hash(&n.to_be_bytes()));
            frontier.push(leaves[leaves.len() - 1]);
        }
        assert_eq!(Frontier::from_parts(3, vec![[0; 32]]), None);
    }
}
