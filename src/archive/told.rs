//! Comparing an archive with the log that it was written from.
//!
//! An archive proves what it has, and not that it has everything: whoever keeps it can leave out a month, a part, or an
//! entry with its records, and write the manifest anew. The log has two things that he cannot change: the records that tell
//! which parts were written, and the ledger, whose entries stay when their records go.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Archive,
    error::ArchiveError,
    manifest::Part,
    names::{self, FileKind},
    report::{ArchiveReport, Fault, FaultKind},
};
use crate::{
    ledger::{Removal, RemovalCount, origin_of, verify::Place},
    record::{RecordId, hex},
    store::{
        AnyStore, ArchivedPart, Evidence as _, Retain as _, ToldPart, ToldRemoval, Unit,
        archived_parts, removals,
    },
};

/// So many entries of the ledger at once.
const ENTRIES: usize = 5_000;

/// What was found in an archive: its parts, and the names of all manifests, also of those that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) parts: Vec<Part>,
    pub(super) named: BTreeSet<String>,
}

impl Archive {
    /// Compares what is there with what a log tells of it, of one unit or of all.
    pub(super) async fn compare(
        &self,
        log: &AnyStore,
        unit: Option<&Unit>,
        present: &Present,
        report: &mut ArchiveReport,
    ) -> Result<(), ArchiveError> {
        log.expect_all().await?;
        let is_asked = |of: &Unit| unit.is_none_or(|unit| unit == of);
        let mut told = archived_parts(log).await?;
        let mut removed = removals(log).await?;
        told.retain(|told| is_asked(&told.unit()));
        removed.retain(|told| unit.is_none_or(|unit| told.removal.is_of_unit(unit)));
        let first = log.ledger_rows(0, 1).await?.pop().and_then(|row| row.entry.ok());
        let origin = first.map(|first| origin_of(&first));
        for part in &present.parts {
            if Some(&part.manifest.origin) == origin.as_ref() {
                self.compare_entries(log, part, report).await?;
            } else {
                let detail = "it is of another log than the one that it is compared with";
                report.push(Fault::new(FaultKind::Altered, &part.path(), detail));
            }
        }
        let belong = self.compare_told(&told, &removed, present, report);
        for told in &removed {
            self.compare_removal(log, told, &belong, present, report).await?;
        }
        Ok(())
    }

    /// Compares the entries of a part with those of the ledger between its first and its last.
    async fn compare_entries(
        &self,
        log: &AnyStore,
        part: &Part,
        report: &mut ArchiveReport,
    ) -> Result<(), ArchiveError> {
        let unit = part.unit();
        let (mut count, mut after) = (RemovalCount::default(), part.manifest.first - 1);
        loop {
            let entries = log.unit_entries(&unit, after, ENTRIES).await?;
            let within = entries.iter().take_while(|entry| entry.position <= part.manifest.last);
            within.for_each(|entry| count.push(entry));
            match entries.last() {
                Some(last) if entries.len() == ENTRIES && last.position < part.manifest.last => {
                    after = last.position;
                }
                _ => break,
            }
        }
        let of_log = count.of(unit.month, &unit.class);
        if let Some(name) = differs(part, of_log.as_ref()) {
            let place = Place { position: Some(part.manifest.first), ..Place::default() };
            let detail = format!("its `{name}` is not what the ledger of the log comes to");
            report.push(Fault::new(FaultKind::Altered, &part.path(), detail).at(place));
        }
        Ok(())
    }

    /// Compares the parts of which the log tells with those that are there; returns which of them belong here.
    fn compare_told<'t>(
        &self,
        told: &'t [ToldPart],
        removed: &'t [ToldRemoval],
        present: &Present,
        report: &mut ArchiveReport,
    ) -> BTreeSet<&'t str> {
        let parts: BTreeMap<_, _> = present.parts.iter().map(|part| (part.path(), part)).collect();
        let (here, elsewhere) = self.of_this_place(claims(told, removed), &parts);
        report.told_elsewhere = elsewhere;
        let mut belong = BTreeSet::new();
        for Claim { part: told, told_by, facts, .. } in here {
            let name = told.name.as_str();
            let is_first = belong.insert(name);
            let Some(part) = parts.get(name) else {
                // What is there and cannot be read was told of.
                if is_first && !present.named.contains(name) {
                    let detail = format!("record {told_by} of the log tells of it");
                    report.push(Fault::new(FaultKind::Missing, name, detail));
                }
                continue;
            };
            // Who is erased is taken out of a part, which then has another manifest of the next generation.
            if told.manifest != part.digest && part.manifest.generation <= 1 {
                let detail = format!(
                    "its SHA-256 is not {}, of which record {told_by} of the log tells",
                    hex(&told.manifest)
                );
                report.push(Fault::new(FaultKind::Altered, name, detail));
            } else if let Some(field) = facts.and_then(|facts| differs(part, Some(facts))) {
                let detail = format!("its `{field}` is not that of which record {told_by} tells");
                report.push(Fault::new(FaultKind::Altered, name, detail));
            }
        }
        report.told = Some(belong.len() as u64);
        for name in parts.keys().filter(|name| !belong.contains(name.as_str())) {
            let detail = "no record of the log tells of it: whoever wrote it ended before he could, or somebody put it there";
            report.push(Fault::new(FaultKind::Untold, name, detail));
        }
        belong
    }

    /// Takes what the log tells of this archive, and counts the parts that belong to others.
    ///
    /// A copy lies elsewhere than the log says, and an archive may be moved. So what was written to another place belongs
    /// here too where nothing was written to this one, or where some of it is here.
    fn of_this_place<'t>(
        &self,
        all: Vec<Claim<'t>>,
        parts: &BTreeMap<String, &Part>,
    ) -> (Vec<Claim<'t>>, u64) {
        let here = self.to_string();
        let is_named = all.iter().any(|claim| claim.location == Some(&*here));
        let is_there = |claim: &&Claim<'_>| {
            parts.get(&claim.part.name).is_some_and(|part| {
                let is_rewritten = part.manifest.generation > 1;
                let is_same = |facts| differs(part, Some(facts)).is_none();
                part.digest == claim.part.manifest
                    || (is_rewritten && claim.facts.is_some_and(is_same))
            })
        };
        let there: BTreeSet<_> = all.iter().filter(is_there).map(|claim| claim.location).collect();
        let (of_it, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|claim| {
            !is_named || claim.location == Some(&*here) || there.contains(&claim.location)
        });
        let others: BTreeSet<_> =
            others.iter().map(|claim| (claim.location, &claim.part.name)).collect();
        (of_it, others.len() as u64)
    }

    /// Looks for the entries of a removal that no part has, where the log says that these parts have them all.
    async fn compare_removal(
        &self,
        log: &AnyStore,
        told: &ToldRemoval,
        belong: &BTreeSet<&str>,
        present: &Present,
        report: &mut ArchiveReport,
    ) -> Result<(), ArchiveError> {
        let Some(archived) = &told.archived else { return Ok(()) };
        let removal = &told.removal;
        let unit = Unit { month: removal.month, class: removal.class.clone() };
        let is_here = |name: &str| present.parts.iter().any(|part| part.path() == name);
        let mut names = archived.parts.iter().map(|part| part.name.as_str());
        // A part that is gone was told of, and with it what it had.
        if !names.all(|name| belong.contains(name) && is_here(name)) {
            return Ok(());
        }
        let of_unit: Vec<_> = present.parts.iter().filter(|part| part.unit() == unit).collect();
        let is_covered = |position: i64| {
            let mut parts = of_unit.iter().map(|part| &part.manifest);
            parts.any(|manifest| (manifest.first..=manifest.last).contains(&position))
        };
        let mut after = removal.first - 1;
        loop {
            let entries = log.unit_entries(&unit, after, ENTRIES).await?;
            let within = entries.iter().filter(|entry| entry.position <= removal.last);
            if let Some(entry) = within.into_iter().find(|entry| !is_covered(entry.position)) {
                let place = Place { position: Some(entry.position), ..Place::default() };
                let file = names::folder(FileKind::Manifest, &unit);
                let detail = format!(
                    "record {} of the log says that the records of this entry are here, and no part has it",
                    told.told_by
                );
                report.push(Fault::new(FaultKind::Missing, &file, detail).at(place));
                return Ok(());
            }
            match entries.last() {
                Some(last) if entries.len() == ENTRIES && last.position < removal.last => {
                    after = last.position;
                }
                _ => return Ok(()),
            }
        }
    }
}

/// What one record of the log says of one part.
struct Claim<'t> {
    part: &'t ArchivedPart,
    location: Option<&'t str>,
    told_by: RecordId,
    /// The entries of the part, where the record has them.
    facts: Option<&'t Removal>,
}

fn claims<'t>(told: &'t [ToldPart], removed: &'t [ToldRemoval]) -> Vec<Claim<'t>> {
    let of_parts = told.iter().map(|told| Claim {
        part: &told.part,
        location: told.location.as_deref(),
        told_by: told.told_by,
        facts: Some(&told.removal),
    });
    let of_removals = removed.iter().flat_map(|told| {
        let archived = told.archived.iter();
        archived.flat_map(move |archived| {
            archived.parts.iter().map(move |part| Claim {
                part,
                location: Some(&archived.location),
                told_by: told.told_by,
                facts: None,
            })
        })
    });
    of_parts.chain(of_removals).collect()
}

/// Returns what a manifest says otherwise than the log.
fn differs(part: &Part, of_log: Option<&Removal>) -> Option<&'static str> {
    let manifest = &part.manifest;
    let Some(of_log) = of_log else { return Some("entries") };
    let same = |told: u64, known: i64| i64::try_from(told) == Ok(known);
    let compared = [
        ("class", manifest.class == of_log.class && manifest.month == of_log.month),
        ("first", manifest.first == of_log.first),
        ("last", manifest.last == of_log.last),
        ("entries", same(manifest.entries, of_log.entries)),
        ("records", same(manifest.records, of_log.records)),
        ("root", manifest.root == hex(&of_log.root)),
    ];
    compared.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
}
