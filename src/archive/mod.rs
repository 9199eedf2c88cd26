//! Archives: records as Parquet files in a directory or in S3, with all that proves them, before they are removed.
//!
//! What enters: a store, and the units of it that are to be kept elsewhere. What leaves: for each of them parts, of four
//! files each, below the root of the archive:
//!
//! | file | what |
//! | --- | --- |
//! | `records/class=C/month=M/….parquet` | the sealed fields, and the commitments to the personal groups |
//! | `personal/class=C/month=M/….parquet` | the personal groups and their salts, which an erasure writes anew |
//! | `ledger/class=C/month=M/….jsonl` | the entries of the ledger, with their paths to the signed head |
//! | `manifests/class=C/month=M/….json` | what the part holds, and the size and hash of each file |
//!
//! The manifest comes last, once everything else was read back from where it lies and computed anew, and makes the
//! part exist. What a run that did not come to its end leaves over has none, and nobody reads it; a run a day later
//! removes it, once there is a part of its number. Not listed, and so not removed: the halves of uploads that were broken off (in a
//! directory files whose names end in `#` and digits, in S3 multipart uploads, for which a bucket has a rule of its own). A part is never written twice; what arrives late in a month makes a further part.
//!
//! [`Archive::verify`] needs no database: it computes everything from the columns up to the signed head. So whoever keeps
//! an archive cannot change a record, or add one. What he can do unseen is to leave something out whole and write the manifest
//! anew: an entry with its records, a part, a unit. The log tells of each part that was written, with the digest of its manifest,
//! and its ledger has every entry: [`ArchiveAudit::log`] has both compared.

mod archival;
mod columns;
mod error;
mod ledger;
mod lines;
mod manifest;
mod names;
mod place;
mod reader;
mod report;
#[cfg(feature = "sqlite")]
mod restore;
mod rewrite;
mod run;
mod table;
#[cfg(test)]
mod tests;
mod told;
mod upload;
mod verify;
mod writing;

pub use error::{ArchiveError, ArchiveErrorKind};
pub use ledger::ArchivedEntry;
pub use manifest::{FORMAT, FileFacts, Files, Manifest, Part};
pub use names::FileKind;
pub use object_store;
pub use place::Archive;
pub use reader::{ArchivedRecord, EntryReader, PartReader};
pub use report::{ArchiveReport, Fault, FaultKind};
#[cfg(feature = "sqlite")]
pub use restore::{RestoreAsk, Restoring};
pub use run::ArchiveSession;
pub use verify::ArchiveAudit;
