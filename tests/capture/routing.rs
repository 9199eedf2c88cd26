//! Route templates, raw paths, and where a layer stands.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_activity::{
    capture::Unrecorded,
    rules::{Rule, Rules, UNMATCHED},
};

use crate::support::{Log, request};

async fn send(app: Router, method: &str, uri: &str) -> StatusCode {
    app.oneshot(request(method, uri)).await.unwrap().status()
}

#[tokio::test]
async fn template_and_raw_path_are_kept_apart() {
    let log = Log::new().await;
    let app = Router::new().route("/api/orders/{id}", put(|| async {})).layer(log.layer());
    send(app, "PUT", "/api/orders/55?x=1").await;
    let record = log.only().await;
    assert_eq!(record.route, "/api/orders/{id}");
    assert_eq!(record.path, "/api/orders/55");
    assert!(record.query.is_absent(), "query strings are off by default");
    assert_eq!(
        (&*record.entity_type, &*record.action, &*record.entity_id),
        ("order", "update", "55")
    );
}

#[tokio::test]
async fn nested_routers_give_the_whole_template_and_the_original_path() {
    let log = Log::new().await;
    let inner = Router::new().route("/{id}/cancel", post(|| async {}));
    let middle = Router::new().nest("/orders", inner);
    let app = Router::new().nest("/api", middle).layer(log.layer());
    send(app, "POST", "/api/orders/55/cancel").await;
    let record = log.only().await;
    assert_eq!(record.route, "/api/orders/{id}/cancel");
    assert_eq!(record.path, "/api/orders/55/cancel");
    assert_eq!((&*record.action, &*record.entity_id), ("cancel", "55"));
}

#[tokio::test]
async fn a_layer_inside_a_nested_router_sees_the_original_path() {
    let log = Log::new().await;
    let inner = Router::new().route("/{id}", put(|| async {})).layer(log.layer());
    let app = Router::new().nest("/api/orders", inner);
    send(app, "PUT", "/api/orders/55").await;
    let record = log.only().await;
    assert_eq!((&*record.route, &*record.path), ("/api/orders/{id}", "/api/orders/55"));
}

#[tokio::test]
async fn a_nested_service_keeps_the_path_and_has_no_template_of_its_own() {
    let log = Log::new().await;
    let service =
        service_fn(|_: Request| async { Ok::<_, std::convert::Infallible>(().into_response()) });
    let app = Router::new().nest_service("/files", service).layer(log.layer());
    send(app, "POST", "/files/a/b").await;
    let record = log.only().await;
    assert_eq!(record.path, "/files/a/b");
    assert!(record.route == UNMATCHED || record.route.starts_with("/files"), "{}", record.route);
}

#[tokio::test]
async fn an_unmatched_request_has_the_sentinel_as_its_route() {
    let log = Log::new().await;
    let app = Router::new().route("/a", get(|| async {})).layer(log.layer());
    assert_eq!(send(app, "POST", "/nowhere/55").await, StatusCode::NOT_FOUND);
    let record = log.only().await;
    assert_eq!((&*record.route, &*record.path), (UNMATCHED, "/nowhere/55"));
    assert_eq!(record.status, Some(404));
}

#[tokio::test]
async fn a_layer_around_the_whole_router_asks_the_rules_for_the_template() {
    let log = Log::with_toml(
        r#"
        [[rule]]
        name = "orders"
        route = "/api/orders/{id}"
        methods = ["PUT"]
        entity = "order"
        action = "replace"
        entity_id = "{id}"
        "#,
    )
    .await;
    let app = Router::new()
        .route("/api/orders/{id}", put(|| async {}))
        .route("/api/things/{id}", put(|| async {}));
    let outside = ServiceBuilder::new().layer(log.layer()).service(app);
    outside.clone().oneshot(request("PUT", "/api/orders/55")).await.unwrap();
    outside.oneshot(request("PUT", "/api/things/1")).await.unwrap();
    let records = log.records().await;
    assert_eq!((&*records[0].route, &*records[0].entity_id), ("/api/orders/{id}", "55"));
    assert_eq!(&*records[1].route, UNMATCHED);
}

#[tokio::test]
async fn a_layer_inside_another_adds_its_route_and_makes_no_second_record() {
    let log = Log::new().await;
    let app = Router::new().route("/api/orders/{id}", put(|| async {})).layer(log.layer());
    let outside = ServiceBuilder::new().layer(log.layer()).service(app);
    outside.oneshot(request("PUT", "/api/orders/55")).await.unwrap();
    let record = log.only().await;
    assert_eq!(record.route, "/api/orders/{id}");
    assert_eq!((&*record.action, &*record.entity_id), ("update", "55"));
}

#[tokio::test]
async fn a_route_layer_misses_what_no_route_matched() {
    let log = Log::new().await;
    let app = Router::new().route("/a", post(|| async {})).route_layer(log.layer());
    send(app.clone(), "POST", "/nowhere").await;
    assert!(log.records().await.is_empty());
    send(app, "POST", "/a").await;
    assert_eq!(log.only().await.route, "/a");
}

#[tokio::test]
async fn what_is_added_after_the_layer_escapes_it() {
    let log = Log::new().await;
    let app = Router::new()
        .route("/before", post(|| async {}))
        .layer(log.layer())
        .route("/after", post(|| async {}))
        .fallback(|| async { StatusCode::IM_A_TEAPOT });
    send(app.clone(), "POST", "/after").await;
    send(app.clone(), "POST", "/nowhere").await;
    assert!(log.records().await.is_empty());
    send(app, "POST", "/before").await;
    assert_eq!(log.records().await.len(), 1);
}

#[tokio::test]
async fn a_fallback_added_before_the_layer_is_inside_it() {
    let log = Log::new().await;
    let app = Router::new().fallback(|| async { StatusCode::NOT_FOUND }).layer(log.layer());
    send(app, "POST", "/nowhere").await;
    assert_eq!(log.only().await.status, Some(404));
}

#[tokio::test]
async fn words_in_a_path_hide_nothing() {
    let log = Log::with_toml(
        r#"
        [[rule]]
        name = "probes"
        route = "/status"
        level = "none"
        "#,
    )
    .await;
    let app = Router::new()
        .route("/status", post(|| async {}))
        .route("/orders/{id}/status", post(|| async {}))
        .layer(log.layer());
    send(app.clone(), "POST", "/status").await;
    send(app, "POST", "/orders/1/status").await;
    assert_eq!(log.only().await.route, "/orders/{id}/status");
}

async fn refuse(_request: Request, _next: Next) -> Response {
    StatusCode::UNAUTHORIZED.into_response()
}

#[tokio::test]
async fn the_layer_goes_last_in_a_router_and_first_in_a_service_builder() {
    let log = Log::new().await;
    let routes = || Router::new().route("/api/orders", post(|| async {}));

    let wrong = routes().layer(log.layer()).layer(from_fn(refuse));
    assert_eq!(send(wrong, "POST", "/api/orders").await, StatusCode::UNAUTHORIZED);
    assert!(log.records().await.is_empty(), "authentication outside hides its refusals");

    let last = routes().layer(from_fn(refuse)).layer(log.layer());
    send(last, "POST", "/api/orders").await;
    let first = routes().layer(ServiceBuilder::new().layer(log.layer()).layer(from_fn(refuse)));
    send(first, "POST", "/api/orders").await;
    let records = log.records().await;
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.status == Some(401)));
}

#[tokio::test]
async fn an_answer_that_is_marked_is_not_recorded() {
    let log = Log::new().await;
    let answer = || async { (axum::Extension(Unrecorded), "the log itself").into_response() };
    let app = Router::new().route("/activity/export", post(answer)).layer(log.layer());
    assert_eq!(send(app, "POST", "/activity/export").await, StatusCode::OK);
    assert!(log.records().await.is_empty());
}

/// One header of the client's is not enough to slip past a rule.
#[tokio::test]
async fn a_route_that_the_rules_know_stays_what_it_is_under_any_content_type() {
    let rules = Rules::none()
        .rule(Rule::new("orders").route("/orders/{id}").methods(["DELETE"]).entity("order"));
    let log = Log::with(rules).await;
    let service =
        ServiceBuilder::new().layer(log.layer()).service(service_fn(async |_: Request| {
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }));
    let mut request = request("DELETE", "/orders/55");
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    service.oneshot(request).await.unwrap();
    let record = log.only().await;
    assert_eq!((&*record.route, &*record.rule), ("/orders/{id}", "orders"));
    assert_eq!((&*record.action, &*record.entity_id), ("delete", "55"));
}
