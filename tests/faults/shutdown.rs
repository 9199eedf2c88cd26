//! An end in good order under load: the report adds up, and says what the store holds.

use serde_json::Value;

use crate::{
    chance::Chance,
    client::{Ask, Load, Notes},
    oracle::{assert_adds_up, compare, in_file},
    process::{Place, for_a_while, signal},
    table::{Row, times},
};

/// Ends a server under load; with a store that is too slow, it ends by its deadline.
async fn end(place: &Place, name: &str, is_slow: bool, chance: &mut Chance) -> (Notes, Value) {
    let mut server = place.start().await;
    if is_slow {
        // Of what comes; and nothing any more once nothing comes.
        server.take(20).await;
    }
    let load = Load::start(&server, name, 4, Ask::Mixed);
    load.answered(50 + chance.below(200)).await;
    for_a_while(chance.below(5_000)).await;
    assert!(signal(server.pid, "TERM").await);
    let report = server.report().await;
    assert_adds_up(&report);
    assert_eq!(report["hanging"], 0, "the server ends: {report}");
    (load.ended().await, report)
}

/// Time to end in for a store that keeps up, in milliseconds: only a defect meets it.
const PATIENT: usize = 60_000;

/// Fault 29: SIGTERM under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_of_an_end_under_load_adds_up_and_is_true() {
    let (rounds, deadline) = (times(6, 100), times(400, 5_000));
    let mut chance = Chance::new("29");
    let (mut row, mut left) = (Row { fault: "29 SIGTERM under load", ..Row::default() }, 0);
    for round in 0..rounds {
        let (is_durable, is_slow) = (round % 2 == 0, round % 6 >= 4);
        let place = if is_durable { Place::durable() } else { Place::new() };
        // With a store that is too slow the deadline is what ends it.
        let place = place.with("FAULTS_DEADLINE", if is_slow { deadline } else { PATIENT });
        let (mut notes, report) = end(&place, "t", is_slow, &mut chance).await;
        let of = |name: &str| report[name].as_u64().unwrap();
        let found = compare(&notes, &in_file(&place.file()));
        found.assert_sound();
        assert!(of("received") >= notes.seen.len() as u64, "{report}");
        assert!(of("received") <= notes.sent.len() as u64, "{report}");
        let stored = of("stored")..=of("stored") + of("spooled") + of("queued");
        assert!(stored.contains(&found.stored), "{} and {report}", found.stored);
        if !is_slow {
            assert_eq!((of("spooled"), of("queued"), of("dropped")), (0, 0, 0), "{report}");
        }
        let mut lost = (found.lost.len() as u64).saturating_sub(of("dropped") + of("queued"));
        if is_durable {
            assert_eq!((of("dropped"), of("queued")), (0, 0), "{report}");
            left += of("spooled");
            assert!(!is_slow || of("spooled") > 0, "what the store did not take is left: {report}");
            // The next process stores what is left, and nothing else.
            let place = place.with("FAULTS_DEADLINE", PATIENT);
            let (more, second) = end(&place, "u", false, &mut chance).await;
            notes.add(more);
            let found = compare(&notes, &in_file(&place.file()));
            found.assert_whole();
            assert_eq!(found.stored, of("received") + second["received"].as_u64().unwrap());
            (row.stored, lost) = (row.stored + found.stored, 0);
        } else {
            row.stored += found.stored;
        }
        row.runs += 1;
        row.sent += notes.sent.len() as u64;
        row.lost += lost;
        row.duplicated += found.duplicated.len() as u64;
        row.gaps += of("dropped");
        assert_eq!(lost, 0, "{report}");
    }
    row.report();
    eprintln!("29: {left} were left in a spool, and stored by the next process");
}
