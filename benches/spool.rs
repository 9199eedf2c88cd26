//! Records into the spool: what it costs to make bytes of one and to append them, how many a second reach the disk
//! against a raw loop on the same disk, and how long 64 wait who want theirs on the disk at once, against a raw group commit.
//!
//! `cargo bench --features internals --bench spool [-- --rounds 21] [--only encode|append|sync|waiters]`
//!
//! The folder of `TMPDIR` is written to: it has to lie on the disk that is meant, not in memory.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::{
    fs::File,
    hint::black_box,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, Thread},
    time::{Duration, Instant},
};

use common::{Case, argument, interleave, is_test, paired, quantile, sample::Stream};
use tokio::sync::oneshot;
use tower_activity::{
    pipeline::internals::Spool,
    record::{Record, internals},
};

/// What a record of a request takes, encoded.
const RECORD: usize = 350;
/// What stands around it in a segment.
const FRAME: usize = 36;
const GROUP: usize = 64;
const CAP: u64 = 4 << 30;

fn main() {
    let only = std::env::args().skip_while(|arg| arg != "--only").nth(1).unwrap_or_default();
    let rounds = argument("--rounds", if is_test() { 1 } else { 21 });
    let folder = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir()
        .unwrap();
    println!("spool: records of {RECORD} bytes, {rounds} rounds, in {}", folder.path().display());
    for (name, measure) in [
        ("encode", encode as fn(&Path, usize)),
        ("append", append),
        ("sync", sync),
        ("waiters", waiters),
    ] {
        if only.is_empty() || only == name {
            let path = folder.path().join(name);
            std::fs::DirBuilder::new().create(&path).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
                .unwrap();
            measure(&path, rounds);
            std::fs::remove_dir_all(path).unwrap();
        }
    }
}

/// What stands before each append, and behind each read: ours against JSON, the other form that a record has.
fn encode(_: &Path, rounds: usize) {
    let count = if is_test() { 100 } else { 20_000 };
    let record = &*Stream::new(1).batch(1).remove(0);
    let mut bytes = Vec::new();
    internals::write(record, &mut bytes);
    let json = serde_json::to_vec(record).unwrap();
    println!("  an ordinary record: {} bytes, {} as JSON", bytes.len(), json.len());
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..count).for_each(|_| run());
        (count, start.elapsed())
    };
    let (mut buffer, mut other, mut again) = (Vec::new(), Vec::new(), Record::default());
    let mut cases = [
        Case::new("write", || {
            time(&mut || {
                buffer.clear();
                internals::write(black_box(record), &mut buffer);
            })
        }),
        Case::new("write, JSON", || {
            time(&mut || {
                other.clear();
                serde_json::to_writer(&mut other, black_box(record)).unwrap();
            })
        }),
        Case::new("read", || time(&mut || internals::read(black_box(&bytes), &mut again).unwrap())),
    ];
    interleave(&mut cases, rounds);
    for case in &cases {
        println!("{}", case.line());
    }
    let (ratio, low, high) = paired(&cases[0], &cases[1], |ours, json| ours / json);
    println!("  write / JSON: {ratio:.2} ({low:.2}–{high:.2})");
}

/// What a request pays: one append, nobody waits for the disk, and the thread syncs every 50 ms.
fn append(folder: &Path, rounds: usize) {
    let count = if is_test() { 100 } else { 20_000 };
    let spool = Spool::open(folder, Duration::from_millis(50), CAP).unwrap();
    let record = [b'x'; RECORD];
    let ours = Case::new("append, synced every 50 ms", || {
        let start = Instant::now();
        for _ in 0..count {
            black_box(spool.append(&record).unwrap());
        }
        (count, start.elapsed())
    });
    let file = File::create_new(folder.join("raw")).unwrap();
    let bytes = [b'x'; RECORD + FRAME];
    let mut at = 0;
    let raw = Case::new("raw: one write to a file, never synced", || {
        let start = Instant::now();
        for _ in 0..count {
            file.write_all_at(&bytes, at).unwrap();
            at += bytes.len() as u64;
        }
        let took = start.elapsed();
        (count, took)
    });
    let mut cases = [ours, raw];
    interleave(&mut cases, rounds);
    for case in &cases {
        println!("{}", case.line());
    }
    let (over, low, high) = paired(&cases[0], &cases[1], |ours, raw| ours - raw);
    println!(
        "  over the raw write: {over:+.0} ns ({low:+.0} to {high:+.0}); target: ≤ 2 500 in all"
    );
}

/// One writer, 64 records and then the disk: ours against the same bytes with `fdatasync`.
fn sync(folder: &Path, rounds: usize) {
    let groups = if is_test() { 2 } else { 100 };
    let spool = Spool::open(folder, Duration::ZERO, CAP).unwrap();
    let record = [b'x'; RECORD];
    let units = (groups * GROUP) as u64;
    let ours = Case::new("ours: 64 appends, wait for the disk", || {
        let start = Instant::now();
        for _ in 0..groups {
            let mut last = None;
            for _ in 0..GROUP {
                last = Some(spool.append(&record).unwrap());
            }
            assert!(spool.wait(last.unwrap()));
        }
        (units, start.elapsed())
    });
    let bytes = [b'x'; RECORD + FRAME];
    let raw = |name: &str, ahead: u64| {
        let file = File::create_new(folder.join(name)).unwrap();
        let mut at = 0;
        Case::new(
            format!("raw: 64 writes, fdatasync{}", if ahead > 0 { ", room ahead" } else { "" }),
            move || {
                if ahead > 0 {
                    // Written and not only reserved: nothing but data is left for a sync.
                    let zeros = vec![0; groups * GROUP * bytes.len()];
                    file.write_all_at(&zeros, at).unwrap();
                    file.sync_all().unwrap();
                }
                let start = Instant::now();
                for _ in 0..groups {
                    for _ in 0..GROUP {
                        file.write_all_at(&bytes, at).unwrap();
                        at += bytes.len() as u64;
                    }
                    file.sync_data().unwrap();
                }
                (units, start.elapsed())
            },
        )
    };
    let mut cases = [ours, raw("plain", 0), raw("ahead", 1)];
    interleave(&mut cases, rounds);
    for case in &cases {
        println!("{}", case.line());
    }
    for (rival, target) in [(1, "; target: ≥ 0.85"), (2, "")] {
        let (ratio, low, high) = paired(&cases[0], &cases[rival], |ours, raw| raw / ours);
        println!("  ours / {}: {ratio:.2} ({low:.2}–{high:.2}){target}", cases[rival].name);
    }
    drop(cases);
    let start = Instant::now();
    let (records, bytes) = spool.read().unwrap();
    let took = start.elapsed();
    println!(
        "  read back: {records} records, {:.0} records/s, {:.0} MB/s",
        records as f64 / took.as_secs_f64(),
        bytes as f64 / 1e6 / took.as_secs_f64()
    );
}

/// 64 tasks that each append one record, wait for the disk, and go on with the next one: through the spool, and through the
/// least that a group commit is; and what the disk alone takes for as much, in turns with them.
fn waiters(folder: &Path, rounds: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let length = Duration::from_millis(if is_test() { 20 } else { 250 });
    let ours = Log::Ours(Spool::open(folder, Duration::ZERO, CAP).unwrap());
    let (rival, thread) = Rival::begin(File::create_new(folder.join("rival")).unwrap());
    let crowds = [&ours, &Log::Rival(Arc::clone(&rival))];
    let mut samples: [Crowd; 3] = Default::default();
    let file = File::create_new(folder.join("raw")).unwrap();
    let mut at = 0;
    for round in 0..=rounds {
        for turn in 0..3 {
            let which = (round + turn) % 3;
            let (rate, waits) = match crowds.get(which) {
                Some(log) => runtime.block_on(crowd(log, length)),
                None => groups(&file, &mut at, length),
            };
            // The first round warms up.
            if round > 0 {
                samples[which].rates.push(rate);
                samples[which].halves.push(quantile(&waits, 0.5));
                samples[which].tails.push(quantile(&waits, 0.99));
            }
        }
    }
    rival.stop.store(true, Ordering::Release);
    thread.thread().unpark();
    thread.join().unwrap();
    let [ours, rival, alone] = samples;
    let show = |name: &str, samples: &[f64], more: &str| {
        let [low, half, high] = [0.25, 0.5, 0.75].map(|q| quantile(samples, q));
        println!("{name:46} {half:>9.0}  ({low:.0}–{high:.0}){more}");
    };
    show("64 waiters, fsync_interval 0: records/s", &ours.rates, "");
    show("64 waiters: p50, µs", &ours.halves, "");
    show("64 waiters: p99, µs", &ours.tails, "; target: ≤ 500");
    show("raw group commit, 64 tasks: records/s", &rival.rates, "");
    show("raw group commit: p50, µs", &rival.halves, "");
    show("raw group commit: p99, µs", &rival.tails, "");
    show("the disk alone: 64 writes, fdatasync, p50, µs", &alone.halves, "");
    show("the disk alone: p99, µs", &alone.tails, "");
    for (name, other) in [("raw group commit", &rival), ("the disk alone", &alone)] {
        for (what, ours, other) in [
            ("p50", &ours.halves, &other.halves),
            ("p99", &ours.tails, &other.tails),
            ("records/s", &ours.rates, &other.rates),
        ] {
            let ratios: Vec<f64> = ours.iter().zip(other).map(|(ours, raw)| ours / raw).collect();
            let [low, half, high] = [0.25, 0.5, 0.75].map(|q| quantile(&ratios, q));
            println!("  {what}, ours / {name}: {half:.2} ({low:.2}–{high:.2})");
        }
    }
}

/// Of each round: records a second, and what half of the waits and all but one in a hundred did not exceed, in µs.
#[derive(Default)]
struct Crowd {
    rates: Vec<f64>,
    halves: Vec<f64>,
    tails: Vec<f64>,
}

#[derive(Clone)]
enum Log {
    Ours(Spool),
    Rival(Arc<Rival>),
}

impl Log {
    /// Appends a record, and returns when the disk has it.
    async fn put(&self) {
        match self {
            Self::Ours(spool) => {
                let written = spool.append(&[b'x'; RECORD]).unwrap();
                assert!(spool.synced(written).await);
            }
            Self::Rival(rival) => rival.put().await,
        }
    }
}

/// A group commit with nothing to it: a file, a lock, and a thread that syncs what was written during the last sync.
struct Rival {
    file: File,
    state: Mutex<(u64, Vec<oneshot::Sender<()>>)>,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Rival {
    fn begin(file: File) -> (Arc<Self>, JoinHandle<()>) {
        let (state, stop, thread) = (Mutex::default(), AtomicBool::new(false), OnceLock::new());
        let rival = Arc::new(Self { file, state, stop, thread });
        let works = Arc::clone(&rival);
        let handle = std::thread::spawn(move || works.sync());
        rival.thread.set(handle.thread().clone()).unwrap();
        (rival, handle)
    }

    async fn put(&self) {
        let (done, synced) = oneshot::channel();
        let is_first = {
            let mut state = self.state.lock().unwrap();
            let (at, waiting) = &mut *state;
            self.file.write_all_at(&[b'x'; RECORD + FRAME], *at).unwrap();
            *at += (RECORD + FRAME) as u64;
            waiting.push(done);
            waiting.len() == 1
        };
        if is_first {
            self.thread.get().unwrap().unpark();
        }
        synced.await.unwrap();
    }

    fn sync(&self) {
        while !self.stop.load(Ordering::Acquire) {
            let group = std::mem::take(&mut self.state.lock().unwrap().1);
            if group.is_empty() {
                std::thread::park();
                continue;
            }
            self.file.sync_data().unwrap();
            for done in group {
                done.send(()).unwrap();
            }
        }
    }
}

/// Lets 64 tasks write for so long; returns records a second, and what each waited, sorted.
async fn crowd(log: &Log, length: Duration) -> (f64, Vec<f64>) {
    let (start, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let task = |_| {
        let (log, stop) = (log.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut waits = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                log.put().await;
                waits.push(start.elapsed().as_secs_f64() * 1e6);
            }
            waits
        })
    };
    let tasks: Vec<_> = (0..GROUP).map(task).collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    let rate = waits.len() as f64 / start.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    (rate, waits)
}

/// One thread that writes 64 records and syncs, again and again for so long; what each group took counts as a wait.
fn groups(file: &File, at: &mut u64, length: Duration) -> (f64, Vec<f64>) {
    let (begun, mut waits) = (Instant::now(), Vec::new());
    while begun.elapsed() < length {
        let start = Instant::now();
        for _ in 0..GROUP {
            file.write_all_at(&[b'x'; RECORD + FRAME], *at).unwrap();
            *at += (RECORD + FRAME) as u64;
        }
        file.sync_data().unwrap();
        waits.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let rate = (waits.len() * GROUP) as f64 / begun.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    (rate, waits)
}
