//! The examples that teach one thing each: what they print is what they promise.

use std::path::Path;

use tempfile::TempDir;

use crate::running::{Running, ends, example};

async fn prints(name: &str, folder: &Path, expected: &[&str]) {
    let (status, stdout, stderr) = ends(example(name, folder)).await;
    assert!(status.success() && stderr.is_empty(), "{name}: {status}\n{stdout}{stderr}");
    let mut rest = stdout.as_str();
    for line in expected {
        let (_, after) = rest
            .split_once(line)
            .unwrap_or_else(|| panic!("{name}: `{line}` does not follow in:\n{stdout}"));
        rest = after;
    }
}

#[tokio::test]
async fn rules_file_explains_and_refuses() {
    let folder = TempDir::new().unwrap();
    let expected = [
        "recorded as month/close",
        "by month end (rule)",
        "recorded as payslip/read",
        "not recorded; would be person/read",
        "person/delete",
        "The broken file:",
        "line 5: rule \"month end\"",
        "line 6: rule \"month end\": unknown key `acton`; did you mean `action`?",
    ];
    prints("rules_file", folder.path(), &expected).await;
}

#[tokio::test]
async fn enrich_adds_names_reasons_and_changes() {
    let folder = TempDir::new().unwrap();
    let expected = [
        "200 OK",
        "Ana Diaz updated product 3 “Blue lamp”",
        "reason: \"spring sale\"",
        r#"{"op":"replace","path":"/price","old":4900,"new":3900}"#,
        r#""path":"/token","old":"[REDACTED]","new":"[REDACTED]""#,
        r#"metadata: {"approved_by":"bob"}"#,
    ];
    prints("enrich", folder.path(), &expected).await;
}

#[tokio::test]
async fn tamper_finds_the_one_word_that_was_changed() {
    let folder = TempDir::new().unwrap();
    let expected = [
        "As it was written:",
        "unaltered",
        "rights do not suffice: activity_records is append-only",
        "ALTERED",
        "record edited at entry 13, records 112 to 121 of stream",
        "After it was put back:",
        "unaltered",
        "After ana was erased from 200 records",
        "unaltered",
        "erased: 200 personal groups",
    ];
    prints("tamper", folder.path(), &expected).await;
}

#[tokio::test]
async fn background_job_records_without_a_request() {
    let folder = TempDir::new().unwrap();
    let expected = [
        "order-expiry cancelled order 55 (because: unpaid for 14 days)",
        "order-expiry tried to cancel order 57: failed (payment pending)",
        "stored 4 · dropped 0 · gaps 0",
    ];
    prints("background_job", folder.path(), &expected).await;
}

#[tokio::test]
async fn subscribe_sees_what_its_filter_lets_through() {
    let folder = TempDir::new().unwrap();
    let expected = [
        "someone tried to delete product 3: denied\n",
        "someone tried to delete product 4: denied\n",
        "stored 4 · dropped 0 · gaps 0",
    ];
    prints("subscribe", folder.path(), &expected).await;
}

#[tokio::test]
async fn custom_store_goes_on_where_its_file_ends() {
    let folder = TempDir::new().unwrap();
    // Each run leaves its start, its record and its end.
    prints("custom_store", folder.path(), &["stored 1 · dropped 0 · gaps 0", "has 3 lines"]).await;
    let file = folder.path().join("activity.jsonl");
    let torn = std::fs::read_to_string(&file).unwrap() + "{\"id\":";
    std::fs::write(&file, torn).unwrap();
    prints("custom_store", folder.path(), &["has 6 lines"]).await;
}

#[tokio::test]
async fn postgres_is_told_what_it_lacks() {
    if cfg!(feature = "postgres") {
        let folder = TempDir::new().unwrap();
        let (status, _, stderr) = ends(example("postgres", folder.path())).await;
        assert_eq!(status.code(), Some(1));
        assert!(stderr.contains("ACTIVITY_STORE is not set: name a database"), "{stderr}");
    }
}

#[tokio::test]
async fn hyper_plain_records_without_a_router() {
    let folder = TempDir::new().unwrap();
    let mut running = Running::start(example("hyper_plain", folder.path())).await;
    let body = serde_json::json!({ "status": "paid" });
    let (status, _) = running.send("PUT", "/api/orders/55", None, Some(body)).await;
    assert_eq!(status, 200);
    let update = record(&running.line(r#""action":"update""#).await);
    assert_eq!(update["route"], "/api/orders/{id}");
    assert_eq!(update["entity_id"], "55");
    assert_eq!(update["actor_id"], "ana");
    assert_eq!(update["ip"], "127.0.0.1");
    assert_eq!(update["request_bytes"], 17);

    let (status, _) = running.send("DELETE", "/api/orders/55", None, None).await;
    assert_eq!(status, 403);
    assert_eq!(record(&running.line(r#""action":"delete""#).await)["outcome"], "denied");
    let (last, status) = running.stop("INT").await;
    assert!(status.success() && last == "stored 2 · dropped 0 · gaps 0", "{status}: {last}");
}

#[cfg(feature = "tonic")]
#[tokio::test]
async fn tonic_grpc_records_calls_that_go_well_and_badly() {
    let folder = TempDir::new().unwrap();
    let mut running = Running::start(example("tonic_grpc", folder.path())).await;
    let well = record(&running.line(r#""grpc_status":0"#).await);
    assert_eq!(well["route"], "/shop.v1.Orders/CancelOrder");
    assert_eq!((&well["entity_type"], &well["entity_id"]), (&"order".into(), &"55".into()));
    assert_eq!((&well["action"], &well["outcome"]), (&"cancel".into(), &"success".into()));
    assert_eq!(well["ip"], "127.0.0.1");
    let badly = record(&running.line(r#""grpc_status":3"#).await);
    assert_eq!(badly["outcome"], "failure");
    let (last, status) = running.stop("INT").await;
    assert!(status.success() && last == "stored 2 · dropped 0 · gaps 0", "{status}: {last}");
}

fn record(line: &str) -> serde_json::Value {
    serde_json::from_str(line).expect("a record on one line")
}

#[tokio::test]
async fn transactional_records_what_was_committed_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let expected = [
        "POST /orders/55/pay of 100: 204 No Content",
        "rolled back: too little money",
        "POST /orders/56/pay of 1: 500 Internal Server Error",
        "request-55 · request ",
        "request-55 · transaction · ana paid order 55",
        r#"success [{"op":"replace","path":"/state","old":"open","new":"paid"}]"#,
        "request-56 · request     · ana tried to pay order 56",
        "dropped 0 · gaps 0 · moved 1",
    ];
    prints("transactional", folder.path(), &expected).await;
}
