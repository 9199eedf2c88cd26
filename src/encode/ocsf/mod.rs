//! Events of the Open Cybersecurity Schema Framework, version 1.8.0.
//!
//! Which field goes where is told in the chapter of [`encode`](super). Where the schema requires something that
//! nobody knows, it says `unknown`.

mod class;
mod parts;

use std::fmt::Write as _;

use self::class::Class;
use super::{
    json::{Moments, Object},
    rest::{Rest, field},
};
use crate::record::{Outcome, Record, Value};

/// The version of the schema that events are written for.
const VERSION: &str = "1.8.0";

/// Writes a record as an event. `sentence` is a buffer.
pub(super) fn event(
    record: &Record,
    moments: &mut Moments,
    sentence: &mut String,
    out: &mut Vec<u8>,
) {
    let mut rest = Rest::of(record);
    let rest = &mut rest;
    let class = Class::of(record);
    let mut event = Object::open(out);
    class.write(&mut event, record);
    event.integer("time", record.occurred_at.as_millis());
    severity(&mut event, record, rest);
    status(&mut event, record, rest);
    if record.description.is_absent() {
        sentence.clear();
        let _infallible = write!(sentence, "{}", record.sentence());
        event.text("message", sentence);
    } else {
        rest.text(&mut event, "message", field!("description"));
    }
    metadata(&mut event, record, class, rest, moments);
    match class {
        Class::Authentication => {
            parts::subject(&mut event, record, rest);
            parts::session(&mut event, rest);
            parts::actor(&mut event, record, rest);
            if !record.auth_method.is_absent() {
                event.integer("auth_protocol_id", 99);
                rest.text(&mut event, "auth_protocol", field!("auth_method"));
            }
            event.object("service", |service| match rest.look(field!("service")) {
                Value::Null => service.text("name", "unknown"),
                _ => rest.text(service, "name", field!("service")),
            });
            parts::server(&mut event, rest);
        }
        Class::EntityManagement => {
            parts::actor(&mut event, record, rest);
            parts::entity(&mut event, record, rest);
            rest.text(&mut event, "comment", field!("reason"));
        }
        Class::ApiActivity => {
            parts::actor(&mut event, record, rest);
            parts::api(&mut event, record, rest);
            parts::resources(&mut event, record, rest);
            parts::server(&mut event, rest);
            parts::trace(&mut event, record, rest);
        }
    }
    parts::client(&mut event, record, rest);
    parts::http(&mut event, record, rest);
    event.object("unmapped", |unmapped| rest.write(unmapped, moments));
    event.close();
}

fn severity(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    const NAMES: [&str; 7] =
        ["Unknown", "Informational", "Low", "Medium", "High", "Critical", "Fatal"];
    match NAMES.get(usize::from(record.severity)) {
        Some(name) => {
            rest.integer(event, "severity_id", field!("severity"));
            event.text("severity", name);
        }
        None => {
            event.integer("severity_id", 99);
            event.text("severity", "Other");
        }
    }
}

fn status(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    let (id, name) = match record.outcome {
        Outcome::Success => (1, "Success"),
        Outcome::Denied | Outcome::Failure => (2, "Failure"),
        Outcome::Aborted => (99, Outcome::Aborted.as_str()),
        Outcome::Unknown => (0, "Unknown"),
    };
    event.integer("status_id", id);
    event.text("status", name);
    if let Some(status) = record.status {
        event.text("status_code", &status.to_string());
    }
    rest.text(event, "status_detail", field!("outcome_reason"));
}

fn metadata(
    event: &mut Object<'_>,
    record: &Record,
    class: Class,
    rest: &mut Rest<'_>,
    moments: &mut Moments,
) {
    event.object("metadata", |metadata| {
        metadata.text("version", VERSION);
        metadata.object("product", |product| {
            product.text("name", "tower-activity");
            product.text("vendor_name", "tower-activity");
            product.text("version", env!("CARGO_PKG_VERSION"));
        });
        if class == Class::ApiActivity && !record.trace_id.is_absent() {
            metadata.key("profiles").extend_from_slice(b"[\"trace\"]");
        }
        metadata.value("uid", Value::Id(record.id), moments);
        rest.taken(field!("id"));
        metadata.moment("original_time", record.occurred_at, moments);
        rest.taken(field!("occurred_at"));
        metadata.integer("logged_time", record.recorded_at.as_millis());
        if record.recorded_at.as_micros() % 1_000 == 0 {
            rest.taken(field!("recorded_at"));
        }
        rest.integer(metadata, "sequence", field!("seq"));
        rest.text(metadata, "tenant_uid", field!("tenant_id"));
        rest.text(metadata, "correlation_uid", field!("correlation_id"));
    });
}
