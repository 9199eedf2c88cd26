//! What the head of a response tells, and whether the record is finished there or at the end.

use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body::Body;

use super::{
    Unrecorded,
    begin::set_lossy,
    draft::{Said, State},
};
use crate::{
    record::Actor,
    rules::{Ended, EntityIdFrom, FinishPoint, SCAN_BYTES},
};

/// Answers up to this size are finished at their head: nothing more is learnt from handing them on.
const SMALL: u64 = 64 * 1024;

/// What is to be done about a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing is recorded: the answer says so itself.
    Discard,
    /// The record is finished now.
    Finish { bytes: Option<u64> },
    /// The record is finished when the body ends.
    Watch { exact: Option<u64>, copies: bool },
}

/// What a body says of itself before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    exact: Option<u64>,
    ended: bool,
}

impl Announced {
    pub(super) fn of<B: Body>(body: &B) -> Self {
        Self { exact: body.size_hint().exact(), ended: body.is_end_stream() }
    }

    /// That of a body of ours.
    pub(super) const fn exactly(bytes: u64) -> Self {
        Self { exact: Some(bytes), ended: bytes == 0 }
    }
}

/// Reads a response's head into the draft.
pub(super) fn read<B>(
    state: &mut State,
    response: &Response<B>,
    body: Announced,
    head_request: bool,
) -> Next {
    if response.extensions().get::<Unrecorded>().is_some() {
        return Next::Discard;
    }
    let headers = response.headers();
    grpc_status(state, headers);
    state.head = true;
    let said = state.said;
    let Some(open) = state.open.as_mut() else { return Next::Discard };
    let status = response.status();
    open.record.status = Some(status.as_u16());
    if let Some(actor) = response.extensions().get::<Actor>()
        && !said.has(Said::ACTOR)
    {
        open.record.set_actor(actor);
    }
    if let Some(location) = headers.get(header::LOCATION)
        && !location.is_sensitive()
    {
        set_lossy(&mut state.location, location);
        keep_last_segment(&mut state.location);
    }
    let exact = body.exact;
    let empty = body.ended
        || head_request
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let sse = starts_with(headers, b"text/event-stream");
    let upgrade = status.is_informational();
    let finish = open.plan.finish(&open.mask);
    let bytes = if empty { Some(0) } else { exact };
    if empty || upgrade {
        return Next::Finish { bytes: if upgrade { None } else { bytes } };
    }
    if state.grpc {
        // A status in the head means that nothing else comes.
        return match open.record.grpc_status {
            Some(_) => Next::Finish { bytes },
            None => Next::Watch { exact: None, copies: false },
        };
    }
    if finish == FinishPoint::Head {
        return Next::Finish { bytes };
    }
    let mut limit = open.plan.response_body(&open.mask).unwrap_or(0);
    if open.plan.scan_id(&open.mask)
        && status.is_success()
        && state.location.is_empty()
        && !said.has(Said::ENTITY_ID)
        && is_json(headers)
        && exact.is_none_or(|exact| exact <= SCAN_BYTES as u64)
    {
        let ended = Ended::with_status(status.as_u16());
        let wanted = open.plan.decide(&open.mask, &ended);
        if wanted.is_some_and(|meaning| meaning.entity_id == EntityIdFrom::Created) {
            limit = limit.max(SCAN_BYTES);
        }
    }
    if limit == 0
        && finish == FinishPoint::Auto
        && (sse || exact.is_some_and(|exact| exact <= SMALL))
    {
        return Next::Finish { bytes: if sse { None } else { bytes } };
    }
    if limit > 0 {
        state.response.start(limit);
        if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
            set_lossy(&mut state.response.content_type, content_type);
        }
    }
    Next::Watch { exact, copies: limit > 0 }
}

/// Keeps the gRPC status that headers or trailers name.
pub(super) fn grpc_status(state: &mut State, headers: &HeaderMap) {
    if !state.grpc {
        return;
    }
    let Some(status) = headers.get("grpc-status") else { return };
    let code = status.to_str().ok().and_then(|text| text.parse::<u8>().ok());
    if let Some(open) = state.open.as_mut() {
        // What is no number is what the protocol calls UNKNOWN.
        open.record.grpc_status = Some(code.unwrap_or(2));
    }
}

pub(super) fn is_head(method: &Method) -> bool {
    *method == Method::HEAD
}

fn starts_with(headers: &HeaderMap, what: &[u8]) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().get(..what.len()).is_some_and(|start| start.eq_ignore_ascii_case(what))
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|text| {
        let essence = text.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
    })
}

/// Reduces a `Location` to its last segment, decoded.
fn keep_last_segment(location: &mut String) {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let path = location[..end].trim_end_matches('/');
    // `https://host` alone names no thing.
    let after_host = path.split_once("://").map_or(path, |(_, rest)| rest);
    let last = after_host.rsplit_once('/').map_or("", |(_, last)| last);
    let last = percent_encoding::percent_decode_str(last)
        .decode_utf8()
        .map_or_else(|_| last.to_owned(), std::borrow::Cow::into_owned);
    *location = last;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_of_a_location_is_the_id() {
        for (location, id) in [
            ("/api/orders/55", "55"),
            ("/api/orders/55/", "55"),
            ("https://shop.example/orders/a%20b?x=1#y", "a b"),
            ("https://shop.example", ""),
            ("/orders/%ff", "%ff"),
            ("55", ""),
            ("", ""),
        ] {
            let mut text = location.to_owned();
            keep_last_segment(&mut text);
            assert_eq!(text, id, "{location}");
        }
    }
}
