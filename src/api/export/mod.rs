//! `GET /export`: the whole result of a filter, streamed.
//!
//! With `restricted=true` it is what legal holds keep of people who were erased, as `GET /holds/restricted` shows it.
//!
//! With `proofs=true` each record brings its proof along, as in a [bundle](super::bundle), which then goes the same way.
//!
//! Words are looked for in all of the log here, however long it takes: an export is whole, or it breaks off.
//!
//! An export covers what the store held when it began, and nothing of what comes later: where the ledger
//! stood is the header `activity-position`. It is read in pages, each a short transaction of its own, one
//! page ahead of the client; so it takes the same memory whatever its length, holds up nobody else, and
//! stops when the client goes.
//!
//! **An export that was cut off cannot be taken for a whole one.** When the store fails in the middle, the
//! connection is broken off instead of ended (HTTP/1.1 without the last chunk, HTTP/2 with a reset), and
//! JSON and CloudEvents stay unclosed besides. Clients that ask for trailers (`TE: trailers`) get
//! `activity-records`, the number of records, and `activity-unreadable`, the number of rows that were left
//! out because somebody edited them by hand until they were no records any more.

mod ask;
mod body;
mod produce;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, Method, header};

use self::{ask::Ask, produce::Producer};
pub(super) use self::{
    ask::{check_order, check_whole},
    body::{ExportBody, Piece},
    produce::PATIENCE,
};
use super::{
    access::Permission,
    answer::Unsent,
    bundle::{self, Form},
    parameters::Parameters,
    problem::Problem,
    state::Api,
    watch::Caller,
};
use crate::{store::Read as _, time::Timestamp};

/// What the name of the file begins with.
const NAME: &str = "activity";

/// The position of the ledger's last entry that the export covers.
const POSITION: HeaderName = HeaderName::from_static("activity-position");
/// How many records it holds: a trailer.
pub(super) const RECORDS: HeaderName = HeaderName::from_static("activity-records");
/// How many rows it left out: a trailer.
pub(super) const UNREADABLE: HeaderName = HeaderName::from_static("activity-unreadable");

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/export", get(export))
}

async fn export(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    caller.must(Permission::Export)?;
    let scope = caller.scope()?;
    let ask = Ask::read(&Parameters::of(&parts)?, api.now())?;
    if ask.restricted {
        caller.must(Permission::Configure)?;
    }
    let filter = api.unveiled(ask.filter.clone().and(scope)).await?;
    if ask.proofs {
        let (ending, kind) = (ask.format.extension(), ask.format.media_type());
        let form = Form { name: NAME, ending, kind, restricted: ask.restricted };
        let is_head = parts.method == Method::HEAD;
        return bundle::made(&api, &caller, (filter, ask.direction), form, is_head).await;
    }
    let store = match ask.restricted {
        // Not as a reader of a tenant, who sees nothing of it: the scope keeps to the tenant.
        true => api.store()?.clone(),
        false => api.store_for(caller.grant())?,
    };
    let snapshot = api.in_time(async { Ok(store.snapshot().await?) }).await?;

    let position = snapshot.position;
    let body = if parts.method == Method::HEAD {
        Body::new(Unsent)
    } else {
        Body::new(Producer::new(store, filter, snapshot, &ask, caller.begin()).start())
    };
    let name = (NAME, ask.format.extension());
    Ok(file(body, ask.format.media_type(), name, api.now(), position))
}

/// Answers with a file that covers the ledger up to a position; its name is what it is, the time, and its ending.
pub(super) fn file(
    body: Body,
    media_type: &'static str,
    (what, ending): (&str, &str),
    now: Timestamp,
    position: i64,
) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(name) = HeaderValue::try_from(format!(
        "attachment; filename=\"{what}-{}.{ending}\"",
        now.calendar().strftime("%Y%m%dT%H%M%SZ"),
    )) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    headers.insert(POSITION, position.into());
    headers
        .insert(header::TRAILER, HeaderValue::from_static("activity-records, activity-unreadable"));
    // The file is data; no browser should look for a page in it.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
