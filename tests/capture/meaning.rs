//! Which meaning wins, and what it puts into the record.

use axum::{
    Json, Router,
    body::Body,
    extract::Form,
    http::{Request, StatusCode},
    routing::{get, post, put},
};
use tower::ServiceExt as _;
use tower_activity::{
    capture::Activity,
    record::{Category, Outcome},
};

use crate::support::{Log, json, read, request};

#[tokio::test]
async fn reads_are_not_recorded_but_their_refusals_are() {
    let log = Log::new().await;
    let app = Router::new()
        .route("/api/orders/{id}", get(|| async {}))
        .route("/api/secrets/{id}", get(|| async { StatusCode::FORBIDDEN }))
        .route("/api/missing/{id}", get(|| async { StatusCode::NOT_FOUND }))
        .layer(log.layer());
    for path in ["/api/orders/1", "/api/secrets/1", "/api/missing/1"] {
        app.clone().oneshot(request("GET", path)).await.unwrap();
    }
    let record = log.only().await;
    assert_eq!((&*record.route, record.outcome), ("/api/secrets/{id}", Outcome::Denied));
}

#[tokio::test]
async fn parents_of_a_nested_resource_are_targets() {
    let log = Log::new().await;
    let app =
        Router::new().route("/api/shops/{shop}/orders/{id}", put(|| async {})).layer(log.layer());
    app.oneshot(request("PUT", "/api/shops/9/orders/55")).await.unwrap();
    let record = log.only().await;
    assert_eq!((&*record.entity_type, &*record.entity_id), ("order", "55"));
    assert_eq!(record.targets.as_str(), r#"[{"type":"shop","id":"9","relation":"parent"}]"#);
}

#[tokio::test]
async fn a_sentence_is_filled_and_a_handler_outranks_it() {
    let log = Log::with_toml(
        r#"
        [[rule]]
        name = "cancel"
        route = "/api/orders/{id}/cancel"
        entity = "order"
        action = "cancel"
        entity_id = "{id}"
        description = "{actor} cancelled {entity} {entity_id} ({status})"
        "#,
    )
    .await;
    let app = Router::new()
        .route(
            "/api/orders/{id}/cancel",
            post(|activity: Activity, headers: axum::http::HeaderMap| async move {
                activity.actor("ana");
                if headers.contains_key("x-own") {
                    activity.description("in my own words");
                }
            }),
        )
        .layer(log.layer());
    app.clone().oneshot(request("POST", "/api/orders/55/cancel")).await.unwrap();
    let mut own = request("POST", "/api/orders/55/cancel");
    own.headers_mut().insert("x-own", "1".parse().unwrap());
    app.oneshot(own).await.unwrap();
    let records = log.records().await;
    assert_eq!(records[0].description, "ana cancelled order 55 (200)");
    assert_eq!(records[1].description, "in my own words");
    assert_eq!(records[0].rule, "cancel");
}

async fn login(Json(login): Json<serde_json::Value>) -> StatusCode {
    if login["password"] == "secret" { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

#[tokio::test]
async fn a_failed_login_keeps_the_account_as_a_pseudonym_only() {
    let log = Log::new().await;
    let app = Router::new().route("/login", post(login)).layer(log.layer());
    for body in [r#"{"user":"ana","password":"no"}"#, r#"{"user":"bob","password":"no"}"#] {
        for _ in 0..2 {
            app.clone().oneshot(json("POST", "/login", body)).await.unwrap();
        }
    }
    let records = log.records().await;
    assert_eq!(records.len(), 4);
    for record in &records {
        assert_eq!((&*record.action, record.outcome), ("login_failed", Outcome::Denied));
        assert_eq!(record.category, Category::Authentication);
        let kept = serde_json::to_string(record).unwrap();
        assert!(!kept.contains("\"ana") && !kept.contains("bob"), "{kept}");
        assert!(record.entity_id.starts_with("p1."), "{}", record.entity_id);
        assert!(record.request_body.is_absent());
    }
    assert_eq!(records[0].entity_id, records[1].entity_id);
    assert_ne!(records[0].entity_id, records[2].entity_id);
    // A number is hashed too.
    let body = r#"{"phone":4915112345678,"password":"no"}"#;
    app.oneshot(json("POST", "/login", body)).await.unwrap();
    let record = log.records().await.pop().unwrap();
    assert!(record.entity_id.starts_with("p1."), "{}", record.entity_id);
    assert!(!serde_json::to_string(&record).unwrap().contains("4915112345678"));
}

#[tokio::test]
async fn the_account_of_a_form_is_found_too() {
    let log = Log::new().await;
    let app = Router::new()
        .route(
            "/login",
            post(|Form(_): Form<Vec<(String, String)>>| async { StatusCode::UNAUTHORIZED }),
        )
        .layer(log.layer());
    let request = Request::post("/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("username=ana+diaz%40x&password=no"))
        .unwrap();
    app.oneshot(request).await.unwrap();
    let record = log.only().await;
    assert!(record.entity_id.starts_with("p1."), "{}", record.entity_id);
}

#[tokio::test]
async fn a_route_that_no_rule_records_is_left_untouched() {
    let log =
        Log::with_toml("[[rule]]\nname = \"quiet\"\nroute = \"/health\"\nlevel = \"none\"\n").await;
    let app = Router::new()
        .route(
            "/health",
            post(|activity: Option<Activity>| async move { format!("{}", activity.is_some()) }),
        )
        .layer(log.layer());
    let response = app.oneshot(request("POST", "/health")).await.unwrap();
    assert_eq!(read(response).await, "false");
    assert!(log.records().await.is_empty());
}

#[tokio::test]
async fn the_status_decides_between_rules() {
    let log = Log::with_toml(
        r#"
        [[rule]]
        name = "refused"
        route = "/api/orders"
        status = ["403"]
        action = "create_refused"
        category = "administration"
        severity = 5
        [[rule]]
        name = "never mind"
        route = "/api/orders"
        status = ["4xx"]
        level = "none"
        "#,
    )
    .await;
    let app = Router::new()
        .route(
            "/api/orders",
            post(|headers: axum::http::HeaderMap| async move {
                headers["x-answer"].to_str().unwrap().parse::<StatusCode>().unwrap()
            }),
        )
        .layer(log.layer());
    for status in ["403", "400", "200"] {
        let mut request = request("POST", "/api/orders");
        request.headers_mut().insert("x-answer", status.parse().unwrap());
        app.clone().oneshot(request).await.unwrap();
    }
    let records = log.records().await;
    let found: Vec<_> = records.iter().map(|r| (&*r.rule, &*r.action, r.severity)).collect();
    assert_eq!(found, [("refused", "create_refused", 5), ("rest", "create", 1)]);
    assert_eq!(records[0].category, Category::Administration);
}

#[tokio::test]
async fn sessions_are_kept_as_keyed_hashes() {
    let log = Log::new().await;
    let app = Router::new().route("/api/orders", post(|| async {})).layer(
        log.layer()
            .tenant(|parts| Some(parts.headers.get("x-tenant")?.to_str().ok()?.to_owned()))
            .session(|parts| Some(parts.headers.get("x-session")?.to_str().ok()?.to_owned())),
    );
    for (tenant, session) in [("acme", "s-1"), ("acme", "s-1"), ("acme", "s-2"), ("other", "s-1")] {
        let mut request = request("POST", "/api/orders");
        request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
        request.headers_mut().insert("x-session", session.parse().unwrap());
        app.clone().oneshot(request).await.unwrap();
    }
    let records = log.records().await;
    assert_eq!(records[0].tenant_id, "acme");
    assert_eq!(records[0].session_id, records[1].session_id);
    assert_ne!(records[0].session_id, records[2].session_id);
    assert_ne!(records[0].session_id, records[3].session_id, "tenants cannot be joined");
    assert!(records.iter().all(|record| record.session_id.starts_with("p1.")));
}
