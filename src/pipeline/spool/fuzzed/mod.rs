//! What must hold for any bytes in a segment, with a file system and a store in memory: for the tests of this
//! room, and for a fuzzer.

pub(in crate::pipeline) mod memory;
mod store;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use memory::{Memory, root};
pub(in crate::pipeline) use store::{Store, drain, drain_old, try_drain, try_drain_old};

use super::{
    Filesystem, Settings, Share, Spool,
    format::{self, FRAMES_AT, Kind, Secret, SegmentHeader},
    scan::{Scanner, Step},
};
use crate::{
    record::WriterId,
    time::{ManualClock, Timestamp},
};

/// Any bytes as a header, as one frame and as all of them; and frames that were written, with bytes of the input
/// written over them.
///
/// # Panics
///
/// Panics where what was left alone is not found. (A fuzzer, which sees what sums are compared with, makes frames within
/// records: here it knows the secret of the stream, as nobody else does.)
pub(in crate::pipeline) fn frames(data: &[u8]) {
    if let Ok(header) = SegmentHeader::decode(data) {
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }
    let seed = Secret::new([1; 32]).seed();
    if let format::Parse::Frame(frame) = format::parse(seed, data) {
        let mut written = Vec::new();
        let format::Parsed { head, ends, recorded_at, record } = frame;
        format::encode(seed, head.kind, head.number, ends, recorded_at, record, &mut written);
        assert_eq!(&data[..head.size], written);
    }
    scan(seed, data);
    overwritten(seed, data);
}

/// Goes through any bytes as the frames of a segment; returns the places of the frames, and of the damage whose
/// header seemed good. It ends, and what it finds lies side by side.
fn scan(seed: format::Seed, bytes: &[u8]) -> (Vec<(u64, usize)>, bool) {
    let fs = Memory::new();
    let path = root().join("fuzz");
    fs.put(&path, bytes.to_vec());
    let file = Filesystem::open(&fs, &path).expect("it was put there");
    let limit = bytes.len() as u64;
    let mut scanner = Scanner::new(file, seed, limit);
    scanner.jump(0);
    let (mut at, mut found, mut was_misled) = (0, Vec::new(), false);
    for _ in 0..=bytes.len() {
        match scanner.step().expect("memory does not fail") {
            Step::Frame(frame) => {
                assert_eq!(frame.at, at);
                let whole = &bytes[at as usize..at as usize + frame.size];
                assert_eq!(scanner.frame(&frame), whole);
                assert!(whole.ends_with(scanner.record(&frame)));
                found.push((at, frame.size));
                at += frame.size as u64;
            }
            Step::Damage { bytes, head } => {
                assert!(bytes.start == at && bytes.end > at && bytes.end <= limit);
                was_misled |= head.is_some();
                at = bytes.end;
            }
            Step::End => return (found, was_misled),
        }
        assert_eq!(scanner.at(), at);
    }
    panic!("it does not end");
}

/// Frames of the input's bytes, with others written over them.
fn overwritten(seed: format::Seed, data: &[u8]) {
    let (edits, records) = data.split_at(data.len().min(24));
    let mut bytes = Vec::new();
    let mut written = Vec::new();
    let kinds = [Kind::Record, Kind::Open, Kind::Carried, Kind::Cancel];
    for (n, record) in records.chunks(40).enumerate() {
        let start = bytes.len();
        let ends = u64::from(record[0] >> 4);
        let at = Timestamp::from_micros(n as i64);
        format::encode(seed, kinds[n % 4], n as u64 + 1, ends, at, record, &mut bytes);
        written.push((start as u64, bytes.len() - start));
    }
    let before = bytes.clone();
    for edit in edits.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = edit[2];
        }
        if edit[3] == 1 {
            bytes.truncate(at);
        }
    }
    let (found, was_misled) = scan(seed, &bytes);
    let is_whole = |&(at, size): &(u64, usize)| {
        let range = at as usize..at as usize + size;
        bytes.get(range.clone()) == Some(&before[range])
    };
    // A header of sixteen bits of check can be forged by somebody who tries a thousand times a second; then the
    // reader tells of what it passes over.
    if !was_misled {
        for frame in written.iter().filter(|frame| is_whole(frame)) {
            assert!(found.contains(frame), "{frame:?} was left alone and is not found");
        }
    }
}

/// A spool of two segments whose process was killed, with bytes of the input written over them: nothing is invented,
/// nothing is there twice, what is missing is told of, and a second recovery finds the same.
///
/// # Panics
///
/// Panics where that does not hold.
pub(in crate::pipeline) fn segments(data: &[u8]) {
    let (edits, records) = data.split_at(data.len().min(48));
    let fs = Memory::new();
    let mut sent = Vec::new();
    {
        let spool = open(&fs);
        let at = Timestamp::from_micros(5);
        for (n, bytes) in records.chunks(16).take(20).chain([&[0_u8][..]]).enumerate() {
            let text = format!("r{n}:{}", "x".repeat(usize::from(bytes[0]) * 32));
            let ends = match bytes[0] % 4 {
                0 => Some(spool.begin(Share::General, at, b"begun").expect("there is room").open),
                1 => {
                    spool.begin(Share::General, at, b"begun").expect("there is room");
                    None
                }
                _ => None,
            };
            spool.append(Share::General, ends, at, text.as_bytes()).expect("there is room");
            sent.push(text);
        }
    }
    let paths = fs.paths(".seg");
    let fs = fs.after_kill();
    let mut is_cut = false;
    let mut hurt = BTreeSet::new();
    for edit in edits.chunks_exact(6) {
        let path = &paths[usize::from(edit[0]) % paths.len()];
        let is_last = Some(path) == paths.last();
        fs.edit(path, |bytes| {
            let at = usize::from(u16::from_le_bytes([edit[1], edit[2]])) % bytes.len();
            match edit[3] {
                0 => {
                    let at = at.max(FRAMES_AT as usize);
                    is_cut |= is_last && at < bytes.len();
                    bytes.truncate(at);
                }
                length => {
                    let end = bytes.len().min(at + usize::from(length));
                    bytes[at..end].fill(edit[4]);
                }
            }
        });
        hurt.insert(path);
    }
    let mut store = Store::default();
    recover(&fs, &mut store);
    let mut found = store.records();
    found.retain(|record| record != "ended:begun");
    let count = found.len();
    found.dedup();
    assert_eq!(found.len(), count, "there twice");
    assert!(found.iter().all(|record| sent.contains(record)), "invented");
    // Of a last segment that was cut, nothing tells how long it was.
    if !is_cut && !store.is_uncounted() {
        assert!(found.len() as u64 + store.missing() >= sent.len() as u64, "lost in silence");
    }
    if hurt.is_empty() {
        assert_eq!((found.len(), store.missing()), (sent.len(), 0));
        assert!(!store.is_uncounted(), "a false alarm");
    }
    let mut again = Store::default();
    recover(&fs.after_kill(), &mut again);
    assert_eq!(again.streams, store.streams, "a second recovery into another store");
    recover(&fs.after_kill(), &mut again);
    assert_eq!(again.streams, store.streams, "a second recovery into the same store");
}

fn open(fs: &Memory) -> Spool {
    static NEXT: AtomicI64 = AtomicI64::new(1 << 32);
    let id = WriterId::new(NEXT.fetch_add(1, Ordering::Relaxed));
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    let settings = Settings { cap: 1 << 20, floor: 0, ..Settings::default() };
    Spool::open_still(Arc::new(fs.clone()), root(), settings, clock, id).expect("memory opens")
}

fn recover(fs: &Memory, store: &mut Store) {
    for old in open(fs).old_streams() {
        drain_old(&old, store);
    }
}
