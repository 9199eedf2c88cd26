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
    /// Whoever the access part lets in; nothing of the log is shown yet.
    Asked,
}

const fn get(path: &'static str, name: &'static str, guard: Guard) -> Endpoint {
    Endpoint { method: "GET", path, name, guard }
}

const fn post(path: &'static str, name: &'static str, guard: Guard) -> Endpoint {
    Endpoint { method: "POST", path, name, guard }
}

/// Everything that is answered. A route that is not here is guarded like one that shows records.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    get("/", "index", Guard::Open),
    get("/records", "records", Guard::Viewed),
    get("/records/{id}", "record", Guard::Viewed),
    post("/records", "ingest", Guard::HandedIn),
    get("/entities/{type}/{id}", "entity", Guard::Viewed),
    get("/actors/{id}", "actor", Guard::Viewed),
    get("/sessions/{id}", "session", Guard::Viewed),
    get("/stats", "stats", Guard::Viewed),
    get("/facets", "facets", Guard::Viewed),
    get("/export", "export", Guard::Exported),
    get("/live", "live", Guard::Viewed),
    get("/live/sse", "live", Guard::Viewed),
    post("/tickets", "ticket", Guard::Asked),
    get("/health", "health", Guard::Open),
    get("/openapi.json", "openapi", Guard::Open),
];

impl Endpoint {
    const UNKNOWN: Self = get("", "other", Guard::Viewed);

    /// Returns the endpoint of a request that was routed.
    pub(super) fn of(parts: &Parts) -> Self {
        let matched = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let mount = parts.extensions.get::<NestedPath>().map_or("", NestedPath::as_str);
        let path = matched.strip_prefix(mount.trim_end_matches('/')).unwrap_or(matched);
        let path = if path.is_empty() && !matched.is_empty() { "/" } else { path };
        Self::named(&parts.method, path)
    }

    fn named(method: &Method, path: &str) -> Self {
        let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
        let mut found = ENDPOINTS.iter().filter(|endpoint| endpoint.path == path);
        found.find(|endpoint| endpoint.method == method).copied().unwrap_or(Self::UNKNOWN)
    }
}
