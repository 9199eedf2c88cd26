//! `GET /health`: how the log is doing.
//!
//! A probe needs no permission and learns one word. Whoever may configure, in all tenants, learns the rest.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{StatusCode, request::Parts};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{access::Permission, state::Api, watch::Door};
use crate::{
    ledger::verify::{Verdict, Verified},
    pipeline::{DropReason, Pressure, SpoolPressure},
    query::{Filter, PageRequest},
    record::WriterId,
    rules::Fullness,
    store::{AnyStore, Evidence as _, Index, Maintain as _, Read as _, Storage, StreamPosition},
    time::Timestamp,
};

/// Probes come often, and from everywhere; the store is asked once for all of them.
const FRESH: Duration = Duration::from_secs(1);
/// Size and gaps are read from the store, which takes longer, and do not change from one second to the next.
const SLOW_FRESH: Duration = Duration::from_secs(15);
/// A store that takes longer is one that does not answer. Probes wait for a few seconds at most.
const DEADLINE: Duration = Duration::from_secs(2);
/// A loss, or a gap that another process told of, is news for so long.
const NEWS: Duration = Duration::from_secs(5 * 60);
/// A queue that is fuller than this is about to lose records.
const FULL: f64 = 0.8;
/// Records of an outbox are in the log within a second; after so long something is wrong.
const STALE: Duration = Duration::from_secs(60);
/// More ledger entries than this that are not folded: stats are old.
const BEHIND: i64 = 1_000;
/// So many streams are listed, the newest gaps first; every start of a process makes one.
const STREAMS: usize = 100;
/// So many gap records are looked at.
const GAPS: usize = 1_000;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/health", get(health))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Degraded,
    Failing,
}

/// What was found out, for everybody who asks within a second.
#[derive(Debug, Default)]
pub(super) struct Checked(Mutex<Option<(Instant, Arc<Found>)>>);

#[derive(Debug)]
struct Found {
    status: Status,
    reasons: Vec<String>,
    pressure: Pressure,
    /// How full the log is, where its size is limited.
    full: Option<Fullness>,
    store: Option<Arc<InStore>>,
    slow_at: Option<Instant>,
    at: Timestamp,
}

/// What the store says.
#[derive(Debug, Clone, Default)]
struct InStore {
    behind: i64,
    streams: Vec<StreamPosition>,
    storage: Storage,
    indexes: Vec<Index>,
    /// Gap records by stream, and when the newest of them was written.
    gaps: HashMap<WriterId, u64>,
    last_gap: Option<Timestamp>,
    verified: Option<Verified>,
}

async fn health(State(api): State<Api>, parts: Parts) -> Response {
    let found = api.checked().find(&api).await;
    let status = match found.status {
        // It answers, and what it cannot store yet is in its queue.
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Failing => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body =
        if may_see(&api, &parts).await { found.whole() } else { json!({ "status": found.status }) };
    (status, Json(body)).into_response()
}

/// A tenant's administrator learns nothing about the others: numbers of the whole are not for him.
async fn may_see(api: &Api, parts: &Parts) -> bool {
    let grant = match api.access().grant(parts).await {
        Ok(grant) => grant,
        Err(_) => {
            // A probe says nothing of itself. Whoever does is trying a key at this door.
            if parts.headers.contains_key(http::header::AUTHORIZATION)
                && let Some(door) = parts.extensions.get::<Door>()
            {
                door.refused(StatusCode::UNAUTHORIZED);
            }
            return false;
        }
    };
    grant.may(Permission::Configure) && grant.only_tenant().is_none()
}

impl Checked {
    async fn find(&self, api: &Api) -> Arc<Found> {
        // Held while the store is asked, so that one asks for all.
        let mut last = self.0.lock().await;
        let now = Instant::now();
        if let Some((at, found)) = &*last
            && now.duration_since(*at) < FRESH
        {
            return Arc::clone(found);
        }
        let before = last.as_ref().and_then(|(_, found)| {
            let at = found.slow_at?;
            (now.duration_since(at) < SLOW_FRESH)
                .then(|| (at, found.store.clone()))
                .and_then(|(at, store)| store.map(|store| (at, store)))
        });
        let found = Arc::new(look(api, before).await);
        *last = Some((Instant::now(), Arc::clone(&found)));
        found
    }
}

async fn look(api: &Api, before: Option<(Instant, Arc<InStore>)>) -> Found {
    let pressure = api.recorder().pressure();
    let (mut store, mut slow_at, mut is_away) = (None, None, false);
    if let Ok(asked) = api.store() {
        let (at, known) = match before {
            Some((at, known)) => (at, Some(known)),
            None => (Instant::now(), None),
        };
        match timeout(DEADLINE, InStore::ask(asked, known.as_deref())).await {
            Ok(Ok(found)) => (store, slow_at) = (Some(Arc::new(found)), Some(at)),
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the store is not healthy"
                );
                is_away = true;
            }
            Err(_) => is_away = true,
        }
    }
    let limit = api.recorder().size_limit();
    let full = store.as_ref().zip(limit).map(|(store, limit)| limit.filled(store.storage.used));
    let (status, reasons) = judge(&pressure, store.as_deref(), full, is_away, api.now());
    Found { status, reasons, pressure, full, store, slow_at, at: api.now() }
}

impl InStore {
    async fn ask(store: &AnyStore, known: Option<&Self>) -> Result<Self, crate::store::StoreError> {
        // Always: whether it answers at all.
        let folded = store.fold(0).await?;
        if let Some(known) = known {
            return Ok(Self { behind: folded.behind(), ..known.clone() });
        }
        let gap_records = Filter::new().any_of("action", ["gap"]);
        let gap_records = gap_records.and_then(|filter| filter.any_of("category", ["system"]));
        let mut found = Self {
            behind: folded.behind(),
            streams: store.streams().await?,
            storage: store.storage().await?,
            indexes: store.indexes().await?,
            verified: store.last_verified().await?,
            ..Self::default()
        };
        if let Ok(filter) = gap_records {
            for record in store.records(&filter, &PageRequest::newest(GAPS)).await?.records {
                found.last_gap = found.last_gap.max(Some(record.occurred_at));
                *found.gaps.entry(record.writer_id).or_default() += 1;
            }
        }
        Ok(found)
    }
}

/// Says how things are, and why.
fn judge(
    pressure: &Pressure,
    store: Option<&InStore>,
    full: Option<Fullness>,
    is_away: bool,
    now: Timestamp,
) -> (Status, Vec<String>) {
    let mut found = Vec::new();
    let is_news = |at: Option<Timestamp>| at.is_some_and(|at| at >= now.saturating_sub(NEWS));
    if pressure.closed {
        found.push((Status::Failing, "the pipeline is shut down: nothing is recorded".to_owned()));
    }
    if is_away {
        let what = "the store does not answer within its deadline".to_owned();
        found.push((Status::Failing, what));
    }
    if pressure.queue >= FULL {
        let (share, what) = (pressure.queue * 100.0, pressure.spool.map_or("queue", |_| "spool"));
        found.push((Status::Degraded, format!("the {what} is {share:.0} % full")));
    }
    if let Some(spool) = &pressure.spool {
        spool_reasons(spool, &mut found);
    }
    if is_news(pressure.last_loss) {
        let lost = pressure.tally.dropped.total();
        let what = format!("records are being dropped: {lost} since the start");
        found.push((Status::Degraded, what));
    }
    if pressure.tally.quarantined > 0 {
        let what = format!(
            "{} records were refused by the store and are in quarantine",
            pressure.tally.quarantined
        );
        found.push((Status::Degraded, what));
    }
    if let Some(outbox) = &pressure.outbox {
        if let Some(oldest) = outbox.oldest.filter(|oldest| *oldest >= STALE) {
            let what = format!(
                "{} records wait in the outbox, the oldest for {} s",
                outbox.pending,
                oldest.as_secs()
            );
            found.push((Status::Degraded, what));
        }
        if outbox.quarantined > 0 {
            let what = format!(
                "{} records of the outbox were refused by the store and are in quarantine",
                outbox.quarantined
            );
            found.push((Status::Degraded, what));
        }
    }
    if let Some(full) = full.filter(|full| full.is_near()) {
        let (percent, limit) = (full.percent(), full.limit());
        found.push((
            Status::Degraded,
            format!("the log fills {percent} % of its max_size, {limit}"),
        ));
    }
    if let Some(store) = store {
        if is_news(store.last_gap) {
            found.push((Status::Degraded, "a gap was recorded in the last minutes".to_owned()));
        }
        if let Some(verified) = store.verified.filter(|last| last.result == Verdict::Altered) {
            let what = format!("the verification of {} found the log to be altered", verified.at);
            found.push((Status::Degraded, what));
        }
        if store.behind > BEHIND {
            let what = format!("the rollups are {} ledger entries behind", store.behind);
            found.push((Status::Degraded, what));
        }
    }
    let status = found.iter().map(|(status, _)| *status).max().unwrap_or(Status::Ok);
    (status, found.into_iter().map(|(_, reason)| reason).collect())
}

fn spool_reasons(spool: &SpoolPressure, found: &mut Vec<(Status, String)>) {
    let mut say = |what: String| found.push((Status::Degraded, what));
    if spool.is_stuck {
        say("the disk of the spool does not answer".to_owned());
    }
    if spool.is_below_floor {
        say("the disk of the spool is nearly full".to_owned());
    }
    if spool.failed_syncs > 0 {
        say(format!("the disk of the spool failed to sync {} times", spool.failed_syncs));
    }
    if spool.quarantined > 0 {
        say(format!("{} damaged segments of the spool are in quarantine", spool.quarantined));
    }
}

impl Found {
    fn whole(&self) -> Value {
        let Pressure { tally, queue, spool, delivery, waiting, outbox, .. } = &self.pressure;
        let dropped: serde_json::Map<_, _> = DropReason::ALL
            .into_iter()
            .map(|reason| (reason.as_str().to_owned(), tally.dropped.of(reason).into()))
            .collect();
        let store = self.store.as_deref();
        json!({
            "status": self.status,
            "reasons": self.reasons,
            "mode": delivery.as_str(),
            "queue": { "share": (queue * 1_000.0).round() / 1_000.0 },
            "spool": spool.map(|spool| json!({
                "bytes": spool.bytes,
                "kept_bytes": spool.kept,
                "cap_bytes": spool.cap,
                "oldest_ms": spool.oldest.map(millis),
                "quarantined": spool.quarantined,
                "failed_syncs": spool.failed_syncs,
            })),
            "tally": {
                "received": tally.received,
                "stored": tally.stored,
                "spooled": tally.spooled,
                "queued": tally.queued,
                "dropped": dropped,
                "quarantined": tally.quarantined,
                "folded": tally.folded,
                "gaps": tally.gaps,
                "own": tally.own,
                "open_drafts": tally.open_drafts,
                "retries": tally.retries,
                "duplicates": tally.duplicates,
                "drained": tally.drained,
                "refused": tally.refused,
            },
            "outbox": outbox.map(|outbox| json!({
                "recorded": outbox.recorded,
                "stored": outbox.stored,
                "quarantined": outbox.quarantined,
                "pending": outbox.pending,
                "oldest_ms": outbox
                    .oldest
                    .map(|oldest| u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX)),
            })),
            "writers": store.map(|store| writers(store, *waiting)),
            "writers_total": store.map(|store| store.streams.len()),
            "storage": store.map(|store| json!({
                "rows": store.storage.rows,
                "bytes": store.storage.bytes,
                "oldest": store.storage.oldest,
                "newest": store.storage.newest,
                "used_bytes": store.storage.used,
                "max_bytes": self.full.map(|full| full.limit().bytes()),
                "share": self.full.map(|full| full.share()),
            })),
            "rollups": store.map(|store| json!({ "behind": store.behind })),
            "indexes": store
                .map(|store| store.indexes.iter().map(|index| index.as_str()).collect::<Vec<_>>()),
            "last_verify": store.and_then(|store| store.verified).map(|verified| json!({
                "at": verified.at,
                "age_ms": self.at.as_millis().saturating_sub(verified.at.as_millis()).max(0),
                "position": verified.position,
                "result": verified.result,
            })),
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// This process's stream first, then those with gaps. How long records wait elsewhere only that process knows.
fn writers(store: &InStore, waiting: Option<(WriterId, Duration)>) -> Vec<Value> {
    let mut streams: Vec<_> = store
        .streams
        .iter()
        .map(|stream| {
            let own = waiting.filter(|(id, _)| *id == stream.writer_id);
            let gaps = store.gaps.get(&stream.writer_id).copied().unwrap_or(0);
            (own.is_none(), std::cmp::Reverse(gaps), stream, own.map(|(_, lag)| lag))
        })
        .collect();
    streams.sort_by_key(|(other, gaps, stream, _)| (*other, *gaps, stream.writer_id));
    let streams = streams.into_iter().take(STREAMS);
    streams
        .map(|(_, gaps, stream, lag)| {
            json!({
                "id": stream.writer_id.to_string(),
                "last_seq": stream.last_seq,
                "gaps": gaps.0,
                "lag_ms": lag.map(millis),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_and_the_worst_of_it_decides() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let well = Pressure {
            tally: crate::pipeline::Tally::default(),
            queue: 0.1,
            spool: None,
            closed: false,
            last_loss: None,
            delivery: crate::rules::Delivery::BestEffort,
            waiting: None,
            outbox: None,
        };
        let ago = |seconds| Some(now.saturating_sub(Duration::from_secs(seconds)));
        let store = InStore::default();
        let says = |pressure: Pressure, store: &InStore, away: bool| {
            let (status, reasons) = judge(&pressure, Some(store), None, away, now);
            assert_eq!(status == Status::Ok, reasons.is_empty());
            status
        };
        assert_eq!(says(well, &store, false), Status::Ok);
        assert_eq!(says(Pressure { queue: 0.9, ..well }, &store, false), Status::Degraded);
        assert_eq!(says(Pressure { last_loss: ago(60), ..well }, &store, false), Status::Degraded);
        assert_eq!(says(Pressure { last_loss: ago(3_600), ..well }, &store, false), Status::Ok);
        assert_eq!(says(Pressure { closed: true, ..well }, &store, false), Status::Failing);
        assert_eq!(says(Pressure { queue: 0.9, ..well }, &store, true), Status::Failing);
        let spooled = |spool| says(Pressure { spool: Some(spool), ..well }, &store, false);
        assert_eq!(spooled(SpoolPressure::default()), Status::Ok);
        for spool in [
            SpoolPressure { is_stuck: true, ..SpoolPressure::default() },
            SpoolPressure { is_below_floor: true, ..SpoolPressure::default() },
            SpoolPressure { failed_syncs: 1, ..SpoolPressure::default() },
            SpoolPressure { quarantined: 1, ..SpoolPressure::default() },
        ] {
            assert_eq!(spooled(spool), Status::Degraded);
        }
        let mut quarantined = well;
        quarantined.tally.quarantined = 1;
        assert_eq!(says(quarantined, &store, false), Status::Degraded);
        let mut waits = crate::pipeline::OutboxTally::default();
        (waits.pending, waits.oldest) = (1, Some(STALE / 2));
        assert_eq!(says(Pressure { outbox: Some(waits), ..well }, &store, false), Status::Ok);
        waits.oldest = Some(STALE);
        assert_eq!(says(Pressure { outbox: Some(waits), ..well }, &store, false), Status::Degraded);
        let limit: crate::rules::SizeLimit = "10MB".parse().unwrap();
        for (bytes, expected) in [(7_999_999, Status::Ok), (8_000_000, Status::Degraded)] {
            let full = Some(limit.filled(bytes));
            let (status, reasons) = judge(&well, Some(&store), full, false, now);
            assert_eq!((status, reasons.is_empty()), (expected, expected == Status::Ok));
        }
        let behind = InStore { behind: BEHIND + 1, ..InStore::default() };
        assert_eq!(says(well, &behind, false), Status::Degraded);
        let gap = InStore { last_gap: ago(1), ..InStore::default() };
        assert_eq!(says(well, &gap, false), Status::Degraded);
    }
}
