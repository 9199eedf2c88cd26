//! How often a fault is tried, and the line that tells of it.
//!
//! Other test binaries take this file with `#[path = "../faults/table.rs"] mod table;`, so that a fault which is
//! tested beside what it is about learns to scale and to report like those here.

#![allow(dead_code, unreachable_pub, reason = "each test binary takes what it needs")]

use std::{env, fs::OpenOptions, io::Write as _};

/// Returns how often a fault is tried: `full` when `FAULTS=full` is in the environment, as `scripts/torture`
/// sets it, so many percent of that when it is a number, else `small`.
pub fn times(small: usize, full: usize) -> usize {
    let wanted = env::var("FAULTS").unwrap_or_default();
    match wanted.parse::<usize>() {
        _ if wanted == "full" => full,
        Ok(percent) => (full * percent / 100).max(small),
        Err(_) => small,
    }
}

/// What came of a fault: a line of the table in `docs/faults.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    /// Its number, and a few words.
    pub fault: &'static str,
    /// How often it was tried.
    pub runs: u64,
    /// Requests or records that were sent.
    pub sent: u64,
    /// Those that the store holds, however often.
    pub stored: u64,
    /// Those that were answered for, and are neither stored nor told of by a gap.
    pub lost: u64,
    /// Those that the store holds once more than once.
    pub duplicated: u64,
    /// Records that gap records say are missing.
    pub gaps: u64,
}

impl Row {
    /// Appends the line, tab-separated, to the file that `FAULTS_TABLE` names, and prints it.
    ///
    /// # Panics
    ///
    /// Panics if the file cannot be written.
    pub fn report(self) {
        self.report_as(self.fault);
    }

    /// As [`report`](Self::report), of a test that runs on each store.
    pub fn report_of(self, store: &str) {
        self.report_as(&format!("{}, {store}", self.fault));
    }

    fn report_as(self, fault: &str) {
        let Self { fault: _, runs, sent, stored, lost, duplicated, gaps } = self;
        let line = format!("{fault}\t{runs}\t{sent}\t{stored}\t{lost}\t{duplicated}\t{gaps}\n");
        eprint!("{line}");
        let Some(path) = env::var_os("FAULTS_TABLE") else { return };
        let table = OpenOptions::new().create(true).append(true).open(path);
        // In one write: others append to the same file.
        let written = table.and_then(|mut table| table.write_all(line.as_bytes()));
        written.expect("the table of FAULTS_TABLE");
    }
}
