//! The ledger: provable and in order.
//!
//! Each append ends in [`Entry`]s: runs of consecutive records of one stream that lie in one leaf, each
//! with the RFC 6962 root over its records' canonical bytes. The entries themselves, in the order of
//! their positions, are the leaves of a second tree; record → entry → ledger is two inclusion proofs.
//!
//! Pure: what is hashed here was read elsewhere.

mod checkpoint;
mod entry;
mod expiry;
pub(crate) mod folded;
mod frontier;
#[cfg(test)]
mod independent;
pub(crate) mod levels;
mod nodes;
mod note;
mod proof;
mod removal;
#[cfg(test)]
#[path = "../../tests/faults/table.rs"]
pub(crate) mod table;
mod tree;
mod trust;
pub mod verify;

pub use checkpoint::{Checkpoint, origin_of};

pub use entry::{Entry, NewEntry, new_entries, runs};
#[cfg(feature = "sqlite")]
pub(crate) use entry::{FoldedEntry, folded_entries};
pub(crate) use expiry::ADDRESSES_EXPIRED;
pub use expiry::AddressExpiry;
pub use frontier::Frontier;
pub(crate) use nodes::tiles_within;
pub use nodes::{KeptCheckpoint, Nodes, TreeNode, tiles};
pub use note::{Note, NoteError, NoteKey, NoteSigner};
pub use proof::{
    consistency_proof, consistency_ranges, inclusion_proof, inclusion_ranges, is_consistent,
    root_by_inclusion,
};
pub(crate) use removal::RETENTION_RUN;
pub use removal::{Removal, RemovalCount};
pub use tree::{Hash, leaf_hash, node_hash, root};
pub use trust::{Trust, TrustError};
