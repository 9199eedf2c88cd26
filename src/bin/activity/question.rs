//! Which records are meant: the query language, and a range of time.

use clap::Args;
use tower_activity::{
    Filter,
    pipeline::BlindIndex,
    query::{Extra, Params, TimeZone},
    record::visible,
    store::{AnyStore, Read as _},
    time::{Clock as _, SystemClock},
};

use crate::{arguments::Common, line, store, trouble::Trouble};

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
    #[command(flatten)]
    pub(crate) tenant: Tenant,
}

/// Whose records are meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Tenant {
    /// Of this tenant alone; Postgres with `--tenants` shows `activity_reader` nothing without it
    #[arg(long, value_name = "TENANT", env = "ACTIVITY_TENANT", hide_env_values = true)]
    tenant: Option<String>,
}

impl Tenant {
    pub(crate) fn name(&self) -> Option<&str> {
        self.tenant.as_deref().filter(|name| !name.is_empty())
    }

    /// Returns the store for questions about the tenant, which it then keeps to by itself where it can.
    pub(crate) fn of(&self, store: AnyStore) -> AnyStore {
        self.name().and_then(|name| store.of_tenant(name)).unwrap_or(store)
    }

    /// Adds the tenant to a filter.
    pub(crate) fn and(&self, filter: Filter) -> Result<Filter, Trouble> {
        match self.name() {
            None => Ok(filter),
            Some(name) => filter
                .any_of("tenant_id", [name])
                .map_err(|error| Trouble::usage(error.to_string())),
        }
    }
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
            Ok(params) => self.tenant.and(params.filter),
            Err(error) => Err(Trouble::usage(match query.trim() {
                "" => error.to_string(),
                _ => format!("{error}\n  {}", visible(&query)),
            })),
        }
    }
}

/// Returns the filter that also finds what the log holds as a pseudonym by its text, where there are keys.
pub(crate) async fn unveiled(
    common: &Common,
    store: &AnyStore,
    asked: Filter,
) -> Result<Filter, Trouble> {
    if !BlindIndex::concerns(&asked) {
        return Ok(asked);
    }
    match store::keys_at_hand(common)? {
        Some(keys) => Ok(BlindIndex::new(store.clone(), keys).filter(asked).await?),
        None => Ok(asked),
    }
}
