//! How long what is kept: retention, archive and holds.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tower_activity::{rules::Preset, time::Month};

use crate::{anchor::Anchor, restore::ArchiveRestore};

const ARCHIVE_CODES: &str = "\
Exit codes: 0 unaltered · 1 something was altered, is missing or cannot be read · 2 unaltered, but there are files that no \
manifest names, entries that no signed head covers, or parts of which the log does not tell · 3 it could not run";

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
