//! Interleaved measurement: every case runs once per round, so that a noisy neighbour hits all of them,
//! and what is reported is the median over the rounds with its spread.

#![allow(dead_code, unreachable_pub)]

use std::time::Duration;

pub mod sample;
pub mod sink;

/// One thing to measure: runs its share of a round and says how many units it did, in which time.
pub struct Case<'a> {
    pub name: String,
    pub run: Box<dyn FnMut() -> (u64, Duration) + 'a>,
    samples: Vec<f64>,
}

impl<'a> Case<'a> {
    pub fn new(name: impl Into<String>, run: impl FnMut() -> (u64, Duration) + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run), samples: Vec::new() }
    }

    /// The median of nanoseconds per unit.
    pub fn median(&self) -> f64 {
        quantile(&self.samples, 0.5)
    }

    /// The quartiles of nanoseconds per unit.
    pub fn quartiles(&self) -> (f64, f64) {
        (quantile(&self.samples, 0.25), quantile(&self.samples, 0.75))
    }

    /// Name, rows a second, nanoseconds a row with quartiles.
    pub fn line(&self) -> String {
        let (low, high) = self.quartiles();
        let median = self.median();
        format!(
            "{:46} {:>9.0} rows/s {:>8.0} ns/row  ({low:.0}–{high:.0})",
            self.name,
            1e9 / median,
            median
        )
    }

    pub fn samples(&self) -> &[f64] {
        &self.samples
    }
}

/// Runs every case once per round, in an order that moves by one each round.
pub fn interleave(cases: &mut [Case<'_>], rounds: usize) {
    for case in cases.iter_mut() {
        (case.run)();
    }
    let n = cases.len();
    for round in 0..rounds {
        for offset in 0..n {
            let case = &mut cases[(round + offset) % n];
            let (units, took) = (case.run)();
            case.samples.push(took.as_nanos() as f64 / units.max(1) as f64);
        }
    }
}

pub fn quantile(samples: &[f64], q: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(((sorted.len().max(1) - 1) as f64 * q).round() as usize).copied().unwrap_or(f64::NAN)
}

/// The median over rounds of `f(a, b)`, for ratios and differences that are taken within a round.
pub fn paired(a: &Case<'_>, b: &Case<'_>, f: impl Fn(f64, f64) -> f64) -> (f64, f64, f64) {
    let values: Vec<f64> = a.samples.iter().zip(&b.samples).map(|(a, b)| f(*a, *b)).collect();
    (quantile(&values, 0.5), quantile(&values, 0.25), quantile(&values, 0.75))
}

/// Reads `--rounds N` and the like from the command line.
pub fn argument(name: &str, default: usize) -> usize {
    let mut args = std::env::args();
    while let Some(arg) = args.next() {
        if arg == name {
            return args.next().and_then(|value| value.parse().ok()).unwrap_or(default);
        }
    }
    default
}

/// Tells whether `cargo test --benches` runs us: then one tiny round shows that it works.
pub fn is_test() -> bool {
    std::env::args().any(|arg| arg == "--test")
}

/// Returns the processor time of the threads that this process has now, as the kernel accounts it. A thread that
/// ends takes its share along, so that a difference may fall below nothing.
pub fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
