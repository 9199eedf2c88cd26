//! `POST /records`: other services hand in what happened there.
//!
//! ```text
//! body → items → record → rules, redaction → claim → queue → commit → settle → answer
//! ```
//!
//! **Promised.** What is acknowledged is stored: the answer waits for the commit, also under `best_effort`.
//! An item with a key of its own (`id`, or its place under an `Idempotency-Key`) is stored once, however
//! often it is sent, by however many, within [`KEYS_ARE_KEPT`]. What is not acknowledged and was stored all
//! the same is found again by its key. Whoever goes away before the answer changes nothing of that.
//!
//! **Not promised.** Items without a key are stored as often as they are sent. Order is that of the items
//! within a request.

mod answer;
mod body;
mod item;
mod json;
mod keys;
mod meaning;
mod names;
mod prepare;
mod take;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use self::{answer::Answer, keys::Caller};
pub(super) use self::{
    item::{MAX_KEY, bounds},
    names::taken,
};
use super::{access::Permission, problem::Problem, state::Api, watch};
use crate::{
    pipeline::{Intake, Pipeline},
    store::Register as _,
};

/// Repeats are known for so long; afterwards only those that have a UUIDv7 for a key.
pub(super) const KEYS_ARE_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Keys that are too old are looked for so often.
const SWEEP_EVERY: Duration = Duration::from_secs(10 * 60);
/// A sweep has so many steps at the most, so far apart: a minute's worth, and the next one goes on.
const STEPS: usize = 600;
const STEP: Duration = Duration::from_millis(100);
/// So many requests are taken in at once, and the bodies of so many of the largest are held in memory.
const AT_ONCE: usize = 16;
/// Whoever finds as many before him waits so long for his turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/records", post(ingest))
}

/// What the requests share.
#[derive(Debug)]
pub(super) struct Ingest {
    intake: Intake,
    turns: Arc<Semaphore>,
    room: body::Room,
    /// Microseconds of the last sweep.
    swept_at: AtomicI64,
}

/// What a request holds until it is answered.
#[derive(Debug)]
struct Turn {
    _turn: OwnedSemaphorePermit,
    _room: OwnedSemaphorePermit,
}

impl Ingest {
    pub(super) fn new(pipeline: &Pipeline) -> Self {
        Self {
            intake: pipeline.intake(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            room: body::Room::new(AT_ONCE),
            swept_at: AtomicI64::new(0),
        }
    }

    pub(super) const fn intake(&self) -> &Intake {
        &self.intake
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = timeout(TURN_WITHIN, Arc::clone(&self.turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            let detail = format!("{AT_ONCE} requests are being taken in; send it again later");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail).retry_after(1)
        })
    }
}

async fn ingest(
    State(api): State<Api>,
    visitor: watch::Caller,
    request: Request,
) -> Result<Answer, Problem> {
    visitor.must(Permission::Ingest)?;
    let (parts, body) = request.into_parts();
    // A store that keeps no keys cannot tell repeats apart.
    api.store()?;
    let format = body::format(&parts.headers)?;
    let key = idempotency_key(&parts.headers)?;
    let (body, room) = body::read(body, &api.ingest().room).await?;
    let turn = Turn { _turn: api.ingest().turn().await?, _room: room };
    let items = body::items(body, format)?;
    sweep(&api);
    let (answer, answered) = oneshot::channel();
    let request = take::Request { items, key, caller: Caller::of(visitor.grant()), turn };
    // A task of its own: whoever claims keys goes on to settle them, also when his client has gone.
    tokio::spawn(take::take(api, request, answer));
    let answer = answered.await.map_err(|_| Problem::internal())?;
    let foreign = answer.foreign();
    if foreign > 0 {
        let what = format!("handed in {foreign} items for another tenant or service");
        visitor.refused(StatusCode::FORBIDDEN, what);
    }
    Ok(answer)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().map(str::trim);
    let key = key.filter(|key| !key.is_empty() && key.len() <= item::MAX_KEY);
    key.map(|key| Some(key.to_owned())).ok_or_else(|| {
        let detail = format!("it takes 1 to {} characters of ASCII", item::MAX_KEY);
        Problem::parameter("Idempotency-Key", detail)
    })
}

/// Forgets old keys, now and then: who hands nothing in leaves nothing to be forgotten.
fn sweep(api: &Api) {
    let (now, shared) = (api.now(), api.ingest());
    let last = shared.swept_at.load(Ordering::Relaxed);
    let due = last.saturating_add(i64::try_from(SWEEP_EVERY.as_micros()).unwrap_or(i64::MAX));
    if now.as_micros() < due {
        return;
    }
    let won = shared.swept_at.compare_exchange(
        last,
        now.as_micros(),
        Ordering::Relaxed,
        Ordering::Relaxed,
    );
    if won.is_err() {
        return;
    }
    let api = api.clone();
    tokio::spawn(async move {
        let Ok(store) = api.store() else { return };
        let before = now.saturating_sub(KEYS_ARE_KEPT);
        // In steps, with time for others in between, and never longer than until the next sweep.
        for _ in 0..STEPS {
            match store.forget(before).await {
                Ok(0) => return,
                Ok(forgotten) => tracing::debug!(forgotten, "forgot old keys of records handed in"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "could not forget old keys of records handed in");
                    return;
                }
            }
            tokio::time::sleep(STEP).await;
        }
    });
}
