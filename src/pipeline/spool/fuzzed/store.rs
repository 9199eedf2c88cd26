//! A store in memory, and what the writer does with it and a spool.

use std::collections::BTreeMap;

use crate::{
    pipeline::spool::{Batch, Number, OldStream, ReadOutcome, Reader, SpoolError},
    record::WriterId,
    time::Timestamp,
};

/// A store that takes by position, as the real ones do.
#[derive(Debug, Default, Clone)]
pub(in crate::pipeline) struct Store {
    pub(in crate::pipeline) streams: BTreeMap<WriterId, Vec<String>>,
}

impl Store {
    pub(in crate::pipeline) fn position(&self, stream: WriterId) -> Number {
        self.streams.get(&stream).map_or(0, |records| records.len() as Number)
    }

    pub(in crate::pipeline) fn append(&mut self, stream: WriterId, seq: Number, record: String) {
        let records = self.streams.entry(stream).or_default();
        assert_eq!(records.len() as Number + 1, seq, "the stream has a hole or a double");
        records.push(record);
    }

    /// Every record, sorted; gaps as `gap:COUNT`.
    pub(in crate::pipeline) fn all(&self) -> Vec<String> {
        let mut all: Vec<String> = self.streams.values().flatten().cloned().collect();
        all.sort_unstable();
        all
    }

    /// How many records are told to be missing.
    pub(in crate::pipeline) fn missing(&self) -> u64 {
        let gaps =
            self.all().into_iter().filter_map(|r| r.strip_prefix("gap:")?.parse::<u64>().ok());
        gaps.sum()
    }

    /// Tells whether records are told to be missing of which nobody knows how many they are.
    pub(in crate::pipeline) fn is_uncounted(&self) -> bool {
        self.streams.values().flatten().any(|record| record == "gap:?")
    }

    pub(in crate::pipeline) fn records(&self) -> Vec<String> {
        let mut all = self.all();
        all.retain(|record| !record.starts_with("gap:"));
        all
    }
}

/// Reads a stream to its end into the store, as the writer does after it has connected.
pub(in crate::pipeline) fn drain(reader: &mut Reader, store: &mut Store) -> ReadOutcome {
    try_drain(reader, store, 3).unwrap()
}

pub(in crate::pipeline) fn try_drain(
    reader: &mut Reader,
    store: &mut Store,
    rows: usize,
) -> Result<ReadOutcome, SpoolError> {
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
                    let count = gap.count().map_or("?".to_owned(), |count| count.to_string());
                    store.append(gap.stream, 1, format!("gap:{count}"));
                }
                reader.seek(store.position(gap.stream));
            }
            end => return Ok(end),
        }
    }
}

/// Ends an old stream and reads it.
pub(in crate::pipeline) fn drain_old(old: &OldStream, store: &mut Store) {
    try_drain_old(old, store).unwrap();
}

pub(in crate::pipeline) fn try_drain_old(
    old: &OldStream,
    store: &mut Store,
) -> Result<(), SpoolError> {
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
