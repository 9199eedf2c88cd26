//! Reading on in the ledger from a place.

use std::{collections::HashMap, sync::Arc};

use super::place::Place;
use crate::{
    ledger::Entry,
    pipeline::Committed,
    record::{Record, WriterId},
    store::{AnyStore, Read as _, StoreError, StoreErrorKind},
};

/// How many entries to look at together. Many are of one record only.
const ENTRIES: usize = 256;
/// How many records to read together at most: of the usual size, a few hundred kilobytes.
pub(super) const CHUNK: usize = 256;

/// Returns the next records after `place`, out of so many numbers at most, each with the place behind it, and
/// the place behind all that was looked at; `None` when the ledger ends at `place`.
///
/// Records that the store no longer holds are passed over.
pub(super) async fn records(
    store: &AnyStore,
    place: Place,
    numbers: usize,
) -> Result<Option<(Vec<(Place, Record)>, Place)>, StoreError> {
    let numbers = numbers.clamp(1, CHUNK);
    let pieces =
        pieces(&store.entries(place.position, ENTRIES.min(numbers)).await?, place, numbers);
    let Some(last) = pieces.last() else { return Ok(None) };
    let reached = last.behind();
    let mut found = found(store, &pieces).await?;
    let mut records = Vec::with_capacity(found.len());
    for piece in &pieces {
        let new = &piece.part.new;
        for seq in new.first_seq..=new.last_seq {
            if let Some(record) = found.remove(&(new.writer_id, seq)) {
                records.push((piece.after(seq), record));
            }
        }
    }
    Ok(Some((records, reached)))
}

/// Returns the next whole entries after the one at `place`; none when the ledger ends there.
pub(super) async fn entries(store: &AnyStore, place: Place) -> Result<Vec<Committed>, StoreError> {
    let entries = store.entries(place.position, ENTRIES).await?;
    let mut pieces = pieces(&entries, Place::behind(place.position), CHUNK);
    // The last one to its end, however large it is.
    let count = pieces.len();
    if let (Some(piece), Some(entry)) = (pieces.last_mut(), entries.iter().take(count).next_back())
    {
        piece.part = entry.clone();
    }
    let mut found = found(store, &pieces).await?;
    let committed = pieces.iter().map(|piece| {
        let new = &piece.part.new;
        let records = (new.first_seq..=new.last_seq)
            .filter_map(|seq| found.remove(&(new.writer_id, seq)))
            .map(Arc::new);
        Committed::new(piece.part.position, new.first_seq, records.collect())
    });
    Ok(committed.collect())
}

/// A part of an entry: its numbers say which records.
#[derive(Debug, Clone)]
struct Piece {
    part: Entry,
    /// The first and the last number of the whole entry.
    whole: (i64, i64),
}

impl Piece {
    /// Returns the place behind the record with this number.
    const fn after(&self, seq: i64) -> Place {
        if seq >= self.whole.1 {
            Place::behind(self.part.position)
        } else {
            Place::within(self.part.position, self.whole.0, seq)
        }
    }

    const fn behind(&self) -> Place {
        self.after(self.part.new.last_seq)
    }
}

/// Cuts off as much of the entries after `place` as is read together: so many numbers.
fn pieces(entries: &[Entry], place: Place, numbers: usize) -> Vec<Piece> {
    let mut left = i64::try_from(numbers).unwrap_or(i64::MAX);
    let mut pieces = Vec::with_capacity(entries.len());
    for entry in entries {
        if left == 0 {
            break;
        }
        let whole = (entry.new.first_seq, entry.new.last_seq);
        let taken = if entry.position == place.position + 1 { place.taken } else { 0 };
        let mut part = entry.clone();
        part.new.first_seq += taken;
        part.new.last_seq = whole.1.min(part.new.first_seq + left - 1);
        left -= part.new.count().max(0);
        pieces.push(Piece { part, whole });
    }
    pieces
}

/// Reads the records of all pieces. Streams are numbered without a gap, so what lies in one leaf is read
/// together, however many small entries it came in.
async fn found(
    store: &AnyStore,
    pieces: &[Piece],
) -> Result<HashMap<(WriterId, i64), Record>, StoreError> {
    let mut runs: Vec<Entry> = Vec::new();
    for Piece { part, .. } in pieces {
        let goes_on = runs.iter_mut().rev().find(|run| {
            run.new.writer_id == part.new.writer_id
                && run.new.month == part.new.month
                && run.new.class == part.new.class
                && run.new.last_seq + 1 == part.new.first_seq
        });
        match goes_on {
            Some(run) => run.new.last_seq = part.new.last_seq,
            None => runs.push(part.clone()),
        }
    }
    let mut found = HashMap::new();
    while let Some(mut run) = runs.pop() {
        match store.entry_records(&run).await {
            Ok(records) => {
                found.extend(records.into_iter().map(|r| ((r.writer_id, r.seq), r)));
            }
            // A row that somebody edited into what is no record: the others are read, and this one is what
            // a verification is for.
            Err(error) if error.kind() == StoreErrorKind::Data => {
                let (first, last) = (run.new.first_seq, run.new.last_seq);
                if first >= last {
                    tracing::error!(
                        stream = %run.new.writer_id, seq = first,
                        error = &error as &dyn std::error::Error,
                        "a stored record cannot be read and is left out of the live stream"
                    );
                    continue;
                }
                let mut later = run.clone();
                run.new.last_seq = first + (last - first) / 2;
                later.new.first_seq = run.new.last_seq + 1;
                runs.extend([run, later]);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::RecordId,
        store::{Append as _, Appender as _, Batch, MemoryStore},
        time::Timestamp,
    };

    /// Appends to a stream; `months` names the leaf of each record.
    async fn append(store: &MemoryStore, writer: i64, first: i64, months: &[i64]) {
        let records: Vec<_> = months
            .iter()
            .zip(first..)
            .map(|(month, seq)| {
                let at = Timestamp::from_micros(month * 32 * 86_400_000_000 + writer * 1_000 + seq);
                let mut id = [0; 10];
                id[0] = u8::try_from(writer).unwrap();
                id[2..].copy_from_slice(&seq.to_be_bytes());
                Box::new(Record {
                    id: RecordId::new(at, id),
                    occurred_at: at,
                    seq,
                    writer_id: WriterId::new(writer),
                    ..Record::default()
                })
            })
            .collect();
        store.connect().await.unwrap().append(Batch::new(&records).unwrap()).await.unwrap();
    }

    async fn store() -> MemoryStore {
        let store = MemoryStore::new();
        append(&store, 1, 1, &[0; 300]).await;
        append(&store, 2, 1, &[0, 0, 3]).await;
        append(&store, 1, 301, &[0]).await;
        append(&store, 2, 4, &[3, 3]).await;
        append(&store, 1, 302, &[0]).await;
        store
    }

    fn in_order(store: &MemoryStore) -> Vec<(i64, i64)> {
        store.all().iter().map(|record| (record.writer_id.get(), record.seq)).collect()
    }

    #[tokio::test]
    async fn from_every_place_on_there_is_exactly_the_rest() {
        let store = store().await;
        let (all, any) = (in_order(&store), AnyStore::new(store));
        let mut places = vec![Place::behind(0)];
        for from in 0..=all.len() {
            let mut place = places[from];
            let mut read = Vec::new();
            let numbers = if from == 0 { CHUNK } else { [1, 7, CHUNK][from % 3] };
            while let Some((records, reached)) = records(&any, place, numbers).await.unwrap() {
                assert!(records.len() <= numbers && reached > place);
                assert!(records.last().is_none_or(|(last, _)| *last == reached));
                for (place, record) in records {
                    if from == 0 {
                        places.push(place);
                    }
                    read.push((record.writer_id.get(), record.seq));
                }
                place = reached;
            }
            assert_eq!(read, all[from..], "from {from}");
        }
    }

    #[tokio::test]
    async fn whole_entries_come_with_all_their_records() {
        let store = store().await;
        let (all, any) = (in_order(&store), AnyStore::new(store));
        let mut read = Vec::new();
        let mut position = 0;
        loop {
            let next = entries(&any, Place::behind(position)).await.unwrap();
            let Some(last) = next.last() else { break };
            assert_eq!(next[0].position, position + 1);
            position = last.position;
            let records = next.iter().flat_map(|entry| entry.records.iter());
            read.extend(records.map(|record| (record.writer_id.get(), record.seq)));
        }
        assert_eq!(read, all);
    }
}
