//! A request and what its handler records in a transaction, side by side.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{Request, StatusCode},
    routing::post,
};
use http_body_util::BodyExt as _;
use sqlx::SqlitePool;
use tower::ServiceExt as _;
use tower_activity::{
    Activity, ActivityLayer, Pipeline, Record, Recorder, access,
    query::{Filter, PageRequest},
    record::Origin,
    store::Read as _,
};

use super::{
    App,
    cases::{LONG, within},
};
use crate::Log;

async fn cancel(
    State((pool, recorder)): State<(SqlitePool, Recorder)>,
    Path((id, ends)): Path<(i64, String)>,
    activity: Activity,
) -> StatusCode {
    activity.actor("ana").tenant("acme");
    let mut transaction = pool.begin().await.unwrap();
    let record = activity.record().cancelled("order", &id.to_string());
    recorder.record_in(&mut transaction, record).await.unwrap();
    match &*ends {
        "commit" => transaction.commit().await.unwrap(),
        "commit-and-fail" => {
            transaction.commit().await.unwrap();
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        _ => return StatusCode::CONFLICT,
    }
    StatusCode::NO_CONTENT
}

async fn of(app: &App, request: &str) -> Vec<Record> {
    let filter = Filter::new().any_of("request_id", [request]).unwrap();
    let few = PageRequest { patience: LONG, ..PageRequest::newest(10) };
    app.log.records(&filter, &few).await.unwrap().records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_request_did_and_what_was_committed_carry_the_same_request_id() {
    let app = App::new(Log::Elsewhere).await;
    let pipeline = Pipeline::builder(app.log.clone()).outbox(app.outbox()).start().await.unwrap();
    let router = Router::new()
        .route("/orders/{id}/cancel/{ends}", post(cancel))
        .with_state((app.pool.clone(), pipeline.recorder()))
        .nest_service("/activity", pipeline.router(access::development()))
        .layer(ActivityLayer::new(pipeline.recorder()));
    for ends in ["commit", "commit-and-fail", "roll-back"] {
        let request = Request::post(format!("/orders/55/cancel/{ends}"))
            .header("x-request-id", ends)
            .header("user-agent", "test/1")
            .body(Body::empty())
            .unwrap();
        router.clone().oneshot(request).await.unwrap();
    }
    within(pipeline.flush()).await;

    for (request, outcome) in [("commit", "success"), ("commit-and-fail", "failure")] {
        let both = of(&app, request).await;
        let from = |origin| both.iter().find(|record| record.origin == origin).unwrap();
        let (asked, done) = (from(Origin::Request), from(Origin::Transaction));
        assert_eq!(both.len(), 2, "{request}");
        assert_eq!((asked.outcome.as_str(), done.outcome.as_str()), (outcome, "success"));
        assert_eq!((&*done.action, &*done.entity_id, &*done.actor_id), ("cancel", "55", "ana"));
        assert_eq!((&done.tenant_id, &done.route), (&asked.tenant_id, &asked.route));
        assert_eq!((&done.user_agent, &done.ip), (&asked.user_agent, &asked.ip));
    }
    let asked = of(&app, "roll-back").await;
    assert_eq!((asked.len(), asked[0].origin), (1, Origin::Request));

    let health = Request::get("/activity/health").header("host", "localhost");
    let mut health = health.body(Body::empty()).unwrap();
    let here: std::net::SocketAddr = "127.0.0.1:1".parse().unwrap();
    health.extensions_mut().insert(axum::extract::ConnectInfo(here));
    let health = router.oneshot(health).await.unwrap().into_body().collect().await.unwrap();
    let health: serde_json::Value = serde_json::from_slice(&health.to_bytes()).unwrap();
    let expected = serde_json::json!({
        "recorded": 3, "stored": 2, "quarantined": 0, "pending": 0, "oldest_ms": null
    });
    assert_eq!(health["outbox"], expected, "{health}");
    pipeline.shutdown(std::time::Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_record_of_a_detached_handle_says_nothing_of_a_request() {
    let record = Activity::detached().record().cancelled("order", "55");
    assert!(record.request_id.is_absent() && record.ip.is_none());
    assert_eq!((record.outcome.as_str(), &*record.action), ("success", "cancel"));
}
