//! A store that does not answer, and one that answers while somebody else writes.

use hyper::Method;
use serde_json::json;
use tower_activity::Keys;

use crate::{
    endless::{Endless, WithoutEnd},
    ingest::{JSON, ship},
    list::ours,
    live::Socket,
    support::{Answer, Service, described, is_of},
};

fn is_away(what: &str, answer: &Answer) {
    let problem = answer.problem(503);
    assert_eq!(problem["type"], "urn:tower-activity:problem:store-unavailable", "{what}");
    assert_eq!(answer.headers["retry-after"], "5", "{what}");
    tells_nothing(what, answer);
}

/// Where the database is, and what it says, is nobody's business.
fn tells_nothing(what: &str, answer: &Answer) {
    for word in ["10.0.0.1", "5432", "connection"] {
        assert!(!answer.text().contains(word), "{what}: {}", answer.text());
        assert!(!format!("{:?}", answer.headers).contains(word), "{what}: {:?}", answer.headers);
    }
}

#[tokio::test]
async fn every_endpoint_says_that_the_store_is_away_and_when_to_come_back() {
    let service = Service::<WithoutEnd>::set(|builder| builder.keys(Keys::ephemeral())).await;
    let page = service.get("/activity/records?limit=1").await.json();
    let live = page["live"].as_str().unwrap();
    service.store.go_down();
    let id = "01977c51-4c00-7000-8000-000000000001";
    let mut rest = described(&service).await;
    let paths = [
        "records",
        "records?q=cancel",
        "records?page=3",
        "records?count=exact",
        &format!("records/{id}"),
        &format!("records/{id}/proof"),
        "checkpoint",
        "entities/order/55",
        "actors/ana",
        "sessions/s",
        "stats",
        "facets",
        "completeness",
        "subjects/ana/erasure",
        "subjects/ana/export",
        "consents?subject_id=ana",
        "holds",
        "holds/restricted",
        "retention",
        "facets?fields=action&prefix=c",
        "export",
        "export?proofs=true",
        "export?restricted=true",
        "bundle",
        "bundle?restricted=true",
        "live/sse",
        &format!("live/sse?cursor={live}"),
    ];
    for path in paths {
        let answer = service.get(&format!("/activity/{path}")).await;
        is_away(path, &answer);
        rest.retain(|endpoint| !endpoint.starts_with("GET ") || !is_of(path, endpoint));
    }
    // Each of these is asked below, but for those that ask nothing of the store: files, and who is asking.
    let others = [
        "GET /",
        "GET /assets/{revision}/{file}",
        "GET /health",
        "GET /live",
        "GET /me",
        "GET /openapi.json",
    ];
    let changes = [
        "POST /consents",
        "POST /holds",
        "POST /records",
        "POST /subjects/{id}/erasure",
        "POST /tickets",
        "PUT /retention",
    ];
    let others = ["DELETE /holds/{id}"].into_iter().chain(others).chain(changes);
    assert!(rest.iter().eq(others), "{rest:?}");
    let admin = [("x-test-caller", "admin")];
    let refused = Socket::try_open(service.address, "/activity/live", &admin).await.err();
    assert_eq!(refused.map(|status| status.as_u16()), Some(503));
    // No key can be claimed; and then nothing is taken.
    let mut keyed = ship(1);
    keyed["id"] = json!("r-1");
    let headers = [admin[0], JSON];
    let body = keyed.to_string();
    let answer = service.send(Method::POST, "/activity/records", &headers, body).await;
    is_away("ingest", &answer);
    let health = service.get("/activity/health").await;
    assert_eq!(health.status, 503);
    tells_nothing("health", &health);
    // What needs no store is there.
    let ticket = service.send(Method::POST, "/activity/tickets", &admin, "").await;
    assert_eq!(ticket.status, 201);
    service.get("/activity").await.json();
    service.get("/activity/openapi.json").await.json();
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
