//! Archiving units: what is not in the archive yet goes there.

use std::time::Duration;

use object_store::PutMode;

use super::{
    Archive,
    error::{ArchiveError, ArchiveErrorKind},
    manifest::{Files, Part},
    names::{self, FileKind},
    report::ArchiveReport,
    verify::ArchiveAudit,
    writing::{self, Ask, Head},
};
use crate::{
    ledger::{Checkpoint, Frontier, Note, Removal, origin_of, verify::Verdict},
    store::{AnyStore, Evidence as _, Retain as _, Unit, make_checkpoint},
    time::Timestamp,
};

/// What no manifest names is another run's work until it is so old.
const LEFT_OVER: Duration = Duration::from_secs(24 * 60 * 60);
/// So often somebody else may write a part first.
const ATTEMPTS: u32 = 5;
/// So many entries of the ledger at once.
const ENTRIES: usize = 1_000;

/// Archiving from one log: under one signed head, for as many units as are wanted.
#[derive(Debug)]
pub struct ArchiveSession<'a> {
    archive: &'a Archive,
    log: &'a AnyStore,
    origin: String,
    head: Option<Head>,
    now: Timestamp,
}

impl Archive {
    /// Begins to archive from a log; `None` when there is nothing in it. Its head is signed anew with `seeds`; without any,
    /// what is archived is proved by the last checkpoint, as far as that covers it.
    ///
    /// # Errors
    ///
    /// When the log cannot be asked or shows a part of itself alone, or the archive is one of another log.
    pub async fn begin<'a>(
        &'a self,
        log: &'a AnyStore,
        seeds: &[[u8; 32]],
        now: Timestamp,
    ) -> Result<Option<ArchiveSession<'a>>, ArchiveError> {
        log.expect_all().await?;
        let first = log.ledger_rows(0, 1).await?.pop().and_then(|row| row.entry.ok());
        let Some(first) = first else { return Ok(None) };
        let origin = origin_of(&first);
        let kept = match seeds {
            [] => log.last_checkpoint().await?,
            seeds => make_checkpoint(log, seeds, now).await?,
        };
        let head = match kept {
            None => None,
            Some(kept) => {
                let checkpoint: Result<Checkpoint, _> =
                    kept.note.parse::<Note>().and_then(|note| Checkpoint::parse(note.text()));
                let checkpoint = checkpoint.map_err(|error| {
                    let doing = "archive under the last checkpoint, which cannot be read";
                    ArchiveError::new(ArchiveErrorKind::Altered, doing).with_source(error)
                })?;
                Some(Head { note: kept.note, checkpoint, fresh: !seeds.is_empty() })
            }
        };
        Ok(Some(ArchiveSession { archive: self, log, origin, head, now }))
    }

    /// Returns the parts that hold all that a removal takes out, the first one first; `None` when they do not hold all
    /// of it.
    ///
    /// Compares the entries in the archive with the root of the removal. That the records are there too was verified when
    /// the parts were written; [`verify`](Self::verify) does so again.
    ///
    /// # Errors
    ///
    /// When the archive cannot be reached, or a manifest or a ledger in it cannot be read.
    pub async fn holding(&self, removal: &Removal) -> Result<Option<Vec<Part>>, ArchiveError> {
        let unit = Unit { month: removal.month, class: removal.class.clone() };
        let (mut holding, mut entries) = (Vec::new(), Frontier::new());
        for part in self.parts_of(&unit).await? {
            let range = part.manifest.first..=part.manifest.last;
            if *range.end() < removal.first || *range.start() > removal.last {
                continue;
            }
            let mut reader = self.entries(&part).await?;
            while let Some(archived) = reader.next().await? {
                if removal.covers(&archived.entry) {
                    entries.push(archived.entry.leaf_hash());
                }
            }
            holding.push(part);
        }
        Ok((entries.root() == removal.root).then_some(holding))
    }
}

impl ArchiveSession<'_> {
    /// Archives what the ledger accounts for of a unit and the archive does not hold yet: as many parts as it takes, each
    /// of which `tell` is told once it exists. Nothing is done twice.
    ///
    /// # Errors
    ///
    /// When the log or the archive cannot be reached, when the log is not as it was written, and when what is read back
    /// is not what was written. The parts until then stay.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it between two files; a part without its manifest does not exist.
    pub async fn unit(
        &self,
        unit: &Unit,
        mut tell: impl FnMut(&Part),
    ) -> Result<Vec<Part>, ArchiveError> {
        let mut written = Vec::new();
        let mut parts = self.archive.parts_of(unit).await?;
        self.expect_same(unit, &parts).await?;
        self.clean(unit, &parts).await?;
        // What is gone already cannot be archived any more.
        let units = self.log.units().await?;
        let Some(there) = units.iter().find(|facts| facts.unit == *unit) else {
            return Ok(written);
        };
        let mut attempts = 0;
        loop {
            let last = parts.last();
            let ask = Ask {
                unit,
                origin: &self.origin,
                part: last.map_or(1, |part| part.manifest.part.saturating_add(1)),
                after: last.map_or(0, |part| part.manifest.last).max(there.first - 1),
                head: self.head.as_ref(),
                now: self.now,
            };
            match self.part(&ask).await? {
                Outcome::Nothing => {
                    self.archive.catch_up(self.log, &written, self.now).await?;
                    return Ok(written);
                }
                Outcome::Written(part) => {
                    tell(&part);
                    parts.push((*part).clone());
                    written.push(*part);
                }
                Outcome::Taken if attempts == ATTEMPTS => {
                    let doing =
                        format!("archive {unit}: others write the same parts all the while");
                    return Err(ArchiveError::new(ArchiveErrorKind::Access, doing));
                }
                Outcome::Taken => {
                    attempts += 1;
                    parts = self.archive.parts_of(unit).await?;
                }
            }
        }
    }

    async fn part(&self, ask: &Ask<'_>) -> Result<Outcome, ArchiveError> {
        let Some(files) = writing::write(self.archive, self.log, ask).await? else {
            return Ok(Outcome::Nothing);
        };
        let (part, bytes) = Part::of(files.manifest.clone());
        if let Err(error) = self.read_back(&part).await {
            files.abort().await;
            return Err(error);
        }
        let name = part.path();
        match self.archive.put(&name, bytes, PutMode::Create).await {
            Ok(true) => {}
            // Where the first answer was lost on its way, the second attempt meets what the first one wrote.
            Ok(false) if self.archive.part(&name).await? == part => {}
            Ok(false) => {
                files.abort().await;
                return Ok(Outcome::Taken);
            }
            // It may have got there all the same: its files stay.
            Err(error) => return Err(error),
        }
        let found = self.archive.part(&name).await?;
        if found != part {
            let doing = format!("keep {name}: what is read back is not what was written");
            return Err(ArchiveError::new(ArchiveErrorKind::NotKept, doing));
        }
        Ok(Outcome::Written(Box::new(part)))
    }

    /// Reads everything back from where it lies, and computes it anew.
    async fn read_back(&self, part: &Part) -> Result<(), ArchiveError> {
        let mut report = ArchiveReport::default();
        self.archive.verify_part(part, &ArchiveAudit::new(), &mut report, &mut |_| {}).await?;
        match report.faults.iter().find(|fault| !fault.kind.is_loose()) {
            Some(fault) if report.verdict() == Verdict::Altered => {
                let doing = "keep a part of the archive: what is read back is not what was written";
                Err(ArchiveError::new(ArchiveErrorKind::NotKept, doing)
                    .with_source(fault.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an archive of another log, or of one that went on otherwise.
    async fn expect_same(&self, unit: &Unit, parts: &[Part]) -> Result<(), ArchiveError> {
        let other = |why: &str| {
            let doing = format!("archive into {}; name another place for this log", self.archive);
            ArchiveError::new(ArchiveErrorKind::Place, doing).with_source(why)
        };
        if parts.iter().any(|part| part.manifest.origin != self.origin) {
            return Err(other("it holds parts of another log"));
        }
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Ok(()) };
        // What lies before, or between parts, was taken out while there was no archive.
        let (mut after, until) = (first.manifest.first - 1, last.manifest.last);
        let covered = |position: i64| {
            let mut ranges = parts.iter().map(|part| part.manifest.first..=part.manifest.last);
            ranges.any(|range| range.contains(&position))
        };
        let mut archived = Archived { archive: self.archive, parts, reader: None };
        loop {
            let entries = self.log.unit_entries(unit, after, ENTRIES).await?;
            for entry in &entries {
                if entry.position > until {
                    return Ok(());
                }
                after = entry.position;
                if !covered(after) {
                    continue;
                }
                let known = archived.at(entry.position).await?;
                if known != Some(entry.leaf_hash()) {
                    let why = format!(
                        "entry {} of the log is not the one in the archive: the log was restored from a backup, or \
                         its retention was changed meanwhile",
                        entry.position
                    );
                    return Err(other(&why));
                }
            }
            if entries.len() < ENTRIES {
                return Ok(());
            }
        }
    }

    /// Removes what runs that did not come to their end left over: files of a part whose manifest names others. Where there
    /// is no manifest of that number they stay, since it may have been lost, and they are all that is left.
    async fn clean(&self, unit: &Unit, parts: &[Part]) -> Result<(), ArchiveError> {
        let named = |name: &str| {
            parts.iter().any(|part| {
                let Files { records, personal, ledger } = &part.manifest.files;
                [records, personal, ledger].iter().any(|file| file.path == name)
            })
        };
        let replaced = |name: &str| {
            let number = names::part_of(name);
            parts.iter().any(|part| Some(part.manifest.part) == number)
        };
        let before = self.now.saturating_sub(LEFT_OVER).as_micros();
        for kind in [FileKind::Records, FileKind::Personal, FileKind::Ledger] {
            for (name, file) in self.archive.list(&names::folder(kind, unit)).await? {
                let is_old = file.last_modified.timestamp_micros() < before;
                if is_old && replaced(&name) && !named(&name) {
                    tracing::info!(name, "what a run left over is removed from the archive");
                    self.archive.remove(&name).await?;
                }
            }
        }
        Ok(())
    }
}

/// What became of an attempt.
enum Outcome {
    Written(Box<Part>),
    /// Everything is archived.
    Nothing,
    /// Somebody else wrote this part first.
    Taken,
}

/// The entries of some parts, asked by their positions in their order.
struct Archived<'a> {
    archive: &'a Archive,
    parts: &'a [Part],
    reader: Option<super::EntryReader>,
}

impl Archived<'_> {
    async fn at(&mut self, position: i64) -> Result<Option<crate::ledger::Hash>, ArchiveError> {
        loop {
            let Some(part) = self.parts.first() else { return Ok(None) };
            if part.manifest.last < position {
                (self.parts, self.reader) = (&self.parts[1..], None);
                continue;
            }
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(self.archive.entries(part).await?),
            };
            match reader.next().await? {
                Some(archived) if archived.entry.position < position => {}
                Some(archived) if archived.entry.position == position => {
                    return Ok(Some(archived.entry.leaf_hash()));
                }
                _ => return Ok(None),
            }
        }
    }
}
