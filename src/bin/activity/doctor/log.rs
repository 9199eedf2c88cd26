//! What the log itself tells: its age, its gaps, its indexes, its clock.

use std::time::Duration;

use tower_activity::{
    Filter, Record,
    query::PageRequest,
    store::{AnyStore, Index, Maintain as _, Read as _, Register as _, StoreError},
    time::{Clock as _, SystemClock, Timestamp},
};

use super::{Finding, words};

/// More entries than this in a day are a writer that commits record by record.
const FAR_BEHIND: i64 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn look(store: &AnyStore) -> Vec<Finding> {
    let mut findings = Vec::new();
    for looked in [
        storage(store).await,
        gaps(store).await,
        rollups(store).await,
        indexes(store).await,
        clock(store).await,
        api_keys(store).await,
    ] {
        findings.push(looked.unwrap_or_else(|error| {
            Finding::wrong("log", words(&error), "see that the database's role may read the log")
        }));
    }
    findings
}

async fn storage(store: &AnyStore) -> Result<Finding, StoreError> {
    let storage = store.storage().await?;
    let mib = storage.bytes / 1024 / 1024;
    let Some(newest) = storage.newest else {
        return Ok(Finding::note(
            "records",
            "the log is empty",
            "add the layer as the last one: `.layer(ActivityLayer::new(activity.recorder()))`, and send a \
             request that changes something; reads are not recorded unless a rule says so",
        ));
    };
    Ok(Finding::fine("records", format!("{} in {mib} MiB, the newest of {newest}", storage.rows)))
}

/// Gaps of the last day: each says that records are missing.
async fn gaps(store: &AnyStore) -> Result<Finding, StoreError> {
    let since = before(DAY);
    let filter = Filter::new()
        .from(since)
        .any_of("category", ["system"])
        .and_then(|filter| filter.any_of("action", ["gap"]));
    let Ok(filter) = filter else { return Ok(Finding::fine("gaps", "none")) };
    let page = store.records(&filter, &PageRequest::newest(1_000)).await?;
    let Some(newest) = page.records.first() else {
        return Ok(Finding::fine("gaps", "none in the last day"));
    };
    let missing: u64 = page.records.iter().map(missing).sum();
    let reason = newest.outcome_reason.as_str();
    let mend = match reason {
        "queue_full" => {
            "the writer cannot keep up: look at the database's load, raise `queue`, or take another \
             delivery mode"
        }
        "deadline" => "the pipeline was shut down before everything was stored: give it more time",
        _ => "the service's own diagnostics of that time say why",
    };
    Ok(Finding::wrong(
        "gaps",
        format!(
            "{missing} records are missing in the last day, lastly at {}: {reason}",
            newest.occurred_at
        ),
        mend,
    ))
}

fn missing(gap: &Record) -> u64 {
    let metadata: serde_json::Value =
        serde_json::from_str(gap.metadata.as_str()).unwrap_or_default();
    metadata["count"].as_u64().unwrap_or(0)
}

async fn rollups(store: &AnyStore) -> Result<Finding, StoreError> {
    // Asks how far they are by folding nothing.
    let folded = store.fold(0).await?;
    let behind = folded.behind();
    if behind > FAR_BEHIND {
        return Ok(Finding::note(
            "rollups",
            format!("stats and facets are {behind} commits behind"),
            "a service with the API catches up by itself; `activity stats` does it now",
        ));
    }
    Ok(Finding::fine("rollups", format!("{behind} commits behind")))
}

async fn indexes(store: &AnyStore) -> Result<Finding, StoreError> {
    let made = store.indexes().await?;
    if made.contains(&Index::Text) {
        return Ok(Finding::fine("index", "words are found by an index"));
    }
    Ok(Finding::note(
        "index",
        "words are looked for by reading the records of the range",
        "`activity migrate --index text` makes an index; each record then costs more to write",
    ))
}

/// A record from the future is a clock that was wrong.
async fn clock(store: &AnyStore) -> Result<Finding, StoreError> {
    let ahead =
        store.storage().await?.newest.filter(|newest| *newest > after(Duration::from_secs(120)));
    Ok(match ahead {
        Some(newest) => Finding::wrong(
            "clock",
            format!("the newest record is of {newest}, which is still to come"),
            "set the clock of the machine that wrote it (NTP)",
        ),
        None => Finding::fine("clock", "no record is from the future"),
    })
}

async fn api_keys(store: &AnyStore) -> Result<Finding, StoreError> {
    let keys = store.api_keys().await?;
    let working = keys.iter().filter(|key| key.revoked_at.is_none()).count();
    Ok(Finding::fine("api keys", format!("{working} for `activity serve`")))
}

fn before(span: Duration) -> Timestamp {
    let now = SystemClock::default().now().as_micros();
    Timestamp::from_micros(now.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
}

fn after(span: Duration) -> Timestamp {
    SystemClock::default().now().saturating_add(span)
}
