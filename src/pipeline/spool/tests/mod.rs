//! The spool against its faults. Small counts here; `scripts/torture` takes the full ones.

mod basics;
mod damage;
mod edges;
mod failures;
mod memory;
mod model;
mod power;
#[path = "../../../../tests/faults/table.rs"]
mod table;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use memory::{Memory, root};
use table::{Row, times};

use super::{Batch, Filesystem, Number, OldStream, ReadOutcome, Reader, Settings, Share, Spool};
use crate::{
    record::WriterId,
    time::{ManualClock, Timestamp},
};

fn settings() -> Settings {
    Settings { cap: 1 << 20, floor: 0, ..Settings::default() }
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

/// A store that takes by position, as the real ones do.
#[derive(Debug, Default, Clone)]
struct Store {
    streams: BTreeMap<WriterId, Vec<String>>,
}

impl Store {
    fn position(&self, stream: WriterId) -> Number {
        self.streams.get(&stream).map_or(0, |records| records.len() as Number)
    }

    fn append(&mut self, stream: WriterId, seq: Number, record: String) {
        let records = self.streams.entry(stream).or_default();
        assert_eq!(records.len() as Number + 1, seq, "the stream has a hole or a double");
        records.push(record);
    }

    /// Every record, sorted; gaps as `gap:COUNT`.
    fn all(&self) -> Vec<String> {
        let mut all: Vec<String> = self.streams.values().flatten().cloned().collect();
        all.sort_unstable();
        all
    }

    /// How many records are told to be missing.
    fn missing(&self) -> u64 {
        let gaps =
            self.all().into_iter().filter_map(|r| r.strip_prefix("gap:")?.parse::<u64>().ok());
        gaps.sum()
    }

    fn records(&self) -> Vec<String> {
        let mut all = self.all();
        all.retain(|record| !record.starts_with("gap:"));
        all
    }
}

/// Reads a stream to its end into the store, as the writer does after it has connected.
fn drain(reader: &mut Reader, store: &mut Store) -> ReadOutcome {
    try_drain(reader, store, 3).unwrap()
}

fn try_drain(
    reader: &mut Reader,
    store: &mut Store,
    rows: usize,
) -> Result<ReadOutcome, super::SpoolError> {
    reader.restart();
    reader.seek(store.position(reader.stream()));
    let mut batch = Batch::default();
    loop {
        match reader.next_batch(rows, 1 << 20, &mut batch)? {
            ReadOutcome::Read => {
                for frame in batch.frames() {
                    let text = String::from_utf8(frame.record.to_vec()).unwrap();
                    store.append(batch.stream(), frame.seq, text);
                }
                reader.acknowledge(store.position(batch.stream()));
            }
            ReadOutcome::Broken(gap) => {
                if store.position(gap.stream) == 0 {
                    store.append(gap.stream, 1, format!("gap:{}", gap.count()));
                }
                reader.seek(store.position(gap.stream));
            }
            end => return Ok(end),
        }
    }
}

/// Ends an old stream and reads it.
fn drain_old(old: &OldStream, store: &mut Store) {
    try_drain_old(old, store).unwrap();
}

fn try_drain_old(old: &OldStream, store: &mut Store) -> Result<(), super::SpoolError> {
    let mut ending = old.ending(store.position(old.writer_id()))?;
    let now = Timestamp::from_micros(9);
    if ending.lost() > 0 {
        let text = format!("gap:{}", ending.lost());
        ending.tell_lost(now, text.as_bytes())?;
    }
    while let Some(open) = ending.next_unfinished()? {
        let text = format!("ended:{}", String::from_utf8_lossy(&open.record));
        ending.end(open.open, now, text.as_bytes())?;
    }
    ending.finish()?;
    let end = try_drain(&mut old.reader(), store, 3)?;
    assert_eq!(end, ReadOutcome::End);
    Ok(())
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
