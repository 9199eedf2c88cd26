//! Where the router may be mounted, and what all its answers have in common.

use std::sync::Arc;

use axum::{Router, routing::post};
use hyper::{Method, header};
use tower_activity::{ActivityLayer, Pipeline};

use crate::{
    live::Socket,
    support::{InMemory, Service, by_header},
};

/// Every way to mount it, with the path where it is.
fn mounts() -> Vec<(&'static str, fn(&Pipeline) -> Router)> {
    fn orders() -> Router {
        Router::new().route("/orders", post(|| async {}))
    }
    vec![
        ("/activity", |pipeline| orders().nest("/activity", pipeline.router(by_header()))),
        ("/activity", |pipeline| orders().nest_service("/activity", pipeline.router(by_header()))),
        ("/a/activity", |pipeline| {
            orders().nest("/a", Router::new().nest("/activity", pipeline.router(by_header())))
        }),
        ("/a/activity", |pipeline| {
            let inner = Router::new().nest_service("/activity", pipeline.router(by_header()));
            orders().nest("/a", inner)
        }),
        ("", |pipeline| orders().merge(pipeline.router(by_header()))),
        ("", |pipeline| {
            let routes = pipeline.api(by_header()).into_routes();
            orders().merge(routes).fallback(|| async { "the application's own" })
        }),
        // The layer inside: around the log alone.
        ("/activity", |pipeline| {
            let layer = ActivityLayer::new(pipeline.recorder());
            orders().nest("/activity", pipeline.router(by_header()).layer(layer))
        }),
        ("/activity", |pipeline| {
            let layer = ActivityLayer::new(pipeline.recorder());
            orders().nest_service("/activity", pipeline.router(by_header()).layer(layer))
        }),
    ]
}

/// Where an unknown path is the application's: beside its own routes, and under two levels of `nest`, of which
/// the outer takes over no fallback.
const OTHERS_404: [usize; 3] = [2, 4, 5];

#[tokio::test]
async fn it_answers_wherever_it_is_mounted_and_the_layer_records_none_of_it() {
    for (index, (mount, app)) in mounts().into_iter().enumerate() {
        let service = Service::<InMemory>::with(app).await;
        let at = |path: &str| format!("{mount}{path}");
        service.get(&at("/records")).await.json();
        let admin = [("x-test-caller", "admin")];
        for (method, path, headers, status) in [
            (Method::GET, "/records", &[][..], 401),
            (
                Method::POST,
                "/records/1/2/3",
                &admin,
                if OTHERS_404.contains(&index) { 0 } else { 404 },
            ),
            (Method::DELETE, "/records", &admin, 405),
            (Method::DELETE, "/records", &[], 401),
            (Method::GET, "/records?limit=x", &admin, 400),
            (Method::GET, "/records/%ff", &admin, 400),
        ] {
            if status > 0 {
                let answer = service.send(method.clone(), &at(path), headers, "{}").await;
                let problem = answer.problem(status);
                assert_eq!(problem["status"], status, "{index} {method} {path}");
                let allow = answer.headers.contains_key(header::ALLOW);
                assert_eq!(allow, method == Method::DELETE, "{index} {method} {path} {answer:?}");
            }
        }
        // What changes something is what the layer records of everything else.
        let json = [admin[0], ("content-type", "application/json")];
        let body = r#"{"action":"ship","actor_id":"ana"}"#;
        let taken = service.send(Method::POST, &at("/records"), &json, body).await;
        assert_eq!(taken.status, 201, "{index}: {}", taken.text());
        for (headers, status) in [(&json[..1], 415), (&json[1..], 401)] {
            service.send(Method::POST, &at("/records"), headers, body).await.problem(status);
        }
        let foreign = [admin[0], ("origin", "https://evil.example")];
        service.send(Method::POST, &at("/tickets"), &foreign, "").await.problem(403);
        assert_eq!(service.send(Method::POST, &at("/tickets"), &admin, "").await.status, 201);
        let csv = service.get(&at("/export?format=csv")).await;
        assert!(csv.status.is_success() && csv.text().contains("ship"), "{index}");
        let head = service.send(Method::HEAD, &at("/live/sse"), &admin, "").await;
        assert_eq!(head.status, 200, "{index}");
        let (socket, _) = Socket::open(service.address, &at("/live")).await;
        drop(socket);
        service.pipeline.flush().await;
        for record in service.store.all() {
            let own = ["system", "ingest"].contains(&record.origin.as_str());
            assert!(own, "{index}: {record:?}");
        }
        let viewed = service.store.all();
        let viewed = viewed.iter().find(|record| record.action == "log_viewed").unwrap();
        assert_eq!(viewed.route.as_str(), at("/records"));
        assert!(viewed.metadata.as_str().contains(r#""endpoint":"records""#), "{viewed:?}");
        // The application itself is recorded as ever.
        service.send(Method::POST, "/orders", &[], "").await;
        service.pipeline.flush().await;
        assert!(service.store.all().iter().any(|record| record.route == "/orders"), "{index}");
        service.stop().await;
    }
}

/// The mounts that use `nest` to the last.
const NESTED: [usize; 3] = [0, 2, 6];

#[tokio::test]
async fn the_root_answers_with_and_without_a_slash_and_its_links_hold() {
    for (index, (mount, app)) in mounts().into_iter().enumerate().filter(|(n, _)| *n != 5) {
        let service = Service::<InMemory>::with(app).await;
        for path in [mount.to_owned(), format!("{mount}/")] {
            // Where nothing is mounted, there is no path without a slash. What is nested with `nest` never
            // sees the one with a slash: axum itself answers that with 404.
            if path.is_empty() || (path.ends_with('/') && NESTED.contains(&index)) {
                continue;
            }
            let listed = service.send(Method::GET, &path, &[], "").await.json();
            // Relative addresses are taken from the last slash (RFC 3986, 5.2).
            let folder = path.rsplit_once('/').unwrap().0;
            for endpoint in listed["endpoints"].as_array().unwrap() {
                let href = endpoint["href"].as_str().unwrap().strip_prefix("./").unwrap();
                let target = format!("{folder}/{href}");
                assert!(target.starts_with(&format!("{mount}/")), "{index} {path} {target}");
            }
            let html = service.send(Method::GET, &path, &[("accept", "text/html,*/*")], "").await;
            assert!(html.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
            assert!(html.text().contains("records\""), "{}", html.text());
            let head = service.send(Method::HEAD, &path, &[], "").await;
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{index} {path}");
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn beside_the_applications_routes_an_unknown_path_is_the_applications() {
    let app = |pipeline: &Pipeline| {
        Router::new().route("/orders", post(|| async {})).merge(pipeline.router(by_header()))
    };
    let service = Service::<InMemory>::with(app).await;
    service.send(Method::POST, "/ordres", &[], "").await.problem(404);
    service.pipeline.flush().await;
    assert!(service.store.all().iter().any(|record| record.status == Some(404)));
    service.stop().await;
}

#[tokio::test]
async fn every_answer_is_kept_by_nobody_and_loads_nothing() {
    let service = Service::<InMemory>::start().await;
    let admin = ("x-test-caller", "admin");
    for (method, path, headers) in [
        (Method::GET, "/activity", &[][..]),
        (Method::GET, "/activity", &[("accept", "text/html")]),
        (Method::GET, "/activity/records", &[admin]),
        (Method::GET, "/activity/records", &[]),
        (Method::GET, "/activity/nothing", &[]),
        (Method::PUT, "/activity/records", &[admin]),
        (Method::HEAD, "/activity/records", &[admin]),
        (Method::OPTIONS, "/activity/records", &[]),
    ] {
        let answer = service.send(method.clone(), path, headers, "").await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
        ] {
            let found = answer.headers.get(name).and_then(|found| found.to_str().ok());
            assert_eq!(found, Some(value), "{method} {path}: {}", answer.text());
        }
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    service.stop().await;
}

#[tokio::test]
async fn options_says_what_an_address_takes_and_asks_nobody_who_he_is() {
    let service = Service::<InMemory>::start().await;
    let answer = service.send(Method::OPTIONS, "/activity/records", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert!(answer.headers[header::ALLOW].to_str().unwrap().contains("GET"));
    service.stop().await;
}

#[tokio::test]
async fn a_panicking_access_part_is_an_answer_and_lets_nobody_in() {
    let access = |_: &http::request::Parts| async { panic!("no directory server") };
    let access = Arc::new(tower_activity::access::from_fn(access));
    let app = move |pipeline: &Pipeline| {
        let access = Arc::clone(&access);
        let access = tower_activity::access::from_fn(move |parts| {
            let (access, parts) = (Arc::clone(&access), parts.clone());
            async move { tower_activity::access::Access::grant(&*access, &parts).await }
        });
        Router::new().nest("/activity", pipeline.router(access))
    };
    let service = Service::<InMemory>::with(app).await;
    for _ in 0..2 {
        let problem = service.get("/activity/records").await.problem(500);
        assert!(!problem.to_string().contains("directory"));
    }
    service.stop().await;
}
