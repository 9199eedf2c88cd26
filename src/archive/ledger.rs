//! The file `ledger` of a part: the signed head, and each entry with its path to it, as JSON Lines.
//!
//! ```text
//! {"checkpoint":"activity/4f1c…\n1830\n…"}
//! {"entry":"{\"batch_root\":\"…\",…}","path":["…"]}
//! ```
//!
//! An entry stands there as its canonical bytes, whose hash is the leaf. Without a head, or behind it, the path is null.

use serde::{Deserialize, Serialize};

use crate::{
    ledger::{Entry, Hash},
    record::{hex, unhex},
};

/// The signed head of the ledger when the part was written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeadLine {
    pub(super) checkpoint: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EntryLine {
    entry: String,
    path: Option<Vec<String>>,
}

/// An entry of the ledger as it stands in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchivedEntry {
    /// The entry.
    pub entry: Entry,
    /// From the entry to the root of the signed head; `None` when no head covers it.
    pub path: Option<Vec<Hash>>,
}

/// Writes a line.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    // Of strings alone.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Writes the line of an entry.
pub(super) fn entry_line(entry: &Entry, path: Option<&[Hash]>) -> Vec<u8> {
    line(&EntryLine {
        entry: String::from_utf8_lossy(&entry.canonical_bytes()).into_owned(),
        path: path.map(|path| path.iter().map(|hash| hex(hash)).collect()),
    })
}

/// Reads the line of an entry; `None` when it is none.
pub(super) fn read_entry(line: &[u8]) -> Option<ArchivedEntry> {
    let line: EntryLine = serde_json::from_slice(line).ok()?;
    let entry = Entry::from_canonical(line.entry.as_bytes())?;
    let path = match line.path {
        None => None,
        Some(path) => Some(path.iter().map(|hash| unhex(hash)).collect::<Option<_>>()?),
    };
    Some(ArchivedEntry { entry, path })
}
