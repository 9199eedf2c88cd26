//! Opening a session.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRequestParts as _, Query, Request, State, WebSocketUpgrade},
    response::{IntoResponse as _, Response, Sse},
    routing::{any, get, post},
};
use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    events::Events,
    message::Cursors,
    origin::{self, Opening},
    place::Place,
    session::{Bounds, Session},
    socket,
    tail::Tail,
    ticket::{Fetched, LIFETIME},
};
use crate::{
    api::{access::Grant, problem::Problem, state::Api},
    query::{Binding, Filter, LiveCursor},
    store::Read as _,
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(in crate::api) fn routes() -> Router<Api> {
    Router::new()
        // Over HTTP/2 a WebSocket is a CONNECT (RFC 8441).
        .route("/live", any(over_socket))
        .route("/live/sse", get(as_events))
        .route("/tickets", post(fetch_ticket))
}

async fn over_socket(
    State(api): State<Api>,
    Query(parameters): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut head, _) = request.into_parts();
    let upgrade =
        WebSocketUpgrade::from_request_parts(&mut head, &()).await.map_err(|refused| {
            let detail =
                format!("{}; `live/sse` has the same as server-sent events", refused.body_text());
            Problem::new(refused.status(), "websocket-expected", detail)
        })?;
    let asked = Asked::read(parameters);
    origin::check(&head, Opening::Socket { by_ticket: asked.ticket.is_some() })?;
    let session = open(&api, head, asked).await?;
    Ok(upgrade
        .max_message_size(socket::MAX_INBOUND)
        .max_frame_size(socket::MAX_INBOUND)
        .on_upgrade(move |socket| socket::serve(socket, session)))
}

async fn as_events(
    State(api): State<Api>,
    Query(parameters): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let mut asked = Asked::read(parameters);
    origin::check(&head, Opening::Request)?;
    // A browser that comes back asks for the same address as before: what it has seen since counts.
    let last = head.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    if let Some(last) = last.filter(|last| !last.is_empty()) {
        asked.cursor = Some(last.to_owned());
    }
    let session = open(&api, head, asked).await?;
    let mut response = Sse::new(Events::new(session)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // For proxies that collect an answer before they pass it on.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A ticket, for `?ticket=`.
#[derive(Debug, Serialize)]
struct Ticket {
    ticket: String,
    /// Seconds.
    expires_in: u64,
}

async fn fetch_ticket(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    origin::check(&head, Opening::Request)?;
    let grant = api.grant(&head).await?;
    // Who may read nothing needs no ticket.
    api.scope(&grant)?;
    let ticket = api.tickets().issue(Fetched { grant, head }, Instant::now());
    let ticket = Json(Ticket { ticket, expires_in: LIFETIME.as_secs() });
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, headers, ticket).into_response())
}

/// What was asked for.
#[derive(Debug, Default)]
struct Asked {
    ticket: Option<String>,
    cursor: Option<String>,
    /// The filters.
    others: Vec<(String, String)>,
}

impl Asked {
    fn read(parameters: Vec<(String, String)>) -> Self {
        let mut asked = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                "ticket" => asked.ticket = Some(value),
                "cursor" => asked.cursor = Some(value).filter(|cursor| !cursor.is_empty()),
                _ => asked.others.push((name, value)),
            }
        }
        asked
    }

    fn filter(&self) -> Result<Filter, Problem> {
        let mut filter = Filter::new();
        for (name, value) in &self.others {
            filter = filter
                .any_of(name, value.split(','))
                .map_err(|error| Problem::parameter(name, error.to_string()))?;
        }
        Ok(filter)
    }
}

/// Says who is listening, by his ticket or by himself.
async fn listener(api: &Api, head: Parts, asked: &Asked) -> Result<(Parts, Grant), Problem> {
    let Some(ticket) = &asked.ticket else {
        let grant = api.grant(&head).await?;
        return Ok((head, grant));
    };
    let fetched = api.tickets().redeem(ticket, Instant::now()).ok_or_else(|| {
        let detail = "the ticket was used, is older than 30 seconds, or was fetched elsewhere: fetch another \
                      with `POST …/tickets`";
        Problem::new(StatusCode::UNAUTHORIZED, "unknown-ticket", detail)
    })?;
    Ok((fetched.head, fetched.grant))
}

async fn open(api: &Api, head: Parts, asked: Asked) -> Result<Session, Problem> {
    let (head, grant) = listener(api, head, &asked).await?;
    let scope = api.scope(&grant)?;
    let store = api.store()?;
    let refused =
        |error: crate::query::CursorError| Problem::parameter("cursor", error.to_string());
    let key = *api.cursor_key();
    let cursor = asked.cursor.as_deref();
    let sealed =
        cursor.map(|cursor| LiveCursor::open(&key, cursor)).transpose().map_err(refused)?;
    let now = sealed.as_ref().map_or_else(|| api.now(), |sealed| sealed.now());
    let filter = asked.filter()?;
    let binding = Binding::new(&filter, &scope);
    let head_position = store.head().await?;
    let place = match sealed {
        None => Place::behind(head_position),
        Some(sealed) => Place::of_cursor(&sealed.bound_to(binding).map_err(refused)?),
    };
    if place > Place::behind(head_position) {
        return Err(Problem::parameter(
            "cursor",
            "the cursor is ahead of the log: it was restored since; begin again without it",
        ));
    }
    let bounds = Bounds::new(api.clone(), head, grant);
    let filter = Arc::new(filter.and(scope));
    let seat = api.hub().join(store, Arc::clone(&filter), place).ok_or_else(|| {
        let detail = "too many are listening; please try again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-sessions", detail).retry_after(30)
    })?;
    let cursors = Cursors { key, binding, now };
    Ok(Session::new(Tail::new(seat, store.clone(), filter, cursors, place), bounds))
}
