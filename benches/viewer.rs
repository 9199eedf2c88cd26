//! What a reader waits for, in a real browser over a full log in SQLite: the first useful paint, a search's result, and
//! the frames while he scrolls through it and while it is followed live at 200 records a second.
//!
//! `scripts/bench viewer [--rows 2000000] [--rounds 5]`; needs Chromium and its driver. `--folder DIR` takes a copy of the
//! `activity.db` that is there, such as `scripts/bench reading --store sqlite --folder DIR` leaves, instead of filling one.

#![allow(missing_docs, clippy::unwrap_used)]

#[allow(dead_code, reason = "the tests do more with it")]
#[path = "../tests/viewer/browser.rs"]
mod browser;
mod common;
#[allow(dead_code, reason = "the tests do more with it")]
#[path = "../tests/viewer/pool.rs"]
mod pool;
#[allow(dead_code, reason = "the tests do more with it")]
#[path = "../tests/viewer/webdriver.rs"]
mod webdriver;

use std::{net::SocketAddr, path::Path, time::Duration};

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
    time::{Clock as _, SystemClock, Timestamp},
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(rows, rounds));
}

async fn measure(rows: usize, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("activity.db");
    let kept = named("--folder").map(|kept| Path::new(&kept).join("activity.db"));
    if let Some(kept) = &kept {
        // What is looked at is recorded: in a copy, so that the next run finds what this one found.
        std::fs::copy(kept, &path).unwrap_or_else(|error| panic!("{}: {error}", kept.display()));
    }
    let store = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
    if kept.is_none() {
        fill(&store, rows).await;
    }
    // A log that was written over a month has its rollups.
    while store.fold(1_000).await.unwrap().behind() > 0 {}
    let storage = store.storage().await.unwrap();
    println!(
        "viewer: {} rows from {} to {} in SQLite, {rounds} rounds, times in ms",
        storage.rows,
        storage.oldest.unwrap_or_default(),
        storage.newest.unwrap_or_default()
    );
    // A log that was filled days ago has nothing of the last one.
    let newest = storage.newest.unwrap_or_default().as_micros();
    let day = if now().as_micros() - newest < 20 * 3_600_000_000 { "now-24h" } else { "all" };
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
        paint(page, &format!("{at}?from={day}"), rounds).await;
        for (query, from) in QUERIES {
            let from = if from == "now-24h" { day } else { from };
            search(page, &at, query, from, rounds).await;
        }
        scroll(page, &at).await;
        live(page, &at, &pipeline, if is_test() { Duration::from_secs(2) } else { LIVE_FOR }).await;
    })
    .await;
    pipeline.shutdown(Duration::from_secs(5)).await;
}

async fn fill(store: &SqliteStore, rows: usize) {
    let step = MONTH / u32::try_from(rows).unwrap();
    let mut appender = store.connect().await.unwrap();
    let mut stream = Stream::new(1);
    let mut at = now().saturating_sub(MONTH);
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
}

fn now() -> Timestamp {
    SystemClock::default().now()
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

/// Notes how long each frame takes from now on.
const FRAMES: &str = "window.frames_ = []; let last = performance.now();
     const frame = now => { frames_.push(now - last); last = now; requestAnimationFrame(frame); };
     requestAnimationFrame(frame);";

/// As fast as a wheel goes, towards the beginning of the log.
async fn scroll(page: &Page, at: &str) {
    page.open(&format!("{at}?q=&from=all")).await;
    page.run(FRAMES).await;
    let seconds = if is_test() { 1 } else { 20 };
    let walk = format!(
        "const over = arguments[0], box = document.querySelector('.results'), begun = performance.now();
         const step = () => {{ box.scrollTop += 700; performance.now() - begun < {seconds}000 ? requestAnimationFrame(step) : over(parseInt(document.querySelector('.canvas').style.height) / 38); }};
         step();"
    );
    let behind = page.promised(&walk, &[]).await.as_f64().unwrap_or_default();
    frames(page, &format!("scrolling for {seconds} s, {behind:.0} rows in the list")).await;
}

async fn live(page: &Page, at: &str, pipeline: &Pipeline, how_long: Duration) {
    page.open(&format!("{at}?live=1")).await;
    page.until("document.querySelector('[data-live=connected]')").await;
    page.run(FRAMES).await;
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / LIVE_RATE));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut stream = Stream::new(2);
    let records = (how_long.as_secs_f64() * LIVE_RATE) as usize;
    for mut record in stream.batch(records) {
        tick.tick().await;
        move_to(&mut record, now());
        pipeline.recorder().record(*record);
    }
    frames(page, &format!("live at {LIVE_RATE}/s for {} s", how_long.as_secs())).await;
}

async fn frames(page: &Page, what: &str) {
    let frames: Vec<f64> = serde_json::from_value(page.get("frames_").await).unwrap();
    let most = frames.iter().copied().fold(0.0, f64::max);
    let long = frames.iter().filter(|frame| **frame > 100.0).count();
    println!(
        "{what}: {} frames, median {:.0}, 99 % {:.0}, longest {most:.0}, over 100: {long}",
        frames.len(),
        quantile(&frames, 0.5),
        quantile(&frames, 0.99),
    );
}

/// Reads `--folder DIR` and the like from the command line.
fn named(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

fn line(what: &str, times: &[f64]) {
    let most = times.iter().copied().fold(0.0, f64::max);
    println!("{what}: median {:.0}, longest {most:.0}", quantile(times, 0.5));
}
