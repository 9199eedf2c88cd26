//! `GET /`: the page. What it shows it asks of `/activity`, like every other client.

use axum::{
    Router,
    http::header,
    response::{AppendHeaders, Html, IntoResponse},
    routing::get,
};

/// Returns the route of the page.
pub(crate) fn router() -> Router {
    Router::new().route("/", get(page))
}

async fn page() -> impl IntoResponse {
    // Script and style of the page carry a word that nobody can know who smuggles in his own.
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
    );
    let headers = AppendHeaders([
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ]);
    (headers, Html(include_str!("page.html").replace("{nonce}", &nonce)))
}
