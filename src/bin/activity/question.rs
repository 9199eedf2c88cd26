//! Which records are meant: the query language, and a range of time.

use clap::Args;
use tower_activity::{
    Filter,
    query::{Extra, Params, TimeZone},
    record::visible,
    time::{Clock as _, SystemClock},
};

use crate::{line, trouble::Trouble};

/// Which records are meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Question {
    /// What to look for, as in `action:cancel -actor_id:bot status:>=500`; docs/query.md has it all
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// The beginning: a date, a time (RFC 3339), or as in `now-24h`
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The end: a date (the whole day), a time, or as in `now-1h`
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The time zone of dates: an IANA name or an offset
    #[arg(long, value_name = "ZONE", default_value = "UTC", allow_hyphen_values = true)]
    tz: TimeZone,
}

impl Question {
    /// Returns the question as it was asked, for people.
    pub(crate) fn asked(&self) -> String {
        let query = self.query.join(" ");
        let mut asked = if query.trim().is_empty() { "everything".to_owned() } else { query };
        for (name, value) in [("from", &self.from), ("to", &self.to)] {
            if let Some(value) = value {
                asked.push_str(&format!(", {name} {value} ({})", self.tz));
            }
        }
        asked
    }

    /// Returns the filter that is meant.
    pub(crate) fn filter(&self) -> Result<Filter, Trouble> {
        let words: Vec<_> = self.query.iter().map(|text| line::word(text)).collect();
        let query = words.join(" ");
        let mut pairs = vec![("tz".to_owned(), self.tz.to_string())];
        for (name, value) in
            [("q", Some(&query)), ("from", self.from.as_ref()), ("to", self.to.as_ref())]
        {
            if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
                pairs.push((name.to_owned(), value.clone()));
            }
        }
        let now = SystemClock::default().now();
        match Params::read(&pairs, &[Extra::Filters], now) {
            Ok(params) => Ok(params.filter),
            Err(error) => Err(Trouble::usage(match query.trim() {
                "" => error.to_string(),
                _ => format!("{error}\n  {}", visible(&query)),
            })),
        }
    }
}
