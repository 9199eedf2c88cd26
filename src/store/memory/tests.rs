//! What the suite of all stores does not say of this one.

use super::*;
use crate::{
    query::{Filter, PageRequest},
    record::RecordId,
    store::{
        Append as _, Appended, Appender as _, Batch, Maintain as _, Read as _, StoreError,
        StoreErrorKind,
    },
    time::Timestamp,
};

fn records(seqs: std::ops::RangeInclusive<i64>) -> Vec<Box<Record>> {
    seqs.map(|seq| {
        let at = Timestamp::from_micros(1_000_000 * seq);
        Box::new(Record {
            id: RecordId::new(at, [7; 10]),
            occurred_at: at,
            seq,
            writer_id: WriterId::new(1),
            ..Record::default()
        })
    })
    .collect()
}

async fn append(store: &MemoryStore, records: &[Box<Record>]) -> Result<Appended, StoreError> {
    store.connect().await?.append(Batch::new(records).unwrap()).await
}

#[tokio::test]
async fn a_batch_out_of_step_is_refused_and_changes_nothing() {
    let store = MemoryStore::new();
    assert_eq!(append(&store, &records(1..=3)).await.unwrap().position(), 1);
    for wrong in [records(1..=3), records(3..=5), records(5..=6)] {
        let error = append(&store, &wrong).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Position { last_seq: 3 });
    }
    assert_eq!(store.len(), 3);
    assert_eq!(append(&store, &records(4..=4)).await.unwrap().position(), 2);
    assert_eq!(store.storage().await.unwrap().rows, 4);
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused_and_changes_nothing() {
    let store = MemoryStore::new();
    append(&store, &records(1..=2)).await.unwrap();
    let mut again = records(3..=4);
    again[1].id = again[0].id;
    again[1].occurred_at = again[0].occurred_at;
    assert_eq!(append(&store, &again).await.unwrap_err().kind(), StoreErrorKind::Data);
    let mut again = records(3..=3);
    again[0].id = records(1..=1)[0].id;
    again[0].occurred_at = records(1..=1)[0].occurred_at;
    assert_eq!(append(&store, &again).await.unwrap_err().kind(), StoreErrorKind::Data);
    assert_eq!((store.len(), store.entries(0, 9).await.unwrap().len()), (2, 1));
}

#[tokio::test]
async fn pages_go_from_new_to_old_without_overlap() {
    let store = MemoryStore::new();
    append(&store, &records(1..=5)).await.unwrap();
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let request = PageRequest { after, ..PageRequest::newest(2) };
        let page = store.records(&Filter::new(), &request).await.unwrap();
        seen.extend(page.records.iter().map(|record| record.seq));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn a_record_is_found_by_its_id_and_by_its_entry() {
    let store = MemoryStore::new();
    let written = records(1..=2);
    append(&store, &written).await.unwrap();
    assert_eq!(store.record(written[1].id).await.unwrap().unwrap().seq, 2);
    assert!(store.record(RecordId::NIL).await.unwrap().is_none());
    let entry = store.entries(0, 10).await.unwrap().remove(0);
    assert_eq!(store.entry_records(&entry).await.unwrap().len(), 2);
    assert!(store.entries(1, 10).await.unwrap().is_empty());
}
