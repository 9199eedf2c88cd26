//! Opening a session.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{
        FromRequestParts as _, Request, State, WebSocketUpgrade,
        ws::rejection::WebSocketUpgradeRejection,
    },
    response::{IntoResponse as _, Response, Sse},
    routing::{MethodFilter, get, on, post},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
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
    api::{
        answer::Unsent,
        parameters::Parameters,
        problem::Problem,
        state::Api,
        watch::{Caller, Door},
    },
    query::{Binding, Extra, LiveCursor, Sealed},
    store::Read as _,
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(in crate::api) fn routes() -> Router<Api> {
    Router::new()
        // Over HTTP/2 a WebSocket is a CONNECT (RFC 8441).
        .route("/live", on(MethodFilter::GET.or(MethodFilter::CONNECT), over_socket))
        .route("/live/sse", get(as_events))
        .route("/tickets", post(fetch_ticket))
}

async fn over_socket(
    State(api): State<Api>,
    door: Door,
    request: Request,
) -> Result<Response, Problem> {
    let (mut head, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut head, &()).await {
        Ok(upgrade) => upgrade,
        Err(refused) => return Ok(no_socket(&refused)),
    };
    let asked = Asked::read(&head)?;
    let opening = Opening::Socket { by_ticket: asked.ticket.is_some() };
    origin::check(&head, api.origins(), opening)?;
    let session = open(&api, &door, head, asked).await?;
    Ok(upgrade
        .max_message_size(socket::MAX_INBOUND)
        .max_frame_size(socket::MAX_INBOUND)
        .on_upgrade(move |socket| socket::serve(socket, session)))
}

/// Answers whoever came without an upgrade, and says which one is meant (RFC 9110, 15.5.22).
fn no_socket(refused: &WebSocketUpgradeRejection) -> Response {
    let detail = format!("{}; `live/sse` has the same as server-sent events", refused.body_text());
    let status = match refused.status() {
        // Of the methods that come here only HEAD is none of its own.
        StatusCode::METHOD_NOT_ALLOWED => StatusCode::BAD_REQUEST,
        status => status,
    };
    let problem = Problem::new(status, "websocket-expected", detail);
    ([(header::UPGRADE, HeaderValue::from_static("websocket"))], problem).into_response()
}

async fn as_events(
    State(api): State<Api>,
    door: Door,
    request: Request,
) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let mut asked = Asked::read(&head)?;
    origin::check(&head, api.origins(), Opening::Events)?;
    // A browser that comes back asks for the same address as before: what it has seen since counts.
    let last = head.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    if let Some(last) = last.filter(|last| !last.is_empty()) {
        asked.cursor = Some(last.to_owned());
    }
    // There is nothing to be had of a stream but the stream.
    let is_head = head.method == Method::HEAD;
    let session = open(&api, &door, head, asked).await?;
    let mut response = if is_head {
        drop(session);
        let kind = HeaderValue::from_static("text/event-stream");
        ([(header::CONTENT_TYPE, kind)], Body::new(Unsent)).into_response()
    } else {
        Sse::new(Events::new(session)).into_response()
    };
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

async fn fetch_ticket(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    Parameters::of(&head)?.read(&[], api.now())?;
    // Who may read nothing needs no ticket.
    caller.scope()?;
    let fetched = Fetched { grant: caller.grant().clone(), head: for_later(head) };
    let ticket = api.tickets().issue(fetched, Instant::now());
    let ticket = Json(Ticket { ticket, expires_in: LIFETIME.as_secs() });
    Ok((StatusCode::CREATED, ticket).into_response())
}

/// What was asked for. A live session goes on, in the order of the commits: it takes no limit and no order.
#[derive(Debug)]
struct Asked {
    ticket: Option<String>,
    cursor: Option<String>,
    parameters: Parameters,
}

/// What a session takes beside the names of the query fields.
const EXTRAS: [Extra; 3] = [Extra::Filters, Extra::Cursor, Extra::Ticket];

impl Asked {
    fn read(head: &Parts) -> Result<Self, Problem> {
        let parameters = Parameters::of(head)?;
        let raw = |name| parameters.raw(name).filter(|value| !value.is_empty()).map(str::to_owned);
        for name in ["limit", "order", "page", "offset", "count"] {
            if parameters.raw(name).is_some() {
                let detail = format!(
                    "a live session goes on, in the order of the commits, and takes no `{name}`; for a page \
                     ask `records`"
                );
                return Err(Problem::parameter(name, detail));
            }
        }
        Ok(Self { ticket: raw("ticket"), cursor: raw("cursor"), parameters })
    }
}

/// Says who is listening, by his ticket or by himself, and by which head of a request access decided on it.
async fn listener(
    api: &Api,
    door: &Door,
    head: Parts,
    ticket: Option<&str>,
) -> Result<(Parts, Caller), Problem> {
    let Some(ticket) = ticket else {
        let caller = door.knock(&head).await?;
        return Ok((for_later(head), caller));
    };
    let fetched = api.tickets().redeem(ticket, Instant::now()).ok_or_else(|| {
        let detail = "the ticket was used, is older than 30 seconds, or was fetched elsewhere: fetch another \
                      with `POST …/tickets`";
        Problem::new(StatusCode::UNAUTHORIZED, "unknown-ticket", detail)
    })?;
    Ok((fetched.head, door.enter(fetched.grant)))
}

/// Leaves the guard's own part out of a head: access is asked with it again, and not what it said before.
fn for_later(mut head: Parts) -> Parts {
    head.extensions.remove::<Door>();
    head
}

async fn open(api: &Api, door: &Door, head: Parts, asked: Asked) -> Result<Session, Problem> {
    let Asked { ticket, cursor, parameters } = asked;
    let (head, caller) = listener(api, door, head, ticket.as_deref()).await?;
    let scope = caller.scope()?;
    let store = api.store()?;
    let key = *api.cursor_key();
    let sealed = cursor.map(|cursor| LiveCursor::open(&key, &cursor)).transpose()?;
    let now = sealed.as_ref().map_or_else(|| api.now(), Sealed::now);
    let filter = parameters.read(&EXTRAS, now)?.filter;
    let binding = Binding::new(&filter, &scope);
    let cursor = sealed.map(|sealed| sealed.bound_to(binding)).transpose()?;
    let end = api.in_time(async { Ok(store.head().await?) }).await?;
    let place = cursor.map_or(Place::behind(end), |cursor| Place::of_cursor(&cursor));
    if place > Place::behind(end) {
        return Err(Problem::parameter(
            "cursor",
            "the cursor is ahead of the log, which was restored since; begin again without it",
        ));
    }
    let filter = Arc::new(api.unveiled(filter.and(scope)).await?);
    let seat = api.hub().join(store, Arc::clone(&filter), place).ok_or_else(|| {
        let detail = "too many are listening; please try again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-sessions", detail).retry_after(30)
    })?;
    let cursors = Cursors { key, binding, now };
    let tail = Tail::new(seat, api.store_for(caller.grant())?, filter, cursors, place);
    let bounds = Bounds::new(api.clone(), head, caller.grant().clone());
    Ok(Session::new(tail, bounds, caller.begin()))
}
