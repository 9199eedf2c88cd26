//! Queue, spool, receipts and drafts under a scheduler that tries one order of steps after the other (shuttle).
//!
//! The files are those of the library, compiled once more with `threads.rs` of this folder in the place of
//! `src/pipeline/threads.rs`: locks, atomics and parking are then steps of the scheduler. What lies below them
//! (`Notify` of tokio, the array queue, the file system in memory) is taken as one step each. A wake-up that gets
//! lost ends in a deadlock, which the scheduler sees.
//!
//! It takes every order of steps for one of memory: that orderings of atomics are strong enough is argued beside
//! them, not tried here.
//!
//! `SHUTTLE_SCHEDULE`, printed by a run that failed, tries that one again.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    private_interfaces,
    clippy::unused_self,
    clippy::unwrap_used,
    reason = "a test, and stand-ins that do less than what they stand for"
)]

/// Drafts, their announcements, and stand-ins for what lies around them.
mod capture {
    #[path = "../../../src/capture/announce.rs"]
    #[allow(dead_code, reason = "taken as it is")]
    pub(crate) mod announce;
    #[path = "../../../src/capture/draft.rs"]
    #[allow(dead_code, reason = "taken as it is")]
    pub(crate) mod draft;

    mod around;
    mod guarded;
    pub(crate) use around::{client, config, finish, outcome, tee, threads};
}

mod pipeline {
    mod doors;
    pub(crate) use doors::{
        Admission, AdmitWait, BeginWait, Hold, OpenTicket, Recorder, Renewed, StrictRefused,
    };
    /// What is measured is for nobody here.
    pub(crate) mod meters {
        pub(crate) fn fsync(_: std::time::Duration) {}
    }
    #[path = "../../../src/pipeline/queue/mod.rs"]
    #[allow(dead_code, unused_imports, clippy::wildcard_imports, reason = "taken as it is")]
    pub(crate) mod queue;
    #[path = "../../../src/pipeline/receipts.rs"]
    #[allow(dead_code, unused_imports, reason = "taken as it is")]
    pub(crate) mod receipts;
    #[path = "../../../src/pipeline/spool/mod.rs"]
    #[allow(dead_code, unused_imports, reason = "taken as it is")]
    pub(crate) mod spool;
    #[path = "../threads.rs"]
    pub(crate) mod threads;

    mod queued;
    mod shut;
    mod spooled;
    mod told;
}
mod privacy {
    use std::{fs::Metadata, io, path::Path};

    #[allow(unused_imports, reason = "the sources take some of it")]
    pub(crate) use tower_activity::privacy::*;

    /// Files of a disk are not what is tried here.
    pub(crate) fn own_alike(_: &Path, _: &Metadata) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
#[path = "../faults/table.rs"]
mod table;

// By these names the files of the library find the rooms above them.
use tower_activity::{record, rules, time};

/// Tries so many orders: most by chance, the others with few switches in awkward places.
fn tried(small: usize, full: usize, body: impl Fn() + Send + Sync + 'static) {
    let body = std::sync::Arc::new(body);
    if let Ok(schedule) = std::env::var("SHUTTLE_SCHEDULE") {
        let body = std::sync::Arc::clone(&body);
        return shuttle::replay(move || body(), &schedule);
    }
    let times = table::times(small, full);
    let mut config = shuttle::Config::new();
    // Our frames are larger than those that it expects.
    config.stack_size = 1 << 20;
    config.failure_persistence = shuttle::FailurePersistence::Print;
    for depth in [None, Some(2), Some(4)] {
        let body = std::sync::Arc::clone(&body);
        let config = config.clone();
        match depth {
            None => {
                let scheduler = shuttle::scheduler::RandomScheduler::new(times / 2);
                shuttle::Runner::new(scheduler, config).run(move || body());
            }
            Some(depth) => {
                let scheduler = shuttle::scheduler::PctScheduler::new(depth, times / 4);
                shuttle::Runner::new(scheduler, config).run(move || body());
            }
        }
    }
}
