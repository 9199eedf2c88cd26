//! Reads what a report says.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;
use tower_activity::{
    Filter,
    query::{Aggregate, PageRequest, ParseContext},
    record::{Field, Record, visible},
    store::{AnyStore, Read as _},
    time::{Clock as _, SystemClock, Timestamp},
};

use super::period::Period;
use crate::trouble::Trouble;

/// Deletions, changes of rights and settings, and whatever was marked as grave.
const SENSITIVE: &str = "operation:delete OR category:administration OR severity:>=4";
const FAILED_LOGINS: &str = "action:login_failed";
const GAPS: &str = "category:system action:gap";
/// How many failed logins are read one by one for their addresses.
const READ_AT_MOST: usize = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a report says.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) period: String,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    pub(super) total: u64,
    pub(super) by_outcome: Vec<Counted>,
    pub(super) by_action: Vec<Counted>,
    pub(super) by_entity_type: Vec<Counted>,
    pub(super) by_actor: Vec<Counted>,
    pub(super) sensitive: Sensitive,
    pub(super) failed_logins: FailedLogins,
    pub(super) gaps: Vec<Gap>,
    /// False when the time was up before everything was read.
    pub(super) complete: bool,
    /// Commits that the counts leave out, until somebody who may write folds them in.
    pub(super) not_counted_yet: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Counted {
    pub(super) value: String,
    pub(super) count: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Sensitive {
    pub(super) total: u64,
    /// The newest of them.
    pub(super) newest: Vec<Line>,
}

#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) id: String,
    pub(super) sentence: String,
    pub(super) ip: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct FailedLogins {
    pub(super) total: u64,
    pub(super) by_address: Vec<Counted>,
    pub(super) by_account: Vec<Counted>,
}

#[derive(Debug, Serialize)]
pub(super) struct Gap {
    pub(super) at: Timestamp,
    /// How many records are missing; nothing when nobody knows.
    pub(super) count: Option<u64>,
    pub(super) reason: String,
    pub(super) writer_id: String,
}

pub(super) async fn gather(
    store: &AnyStore,
    period: &Period,
    all: Filter,
    top: usize,
) -> Result<Report, Trouble> {
    let (from, to) = period.bounds()?;
    let names = ["outcome", "action", "entity_type", "actor_id"];
    let ask = Aggregate {
        dimensions: names.iter().filter_map(|name| Field::named(name)).collect(),
        top,
        edges: Vec::new(),
        patience: PATIENCE,
    };
    let counted = store.aggregate(&all, &ask).await?;
    let mut by = counted.by.into_iter().map(counts);
    let mut next = || by.next().unwrap_or_default();
    let (by_outcome, by_action, by_entity_type, by_actor) = (next(), next(), next(), next());
    let (sensitive, sensitive_complete) = sensitive(store, &all, top).await?;
    let (failed_logins, logins_complete) = failed_logins(store, &all, top).await?;
    let (gaps, gaps_complete) = gaps(store, &all).await?;
    Ok(Report {
        period: period.to_string(),
        from,
        to,
        total: counted.total,
        by_outcome,
        by_action,
        by_entity_type,
        by_actor,
        sensitive,
        failed_logins,
        gaps,
        complete: counted.complete && sensitive_complete && logins_complete && gaps_complete,
        not_counted_yet: counted.behind,
    })
}

fn narrowed(all: &Filter, text: &str) -> Result<Filter, Trouble> {
    let context = ParseContext::new(SystemClock::default().now());
    let more = Filter::parse(text, &context).map_err(|error| Trouble::of(&error))?;
    Ok(all.clone().and(more))
}

async fn total(store: &AnyStore, filter: &Filter) -> Result<(u64, bool), Trouble> {
    let ask = Aggregate { dimensions: Vec::new(), top: 0, edges: Vec::new(), patience: PATIENCE };
    let counted = store.aggregate(filter, &ask).await?;
    Ok((counted.total, counted.complete))
}

async fn sensitive(
    store: &AnyStore,
    all: &Filter,
    top: usize,
) -> Result<(Sensitive, bool), Trouble> {
    let filter = narrowed(all, SENSITIVE)?;
    let (total, complete) = total(store, &filter).await?;
    let page = store.records(&filter, &PageRequest::newest(top.max(1)).within(PATIENCE)).await?;
    let newest = page.records.iter().map(line).collect();
    Ok((Sensitive { total, newest }, complete))
}

fn line(record: &Record) -> Line {
    Line {
        at: record.occurred_at,
        id: record.id.to_string(),
        sentence: record.sentence().to_string(),
        ip: record.ip.map(|ip| ip.to_string()),
    }
}

async fn failed_logins(
    store: &AnyStore,
    all: &Filter,
    top: usize,
) -> Result<(FailedLogins, bool), Trouble> {
    let filter = narrowed(all, FAILED_LOGINS)?;
    let (total, mut complete) = total(store, &filter).await?;
    let (mut by_address, mut by_account) = (HashMap::new(), HashMap::new());
    let mut request = PageRequest::newest(1_000).within(PATIENCE);
    let mut read = 0;
    loop {
        let page = store.records(&filter, &request).await?;
        for record in &page.records {
            let address = record
                .ip
                .map(|ip| ip.to_string())
                .or_else(|| record.ip_pseudonym.as_option().map(str::to_owned));
            if let Some(address) = address {
                *by_address.entry(address).or_default() += 1;
            }
            if let Some(account) = record.entity_id.as_option() {
                *by_account.entry(visible(account).to_string()).or_default() += 1;
            }
        }
        read += page.records.len();
        let Some(next) = page.next else { break };
        if read >= READ_AT_MOST {
            complete = false;
            break;
        }
        request = request.after(next);
    }
    let logins = FailedLogins {
        total,
        by_address: most(by_address, top),
        by_account: most(by_account, top),
    };
    Ok((logins, complete))
}

async fn gaps(store: &AnyStore, all: &Filter) -> Result<(Vec<Gap>, bool), Trouble> {
    let filter = narrowed(all, GAPS)?;
    let page = store.records(&filter, &PageRequest::oldest(1_000).within(PATIENCE)).await?;
    let gap = |record: &Record| {
        let metadata: serde_json::Value =
            serde_json::from_str(record.metadata.as_str()).unwrap_or_default();
        Gap {
            at: record.occurred_at,
            count: metadata["count"].as_u64(),
            reason: visible(record.outcome_reason.as_str()).to_string(),
            writer_id: record.writer_id.to_string(),
        }
    };
    Ok((page.records.iter().map(gap).collect(), page.next.is_none()))
}

fn counts(values: Vec<(String, u64)>) -> Vec<Counted> {
    values
        .into_iter()
        .map(|(value, count)| Counted { value: visible(&value).to_string(), count })
        .collect()
}

fn most(counts: HashMap<String, u64>, top: usize) -> Vec<Counted> {
    let mut counts: Vec<_> =
        counts.into_iter().map(|(value, count)| Counted { value, count }).collect();
    counts.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    counts.truncate(top);
    counts
}
