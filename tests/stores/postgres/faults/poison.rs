//! Rows that the server refuses though every check before it let them through (24), and records that
//! arrive again and again (25).

use std::{fs, time::Duration};

use tower_activity::{
    pipeline::Pipeline,
    query::Filter,
    record::{Actor, Record},
    store::{Append as _, Appender as _, Read as _, StoreErrorKind},
};

use super::{assert_streams_are_whole, report};
use crate::{
    postgres::{batch, store},
    records::stream,
    suite::newest,
    table::times,
};

/// (24) One and ten (in the long run a hundred) bad rows in a batch of five hundred.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_become_stubs_and_good_ones_are_stored() {
    let (database, store) = store().await;
    // An index that somebody added: it has no room for long incompressible text.
    database.execute("create index on activity.records (description, reason)").await;
    let folder = tempfile::tempdir().unwrap();
    // A hundred take a minute where hashing is not optimised.
    let counts: &[usize] = if times(1, 2) > 1 { &[1, 10, 100] } else { &[1, 10] };
    for bad in counts.iter().copied() {
        let kept = folder.path().join(format!("{bad}.jsonl"));
        let pipeline = Pipeline::builder(store.clone())
            .batch_rows(500)
            .batch_age(Duration::from_secs(60))
            .quarantine(&kept)
            .start()
            .await
            .unwrap();
        let recorder = pipeline.recorder();
        let entity = format!("batch-of-{bad}");
        for order in 0..500_usize {
            let mut record = Record::by(Actor::user("ana")).created(&entity, &order.to_string());
            if order % (500 / bad) == 250 % (500 / bad) {
                record = record.describe(&noise(order)).because(&noise(order + 1));
            }
            assert!(recorder.record(record).is_accepted());
        }
        pipeline.flush().await;
        let ended = pipeline.shutdown(Duration::from_secs(60)).await;
        assert_eq!((ended.received, ended.stored, ended.dropped.total()), (500, 500, 0));
        assert_eq!(ended.quarantined, bad as u64);
        assert_eq!(fs::read_to_string(&kept).unwrap().lines().count(), bad);

        let filter = Filter::new().any_of("entity_type", [entity]).unwrap();
        let records = store.records(&filter, &newest(1_000)).await.unwrap().records;
        assert_eq!(records.len(), 500);
        for record in records {
            // A stub keeps its words and loses its texts.
            let stub = record.entity_id.is_absent();
            assert_eq!(record.outcome_reason == "quarantined", stub);
            assert!(stub || record.description.is_absent());
        }
    }
    assert_streams_are_whole(&store).await;
    report("24 poison rows, without a spool", counts.len(), counts.len() * 500);
}

/// Text that does not compress.
fn noise(seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(33 + u8::try_from((state >> 33) % 90).unwrap_or(0))
    };
    (0..2_000).map(|_| next()).collect()
}

/// (25) Ten deliveries at once of each batch: one is stored, the others are told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_at_the_same_time_are_stored_once() {
    let (_database, store) = store().await;
    let rounds = times(5, 50);
    for round in 0..rounds as i64 {
        let deliveries: Vec<_> = (0..10)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let records = stream(9, round * 200 + 1..=round * 200 + 200);
                    store.connect().await.unwrap().append(batch(&records)).await
                })
            })
            .collect();
        let mut stored = 0;
        for delivery in deliveries {
            match delivery.await.unwrap() {
                Ok(_) => stored += 1,
                Err(refused) => {
                    let kind = StoreErrorKind::Position { last_seq: round * 200 + 200 };
                    assert_eq!(refused.kind(), kind, "{refused:?}");
                }
            }
        }
        assert_eq!(stored, 1);
    }
    assert_eq!(assert_streams_are_whole(&store).await, rounds * 200);
    report("25 delivered ten times at once", rounds, rounds * 200);
}
