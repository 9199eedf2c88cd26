//! Commits in reverse order (34), and clients that freeze inside a transaction (68).

use std::{pin::pin, time::Duration};

use tower_activity::{
    record::WriterId,
    store::{Append as _, Appender as _, Read as _, StoreErrorKind, postgres::PostgresStore},
};

use super::{assert_streams_are_whole, report};
use crate::{
    postgres::{batch, open, store},
    proxy::{COMMIT, Proxy, ROWS, Trick},
    records::stream,
    suite::PATIENCE,
    table::times,
};

/// (34) What began first commits last, again and again, and a live cursor sees each record once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_over_positions_sees_each_record_once_whatever_the_order_of_commits() {
    let (database, store) = store().await;
    let proxy = Proxy::before(&database, COMMIT).await;
    let through = open(&proxy.url(&database)).await;
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
    let proxies = [Proxy::before(&database, COMMIT).await, Proxy::before(&database, ROWS).await];
    let mut frozen = Vec::new();
    for (writer, proxy) in (1..).zip(&proxies) {
        // For far longer than any other would wait.
        let through = open(&proxy.url(&database)).await.with_deadline(PATIENCE * 10);
        let mut appender = through.connect().await.unwrap();
        proxy.play([Trick::Hold]);
        frozen.push(tokio::spawn(async move {
            appender.append(batch(&stream(writer, 1..=10))).await.map(|_| ())
        }));
        proxy.held().await;
    }
    let rounds = times(10, 200);
    let others = (3..=6).map(|writer| {
        let store = store.clone();
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
    for (frozen, proxy) in frozen.into_iter().zip(&proxies) {
        assert!(!frozen.is_finished(), "they went on beside it");
        proxy.let_go();
        frozen.await.unwrap().unwrap();
    }

    let [before_commit, _] = &proxies;
    freeze_for_good(before_commit, &open(&before_commit.url(&database)).await, 1).await;
    // What froze in the transaction is ended by the server; nothing of it was stored.
    let mut appender = store.connect().await.unwrap();
    assert_eq!(appender.position(WriterId::new(1)).await.unwrap(), 10);
    appender.append(batch(&stream(1, 11..=20))).await.unwrap();
    assert_eq!(assert_streams_are_whole(&store).await, 30 + 4 * rounds * 5);
    assert_eq!(store.entries(0, 1_000).await.unwrap().len(), 3 + 4 * rounds);
    report("68 client frozen, without a spool", 3, 30 + 4 * rounds * 5);
}

/// Appends the numbers from 11 on until it is held, and until its time is up, which the server is told too.
async fn freeze_for_good(proxy: &Proxy, through: &PostgresStore, writer: i64) {
    let hasty = through.clone().with_deadline(Duration::from_secs(1));
    let records = stream(writer, 11..=20);
    let mut held = pin!(proxy.held());
    let mut is_held = false;
    while !is_held {
        if proxy.left() == 0 {
            proxy.play([Trick::Hold]);
        }
        // On a machine that stalls its time may be up before it comes so far: then once more.
        let mut append = pin!(async { hasty.connect().await?.append(batch(&records)).await });
        let done = tokio::select! {
            biased;
            () = &mut held => {
                is_held = true;
                append.await
            }
            done = &mut append => done,
        };
        assert_eq!(done.unwrap_err().kind(), StoreErrorKind::Transient);
    }
}
