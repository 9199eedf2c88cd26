//! CloudEvents 1.0 in their JSON format. Which field goes where is told in the chapter of [`encode`](super).

use std::{fmt::Write as _, io::Write as _};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{
    json::{Moments, Object},
    rest::{Rest, field},
};
use crate::record::{ActorType, Record, Value, push_string, visible};

/// What a segment of a path may not hold (RFC 3986).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

pub(super) fn event(record: &Record, moments: &mut Moments, out: &mut Vec<u8>) {
    let mut rest = Rest::of(record);
    let mut event = Object::open(out);
    event.text("specversion", "1.0");
    event.value("id", Value::Id(record.id), moments);
    rest.taken(field!("id"));
    source(&mut event, record);
    let mut kind = String::new();
    kind.push_str(record.entity_type.as_str());
    if !record.entity_type.is_absent() && !record.action.is_absent() {
        kind.push('.');
    }
    kind.push_str(record.action.as_str());
    match kind.as_str() {
        "" => event.text("type", "unknown"),
        kind if is_attribute(kind) => event.text("type", kind),
        kind => event.text("type", &visible(kind).to_string()),
    }
    if !record.entity_id.is_absent() {
        kind.clear();
        let _infallible = write!(kind, "{}/{}", record.entity_type, record.entity_id);
        if is_attribute(&kind) {
            event.text("subject", &kind);
        }
    }
    event.moment("time", record.occurred_at, moments);
    rest.taken(field!("occurred_at"));
    event.moment("recordedtime", record.recorded_at, moments);
    rest.taken(field!("recorded_at"));
    let (trace, span) = (record.trace_id.as_str(), record.span_id.as_str());
    if is_hex(trace, 32) && is_hex(span, 16) {
        let out = event.key("traceparent");
        // Whether it was sampled is not known.
        let _infallible = write!(out, "\"00-{trace}-{span}-00\"");
        rest.taken(field!("trace_id"));
        rest.taken(field!("span_id"));
    }
    event.text("authtype", auth_type(record.actor_type));
    if rest.look_text(field!("actor_id")).is_some_and(is_attribute) {
        rest.text(&mut event, "authid", field!("actor_id"));
    }
    event.text("datacontenttype", "application/json");
    event.object("data", |data| rest.write(data, moments));
    event.close();
}

fn source(event: &mut Object<'_>, record: &Record) {
    let mut path = String::new();
    for segment in [&record.service, &record.instance] {
        if !segment.is_absent() {
            let _infallible = write!(path, "/{}", utf8_percent_encode(segment, SEGMENT));
        }
    }
    push_string(event.key("source"), if path.is_empty() { "/" } else { &path });
}

const fn auth_type(actor: ActorType) -> &'static str {
    match actor {
        ActorType::User => "app_user",
        ActorType::Service => "service_account",
        ActorType::ApiKey => "api_key",
        ActorType::System => "system",
        ActorType::Anonymous => "unauthenticated",
        ActorType::Agent => "unknown",
    }
}

/// Tells whether text may be the value of an attribute: no control characters, no noncharacters.
fn is_attribute(text: &str) -> bool {
    !text.chars().any(|c| {
        c.is_control() || matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
    })
}

/// Tells whether text is lower-case hex of this length and not all zeros, as W3C Trace Context asks.
fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|byte| byte != b'0')
}
