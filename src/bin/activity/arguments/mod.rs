//! The command line.

mod evidence;
mod keeping;
mod people;
mod reading;
mod running;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub(crate) use self::{
    evidence::{Bundle, Checkpoint, Verify},
    keeping::{
        Archive, ArchiveCommand, ArchiveRun, ArchiveVerify, Hold, HoldCommand, HoldLift, HoldPlace,
        Policy, Retention, RetentionCommand, RetentionRun,
    },
    people::{Consent, Subject, SubjectCommand, SubjectErase, SubjectExport},
    reading::{Export, Query, Report, ReportFormat, Stats, Tail},
    running::{Doctor, Key, KeyCommand, Migrate, Rules, RulesCommand, Serve},
};
use crate::{out, trouble::Trouble};

/// Where the help lists what every command takes, apart from a command's own options.
const EVERYWHERE: &str = "Options of every command";

const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 something is wrong with what was looked at (doctor, rules check, verify), or `serve` ended with \
records lost · 2 the command line or the settings are wrong; verify: unaltered but incomplete · 3 it could not run · 130, 143 interrupted";

const VERIFY_CODES: &str = "\
Exit codes: 0 unaltered · 1 altered · 2 unaltered but incomplete (gaps, unclean ends, stubs, rollbacks) · 3 it could \
not run";

/// Asks an audit trail, runs one for services in any language, and looks after it.
#[derive(Debug, Parser)]
#[command(name = "activity", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The store: `sqlite:activity.db`, `postgres://user@host/database` [default: sqlite:activity.db]
    #[arg(long, value_name = "URL", env = "ACTIVITY_STORE", hide_env_values = true)]
    #[arg(global = true, help_heading = EVERYWHERE)]
    store: Option<String>,
    /// The key file; beside a SQLite store by default
    #[arg(long, value_name = "FILE", env = "ACTIVITY_KEYS", hide_env_values = true)]
    #[arg(global = true, help_heading = EVERYWHERE)]
    pub(crate) keys: Option<PathBuf>,
    /// How to print: a table on a terminal, JSON otherwise
    #[arg(long, value_enum, global = true, help_heading = EVERYWHERE)]
    pub(crate) output: Option<Output>,
}

impl Common {
    /// Returns the URL of the store.
    pub(crate) fn store(&self) -> &str {
        self.store.as_deref().filter(|url| !url.is_empty()).unwrap_or("sqlite:activity.db")
    }

    /// Returns the URL of the store, where somebody named one.
    pub(crate) fn named_store(&self) -> Option<&str> {
        self.store.as_deref().filter(|url| !url.is_empty())
    }

    /// Names the store, unless the command line or the environment did.
    pub(crate) fn store_or(&mut self, url: Option<String>) {
        if self.store.as_deref().is_none_or(str::is_empty) {
            self.store = url;
        }
    }
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Brings the store's schema up to date
    Migrate(Migrate),
    /// Runs a collector and API of its own, for services in any language
    Serve(Serve),
    /// Prints the records that a query finds, newest first
    Query(Query),
    /// Prints the last records, and each further one as it is committed
    Tail(Tail),
    /// Counts records by action, entity, actor, outcome and category
    Stats(Stats),
    /// Says what happened on a day, in a week or a month
    Report(Report),
    /// Writes the whole result of a query in a format for other programs
    Export(Export),
    /// Proves that the log is unaltered, or says where it was altered and where it is incomplete
    #[command(after_help = VERIFY_CODES)]
    Verify(Verify),
    /// Signs the head of the ledger now, and prints the signed note
    Checkpoint(Checkpoint),
    /// Writes the records of a query with their proofs, for somebody who verifies them without us
    Bundle(Bundle),
    /// Takes out records whose time is over, or says which would go
    Retention(Retention),
    /// Keeps months of the log as Parquet files in a directory or in S3, and verifies them
    Archive(Archive),
    /// Keeps what a query finds, whatever the retention says, until the hold is lifted
    Hold(Hold),
    /// Says in words what is wrong with a set-up
    Doctor(Doctor),
    /// Makes, lists and revokes the keys with which programs call `activity serve`
    Key(Key),
    /// Exports what the log holds about a person, or erases him, so that every proof stays valid
    Subject(Subject),
    /// Records a consent that somebody gave or withdrew
    Consent(Consent),
    /// Checks a rules file, or explains what it makes of a request
    Rules(Rules),
    /// Prints a script that completes this command in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the manual page
    Man {
        /// The page of one command
        command: Option<String>,
    },
}

/// Prints a shell's script.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<ExitCode, Trouble> {
    // Not straight to the standard output: clap_complete panics when nobody reads it.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "activity", &mut script);
    out::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page, or that of one command.
pub(crate) fn man(command: Option<&str>) -> Result<ExitCode, Trouble> {
    let mut whole = Arguments::command();
    whole.build();
    let page = match command {
        None => whole,
        Some(name) => whole.find_subcommand(name).cloned().ok_or_else(|| {
            Trouble::usage(format!("there is no command {name:?}; `activity --help` lists them"))
        })?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    out::bytes(&text)?;
    Ok(ExitCode::SUCCESS)
}
