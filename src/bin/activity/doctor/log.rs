//! What the log itself tells: its age, its gaps, its indexes, its clock.

use std::{fmt::Write as _, time::Duration};

use tower_activity::{
    Filter, Record,
    query::{Aggregate, PageRequest},
    rules::{RetentionPolicy, SizeLimit},
    store::{
        AnyStore, CompletenessRequest, Index, Maintain as _, Read as _, Register as _, StoreError,
        StreamEnd, StreamReport, policy_set,
    },
    time::{Clock as _, SystemClock, Timestamp},
};

use super::{Finding, words};

/// More entries than this are more than the API of a service that is well leaves behind.
const FAR_BEHIND: u64 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many of the newest records are read.
const SAMPLE: usize = 1_000;
/// So many streams are looked at, the newest.
const WRITERS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn look(store: &AnyStore, limit: Option<SizeLimit>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (what, looked) in [
        ("records", storage(store).await),
        ("size", size(store, limit).await),
        ("rows", rows(store).await),
        ("gaps", gaps(store).await),
        ("writers", writers(store).await),
        ("rollups", rollups(store).await),
        ("index", indexes(store).await),
        ("clock", clock(store).await),
        ("api keys", api_keys(store).await),
    ] {
        findings.push(looked.unwrap_or_else(|error| match error.is_transient() {
            true => {
                Finding::wrong(what, words(&error), "look at the load and the log of the database")
            }
            false => Finding::note(
                what,
                words(&error),
                "this role may not ask it; ask as the service's own, or as the owner",
            ),
        }));
    }
    findings
}

async fn storage(store: &AnyStore) -> Result<Finding, StoreError> {
    let storage = store.storage().await?;
    if storage.newest.is_none() && storage.rows > 0 {
        return Ok(Finding::note(
            "records",
            format!("{} in all, and none that this role sees", storage.rows),
            "where tenants are kept apart, ask as activity_auditor",
        ));
    }
    let Some(newest) = storage.newest else {
        return Ok(Finding::note(
            "records",
            "the log is empty",
            "add the layer as the last one: `.layer(ActivityLayer::new(activity.recorder()))`, and send a \
             request that changes something; reads are not recorded unless a rule says so",
        ));
    };
    let size = super::size(u64::try_from(storage.bytes).unwrap_or(0));
    Ok(Finding::fine("records", format!("{} in {size}, the newest of {newest}", storage.rows)))
}

/// Says how much of what it may have the log fills: as was set while the service runs, else as the rules file says.
async fn size(store: &AnyStore, limit: Option<SizeLimit>) -> Result<Finding, StoreError> {
    let set = policy_set(store).await?;
    let limit = match set.is_set() {
        true => set.over(&RetentionPolicy::default())?.size_limit(),
        false => limit,
    };
    let Some(limit) = limit else { return Ok(Finding::fine("size", "no limit is set")) };
    let full = limit.filled(store.storage().await?.used);
    if !full.is_near() {
        return Ok(Finding::fine("size", full.to_string()));
    }
    let mend = "keep records for less time, or raise `max_size` of [retention]; with `force = true` the oldest months \
         go before their time";
    Ok(match full.is_over() {
        true => Finding::wrong("size", full.to_string(), mend),
        false => Finding::note("size", full.to_string(), mend),
    })
}

/// Rows that cannot be read as records were edited by somebody else.
async fn rows(store: &AnyStore) -> Result<Finding, StoreError> {
    let page = store.records(&Filter::new(), &PageRequest::newest(SAMPLE).within(PATIENCE)).await?;
    if page.unreadable > 0 {
        return Ok(Finding::wrong(
            "rows",
            format!("{} of the newest rows cannot be read as records", page.unreadable),
            "somebody changed them by hand: keep a copy of the database, and look at who may write its tables",
        ));
    }
    Ok(Finding::fine("rows", format!("the newest {} read as records", page.records.len())))
}

/// Gaps of the last day: each says that records are missing.
async fn gaps(store: &AnyStore) -> Result<Finding, StoreError> {
    let since = before(DAY);
    let filter = Filter::new()
        .from(since)
        .any_of("category", ["system"])
        .and_then(|filter| filter.any_of("action", ["gap"]));
    let Ok(filter) = filter else { return Ok(Finding::fine("gaps", "none")) };
    let page = store.records(&filter, &PageRequest::newest(SAMPLE)).await?;
    let Some(newest) = page.records.first() else {
        return Ok(Finding::fine("gaps", "none in the last day"));
    };
    let missing: u64 = page.records.iter().filter_map(missing).sum();
    let unknown = page.records.iter().any(|gap| self::missing(gap).is_none());
    let reason = newest.outcome_reason.as_str();
    let mend = match reason {
        "queue_full" => {
            "the writer cannot keep up: look at the database's load, and raise the capacity of the queue"
        }
        "deadline" => {
            "the pipeline was shut down before everything was stored: give `shutdown` (drain_seconds of \
             `activity serve`) more time"
        }
        "unclean_end" => {
            "the process was killed, or its machine went down; what `best_effort` had not stored is lost: give \
             `shutdown` its time, or take `durable`"
        }
        _ => "the service's own diagnostics of that time say why",
    };
    let more = match (page.next.is_some(), unknown) {
        (true, _) => "more than ",
        (false, true) => "at least ",
        (false, false) => "",
    };
    Ok(Finding::wrong(
        "gaps",
        format!(
            "{more}{missing} records are missing in the last day, lastly at {}: {}",
            newest.occurred_at,
            tower_activity::record::visible(reason)
        ),
        mend,
    ))
}

/// Returns how many records a gap record says are missing; `None` when nobody knows.
fn missing(gap: &Record) -> Option<u64> {
    let metadata: serde_json::Value =
        serde_json::from_str(gap.metadata.as_str()).unwrap_or_default();
    metadata["count"].as_u64()
}

/// The streams of the last day: does each go on without a break, and how did it end?
async fn writers(store: &AnyStore) -> Result<Finding, StoreError> {
    let found = store.completeness(&CompletenessRequest::newest(WRITERS).within(PATIENCE)).await?;
    let since = before(DAY);
    let broken = found.streams.iter().find(|stream| !stream.is_whole());
    if let Some(broken) = broken {
        return Ok(Finding::wrong(
            "writers",
            format!(
                "the numbers of writer {} do not go on at {} places",
                broken.writer_id,
                broken.breaks.max(1)
            ),
            "entries of the ledger were taken away by hand: keep a copy of the database, and look at who may \
             write its tables",
        ));
    }
    let news: Vec<_> = found.streams.iter().filter(|stream| stream.last_at >= since).collect();
    let count = |is: fn(&StreamReport) -> bool| news.iter().filter(|stream| is(stream)).count();
    let unclean = count(|stream| matches!(stream.end, StreamEnd::Unclean { .. }));
    let continued = count(|stream| matches!(stream.end, StreamEnd::Continued { .. }));
    let recovered = count(|stream| matches!(stream.end, StreamEnd::Recovered { .. }));
    let open = count(|stream| stream.end == StreamEnd::Open);
    let stubs: u64 = news.iter().map(|stream| stream.stubs).sum();
    let mut said = format!("{} in all", found.total);
    if open > 0 {
        let _infallible = write!(said, "; {open} have not said that they ended");
    }
    for (many, what) in [
        (unclean as u64, "ended without a word in the last day"),
        (recovered as u64, "ended without a word, and all that they had written is stored"),
        (
            continued as u64,
            "went on as others: the store was found behind them, or their spool damaged",
        ),
        (stubs, "records are stubs: what they stand for is in a quarantine file"),
    ] {
        if many > 0 {
            let _infallible = write!(said, "; {many} {what}");
        }
    }
    if unclean > 0 || continued > 0 || stubs > 0 {
        let mend = "`GET /completeness` of the service tells of each; look into the service's own diagnostics of \
                    that time";
        return Ok(Finding::note("writers", said, mend));
    }
    Ok(Finding::fine("writers", format!("{said}; the numbers of the newest go on without a break")))
}

async fn rollups(store: &AnyStore) -> Result<Finding, StoreError> {
    let ask = Aggregate { dimensions: Vec::new(), top: 0, edges: Vec::new(), patience: PATIENCE };
    let behind = store.aggregate(&Filter::new(), &ask).await?.behind;
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
            "set the clock of the machine that wrote it, or of this one (NTP)",
        ),
        None => Finding::fine("clock", "no record is from the future"),
    })
}

async fn api_keys(store: &AnyStore) -> Result<Finding, StoreError> {
    let keys = store.api_keys().await?;
    let working = keys.iter().filter(|key| key.revoked_at.is_none()).count();
    Ok(match (keys.len(), working) {
        (0, _) => {
            Finding::fine("api keys", "none; `activity serve` needs one to listen beyond loopback")
        }
        (all, 0) => Finding::note(
            "api keys",
            format!("all {all} are revoked: nobody may call `activity serve`"),
            "`activity key new NAME` makes another",
        ),
        (_, working) => Finding::fine("api keys", format!("{working} for `activity serve`")),
    })
}

fn before(span: Duration) -> Timestamp {
    let now = SystemClock::default().now().as_micros();
    Timestamp::from_micros(now.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
}

fn after(span: Duration) -> Timestamp {
    SystemClock::default().now().saturating_add(span)
}
