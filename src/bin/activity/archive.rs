//! `activity archive`

use std::process::ExitCode;

use serde_json::{Value, json};
use tower_activity::{
    Pipeline,
    archive::{Archive, ArchiveAudit, ArchiveReport, Part},
    ledger::verify::Verdict,
    pipeline::{ArchiveRequest, ToldPart},
    record::visible,
    rules::RetentionPolicy,
    store::{Append, Evidence, Maintain, Read, Register, Retain},
};

use crate::{
    arguments::{ArchiveCommand, ArchiveRun, ArchiveVerify, Common},
    out, restore, retention,
    store::{self, Store},
    trouble::Trouble,
    verify,
};

/// How long storing what the run says of itself may take at its end.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(30);
/// So many faults are shown on a terminal.
const SHOWN: usize = 50;

pub(crate) async fn run(
    common: &Common,
    arguments: &crate::arguments::Archive,
) -> Result<ExitCode, Trouble> {
    match &arguments.command {
        ArchiveCommand::Run(asked) => archive(common, asked).await?,
        ArchiveCommand::List(asked) => list(common, &Archive::existing(&asked.from)?).await?,
        ArchiveCommand::Restore(asked) => restore::run(common, asked).await?,
        ArchiveCommand::Verify(asked) => {
            return match verified(common, asked).await {
                Ok(report) => {
                    out::heard(print(common, asked, &report))?;
                    Ok(ExitCode::from(match report.verdict() {
                        Verdict::Unaltered => 0,
                        Verdict::Altered => 1,
                        _ => 2,
                    }))
                }
                // 2 says something else here.
                Err(trouble) => {
                    out::note(trouble.to_string());
                    Ok(ExitCode::from(3))
                }
            };
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn archive(common: &Common, asked: &ArchiveRun) -> Result<(), Trouble> {
    // The log has to be there: what is merely misspelt is not made.
    let log = Store::existing(common).await?.reader();
    // Every closed month goes there whatever the policy says of it.
    let policy = match asked.all_closed {
        true => RetentionPolicy::default(),
        false => retention::policy(&asked.policy, &log).await?.0,
    };
    drop(log);
    let archive = Archive::open(&asked.to)?;
    let mut request = ArchiveRequest::new();
    request.closed = asked.all_closed;
    request.class.clone_from(&asked.class);
    request.before = asked.before;
    // Without a key the last checkpoint has to do; none is made for this alone.
    if store::keys_path(common).is_some_and(|path| path.exists())
        && let Some(keys) = store::keys(common)?
    {
        request.seeds = keys.signing_seeds().to_vec();
    }
    match Store::open(common).await? {
        Store::Sqlite(log) => write(common, log, policy, &archive, &request).await,
        Store::Postgres(log) => write(common, log, policy, &archive, &request).await,
    }
}

/// Runs through a pipeline of its own, which stores what the run tells.
async fn write<S>(
    common: &Common,
    log: S,
    policy: RetentionPolicy,
    archive: &Archive,
    request: &ArchiveRequest,
) -> Result<(), Trouble>
where
    S: Append + Read + Maintain + Register + Evidence + Retain,
{
    let builder = Pipeline::builder(log).service("activity").retention_policy(policy);
    let pipeline = builder.start().await.map_err(|error| Trouble::of(&error))?;
    let mut printed = Ok(());
    let run = pipeline.run_archive(archive, request, |told| {
        if printed.is_ok() {
            printed = print_told(common, told);
        }
    });
    let run = run.await;
    pipeline.shutdown(DRAIN).await;
    printed?;
    if run?.is_empty() && out::is_table(common) {
        out::line("there is nothing to archive")?;
    }
    Ok(())
}

fn print_told(common: &Common, told: &ToldPart) -> Result<(), Trouble> {
    let manifest = &told.part.manifest;
    if out::is_table(common) {
        let (class, count) = (visible(&manifest.class), out::records(manifest.records));
        return out::line(&format!(
            "{} {class}: {count} archived as part {}, told by record {}",
            manifest.month, manifest.part, told.told_by
        ));
    }
    let mut shown = shown(&told.part)?;
    shown["told_by"] = told.told_by.to_string().into();
    out::json(&shown)
}

fn shown(part: &Part) -> Result<Value, Trouble> {
    let mut shown = serde_json::to_value(&part.manifest)?;
    shown["manifest"] = part.path().into();
    shown["digest"] = part.digest_hex().into();
    Ok(shown)
}

async fn list(common: &Common, archive: &Archive) -> Result<(), Trouble> {
    let parts = archive.parts().await?;
    if !out::is_table(common) {
        for part in &parts {
            out::json(&shown(part)?)?;
        }
        return Ok(());
    }
    if parts.is_empty() {
        out::note("there is nothing in the archive");
        return Ok(());
    }
    let mut rows = out::Rows::titled(&[
        "month",
        "class",
        "part",
        "records",
        "entries",
        "bytes",
        "erased groups",
        "written at",
    ]);
    for Part { manifest, .. } in &parts {
        let files = &manifest.files;
        let bytes = files.records.bytes + files.personal.bytes + files.ledger.bytes;
        rows.row([
            out::cell(&manifest.month.to_string()),
            out::cell(&manifest.class),
            out::cell(&manifest.part.to_string()),
            out::cell(&manifest.records.to_string()),
            out::cell(&manifest.entries.to_string()),
            out::cell(&bytes.to_string()),
            out::cell(&manifest.erased.to_string()),
            out::cell(&manifest.written_at.to_string()),
        ]);
    }
    rows.print()
}

async fn verified(common: &Common, asked: &ArchiveVerify) -> Result<ArchiveReport, Trouble> {
    let mut audit = ArchiveAudit::new();
    if let Some(path) = &asked.trust {
        audit = audit.trust(verify::trust(path)?);
    }
    let mut notes = Vec::new();
    for anchor in &asked.anchor {
        notes.extend(anchor.read().await?);
    }
    let archive = Archive::existing(&asked.from)?;
    if common.named_store().is_some() {
        let log = Store::existing(common).await?.reader();
        verify::expect(log.scratch().await?.as_ref(), false)?;
        audit = audit.log(log);
    }
    let report = archive.verify(&audit.anchored(notes), |_records| {}).await?;
    if report.parts == 0 && report.total == 0 {
        let why = format!("there is no archive in {archive}: nothing in it is a part of one");
        return Err(Trouble::new(why));
    }
    Ok(report)
}

fn print(common: &Common, asked: &ArchiveVerify, report: &ArchiveReport) -> Result<(), Trouble> {
    let trust = match (&asked.trust, report.signed, report.anchored) {
        (None, ..) | (_, None, _) => "none",
        (_, Some(_), None) => "self-signed",
        _ => "anchored",
    };
    if !out::is_table(common) {
        let head = |head: Option<(u64, tower_activity::time::Timestamp)>| {
            head.map(|(size, at)| json!({ "position": size, "at": at }))
        };
        let mut shown = serde_json::to_value(report)?;
        shown["result"] = report.verdict().as_str().into();
        shown["trust"] = trust.into();
        shown["archive"] = asked.from.as_str().into();
        shown["signed"] = head(report.signed).into();
        shown["anchored"] = head(report.anchored).into();
        return out::json(&shown);
    }
    let verdict = match report.verdict() {
        Verdict::Unaltered => "Unaltered",
        Verdict::Altered => "ALTERED",
        _ => "Unaltered, but not all of it is accounted for",
    };
    out::line(&format!(
        "{verdict}: {} in {} entries and {} parts, {} entries under a signed head ({trust}), {} personal groups erased.",
        out::records(report.records),
        report.entries,
        report.parts,
        report.proved,
        report.erased,
    ))?;
    let not_excluded = match trust {
        "none" if asked.trust.is_none() => {
            "whoever keeps the archive could have made all of it up (no trust file was named)"
        }
        "none" => {
            "whoever keeps the archive could have made all of it up (no trusted key signed a head)"
        }
        "self-signed" => {
            "the holder of the key could have made all of it up (no anchor vouches for its heads)"
        }
        // Each part has a head of its own, and an anchor vouches for one of them.
        _ => "the holder of the key could have made up what no anchored head covers",
    };
    let elsewhere = match report.told_elsewhere {
        0 => String::new(),
        parts => format!(" and of {parts} in other archives, which were not looked for"),
    };
    out::line(&match report.told {
        None => format!(
            "Not excluded: {not_excluded}; something was left out whole (no log was named with --store)."
        ),
        Some(told) => format!(
            "Compared with the log, which tells of {told} parts{elsewhere}. Not excluded: the log was altered as well; \
             `activity verify` says whether it was."
        ),
    })?;
    for fault in report.faults.iter().take(SHOWN) {
        out::line(&format!("  {}", visible(&fault.to_string())))?;
    }
    match report.total.saturating_sub(report.faults.len().min(SHOWN) as u64) {
        0 => Ok(()),
        more => out::line(&format!("  and {more} more")),
    }
}
