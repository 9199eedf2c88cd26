//! `GET /`: the page. `GET /live`: each record as it is committed, as server-sent events.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::header,
    response::{
        AppendHeaders, Html, IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tower_activity::{Filter, Pipeline, Record, query::PageRequest, store::Read};

use crate::terminal::Stop;

/// Lines that the page shows when it opens.
const HISTORY: usize = 50;

#[derive(Clone)]
struct Page<S> {
    activity: Arc<Pipeline>,
    store: S,
    stop: Stop,
}

/// Returns both routes; what is live ends when the shop stops, so that it holds nothing up.
pub(crate) fn router<S: Read + Clone>(activity: &Arc<Pipeline>, store: S, stop: Stop) -> Router {
    Router::new().route("/", get(page)).route("/live", get(live::<S>)).with_state(Page {
        activity: Arc::clone(activity),
        store,
        stop,
    })
}

async fn page() -> impl IntoResponse {
    // Script and style of the page carry a word that nobody can know who smuggles in his own.
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
    );
    let headers = AppendHeaders([
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ]);
    (headers, Html(include_str!("page.html").replace("{nonce}", &nonce)))
}

async fn live<S: Read + Clone>(State(page): State<Page<S>>) -> impl IntoResponse {
    // First the subscription, then the history: a record in between comes twice, never not at all, and the
    // page knows it by its id.
    let live = page.activity.subscribe(Filter::new());
    let history = page.store.records(&Filter::new(), &PageRequest::newest(HISTORY)).await;
    let history = history.map(|page| page.records).unwrap_or_default();
    let history: Vec<_> = history.iter().map(Line::of).collect();
    let records = live.filter_map(async |record| Some(event("record", &Line::of(&*record.ok()?))));
    let events =
        stream::iter([event("history", &history)]).chain(records).take_until(page.stop.wait());
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// A record as the page shows it.
#[derive(Serialize)]
struct Line<'r> {
    sentence: String,
    record: &'r Record,
}

impl<'r> Line<'r> {
    fn of(record: &'r Record) -> Self {
        Self { sentence: record.sentence().to_string(), record }
    }
}

fn event(name: &str, data: &impl Serialize) -> Result<Event, axum::Error> {
    Event::default().event(name).json_data(data)
}
