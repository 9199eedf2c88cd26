//! Crashes at named points: before the nth call of a kind that a thread makes to the system.

use crate::{
    client::{Ask, Load, Notes},
    crash::settle,
    oracle::{compare, in_file},
    process::{Place, within},
    table::times,
};

/// Where a server dies: before which call, counted by thread. Each is come to, or its test fails.
///
/// Writes and syncs are those of the spool and of SQLite, whichever comes first; the others follow from what they
/// are for.
const POINTS: &[(&str, &[u32])] = &[
    // A frame, or a page of the database.
    ("pwrite64", &[1, 2, 3, 4, 5, 7, 9, 12, 16, 24, 40, 80]),
    // The sync of a segment, or of the database.
    ("fdatasync", &[1, 2, 3, 4, 6, 9, 14]),
    // The sync of a folder, after a segment was made or removed in it.
    ("fsync", &[1, 2, 3]),
    // The folder of a stream.
    ("mkdir", &[1]),
    // The lock of the spool.
    ("flock", &[1]),
    // A tail that is cut.
    ("ftruncate", &[1, 2]),
    // A segment or a journal that goes.
    ("unlink", &[1, 2]),
    ("rmdir", &[1]),
    // What the next process finds.
    ("getdents64", &[1, 2, 3]),
    ("pread64", &[3, 12, 40]),
    // A segment that is read, or made: the first eight are those of the loader.
    ("openat", &[12, 16, 24]),
    // An answer on its way: it is recorded, and nobody has seen it.
    ("writev", &[1, 2, 4, 8, 20]),
    // A request on its way.
    ("recvfrom", &[1, 2, 5, 11]),
];

/// Returns the command that runs another one and does something at some of its calls: `pwrite64`, and say
/// `signal=KILL:when=3`, where each thread counts its own.
///
/// # Panics
///
/// Panics where there is no strace, or where it may not trace.
pub(crate) fn traced(call: &str, what: &str) -> Vec<String> {
    let tried = std::process::Command::new("strace")
        .args(["-f", "-qqq", "-o", "/dev/null", "-e", "trace=mkdir", "true"])
        .status();
    assert!(
        tried.as_ref().is_ok_and(std::process::ExitStatus::success),
        "strace does not work here ({tried:?}): install it, and allow it to trace"
    );
    let (calls, inject) = (format!("trace={call}"), format!("inject={call}:{what}"));
    // Not `--seccomp-bpf`, which is faster: signals are not delivered with it.
    ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", &calls, "-e", &inject]
        .map(str::to_owned)
        .to_vec()
}

/// Fault 2: a crash at each of some forty named points.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_named_point_loses_and_doubles_nothing() {
    let all = POINTS
        .iter()
        .flat_map(|(call, numbers)| numbers.iter().map(move |number| (*call, *number)));
    // A frame, a sync, what the next process finds of them, an answer, and a stream that goes; all in the long run.
    let few = [("pwrite64", 7), ("fdatasync", 4), ("getdents64", 2), ("writev", 4), ("rmdir", 1)];
    let (points, rounds) = match times(0, 10) {
        0 => (few.to_vec(), 1),
        rounds => (all.collect::<Vec<_>>(), rounds),
    };
    // What is stored goes at once, so that there is something to be removed.
    let (mut place, mut notes) = (Place::durable().with("FAULTS_KEEP", 1), Notes::default());
    let mut runs = 0;
    for round in 0..rounds {
        for (call, number) in &points {
            place = place.under(traced(call, &format!("signal=KILL:when={number}")));
            let name = format!("p{round}-{call}-{number}");
            match place.try_start().await {
                // It died while it started; of what it was told to die of.
                Err(said) => {
                    assert!(!said.contains("refused: ") && !said.contains("panic"), "{said}")
                }
                Ok(server) => {
                    let load = Load::start(&server, &name, 3, Ask::Mixed);
                    // A point that is never come to is no point: then nothing would be tried here.
                    assert!(within(&name, load.is_over_before(usize::MAX)).await);
                    notes.add(load.ended().await);
                    let mut running = server.running;
                    assert!(!running.ended().await.success());
                }
            }
            runs += 1;
        }
    }
    place = place.under(Vec::new());
    settle(&place, &notes).await;
    let found = compare(&notes, &in_file(&place.file()));
    found.row("2 crash at named points", runs, &notes).report();
    found.assert_whole();
}
