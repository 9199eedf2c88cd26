//! Where the files of an archive lie.
//!
//! ```text
//! records/class=C/month=YYYY-MM/00001-TOKEN.parquet
//! personal/class=C/month=YYYY-MM/00001-TOKEN.1.parquet
//! ledger/class=C/month=YYYY-MM/00001-TOKEN.jsonl
//! manifests/class=C/month=YYYY-MM/00001.json
//! ```
//!
//! `key=value` folders are what query engines make columns of. The token is drawn anew for each attempt, so that two
//! processes never write one file; of their manifests, whose names they share, the first one counts.

use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{store::Unit, time::Month};

/// What stands in a path as it is; the rest as `%` and two digits, as Hive has it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The folders below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileKind {
    /// Sealed fields and commitments.
    Records,
    /// Personal groups and their salts.
    Personal,
    /// Entries of the ledger, and the head that covers them.
    Ledger,
    /// What makes a part exist.
    Manifest,
}

impl FileKind {
    /// All of them, the manifest last, as they are written.
    pub const ALL: [Self; 4] = [Self::Records, Self::Personal, Self::Ledger, Self::Manifest];

    /// Returns the name of its folder.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Personal => "personal",
            Self::Ledger => "ledger",
            Self::Manifest => "manifests",
        }
    }
}

/// Returns the folder of a unit's files, relative to the root.
pub(super) fn folder(kind: FileKind, unit: &Unit) -> String {
    let class = utf8_percent_encode(&unit.class, ESCAPED);
    format!("{}/class={class}/month={}", kind.folder(), unit.month)
}

/// Returns the name of a file, relative to the root.
pub(super) fn file(kind: FileKind, unit: &Unit, part: u32, token: &str, generation: u32) -> String {
    let folder = folder(kind, unit);
    match kind {
        FileKind::Records => format!("{folder}/{part:05}-{token}.parquet"),
        FileKind::Personal => format!("{folder}/{part:05}-{token}.{generation}.parquet"),
        FileKind::Ledger => format!("{folder}/{part:05}-{token}.jsonl"),
        FileKind::Manifest => format!("{folder}/{part:05}.json"),
    }
}

/// Returns the unit and the number of the part that a manifest is of, by its name; `None` when it is no manifest's.
pub(super) fn of_manifest(path: &str) -> Option<(Unit, u32)> {
    let mut parts = path.split('/');
    if parts.next()? != FileKind::Manifest.folder() {
        return None;
    }
    let class = parts.next()?.strip_prefix("class=")?;
    let class = percent_decode_str(class).decode_utf8().ok()?.into_owned();
    let month: Month = parts.next()?.strip_prefix("month=")?.parse().ok()?;
    let part = parts.next()?.strip_suffix(".json")?.parse().ok()?;
    let unit = Unit { month, class };
    let same = parts.next().is_none() && file(FileKind::Manifest, &unit, part, "", 0) == path;
    (same && part > 0).then_some((unit, part))
}

/// Returns the number of the part that a file other than a manifest was written for, by its name.
pub(super) fn part_of(path: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    name.split_once('-')?.0.parse().ok()
}

/// Returns a path below a root; `None` when the name is none that a file of an archive can have.
pub(super) fn below(root: &Path, name: &str) -> Option<Path> {
    let whole = match root.as_ref() {
        "" => name.to_owned(),
        root => format!("{root}/{name}"),
    };
    // `..` and empty names are refused here.
    Path::parse(whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_comes_back_from_its_folder_whatever_it_is_called() {
        for class in
            ["activity", "", "..", "a/b", "a b=c", "ünïcode", "100%", "a%2Fb", "A", "\u{0}\n"]
        {
            let unit = Unit { month: "2026-01".parse().unwrap(), class: class.to_owned() };
            let path = file(FileKind::Manifest, &unit, 7, "", 0);
            assert_eq!(of_manifest(&path), Some((unit, 7)), "{path}");
            assert!(below(&Path::from("root"), &path).is_some(), "{path}");
            assert_eq!(path.split('/').count(), 4, "{path}");
        }
    }

    #[test]
    fn what_no_run_writes_is_no_manifest() {
        for path in [
            "manifests/class=a/month=2026-01/1.json",
            "manifests/class=a/month=2026-01/00000.json",
            "manifests/class=a/month=2026-13/00001.json",
            "manifests/class=a/month=2026-01/00001.json/x",
            "manifests/class=a b/month=2026-01/00001.json",
            "manifests/class=%ff/month=2026-01/00001.json",
            "records/class=a/month=2026-01/00001.json",
            "manifests/00001.json",
            "",
        ] {
            assert_eq!(of_manifest(path), None, "{path}");
        }
        for name in ["records/../x", "records//x", "a/./b"] {
            assert_eq!(below(&Path::from("root"), name), None, "{name}");
        }
    }
}
