//! Each record once, in the order of the ledger.

use std::sync::Arc;

use axum::Router;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tower_activity::Pipeline;

use super::{Events, OURS, PATIENCE, Socket, by, happens};
use crate::support::{Fixture, Service, by_header};

on_every_store! {
    what_is_committed_is_told_as_it_is_stored,
    from_every_cursor_on_each_record_comes_once_whoever_writes,
    history_goes_over_into_the_present,
    whoever_is_cut_off_again_and_again_misses_nothing,
    events_go_on_behind_the_last_id,
    a_cursor_is_good_for_its_question_only,
}

async fn what_is_committed_is_told_as_it_is_stored<F: Fixture>() {
    let service = Service::<F>::start().await;
    happens(&service.pipeline, "before").await;
    let (mut socket, _) = Socket::open(service.address, OURS).await;
    happens(&service.pipeline, "ana").await;
    let told = socket.news().await;
    assert_eq!(told.actors(), ["ana"]);
    let record = &told.records()[0];
    let id = record["id"].as_str().unwrap();
    let stored = service.get(&format!("/activity/records/{id}")).await.json();
    assert_eq!(*record, stored);
    service.stop().await;
}

/// Two replicas, each with writers and listeners of its own.
async fn from_every_cursor_on_each_record_comes_once_whoever_writes<F: Fixture>() {
    const EACH: usize = 200;
    let service = Service::<F>::start().await;
    let other = Pipeline::builder(service.fixture.open().await).start().await.unwrap();
    let other = Arc::new(other);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = listener.local_addr().unwrap();
    let app = Router::new().nest("/activity", other.router(by_header()));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });

    let (mut here_socket, begin) = Socket::open(service.address, OURS).await;
    let (mut there_socket, _) = Socket::open(there, OURS).await;
    let mut writers = JoinSet::new();
    for (name, pipeline) in [("a", &service.pipeline), ("b", &other)] {
        let pipeline = Arc::clone(pipeline);
        writers.spawn(async move {
            for n in 0..EACH {
                assert!(pipeline.recorder().record(by(&format!("{name}{n}"))).is_accepted());
                if n % 7 == 0 {
                    pipeline.flush().await;
                }
            }
            pipeline.flush().await;
        });
    }
    let mut told = Vec::new();
    let mut heard = Vec::new();
    while heard.len() < EACH * 2 {
        let next = here_socket.news().await;
        assert_eq!(next.kind, "records");
        heard.extend(next.actors());
        told.push((next.cursor, heard.len()));
    }
    writers.join_all().await;
    // The same in the same order at the other replica.
    assert_eq!(there_socket.hear(EACH * 2).await, heard);
    let mut sorted = heard.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), EACH * 2, "each once");
    for name in ["a", "b"] {
        let own: Vec<_> = heard.iter().filter(|actor| actor.starts_with(name)).collect();
        assert!(own.into_iter().cloned().eq((0..EACH).map(|n| format!("{name}{n}"))), "in order");
    }

    // From wherever somebody was cut off, at either replica.
    told.insert(0, (begin, 0));
    for (n, (cursor, from)) in told.iter().enumerate() {
        // Without a key file, cursors are good in one process: which both are here.
        let address = if n % 2 == 0 { service.address } else { there };
        let path = format!("{OURS}&cursor={cursor}");
        let (mut socket, _) = Socket::open(address, &path).await;
        assert_eq!(socket.hear(EACH * 2 - from).await, heard[*from..]);
    }
    serving.abort();
    other.shutdown(PATIENCE).await;
    service.stop().await;
}

async fn history_goes_over_into_the_present<F: Fixture>() {
    let service = Service::<F>::start().await;
    for n in 0..20 {
        happens(&service.pipeline, &format!("{n}")).await;
    }
    // While somebody goes on writing, the page is read, and later its live cursor is taken up.
    let pipeline = Arc::clone(&service.pipeline);
    let writer = tokio::spawn(async move {
        for n in 20..120 {
            assert!(pipeline.recorder().record(by(&format!("{n}"))).is_accepted());
            if n % 5 == 0 {
                pipeline.flush().await;
            }
        }
        pipeline.flush().await;
    });
    let mut pages = Vec::new();
    for _ in 0..5 {
        let path = "/activity/records?action=cancel&order=asc&limit=1000";
        pages.push(service.get(path).await.json());
    }
    writer.await.unwrap();
    for page in pages {
        let live = page["live"].as_str().unwrap();
        let shown: Vec<_> = page["records"].as_array().unwrap().iter().collect();
        let mut seen: Vec<_> = shown.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect();
        let (mut socket, _) = Socket::open(service.address, &format!("{OURS}&cursor={live}")).await;
        loop {
            // A record that was committed while the page was read may be on both.
            seen.sort_unstable();
            seen.dedup();
            if seen.len() == 120 {
                break;
            }
            let told = socket.news().await;
            let ids = told.records().iter().map(|r| r["id"].as_str().unwrap().to_owned());
            seen.extend(ids);
        }
    }
    service.stop().await;
}

/// From the page before the first record on, at one replica or the other, while both write and their commits
/// lie between each other's.
async fn whoever_is_cut_off_again_and_again_misses_nothing<F: Fixture>() {
    const EACH: usize = 60;
    let service = Service::<F>::start().await;
    let other = Pipeline::builder(service.fixture.open().await).start().await.unwrap();
    let other = Arc::new(other);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = listener.local_addr().unwrap();
    let app = Router::new().nest("/activity", other.router(by_header()));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let page = service.get("/activity/records?action=cancel").await.json();
    assert_eq!(page["records"].as_array().map(Vec::len), Some(0));
    let mut cursor = page["live"].as_str().unwrap().to_owned();

    // They keep to the pace of who listens, so that he is cut off in the middle of it.
    let pace = Arc::new(Semaphore::new(0));
    let mut writers = JoinSet::new();
    for (name, pipeline) in [("a", &service.pipeline), ("b", &other)] {
        let (pipeline, pace) = (Arc::clone(pipeline), Arc::clone(&pace));
        writers.spawn(async move {
            for n in 0..EACH {
                pace.acquire().await.unwrap().forget();
                assert!(pipeline.recorder().record(by(&format!("{name}{n}"))).is_accepted());
                if n % 3 > 0 {
                    pipeline.flush().await;
                }
            }
            pipeline.flush().await;
        });
    }
    let (mut heard, mut sessions) = (Vec::new(), 0);
    while heard.len() < EACH * 2 {
        let address = if sessions % 3 == 0 { there } else { service.address };
        let path = format!("{OURS}&cursor={cursor}");
        let (mut socket, begin) = Socket::open(address, &path).await;
        // The first word says where it begins: somebody who is cut off behind it goes on from there.
        cursor = begin;
        for _ in 0..sessions % 4 {
            if heard.len() == EACH * 2 {
                break;
            }
            pace.add_permits(5);
            let told = socket.news().await;
            assert_eq!(told.kind, "records");
            heard.extend(told.actors());
            cursor = told.cursor;
        }
        sessions += 1;
    }
    writers.join_all().await;
    assert!(sessions > 10, "{sessions}");
    for name in ["a", "b"] {
        let own: Vec<_> = heard.iter().filter(|actor| actor.starts_with(name)).cloned().collect();
        let written: Vec<_> = (0..EACH).map(|n| format!("{name}{n}")).collect();
        assert_eq!(own, written, "each once, in its order");
    }
    serving.abort();
    other.shutdown(PATIENCE).await;
    service.stop().await;
}

async fn events_go_on_behind_the_last_id<F: Fixture>() {
    let service = Service::<F>::start().await;
    let path = "/activity/live/sse?action=cancel";
    let caller = ("x-test-caller", "admin");
    let mut events = Events::open(service.address, path, &[caller]).await;
    assert_eq!(events.response.headers()["content-type"], "text/event-stream");
    assert_eq!(events.response.headers()["cache-control"], "no-store");
    let begin = events.next().await.unwrap();
    assert_eq!(begin.kind, "heartbeat");
    happens(&service.pipeline, "ana").await;
    let first = events.next().await.unwrap();
    assert_eq!(first.actors(), ["ana"]);
    drop(events);
    happens(&service.pipeline, "bob").await;

    // As a browser does, with the address of before: the id counts, not the cursor in it.
    let path = format!("{path}&cursor={}", begin.cursor);
    let last = ("last-event-id", first.cursor.as_str());
    let mut events = Events::open(service.address, &path, &[caller, last]).await;
    events.next().await.unwrap();
    assert_eq!(events.next().await.unwrap().actors(), ["bob"]);
    let mut events = Events::open(service.address, &path, &[caller]).await;
    events.next().await.unwrap();
    let both = events.next().await.unwrap();
    assert_eq!(both.actors(), ["ana", "bob"]);
    service.pipeline.hang_up();
    service.stop().await;
}

async fn a_cursor_is_good_for_its_question_only<F: Fixture>() {
    let service = Service::<F>::start().await;
    let (_socket, cursor) = Socket::open(service.address, OURS).await;
    let caller = [("x-test-caller", "admin")];
    let page = service.get("/activity/records?action=cancel&limit=1").await.json();
    let mut damaged = cursor.clone().into_bytes();
    damaged[20] ^= 1;
    for path in [
        format!("/activity/live?action=create&cursor={cursor}"),
        format!("/activity/live?cursor={cursor}"),
        format!("{OURS}&cursor={}", String::from_utf8(damaged).unwrap()),
        format!("{OURS}&cursor=7.1"),
        format!("{OURS}&limit=3"),
        "/activity/live?nothing=x".to_owned(),
    ] {
        let refused = Socket::try_open(service.address, &path, &caller).await.err();
        assert_eq!(refused.map(|status| status.as_u16()), Some(400), "{path}");
    }
    let of_a_tenant = [("x-test-caller", "ana logs.actions.view acme")];
    let path = format!("{OURS}&cursor={cursor}");
    assert!(Socket::try_open(service.address, &path, &of_a_tenant).await.is_err());
    let live = page["live"].as_str().unwrap();
    let path = format!("{OURS}&cursor={live}");
    assert!(Socket::try_open(service.address, &path, &caller).await.is_ok());
    service.stop().await;
}

/// (35) A transaction stays open while others commit: they are told at once, and it once it commits.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_stays_open_holds_nobody_up_and_is_not_missed() {
    use crate::{
        proxy::{COMMIT, Proxy, Trick},
        server::Database,
        table::{Row, times},
    };
    use tower_activity::PostgresStore;

    let service = Service::<Database>::start().await;
    let proxy = Proxy::before(&service.fixture, COMMIT).await;
    let through = PostgresStore::open(&proxy.url(&service.fixture)).await.unwrap();
    let through = through.with_deadline(PATIENCE * 5);
    let slow = Pipeline::builder(through).call_deadline(PATIENCE * 5).start().await.unwrap();
    slow.flush().await;
    let (mut socket, _) = Socket::open(service.address, OURS).await;
    let (rounds, others) = (3, times(10, 2_000));
    for round in 0..rounds {
        proxy.play([Trick::Hold]);
        assert!(slow.recorder().record(by(&format!("open {round}"))).is_accepted());
        proxy.held().await;
        for n in 0..others {
            let name = format!("{round}.{n}");
            happens(&service.pipeline, &name).await;
            assert_eq!(socket.hear(1).await, [name]);
        }
        proxy.let_go();
        assert_eq!(socket.hear(1).await, [format!("open {round}")]);
    }
    let count = rounds * (others as u64 + 1);
    let fault = "35 one transaction stays open";
    Row { fault, runs: rounds, sent: count, stored: count, ..Row::default() }.report();
    slow.shutdown(PATIENCE).await;
    service.stop().await;
}
