//! Writing the personal groups of a part anew, without some of them.
//!
//! A new file, read back against the commitments; then the manifest that names it; then the old file goes. Whoever
//! breaks off in between leaves a file that no manifest names: the next one removes it.

use std::{collections::HashMap, time::Duration};

use object_store::PutMode;
use rand::random;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use super::{
    Archive, Part,
    columns::{PERSONAL, Row},
    error::{ArchiveError, ArchiveErrorKind},
    names::{self, FileKind},
    report::ArchiveReport,
    table::{Table, apart},
    upload::Upload,
    verify::ArchiveAudit,
};
use crate::{
    ledger::verify::Verdict,
    record::{Groups, RecordId, Seal, WriterId, hex},
    store::{AnyStore, Claim, Claimed, ErasedGroups, Holding, IngestKey, Register as _},
    time::Timestamp,
};

/// One at a time writes a part anew: who waits looks so often, and for so long.
const PAUSE: Duration = Duration::from_millis(250);
const ATTEMPTS: u32 = 240;
/// Who holds a part for longer is dead.
const EXPIRES: Duration = Duration::from_secs(60 * 60);

/// The groups to be emptied, by stream and number.
type Wanted = HashMap<(WriterId, i64), Groups>;

impl Archive {
    /// Empties groups of a part, and removes what others left over of it; returns how many groups there were.
    pub(super) async fn rewrite(
        &self,
        log: &AnyStore,
        name: &str,
        records: &[ErasedGroups],
        now: Timestamp,
    ) -> Result<u64, ArchiveError> {
        let holding = self.take_turn(log, name, now).await?;
        let done = self.in_turn(name, records).await;
        // Where it cannot be given back it expires.
        if let Err(error) = log.release(&[holding]).await {
            tracing::warn!(error = &error as &dyn std::error::Error, name, "a part stays claimed");
        }
        done
    }

    async fn in_turn(&self, name: &str, records: &[ErasedGroups]) -> Result<u64, ArchiveError> {
        let mut part = self.part(name).await?;
        let mut count = 0;
        if !records.is_empty() {
            let wanted =
                records.iter().map(|record| ((record.writer_id, record.seq), record.groups()));
            (part, count) = self.without(&part, wanted.collect()).await?;
        }
        let folder = names::folder(FileKind::Personal, &part.unit());
        let own = format!("{folder}/{:05}-", part.manifest.part);
        for (file, _) in self.list(&folder).await? {
            if file.starts_with(&own) && file != part.manifest.files.personal.path {
                self.remove(&file).await?;
            }
        }
        Ok(count)
    }

    /// Writes the file anew, and the manifest that names it.
    async fn without(&self, part: &Part, wanted: Wanted) -> Result<(Part, u64), ArchiveError> {
        let mut manifest = part.manifest.clone();
        manifest.generation = manifest.generation.saturating_add(1);
        let token = hex(&random::<[u8; 8]>());
        let (unit, generation) = (part.unit(), manifest.generation);
        let file = names::file(FileKind::Personal, &unit, manifest.part, &token, generation);
        let mut upload = Upload::new(self, file);
        let old = &part.manifest.files.personal.path;
        let count = match self.copy(old, wanted, &mut upload).await {
            Ok(count) => count,
            Err(error) => {
                upload.abort().await;
                return Err(error);
            }
        };
        manifest.files.personal = upload.finish().await?;
        manifest.erased += count;
        let (new, bytes) = Part::of(manifest);
        if let Err(error) = self.expect_whole(&new).await {
            upload.abort().await;
            return Err(error);
        }
        let name = new.path();
        self.put(&name, bytes, PutMode::Overwrite).await?;
        if self.part(&name).await? != new {
            let doing = format!("keep {name}: what is read back is not what was written");
            return Err(ArchiveError::new(ArchiveErrorKind::NotKept, doing));
        }
        Ok((new, count))
    }

    /// Copies a file of personal groups but for what is wanted gone; returns how many groups those were.
    async fn copy(
        &self,
        from: &str,
        wanted: Wanted,
        upload: &mut Upload,
    ) -> Result<u64, ArchiveError> {
        let mut table = Table::open(self, from, &PERSONAL).await?;
        let mut wanted = Some(wanted);
        let (mut writer, mut count) = (None, 0);
        while let Some(piece) = table.piece().await? {
            let (mut out, known) = (writer.take(), wanted.take().unwrap_or_default());
            let done = apart(from, move || {
                let mut rows = vec![Row::default(); piece.rows];
                piece.read(&mut rows)?;
                let mut out = match out.take() {
                    Some(out) => out,
                    None => PERSONAL.begin()?,
                };
                let count: u64 = rows.iter_mut().map(|row| empty(row, &known)).sum();
                PERSONAL.write(&rows, &mut out)?;
                out.flush()?;
                let bytes = std::mem::take(out.inner_mut());
                Ok((out, known, bytes, count))
            });
            let (out, known, bytes, emptied) = done.await?;
            (writer, wanted) = (Some(out), Some(known));
            count += emptied;
            upload.write(&bytes).await?;
        }
        let end = apart(from, move || {
            let mut out = match writer {
                Some(out) => out,
                None => PERSONAL.begin()?,
            };
            out.finish()?;
            Ok(std::mem::take(out.inner_mut()))
        });
        upload.write(&end.await?).await?;
        Ok(count)
    }

    /// Refuses a part whose files are not those that it names, or do not hold what was committed to.
    async fn expect_whole(&self, part: &Part) -> Result<(), ArchiveError> {
        let mut report = ArchiveReport::default();
        self.verify_part(part, &ArchiveAudit::new(), &mut report, &mut |_records| {}).await?;
        let fault = report.faults.iter().find(|fault| !fault.kind.is_loose());
        match fault {
            Some(fault) if report.verdict() == Verdict::Altered => {
                let doing = format!("write the personal groups of {} anew", part.path());
                Err(ArchiveError::new(ArchiveErrorKind::NotKept, doing)
                    .with_source(fault.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Waits until nobody else writes the part anew. The log is asked, which everybody has who writes to its archive.
    async fn take_turn(
        &self,
        log: &AnyStore,
        name: &str,
        now: Timestamp,
    ) -> Result<Holding, ArchiveError> {
        let key = self.key(name);
        for _attempt in 0..ATTEMPTS {
            let record_id = RecordId::new(now, random());
            let fingerprint = Sha256::digest(record_id.as_bytes()).into();
            let expired_before = now.saturating_sub(EXPIRES);
            let claim = Claim { key, fingerprint, record_id, at: now, expired_before };
            if let Some(Claimed::Yours { record_id, .. }) = log.claim(&[claim]).await?.first() {
                return Ok(Holding { key, record_id: *record_id, at: now });
            }
            sleep(PAUSE).await;
        }
        let doing = format!("write {name} anew: somebody else does so all the while");
        Err(ArchiveError::new(ArchiveErrorKind::Access, doing))
    }

    fn key(&self, name: &str) -> IngestKey {
        let mut digest = Sha256::new();
        digest.update(b"tower-activity archive\0");
        digest.update(self.to_string());
        digest.update(b"\0");
        digest.update(name);
        digest.finalize().into()
    }
}

/// Empties what is wanted gone of a row; returns how many groups that were.
fn empty(row: &mut Row, wanted: &Wanted) -> u64 {
    let record = &mut row.record;
    let Some(groups) = wanted.get(&(record.writer_id, record.seq)) else { return 0 };
    let mut count = 0;
    for group in groups.iter() {
        if matches!(record.seals.of(group), Seal::Salted(_)) {
            record.clear_group(group);
            // The commitment stands beside the sealed fields.
            record.seals.set(group, Seal::Empty);
            count += 1;
        }
    }
    count
}
