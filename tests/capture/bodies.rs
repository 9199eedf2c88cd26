//! Bodies are copied as they pass, never collected, and never refused.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    http::{Request, StatusCode, header},
    response::Response,
    routing::{post, put},
};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_activity::record::Outcome;
use tower_http::compression::CompressionLayer;

use crate::support::{Log, Once, Step, json, next, read, request, stepped};

const BOTH: &str = r#"
[[rule]]
name = "all"
route = "/api/orders"
entity = "order"
action = "create"
level = "request_response"
max_request_body = 64
max_response_body = 64
"#;

#[tokio::test]
async fn frames_reach_the_handler_as_they_come() {
    let log = Log::with_toml(BOTH).await;
    let (steps, body) = stepped();
    let (seen, mut at) = tokio::sync::mpsc::unbounded_channel();
    let app = Router::new()
        .route(
            "/api/orders",
            post(async move |body: Body| {
                let mut frames = body.into_data_stream();
                while let Some(frame) = frames.next().await {
                    seen.send(frame.unwrap()).unwrap();
                }
            }),
        )
        .layer(log.layer());
    let request = Request::post("/api/orders")
        .header("content-type", "text/plain")
        .body(Body::new(body))
        .unwrap();
    let task = tokio::spawn(app.oneshot(request));
    for data in [&b"first "[..], b"second"] {
        steps.send(Step::Data(data)).unwrap();
        // Before the next one is even sent: nobody waits for the whole body.
        assert_eq!(at.recv().await.unwrap(), data);
    }
    drop(steps);
    task.await.unwrap().unwrap();
    let record = log.only().await;
    assert_eq!(record.request_body, "first second");
    assert_eq!(record.request_bytes, Some(12));
}

#[tokio::test]
async fn answers_reach_the_client_as_they_come() {
    let log = Log::with_toml(BOTH).await;
    let (steps, body) = stepped();
    let body = Once::new(body);
    let app = Router::new()
        .route(
            "/api/orders",
            post(async move || {
                Response::builder()
                    .header("content-type", "text/plain")
                    .body(Body::new(body.take()))
                    .unwrap()
            }),
        )
        .layer(log.layer());
    let mut body = app.oneshot(request("POST", "/api/orders")).await.unwrap().into_body();
    for data in [&b"one "[..], b"two"] {
        steps.send(Step::Data(data)).unwrap();
        assert_eq!(next(&mut body).await.unwrap(), data);
    }
    drop(steps);
    assert_eq!(next(&mut body).await, None);
    assert_eq!(log.only().await.response_body, "one two");
}

#[tokio::test]
async fn a_large_body_is_cut_in_the_record_and_whole_for_the_handler() {
    let log = Log::with_toml(BOTH).await;
    let app = Router::new()
        .route("/api/orders", post(async |body: Bytes| format!("{}", body.len())))
        .layer(DefaultBodyLimit::disable())
        .layer(log.layer());
    let large = format!("{{\"note\":\"{}\"}}", "x".repeat(5_000_000));
    let response = app.oneshot(json("POST", "/api/orders", &large)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "never a 413 of our making");
    assert_eq!(read(response).await, large.len().to_string());
    let record = log.only().await;
    assert!(record.request_body.len() <= 128, "{}", record.request_body);
    assert!(record.request_body.starts_with("{\"note\":\"xxx"));
    assert_eq!(record.request_bytes, i64::try_from(large.len()).ok());
}

#[tokio::test]
async fn a_limit_of_the_application_stays_its_own() {
    let log = Log::with_toml(BOTH).await;
    let app = Router::new()
        .route("/api/orders", post(async |_: Bytes| ()))
        .layer(DefaultBodyLimit::max(10))
        .layer(log.layer());
    let response = app.oneshot(json("POST", "/api/orders", &"x".repeat(1_000))).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    read(response).await;
    assert_eq!(log.only().await.status, Some(413));
}

#[tokio::test]
async fn an_error_below_the_layer_is_found_by_its_type_above() {
    // Servers decide between 400 and 413 by the type of the error: the layer adds no box around it.
    let log = Log::with_toml(BOTH).await;
    let app = Router::new()
        .route(
            "/api/orders",
            post(async |body: Body| {
                let error = body.collect().await.unwrap_err().into_inner();
                error.is::<http_body_util::LengthLimitError>().to_string()
            }),
        )
        .layer(log.layer());
    let limited = http_body_util::Limited::new(Body::from("x".repeat(1_000)), 10);
    let request = Request::post("/api/orders").body(Body::new(limited)).unwrap();
    assert_eq!(read(app.oneshot(request).await.unwrap()).await, "true");
}

#[tokio::test]
async fn an_unread_body_is_an_empty_capture() {
    let log = Log::with_toml(BOTH).await;
    let app = Router::new().route("/api/orders", post(async || ())).layer(log.layer());
    app.oneshot(json("POST", "/api/orders", "{\"a\":1}")).await.unwrap();
    let record = log.only().await;
    assert!(record.request_body.is_absent());
    assert_eq!(record.request_bytes, Some(0));
}

#[tokio::test]
async fn the_announced_length_is_not_the_number_of_bytes() {
    let log = Log::new().await;
    let (steps, body) = stepped();
    let app = Router::new()
        .route(
            "/api/orders",
            post(async |body: Body| {
                let mut frames = body.into_data_stream();
                frames.next().await;
                StatusCode::BAD_REQUEST
            }),
        )
        .layer(log.layer());
    steps.send(Step::Data(b"12345")).unwrap();
    let request = Request::post("/api/orders")
        .header(header::CONTENT_LENGTH, "1000000")
        .body(Body::new(body))
        .unwrap();
    app.oneshot(request).await.unwrap();
    assert_eq!(log.only().await.request_bytes, Some(5));
}

#[tokio::test]
async fn bodies_are_redacted_by_their_type_and_unknown_ones_are_not_kept() {
    let log = Log::with_toml(
        "[[rule]]\nname = \"all\"\nroute = \"/api/**\"\nlevel = \"request_response\"\nredact = [\"pet_name\"]\n",
    )
    .await;
    let app = Router::new()
        .route(
            "/api/echo",
            post(async |request: Request<Body>| {
                let content_type = request.headers()[header::CONTENT_TYPE].clone();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                ([(header::CONTENT_TYPE, content_type)], body)
            }),
        )
        .layer(log.layer());
    let sent = [
        ("application/json", r#"{"user":"ana","password":"hunter2","petName":"Rex"}"#),
        ("application/x-www-form-urlencoded", "user=ana&password=hunter2"),
        ("text/plain; charset=utf-8", "login with password=hunter2"),
        ("application/octet-stream", "hunter2"),
        ("multipart/form-data; boundary=x", "hunter2"),
    ];
    for (content_type, body) in sent {
        let request = Request::post("/api/echo")
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(body))
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(read(response).await, body, "the client gets it untouched");
    }
    let records = log.records().await;
    assert_eq!(records.len(), sent.len());
    for (record, (content_type, body)) in records.iter().zip(sent) {
        let kept = serde_json::to_string(record).unwrap();
        assert!(!kept.contains("hunter2") && !kept.contains("Rex"), "{content_type}: {kept}");
        assert_eq!(record.request_bytes, i64::try_from(body.len()).ok());
        assert_eq!(record.response_bytes, i64::try_from(body.len()).ok());
    }
    for record in &records[..2] {
        assert!(record.request_body.contains("ana") && record.response_body.contains("ana"));
        assert!(!record.redactions.is_absent());
    }
    for record in &records[3..] {
        assert!(record.request_body.is_absent() && record.response_body.is_absent());
    }
}

#[tokio::test]
async fn the_place_of_the_layer_decides_which_size_it_sees() {
    let text = "compress me ".repeat(20_000);
    let size = i64::try_from(text.len()).unwrap();
    let app = |text: String| Router::new().route("/api/orders", post(async move || text));
    let send = |app: Router| async {
        let mut request = request("POST", "/api/orders");
        request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        i64::try_from(read(response).await.len()).unwrap()
    };
    let log = Log::new().await;
    send(app(text.clone()).layer(log.layer()).layer(CompressionLayer::new())).await;
    assert_eq!(log.only().await.response_bytes, Some(size), "inside: as the handler wrote it");
    let log = Log::new().await;
    let sent = send(app(text).layer(CompressionLayer::new()).layer(log.layer())).await;
    assert_eq!(log.only().await.response_bytes, Some(sent), "outside: as it went out");
    assert!(sent < size / 10);
}

#[tokio::test]
async fn the_id_of_a_created_thing_is_found_and_the_answer_is_not_kept() {
    let log = Log::new().await;
    let answer = |body: &'static str| {
        post(async move || {
            (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body)
        })
    };
    let app = Router::new()
        .route("/api/orders", answer(r#"{"total":3,"id":55}"#))
        .route("/api/products", answer(r#"{"data":{"id":"p-9"}}"#))
        .route(
            "/api/users",
            post(async || (StatusCode::CREATED, [(header::LOCATION, "/api/users/ana%20b")])),
        )
        .layer(log.layer());
    for path in ["/api/orders", "/api/products", "/api/users"] {
        read(app.clone().oneshot(request("POST", path)).await.unwrap()).await;
    }
    let records = log.records().await;
    let ids: Vec<_> = records.iter().map(|record| &*record.entity_id).collect();
    assert_eq!(ids, ["55", "p-9", "ana b"]);
    assert!(records.iter().all(|record| record.response_body.is_absent()));
    assert!(records.iter().all(|record| record.outcome == Outcome::Success));
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_cut_gives_no_id() {
    let log = Log::new().await;
    let long = format!(r#"{{"note":"{}","id":55}}"#, "x".repeat(20_000));
    let (steps, body) = stepped();
    let body = Once::new(body);
    let app = Router::new()
        .route(
            "/api/orders",
            post(async move || {
                (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], long)
            }),
        )
        .route(
            "/api/products",
            post(async move || {
                (
                    StatusCode::CREATED,
                    [(header::CONTENT_TYPE, "application/json")],
                    Body::new(body.take()),
                )
            }),
        )
        .layer(log.layer());
    read(app.clone().oneshot(request("POST", "/api/orders")).await.unwrap()).await;
    let response = app.oneshot(request("POST", "/api/products")).await.unwrap();
    steps.send(Step::Data(br#"{"id":55}"#)).unwrap();
    let mut body = response.into_body();
    next(&mut body).await.unwrap();
    drop(body);
    let records = log.records().await;
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.entity_id.is_absent()));
}

#[tokio::test]
async fn ids_by_pointer_come_from_the_bodies() {
    let log = Log::with_toml(
        r#"
        [[rule]]
        name = "transfer"
        route = "/api/transfers"
        entity = "account"
        action = "transfer"
        entity_id = "request:/from/account"
        [[rule]]
        name = "import"
        route = "/api/imports"
        entity = "import"
        action = "start"
        entity_id = "response:/job/0/id"
        "#,
    )
    .await;
    let app = Router::new()
        .route("/api/transfers", put(async |_: Bytes| ()))
        .route(
            "/api/imports",
            post(async || ([(header::CONTENT_TYPE, "application/json")], r#"{"job":[{"id":7}]}"#)),
        )
        .layer(log.layer());
    let body = r#"{"from":{"account":"A-1"},"to":"B"}"#;
    app.clone().oneshot(json("PUT", "/api/transfers", body)).await.unwrap();
    read(app.oneshot(request("POST", "/api/imports")).await.unwrap()).await;
    let records = log.records().await;
    assert_eq!(records[0].entity_id, "A-1");
    assert_eq!(records[1].entity_id, "7");
    assert!(records.iter().all(|record| record.request_body.is_absent()));
}
