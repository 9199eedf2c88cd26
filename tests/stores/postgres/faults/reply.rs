//! Replies that never come (9), and outcomes that are asked for too early (67).

use std::time::Duration;

use sqlx::{Executor as _, Row as _, raw_sql};
use tower_activity::{
    pipeline::Pipeline,
    record::WriterId,
    store::{Append as _, Appender as _, Read as _, StoreErrorKind},
};

use super::{assert_all_stored, assert_streams_are_whole, assert_whole, create, report};
use crate::{
    postgres::{batch, open, store},
    proxy::{COMMIT, Proxy, Trick},
    records::stream,
    table::times,
};

/// (9) The commit succeeds and the connection is cut before the reply; or it is cut before the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_lost_stores_nothing_twice() {
    let (database, store) = store().await;
    let proxy = Proxy::before(&database, COMMIT).await;
    let through = open(&proxy.url(&database)).await;
    let pipeline = Pipeline::builder(through).start().await.unwrap();
    pipeline.flush().await;
    let cuts = times(12, 1_000);
    let mut count = 0;
    for cut in 0..cuts {
        proxy.play([if cut % 3 == 2 { Trick::CutBeforeMessage } else { Trick::CutBeforeReply }]);
        create(&pipeline, count..count + 5);
        count += 5;
        pipeline.flush().await;
    }
    assert_eq!(proxy.left(), 0);
    let retries = pipeline.tally().retries;
    assert!(retries >= cuts as u64, "{retries} of {cuts}");
    let ended = pipeline.shutdown(Duration::from_secs(30)).await;
    assert_all_stored(&ended, count);
    assert_whole(&store, count).await;
    report("9 reply cut, without a spool", cuts, count);
}

/// (67) A writer loses its connection while its COMMIT is on the way; the position is asked for before
/// that COMMIT arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_waits_for_the_commit_that_is_on_its_way() {
    let (database, store) = store().await;
    let proxy = Proxy::before(&database, COMMIT).await;
    let through = open(&proxy.url(&database)).await;
    let mut waits = database.connect().await;
    let rounds = times(4, 200);
    for round in 0..rounds as i64 {
        let records = stream(5, round * 10 + 1..=round * 10 + 10);
        let mut appender = through.connect().await.unwrap();
        proxy.play([Trick::Hold]);
        {
            // Given up, as by a deadline, with the COMMIT under way.
            let append = appender.append(batch(&records));
            tokio::select! {
                done = append => panic!("the commit is held: {done:?}"),
                () = proxy.held() => {}
            }
        }
        drop(appender);

        let asking = tokio::spawn({
            let store = store.clone();
            async move { store.connect().await?.position(WriterId::new(5)).await }
        });
        let sql = "select count(*)::bigint from pg_locks l join pg_database d on d.oid = l.database \
                   where d.datname = current_database() and locktype = 'advisory' and not granted";
        while waits.fetch_one(raw_sql(sql)).await.unwrap().get::<i64, _>(0) == 0 {
            assert!(!asking.is_finished(), "answered before the outcome was certain: {asking:?}");
            tokio::task::yield_now().await;
        }
        proxy.let_go();
        assert_eq!(asking.await.unwrap().unwrap(), round * 10 + 10);
        let again = store.connect().await.unwrap().append(batch(&records)).await.unwrap_err();
        assert_eq!(again.kind(), StoreErrorKind::Position { last_seq: round * 10 + 10 });
    }
    assert_eq!(assert_streams_are_whole(&store).await, rounds * 10);
    report("67 position asked for too early", rounds, rounds * 10);
}

/// (67) The same, but whoever asks gives up waiting, and sends everything again on a new connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_sent_again_beside_the_commit_that_is_on_its_way_is_stored_once() {
    let (database, store) = store().await;
    let proxy = Proxy::before(&database, COMMIT).await;
    let through = open(&proxy.url(&database)).await;
    let records = stream(5, 1..=10);
    let mut appender = through.connect().await.unwrap();
    proxy.play([Trick::Hold]);
    {
        let append = appender.append(batch(&records));
        tokio::select! {
            done = append => panic!("the commit is held: {done:?}"),
            () = proxy.held() => {}
        }
    }
    let hasty = store.clone().with_deadline(Duration::from_millis(200));
    // On a machine that stalls its time may be up before it is connected.
    let refused = async { hasty.connect().await?.append(batch(&records)).await };
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Transient, "{refused:?}");
    let again = tokio::spawn({
        let store = store.clone();
        async move { store.connect().await?.append(batch(&records)).await }
    });
    proxy.let_go();
    let refused = again.await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Position { last_seq: 10 });
    assert_eq!(store.entries(0, 10).await.unwrap().len(), 1);
    assert_eq!(assert_streams_are_whole(&store).await, 10);
}
