//! `GET /`: the viewer for people, what there is for programs.

use std::fmt::Write as _;

use axum::{
    Json, Router,
    extract::{OriginalUri, Request},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::header;
use serde_json::json;

use super::{endpoint::ENDPOINTS, state::Api, viewer};

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
        viewer::page(request.headers(), &here, &unscripted(&here))
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
    let vary = header::HeaderValue::from_static("accept, accept-language");
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

/// What a browser without scripts shows instead of the viewer.
fn unscripted(here: &str) -> String {
    let here = viewer::escaped(here);
    let mut page =
        "<h1>Activity</h1><p>The viewer needs JavaScript. The log can be asked without it; \
        <code>q</code> asks it, as in <code>records?q=action:cancel</code>.</p><ul>"
            .to_owned();
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.path != "/") {
        let path = endpoint.path.trim_start_matches('/');
        let name = format!("<code>{} {path}</code>", endpoint.method);
        let about = endpoint.about;
        // What takes no path parameter can be followed.
        let item = if endpoint.method == "GET" && !path.contains('{') {
            write!(page, "<li><a href=\"{here}{path}\">{name}</a> – {about}</li>")
        } else {
            write!(page, "<li>{name} – {about}</li>")
        };
        // Writing to a string does not fail.
        debug_assert!(item.is_ok());
    }
    page.push_str("</ul>");
    page
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
        assert!(!unscripted("./\"><script>/").contains("<script>"));
    }
}
