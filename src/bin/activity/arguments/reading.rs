//! What asks the log.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tower_activity::{encode::Format, query::TimeZone};

use crate::question::{Question, Tenant};

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
