//! `activity verify`

mod json;
mod told;

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
        verify::{Report, State, Verdict, Verified},
    },
    record::visible,
    store::{AnyStore, Audit, AuditProgress, Evidence as _, Maintain as _, Scratch},
    time::{Clock as _, SystemClock},
};

use crate::{
    arguments::{Common, Verify},
    out,
    partial::{Partial, could_not_write},
    store::Store,
    trouble::Trouble,
};

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

pub(crate) async fn run(common: &Common, arguments: &Verify) -> Result<ExitCode, Trouble> {
    let could_not_run = ExitCode::from(3);
    let found = match &arguments.export {
        Some(path) => exported(path, arguments).await,
        None => verified(common, arguments).await,
    };
    match found {
        Ok((found, state)) => {
            out::heard(told::print(common, arguments, &found))?;
            // What was found is said first: it may have taken hours.
            if let (Some(path), Some(state)) = (&arguments.state, state) {
                keep(path, &state)?;
            }
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

/// What was found, and where the next verification may go on.
type Ended = (Found, Option<State>);

async fn exported(path: &Path, arguments: &Verify) -> Result<Ended, Trouble> {
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
    Ok((Found { report: verified.report, export: Some(export), scratch: None }, None))
}

async fn verified(common: &Common, arguments: &Verify) -> Result<Ended, Trouble> {
    if let Some(path) = &arguments.state {
        // Not first at the end that it cannot be written.
        drop(Partial::create(path)?);
    }
    let trust = arguments.trust.as_deref().map(trust).transpose()?;
    let mut notes = Vec::new();
    for anchor in &arguments.anchor {
        notes.extend(anchor.read().await?);
    }
    let store = Store::existing(common).await?.reader();
    let scratch = store.scratch().await?;
    expect(scratch.as_ref(), arguments.scratch)?;
    let earlier = arguments.state.as_deref().map(earlier).transpose()?.flatten();
    let bar = bar(&store, earlier.as_ref()).await?;
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
    if let Some(state) = earlier {
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
    Ok((Found { report, export: None, scratch }, state))
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

/// A bar as long as what is to be read; it grows if that turns out to be more.
async fn bar(store: &AnyStore, earlier: Option<&State>) -> Result<ProgressBar, Trouble> {
    if !io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let rows = match earlier {
        Some(state) => {
            let ends = store.streams().await?;
            state.records_since(ends.iter().map(|end| (end.writer_id, end.last_seq)))
        }
        None => store.storage().await?.rows.unsigned_abs(),
    };
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
