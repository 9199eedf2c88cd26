//! More than the store takes: what is shed is counted to the last record, memory stays bounded, and what security
//! depends on has a lane of its own.

use std::time::Instant;

use http::{Method, StatusCode};

use crate::{
    client::{Ask, Load, Notes},
    oracle::{Found, Stored, assert_adds_up, compare, in_file},
    process::{Place, Server, reached, until},
    table::times,
};

const MIB: u64 = 1 << 20;

/// Has the server work at ease until its memory has the size that it has then.
async fn warm(server: &Server, name: &str, clients: usize, ask: Ask) -> Notes {
    let most = times(200, 1_000);
    let load = Load::of(server, &format!("warm-{name}"), clients, ask, most);
    let notes = load.ended().await;
    until("settled", async || server.tally().await["queued"] == 0).await;
    notes
}

/// Lets clients ask until so many more records were shed, however long that takes.
async fn shed(server: &Server, load: &Load, more: usize) {
    let dropped = async || server.tally().await["dropped"].as_u64().unwrap() as usize;
    let goal = dropped().await + more;
    let shed = reached(goal, async || {
        assert!(!load.is_over(), "the server is gone");
        dropped().await
    });
    assert_eq!(shed.await, Ok(()), "of {goal}");
}

/// More records than a slow store takes, with a budget for what waits.
async fn overload(fault: &'static str, ask: Ask, budget: u64) {
    const CLIENTS: usize = 16;
    let place = Place::new()
        .with("FAULTS_QUEUE_BYTES", budget)
        .with("FAULTS_QUEUE", 200_000)
        .with("FAULTS_BATCH_ROWS", 20);
    let server = place.start().await;
    // Not more than two at a time, so that nothing has to wait.
    let mut notes = warm(&server, "a", 2, ask).await;
    let before = server.memory("VmHWM");
    // A tenth of what comes, at whatever speed that is.
    server.take(10).await;
    let load = Load::start(&server, "f", CLIENTS, ask);
    shed(&server, &load, times(300, 100_000)).await;
    let grown = server.memory("VmHWM").saturating_sub(before);
    notes.add(load.stop().await);
    server.take(1).await;
    let report = server.stop().await;

    let found = compare(&notes, &in_file(&place.file()));
    found.row(fault, 1, &notes).report();
    eprintln!("{fault}: grew by {} KiB of a budget of {} KiB", grown / 1024, budget / 1024);
    assert_adds_up(&report);
    found.assert_sound();
    assert_eq!(notes.answered(200), notes.sent.len(), "no request failed or waited for ever");
    let sent = notes.sent.len() as u64;
    assert_eq!((report["received"].as_u64(), found.stored + found.gaps), (Some(sent), sent));
    assert_eq!(report["dropped"].as_u64(), Some(found.gaps));
    // Beside a small budget the stacks and buffers of the connections count.
    let others = times(4, 0) as u64 * MIB;
    assert!(grown <= budget + budget / 10 + others, "grew by {grown} of {budget}");
}

/// Fault 12: ten times what the store takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overload_stays_within_the_budget_and_is_counted_to_the_last_record() {
    overload("12 overload", Ask::Orders, times(4, 32) as u64 * MIB).await;
}

/// Fault 13: the same with records of 30 KiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overload_of_large_records_stays_within_the_budget_and_is_counted() {
    overload("13 overload, 30 KiB records", Ask::Letters, times(4, 32) as u64 * MIB).await;
}

/// A flood of the general lane, with logins among it. `stored` says how many of these the store holds.
async fn two_lanes(
    place: &Place,
    durable: bool,
    stored: impl AsyncFn() -> usize,
) -> (Notes, Notes) {
    let server = place.start().await;
    // With a spool only a store that is away has it fill.
    server.take(if durable { 0 } else { 10 }).await;
    let flooding = Load::start(&server, "flood", 8, Ask::Letters);
    let mut logins = Notes::default();
    for round in 0..times(2, if durable { 20 } else { 200 }) {
        // There is no room for others.
        shed(&server, &flooding, times(50, 500)).await;
        // As many as their part of the queue holds, so that it does not matter how fast the store is.
        let some = Load::of(&server, &format!("login{round}"), 2, Ask::Logins, LOGINS);
        logins.add(some.ended().await);
        if !durable {
            let all = async || stored().await == logins.sent.len();
            until("stored the logins, with the flood behind them", all).await;
        }
    }
    let flooding = flooding.stop().await;
    server.take(1).await;
    let report = server.stop().await;
    assert_adds_up(&report);
    assert_eq!((&report["spooled"], &report["queued"]), (&0.into(), &0.into()), "{report}");
    (flooding, logins)
}

fn is_login(row: &Stored) -> bool {
    row.category == "authentication"
}

fn assert_lanes(fault: &'static str, (mut notes, logins): (Notes, Notes), rows: &[Stored]) {
    let stored = rows.iter().filter(|row| is_login(row)).count();
    let sent = logins.sent.len();
    notes.add(logins);
    let found: Found = compare(&notes, rows);
    found.row(fault, 1, &notes).report();
    eprintln!("{fault}: {stored} of {sent} logins stored, {} others shed", found.gaps);
    found.assert_sound();
    assert_eq!(stored, sent, "logins are stored");
    assert_eq!(found.stored + found.gaps, notes.sent.len() as u64);
    assert!(found.gaps > 0 && !found.gaps_of.contains_key("authentication"), "{found:?}");
}

/// An eighth of this is the logins' own.
const QUEUE: usize = 256;
const LOGINS: usize = 20;

fn in_memory(place: Place) -> Place {
    place.with("FAULTS_QUEUE", QUEUE).with("FAULTS_BATCH_ROWS", 32)
}

const CAP: u64 = 8 * MIB;

/// Fault 14, SQLite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_login_is_lost_in_a_flood_of_other_records_in_sqlite() {
    let logins = |place: &Place| in_file(&place.file()).iter().filter(|row| is_login(row)).count();
    let place = in_memory(Place::new());
    let notes = two_lanes(&place, false, async || logins(&place)).await;
    assert_lanes("14 security lane, SQLite", notes, &in_file(&place.file()));
    let place = Place::durable().with("FAULTS_CAP", CAP);
    let notes = two_lanes(&place, true, async || logins(&place)).await;
    assert_lanes("14 security lane, SQLite, spool", notes, &in_file(&place.file()));
}

/// Fault 14, Postgres.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_login_is_lost_in_a_flood_of_other_records_in_postgres() {
    use crate::{oracle::in_postgres, role::STORE, server::Database};
    let logins =
        async |url: String| in_postgres(&url).await.iter().filter(|row| is_login(row)).count();
    let database = Database::new().await;
    let place = in_memory(Place::new()).with(STORE, database.url());
    let notes = two_lanes(&place, false, async || logins(database.url()).await).await;
    assert_lanes("14 security lane, Postgres", notes, &in_postgres(&database.url()).await);
    let database = Database::new().await;
    let place = Place::durable().with("FAULTS_CAP", CAP).with(STORE, database.url());
    let notes = two_lanes(&place, true, async || logins(database.url()).await).await;
    let rows = in_postgres(&database.url()).await;
    assert_lanes("14 security lane, Postgres, spool", notes, &rows);
}

/// Fault 66: a scanner asks for what is not there, and for what nobody may have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_leaves_few_records_and_exact_counts_and_the_security_lane_free() {
    let place = Place::new();
    let server = place.start().await;
    let begun = Instant::now();
    let scan = Load::of(&server, "scan", 16, Ask::Scan, times(2_000, 100_000));
    let logins = Load::of(&server, "login", 1, Ask::Logins, LOGINS).ended().await;
    let notes = scan.ended().await;
    let minutes = begun.elapsed().as_secs() / 60 + 1;
    let (status, _) = server.send(Method::GET, "/activity/health", "").await;
    assert_eq!(status, StatusCode::OK);
    let report = server.stop().await;

    let rows = in_file(&place.file());
    let singly = rows.iter().filter(|row| row.request_id.starts_with("scan-")).count() as u64;
    let folded = rows.iter().filter(|row| row.action == "folded").map(|row| {
        let facts: serde_json::Value = serde_json::from_str(&row.metadata).unwrap();
        facts["count"].as_u64().unwrap()
    });
    let folded: Vec<u64> = folded.collect();
    let told = singly + folded.iter().sum::<u64>();
    crate::table::Row {
        fault: "66 scanner",
        runs: 1,
        sent: notes.sent.len() as u64,
        stored: told,
        ..Default::default()
    }
    .report();
    eprintln!("66: {} requests left {} records", notes.sent.len(), singly as usize + folded.len());
    assert_adds_up(&report);
    assert_eq!(notes.answered(404) + notes.answered(401), notes.sent.len());
    assert_eq!(told, notes.sent.len() as u64, "the counts are exact");
    // Two kinds: what is not there, and the one route that is refused.
    assert!(singly <= 2 * 10 * (minutes + 1), "{singly} in {minutes} min");
    assert!(folded.len() as u64 <= 2 * (minutes + 1), "{folded:?}");
    let stored = rows.iter().filter(|row| is_login(row)).count();
    assert_eq!((stored, report["dropped"].as_u64()), (logins.sent.len(), Some(0)));
}
