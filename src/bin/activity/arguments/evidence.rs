//! What proves something of the log.

use std::path::PathBuf;

use clap::Args;

use crate::{anchor::Anchor, question::Question};

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
