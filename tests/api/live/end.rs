//! How sessions end.

use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Events, OURS, PATIENCE, Socket, by};
use crate::support::{Fixture, Service};

on_every_store! {
    a_shutdown_ends_all_sessions_at_once,
    hanging_up_lets_the_server_stop_in_good_order,
}

async fn a_shutdown_ends_all_sessions_at_once<F: Fixture>() {
    let service = Service::<F>::start().await;
    let caller = [("x-test-caller", "admin")];
    let (mut idle, _) = Socket::open(service.address, OURS).await;
    let (_stalled, _) = Socket::open(service.address, OURS).await;
    let mut events = Events::open(service.address, "/activity/live/sse", &caller).await;
    events.next().await.unwrap();
    // More than a socket takes that nobody reads.
    let padding = "x".repeat(4_000);
    for _ in 0..4_000 {
        service.pipeline.recorder().record(by("ana").describe(&padding));
    }
    service.pipeline.flush().await;
    let ended = async {
        let report = service.pipeline.shutdown(PATIENCE).await;
        assert_eq!(report.dropped.total(), 0);
        let farewell = idle.farewell().await.expect("it says why");
        assert_eq!(farewell.code, CloseCode::Away);
        assert!(farewell.reason.contains("cursor"), "{}", farewell.reason);
        while events.next().await.is_some() {}
    };
    timeout(PATIENCE * 2, ended).await.expect("they end");
    // Whoever comes afterwards is sent away likewise.
    let mut late = Socket::try_open(service.address, OURS, &caller).await.unwrap();
    assert_eq!(late.farewell().await.map(|frame| frame.code), Some(CloseCode::Away));
    service.stop().await;
}

async fn hanging_up_lets_the_server_stop_in_good_order<F: Fixture>() {
    let service = Service::<F>::start().await;
    let caller = [("x-test-caller", "admin")];
    let mut events = Events::open(service.address, "/activity/live/sse", &caller).await;
    events.next().await.unwrap();
    let (mut socket, _) = Socket::open(service.address, OURS).await;
    service.pipeline.hang_up();
    // A graceful stop waits for all answers to end; the pipeline is still at work.
    let stopped = timeout(PATIENCE * 2, service.stop());
    stopped.await.expect("the server stops");
    while events.next().await.is_some() {}
    assert_eq!(socket.farewell().await.map(|frame| frame.code), Some(CloseCode::Away));
}
