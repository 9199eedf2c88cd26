//! A small tree with all of its nodes: changing a leaf, or proving one, costs one path.

use super::tree::{Hash, node_hash, root};

/// The nodes of a tree, level by level: the leaves first, the root last.
#[derive(Debug, Clone)]
pub(crate) struct Levels(Vec<Vec<Hash>>);

impl Levels {
    pub(crate) fn of(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below.chunks(2).map(|pair| match pair {
                [left, right] => node_hash(left, right),
                rest => rest[0],
            });
            let above = above.collect();
            levels.push(above);
        }
        Self(levels)
    }

    /// Sets a leaf and returns what it was.
    pub(crate) fn set(&mut self, index: usize, leaf: Hash) -> Hash {
        let was = std::mem::replace(&mut self.0[0][index], leaf);
        let mut index = index;
        for level in 1..self.0.len() {
            index /= 2;
            let (below, above) = self.0.split_at_mut(level);
            let below = &below[level - 1];
            above[0][index] = match below.get(2 * index + 1) {
                Some(right) => node_hash(&below[2 * index], right),
                None => below[2 * index],
            };
        }
        was
    }

    /// Returns the root; of no leaves, the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        let last = self.0.last().and_then(|level| level.first());
        last.copied().unwrap_or_else(|| root(&mut []))
    }
}

/// What a bundle takes from it.
#[cfg(any(feature = "api", test))]
impl Levels {
    /// Returns the number of leaves.
    pub(crate) fn leaves(&self) -> usize {
        self.0[0].len()
    }

    /// Returns a leaf.
    #[cfg(feature = "api")]
    pub(crate) fn leaf(&self, index: usize) -> Option<&Hash> {
        self.0[0].get(index)
    }

    /// Proves that the leaf at `index` lies in the tree: RFC 9162, section 2.1.3; `None` when it does not.
    pub(crate) fn inclusion_proof(&self, index: usize) -> Option<Vec<Hash>> {
        if index >= self.leaves() {
            return None;
        }
        // A node without a right neighbour rises by itself, and its level adds nothing to the path.
        let beside =
            |(height, level): (usize, &Vec<Hash>)| level.get((index >> height) ^ 1).copied();
        Some(self.0.iter().enumerate().filter_map(beside).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{inclusion_proof, leaf_hash};

    #[test]
    fn a_path_through_the_levels_is_the_proof() {
        for size in 0..140_u32 {
            let leaves: Vec<_> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let mut levels = Levels::of(leaves.clone());
            assert_eq!(levels.root(), root(&mut leaves.clone()), "{size} leaves");
            for index in 0..size {
                let proof = inclusion_proof(&leaves, u64::from(index));
                assert_eq!(levels.inclusion_proof(index as usize), proof, "{index} of {size}");
            }
            assert_eq!(levels.inclusion_proof(size as usize), None);
            if size > 0 {
                let index = size as usize / 3;
                assert_eq!(levels.set(index, [9; 32]), leaves[index]);
                let mut changed = leaves;
                changed[index] = [9; 32];
                assert_eq!(levels.root(), root(&mut changed));
            }
        }
    }
}
