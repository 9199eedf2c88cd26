//! The archive of a log, and what somebody can do to it who keeps it.

use std::sync::Arc;

use rand::{RngExt as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};
use tower_activity::{
    archive::{
        Archive, FaultKind, Part,
        object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path},
    },
    ledger::{Checkpoint, Note, verify::Verdict},
    record::Record,
};

use super::{Done, Lived, log::Log};
use crate::counts::hex;

/// An archive that can be copied as it is.
pub(super) struct Shelf {
    objects: Arc<InMemory>,
    pub(super) archive: Archive,
}

impl Default for Shelf {
    fn default() -> Self {
        Self::of(InMemory::new())
    }
}

impl Shelf {
    fn of(objects: InMemory) -> Self {
        let objects = Arc::new(objects);
        let store = Arc::clone(&objects) as Arc<dyn ObjectStore>;
        Self { objects, archive: Archive::over(store, Path::default()) }
    }

    /// Returns another one that holds what this one does.
    pub(super) fn copy(&self) -> Self {
        Self::of(self.objects.fork())
    }

    /// Returns every record in it.
    pub(super) async fn records(&self) -> Vec<Record> {
        let mut all = Vec::new();
        for part in self.archive.parts().await.unwrap() {
            let mut reader = self.archive.reader(&part).await.unwrap();
            while let Some(records) = reader.next().await.unwrap() {
                all.extend(records.into_iter().map(|archived| *archived.record));
            }
        }
        all
    }

    async fn get(&self, name: &str) -> Vec<u8> {
        let found = self.objects.get(&Path::parse(name).unwrap()).await.unwrap();
        found.bytes().await.unwrap().to_vec()
    }

    async fn put(&self, name: &str, bytes: Vec<u8>) {
        self.objects.put(&Path::parse(name).unwrap(), bytes.into()).await.unwrap();
    }

    async fn delete(&self, name: &str) {
        self.objects.delete(&Path::parse(name).unwrap()).await.unwrap();
    }
}

/// Does something to a copy of a log's archive, and verifies the copy.
pub(super) async fn at<F: Lived>(log: &Log<F>, random: &mut StdRng) -> Done {
    let shelf = log.shelf.copy();
    let parts = shelf.archive.parts().await.unwrap();
    let part = parts.get(random.random_range(0..parts.len().max(1)))?;
    let file = file(part, random.random_range(0..3));
    let bytes = shelf.get(&file).await;
    let cut = random.random_range(0..bytes.len());
    let what = match random.random_range(0..6) {
        0 | 1 => {
            let mut flipped = bytes;
            flipped[cut] ^= 1 << random.random_range(0..8);
            shelf.put(&file, flipped).await;
            "archive: a bit of a file flipped"
        }
        2 => {
            shelf.put(&file, bytes[..cut].to_vec()).await;
            "archive: a file cut"
        }
        3 => {
            shelf.delete(&file).await;
            "archive: a file gone"
        }
        4 => return sign_otherwise(log, &shelf, part).await,
        _ => return leave_out(log, &shelf, &parts, part).await,
    };
    let report = log.audit_shelf(&shelf).await;
    assert_eq!(report.verdict(), Verdict::Altered, "{what}, {file}, {cut}: {report:#?}");
    assert!(report.faults.iter().any(|fault| fault.file == file), "{file}: {report:#?}");
    Some((what, true))
}

fn file(part: &Part, which: usize) -> String {
    let files = &part.manifest.files;
    [&files.records, &files.personal, &files.ledger][which].path.clone()
}

/// The head is signed by a key that nobody trusts, and the manifest made to fit.
async fn sign_otherwise<F: Lived>(log: &Log<F>, shelf: &Shelf, part: &Part) -> Done {
    let name = file(part, 2);
    let lines = String::from_utf8(shelf.get(&name).await).unwrap();
    let (head, entries) = lines.split_once('\n').unwrap();
    let head: serde_json::Value = serde_json::from_str(head).unwrap();
    let note: Note = head["checkpoint"].as_str()?.parse().unwrap();
    let note = Checkpoint::parse(note.text()).unwrap().sign(&[[200; 32]]).unwrap().to_string();
    let forged = format!("{}\n{entries}", serde_json::json!({ "checkpoint": note }));
    let manifest = shelf.get(&part.path()).await;
    let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let facts = &mut manifest["files"]["ledger"];
    facts["bytes"] = forged.len().into();
    facts["sha256"] = hex(&Sha256::digest(&forged)).into();
    shelf.put(&name, forged.into_bytes()).await;
    shelf.put(&part.path(), format!("{manifest:#}\n").into_bytes()).await;
    let report = log.audit_shelf(shelf).await;
    assert_eq!(report.verdict(), Verdict::Altered, "{report:#?}");
    let forged = |kind: FaultKind| report.faults.iter().any(|fault| fault.kind == kind);
    assert!(forged(FaultKind::Forged) && !forged(FaultKind::Unreadable), "{report:#?}");
    Some(("archive: a head signed by another key", true))
}

/// A part is left out whole: the parts behind it tell of it, and where there are none, the log alone.
async fn leave_out<F: Lived>(log: &Log<F>, shelf: &Shelf, parts: &[Part], part: &Part) -> Done {
    for which in 0..3 {
        shelf.delete(&file(part, which)).await;
    }
    shelf.delete(&part.path()).await;
    let later =
        |other: &Part| other.unit() == part.unit() && other.manifest.part > part.manifest.part;
    let is_found = parts.iter().any(later);
    let report = log.audit_shelf(shelf).await;
    let expected = if is_found { Verdict::Altered } else { Verdict::Unaltered };
    assert_eq!(report.verdict(), expected, "{report:#?}");
    Some(("archive: a part left out", is_found))
}
