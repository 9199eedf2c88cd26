//! The ledger: provable and in order.
//!
//! Each append ends in [`Entry`]s: runs of consecutive records of one stream that lie in one leaf, each
//! with the RFC 6962 root over its records' canonical bytes. The entries themselves, in the order of
//! their positions, are the leaves of a second tree; record → entry → ledger is two inclusion proofs.
//!
//! Pure: what is hashed here was read elsewhere.

mod entry;
mod tree;

pub use entry::{Entry, NewEntry, new_entries, runs};
pub use tree::{Hash, leaf_hash, node_hash, root};
