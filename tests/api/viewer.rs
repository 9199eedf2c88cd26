//! The viewer's page and its files, as a browser gets them.

use hyper::{Method, header};
use tower_activity::record::{Outcome, Record};

use crate::support::{InMemory, Service};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// Returns the addresses that the page names, as a browser at `path` understands them.
fn addresses(page: &str, path: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').unwrap().0;
    let named = page.split("<noscript>").next().unwrap();
    let named = named.split("href=\"").skip(1).chain(named.split("src=\"").skip(1));
    named
        .map(|rest| {
            format!("{folder}/{}", rest.split('"').next().unwrap().trim_start_matches("./"))
        })
        .collect()
}

#[tokio::test]
async fn a_browser_gets_the_page_and_every_file_that_it_names() {
    let service = Service::<InMemory>::start().await;
    let page = service.send(Method::GET, "/activity", &[HTML], "").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers[header::CONTENT_LANGUAGE], "en");
    assert_eq!(page.headers[header::VARY], "accept, accept-language");
    let addresses = addresses(page.text(), "/activity");
    assert!(addresses.len() > 20, "{addresses:?}");
    let mut bytes = 0;
    for address in &addresses {
        let plain = service.send(Method::GET, address, &[], "").await;
        assert_eq!(plain.status, 200, "{address}");
        assert_eq!(plain.headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(plain.headers["x-content-type-options"], "nosniff");
        assert!(!plain.headers.contains_key(header::CONTENT_ENCODING));
        let kind = plain.headers[header::CONTENT_TYPE].to_str().unwrap();
        let expected = match address.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(kind, expected, "{address}");

        let gzip = service.send(Method::GET, address, &[("accept-encoding", "gzip, br")], "").await;
        assert_eq!(gzip.headers[header::CONTENT_ENCODING], "gzip", "{address}");
        assert_eq!(gzip.headers[header::VARY], "accept-encoding");
        assert!(
            gzip.body.len() < plain.body.len() && gzip.body.starts_with(&[0x1f, 0x8b]),
            "{address}"
        );
        bytes += gzip.body.len();

        let etag = plain.headers[header::ETAG].to_str().unwrap().to_owned();
        let again = service.send(Method::GET, address, &[("if-none-match", &etag)], "").await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{address}");
    }
    assert!(bytes < 150 * 1024, "{bytes}");
    service.stop().await;
}

#[tokio::test]
async fn a_file_of_another_version_is_kept_by_nobody_and_a_strange_one_is_not_there() {
    let service = Service::<InMemory>::start().await;
    let old = service.send(Method::GET, "/activity/assets/0123456789abcdef/app.js", &[], "").await;
    assert_eq!(old.status, 200);
    assert_eq!(old.headers[header::CACHE_CONTROL], "no-store");
    for path in [
        "/activity/assets/0/nothing.js",
        "/activity/assets/0/../../Cargo.toml",
        "/activity/assets/0/%2e%2e/%2e%2e/Cargo.toml",
        "/activity/assets/0/words/en.js",
        "/activity/assets/0/",
        "/activity/assets",
    ] {
        service.send(Method::GET, path, &[("x-test-caller", "admin")], "").await.problem(404);
    }
    service.stop().await;
}

#[tokio::test]
async fn the_page_allows_itself_nothing_but_its_own_files_and_shows_nothing_of_the_log() {
    let service = Service::<InMemory>::start().await;
    // Nobody is asked who he is: the page asks the API, which does that.
    let page = service.send(Method::GET, "/activity", &[HTML], "").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.split("; ").any(|own| own == part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    for inline in ["<style", " style=", "onclick", "onerror", "javascript:"] {
        assert!(!page.text().contains(inline), "{inline}");
    }
    // A program gets the overview.
    for accept in [None, Some("*/*"), Some("application/json")] {
        let headers: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
        let overview = service.send(Method::GET, "/activity", &headers, "").await.json();
        assert_eq!(overview["name"], "tower-activity");
    }
    service.stop().await;
}

#[tokio::test]
async fn whoever_asks_learns_what_he_may_do() {
    let service = Service::<InMemory>::start().await;
    service.send(Method::GET, "/activity/me", &[], "").await.problem(401);
    let me = service.get_as("vera logs.actions.view,logs.export acme", "/activity/me").await.json();
    let expected = serde_json::json!({
        "actor": {"type": "user", "id": "vera", "name": null},
        "permissions": ["logs.actions.view", "logs.export"],
        "tenant": "acme",
    });
    assert_eq!(me, expected);
    service.get("/activity/me?x=1").await.problem(400);
    service.pipeline.flush().await;
    // Asking what one may do is no look at the log; being refused is told.
    let looked =
        |record: &Record| record.action == "log_viewed" && record.outcome == Outcome::Success;
    assert!(!service.store.all().iter().any(looked));
    service.stop().await;
}
