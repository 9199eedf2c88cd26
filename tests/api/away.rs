//! A store that does not answer, and one that answers while somebody else writes.

use hyper::Method;
use serde_json::json;

use crate::{
    endless::{Endless, WithoutEnd},
    ingest::{JSON, ship},
    list::ours,
    live::Socket,
    support::{Answer, Service},
};

fn is_away(what: &str, answer: &Answer) {
    let problem = answer.problem(503);
    assert_eq!(problem["type"], "urn:tower-activity:problem:store-unavailable", "{what}");
    assert_eq!(answer.headers["retry-after"], "5", "{what}");
    for word in ["10.0.0.1", "5432", "connection", "refused"] {
        assert!(!answer.text().contains(word), "{what}: {}", answer.text());
    }
}

#[tokio::test]
async fn every_endpoint_says_that_the_store_is_away_and_when_to_come_back() {
    let service = Service::<WithoutEnd>::start().await;
    let page = service.get("/activity/records?limit=1").await.json();
    let live = page["live"].as_str().unwrap();
    service.store.go_down();
    let id = "01977c51-4c00-7000-8000-000000000001";
    for path in [
        "records",
        "records?q=cancel",
        "records?page=3",
        "records?count=exact",
        &format!("records/{id}"),
        "entities/order/55",
        "actors/ana",
        "sessions/s",
        "stats",
        "facets",
        "facets?fields=action&prefix=c",
        "export",
        "live/sse",
        &format!("live/sse?cursor={live}"),
    ] {
        let answer = service.get(&format!("/activity/{path}")).await;
        is_away(path, &answer);
    }
    let admin = [("x-test-caller", "admin")];
    let refused = Socket::try_open(service.address, "/activity/live", &admin).await.err();
    assert_eq!(refused.map(|status| status.as_u16()), Some(503));
    // No key can be claimed; and then nothing is taken.
    let mut keyed = ship(1);
    keyed["id"] = json!("r-1");
    let headers = [admin[0], JSON];
    let body = keyed.to_string();
    let answer = service.send(Method::POST, "/activity/records", &headers, body).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.headers["retry-after"], "5");
    let health = service.get("/activity/health").await;
    assert_eq!(health.status, 503);
    // What needs no store is there.
    let ticket = service.send(Method::POST, "/activity/tickets", &admin, "").await;
    assert_eq!(ticket.status, 201);
    service.get("/activity").await.json();
    service.pipeline.flush().await;
    let taken = service.pipeline.tally();
    assert_eq!(taken.dropped.total(), 0);
}

#[tokio::test]
async fn the_live_cursor_of_a_page_is_from_before_the_page() {
    let service = Service::<WithoutEnd>::start().await;
    service.pipeline.flush().await;
    // Committed after the end of the ledger was asked for, and before the page was read.
    let store: &Endless = &service.store;
    store.commit_before_the_next_page(ours(9, 1..=3));
    let page = service.get("/activity/records?service=ours").await.json();
    assert_eq!(page["records"].as_array().unwrap().len(), 3);
    let live = page["live"].as_str().unwrap();
    let path = format!("/activity/live?service=ours&cursor={live}");
    let (mut socket, _) = Socket::open(service.address, &path).await;
    // It may come twice, and it must not come never.
    assert_eq!(socket.hear(3).await.len(), 3);
    service.pipeline.hang_up();
    service.stop().await;
}
