//! The viewer's page and its files.

use axum::{
    Router,
    extract::{Path, rejection::PathRejection},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{problem::Problem, state::Api};
use crate::viewer;
pub(super) use crate::viewer::escaped;

/// The page runs scripts and takes styles from where it came from and asks the API there; nothing else is loaded,
/// nothing in it is made of text (`trusted-types`), and it is shown inside no other page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// A file never changes at its address.
const FOREVER: &str = "public, max-age=31536000, immutable";

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/assets/{revision}/{file}", get(asset))
}

/// Answers the page. `here` leads from its address to the mount.
pub(super) fn page(headers: &HeaderMap, here: &str, unscripted: &str) -> Response {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let language = viewer::language(accepted.unwrap_or_default());
    let mut response = Html(viewer::page(here, language, unscripted)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language));
    response
}

async fn asset(
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("the viewer has no such file; load its page again");
    let Path((revision, file)) = path.map_err(|_| missing())?;
    let asset = viewer::asset(&file).ok_or_else(missing)?;
    // While replicas of two versions stand behind one address, a page of one asks the other: better the file of
    // another version than none, and nobody shall keep it.
    let known = revision == viewer::revision();
    let etag = format!("\"{}\"", viewer::revision());
    let cache = if known { FOREVER } else { "no-store" };
    let unchanged =
        headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes());

    let mut response = if unchanged && known {
        StatusCode::NOT_MODIFIED.into_response()
    } else if takes_gzip(&headers) {
        let encoding = [(header::CONTENT_ENCODING, "gzip")];
        (encoding, [(header::CONTENT_TYPE, asset.media)], asset.gzip.clone()).into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.media)], asset.plain.clone()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}

/// Tells whether the client takes gzip (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines =
        headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| {
        let mut parts = coding.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let refused = parts.any(|part| {
            let weight =
                part.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse().ok());
            weight == Some(0.0)
        });
        name.eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_whoever_takes_it() {
        let takes = |line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(line));
            takes_gzip(&headers)
        };
        for line in ["gzip", "br, gzip;q=0.5", "deflate,GZIP", "gzip; q=1"] {
            assert!(takes(line), "{line}");
        }
        for line in ["", "br", "gzip;q=0", "gzip;q=0.000", "xgzip", "*;q=0"] {
            assert!(!takes(line), "{line}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
