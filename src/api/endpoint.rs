//! What there is, in one table: the guard goes by it, and so does the description.

use axum::extract::{MatchedPath, NestedPath};
use http::{Method, request::Parts};

/// One method of one path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    /// Relative to where the router is mounted.
    pub(super) path: &'static str,
    /// The word that the records of its use have.
    pub(super) name: &'static str,
    pub(super) guard: Guard,
    /// What it is for, in a few words.
    pub(super) about: &'static str,
}

/// Who may come in, and what is recorded about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Everybody: it shows nothing of the log, or sees to it itself.
    Open,
    /// Whoever the access part lets in; that he looked is recorded.
    Viewed,
    /// As `Viewed`; that he took it away is recorded.
    Exported,
    /// Whoever the access part lets in; what he hands in is a record already.
    HandedIn,
    /// As `HandedIn`, of what is done to the log itself.
    Changed,
    /// Whoever the access part lets in; nothing of the log is shown yet.
    Asked,
}

type Text = &'static str;

const fn get(path: Text, name: Text, guard: Guard, about: Text) -> Endpoint {
    Endpoint { method: "GET", path, name, guard, about }
}

const fn post(path: Text, name: Text, guard: Guard, about: Text) -> Endpoint {
    Endpoint { method: "POST", path, name, guard, about }
}

const fn put(path: Text, name: Text, guard: Guard, about: Text) -> Endpoint {
    Endpoint { method: "PUT", path, name, guard, about }
}

const fn delete(path: Text, name: Text, guard: Guard, about: Text) -> Endpoint {
    Endpoint { method: "DELETE", path, name, guard, about }
}

/// Everything that is answered. A route that is not here is guarded like one that shows records.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    get("/", "index", Guard::Open, "the viewer for a browser, this overview for a program"),
    get("/records", "records", Guard::Viewed, "records, newest first"),
    get("/records/{id}", "record", Guard::Viewed, "one record"),
    get("/records/{id}/proof", "proof", Guard::Viewed, "that a record is what was written"),
    post("/records", "ingest", Guard::HandedIn, "hand in records"),
    get("/entities/{type}/{id}", "entity", Guard::Viewed, "what happened to one thing"),
    get("/actors/{id}", "actor", Guard::Viewed, "what one party did"),
    get("/sessions/{id}", "session", Guard::Viewed, "what was done in one session"),
    get(
        "/stats",
        "stats",
        Guard::Viewed,
        "numbers by action, entity, actor, outcome and over time",
    ),
    get("/facets", "facets", Guard::Viewed, "the most frequent values of fields"),
    get(
        "/export",
        "export",
        Guard::Exported,
        "the whole result as CSV, JSON, JSON Lines, OCSF or CloudEvents",
    ),
    get("/bundle", "bundle", Guard::Exported, "the whole result with its proofs, as a zip file"),
    get("/live", "live", Guard::Viewed, "records as they come, by WebSocket"),
    get("/live/sse", "live", Guard::Viewed, "records as they come, by server-sent events"),
    post("/tickets", "ticket", Guard::Asked, "a one-use ticket for a browser's live session"),
    get("/me", "me", Guard::Asked, "who is asking, and what he may do"),
    get("/health", "health", Guard::Open, "how the log is doing"),
    get("/assets/{revision}/{file}", "asset", Guard::Open, "the files of the viewer"),
    get(
        "/completeness",
        "completeness",
        Guard::Viewed,
        "what each writer has stored, and what is known to be missing",
    ),
    get("/consents", "consents", Guard::Viewed, "what somebody agreed to, at a time"),
    post("/consents", "consent", Guard::HandedIn, "record that somebody agreed, or no longer does"),
    get(
        "/subjects/{id}/export",
        "subject_export",
        Guard::Exported,
        "what the log holds about a person, for that person, as a zip file",
    ),
    get(
        "/subjects/{id}/erasure",
        "erasure_plan",
        Guard::Viewed,
        "what erasing a person would reach",
    ),
    post("/subjects/{id}/erasure", "erasure", Guard::Changed, "erase a person"),
    get("/holds", "holds", Guard::Viewed, "the legal holds"),
    get(
        "/holds/restricted",
        "restricted",
        Guard::Viewed,
        "what holds keep of people who were erased",
    ),
    post("/holds", "hold", Guard::Changed, "place a hold: what it finds stays until it is lifted"),
    delete("/holds/{id}", "hold_lift", Guard::Changed, "lift a hold"),
    get("/retention", "retention", Guard::Viewed, "how long records are kept"),
    put("/retention", "retention_change", Guard::Changed, "set how long records are kept"),
    get("/checkpoint", "checkpoint", Guard::Asked, "the signed head of the ledger"),
    get("/openapi.json", "openapi", Guard::Open, "this interface, described"),
];

impl Endpoint {
    const UNKNOWN: Self = get("", "other", Guard::Viewed, "");

    /// Returns the endpoint of a request that was routed.
    pub(super) fn of(parts: &Parts) -> Self {
        let matched = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let mount = parts.extensions.get::<NestedPath>().map_or("", NestedPath::as_str);
        let path = matched.strip_prefix(mount.trim_end_matches('/')).unwrap_or(matched);
        let is_root = !matched.is_empty() && path.bytes().all(|byte| byte == b'/');
        let path = if is_root { "/" } else { path };
        Self::named(&parts.method, path)
    }

    fn named(method: &Method, path: &str) -> Self {
        let method = match method.as_str() {
            "HEAD" => "GET",
            // Over HTTP/2 a WebSocket is asked for so (RFC 8441).
            "CONNECT" if path == "/live" => "GET",
            method => method,
        };
        let mut found = ENDPOINTS.iter().filter(|endpoint| endpoint.path == path);
        found.find(|endpoint| endpoint.method == method).copied().unwrap_or(Self::UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_the_same_place_over_every_version_of_http() {
        for method in [Method::GET, Method::HEAD, Method::CONNECT] {
            assert_eq!(Endpoint::named(&method, "/live").name, "live", "{method}");
        }
        // Whatever is not in the table is guarded like what shows records.
        for (method, path) in [(Method::CONNECT, "/records"), (Method::PUT, "/"), (Method::GET, "")]
        {
            let other = Endpoint::named(&method, path);
            assert_eq!((other.name, other.guard), ("other", Guard::Viewed), "{method} {path}");
        }
    }
}
