//! Who is let in, and how far.

use axum::Router;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::{Method, header};
use tower_activity::{
    Pipeline,
    access::{self, Access, Login, Password, Permissions},
    record::{Actor, Outcome, Record},
};

use crate::support::{Answer, Fixture, InMemory, Service, by_header};

on_every_store! {
    a_tenants_reader_finds_nothing_of_another_tenant_by_any_address,
    what_somebody_may_not_read_is_not_there,
}

fn open<A: Access>(access: A) -> impl FnOnce(&Pipeline) -> Router {
    move |pipeline| Router::new().nest("/activity", pipeline.router(access))
}

fn logins() -> impl Access {
    let plain = |password| Password::plain(password).unwrap();
    access::basic([
        Login::new("guest", plain("look around"), Permissions::viewer()).tenant("t1"),
        Login::new("ana", plain("take it away"), Permissions::admin()),
    ])
    .unwrap()
}

async fn as_user<F: Fixture>(service: &Service<F>, login: &str, path: &str) -> Answer {
    let credentials = format!("Basic {}", BASE64_STANDARD.encode(login));
    service.send(Method::GET, path, &[("authorization", &credentials)], "").await
}

fn cancelled(order: &str, tenant: &str) -> Record {
    let mut record = Record::by(Actor::user("ana")).cancelled("order", order);
    record.tenant_id.set(tenant);
    record
}

async fn a_tenants_reader_finds_nothing_of_another_tenant_by_any_address<F: Fixture>() {
    let service = Service::<F>::start().await;
    for tenant in ["t1", "t2"] {
        service.pipeline.recorder().record(cancelled("55", tenant));
    }
    service.pipeline.flush().await;
    let reader = "eve logs.actions.view,logs.auth.view,logs.configure t1";
    let all = service.get("/activity/records?action=cancel").await.json();
    for record in all["records"].as_array().unwrap() {
        let path = format!("/activity/records/{}", record["id"].as_str().unwrap());
        let status = service.get_as(reader, &path).await.status.as_u16();
        assert_eq!(status, if record["tenant_id"] == "t1" { 200 } else { 404 });
    }
    for path in [
        "/activity/records",
        "/activity/records?tenant_id=t2",
        "/activity/records?tenant_id=t1,t2&action=cancel",
        "/activity/entities/order/55",
        "/activity/actors/ana",
    ] {
        let found = service.get_as(reader, path).await.json();
        for record in found["records"].as_array().unwrap() {
            assert_eq!(record["tenant_id"], "t1", "{path}: {record}");
        }
    }
    // Who looked belongs to his tenant too: others do not learn of it.
    service.pipeline.flush().await;
    let other = "bob logs.configure t2";
    let views = service.get_as(other, "/activity/records?action=log_viewed").await.json();
    assert_eq!(views["records"].as_array().unwrap().len(), 0, "{views}");
    service.stop().await;
}

async fn what_somebody_may_not_read_is_not_there<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.pipeline.recorder().record(cancelled("55", ""));
    service.get("/activity/records").await.json();
    service.pipeline.flush().await;
    let all = service.get("/activity/records").await.json();
    let views = all["records"].as_array().unwrap();
    let view = views.iter().find(|record| record["action"] == "log_viewed").unwrap();
    let path = format!("/activity/records/{}", view["id"].as_str().unwrap());
    service.get_as("eve logs.actions.view", &path).await.problem(404);
    service.get_as("eve logs.configure", &path).await.json();
    let seen = service.get_as("eve logs.actions.view", "/activity/records").await.json();
    let seen = seen["records"].as_array().unwrap();
    assert!(seen.iter().all(|record| record["category"] == "activity"), "{seen:?}");
    service.get_as("eve logs.export", "/activity/records").await.problem(403);
    service.stop().await;
}

#[tokio::test]
async fn without_an_access_part_everybody_is_refused_and_told_how_to_open_it() {
    let service = Service::<InMemory>::with(open(())).await;
    for path in ["/records", "/records/1", "/entities/order/1", "/actors/1", "/sessions/1"] {
        let problem = service.get(&format!("/activity{path}")).await.problem(403);
        assert!(problem["detail"].as_str().unwrap().contains("access::from_fn"), "{problem}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_name_and_its_password_open_as_much_as_they_are_for() {
    let service = Service::<InMemory>::with(open(logins())).await;
    service.pipeline.recorder().record(cancelled("55", "t1"));
    service.pipeline.recorder().record(cancelled("56", "t2"));
    service.pipeline.flush().await;

    let asked = service.send(Method::GET, "/activity/records", &[], "").await;
    asked.problem(401);
    let challenge = r#"Basic realm="activity", charset="UTF-8""#;
    assert_eq!(asked.headers[header::WWW_AUTHENTICATE], challenge);

    let path = "/activity/records?action=cancel";
    let count = |answer: Answer| answer.json()["records"].as_array().unwrap().len();
    assert_eq!(count(as_user(&service, "guest:look around", path).await), 1);
    assert_eq!(count(as_user(&service, "ana:take it away", path).await), 2);
    for login in ["guest:take it away", "ana:", "bob:look around", ":", "ana", "ANA:take it away"] {
        let refused = as_user(&service, login, path).await;
        // One answer for all: which part was wrong is not told.
        assert_eq!(refused.problem(401), asked.problem(401), "{login}");
    }
    service.pipeline.flush().await;
    let refused = |record: &Record| record.outcome == Outcome::Denied;
    let records = service.store.all();
    assert!(records.iter().any(refused), "attempts are records");
    assert!(!records.iter().any(|record| format!("{record:?}").contains("look around")));
    service.stop().await;
}

#[tokio::test]
async fn a_second_part_is_asked_where_the_first_knows_nobody() {
    let service = Service::<InMemory>::with(open(logins().or(by_header()))).await;
    service.get("/activity/records").await.json();
    as_user(&service, "ana:take it away", "/activity/records").await.json();
    let asked = service.send(Method::GET, "/activity/records", &[], "").await;
    let detail = asked.problem(401)["detail"].to_string();
    assert!(detail.contains("password") && detail.contains("who are you"), "{detail}");
    assert!(asked.headers.contains_key(header::WWW_AUTHENTICATE));
    service.stop().await;
}

#[tokio::test]
async fn for_development_a_page_that_rebinds_its_name_gets_nothing() {
    let service = Service::<InMemory>::with(open(access::development())).await;
    let get = |headers: &'static [(&'static str, &'static str)]| {
        service.send(Method::GET, "/activity/records", headers, "")
    };
    get(&[]).await.json();
    get(&[("host", "localhost:3000")]).await.json();
    let problem = get(&[("host", "rebound.evil.example:3000")]).await.problem(403);
    assert!(problem["detail"].as_str().unwrap().contains("localhost"), "{problem}");
    get(&[("x-forwarded-for", "192.0.2.7")]).await.problem(403);
    service.stop().await;
}

#[tokio::test]
async fn pages_of_others_may_not_act() {
    let service = Service::<InMemory>::with(|pipeline| {
        let api = pipeline.api(by_header()).allow_origin("https://admin.example");
        Router::new().nest("/activity", api.into_router())
    })
    .await;
    let post = |origin: &'static str| async {
        let headers = [("x-test-caller", "admin"), ("origin", origin)];
        service.send(Method::POST, "/activity/records", &headers, "[]").await
    };
    let problem = post("https://evil.example").await.problem(403);
    assert_eq!(problem["type"], "urn:tower-activity:problem:foreign-origin");
    assert_ne!(post("https://admin.example").await.status, 403);
    service.pipeline.flush().await;
    let records = service.store.all();
    assert!(records.iter().any(|record| record.outcome == Outcome::Denied), "{records:?}");
    service.stop().await;
}

#[tokio::test]
async fn pages_that_were_allowed_by_name_may_read_and_no_others() {
    let service = Service::<InMemory>::with(|pipeline| {
        let api = pipeline.api(by_header()).allow_origin("https://admin.example");
        Router::new().nest("/activity", api.into_router())
    })
    .await;
    let ask = |method: Method, path: &'static str, origin: &'static str| async {
        let headers = [
            ("x-test-caller", "admin"),
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization"),
        ];
        let headers = if method == Method::OPTIONS { &headers[1..] } else { &headers[..2] };
        service.send(method, path, headers, "").await
    };
    for (method, path) in [
        (Method::GET, "/activity/records"),
        (Method::POST, "/activity/tickets"),
        (Method::OPTIONS, "/activity/tickets"),
        (Method::GET, "/activity/records?limit=none"),
    ] {
        let answer = ask(method.clone(), path, "https://admin.example").await;
        let said = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(said("access-control-allow-origin"), Some("https://admin.example"), "{path}");
        assert_eq!(said("access-control-allow-credentials"), Some("true"));
        assert_eq!(said("vary"), Some("origin"));
        let allowed = said("access-control-allow-headers").map(|all| all.contains("authorization"));
        assert_eq!(allowed, (method == Method::OPTIONS).then_some(true));
        for other in ["https://evil.example", "https://admin.example.evil.example", "null"] {
            let answer = ask(method.clone(), path, other).await;
            let tells = |name: &&http::HeaderName| name.as_str().starts_with("access-control");
            assert_eq!(answer.headers.keys().find(tells), None, "{other}");
            assert_eq!(answer.headers["vary"], "origin");
        }
    }
    service.stop().await;
}
