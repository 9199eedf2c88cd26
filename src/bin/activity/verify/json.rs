//! What a verification says, for programs.

use serde::Serialize;
use tower_activity::{
    ledger::verify::{Alteration, Shortfall, Verdict},
    store::Scratch,
    time::Timestamp,
};

use super::{Exported, Found};
use crate::{arguments::Common, store::shown};

/// What a program reads. Names are a contract: fields are added, never renamed.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    result: Verdict,
    /// What the result rests on: `none` (the database itself), `self-signed`, `anchored`.
    trust: &'static str,
    not_excluded: String,
    /// Null where a file was verified.
    store: Option<String>,
    export: Option<&'a Exported>,
    position: i64,
    committed_at: Option<Timestamp>,
    root: Option<String>,
    checkpoints: u64,
    signed: Option<Covered>,
    anchored: Option<Covered>,
    /// Where an earlier verification ended, behind which this one began.
    since: Option<Covered>,
    incomplete_before: u64,
    entries: u64,
    records: u64,
    streams: u64,
    erased: u64,
    expired: u64,
    altered: &'a [Alteration],
    altered_total: u64,
    incomplete: &'a [Shortfall],
    incomplete_total: u64,
    /// How many records a scratch copy leaves out of the entries that it holds.
    left_out: u64,
    /// What a scratch copy says of itself; null where it is a log.
    scratch: Option<&'a Scratch>,
}

/// Up to where a signed head reaches.
#[derive(Serialize)]
struct Covered {
    position: i64,
    at: Timestamp,
}

impl Covered {
    fn of((position, at): (i64, Timestamp)) -> Self {
        Self { position, at }
    }
}

impl<'a> Json<'a> {
    pub(super) fn of(
        common: &Common,
        Found { report, export, scratch }: &'a Found,
        (trust, not_excluded): (&'static str, String),
    ) -> Self {
        let store = export.is_none().then(|| shown(common.store()));
        Self {
            result: report.verdict(),
            trust,
            not_excluded,
            store,
            export: export.as_ref(),
            position: report.position,
            committed_at: report.committed_at,
            root: report.root.map(hex),
            checkpoints: report.heads,
            signed: report.signed.map(Covered::of),
            anchored: report.anchored.map(Covered::of),
            since: report.since.map(Covered::of),
            incomplete_before: report.incomplete_before,
            entries: report.entries,
            records: report.records,
            streams: report.streams,
            erased: report.erased,
            expired: report.expired,
            altered: report.altered.kept(),
            altered_total: report.altered.total(),
            incomplete: report.incomplete.kept(),
            incomplete_total: report.incomplete.total(),
            left_out: report.left_out,
            scratch: scratch.as_ref(),
        }
    }
}

fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
