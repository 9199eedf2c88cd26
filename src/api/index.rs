//! `GET /`: what there is, for people and for programs.

use std::fmt::Write as _;

use axum::{
    Json, Router,
    extract::{OriginalUri, Request},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use http::header;
use serde_json::json;

use super::{endpoint::ENDPOINTS, state::Api};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/", get(index))
}

/// Names the endpoints by addresses that are relative to this one, so that they hold under any mount and
/// behind any proxy.
pub(super) async fn index(request: Request) -> Response {
    let original = request.extensions().get::<OriginalUri>();
    let path = original.map_or_else(|| request.uri().path(), |original| original.0.path());
    let here = here(path);
    let mut response = if accepts_html(&request) {
        Html(page(&here)).into_response()
    } else {
        let endpoints: Vec<_> = ENDPOINTS
            .iter()
            .map(|endpoint| {
                json!({
                    "method": endpoint.method,
                    "href": format!("{here}{}", endpoint.path.trim_start_matches('/')),
                    "about": endpoint.about,
                })
            })
            .collect();
        let version = env!("CARGO_PKG_VERSION");
        Json(json!({ "name": "tower-activity", "version": version, "endpoints": endpoints }))
            .into_response()
    };
    let vary = header::HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, vary);
    response
}

/// Returns the address of the mount as seen from it: a client at `/activity` takes `records` for `/records`.
fn here(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((_, last)) if !last.is_empty() => format!("./{last}/"),
        _ => "./".to_owned(),
    }
}

fn page(here: &str) -> String {
    let here = escaped(here);
    let mut page = "<!doctype html><html lang=en><meta charset=utf-8>\
        <meta name=viewport content=\"width=device-width\"><title>Activity</title>\
        <h1>Activity</h1><p>The log of this service. <code>q</code> asks it, as in \
        <code>records?q=action:cancel</code>.<ul>"
        .to_owned();
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.path != "/") {
        let path = endpoint.path.trim_start_matches('/');
        let name = format!("<code>{} {path}</code>", endpoint.method);
        let about = endpoint.about;
        // What takes no path parameter can be followed.
        let item = if endpoint.method == "GET" && !path.contains('{') {
            write!(page, "<li><a href=\"{here}{path}\">{name}</a> – {about}")
        } else {
            write!(page, "<li>{name} – {about}")
        };
        // Writing to a string does not fail.
        debug_assert!(item.is_ok());
    }
    page.push_str("</ul>");
    page
}

/// The last segment of a path is the client's: it becomes text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Browsers ask for HTML by name; whoever takes anything gets JSON.
fn accepts_html(request: &Request) -> bool {
    let lines = request.headers().get_all(header::ACCEPT).iter();
    let mut kinds = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    kinds.any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_with_and_without_a_slash_at_the_end() {
        for (path, base) in [
            ("/activity", "./activity/"),
            ("/activity/", "./"),
            ("/", "./"),
            ("", "./"),
            ("/a/b", "./b/"),
        ] {
            assert_eq!(here(path), base, "{path}");
        }
        assert!(!page("./\"><script>/").contains("<script>"));
    }
}
