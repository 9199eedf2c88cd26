//! Which records are meant: the query language, and a range of time.

use clap::Args;
use tower_activity::{
    Filter,
    query::{ParseContext, TimeZone},
    time::{Clock as _, SystemClock},
};

use crate::trouble::Trouble;

/// Which records are meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Question {
    /// What to look for, as in `action:cancel -actor_id:bot status:>=500`; docs/query.md has it all
    #[arg(value_name = "QUERY", trailing_var_arg = true, allow_hyphen_values = true)]
    query: Vec<String>,
    /// The beginning: a date, a time (RFC 3339), or as in `now-24h`
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The end: a date (the whole day), a time, or as in `now-1h`
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The time zone of dates: an IANA name or an offset
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    tz: TimeZone,
}
