//! Salts and commitments: what lets a personal group be erased while every proof stays valid.

use sha2::{Digest as _, Sha256};

use super::{field::Group, groups::Groups};

/// The state of one erasable group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seal {
    /// The group is empty, or the record has not been sealed yet.
    #[default]
    Empty,
    /// The group is there; its commitment is recomputed from its fields and this salt.
    Salted([u8; 16]),
    /// The group was erased; this is the commitment that it had.
    Erased([u8; 32]),
}

/// The seals of the four erasable groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seals([Seal; 4], Groups);

impl Seals {
    /// Returns the seal of `group`; the sealed fields themselves have none.
    #[must_use]
    pub const fn of(&self, group: Group) -> Seal {
        match index(group) {
            Some(index) => self.0[index],
            None => Seal::Empty,
        }
    }

    /// Returns the salt of `group`, while it is there.
    #[must_use]
    pub const fn salt(&self, group: Group) -> Option<&[u8; 16]> {
        match index(group) {
            Some(index) => match &self.0[index] {
                Seal::Salted(salt) => Some(salt),
                Seal::Empty | Seal::Erased(_) => None,
            },
            None => None,
        }
    }

    /// Returns those of the erased groups that are kept aside, under a legal hold.
    #[must_use]
    pub const fn restricted(&self) -> Groups {
        self.1
    }

    /// Says which of the groups are kept aside: what a store says of its records, and no part of them.
    pub const fn restrict(&mut self, groups: Groups) {
        self.1 = groups;
    }

    /// Sets the seal of `group`; without effect on the sealed fields themselves.
    pub const fn set(&mut self, group: Group, seal: Seal) {
        if let Some(index) = index(group) {
            self.0[index] = seal;
        }
    }
}

const fn index(group: Group) -> Option<usize> {
    match group {
        Group::Sealed => None,
        Group::Identity => Some(0),
        Group::Network => Some(1),
        Group::Target => Some(2),
        Group::Content => Some(3),
    }
}

/// First byte of what is hashed into a commitment; leaves take 0 and tree nodes 1 (RFC 6962).
const COMMITMENT_PREFIX: u8 = 2;

/// Returns SHA-256(0x02 ‖ letter of the group ‖ salt ‖ canonical bytes of the group).
///
/// The letter (`I`, `N`, `T`, `C`) and the salt have a fixed length, so that no two inputs run into
/// each other.
pub(super) fn commitment(group: Group, salt: &[u8; 16], bytes: &[u8]) -> [u8; 32] {
    let letter = match group {
        Group::Identity => b'I',
        Group::Network => b'N',
        Group::Target => b'T',
        Group::Content => b'C',
        Group::Sealed => b'S',
    };
    let mut hash = Sha256::new();
    hash.update([COMMITMENT_PREFIX, letter]);
    hash.update(salt);
    hash.update(bytes);
    hash.finalize().into()
}
