//! The spool against its faults. Small counts here; `scripts/torture` takes the full ones.

mod basics;
mod damage;
mod edges;
mod failures;
mod model;
mod poisoned;
mod power;
mod resting;
mod waiting;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{
    Batch, Filesystem, Number, ReadOutcome, Reader, Settings, Share, Spool,
    fuzzed::{
        Store, drain, drain_old,
        memory::{self, Memory, root},
        try_drain, try_drain_old,
    },
};
use crate::{
    ledger::table::{Row, times},
    record::WriterId,
    time::{ManualClock, Timestamp},
};

fn settings() -> Settings {
    // Whatever stalls these tests, an append is stuck only where one of them says so.
    let stuck_after = Duration::from_secs(600);
    Settings { cap: 1 << 20, floor: 0, stuck_after, ..Settings::default() }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)))
}

/// Opens a spool whose syncs are called for.
fn open(fs: &Memory) -> Spool {
    open_with(fs, settings(), clock())
}

fn open_with(fs: &Memory, settings: Settings, clock: Arc<ManualClock>) -> Spool {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let id = WriterId::new(NEXT.fetch_add(1, Ordering::Relaxed));
    Spool::open_still(Arc::new(fs.clone()), root(), settings, clock, id).unwrap()
}

fn append(spool: &Spool, text: &str) -> Number {
    let at = Timestamp::from_micros(7);
    spool.append(Share::General, None, at, text.as_bytes()).unwrap().number
}

fn sync(spool: &Spool) {
    spool.core.sync_once().unwrap();
}

/// Opens the spool as a next process does, and stores everything that is in it.
fn recover(fs: &Memory, store: &mut Store) {
    let spool = open(fs);
    for old in spool.old_streams() {
        drain_old(&old, store);
    }
}

fn texts(range: std::ops::RangeInclusive<usize>) -> Vec<String> {
    let mut texts: Vec<String> = range.map(|n| format!("r{n}")).collect();
    texts.sort_unstable();
    texts
}
