//! Processes that are killed: what was answered for is in the store, once.

use std::collections::HashSet;

use tower_activity::record::WriterId;

use crate::{
    chance::Chance,
    client::{Ask, Load, Notes},
    oracle::{Stored, compare, in_file},
    process::{Place, for_a_while, reached, until},
    table::times,
};

const CLIENTS: usize = 4;

/// Starts a server after the others and waits until it has stored what they left: as long as it stores anything, a
/// busy machine takes its time.
pub(crate) async fn settle(place: &Place, notes: &Notes) {
    let server = place.start().await;
    let mut missing = Vec::new();
    let all = reached(notes.seen.len(), async || {
        let stored: HashSet<_> =
            in_file(&place.file()).into_iter().map(|row| row.request_id).collect();
        missing = notes.seen.keys().filter(|id| !stored.contains(*id)).collect();
        notes.seen.len() - missing.len()
    });
    let all = all.await;
    missing.truncate(20);
    assert!(all.is_ok(), "stored of {}: {all:?}; missing are {missing:?}", notes.seen.len());
    let report = server.stop().await;
    crate::oracle::assert_adds_up(&report);
    assert_eq!((&report["spooled"], &report["dropped"]), (&0.into(), &0.into()), "{report}");
}

/// Kills one server after another on the same spool.
///
/// Every other one dies while its store takes nothing, so that all it answered for is in its spool alone; the others at
/// any moment, some before anything is stored, some while they store what others left.
async fn killed(ask: Ask, rounds: usize, most: usize) -> (Place, Notes) {
    let mut chance = Chance::new("1");
    let (place, mut notes) = (Place::durable(), Notes::default());
    for round in 0..rounds {
        let server = place.start().await;
        let is_away = round % 2 == 0;
        if is_away {
            server.take(0).await;
        }
        let load = Load::start(&server, &format!("k{round}"), CLIENTS, ask);
        load.answered(1 + chance.below(most)).await;
        for_a_while(chance.below(20_000)).await;
        server.kill().await;
        let of_this = load.ended().await;
        if is_away {
            let stored = compare(&of_this, &in_file(&place.file()));
            assert_eq!(stored.lost.len(), of_this.seen.len(), "the spool alone has them");
        }
        notes.add(of_this);
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

/// Counts the streams of killed processes that no gap record tells of.
fn untold(rows: &[Stored], alive: &str) -> usize {
    let facts = rows.iter().filter(|row| row.action == "gap").map(|row| {
        serde_json::from_str::<serde_json::Value>(&row.metadata).unwrap()["writer_id"].clone()
    });
    let told: HashSet<_> = facts.filter_map(|id| id.as_str().map(str::to_owned)).collect();
    let killed = rows.iter().filter(|row| row.is_request() && !row.request_id.starts_with(alive));
    let killed: HashSet<_> = killed.map(|row| WriterId::new(row.writer_id).to_string()).collect();
    killed.difference(&told).count()
}

/// Fault 4: `kill -9` without a spool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_spool_a_kill_costs_at_most_the_queue_and_the_next_start_tells_of_it() {
    const QUEUE: u64 = 128;
    const BATCH: u64 = 32;
    let rounds = times(3, 100);
    let mut chance = Chance::new("4");
    let place = Place::new().with("FAULTS_QUEUE", QUEUE).with("FAULTS_BATCH_ROWS", BATCH);
    let (mut all, mut most, mut lost) = (Notes::default(), 0, 0);
    for round in 0..=rounds {
        let server = place.start().await;
        let name = format!("b{round}-");
        let load = Load::start(&server, name.trim_end_matches('-'), CLIENTS, Ask::Mixed);
        load.answered(20 + chance.below(500)).await;
        // Before it dies itself: whoever tells of an end has an hour for it.
        let told = async || untold(&in_file(&place.file()), &name) == 0;
        until("told of the end before", told).await;
        // A store that does not keep up on a busy machine: what was shed by then is no loss of the kill, and what was shed
        // between that answer and the kill nobody knows.
        let at = load.count() as u64;
        let shed = server.tally().await["dropped"].as_u64().unwrap();
        if round == rounds {
            all.add(load.stop().await);
            crate::oracle::assert_adds_up(&server.stop().await);
            break;
        }
        server.kill().await;
        let notes = load.ended().await;
        let since = notes.seen.len() as u64 - at;
        let of_this = compare(&notes, &in_file(&place.file())).lost.len() as u64;
        // What waits, what is on its way, and what each client had just been answered for.
        let of_this = of_this.saturating_sub(shed + since);
        assert!(of_this <= QUEUE + BATCH + CLIENTS as u64, "{of_this}");
        (most, lost) = (most.max(of_this), lost + of_this);
        all.add(notes);
    }
    let found = compare(&all, &in_file(&place.file()));
    found.row("4 kill -9, best_effort", rounds, &all).report();
    eprintln!("4: at most {most} lost by a kill, {} unclean ends told of", found.unclean);
    found.assert_sound();
    assert!(found.lost.len() as u64 >= lost);
    assert_eq!(found.unclean, rounds as u64);
}
