//! What goes wrong is told as a problem, whatever it is.

use hyper::Method;

use crate::support::{Fixture, Service};

on_every_store! {
    whatever_is_not_there_is_a_problem,
    a_wrong_method_is_told_the_right_ones,
    broken_addresses_are_refused,
}

async fn whatever_is_not_there_is_a_problem<F: Fixture>() {
    let service = Service::<F>::start().await;
    for path in ["nothing", "records/a/b/c", "entities/order", "actors", "entities", "sessions/"] {
        let problem = service.get(&format!("/activity/{path}")).await.problem(404);
        assert_eq!(problem["type"], "urn:tower-activity:problem:not-found", "{path}");
        assert_eq!(problem["status"], 404);
    }
    service.stop().await;
}

async fn a_wrong_method_is_told_the_right_ones<F: Fixture>() {
    let service = Service::<F>::start().await;
    let caller = [("x-test-caller", "admin")];
    for path in ["records/1", "entities/order/1", "actors/1", "sessions/1"] {
        for method in [Method::DELETE, Method::PUT, Method::PATCH] {
            let answer = service.send(method, &format!("/activity/{path}"), &caller, "").await;
            answer.problem(405);
            assert_eq!(answer.headers["allow"], "GET,HEAD", "{path}");
        }
        let head = service.send(Method::HEAD, &format!("/activity/{path}"), &caller, "").await;
        assert!(head.body.is_empty());
    }
    service.stop().await;
}

async fn broken_addresses_are_refused<F: Fixture>() {
    let service = Service::<F>::start().await;
    for path in [
        "records?action=%",
        "records?action=%zz",
        "records?action=%ff",
        "records?%C3%28=1",
        "actors/%ff",
        "entities/order/%C3%28",
        "records/%ff",
    ] {
        service.get(&format!("/activity/{path}")).await.problem(400);
    }
    let long = format!("/activity/records?action={}", "a".repeat(20_000));
    service.get(&long).await.problem(414);
    let many = format!("/activity/records?{}", "action=a&".repeat(300));
    service.get(&many).await.problem(400);
    service.stop().await;
}

/// A table that somebody else has locked is a database that hangs.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_one_that_is_away() {
    use std::time::Duration;

    use axum::Router;
    use tokio::time::timeout;

    use crate::{server::Database, support::by_header};

    let service = Service::<Database>::set_up(
        |pipeline| pipeline.call_deadline(Duration::from_millis(700)),
        |pipeline| Router::new().nest("/activity", pipeline.router(by_header())),
    )
    .await;
    // The deadline is one that a machine may miss which stalls; then the question is asked again.
    let answers = async || {
        let asking = async { while service.get("/activity/records").await.status != 200 {} };
        timeout(Duration::from_secs(120), asking).await.expect("it answers");
    };
    answers().await;
    let mut locking = service.fixture.connect().await;
    let lock =
        "BEGIN; LOCK TABLE activity.records, activity.ledger_entries IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut locking).await.unwrap();
    let id = "01977c51-4c00-7000-8000-000000000001";
    for path in ["records", "actors/ana", "stats", "facets", &format!("records/{id}")] {
        let path = format!("/activity/{path}");
        let answer = timeout(Duration::from_secs(120), service.get(&path)).await.expect(&path);
        let problem = answer.problem(503);
        assert_eq!(answer.headers["retry-after"], "5");
        assert_eq!(problem["type"], "urn:tower-activity:problem:store-unavailable");
        let words = answer.text().to_lowercase();
        assert!(
            !["lock", "sql", "postgres", "relation", "timeout"].iter().any(|w| words.contains(w))
        );
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
    answers().await;
    service.stop().await;
}
