//! Where the actor comes from, and how late it may be told.

use axum::{
    Extension, Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use tokio::sync::oneshot;
use tower::ServiceExt as _;
use tower_activity::{
    capture::{Activity, TooLate},
    record::{Actor, ActorType, Outcome},
};

use crate::support::{Log, Once, Step, next, read, request, stepped};

async fn authenticate(request: Request, next: Next) -> Response {
    let Some(activity) = request.extensions().get::<Activity>().cloned() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let Some(name) = request.headers().get("x-user").and_then(|name| name.to_str().ok()) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    activity.actor(Actor::user(name).named("Ana Diaz")).auth_method("token");
    next.run(request).await
}

fn with_user(mut request: axum::http::Request<axum::body::Body>) -> Request {
    request.headers_mut().insert("x-user", "ana".parse().unwrap());
    request
}

#[tokio::test]
async fn an_inner_layer_tells_the_handle_and_refusals_are_seen_too() {
    let log = Log::new().await;
    let app = Router::new()
        .route("/api/orders", get(|| async {}).post(|| async {}))
        .layer(from_fn(authenticate))
        .layer(log.layer());
    app.clone().oneshot(with_user(request("POST", "/api/orders"))).await.unwrap();
    app.clone().oneshot(request("POST", "/api/orders")).await.unwrap();
    app.clone().oneshot(request("GET", "/api/orders")).await.unwrap();
    app.oneshot(with_user(request("GET", "/api/orders"))).await.unwrap();
    let records = log.records().await;
    assert_eq!(records.len(), 3, "the read that was served is not recorded");
    assert_eq!((&*records[0].actor_id, &*records[0].actor_name), ("ana", "Ana Diaz"));
    assert_eq!(records[0].actor_type, ActorType::User);
    assert_eq!(records[0].auth_method, "token");
    for refused in &records[1..] {
        assert_eq!((refused.actor_type, refused.outcome), (ActorType::Anonymous, Outcome::Denied));
    }
}

#[tokio::test]
async fn the_sources_of_the_actor_have_an_order() {
    let log = Log::new().await;
    let app = Router::new()
        .route("/resolver", post(|| async {}))
        .route("/response", post(|| async { Extension(Actor::user("response")) }))
        .route(
            "/handle",
            post(|activity: Activity| async move {
                activity.actor(Actor::user("handle"));
                Extension(Actor::user("response"))
            }),
        )
        .layer(log.layer().actor(|parts| {
            parts.headers.contains_key("x-key").then(|| Actor::api_key("resolver"))
        }));
    for path in ["/resolver", "/response", "/handle"] {
        let mut request = request("POST", path);
        request.headers_mut().insert("x-key", "1".parse().unwrap());
        app.clone().oneshot(request).await.unwrap();
    }
    let mut outer = request("POST", "/resolver");
    outer.extensions_mut().insert(Actor::user("request"));
    app.oneshot(outer).await.unwrap();
    let actors: Vec<_> =
        log.records().await.iter().map(|record| record.actor_id.to_string()).collect();
    assert_eq!(actors, ["resolver", "response", "handle", "request"]);
}

#[tokio::test]
async fn the_handle_works_in_a_spawned_task() {
    let log = Log::new().await;
    let app = Router::new()
        .route(
            "/api/orders",
            post(|activity: Activity| async move {
                tokio::spawn(async move {
                    activity.actor("ana");
                })
                .await
                .unwrap();
            }),
        )
        .layer(log.layer());
    app.oneshot(request("POST", "/api/orders")).await.unwrap();
    assert_eq!(log.only().await.actor_id, "ana");
}

#[tokio::test]
async fn the_handle_works_while_a_body_streams_and_says_when_it_is_too_late() {
    let log = Log::new().await;
    let (steps, body) = stepped();
    let (give, take) = oneshot::channel();
    let (give, answer) = (Once::new(give), Once::new(body));
    let app = Router::new()
        .route(
            "/api/reports",
            post(async move |activity: Activity| {
                give.take().send(activity).unwrap();
                axum::body::Body::new(answer.take())
            }),
        )
        .layer(log.layer());
    let response = app.oneshot(request("POST", "/api/reports")).await.unwrap();
    let activity = take.await.unwrap();
    let mut body = response.into_body();
    steps.send(Step::Data(b"first")).unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "first");
    activity.metadata("rows", 17).entity("report", 9);
    assert_eq!(activity.check(), Ok(()));
    drop(steps);
    assert_eq!(next(&mut body).await, None);
    assert_eq!(activity.check(), Err(TooLate));
    activity.entity_id("late").changes(&1, &2).discard();
    let record = log.only().await;
    assert_eq!((&*record.entity_type, &*record.entity_id), ("report", "9"));
    assert_eq!(record.metadata.as_str(), r#"{"rows":17}"#);
    assert!(record.changes.is_absent());
}

#[tokio::test]
async fn a_handle_that_outlives_its_request_never_reaches_into_another() {
    let log = Log::new().await;
    let (give, mut take) = tokio::sync::mpsc::unbounded_channel();
    let app = Router::new()
        .route(
            "/api/orders",
            post(async move |activity: Activity| {
                give.send(activity).unwrap();
            }),
        )
        .layer(log.layer());
    app.clone().oneshot(request("POST", "/api/orders")).await.unwrap();
    let old = take.recv().await.unwrap();
    for _ in 0..3 {
        app.clone().oneshot(request("POST", "/api/orders")).await.unwrap();
        old.actor("mallory");
    }
    let records = log.records().await;
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|record| record.actor_id.is_absent()));
}

#[tokio::test]
async fn without_a_layer_the_handle_is_detached_and_nothing_fails() {
    let app = Router::new().route(
        "/a",
        post(|activity: Activity, maybe: Option<Activity>| async move {
            activity.actor("ana").entity("order", 5);
            assert_eq!(activity.check(), Ok(()));
            (StatusCode::OK, format!("{}", maybe.is_some()))
        }),
    );
    let response = app.oneshot(request("POST", "/a")).await.unwrap();
    assert_eq!(read(response).await, "false");
}

#[tokio::test]
async fn a_handler_adds_what_only_it_knows() {
    let log = Log::new().await;
    let app = Router::new()
        .route(
            "/api/orders/{id}",
            axum::routing::put(|activity: Activity| async move {
                activity
                    .entity_name("Order of May")
                    .action("approve")
                    .reason("ticket 9")
                    .description("approved by hand")
                    .impersonator(Actor::user("root").named("Root"))
                    .tenant("acme")
                    .org(7)
                    .channel("sales")
                    .correlation_id("c-1")
                    .session("raw-session")
                    .subject("customer-3")
                    .target("invoice", 12, "created")
                    .named_target("user", "bob", "Bob \"B\"", "approver")
                    .metadata("total", 12.5)
                    .metadata("password", "hunter2")
                    .outcome(Outcome::Denied)
                    .outcome_reason("four_eyes")
                    .changes(
                        &serde_json::json!({"status": "open", "password": "a"}),
                        &serde_json::json!({"status": "approved", "password": "b"}),
                    );
            }),
        )
        .layer(log.layer());
    app.oneshot(request("PUT", "/api/orders/55")).await.unwrap();
    let record = log.only().await;
    assert_eq!((&*record.entity_id, &*record.entity_name), ("55", "Order of May"));
    assert_eq!((&*record.action, &*record.reason), ("approve", "ticket 9"));
    assert_eq!((record.outcome, &*record.outcome_reason), (Outcome::Denied, "four_eyes"));
    assert_eq!((&*record.impersonator_id, &*record.impersonator_name), ("root", "Root"));
    assert_eq!((&*record.tenant_id, &*record.org_id, &*record.channel), ("acme", "7", "sales"));
    assert_eq!(record.correlation_id, "c-1");
    assert_eq!(record.subject_ids.as_str(), r#"["customer-3"]"#);
    assert_eq!(
        record.targets.as_str(),
        r#"[{"type":"invoice","id":"12","relation":"created"},{"type":"user","id":"bob","name":"Bob \"B\"","relation":"approver"}]"#
    );
    assert!(record.session_id.len() > 20 && !record.session_id.contains("raw-session"));
    assert!(record.changes.as_str().contains(r#""path":"/status","old":"open","new":"approved""#));
    let everything = serde_json::to_string(&record).unwrap();
    assert!(!everything.contains("hunter2"), "{everything}");
    assert!(record.changes.as_str().contains("/password"));
}

#[tokio::test]
async fn a_discarded_request_is_not_recorded() {
    let log = Log::new().await;
    let app = Router::new()
        .route(
            "/api/orders",
            post(|activity: Activity| async move {
                activity.discard();
            }),
        )
        .layer(log.layer());
    app.oneshot(request("POST", "/api/orders")).await.unwrap();
    assert!(log.records().await.is_empty());
}
