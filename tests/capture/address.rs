//! The client's address, and what else the head of a request brings along.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, StatusCode},
    routing::{post, put},
};
use tower::ServiceExt as _;
use tower_activity::{
    capture::{ActivityLayer, ForwardedHeader, PeerAddr},
    record::Record,
};

use crate::support::{Log, request};

fn app(layer: ActivityLayer) -> Router {
    Router::new().route("/api/orders", post(|| async {})).layer(layer)
}

fn from(peer: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = request("POST", "/api/orders");
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

fn ip(record: &Record) -> String {
    record.ip.map_or_else(|| "none".to_owned(), |ip| ip.to_string())
}

const PROXY: &str = "10.0.0.1:5000";

fn trusting(log: &Log) -> ActivityLayer {
    log.layer().trusted_proxies(["10.0.0.0/8".parse().unwrap()])
}

async fn seen(log: &Log, layer: ActivityLayer, request: Request<Body>) -> Record {
    app(layer).oneshot(request).await.unwrap();
    log.records().await.pop().unwrap()
}

#[tokio::test]
async fn what_the_client_writes_is_not_believed() {
    let log = Log::new().await;
    let lies =
        [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6"), ("x-real-ip", "6.6.6.6")];
    let record = seen(&log, log.layer(), from("198.51.100.7:443", &lies)).await;
    assert_eq!(ip(&record), "198.51.100.7", "nothing is trusted: the peer");
    assert_eq!(record.forwarded.as_str(), r#"["6.6.6.6"]"#, "the chain is kept, unverified");
    let record = seen(&log, trusting(&log), from("198.51.100.7:443", &lies)).await;
    assert_eq!(ip(&record), "198.51.100.7", "the peer is no proxy of ours");
    let lies = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.9, 10.1.1.1")];
    let record = seen(&log, trusting(&log), from(PROXY, &lies)).await;
    assert_eq!(ip(&record), "203.0.113.9", "the rightmost hop that nobody trusts");
    assert_eq!(record.forwarded.as_str(), r#"["6.6.6.6","203.0.113.9","10.1.1.1"]"#);
}

#[tokio::test]
async fn rules_name_the_trusted_proxies_and_the_layer_overrides_them() {
    let log = Log::with_toml("[defaults]\ntrusted_proxies = [\"10.0.0.0/8\"]\n").await;
    let headers = [("x-forwarded-for", "203.0.113.9")];
    assert_eq!(ip(&seen(&log, log.layer(), from(PROXY, &headers)).await), "203.0.113.9");
    let other = log.layer().trusted_proxies(["192.168.0.0/16".parse().unwrap()]);
    assert_eq!(ip(&seen(&log, other, from(PROXY, &headers)).await), "10.0.0.1");
}

#[tokio::test]
async fn a_thousand_hops_and_garbage_are_bounded() {
    let log = Log::new().await;
    let hops = vec!["10.9.9.9"; 1_000].join(", ");
    let record = seen(&log, trusting(&log), from(PROXY, &[("x-forwarded-for", &hops)])).await;
    assert_eq!(ip(&record), "10.9.9.9");
    let kept: Vec<String> = serde_json::from_str(record.forwarded.as_str()).unwrap();
    assert!(kept.len() <= 64 && record.forwarded.as_str().len() <= 4_096);
    for garbage in ["", ",,,", "999.1.1.1", "🦀", "for=", "\"", "unknown"] {
        let mut request = from(PROXY, &[]);
        for name in ["x-forwarded-for", "forwarded"] {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_bytes(garbage.as_bytes()).unwrap());
        }
        assert_eq!(ip(&seen(&log, trusting(&log), request).await), "10.0.0.1", "{garbage}");
    }
}

#[tokio::test]
async fn addresses_come_in_every_spelling() {
    let log = Log::new().await;
    for (name, value, expected) in [
        ("x-forwarded-for", "::ffff:203.0.113.9", "203.0.113.9"),
        ("x-forwarded-for", "203.0.113.9:4711", "203.0.113.9"),
        ("x-forwarded-for", "[2001:db8::1]:443", "2001:db8::1"),
        ("forwarded", "for=\"[2001:db8::1]:443\";proto=https", "2001:db8::1"),
        ("forwarded", "For=203.0.113.9, for=10.2.2.2", "203.0.113.9"),
    ] {
        let record = seen(&log, trusting(&log), from(PROXY, &[(name, value)])).await;
        assert_eq!(ip(&record), expected, "{name}: {value}");
    }
    let record = seen(&log, trusting(&log), from("[::ffff:198.51.100.7]:1", &[])).await;
    assert_eq!(ip(&record), "198.51.100.7", "a mapped peer is IPv4");
}

#[tokio::test]
async fn without_a_peer_there_is_no_address_and_no_error() {
    let log = Log::new().await;
    let mut request = request("POST", "/api/orders");
    request.headers_mut().insert("x-forwarded-for", "6.6.6.6".parse().unwrap());
    let response = app(trusting(&log)).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(ip(&log.only().await), "none");
}

#[tokio::test]
async fn a_plain_service_says_its_peer_itself() {
    let log = Log::new().await;
    let peer: SocketAddr = "198.51.100.7:1".parse().unwrap();
    let mut first = request("POST", "/api/orders");
    first.extensions_mut().insert(PeerAddr(peer));
    let mut second = request("POST", "/api/orders");
    second.extensions_mut().insert(peer);
    for request in [first, second] {
        assert_eq!(ip(&seen(&log, log.layer(), request).await), "198.51.100.7");
    }
}

#[tokio::test]
async fn a_header_of_one_address_counts_only_when_it_was_named() {
    let log = Log::new().await;
    let headers = [("x-real-ip", "203.0.113.9"), ("x-forwarded-for", "6.6.6.6, 10.1.1.1")];
    let single = ForwardedHeader::Single("x-real-ip".parse().unwrap());
    let layer = trusting(&log).forwarded_header(single);
    assert_eq!(ip(&seen(&log, layer, from(PROXY, &headers)).await), "203.0.113.9");
}

#[tokio::test]
async fn the_head_of_a_request_is_copied() {
    let log = Log::new().await;
    let headers = [
        ("host", "shop.example:8443"),
        ("user-agent", "curl/8"),
        ("x-request-id", "req-1"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("authorization", "Bearer hunter2"),
        ("cookie", "session=hunter2"),
    ];
    let record = seen(&log, log.layer(), from(PROXY, &headers)).await;
    assert_eq!((&*record.host, &*record.user_agent), ("shop.example:8443", "curl/8"));
    assert_eq!((&*record.method, &*record.http_version), ("POST", "HTTP/1.1"));
    assert_eq!(record.request_id, "req-1");
    assert_eq!(record.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(record.span_id, "00f067aa0ba902b7");
    assert!(!serde_json::to_string(&record).unwrap().contains("hunter2"));
}

#[tokio::test]
async fn a_request_id_is_made_and_answered_only_when_there_is_none() {
    let log = Log::new().await;
    let app = Router::new()
        .route(
            "/api/orders",
            post(|headers: axum::http::HeaderMap| async move {
                headers["x-request-id"].to_str().unwrap().to_owned()
            }),
        )
        .layer(log.layer().make_request_id(true));
    let made = app.clone().oneshot(request("POST", "/api/orders")).await.unwrap();
    let answered = made.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(crate::support::read(made).await, answered, "the handler sees it too");
    let taken = app.oneshot(from(PROXY, &[("x-request-id", "mine")])).await.unwrap();
    assert!(!taken.headers().contains_key("x-request-id"));
    let records = log.records().await;
    assert_eq!(records[0].request_id, *answered);
    assert_eq!(records[1].request_id, "mine");
}

#[tokio::test]
async fn a_query_is_kept_only_when_asked_for_and_without_secrets() {
    let log = Log::new().await;
    let app =
        Router::new().route("/api/orders/{id}", put(|| async {})).layer(log.layer().query(true));
    let uri = "/api/orders/55?page=2&access_token=hunter2";
    app.clone().oneshot(request("PUT", uri)).await.unwrap();
    let secret = "/api/orders/ana.diaz@example.com";
    app.oneshot(request("PUT", secret)).await.unwrap();
    let records = log.records().await;
    assert!(records[0].query.starts_with("page=2&access_token="), "{}", records[0].query);
    assert!(!records[0].query.contains("hunter2"));
    assert_eq!(records[0].path, "/api/orders/55");
    assert!(!records[1].path.contains("ana.diaz"), "{}", records[1].path);
}

#[tokio::test]
async fn huge_and_odd_heads_are_cut_not_refused() {
    let log = Log::new().await;
    let long = format!("/api/orders/{}", "a".repeat(60_000));
    let app = Router::new().fallback(|| async { StatusCode::NOT_FOUND }).layer(log.layer());
    let mut request = request("POST", &long);
    for n in 0..1_000 {
        let name: http::HeaderName = format!("x-odd-{n}").parse().unwrap();
        request.headers_mut().insert(name, HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    }
    for name in ["user-agent", "host", "x-request-id", "traceparent", "content-type", "forwarded"] {
        let odd = [b"odd \xff ".as_slice(), &[b'x'; 9_000]].concat();
        request.headers_mut().insert(name, HeaderValue::from_bytes(&odd).unwrap());
    }
    app.oneshot(request).await.unwrap();
    let record = log.only().await;
    assert!(record.path.len() <= 2_048 && record.path.starts_with("/api/orders/aaa"));
    assert!(record.user_agent.starts_with("odd \u{fffd} xxx") && record.user_agent.len() <= 512);
    assert!(record.request_id.is_absent() && record.trace_id.is_absent());
    let truncated: Vec<String> = serde_json::from_str(record.truncated.as_str()).unwrap();
    assert!(truncated.contains(&"path".to_owned()), "{truncated:?}");
    assert!(truncated.contains(&"user_agent".to_owned()), "{truncated:?}");
}

/// By `HeaderValue::set_sensitive`, on the way in and on the way out.
#[tokio::test]
async fn what_the_application_calls_sensitive_is_in_no_field() {
    let log = Log::new().await;
    let sensitive = |text: &'static str| {
        let mut value = HeaderValue::from_static(text);
        value.set_sensitive(true);
        value
    };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let sent = [
        ("host", "hidden.example"),
        ("user-agent", "hidden-agent"),
        ("x-request-id", "hidden-request"),
        ("traceparent", trace),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    let mut request = from(PROXY, &[("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.7")]);
    for (name, value) in sent {
        request.headers_mut().append(name, sensitive(value));
    }
    let made = move || async move {
        (StatusCode::CREATED, [("location", sensitive("/orders/hidden-id"))])
    };
    let app = Router::new().route("/api/orders", post(made)).layer(trusting(&log));
    app.oneshot(request).await.unwrap();
    let record = log.records().await.pop().unwrap();
    let text = serde_json::to_string(&record).unwrap();
    for value in ["hidden", "4bf92f35", "203.0.113.9", "10.0.0.1"] {
        assert!(!text.contains(value), "{value}: {text}");
    }
    assert_eq!((ip(&record), record.status), ("none".to_owned(), Some(201)));
    assert_eq!(record.forwarded.as_str(), r#"["6.6.6.6"]"#, "what is not sensitive stays");
}
