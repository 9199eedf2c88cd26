//! What is kept outside of the database of that which is taken out of it.

use std::{error::Error, fmt, future::Future, pin::Pin};

use serde_json::{Value, json};

use super::{AnyStore, ErasedGroups, Unit};
use crate::{
    ledger::Removal,
    record::{Groups, Record, hex, unhex},
    time::Timestamp,
};

/// What an archive answers, or why it cannot.
pub type Archiving<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// A part of an archive, by which it can be found and recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "archives outside make it")]
pub struct ArchivedPart {
    /// Its name within the archive.
    pub name: String,
    /// The SHA-256 of its manifest, which has those of its files.
    pub manifest: [u8; 32],
}

impl ArchivedPart {
    fn to_json(&self) -> Value {
        json!({ "part": self.name, "manifest": hex(&self.manifest) })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let manifest = unhex(value["manifest"].as_str()?)?;
        Some(Self { name: value["part"].as_str()?.to_owned(), manifest })
    }
}

/// Where the records of a removal are kept from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "archives outside make it")]
pub struct Archived {
    /// The archive, without whatever opens it.
    pub location: String,
    /// The parts.
    pub parts: Vec<ArchivedPart>,
}

impl Archived {
    /// Returns it as it stands in the record of the removal.
    pub(crate) fn to_json(&self) -> Value {
        let parts: Vec<_> = self.parts.iter().map(ArchivedPart::to_json).collect();
        json!({ "location": self.location, "parts": parts })
    }

    /// Reads what the record of a removal says; `None` when it was not archived.
    pub(crate) fn told(record: &Record) -> Option<Self> {
        let told: Value = serde_json::from_str(record.metadata.as_str()).ok()?;
        let told = &told["archive"];
        let parts = told["parts"].as_array()?.iter().map(ArchivedPart::from_json);
        Some(Self {
            location: told["location"].as_str()?.to_owned(),
            parts: parts.collect::<Option<_>>()?,
        })
    }
}

/// An archive: what a pipeline needs of it so that nothing is taken out that is not kept there, and nobody who is
/// erased stays in it.
///
/// A trait and not an archive itself, so that a pipeline needs none of what writes one.
pub trait Archival: fmt::Debug + Send + Sync + 'static {
    /// Returns where it is, for people: without whatever opens it.
    fn location(&self) -> String;

    /// Sees to it that all records of a removal's entries are in the archive, and returns the parts that hold them.
    ///
    /// What holds when it returns: each of these parts was read back whole after it was written, the canonical bytes of
    /// its records give the roots of their entries, and the entries give the root of the removal. What an earlier
    /// call archived is read once more and not written again. Groups that were erased meanwhile are erased in it.
    /// With `seeds` the head of the ledger is signed that proves it.
    fn keep<'a>(
        &'a self,
        store: &'a AnyStore,
        removal: &'a Removal,
        seeds: &'a [[u8; 32]],
        now: Timestamp,
    ) -> Archiving<'a, Vec<ArchivedPart>>;

    /// Returns the names of its parts.
    fn parts(&self) -> Archiving<'_, Vec<String>>;

    /// Returns of which unit the records of a part are, which its name says: so a run of the retention knows in which
    /// parts the time of addresses is over. Defaults to `None`: nobody knows, and the addresses stay as long as the part.
    fn unit_of(&self, part: &str) -> Option<Unit> {
        let _nothing_is_known = part;
        None
    }

    /// Goes through the records of a part, and returns what is to be emptied of them: of each the groups that
    /// `concerned` says, as far as they are there.
    fn find<'a>(
        &'a self,
        part: &'a str,
        concerned: &'a mut (dyn FnMut(&Record) -> Groups + Send),
    ) -> Archiving<'a, Vec<ErasedGroups>>;

    /// Empties groups of a part, and removes what an earlier call that broke off left of it: when it returns, no file of
    /// the part has them any more. Safe to repeat; returns how many there were.
    fn empty<'a>(
        &'a self,
        store: &'a AnyStore,
        part: &'a str,
        records: &'a [ErasedGroups],
        now: Timestamp,
    ) -> Archiving<'a, u64>;
}
