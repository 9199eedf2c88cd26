//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use tower_activity::{
    access::Permission, encode::Format, privacy::KeyUse, query::TimeZone, rules::Preset,
    time::Month,
};

use crate::{
    anchor::Anchor,
    listen::Listen,
    out,
    question::{Question, Tenant},
    restore::ArchiveRestore,
    trouble::Trouble,
};

/// Where the help lists what every command takes, apart from a command's own options.
const EVERYWHERE: &str = "Options of every command";

const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 something is wrong with what was looked at (doctor, rules check, verify), or `serve` ended with \
records lost · 2 the command line or the settings are wrong; verify: unaltered but incomplete · 3 it could not run · 130, 143 interrupted";

const VERIFY_CODES: &str = "\
Exit codes: 0 unaltered · 1 altered · 2 unaltered but incomplete (gaps, unclean ends, stubs, rollbacks) · 3 it could \
not run";

const ARCHIVE_CODES: &str = "\
Exit codes: 0 unaltered · 1 something was altered, is missing or cannot be read · 2 unaltered, but there are files that no \
manifest names, entries that no signed head covers, or parts of which the log does not tell · 3 it could not run";

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

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Indexes that cost something with every record: `text`, `metadata`
    #[arg(long, value_delimiter = ',', value_name = "INDEX")]
    pub(crate) index: Vec<String>,
    /// Postgres: make the roles with the least that each needs (writer, reader, auditor, …)
    #[arg(long)]
    pub(crate) roles: bool,
    /// Make the outbox in the application's own database too, for records in its transactions
    #[arg(long, value_name = "URL")]
    pub(crate) outbox: Option<String>,
    /// Postgres: keep tenants apart in the database too, by row-level policies; makes the roles as well
    #[arg(long)]
    pub(crate) tenants: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) question: Question,
    /// How many records at most
    #[arg(long, short = 'n', default_value_t = 50)]
    pub(crate) limit: usize,
    /// Begin with the oldest
    #[arg(long)]
    pub(crate) oldest: bool,
    /// Instead, what legal holds keep of people who were erased, the first that was restricted first
    #[arg(long, conflicts_with = "oldest")]
    pub(crate) restricted: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) question: Question,
    /// How many of the last records to begin with
    #[arg(long, short = 'n', default_value_t = 10)]
    pub(crate) lines: usize,
    /// End after them
    #[arg(long)]
    pub(crate) no_follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stats {
    #[command(flatten)]
    pub(crate) question: Question,
    /// How many values of each
    #[arg(long, default_value_t = 20)]
    pub(crate) top: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) span: Span,
    /// The time zone of the days: an IANA name or an offset
    #[arg(long, value_name = "ZONE", default_value = "UTC", allow_hyphen_values = true)]
    pub(crate) tz: TimeZone,
    /// The form; text on a terminal, JSON otherwise
    #[arg(long, value_enum)]
    pub(crate) format: Option<ReportFormat>,
    /// How many lines of each kind
    #[arg(long, default_value_t = 20)]
    pub(crate) top: usize,
    #[command(flatten)]
    pub(crate) tenant: Tenant,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Span {
    /// A day, as in 2026-11-20; `today`, `yesterday`
    #[arg(long, value_name = "DATE")]
    pub(crate) day: Option<String>,
    /// An ISO week, as in 2026-W47, or by a day in it; `this`, `last`
    #[arg(long, value_name = "WEEK")]
    pub(crate) week: Option<String>,
    /// A month, as in 2026-11; `this`, `last`
    #[arg(long, value_name = "MONTH")]
    pub(crate) month: Option<String>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Markdown,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) question: Question,
    /// csv, json, jsonl, ocsf or cloudevents
    #[arg(long, default_value = "jsonl")]
    pub(crate) format: Format,
    /// The file; standard output when it is left out
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Begin CSV with a byte order mark, for Excel
    #[arg(long)]
    pub(crate) bom: bool,
    /// Have each record of jsonl bring its proof along, and end with the entries of the ledger and its signed head;
    /// `verify --export` reads it
    #[arg(long)]
    pub(crate) proofs: bool,
    /// Instead, what legal holds keep of people who were erased, each record as it was recorded, the first that was
    /// restricted first
    #[arg(long)]
    pub(crate) restricted: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The keys that may sign checkpoints, one a line; keep it where the database cannot be written
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// Checkpoints that were kept outside of the database: `file:/mnt/worm/checkpoints`, or the URL of another store
    #[arg(long, value_name = "PLACE")]
    pub(crate) anchor: Vec<Anchor>,
    /// Go on where this file says that the last verification ended, and write there how far this one came
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Verify a file that was exported instead of the log: a bundle, the folder that it was unpacked into, or jsonl with
    /// proofs
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    pub(crate) export: Option<PathBuf>,
    /// Verify a scratch copy, which `archive restore` made, and no log
    #[arg(long, conflicts_with_all = ["state", "export"])]
    pub(crate) scratch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Checkpoint {
    /// Also put it outside of the database: `file:PATH` is appended to, `run:COMMAND` reads it, and the URL of
    /// another store keeps it there
    #[arg(long, value_name = "PLACE")]
    pub(crate) anchor: Vec<Anchor>,
    /// Print the line of the trust file for the key that signs, and make nothing
    #[arg(long)]
    pub(crate) trust_line: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bundle {
    #[command(flatten)]
    pub(crate) question: Question,
    /// The file; standard output when it is left out and no terminal
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Instead, what legal holds keep of people who were erased, each record as it was recorded, the first that was
    /// restricted first
    #[arg(long)]
    pub(crate) restricted: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retention {
    #[command(subcommand)]
    pub(crate) command: RetentionCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Says which months of which classes have expired, and until when the others are kept; changes nothing
    Plan(Policy),
    /// Takes out what has expired: first stores a record that tells of it, then removes the rows
    Run(RetentionRun),
}

#[derive(Debug, Args)]
pub(crate) struct RetentionRun {
    #[command(flatten)]
    pub(crate) policy: Policy,
    /// The archive, as in `s3://bucket/log` or a directory: nothing goes that is not kept there, read back and verified
    #[arg(long, value_name = "URL", env = "ACTIVITY_ARCHIVE", hide_env_values = true)]
    pub(crate) archive: Option<String>,
    /// Where the log is larger than `max_size` even so: takes out months before their time, of the class that is kept
    /// for the shortest time the oldest first, until it is not; never what is held
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Archive {
    #[command(subcommand)]
    pub(crate) command: ArchiveCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveCommand {
    /// Writes the months that have expired, as far as they are not there yet, reads them back and verifies them;
    /// removes nothing
    Run(ArchiveRun),
    /// Lists the parts of an archive
    List(ArchiveList),
    /// Reads an archive back, and says what in it is not as it was written; with a log (--store) also what of it is
    /// not there any more
    #[command(after_help = ARCHIVE_CODES)]
    Verify(ArchiveVerify),
    /// Makes a scratch copy of what an archive holds: a SQLite database of its own, to be asked like a log
    Restore(ArchiveRestore),
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveRun {
    /// Where the archive is: `s3://bucket/prefix`, or a directory
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// Every month that is over, whether it has expired or not
    #[arg(long)]
    pub(crate) all_closed: bool,
    /// Only this retention class
    #[arg(long)]
    pub(crate) class: Option<String>,
    /// Only months before this one, as in 2026-11
    #[arg(long, value_name = "MONTH")]
    pub(crate) before: Option<Month>,
    #[command(flatten)]
    pub(crate) policy: Policy,
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveList {
    /// Where the archive is: `s3://bucket/prefix`, or a directory
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveVerify {
    /// Where the archive is: `s3://bucket/prefix`, or a directory
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// The keys that may sign checkpoints, one a line; keep it where the archive cannot be written
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// Checkpoints that were kept elsewhere: `file:/mnt/worm/checkpoints`, or the URL of another store
    #[arg(long, value_name = "PLACE")]
    pub(crate) anchor: Vec<Anchor>,
}

#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[command(subcommand)]
    pub(crate) command: HoldCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// Places a hold: what the query finds now and later stays until it is lifted
    Place(HoldPlace),
    /// Lifts a hold: the next run of the retention takes out what has expired
    Lift(HoldLift),
    /// Lists the holds that stand
    List {
        /// Also those that were lifted
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct HoldPlace {
    /// What to hold, in the query language; `*` is everything
    pub(crate) query: String,
    /// Why, for the record of it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// What to call it, as in `case 4711`
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The tenant whose records are held; all by default
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Who places it, for the record
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct HoldLift {
    /// The hold's id, as `hold list` shows it
    pub(crate) id: String,
    /// Why, for the record of it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Lift it only if it is of this tenant
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Who lifts it, for the record
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// The archive of the log, as in `s3://bucket/log` or a directory: what the hold alone kept there of people who were
    /// erased goes; takes the key file of the services
    #[arg(long, value_name = "URL", env = "ACTIVITY_ARCHIVE", hide_env_values = true)]
    pub(crate) archive: Option<String>,
}

/// How long records are kept: what was set with `PUT /retention`, else the preset, else what the rules file says.
#[derive(Debug, Args)]
pub(crate) struct Policy {
    /// The rules file with `[retention]`
    #[arg(long, value_name = "FILE", env = "ACTIVITY_RULES", hide_env_values = true)]
    pub(crate) rules: Option<PathBuf>,
    /// One of default, pci, hipaa, whatever the rules file says
    #[arg(long, value_name = "PRESET")]
    pub(crate) preset: Option<Preset>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The rules file to look at as well
    #[arg(long, value_name = "FILE", env = "ACTIVITY_RULES", hide_env_values = true)]
    pub(crate) rules: Option<PathBuf>,
    /// A running service to ask, as in http://localhost:3000/activity
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Settings in TOML: listen, port, store, keys, rules, service and more; docs/command.md has them all
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The address to listen on, as in `[::]` or `0.0.0.0:8080`; any but loopback takes an API key [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<Listen>,
    /// The port; 0 takes a free one [env: PORT] [default: 3000]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The rules file, before the convention
    #[arg(long, value_name = "FILE", env = "ACTIVITY_RULES", hide_env_values = true)]
    pub(crate) rules: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Makes a key and shows it, once
    New {
        /// What to call it; the `service` of what is handed in with it
        name: String,
        /// What it may do: logs.ingest, logs.actions.view, logs.auth.view, logs.export, logs.delete, logs.configure
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "logs.ingest",
            value_name = "PERMISSION"
        )]
        permissions: Vec<Permission>,
        /// The only tenant that it may see and write for
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Lists the keys, without their secrets
    List {
        /// Those of the key file (--keys), which pseudonyms, cursors and checkpoints are made with
        #[arg(long)]
        file: bool,
    },
    /// Puts new keys into the key file (--keys) beside the old ones, for pseudonyms and checkpoints
    Rotate {
        /// For these uses alone: pseudonym, signing, cursor; a new cursor key ends lists and live sessions under way
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "pseudonym,signing",
            value_name = "USE"
        )]
        only: Vec<KeyUse>,
    },
    /// Revokes a key, at once and for good
    Revoke {
        /// The key's id, as `key list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Consent {
    /// Whose consent it is
    pub(crate) subject: String,
    /// To what, as in `newsletter`
    pub(crate) purpose: String,
    /// It was withdrawn; given by default
    #[arg(long)]
    pub(crate) withdrawn: bool,
    /// The version of the text that was agreed to
    #[arg(long, value_name = "VERSION")]
    pub(crate) text_version: Option<String>,
    /// The legal basis, as in `GDPR Art. 6(1)(a)`
    #[arg(long, value_name = "TEXT")]
    pub(crate) basis: Option<String>,
    /// By which way it came, as in `phone`
    #[arg(long)]
    pub(crate) channel: Option<String>,
    /// The tenant
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Who recorded it, where it was not the person
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Subject {
    #[command(subcommand)]
    pub(crate) command: SubjectCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubjectCommand {
    /// Writes what the log holds about a person, with proofs, for that person: others are masked
    Export(SubjectExport),
    /// Erases a person: what the log holds about him, and what arrives later of the time before
    Erase(SubjectErase),
}

#[derive(Debug, Args)]
pub(crate) struct SubjectExport {
    /// The id that records have of the person
    pub(crate) subject: String,
    /// Another id of the same person, as an account name
    #[arg(long, value_name = "ID")]
    pub(crate) also: Vec<String>,
    /// A type of things that are persons, beside `user`
    #[arg(long, value_name = "TYPE")]
    pub(crate) person_type: Vec<String>,
    /// The tenant whose records are looked at; all by default
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Who exports, for the record
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// The zip file; standard output when it is left out and no terminal
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SubjectErase {
    /// The id that records have of the person
    pub(crate) subject: Option<String>,
    /// The legal basis, as in `GDPR Art. 17(1)(b)`
    #[arg(long, value_name = "TEXT")]
    pub(crate) basis: Option<String>,
    /// Say what would be erased, by group and by place, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Another id of the same person, as an account name
    #[arg(long, value_name = "ID")]
    pub(crate) also: Vec<String>,
    /// A type of things that are persons, beside `user`
    #[arg(long, value_name = "TYPE")]
    pub(crate) person_type: Vec<String>,
    /// The tenant whose records are looked at; all by default
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Erase these groups of each record: identity, network, target, content; by default the person's part decides
    #[arg(long, value_delimiter = ',', value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// Who erases, for the record
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// Write the certificate to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Instead: erase everybody on the list again, and on those of certificates, after a backup was restored
    #[arg(long, value_name = "CERTIFICATE", num_args = 0..)]
    pub(crate) replay: Option<Vec<PathBuf>>,
    /// The archive of the log, as in `s3://bucket/log` or a directory: it is emptied too
    #[arg(long, value_name = "URL", env = "ACTIVITY_ARCHIVE", hide_env_values = true)]
    pub(crate) archive: Option<String>,
    /// The spool of a process that is down: its files are emptied too. A service that runs empties its own
    #[arg(long, value_name = "DIR")]
    pub(crate) spool: Vec<PathBuf>,
    /// A quarantine file: the records in it are emptied too
    #[arg(long, value_name = "FILE")]
    pub(crate) quarantine: Vec<PathBuf>,
    /// No service writes to this log now: spares the wait until all have learnt of it
    #[arg(long)]
    pub(crate) alone: bool,
}

impl SubjectErase {
    /// Tells whether it is the list that is to be erased.
    pub(crate) const fn replays(&self) -> bool {
        self.replay.is_some()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Rules {
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Reads a rules file and says what is wrong with it
    Check {
        /// The file, TOML or JSON
        #[arg(env = "ACTIVITY_RULES", hide_env_values = true)]
        file: PathBuf,
    },
    /// Says what a request would mean, which rule says so, and why no other
    Explain {
        /// The method
        method: String,
        /// The route template or path
        route: String,
        /// The status of the answer
        #[arg(default_value_t = 200)]
        status: u16,
        /// The rules file, before the convention
        #[arg(long, value_name = "FILE", env = "ACTIVITY_RULES", hide_env_values = true)]
        rules: Option<PathBuf>,
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
