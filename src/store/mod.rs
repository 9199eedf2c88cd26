//! Where records live.
//!
//! A store is a few traits: [`Append`] takes batches exactly once, [`Read`] answers questions, [`Evidence`] shows
//! rows to whoever verifies them, [`Erase`] empties personal groups, [`Maintain`] looks after the whole. `MemoryStore`, `SqliteStore` and `PostgresStore` keep the same
//! promises, and one suite of tests holds them to it.
//!
//! # Exactly once
//!
//! A batch is accepted only if its stream's last number in the store is one less than the batch's first.
//! Whoever does not know how an append ended asks a new connection for the [position](Appender::position)
//! and goes on from there; no id is ever looked up.

mod any;
mod append;
mod archival;
mod audit;
mod claims;
mod completeness;
mod erase;
mod error;
mod evidence;
mod holds;
mod maintain;
mod memory;
mod outbox;
#[cfg(feature = "postgres")]
pub mod postgres;
mod read;
mod register;
mod restrict;
mod retain;
mod scan;
mod scratch;
mod seal;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub(crate) use crate::ledger::verify::{ERASED, ErasedList, QUARANTINED, UNCLEAN_END};
pub use any::AnyStore;
pub use append::{Append, Appended, Appender, Batch};
pub use archival::{Archival, Archived, ArchivedPart, Archiving};
pub use audit::{Audit, AuditProgress};
pub use completeness::{Completeness, CompletenessRequest, GapReport, StreamEnd, StreamReport};
pub(crate) use completeness::{PROCESS_ENDED, SPOOL_DAMAGED, STORE_LOST, own_filter};
pub use erase::{
    Erase, ErasedGroup, ErasedGroups, ErasedSubject, ErasurePlace, ToldErasures, told_erasures,
};
pub(crate) use erase::{by_group, empty};
pub use error::{StoreError, StoreErrorKind};
pub use evidence::Evidence;
#[cfg(feature = "api")]
pub(crate) use holds::shown_holds;
pub(crate) use holds::{HELD, PSEUDONYMS, RELEASED, filter as hold_filter, is_of_holds};
pub use holds::{Hold, Holds, Lifted, holds};
pub use maintain::{Folded, Index, Maintain, Storage, StreamPosition};
pub use memory::{MemoryAppender, MemoryStore};
pub(crate) use outbox::AnyOutbox;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use outbox::sealed;
pub use outbox::{
    Backlog, ClaimRows, ClaimedRows, Database, InTransaction, Look, NewRow, Outbox, OutboxRow,
};
pub use read::{Read, Snapshot};
pub use register::{ApiKey, Claim, Claimed, Holding, IngestKey, Register};
pub(crate) use restrict::RESTRICTED;
pub use restrict::{Restricted, RestrictedPage, restricted_page, restricted_records, whole};
pub(crate) use retain::{
    ADDRESSES_ENDED, RETENTION_CHANGED, Told, ToldOfArchive, ToldRemoval, archive_locations,
    removals, tells_of_archives, told_as, told_of_addresses, told_of_archived_addresses,
};
pub use retain::{
    Addresses, AddressesEnded, ArchivedAddressesEnded, Ending, Fate, HeldBy, PlannedUnit,
    PolicyChange, PolicySet, Retain, RetentionPlan, Unit, UnitFacts, policy_set, removal_of,
    retention_plan,
};
#[cfg(feature = "archive")]
pub(crate) use retain::{ToldPart, archived_parts};
pub use scratch::{Scratch, ScratchEntry};
#[cfg(any(feature = "api", feature = "archive"))]
pub(crate) use seal::entry_nodes;
#[cfg(feature = "api")]
pub(crate) use seal::path_beside;
pub use seal::{RecordProof, make_checkpoint, prove};
