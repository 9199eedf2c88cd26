//! `activity verify`

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tower_activity::{
    bundle,
    ledger::{
        Trust,
        verify::{Alteration, Report, Shortfall, State, Verdict, Verified},
    },
    record::visible,
    store::{AnyStore, Audit, AuditProgress, Evidence as _, Maintain as _, Scratch},
    time::{Clock as _, SystemClock, Timestamp},
};

use crate::{
    arguments::{Common, Verify},
    out,
    partial::{Partial, could_not_write},
    store::{Store, shown},
    trouble::Trouble,
};

/// So many findings of each kind are shown on a terminal.
const SHOWN: usize = 50;

/// What the result rests on, and what is not excluded by it.
fn not_excluded(arguments: &Verify, found: &Found) -> (&'static str, String) {
    let report = &found.report;
    if let Some(export) = &found.export {
        let (trust, by_whom) = of_an_export(arguments, report);
        let extent = match (export.complete, report.expired) {
            (true, 0) => "It has every record under its head.".to_owned(),
            (true, expired) => format!(
                "It has every record under its head but for {} whose time was over, as the log tells.",
                out::records(expired)
            ),
            (false, _) => {
                "It is a part of the log: that nothing was left out of it is not shown.".to_owned()
            }
        };
        let uncompared = match export.not_compared {
            0 => String::new(),
            count => format!(
                " It has too few entries to be compared with {count} of the anchored heads."
            ),
        };
        return (trust, format!("{by_whom} {extent}{uncompared}"));
    }
    if arguments.trust.is_none() {
        let why = match arguments.anchor.is_empty() {
            true => "no trust file, no anchor was named",
            false => "no trust file was named, so that nobody vouches for the anchor",
        };
        let text = format!(
            "Not excluded: whoever holds both the database and the key could have rewritten all of it ({why})."
        );
        return ("none", text);
    }
    match (report.signed, report.anchored) {
        (None, _) => (
            "none",
            "Not excluded: whoever holds the database could have rewritten all of it (no checkpoint is signed by a \
             trusted key)."
                .to_owned(),
        ),
        (Some((position, at)), None) => (
            "self-signed",
            format!(
                "Self-signed up to entry {position}, {at}. Not excluded: whoever holds both the database and the key \
                 could have rewritten all of it, or cut off its end (no anchor was named)."
            ),
        ),
        (_, Some((position, at))) => (
            "anchored",
            format!(
                "Anchored up to entry {position}, {at}. Not excluded: whoever holds both the database and the key \
                 could have rewritten what is later."
            ),
        ),
    }
}

/// What was verified, and what it came to.
struct Found {
    report: Report,
    /// Of a file that was exported.
    export: Option<Exported>,
    /// Of a scratch copy.
    scratch: Option<Scratch>,
}

/// What a file is of its log.
#[derive(Serialize)]
struct Exported {
    file: String,
    /// How many entries the ledger had under its head.
    size: u64,
    /// Whether every record of every one of these entries is in it, but for those that have expired.
    complete: bool,
    /// Groups that it does not show, and that were not erased.
    masked: u64,
    /// Records that it says were left out: committed after its head, and unreadable.
    later: u64,
    unreadable: u64,
    /// Anchors that it has too few entries to be compared with.
    not_compared: u64,
}

/// The same for a file.
fn of_an_export(arguments: &Verify, report: &Report) -> (&'static str, String) {
    if arguments.trust.is_none() {
        let text = "Not excluded: whoever made the file could have made all of it up (no trust file was named).";
        return ("none", text.to_owned());
    }
    match (report.signed, report.anchored) {
        (None, _) => {
            let text = "Not excluded: whoever made the file could have made all of it up (its checkpoint is not signed \
                        by a trusted key).";
            ("none", text.to_owned())
        }
        (Some((position, at)), None) => {
            let text = format!(
                "Self-signed up to entry {position}, {at}. Not excluded: the holder of the key could have made all of \
                 it up (no anchor vouches for its head)."
            );
            ("self-signed", text)
        }
        (Some((size, _)), Some((position, at))) => {
            let later = match position < size {
                true => " Not excluded: the holder of the key could have made up what is later.",
                false => "",
            };
            ("anchored", format!("Anchored up to entry {position}, {at}.{later}"))
        }
    }
}

pub(crate) async fn run(common: &Common, arguments: &Verify) -> Result<ExitCode, Trouble> {
    let could_not_run = ExitCode::from(3);
    let found = match &arguments.export {
        Some(path) => exported(path, arguments).await,
        None => verified(common, arguments).await,
    };
    match found {
        Ok(found) => {
            print(common, arguments, &found)?;
            Ok(ExitCode::from(match found.report.verdict() {
                Verdict::Unaltered => 0,
                Verdict::Altered => 1,
                _ => 2,
            }))
        }
        // 2 says something else here.
        Err(trouble) => {
            out::note(trouble.to_string());
            Ok(could_not_run)
        }
    }
}

async fn exported(path: &Path, arguments: &Verify) -> Result<Found, Trouble> {
    let trust = arguments.trust.as_deref().map(trust).transpose()?;
    let mut notes = Vec::new();
    for anchor in &arguments.anchor {
        notes.extend(anchor.read().await?);
    }
    let bar = match io::stderr().is_terminal() {
        true => ProgressBar::no_length(),
        false => ProgressBar::hidden(),
    };
    let ended = bundle::verify(path, trust.as_ref(), &notes, |records| bar.set_position(records));
    bar.finish_and_clear();
    let verified = ended.map_err(|error| Trouble::of(&error))?;
    let extent = verified.extent;
    let export = Exported {
        file: path.display().to_string(),
        size: extent.size,
        complete: extent.is_complete,
        masked: extent.masked,
        later: verified.later,
        unreadable: verified.unreadable,
        not_compared: extent.not_compared,
    };
    Ok(Found { report: verified.report, export: Some(export), scratch: None })
}

async fn verified(common: &Common, arguments: &Verify) -> Result<Found, Trouble> {
    let trust = arguments.trust.as_deref().map(trust).transpose()?;
    let mut notes = Vec::new();
    for anchor in &arguments.anchor {
        notes.extend(anchor.read().await?);
    }
    let store = Store::existing(common).await?.reader();
    let scratch = store.scratch().await?;
    expect(scratch.as_ref(), arguments.scratch)?;
    let bar = bar(&store).await?;
    let moved = |progress: AuditProgress| {
        bar.set_length(bar.length().unwrap_or(0).max(progress.records));
        bar.set_position(progress.records);
    };
    let mut audit = Audit::new(&store);
    if arguments.scratch {
        audit = audit.of_scratch();
    }
    if let Some(trust) = trust {
        audit = audit.trust(trust);
    }
    if let Some(state) = arguments.state.as_deref().map(earlier).transpose()?.flatten() {
        audit = audit.since(state);
    }
    let ended = audit.anchored(notes).run_on(SystemClock::default().now(), moved).await;
    bar.finish_and_clear();
    let (report, state) = ended?;
    let verified = Verified {
        at: SystemClock::default().now(),
        position: report.position,
        result: report.verdict(),
    };
    if let Err(error) = store.keep_verified(&verified).await {
        // An auditor may have no right to write, and the result is the same.
        let why = Trouble::from(error);
        out::note(format!("the result is not in the store, whose health will not show it: {why}"));
    }
    if let (Some(path), Some(state)) = (&arguments.state, state) {
        keep(path, &state)?;
    }
    Ok(Found { report, export: None, scratch })
}

/// Refuses a copy where a log was meant: a log of which entries were taken could say of itself that it is a copy.
pub(crate) fn expect(scratch: Option<&Scratch>, wanted: bool) -> Result<(), Trouble> {
    match (scratch, wanted) {
        (Some(scratch), false) => Err(Trouble::usage(format!(
            "the database says that it is no log, and a scratch copy of what is archived in {}: --scratch verifies it as such",
            visible(&scratch.from)
        ))),
        (None, true) => {
            Err(Trouble::usage("the database is no scratch copy, and --scratch is for those"))
        }
        _ => Ok(()),
    }
}

/// Reads where the last verification ended; `None` when there was none yet.
fn earlier(path: &Path) -> Result<Option<State>, Trouble> {
    let failed = |why: String| {
        let path = path.display();
        Trouble::new(format!(
            "the state {path} cannot be read: {why}; without it all of the log is verified"
        ))
    };
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| failed(error.to_string()))?,
    };
    let state: State = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    if !state.is_whole() {
        return Err(failed("it is of another version, or not whole".to_owned()));
    }
    Ok(Some(state))
}

fn keep(path: &Path, state: &State) -> Result<(), Trouble> {
    let (partial, mut file) = Partial::create(path)?;
    let failed = |error: io::Error| could_not_write(path, &error);
    file.write_all(&out::json_line(state)?).map_err(failed)?;
    partial.finish(&file).map_err(failed)
}

async fn bar(store: &AnyStore) -> Result<ProgressBar, Trouble> {
    if !io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let rows = store.storage().await?.rows.unsigned_abs();
    let style = "{wide_bar} {human_pos} of {human_len} · {eta}";
    let style = ProgressStyle::with_template(style)
        .map_err(|error| Trouble::new(format!("the bar cannot be drawn: {error}")))?;
    Ok(ProgressBar::new(rows).with_style(style))
}

pub(crate) fn trust(path: &Path) -> Result<Trust, Trouble> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Trouble::new(format!("the trust file {} cannot be read: {error}", path.display()))
    })?;
    text.parse().map_err(|error| Trouble::new(format!("{}: {error}", path.display())))
}

fn print(common: &Common, arguments: &Verify, found: &Found) -> Result<(), Trouble> {
    let (trust, mut not_excluded) = not_excluded(arguments, found);
    let Found { report, scratch, .. } = found;
    if let Some(scratch) = scratch {
        let whole = if scratch.whole { "" } else { ", which broke off" };
        not_excluded = format!(
            "This is a scratch copy, made {} of what is archived in {}{whole}: it is not the log, and holds {} entries of it. \
             {not_excluded}",
            scratch.made_at,
            visible(&scratch.from),
            scratch.entries
        );
    }
    if !out::is_table(common) {
        return out::json(&Json { trust, not_excluded, ..Json::of(common, found) });
    }
    out::line(&not_excluded)?;
    out::line(&summary(report))?;
    if let Some(export) = &found.export {
        for (count, what) in [
            (export.masked, "personal groups are masked in it"),
            (export.later, "records that it says were committed after its head are not in it"),
            (export.unreadable, "rows that it says nobody can read are not in it"),
        ] {
            if count > 0 {
                out::line(&format!("  {count} {what}"))?;
            }
        }
    }
    listed(report.altered.kept(), report.altered.total())?;
    listed(report.incomplete.kept(), report.incomplete.total())
}

fn summary(report: &Report) -> String {
    let verdict = match report.verdict() {
        Verdict::Unaltered => "Unaltered".to_owned(),
        Verdict::Altered => format!("ALTERED in {}", places(report.altered.total())),
        _ => format!("Unaltered, but incomplete in {}", places(report.incomplete.total())),
    };
    let erased = match report.erased {
        0 => String::new(),
        1 => ", 1 personal group erased".to_owned(),
        groups => format!(", {groups} personal groups erased"),
    };
    let expired = match report.expired {
        0 => String::new(),
        expired => format!(", {} expired", out::records(expired)),
    };
    let expired = match report.left_out {
        0 => expired,
        left_out => format!("{expired}, {} left out", out::records(left_out)),
    };
    let until = match report.committed_at {
        Some(at) => format!(", committed until {at}"),
        None => String::new(),
    };
    let entries = match report.entries {
        1 => "1 entry".to_owned(),
        entries => format!("{entries} entries"),
    };
    let since = match report.since {
        Some((position, at)) => format!(" since entry {position}, which was verified {at}"),
        None => String::new(),
    };
    let before = match report.incomplete_before {
        0 => String::new(),
        before => format!(" Before that it was incomplete in {}.", places(before)),
    };
    format!(
        "{verdict}: {} in {entries}{since}{until}{erased}{expired}.{before}",
        out::records(report.records)
    )
}

fn places(count: u64) -> String {
    if count == 1 { "1 place".to_owned() } else { format!("{count} places") }
}

fn listed<T: std::fmt::Display>(kept: &[T], total: u64) -> Result<(), Trouble> {
    for finding in kept.iter().take(SHOWN) {
        out::line(&format!("  {}", tower_activity::record::visible(&finding.to_string())))?;
    }
    match total.saturating_sub(kept.len().min(SHOWN) as u64) {
        0 => Ok(()),
        more => out::line(&format!("  and {more} more")),
    }
}

/// What a program reads. Names are a contract: fields are added, never renamed.
#[derive(Serialize)]
struct Json<'a> {
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
    fn of(common: &Common, Found { report, export, scratch }: &'a Found) -> Self {
        let store = export.is_none().then(|| shown(common.store()));
        Self {
            result: report.verdict(),
            trust: "none",
            not_excluded: String::new(),
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
