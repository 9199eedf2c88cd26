//! Numbers that nobody foresees, and that can be had again.

use std::env;

/// Where numbers come from: the same seed gives the same ones.
pub(crate) struct Chance(u64);

impl Chance {
    /// Begins with the seed of `FAULTS_SEED`; with one of its own where the full counts are asked for, so that each run
    /// tries others; else with the same each time. Says which, so that a run can be had again.
    pub(crate) fn new(test: &str) -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        let given = env::var("FAULTS_SEED").ok().map(|seed| seed.parse().expect("FAULTS_SEED"));
        let seed = given.unwrap_or_else(|| match env::var("FAULTS").as_deref() {
            Ok("full") => RandomState::new().hash_one(test) >> 16,
            _ => 1,
        });
        eprintln!("{test}: FAULTS_SEED={seed}");
        Self(seed)
    }

    /// Returns a number below `below`.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        // Splitmix: its numbers are as good as their use here is harmless.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % below.max(1)
    }
}
