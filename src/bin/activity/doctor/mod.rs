//! `activity doctor`: says in words what is wrong with a set-up, and what to do about it.
//!
//! Exits with 0 when nothing is, with 1 when something is wrong.

mod database;
mod files;
mod log;
mod service;

use std::{fmt, process::ExitCode};

use comfy_table::{Cell, Color};
use serde::Serialize;

use tower_activity::record::visible;

use crate::{
    arguments::{Common, Doctor},
    out,
    store::{self, Store},
    trouble::{Trouble, with_causes},
};

/// What was found at one place.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    what: &'static str,
    state: State,
    said: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Fine,
    /// Works, with something given up.
    Note,
    Wrong,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fine => "ok",
            Self::Note => "note",
            Self::Wrong => "WRONG",
        })
    }
}

impl Finding {
    fn fine(what: &'static str, said: impl Into<String>) -> Self {
        Self { what, state: State::Fine, said: said.into(), mend: None }
    }

    fn note(what: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what, state: State::Note, said: said.into(), mend: Some(mend.into()) }
    }

    fn wrong(what: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what, state: State::Wrong, said: said.into(), mend: Some(mend.into()) }
    }
}

pub(crate) async fn run(common: &Common, arguments: &Doctor) -> Result<ExitCode, Trouble> {
    let mut findings = files::rules(arguments.rules.as_deref());
    findings.extend(files::keys(common));
    findings.extend(database::file(common));
    match Store::existing(common).await {
        Ok(store) => {
            findings
                .push(Finding::fine("store", format!("{} answers", store::shown(common.store()))));
            findings.extend(match &store {
                Store::Sqlite(store) => database::sqlite(store).await,
                Store::Postgres(store) => database::postgres(store).await,
            });
            let limit = arguments.rules.as_deref().and_then(files::size_limit);
            findings.extend(log::look(&store.reader(), limit).await);
        }
        Err(error) => findings.push(Finding::wrong(
            "store",
            error.to_string(),
            "name the store with --store or ACTIVITY_STORE, and see that it is there and may be read",
        )),
    }
    if let Some(url) = &arguments.url {
        findings.extend(service::ask(url).await);
    }
    out::heard(print(common, &findings))?;
    let wrong = findings.iter().any(|finding| finding.state == State::Wrong);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(common: &Common, findings: &[Finding]) -> Result<(), Trouble> {
    if !out::is_table(common) {
        return findings.iter().try_for_each(out::json);
    }
    let colours = out::colours(&std::io::stdout());
    let mut rows = out::Rows::new();
    for Finding { what, state, said, mend } in findings {
        let mend = mend.iter().map(|mend| format!("\n→ {}", visible(mend))).collect::<String>();
        let shown = out::cell(&state.to_string());
        let shown = match state {
            State::Wrong if colours => shown.fg(Color::DarkRed),
            State::Note if colours => shown.fg(Color::DarkYellow),
            _ => shown,
        };
        rows.row([shown, out::cell(what), Cell::new(format!("{}{mend}", visible(said)))]);
    }
    rows.whole(&[0, 1]);
    if colours {
        rows.coloured();
    }
    rows.print()
}

/// Returns a number of bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        1_048_576..10_737_418_240 => format!("{} MiB", bytes / 1_048_576),
        _ => format!("{} GiB", bytes / 1_073_741_824),
    }
}

/// Returns an error as a finding's words.
fn words(error: &dyn std::error::Error) -> String {
    with_causes(error)
}
