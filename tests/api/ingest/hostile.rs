//! Fault 60, and other ways to hand in nonsense.

use std::time::Duration;

use hyper::{Method, body::Bytes};
use serde_json::json;
use tokio::time::timeout;
use tower_activity::{
    query::{Count, Filter},
    store::Read as _,
};

use super::{JSON, LINES, handed_in, once::with_id, post, post_as, rejected, ship};
use crate::support::{Fixture, Service};

on_every_store! {
    hostile_json_is_refused_quickly_and_nothing_of_it_is_taken,
    a_body_that_is_too_large_or_of_another_kind_is_refused,
}

const HEADERS: [(&str, &str); 2] = [("x-test-caller", "shop"), JSON];

async fn hostile_json_is_refused_quickly_and_nothing_of_it_is_taken<F: Fixture>() {
    let service = Service::<F>::start().await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide: String = (0..400_000).map(|n| format!("\"k{n}\":1,")).collect();
    let start = r#"{"action":"ship","actor_id":"ana","#;
    // Items that are JSON, and refused for what they hold.
    for (body, kind) in [
        (format!("{start}\"metadata\":{{\"a\":{deep}}}}}"), "invalid-value"),
        (format!("[{deep}]"), "invalid-json"),
        (format!("{start}{wide}\"x\":1}}"), "unknown-field"),
        (format!("{start}\"metadata\":{{{wide}\"x\":1}}}}"), "invalid-value"),
        (format!("{start}\"action\":\"a\"}}"), "duplicate-key"),
        (format!("{start}\"metadata\":{{\"a\":1,\"a\":2}}}}"), "invalid-value"),
        (format!("{start}\"metadata\":{{\"a\":1e999999}}}}"), "invalid-value"),
        (format!("{start}\"metadata\":{{\"a\":{}}}}}", "9".repeat(100_000)), "invalid-value"),
        (format!("{start}\"status\":99999999999999999999}}"), "invalid-value"),
        (format!("{start}\"reason\":\"\\ud800\"}}"), "invalid-value"),
    ] {
        let answer = post(&service, body).await;
        assert_eq!(answer.status, 207);
        assert_eq!(rejected(&answer.json()), [(0, kind.to_owned())]);
        assert!(answer.text().len() < 1_000, "{}", answer.text());
    }
    // Bodies that are no JSON: nothing is taken, also of what came before.
    for body in [
        format!("[{},{}", ship(1), "[".repeat(100_000)),
        format!("[{}", ship(1)),
        format!("{}{{", ship(1)),
        "{\"a\":".repeat(100_000),
        "7".to_owned(),
        "  ".to_owned(),
        format!("{} garbage", json!([ship(1)])),
    ] {
        post(&service, body).await.problem(400);
    }
    let mut bytes = json!([ship(1)]).to_string().into_bytes();
    bytes.extend_from_slice(b"\n\xff");
    let at = bytes.len() - 1;
    let problem = service
        .send(Method::POST, "/activity/records", &HEADERS, Bytes::from(bytes))
        .await
        .problem(400);
    let detail = format!("byte {at}, in line 2, is not UTF-8");
    assert_eq!(problem["detail"], json!(detail));
    assert!(handed_in(&service.store).await.is_empty());
    // Of lines, only that one.
    let lines = format!("{}\n{{\"action\":\"\u{1}", ship(1)).replace('\u{1}', "\"}\n");
    let mut lines = lines.into_bytes();
    lines.extend_from_slice(b"{\"reason\":\"\xff\"}");
    let headers = [HEADERS[0], LINES];
    let answer =
        service.send(Method::POST, "/activity/records", &headers, Bytes::from(lines)).await.json();
    assert_eq!(answer["accepted"], 1);
    assert_eq!(rejected(&answer)[1], (2, "invalid-json".to_owned()));
    service.stop().await;
}

async fn a_body_that_is_too_large_or_of_another_kind_is_refused<F: Fixture>() {
    let service = Service::<F>::start().await;
    post(&service, " ".repeat(8 * 1024 * 1024 + 1)).await.problem(413);
    let many = format!("[{}1]", "1,".repeat(10_000));
    let problem = post(&service, many).await.problem(413);
    assert!(problem["detail"].as_str().unwrap().contains("10000 items"));
    post_as(&service, "shop", &[LINES], "1\n".repeat(10_001)).await.problem(413);
    // A form needs no leave of a browser, and so is no way in.
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        post_as(&service, "shop", &[("content-type", kind)], ship(1)).await.problem(415);
    }
    post_as(&service, "shop", &[("content-encoding", "gzip")], ship(1)).await.problem(415);
    assert!(handed_in(&service.store).await.is_empty());
    // As many as fit, through a queue that holds fewer. A machine that is too slow to store them before the answer is
    // due gets them again, as from any client, and has got further each time.
    let all: Vec<_> = (0..10_000).map(|n| with_id(ship(n), &format!("{n}"))).collect();
    let all = json!(all).to_string();
    let taken = async { while post(&service, all.clone()).await.status != 201 {} };
    timeout(Duration::from_secs(300), taken).await.expect("all are taken");
    let handed_in = Filter::new().any_of("origin", ["ingest"]).unwrap();
    let stored = service.store.count(&handed_in, Count::UpTo(20_000)).await.unwrap();
    assert_eq!(stored.value, 10_000);
    assert_eq!(service.pipeline.tally().dropped.total(), 0);
    service.stop().await;
}
