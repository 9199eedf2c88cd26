//! What is about a person: consents, what the log holds about him, and erasing it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
