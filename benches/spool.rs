//! Records into the spool: what it costs to make bytes of one and to append them, how many a second reach the disk
//! against a raw loop on the same disk, and how long 64 wait who want theirs on the disk at once.
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
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Case, argument, interleave, is_test, paired, quantile, sample::Stream};
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

/// 64 tasks that each append one record, wait for the disk, and go on with the next one; and what the disk alone takes for
/// as much, in turns with them.
fn waiters(folder: &Path, rounds: usize) {
    let spool = Spool::open(folder, Duration::ZERO, CAP).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let length = Duration::from_millis(if is_test() { 20 } else { 250 });
    let (mut rates, mut halves, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    let (mut raw_halves, mut raw_tails) = (Vec::new(), Vec::new());
    let file = File::create_new(folder.join("raw")).unwrap();
    let (bytes, mut at) = ([b'x'; RECORD + FRAME], 0);
    for round in 0..=rounds {
        let start = Instant::now();
        let mut syncs = Vec::new();
        while start.elapsed() < length {
            let start = Instant::now();
            for _ in 0..GROUP {
                file.write_all_at(&bytes, at).unwrap();
                at += bytes.len() as u64;
            }
            file.sync_data().unwrap();
            syncs.push(start.elapsed().as_secs_f64() * 1e6);
        }
        syncs.sort_by(f64::total_cmp);
        if round > 0 {
            raw_halves.push(quantile(&syncs, 0.5));
            raw_tails.push(quantile(&syncs, 0.99));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let start = Instant::now();
        let mut waits: Vec<f64> = runtime.block_on(async {
            let tasks: Vec<_> = (0..GROUP)
                .map(|_| {
                    let (spool, stop) = (spool.clone(), Arc::clone(&stop));
                    tokio::spawn(async move {
                        let record = [b'x'; RECORD];
                        let mut waits = Vec::new();
                        while !stop.load(Ordering::Relaxed) {
                            let start = Instant::now();
                            let written = spool.append(&record).unwrap();
                            assert!(spool.synced(written).await);
                            waits.push(start.elapsed().as_secs_f64() * 1e6);
                        }
                        waits
                    })
                })
                .collect();
            tokio::time::sleep(length).await;
            stop.store(true, Ordering::Relaxed);
            let mut waits = Vec::new();
            for task in tasks {
                waits.extend(task.await.unwrap());
            }
            waits
        });
        let took = start.elapsed();
        waits.sort_by(f64::total_cmp);
        // The first round warms up.
        if round > 0 {
            rates.push(waits.len() as f64 / took.as_secs_f64());
            halves.push(quantile(&waits, 0.5));
            tails.push(quantile(&waits, 0.99));
        }
    }
    let show = |name: &str, samples: &[f64], more: &str| {
        let [low, half, high] = [0.25, 0.5, 0.75].map(|q| quantile(samples, q));
        println!("{name:46} {half:>9.0}  ({low:.0}–{high:.0}){more}");
    };
    show("64 waiters, fsync_interval 0: records/s", &rates, "");
    show("64 waiters: p50, µs", &halves, "");
    show("64 waiters: p99, µs", &tails, "; target: ≤ 500");
    show("raw: 64 writes and fdatasync, p50, µs", &raw_halves, "");
    show("raw: p99, µs", &raw_tails, "");
    for (name, ours, raw) in [("p50", &halves, &raw_halves), ("p99", &tails, &raw_tails)] {
        let ratios: Vec<f64> = ours.iter().zip(raw).map(|(ours, raw)| ours / raw).collect();
        let [low, half, high] = [0.25, 0.5, 0.75].map(|q| quantile(&ratios, q));
        println!("  {name}, ours / raw: {half:.2} ({low:.2}–{high:.2})");
    }
}
