//! Erasing people, so that every proof stays valid.
//!
//! **Goes in:** who, on which legal basis, and who says so. **Comes out:** records `erased`, emptied groups, and a
//! certificate.
//!
//! In steps of a few hundred records: first a record `erased` names them and their groups, and only when it is committed
//! are they emptied, in one short transaction. Whoever is killed in between has announced more than he did; the next
//! erasure of the same person finds what is left. So nothing is ever gone without a record that says so, which is
//! what a verification looks for.
//!
//! An [archive](crate::store::Archival) is reached the same way: what it holds of the person is announced, and then the
//! files that have it are written anew.
//!
//! What is under a legal hold is restricted instead: a record `restricted` names it, and its groups leave their records
//! for a place where no question looks, until the hold is lifted. In an archive it stays as it is until then.
//!
//! What lies outside of the store is emptied where it lies, if it is named: [spools](ErasureRequest::spool) of processes
//! that are down, and [quarantine files](ErasureRequest::quarantine).
//!
//! The person is put on a list first, as a keyed digest: what arrives of the time before (from a spool, an outbox,
//! another process) is emptied before it is stored, or restricted where a hold is on it, by every pipeline that has the same keys. The list is what a restored
//! backup is brought up to date with.

mod archived;
mod arrivals;
mod certificate;
mod eraser;
mod error;
mod on_the_way;
mod outside;
mod request;
mod restriction;
mod search;
mod shelved;
mod subject;

pub use archived::ArchiveErasure;
pub(super) use arrivals::{Arrivals, News};
pub use certificate::{Certificate, ErasurePlan, SignedHead};
pub use eraser::{Eraser, Erasing};
pub use error::EraseError;
pub use outside::{FileErasure, UnreachedFile};
pub use request::ErasureRequest;
pub(super) use restriction::Dues;
pub use shelved::LeftArchive;
pub(super) use shelved::Shelved;
pub use subject::ErasedPeople;
