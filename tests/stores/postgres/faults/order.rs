//! Commits in reverse order (34), and clients that freeze inside a transaction (68).

use std::time::Duration;

use tower_activity::{
    record::WriterId,
    store::{Append as _, Appender as _, Read as _, StoreErrorKind, postgres::PostgresStore},
};

use super::{assert_streams_are_whole, report};
use crate::{
    postgres::{batch, store},
    proxy::{COMMIT, Proxy, ROWS, Trick},
    records::stream,
    table::times,
};

/// (34) What began first commits last, again and again, and a live cursor sees each record once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_over_positions_sees_each_record_once_whatever_the_order_of_commits() {
    let (database, store) = store().await;
    let proxy = Proxy::before(&database, COMMIT).await;
    let through = PostgresStore::open(&proxy.url(&database)).await.unwrap();
    let (mut early, mut late) = (through.connect().await.unwrap(), store.connect().await.unwrap());
    let mut cursor = 0;
    let mut seen = Vec::new();
    let rounds = times(20, 10_000) as i64;
    let mut read_on = async || {
        for entry in store.entries(cursor, 1_000).await.unwrap() {
            assert_eq!(entry.position, cursor + 1);
            cursor = entry.position;
            let records = store.entry_records(&entry).await.unwrap();
            seen.extend(records.iter().map(|record| (record.writer_id.get(), record.seq)));
        }
        cursor
    };
    for round in 0..rounds {
        let (first, second) = (stream(1, [round * 2 + 1, round * 2 + 2]), stream(2, [round + 1]));
        proxy.play([Trick::Hold]);
        let held = async {
            proxy.held().await;
            // Began later, commits earlier.
            late.append(batch(&second)).await.unwrap();
            assert_eq!(read_on().await, round * 2 + 1);
            proxy.let_go();
        };
        let (appended, ()) = tokio::join!(early.append(batch(&first)), held);
        assert_eq!(appended.unwrap().position(), round * 2 + 2);
        assert_eq!(read_on().await, round * 2 + 2);
    }
    seen.sort_unstable();
    let all = (1..=rounds * 2).map(|seq| (1, seq)).chain((1..=rounds).map(|seq| (2, seq)));
    assert!(seen.into_iter().eq(all), "each once");
    report("34 commits in reverse order", times(20, 10_000), 3 * times(20, 10_000));
}

/// (68) A client freezes before its COMMIT, and another amid its rows: the others go on, and the
/// stream itself goes on once the server has ended the frozen transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_freezes_in_its_transaction_holds_up_nobody_else() {
    let (database, store) = store().await;
    let (before_commit, amid_rows) =
        (Proxy::before(&database, COMMIT).await, Proxy::before(&database, ROWS).await);
    let deadline = Duration::from_secs(2);
    let mut frozen = Vec::new();
    for (writer, proxy) in [(1, &before_commit), (2, &amid_rows)] {
        let through = PostgresStore::open(&proxy.url(&database)).await.unwrap();
        let mut appender = through.with_deadline(deadline).connect().await.unwrap();
        proxy.play([Trick::Hold]);
        frozen.push(tokio::spawn(async move {
            appender.append(batch(&stream(writer, 1..=10))).await.unwrap_err().kind()
        }));
        proxy.held().await;
    }
    let rounds = times(10, 200);
    // Half of the time that a lock may be waited for would be too long for them.
    let others = store.clone().with_deadline(deadline);
    let others = (3..=6).map(|writer| {
        let store = others.clone();
        tokio::spawn(async move {
            let mut appender = store.connect().await.unwrap();
            for round in 0..rounds as i64 {
                let records = stream(writer, round * 5 + 1..=round * 5 + 5);
                appender.append(batch(&records)).await.unwrap();
            }
        })
    });
    for other in others.collect::<Vec<_>>() {
        other.await.unwrap();
    }
    for frozen in frozen {
        assert_eq!(frozen.await.unwrap(), StoreErrorKind::Transient);
    }
    // What froze in the transaction is ended by the server; nothing of it was stored.
    let patient = store.clone().with_deadline(deadline * 5);
    let mut appender = patient.connect().await.unwrap();
    assert_eq!(appender.position(WriterId::new(1)).await.unwrap(), 0);
    appender.append(batch(&stream(1, 1..=10))).await.unwrap();
    assert_eq!(assert_streams_are_whole(&store).await, 10 + 4 * rounds * 5);
    assert_eq!(store.entries(0, 1_000).await.unwrap().len(), 1 + 4 * rounds);
    report("68 client frozen, without a spool", 2, 10 + 4 * rounds * 5);
}
