//! Faults 16 and 2 below the library: the nth call of the system fails, or is the last one of the process.
//!
//! A small process ([`child`]) records through a spool that an earlier one left, under `strace`, which lets one call
//! fail or kills the process there. It writes down what it was told; then a next process, undisturbed, empties the
//! spool ([`run`]) into a [`journal`]. What was taken must be in the store, once, or be told of by a gap; what was
//! refused must be counted.

mod child;
mod journal;
mod run;

use run::{Outcome, counts, left, run, strace_works};

use crate::table::{Row, times};

/// What came of all runs of a fault.
fn add(row: &mut Row, outcome: Outcome) {
    row.runs += u64::from(outcome.hit);
    row.sent += outcome.sent;
    row.stored += outcome.stored;
    row.gaps += outcome.gaps;
}

/// Tries each kind of call at some of its places, or at all.
fn each(fault: &'static str, what: &[&str], small: usize, is_killed: bool) {
    strace_works();
    let left = left();
    let mut row = Row { fault, ..Row::default() };
    let kinds = counts(&left);
    assert!(kinds.len() >= 5, "calls that a spool makes were not seen: {kinds:?}");
    let mut turn = 0;
    for (calls, first, last) in kinds {
        let places = last - first + 1;
        // Some further: no two runs make the same number of calls.
        let tries = times(small.min(places), places + 4);
        let mut hits = 0;
        for n in 0..tries {
            let at = first + n * places.max(tries) / tries;
            // In turns, where not all are tried.
            turn += 1;
            let wanted = times(1, what.len());
            for what in what.iter().cycle().skip(turn % what.len()).take(wanted) {
                let arguments = ["-e".to_owned(), format!("trace={calls}"), "-e".to_owned()];
                let inject = format!("inject={calls}:{what}:when={at}");
                let arguments = [&arguments[..], &[inject]].concat();
                let outcome = run(&left, &arguments, is_killed);
                hits += usize::from(outcome.hit);
                add(&mut row, outcome);
            }
        }
        assert!(hits > 0, "{calls}: no call was disturbed");
    }
    row.report();
}

#[test]
fn each_system_call_that_fails_is_survived_without_a_silent_loss() {
    each("16 a system call fails", &["error=ENOSPC", "error=EIO"], 2, false);
}

#[test]
fn a_crash_at_each_system_call_loses_nothing() {
    each("2 crash at each system call", &["signal=KILL"], 2, true);
}

/// The disk never gets well again while the process lives.
#[test]
fn a_disk_that_fails_for_good_is_told_of() {
    strace_works();
    let left = left();
    let mut row = Row { fault: "16 a disk fails for good", ..Row::default() };
    let whole = ["pwrite64", "fdatasync", "pwrite64,fdatasync,ftruncate"];
    for calls in &whole[..times(2, 3)] {
        for error in ["ENOSPC", "EIO"].into_iter().take(times(1, 2)) {
            let (mut from, mut hits) = (3, 0);
            loop {
                let arguments = [
                    "-e".to_owned(),
                    format!("trace={calls}"),
                    "-e".to_owned(),
                    format!("inject={calls}:error={error}:when={from}+"),
                ];
                let outcome = run(&left, &arguments, false);
                if !outcome.hit {
                    // No thread makes as many.
                    break;
                }
                hits += 1;
                from += 3;
                add(&mut row, outcome);
                if hits == times(1, 100) {
                    break;
                }
            }
            assert!(hits >= times(1, 4), "{calls}, {error}: {hits} runs were disturbed");
        }
    }
    row.report();
}
