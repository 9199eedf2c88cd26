//! What is said of an erasure, before and after it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{archived::ArchiveErasure, outside::FileErasure};
use crate::{
    record::RecordId,
    store::{ErasedSubject, ErasurePlace},
    time::Timestamp,
};

/// What an erasure would reach: the result of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ErasurePlan {
    /// How many records hold something about the person.
    pub records: u64,
    /// How many groups of them would be erased, by the group's name.
    pub groups: BTreeMap<&'static str, u64>,
    /// How many records more are under a legal hold: what they hold of the person is, or would be, kept aside until it is
    /// lifted, and shown to nobody who asks the log.
    pub held: u64,
    /// How many of these by the id of the hold; those of another tenant, or of all, are `other` to a tenant.
    pub held_by: BTreeMap<String, u64>,
    /// What of the archive would be; `None` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveErasure>,
    /// What of the spools that were named would be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spools: Vec<FileErasure>,
    /// What of the quarantine files that were named would be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quarantines: Vec<FileErasure>,
    /// The places beside the records.
    pub places: Vec<ErasurePlace>,
}

/// What was erased, for the files of whoever asked for it. No name is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The name of the erasure, as its records have it.
    pub erasure: String,
    /// When it began.
    pub at: Timestamp,
    /// On which legal basis.
    pub basis: String,
    /// Who erased, as type and id.
    pub by: String,
    /// How many records were emptied.
    pub records: u64,
    /// How many groups of them, by the group's name.
    pub groups: BTreeMap<&'static str, u64>,
    /// How many records more are under a legal hold, and restricted: what they held of the person is kept aside, shown to
    /// nobody who asks the log, and erased once the hold is lifted.
    pub held: u64,
    /// How many of these by the id of the hold; those of another tenant, or of all, are `other` to a tenant.
    pub held_by: BTreeMap<String, u64>,
    /// How many erasures on the log's list a replay passed over, because nobody is on it under its keys; `None` where it was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_keys: Option<usize>,
    /// What was emptied in the archive; `None` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveErasure>,
    /// What was emptied in the spools that were named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spools: Vec<FileErasure>,
    /// What was emptied in the quarantine files that were named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quarantines: Vec<FileErasure>,
    /// The records `erased`, which name what was emptied.
    pub told_by: Vec<RecordId>,
    /// The head of the ledger before; `None` when it was empty.
    pub checkpoint_before: Option<SignedHead>,
    /// The head of the ledger afterwards, which covers the records that tell of it.
    pub checkpoint_after: Option<SignedHead>,
    /// The places beside the records, as they are now.
    pub places: Vec<ErasurePlace>,
    /// Who is on the list from now on, as digests. Kept outside of the database, this is what a restored backup is
    /// brought up to date with.
    pub subjects: Vec<ErasedSubject>,
}

/// A signed head of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SignedHead {
    /// How many entries it covers.
    pub size: i64,
    /// The signed note.
    pub note: String,
}
