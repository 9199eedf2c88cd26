//! The manifest of a part: what makes it exist.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    error::ArchiveError,
    names::{self, FileKind},
};
use crate::{
    ledger::Hash,
    record::{hex, unhex},
    store::Unit,
    time::{Month, Timestamp},
};

/// The version of the format that this build writes, and the last that it reads.
pub const FORMAT: u32 = 1;

/// What a part holds, and in which files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The name of the log: [`origin_of`](crate::ledger::origin_of) its first entry.
    pub origin: String,
    /// The retention class.
    pub class: String,
    /// The month.
    #[serde(with = "month")]
    pub month: Month,
    /// The number among the parts of the unit, from 1 on.
    pub part: u32,
    /// How many records.
    pub records: u64,
    /// How many entries of the ledger account for them.
    pub entries: u64,
    /// The position of the first of these entries.
    pub first: i64,
    /// The position of the last of these entries.
    pub last: i64,
    /// The RFC 6962 root over these entries, in the order of their positions, in hex.
    pub root: String,
    /// When the first of the records occurred.
    pub first_at: Timestamp,
    /// When the last of the records occurred.
    pub last_at: Timestamp,
    /// How many of the entries the signed head in the file `ledger` covers.
    pub proved: u64,
    /// How many personal groups are erased.
    pub erased: u64,
    /// How often the file `personal` was written, from 1 on.
    pub generation: u32,
    /// The three files.
    pub files: Files,
    /// When the manifest was written.
    pub written_at: Timestamp,
    /// By which version of this crate.
    pub written_by: String,
}

/// The files of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Files {
    /// Sealed fields and commitments.
    pub records: FileFacts,
    /// Personal groups and their salts.
    pub personal: FileFacts,
    /// Entries of the ledger, and the head that covers them.
    pub ledger: FileFacts,
}

/// A file as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileFacts {
    /// Where it lies, relative to the root of the archive.
    pub path: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
}

/// A part of an archive: records of one unit, in files that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// What the manifest says.
    pub manifest: Manifest,
    /// The manifest's own SHA-256, which the log keeps.
    pub digest: Hash,
}

impl Part {
    /// Returns the unit whose records it holds.
    #[must_use]
    pub fn unit(&self) -> Unit {
        Unit { month: self.manifest.month, class: self.manifest.class.clone() }
    }

    /// Returns where its manifest lies, relative to the root of the archive.
    #[must_use]
    pub fn path(&self) -> String {
        names::file(FileKind::Manifest, &self.unit(), self.manifest.part, "", 0)
    }

    pub(super) fn root(&self) -> Option<Hash> {
        unhex(&self.manifest.root)
    }

    /// Reads a manifest that lies at a path.
    pub(super) fn read(path: &str, bytes: &[u8]) -> Result<Self, ArchiveError> {
        let unreadable = |why: String| ArchiveError::unreadable(path, why);
        if !bytes.ends_with(b"}\n") {
            return Err(unreadable("it is cut".to_owned()));
        }
        let manifest: Version =
            serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
        if manifest.format != FORMAT {
            let why = format!("its format is {}, and this version reads {FORMAT}", manifest.format);
            return Err(unreadable(why));
        }
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
        let part = Self { manifest, digest: Sha256::digest(bytes).into() };
        if part.path() != path {
            return Err(unreadable("it is of another unit or part than its name says".to_owned()));
        }
        if part.root().is_none() {
            return Err(unreadable("its root is none".to_owned()));
        }
        // Whoever could write a manifest could name a file anywhere otherwise.
        let Files { records, personal, ledger } = &part.manifest.files;
        for (kind, file) in [
            (FileKind::Records, records),
            (FileKind::Personal, personal),
            (FileKind::Ledger, ledger),
        ] {
            let folder = names::folder(kind, &part.unit());
            let name = file.path.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/'));
            if name.is_none_or(|name| name.is_empty() || name.contains('/')) {
                let why = format!("its file {} lies in no folder of the unit", kind.folder());
                return Err(unreadable(why));
            }
        }
        Ok(part)
    }

    /// Makes the part of a manifest, with the bytes to be written.
    pub(super) fn of(manifest: Manifest) -> (Self, Vec<u8>) {
        // Of strings and numbers alone.
        let mut bytes = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        bytes.push(b'\n');
        let digest = Sha256::digest(&bytes).into();
        (Self { manifest, digest }, bytes)
    }

    /// Returns the digest of its manifest in hex.
    #[must_use]
    pub fn digest_hex(&self) -> String {
        hex(&self.digest)
    }
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

mod month {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::time::Month;

    pub(super) fn serialize<S: Serializer>(month: &Month, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(month)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Month, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}
