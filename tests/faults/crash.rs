//! Processes that are killed: what was answered for is in the store, once.

use std::{collections::HashSet, time::Duration};

use tower_activity::time::{Clock as _, SystemClock};

use crate::{
    client::{Ask, Load, Notes},
    oracle::{compare, in_file},
    process::{Place, until},
    table::times,
};

const CLIENTS: usize = 4;

/// A number below `below` that nobody foresees.
pub(crate) fn random(below: usize) -> usize {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(SystemClock::default().now().as_micros()) as usize % below.max(1)
}

/// Starts a server after the others and waits until it has stored what they left.
async fn settle(place: &Place, notes: &Notes) {
    let server = place.start().await;
    until("stored what was answered for", async || {
        let stored: HashSet<_> =
            in_file(&place.file()).into_iter().map(|row| row.request_id).collect();
        notes.seen.keys().all(|id| stored.contains(id))
    })
    .await;
    let report = server.stop().await;
    crate::oracle::assert_adds_up(&report);
    assert_eq!((&report["spooled"], &report["dropped"]), (&0.into(), &0.into()), "{report}");
}

/// Kills one server after another on the same spool.
async fn killed(ask: Ask, rounds: usize, most: usize) -> (Place, Notes) {
    let (place, mut notes) = (Place::durable(), Notes::default());
    for round in 0..rounds {
        let server = place.start().await;
        let load = Load::start(&server, &format!("k{round}"), CLIENTS, ask);
        // Some die before anything is stored, some while they store what others left.
        load.answered(random(most)).await;
        tokio::time::sleep(Duration::from_micros(random(20_000) as u64)).await;
        server.kill().await;
        notes.add(load.ended().await);
    }
    settle(&place, &notes).await;
    (place, notes)
}

/// Fault 1: `kill -9` at random moments under load, durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_saw_an_answer_finds_his_record_once_however_often_servers_were_killed() {
    let rounds = times(5, 500);
    let (place, notes) = killed(Ask::Mixed, rounds, 200).await;
    let found = compare(&notes, &in_file(&place.file()));
    found.row("1 kill -9, durable", rounds, &notes).report();
    found.assert_whole();
    assert!(notes.seen.len() > rounds);
}

/// Fault 1, for records that another service hands in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_service_handed_in_is_stored_once_however_often_servers_were_killed() {
    let rounds = times(2, 100);
    let (place, notes) = killed(Ask::Ingest, rounds, 30).await;
    let rows = in_file(&place.file());
    let found = compare(&notes, &rows);
    found.row("1 kill -9, ingest through the spool", rounds, &notes).report();
    found.assert_whole();
    assert_eq!(notes.answered(201), notes.seen.len());
}
