//! The Merkle tree hash of RFC 6962, section 2.1.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Returns the hash of a leaf: SHA-256(0x00 ‖ bytes).
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
}

/// Returns the hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Returns the root of a tree without leaves: the hash of nothing.
pub(super) fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Returns the tree's root over leaf hashes; the root of no leaves is the hash of nothing.
///
/// Works in place: `leaves` is left in no useful state.
#[must_use]
pub fn root(leaves: &mut [Hash]) -> Hash {
    if leaves.is_empty() {
        return empty_root();
    }
    // Pairing level by level and carrying an odd last node upwards gives the same tree as splitting at
    // the largest power of two, which is how the RFC words it.
    let mut width = leaves.len();
    while width > 1 {
        let mut next = 0;
        for left in (0..width).step_by(2) {
            leaves[next] = if left + 1 < width {
                node_hash(&leaves[left], &leaves[left + 1])
            } else {
                leaves[left]
            };
            next += 1;
        }
        width = next;
    }
    leaves[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of the RFC, word for word.
    fn by_the_rfc(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => Sha256::digest([]).into(),
            1 => leaves[0],
            n => {
                let k = n.next_power_of_two() / 2;
                node_hash(&by_the_rfc(&leaves[..k]), &by_the_rfc(&leaves[k..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_one_that_the_rfc_defines() {
        for n in 0..200_u32 {
            let leaves: Vec<_> = (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            assert_eq!(root(&mut leaves.clone()), by_the_rfc(&leaves), "{n} leaves");
        }
    }

    #[test]
    fn known_roots_of_certificate_transparency_come_out() {
        // Test vectors of the certificate-transparency project for inputs "", "00", "10".
        let hex = |hash: Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(root(&mut [])),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(root(&mut [leaf_hash(b"")])),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            hex(root(&mut [leaf_hash(b""), leaf_hash(&[0])])),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        );
    }
}
