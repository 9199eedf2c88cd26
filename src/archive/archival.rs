//! The archive as a pipeline knows it: what is taken out of the log is kept here first, and who is erased goes here too.

use super::{
    Archive, Part,
    error::{ArchiveError, ArchiveErrorKind},
    names::{self, FileKind},
    report::ArchiveReport,
    verify::ArchiveAudit,
};
use crate::{
    ledger::{Removal, verify::Verdict},
    record::{Canonical, Groups, Record},
    store::{
        AnyStore, Archival, ArchivedPart, Archiving, ErasedGroups, Unit, holds, told_erasures,
    },
    time::Timestamp,
};

impl Archival for Archive {
    fn location(&self) -> String {
        self.to_string()
    }

    fn keep<'a>(
        &'a self,
        store: &'a AnyStore,
        removal: &'a Removal,
        seeds: &'a [[u8; 32]],
        now: Timestamp,
    ) -> Archiving<'a, Vec<ArchivedPart>> {
        Box::pin(async move {
            let parts = self.kept(store, removal, seeds, now).await?;
            let part = |part: &Part| ArchivedPart { name: part.path(), manifest: part.digest };
            Ok(parts.iter().map(part).collect())
        })
    }

    fn parts(&self) -> Archiving<'_, Vec<String>> {
        Box::pin(async move {
            let listed = self.list(FileKind::Manifest.folder()).await?;
            let names = listed.into_iter().map(|(name, _)| name);
            Ok(names.filter(|name| names::of_manifest(name).is_some()).collect())
        })
    }

    fn unit_of(&self, part: &str) -> Option<Unit> {
        names::of_manifest(part).map(|(unit, _)| unit)
    }

    fn find<'a>(
        &'a self,
        part: &'a str,
        concerned: &'a mut (dyn FnMut(&Record) -> Groups + Send),
    ) -> Archiving<'a, Vec<ErasedGroups>> {
        Box::pin(async move { Ok(self.found(part, concerned).await?) })
    }

    fn empty<'a>(
        &'a self,
        store: &'a AnyStore,
        part: &'a str,
        records: &'a [ErasedGroups],
        now: Timestamp,
    ) -> Archiving<'a, u64> {
        Box::pin(async move { Ok(self.rewrite(store, part, records, now).await?) })
    }
}

impl Archive {
    async fn kept(
        &self,
        store: &AnyStore,
        removal: &Removal,
        seeds: &[[u8; 32]],
        now: Timestamp,
    ) -> Result<Vec<Part>, ArchiveError> {
        let unit = Unit { month: removal.month, class: removal.class.clone() };
        let not_kept = |why: String| {
            let doing = format!("keep {unit}, so that it can be taken out of the log");
            ArchiveError::new(ArchiveErrorKind::NotKept, doing).with_source(why)
        };
        let lacking = || not_kept("the archive does not hold all of its entries".to_owned());
        let mut written = Vec::new();
        // What is held is read again all the same: between writing and removing it may have been lost.
        if self.holding(removal).await?.is_none() {
            let session = self.begin(store, seeds, now).await?.ok_or_else(lacking)?;
            written = session.unit(&unit, |_part| {}).await?;
        }
        let holding = self.holding(removal).await?.ok_or_else(lacking)?;
        for part in holding.iter().filter(|part| !written.contains(part)) {
            let mut report = ArchiveReport::default();
            self.verify_part(part, &ArchiveAudit::new(), &mut report, &mut |_records| {}).await?;
            if report.verdict() == Verdict::Altered {
                let fault = report.faults.iter().find(|fault| !fault.kind.is_loose());
                return Err(not_kept(fault.map(ToString::to_string).unwrap_or_default()));
            }
        }
        Ok(holding)
    }

    /// Erases in new parts what was erased in the log while they were written.
    ///
    /// Whoever erases tells of it, then empties the log, and then looks for parts: one whose manifest he did not see has
    /// one that was written later than his telling, which is therefore read here.
    pub(super) async fn catch_up(
        &self,
        store: &AnyStore,
        written: &[Part],
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        if written.is_empty() {
            return Ok(());
        }
        let told = told_erasures(store).await?;
        if told.is_empty() {
            return Ok(());
        }
        let holds = holds(store).await?;
        for part in written {
            let mut erased = |record: &Record| match told.groups(record) {
                // Told of, and then not done: it came under a hold meanwhile.
                groups if !groups.is_empty() && holds.held(record).is_some() => Groups::NONE,
                groups => groups,
            };
            let found = self.found(&part.path(), &mut erased).await?;
            if !found.is_empty() {
                self.rewrite(store, &part.path(), &found, now).await?;
            }
        }
        Ok(())
    }

    async fn found(
        &self,
        part: &str,
        concerned: &mut (dyn FnMut(&Record) -> Groups + Send),
    ) -> Result<Vec<ErasedGroups>, ArchiveError> {
        let part = self.part(part).await?;
        let mut reader = self.reader(&part).await?;
        let (mut canonical, mut found) = (Canonical::new(), Vec::new());
        while let Some(rows) = reader.next().await? {
            for row in &rows {
                let groups = concerned(&row.record);
                found.extend(ErasedGroups::of(&row.record, groups, &mut canonical));
            }
        }
        Ok(found)
    }
}
