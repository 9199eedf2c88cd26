//! PgBouncer in transaction mode: each transaction may run on another server connection.

use tower_activity::{
    query::Filter,
    record::WriterId,
    store::{
        Append as _, Appender as _, Maintain as _, Read as _, make_checkpoint,
        postgres::PostgresStore, prove,
    },
};

use super::batch;
use crate::{
    answers::{every_answer_is_that_of_memory, of_all_kinds},
    records::stream,
    server::{Bouncer, Database},
    suite::{append, newest},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_through_pgbouncer_in_transaction_mode() {
    let database = Database::new().await;
    let bouncer = Bouncer::before(&database).await;
    let store = PostgresStore::open(bouncer.url()).await.unwrap();
    let writers: Vec<_> = (1..=4_i64)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut appender = store.connect().await.unwrap();
                for round in 0..25 {
                    let records = stream(writer, round * 8 + 1..=round * 8 + 8);
                    appender.append(batch(&records)).await.unwrap();
                    let by = Filter::new().any_of("action", ["create", "cancel"]).unwrap();
                    store.records(&by, &newest(5)).await.unwrap();
                    let id = records[0].id;
                    assert_eq!(store.record(id).await.unwrap().unwrap(), *records[0]);
                }
                assert_eq!(appender.position(WriterId::new(writer)).await.unwrap(), 200);
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let entries = store.entries(0, 1000).await.unwrap();
    assert!(entries.iter().map(|entry| entry.position).eq(1..=100));
    assert_eq!(store.storage().await.unwrap().rows, 800);
    for entry in &entries[..3] {
        assert_eq!(store.entry_records(entry).await.unwrap().len(), 8);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_through_pgbouncer_reads_the_same() {
    let database = Database::new().await;
    let bouncer = Bouncer::before(&database).await;
    let store = PostgresStore::open(bouncer.url()).await.unwrap();
    let records = of_all_kinds();
    for stream in records.chunk_by(|a, b| a.writer_id == b.writer_id) {
        append(&store, stream).await.unwrap();
    }
    store.fold(2).await.unwrap();
    make_checkpoint(&store, &[[9; 32]], records[0].recorded_at).await.unwrap().unwrap();
    // Two servers for three who ask, so that each goes from one to the other.
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let (store, records) = (store.clone(), records.clone());
            tokio::spawn(async move {
                every_answer_is_that_of_memory(&store, &records).await;
                let mut request = newest(40);
                let mut read = Vec::new();
                loop {
                    let page = store.records(&Filter::new(), &request).await.unwrap();
                    read.extend(page.records);
                    match page.next {
                        Some(next) => request = request.after(next),
                        None => break,
                    }
                }
                assert_eq!(read.len(), records.len());
                for record in records.iter().step_by(7) {
                    assert!(prove(&store, record).await.unwrap().is_some(), "{record:?}");
                }
                // As a live session goes on: from where the log stands, entry by entry.
                let (head, snapshot) =
                    (store.head().await.unwrap(), store.snapshot().await.unwrap());
                assert_eq!(snapshot.position, head);
                assert!(read.iter().all(|record| snapshot.holds(record)));
                let mut seen = 0;
                for entry in store.entries(0, 1_000).await.unwrap() {
                    seen += store.entry_records(&entry).await.unwrap().len();
                }
                assert_eq!(seen, records.len());
            })
        })
        .collect();
    for one in asking {
        one.await.unwrap();
    }
}
