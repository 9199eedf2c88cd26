//! Handing records in.

mod hostile;
mod once;
mod pressure;
mod privacy;

use hyper::Method;
use serde_json::{Value, json};
use tower_activity::{
    Filter, Pipeline,
    access::{self, Access, Denial, Grant, Permission, Permissions},
    query::PageRequest,
    record::{Actor, Category, Operation, Origin, Outcome, Record},
    rules::{Level, Rule, Rules},
    store::Read,
};

use crate::support::{Answer, Fixture, Service};

on_every_store! {
    an_object_an_array_and_lines_are_taken_in,
    what_is_wrong_with_an_item_is_said_of_that_item_alone,
    what_is_too_long_too_old_or_not_storable_is_put_right_and_said,
    a_request_of_another_service_gets_its_meaning_from_the_rules,
    a_caller_writes_in_his_own_name_and_for_his_own_tenant,
    without_the_permission_nothing_is_taken,
    what_was_exported_is_taken_again_without_what_the_log_filled_in,
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

/// The records that were handed in, in the order of their ids.
pub(crate) async fn handed_in(store: &impl Read) -> Vec<Record> {
    let filter = Filter::new().any_of("origin", ["ingest"]).unwrap();
    let mut page = store.records(&filter, &PageRequest::newest(1_000)).await.unwrap();
    assert!(page.next.is_none(), "more than a page");
    page.records.sort_by_key(|record| record.id);
    page.records
}

pub(crate) async fn post<F: Fixture>(service: &Service<F>, body: impl ToString) -> Answer {
    post_as(service, "shop", &[], body).await
}

pub(crate) async fn post_as<F: Fixture>(
    service: &Service<F>,
    caller: &str,
    headers: &[(&str, &str)],
    body: impl ToString,
) -> Answer {
    let mut all = vec![("x-test-caller", caller)];
    all.extend_from_slice(headers);
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        all.push(JSON);
    }
    service.send(Method::POST, "/activity/records", &all, body.to_string()).await
}

/// Returns the types of what was rejected, by index, without what all have in common.
pub(crate) fn rejected(answer: &Value) -> Vec<(u64, String)> {
    let rejected = answer["rejected"].as_array().unwrap();
    let short = |one: &Value| {
        let kind = one["type"].as_str().unwrap().strip_prefix("urn:tower-activity:problem:");
        (one["index"].as_u64().unwrap(), kind.unwrap().to_owned())
    };
    rejected.iter().map(short).collect()
}

pub(crate) fn ship(id: u32) -> Value {
    json!({"action": "ship", "entity_type": "order", "entity_id": id.to_string(), "actor_id": "ana"})
}

async fn an_object_an_array_and_lines_are_taken_in<F: Fixture>() {
    let service = Service::<F>::start().await;
    let one = post(&service, ship(1)).await;
    assert_eq!(one.status, 201);
    let one = one.json();
    assert_eq!((&one["accepted"], &one["rejected"]), (&json!(1), &json!([])));
    assert_eq!(one["records"][0]["duplicate"], json!(false));

    let three = post(&service, json!([ship(2), ship(3), ship(4)])).await.json();
    assert_eq!(three["accepted"], 3);
    let lines = format!("\u{feff}{}\r\n\n{}\n", ship(5), ship(6));
    let lines = post_as(&service, "shop", &[LINES], lines).await.json();
    assert_eq!((&lines["accepted"], &lines["records"][1]["index"]), (&json!(2), &json!(1)));
    // Lines that are called JSON, and printed prettily.
    let sniffed = format!("{:#}\n{:#}", ship(7), ship(8));
    assert_eq!(post(&service, sniffed).await.json()["accepted"], 2);
    assert_eq!(post(&service, "[]").await.json()["accepted"], 0);

    // Without a flush: what is acknowledged is stored.
    let stored = handed_in(&service.store).await;
    let mut ids: Vec<_> = stored.iter().map(|record| record.entity_id.to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    let first = stored.iter().find(|record| record.entity_id == "1").unwrap();
    assert_eq!(one["records"][0]["id"], json!(first.id));
    assert_eq!((first.origin, first.service.as_str()), (Origin::Ingest, "shop"));
    assert_eq!((first.outcome, first.operation), (Outcome::Success, Operation::Execute));
    service.stop().await;
}

async fn what_is_wrong_with_an_item_is_said_of_that_item_alone<F: Fixture>() {
    let service = Service::<F>::start().await;
    let items = json!([
        ship(1),
        {"actor_id": "ana"},
        {"action": "ship"},
        {"action": "ship", "actor_type": "anonymous", "entity_id": "7"},
        {"action": "ship", "actor_id": "ana", "colour": "red"},
        {"action": "ship", "actor_id": "ana", "seq": 7},
        {"action": "ship", "actor_id": "ana", "writer_id": "7"},
        {"action": "ship", "actor_id": "ana", "recorded_at": "2026-01-01T00:00:00Z"},
        {"action": "ship", "actor_id": "ana", "category": "system"},
        {"action": "ship", "actor_id": "ana", "schema_version": 2},
        {"action": "ship", "actor_id": "ana", "outcome": "sucess"},
        {"action": "ship", "actor_id": "ana", "metadata": "text"},
        "text",
        {"action": "ship", "actor_type": "anonymous"},
    ]);
    let answer = post(&service, items).await;
    assert_eq!(answer.status, 207);
    let answer = answer.json();
    assert_eq!(answer["accepted"], 2);
    let kinds: Vec<_> =
        rejected(&answer).into_iter().map(|(index, kind)| format!("{index} {kind}")).collect();
    assert_eq!(
        kinds,
        [
            "1 missing-field",
            "2 missing-field",
            "3 missing-field",
            "4 unknown-field",
            "5 refused-field",
            "6 refused-field",
            "7 refused-field",
            "8 refused-field",
            "9 unsupported-version",
            "10 invalid-value",
            "11 invalid-value",
            "12 invalid-json",
        ]
    );
    assert!(answer["rejected"][9]["detail"].as_str().unwrap().contains("did you mean `success`?"));
    assert!(answer["rejected"].as_array().unwrap().iter().all(|one| one["retry"] == false));
    assert_eq!(handed_in(&service.store).await.len(), 2);

    // Of lines, it is said which.
    let lines = format!("{}\n\n{{\"action\":\n{}", ship(2), ship(3));
    let answer = post_as(&service, "shop", &[LINES], lines).await.json();
    assert_eq!(
        (&answer["accepted"], rejected(&answer)),
        (&json!(2), vec![(1, "invalid-json".to_owned())])
    );
    assert!(answer["rejected"][0]["detail"].as_str().unwrap().starts_with("line 3: "));
    service.stop().await;
}

async fn what_is_too_long_too_old_or_not_storable_is_put_right_and_said<F: Fixture>() {
    let service = Service::<F>::start().await;
    let items = json!([{
        "action": " ship ", "actor_id": " ana ", "entity_type": "order",
        "entity_id": "x".repeat(600), "description": "a\u{0}b",
        "metadata": {"a": "b\u{0}c", "n": 1e300},
        "occurred_at": "1999-12-31T23:59:59Z",
        "subject_ids": ["c-1"], "targets": [{"type": "cart", "id": "9"}],
        "changes": [{"op": "replace", "path": "/price", "old": 1, "new": 2.50}],
        "timestamp": null, "ip_address": "192.0.2.7",
    }]);
    assert_eq!(post(&service, items).await.json()["accepted"], 1);
    let record = handed_in(&service.store).await.remove(0);
    assert_eq!((record.action.as_str(), record.actor_id.as_str()), ("ship", "ana"));
    assert_eq!((record.entity_id.len(), record.truncated.as_str()), (512, r#"["entity_id"]"#));
    assert_eq!(record.description, "a\u{fffd}b");
    assert_eq!(record.metadata.as_str(), "{\"a\":\"b\u{fffd}c\",\"n\":1e+300}");
    assert!(record.skewed.as_str().contains("1999-12-31T23:59:59"));
    assert!(record.occurred_at.to_string().starts_with("20"), "{}", record.occurred_at);
    let changes: Value = serde_json::from_str(record.changes.as_str()).unwrap();
    assert_eq!(changes[0]["new"], json!(2.5));
    assert_eq!(record.ip.unwrap().to_string(), "192.0.2.7");
    service.stop().await;
}

/// A service whose pipeline is set up by `set`.
pub(crate) fn by_service() -> impl Access {
    access::from_fn(|parts| {
        let caller = parts.headers.get("x-test-caller").and_then(|caller| caller.to_str().ok());
        let grant = Grant::new(
            Actor::api_key(caller.unwrap_or("nobody")),
            Permissions::NONE.with(Permission::Ingest),
        );
        std::future::ready(Ok::<_, Denial>(grant.service("billing").tenant("acme")))
    })
}

async fn a_request_of_another_service_gets_its_meaning_from_the_rules<F: Fixture>() {
    let rules = Rules::rest().rule(Rule::new("no pings").route("/ping").level(Level::None)).rule(
        Rule::new("close")
            .route("/months/{m}/close")
            .entity("month")
            .action("close")
            .entity_id("{m}")
            .description("{actor} closed {m}"),
    );
    let service = Service::<F>::set(|builder| builder.rules(rules)).await;
    let answer = post(
        &service,
        json!([
            {"method": "POST", "route": "/shops/{shop}/orders/{id}/cancel",
             "path": "/shops/3/orders/55/cancel", "status": 403, "actor_id": "ana"},
            {"method": "POST", "path": "/months/2026-01/close", "status": 200, "user_id": "bo"},
            {"method": "POST", "route": "/ping", "status": 200, "actor_id": "ana"},
            {"method": "GET", "route": "/orders", "status": 200, "actor_id": "ana"},
            {"method": "GET", "route": "/orders", "status": 200, "actor_id": "ana", "action": "look"},
            {"method": "POST", "route": "/orders", "actor_id": "ana"},
        ]),
    )
    .await
    .json();
    let wrong = [(2, "not-recorded"), (3, "not-recorded"), (5, "missing-field")];
    assert_eq!(rejected(&answer), wrong.map(|(index, kind)| (index, kind.to_owned())));
    let stored = handed_in(&service.store).await;
    let find = |action: &str| stored.iter().find(|record| record.action == action).unwrap();
    let cancel = find("cancel");
    assert_eq!((cancel.entity_type.as_str(), cancel.entity_id.as_str()), ("order", "55"));
    assert_eq!((cancel.outcome, cancel.severity), (Outcome::Denied, 2));
    assert!(cancel.targets.as_str().contains(r#""id":"3""#), "{:?}", cancel.targets);
    let close = find("close");
    assert_eq!((close.rule.as_str(), close.entity_id.as_str()), ("close", "2026-01"));
    assert_eq!(
        (close.description.as_str(), close.route.as_str()),
        ("bo closed 2026-01", "/months/{m}/close")
    );
    assert!(find("look").rule.is_absent());
    service.stop().await;
}

async fn a_caller_writes_in_his_own_name_and_for_his_own_tenant<F: Fixture>() {
    let service = Service::<F>::with(|pipeline: &Pipeline| {
        axum::Router::new().nest("/activity", pipeline.router(by_service()))
    })
    .await;
    let mut items = vec![ship(1), ship(2), ship(3), ship(4), ship(5)];
    items[1]["tenant_id"] = json!("acme");
    items[1]["service"] = json!("billing");
    items[2]["tenant_id"] = json!("globex");
    items[3]["service"] = json!("shop");
    items[4]["workspace_id"] = json!("globex");
    let answer = post(&service, json!(items)).await.json();
    let wrong = [(2, "foreign-tenant"), (3, "foreign-service"), (4, "foreign-tenant")];
    assert_eq!(rejected(&answer), wrong.map(|(index, kind)| (index, kind.to_owned())));
    // What he may not know he is not told.
    assert!(!answer.to_string().contains("globex"));
    let stored = handed_in(&service.store).await;
    assert_eq!(stored.len(), 2);
    for record in &stored {
        assert_eq!((record.tenant_id.as_str(), record.service.as_str()), ("acme", "billing"));
    }
    // That he tried is recorded.
    service.pipeline.flush().await;
    let filter = Filter::new().any_of("category", ["system"]).unwrap();
    let page = service.store.records(&filter, &PageRequest::newest(10)).await.unwrap();
    let refused = page.records.iter().find(|record| record.outcome == Outcome::Denied).unwrap();
    assert_eq!((refused.category, refused.actor_id.as_str()), (Category::System, "shop"));
    assert!(refused.metadata.as_str().contains("3 items"), "{:?}", refused.metadata);
    service.stop().await;
}

async fn without_the_permission_nothing_is_taken<F: Fixture>() {
    let service = Service::<F>::start().await;
    post_as(&service, "eve logs.actions.view", &[], ship(1)).await.problem(403);
    let headers = [JSON];
    service
        .send(Method::POST, "/activity/records", &headers, ship(1).to_string())
        .await
        .problem(401);
    assert!(handed_in(&service.store).await.is_empty());
    service.stop().await;
}

async fn what_was_exported_is_taken_again_without_what_the_log_filled_in<F: Fixture>() {
    let service = Service::<F>::start().await;
    post(&service, ship(1)).await.json();
    let list = service.get("/activity/records?action=ship").await.json();
    let mut record = list["records"][0].clone();
    let answer = post(&service, &record).await.json();
    assert_eq!(rejected(&answer), [(0, "refused-field".to_owned())]);
    for field in [
        "recorded_at",
        "retention_class",
        "writer_id",
        "seq",
        "rule",
        "redactions",
        "truncated",
        "skewed",
    ] {
        assert!(answer["rejected"][0]["detail"].as_str().unwrap().contains(field));
        record.as_object_mut().unwrap().remove(field);
    }
    record.as_object_mut().unwrap().remove("sentence");
    // It is there already, and known by its id.
    let answer = post(&service, &record).await.json();
    assert_eq!(answer["records"][0], json!({"index": 0, "id": record["id"], "duplicate": true}));
    assert_eq!(handed_in(&service.store).await.len(), 1);
    service.stop().await;
}
