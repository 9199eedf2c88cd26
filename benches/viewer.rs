//! What a reader waits for, in a real browser over a month of records in SQLite: the first useful paint, a search's
//! result, and the frames while the log is followed live at 200 records a second.
//!
//! `scripts/bench viewer [--rows 2000000] [--rounds 5]`; needs Chromium and its driver.

#![allow(missing_docs, clippy::unwrap_used)]

#[allow(dead_code, reason = "the tests do more with it")]
#[path = "../tests/viewer/browser.rs"]
mod browser;
mod common;
#[allow(dead_code, reason = "the tests do more with it")]
#[path = "../tests/viewer/webdriver.rs"]
mod webdriver;

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use browser::{Page, Screen, browse};
use common::{argument, is_test, quantile, sample::Stream};
use serde_json::json;
use tokio::{net::TcpListener, time::MissedTickBehavior};
use tower_activity::{
    Keys, Pipeline, SqliteStore,
    access::{self, Grant, Permissions},
    record::{Actor, Record, RecordId},
    store::{Append as _, Appender as _, Batch, Maintain as _},
    time::Timestamp,
};

/// So long is the time that the records spread over.
const MONTH: Duration = Duration::from_hours(30 * 24);
const LIVE_FOR: Duration = Duration::from_secs(20);
const LIVE_RATE: f64 = 200.0;

/// What is asked for, over the last day and over all of it.
const QUERIES: [(&str, &str); 6] = [
    ("action:cancel", "now-24h"),
    ("outcome:denied actor_id:user-50", "now-24h"),
    ("entity_type:order entity_id:4711", "all"),
    ("actor_id:user-7 -action:create", "all"),
    ("ip:10.0.0.0/8", "all"),
    ("status:>=500", "now-7d"),
];

fn main() {
    let rows = if is_test() { 2_000 } else { argument("--rows", 2_000_000) };
    let rounds = if is_test() { 1 } else { argument("--rounds", 5) };
    println!("viewer: {rows} rows of a month in SQLite, {rounds} rounds, times in ms");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(rows, rounds));
}

async fn measure(rows: usize, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(folder.path().join("activity.db").to_str().unwrap()).await.unwrap();
    fill(&store, rows).await;
    let keys = Keys::open(folder.path().join("activity.keys")).unwrap();
    let pipeline = Pipeline::builder(store.clone()).keys(keys).start().await.unwrap();
    let access =
        access::from_fn(|_| async { Ok(Grant::new(Actor::user("vera"), Permissions::viewer())) });
    let app: Router = Router::new().nest_service("/activity", pipeline.router(access));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}/activity", listener.local_addr().unwrap());
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });

    browse("bench", Screen::DESK, async |page| {
        paint(page, &at, rounds).await;
        for (query, from) in QUERIES {
            search(page, &at, query, from, rounds).await;
        }
        live(page, &at, &pipeline, if is_test() { Duration::from_secs(2) } else { LIVE_FOR }).await;
    })
    .await;
    pipeline.shutdown(Duration::from_secs(5)).await;
}

async fn fill(store: &SqliteStore, rows: usize) {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap());
    let step = MONTH / u32::try_from(rows).unwrap();
    let mut appender = store.connect().await.unwrap();
    let mut stream = Stream::new(1);
    let mut at = now.saturating_sub(MONTH);
    let mut left = rows;
    while left > 0 {
        let mut batch = stream.batch(left.min(5_000));
        for record in &mut batch {
            at = at.saturating_add(step);
            move_to(record, at);
        }
        appender.append(Batch::new(&batch).unwrap()).await.unwrap();
        left -= batch.len();
    }
    // A log that was written over a month has its rollups.
    while store.fold(1_000).await.unwrap().behind() > 0 {}
}

fn move_to(record: &mut Record, at: Timestamp) {
    let mut random = [0; 10];
    random.copy_from_slice(&record.id.as_bytes()[6..]);
    record.id = RecordId::new(at, random);
    record.occurred_at = at;
    record.recorded_at = at;
    record.seal([[7; 16]; 4]);
}

/// Notes when the first row of the list is there and was drawn.
const WATCH: &str = "window.drawn = new Promise(over => {
    const look = () => document.querySelector('.record:not(.old)') ? requestAnimationFrame(() => setTimeout(() => over(performance.now()), 0)) : requestAnimationFrame(look);
    look();
});";

async fn paint(page: &Page, at: &str, rounds: usize) {
    page.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
    let (mut first, mut useful) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(2) {
        page.devtools("Network.clearBrowserCache", json!({})).await;
        page.driver.goto(at).await;
        useful.push(promised(page, "window.drawn").await);
        let painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0";
        first.push(page.get(painted).await.as_f64().unwrap());
    }
    line("first contentful paint", &first);
    line("first useful paint (a row of the list)", &useful);
}

async fn search(page: &Page, at: &str, query: &str, from: &str, rounds: usize) {
    let mut times = Vec::new();
    for round in 0..rounds {
        // From another question each time, so that nothing is there already.
        page.open(&format!("{at}?from={from}&q=-rule:round-{round}")).await;
        page.write(query).await;
        let asked =
            "document.querySelectorAll('.record').forEach(row => row.classList.add('old'));
             const begun = performance.now();
             document.getElementById('search').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
             const isThere = () => document.querySelector('.record:not(.old), .list-page.nothing');
             window.took = new Promise(over => {
                 const look = () => isThere() ? requestAnimationFrame(() => setTimeout(() => over(performance.now() - begun), 0)) : requestAnimationFrame(look);
                 look();
             });";
        page.run(asked).await;
        times.push(promised(page, "window.took").await);
        page.settled().await;
    }
    line(&format!("search-to-result: {query} ({from})"), &times);
}

async fn promised(page: &Page, promise: &str) -> f64 {
    let script = format!("{promise}.then(arguments[0])");
    page.promised(&script, &[]).await.as_f64().unwrap()
}

async fn live(page: &Page, at: &str, pipeline: &Pipeline, how_long: Duration) {
    page.open(&format!("{at}?live=1")).await;
    page.until("document.querySelector('[data-live=connected]')").await;
    page.run(
        "window.frames_ = []; let last = performance.now();
         const frame = now => { frames_.push(now - last); last = now; requestAnimationFrame(frame); };
         requestAnimationFrame(frame);",
    )
    .await;
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / LIVE_RATE));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut stream = Stream::new(2);
    let records = (how_long.as_secs_f64() * LIVE_RATE) as usize;
    for mut record in stream.batch(records) {
        tick.tick().await;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        move_to(&mut record, Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap()));
        pipeline.recorder().record(*record);
    }
    let frames: Vec<f64> = serde_json::from_value(page.get("frames_").await).unwrap();
    let most = frames.iter().copied().fold(0.0, f64::max);
    let long = frames.iter().filter(|frame| **frame > 100.0).count();
    println!(
        "live at {LIVE_RATE}/s for {} s: {} frames, median {:.0}, 99 % {:.0}, longest {most:.0}, over 100: {long}",
        how_long.as_secs(),
        frames.len(),
        quantile(&frames, 0.5),
        quantile(&frames, 0.99),
    );
}

fn line(what: &str, times: &[f64]) {
    let most = times.iter().copied().fold(0.0, f64::max);
    println!("{what}: median {:.0}, longest {most:.0}", quantile(times, 0.5));
}
