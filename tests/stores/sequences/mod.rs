//! Whatever a log lives through, in whatever order: a verification finds what was done to it, and nothing else.
//!
//! A sequence is drawn of appends by several writers, gaps, stubs, ends without a word, erasures, holds, runs of the
//! retention, archiving, checkpoints, keys that change, backups that are put back, and verifications that go on from one
//! another. After any step somebody who owns the database may be at a copy of it (faults 38 to 45), and somebody who
//! keeps the archive at a copy of that. What is in both is known from what was done, and never asked of the verifier.

mod hands;
mod log;
mod shelf;

use std::{collections::BTreeMap, future::Future, sync::Mutex};

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::runtime::Runtime;

use self::log::Log;
#[cfg(feature = "postgres")]
use crate::server::Database;
use crate::{
    chance::Chance,
    memory::InMemory,
    sqlite::InFile,
    suite::Fixture,
    table::{Row, times},
};

/// A log that may lie where somebody can be at it.
trait Lived: Fixture {
    /// Returns another that is what this one is now, and whoever has this one open may be cut off; `None` where nobody but
    /// this process has it.
    fn copied(&self) -> impl Future<Output = Option<Self>>;

    /// Has somebody be at a copy of it.
    fn hands(log: &mut Log<Self>, random: &mut StdRng) -> impl Future<Output = Done>;
}

/// What was done, and whether it has to be found. `None`: there was nothing to do it to.
type Done = Option<(&'static str, bool)>;

impl Lived for InFile {
    async fn copied(&self) -> Option<Self> {
        Some(self.copy())
    }

    async fn hands(log: &mut Log<Self>, random: &mut StdRng) -> Done {
        hands::at(log, random).await
    }
}

#[cfg(feature = "postgres")]
impl Lived for Database {
    async fn copied(&self) -> Option<Self> {
        Some(self.copy().await)
    }

    async fn hands(log: &mut Log<Self>, random: &mut StdRng) -> Done {
        hands::at(log, random).await
    }
}

impl Lived for InMemory {
    async fn copied(&self) -> Option<Self> {
        None
    }

    async fn hands(_log: &mut Log<Self>, _random: &mut StdRng) -> Done {
        None
    }
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    /// A batch of one writer: of each kind of record so many.
    Append { writer: usize, runs: Vec<(usize, i64)> },
    /// A writer tells that records were lost.
    Gap { writer: usize, count: u64 },
    /// A writer puts a stub in the place of a record.
    Stub { writer: usize, kind: usize },
    /// One writer tells that another ended without a word.
    UncleanEnd { of: usize, by: usize },
    /// A person is erased, everywhere or for one tenant.
    Erase { person: usize, tenant: Option<usize> },
    /// What a person did is held.
    Hold { person: usize },
    /// The oldest hold is lifted.
    Lift,
    /// Months that are over are archived, and stay.
    Archive,
    /// What is over goes, perhaps into the archive.
    Retain { archived: bool },
    /// The head is signed, and perhaps taken elsewhere.
    Sign { anchored: bool },
    /// Another key signs from now on, and for a while both do.
    Rotate,
    /// What came since the last verification is verified.
    Verify,
    /// The log is copied.
    BackUp,
    /// The copy is put in its place, and the next batch says so.
    Restore { writer: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let writer = || 0..log::WRITERS;
    let kind = || 0..log::KINDS.len();
    let person = || 0..log::PEOPLE.len();
    let tenant = prop::option::of(0..log::TENANTS.len());
    prop_oneof![
        6 => (writer(), prop::collection::vec((kind(), 1..5_i64), 1..3))
            .prop_map(|(writer, runs)| Step::Append { writer, runs }),
        1 => (writer(), 1..100_u64).prop_map(|(writer, count)| Step::Gap { writer, count }),
        1 => (writer(), kind()).prop_map(|(writer, kind)| Step::Stub { writer, kind }),
        1 => (writer(), writer()).prop_map(|(of, by)| Step::UncleanEnd { of, by }),
        2 => (person(), tenant).prop_map(|(person, tenant)| Step::Erase { person, tenant }),
        1 => person().prop_map(|person| Step::Hold { person }),
        1 => Just(Step::Lift),
        2 => Just(Step::Archive),
        2 => any::<bool>().prop_map(|archived| Step::Retain { archived }),
        2 => any::<bool>().prop_map(|anchored| Step::Sign { anchored }),
        1 => Just(Step::Rotate),
        2 => Just(Step::Verify),
        1 => Just(Step::BackUp),
        1 => writer().prop_map(|writer| Step::Restore { writer }),
    ]
}

/// What came of all sequences.
#[derive(Debug, Default)]
struct Tried {
    steps: u64,
    /// Of each kind, how many changes a verification has to find, and how many it cannot.
    changes: BTreeMap<&'static str, (u64, u64)>,
}

/// After which steps somebody is at a copy, and what decides what he does.
type Sequence = Vec<(Step, Option<u64>)>;

/// What chance may leave out, and has to be found each time: somebody is erased who is in the archive, alone or also in the
/// log, and a hold is on him or was.
fn always() -> Vec<Sequence> {
    let append = |writer| Step::Append {
        writer,
        runs: (0..log::KINDS.len()).map(|kind| (kind, 4)).collect(),
    };
    let erase = |person| Step::Erase { person, tenant: None };
    let (kept, gone) = (Step::Archive, Step::Retain { archived: true });
    let hold = Step::Hold { person: 0 };
    let of_one = Step::Erase { person: 0, tenant: Some(1) };
    let sequences = [
        vec![append(0), kept.clone(), erase(0), Step::Verify],
        vec![append(1), gone.clone(), of_one.clone(), erase(2)],
        vec![append(0), kept.clone(), hold.clone(), erase(0), Step::Lift, Step::Verify],
        vec![append(2), gone.clone(), hold.clone(), of_one, Step::Lift, append(1), kept.clone()],
        vec![append(0), kept, hold.clone(), hold, erase(0), Step::Lift, gone, Step::Lift],
    ];
    let without_hands = |steps: Vec<Step>| steps.into_iter().map(|step| (step, None)).collect();
    sequences.map(without_hands).into()
}

async fn live<F: Lived>(sequence: Sequence, tried: &Mutex<Tried>) {
    let mut log = Log::<F>::new().await;
    let steps = sequence.len() as u64;
    for (step, seed) in sequence {
        log.take(&step).await;
        let Some(seed) = seed else { continue };
        let done = F::hands(&mut log, &mut StdRng::seed_from_u64(seed)).await;
        if let Some((kind, is_found)) = done {
            let mut tried = tried.lock().unwrap();
            let count = tried.changes.entry(kind).or_default();
            if is_found { count.0 += 1 } else { count.1 += 1 }
        }
    }
    log.is_as_known().await;
    tried.lock().unwrap().steps += steps;
}

/// Draws so many sequences and lives each; a failure is told with the shortest that was found.
fn sequences<F: Lived>(name: &'static str, small: usize, full: usize) {
    let cases = times(small, full);
    let mut chance = Chance::new(name);
    let seed: Vec<u8> = (0..32).map(|_| chance.below(256) as u8).collect();
    let config = Config {
        cases: cases as u32,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let runtime = Runtime::new().unwrap();
    let tried = Mutex::default();
    for sequence in always() {
        runtime.block_on(live::<F>(sequence, &tried));
    }
    // Two at a copy in five steps, of which the last is one: the longer a log, the more can be done to it.
    let hands = prop::option::weighted(0.4, any::<u64>());
    let sequence = prop::collection::vec((step(), hands), 3..16);
    let lived = runner.run(&sequence, |sequence| {
        runtime.block_on(live::<F>(sequence, &tried));
        Ok(())
    });
    if let Err(failed) = lived {
        panic!("{failed}");
    }
    let Tried { steps, changes } = tried.into_inner().unwrap();
    for (kind, (found, hidden)) in &changes {
        eprintln!("{name}: {kind}: {found} found, {hidden} that nothing can tell");
    }
    let found = changes.values().map(|(found, _)| found).sum::<u64>();
    eprintln!("{name}: {cases} sequences of {steps} steps");
    Row { fault: name, runs: cases as u64, sent: found, stored: found, ..Row::default() }.report();
}

/// Faults 38 to 45 amid everything else.
#[test]
fn what_was_done_to_a_file_is_found_and_nothing_else() {
    sequences::<InFile>("38-45 amid anything, SQLite", 3, 2_000);
}

/// As well, in Postgres; fewer of them, since each copies databases.
#[cfg(feature = "postgres")]
#[test]
fn what_was_done_to_a_database_is_found_and_nothing_else() {
    sequences::<Database>("38-45 amid anything, Postgres", 2, 200);
}

/// Nobody can be at it: nothing is ever found.
#[test]
fn nothing_is_found_in_a_log_that_nobody_was_at() {
    sequences::<InMemory>("anything, and nobody at it, memory", 6, 2_000);
}
