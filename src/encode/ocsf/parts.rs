//! The objects of an event.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::{
    json::{Object, push_bare},
    rest::{Rest, field},
};
use crate::record::{ActorType, Record, Value, push_string};

/// `actor`: who acted.
pub(super) fn actor(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    event.object("actor", |actor| {
        actor.object("user", |user| self::user(user, record, rest));
        session(actor, rest);
    });
}

fn user(user: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    let (id, name) = match record.actor_type {
        ActorType::User => (1, "User"),
        ActorType::System => (3, "System"),
        ActorType::Service => (4, "Service"),
        ActorType::Anonymous => (0, "Unknown"),
        ActorType::ApiKey | ActorType::Agent => (99, record.actor_type.as_str()),
    };
    user.integer("type_id", id);
    user.text("type", name);
    rest.text(user, "uid", field!("actor_id"));
    rest.text(user, "name", field!("actor_name"));
    if record.actor_id.is_absent() && record.actor_name.is_absent() {
        user.text("name", record.actor_type.as_str());
    }
}

/// `session`, in the actor and in an authentication.
pub(super) fn session(object: &mut Object<'_>, rest: &mut Rest<'_>) {
    object.object("session", |session| {
        rest.text(session, "uid", field!("session_id"));
        rest.text(session, "credential_uid", field!("credential_id"));
    });
}

/// `user` of an authentication: whoever wants to be let in.
pub(super) fn subject(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    let named = !record.entity_id.is_absent() || !record.entity_name.is_absent();
    event.object("user", |user| {
        if named && matches!(record.entity_type.as_str(), "user" | "account") {
            rest.text(user, "uid", field!("entity_id"));
            rest.text(user, "name", field!("entity_name"));
        } else {
            self::user(user, record, rest);
        }
    });
}

/// `api`: what was called.
pub(super) fn api(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    event.object("api", |api| {
        match (record.entity_type.as_option(), record.action.as_option()) {
            (Some(entity), Some(action)) => api.text("operation", &format!("{entity}.{action}")),
            (only, None) | (None, only) => api.text("operation", only.unwrap_or("unknown")),
        }
        api.object("service", |service| rest.text(service, "name", field!("service")));
        api.object("request", |request| rest.text(request, "uid", field!("request_id")));
    });
}

/// `resources`: what was acted on, and the further targets.
pub(super) fn resources(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    let has_entity = !record.entity_id.is_absent() || !record.entity_name.is_absent();
    let targets = record.targets.as_option().and_then(targets);
    if !has_entity && targets.is_none() {
        return;
    }
    let out = event.key("resources");
    out.push(b'[');
    if has_entity {
        let mut resource = Object::open(out);
        rest.text(&mut resource, "type", field!("entity_type"));
        rest.text(&mut resource, "uid", field!("entity_id"));
        rest.text(&mut resource, "name", field!("entity_name"));
        resource.integer("role_id", 1);
        resource.text("role", "Target");
        resource.close();
    }
    if let Some(targets) = targets {
        rest.taken(field!("targets"));
        for (index, target) in targets.iter().enumerate() {
            if has_entity || index > 0 {
                out.push(b',');
            }
            let mut resource = Object::open(out);
            for (key, text) in [("type", &target.kind), ("uid", &target.id), ("name", &target.name)]
            {
                if let Some(text) = text {
                    resource.text(key, text);
                }
            }
            if let Some(relation) = &target.relation {
                resource.integer("role_id", 99);
                resource.text("role", relation);
            }
            resource.close();
        }
    }
    out.push(b']');
}

/// A further target, as the record has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    relation: Option<Cow<'a, str>>,
}

/// Reads targets; `None` where they are not of the shape that resources have.
fn targets(text: &str) -> Option<Vec<Target<'_>>> {
    let targets: Vec<Target<'_>> = serde_json::from_str(text).ok()?;
    let all = targets.iter().all(|target| target.id.is_some() || target.name.is_some());
    (all && !targets.is_empty()).then_some(targets)
}

/// `entity`: what was managed.
pub(super) fn entity(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    event.object("entity", |entity| {
        match record.entity_type.as_str() {
            "" => {
                entity.integer("type_id", 0);
                entity.text("type", "Unknown");
            }
            kind => match known_entity(kind) {
                // The caption of a known type says less than our word, which stays among the rest.
                Some((id, caption)) => {
                    entity.integer("type_id", id);
                    entity.text("type", caption);
                }
                None => {
                    entity.integer("type_id", 99);
                    rest.text(entity, "type", field!("entity_type"));
                }
            },
        }
        rest.text(entity, "uid", field!("entity_id"));
        rest.text(entity, "name", field!("entity_name"));
        if record.entity_id.is_absent() && record.entity_name.is_absent() {
            entity.text("name", record.entity_type.as_option().unwrap_or("unknown"));
        }
    });
}

fn known_entity(kind: &str) -> Option<(i64, &'static str)> {
    Some(match kind {
        "device" => (1, "Device"),
        "user" | "account" | "member" => (2, "User"),
        "group" | "team" => (3, "Group"),
        "organization" | "organisation" => (4, "Organization"),
        "policy" => (5, "Policy"),
        "email" => (6, "Email"),
        _ => return None,
    })
}

/// `src_endpoint`: from where.
pub(super) fn client(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    event.object("src_endpoint", |endpoint| {
        rest.text(endpoint, "uid", field!("ip_pseudonym"));
        match record.ip {
            Some(ip) => {
                // Only a whole address is one; a truncated one is the name of a network.
                let out = endpoint.key(if ip.is_whole() { "ip" } else { "name" });
                out.push(b'"');
                push_bare(out, Value::Address(ip));
                out.push(b'"');
                rest.taken(field!("ip"));
            }
            None if record.ip_pseudonym.is_absent() => endpoint.text("name", "unknown"),
            None => {}
        }
        if let Some(location) = record.location.as_option().and_then(location) {
            rest.taken(field!("location"));
            endpoint.object("location", |object| {
                let Location { country, region, city } = &location;
                for (key, text) in [("country", country), ("region", region), ("city", city)] {
                    if let Some(text) = text {
                        object.text(key, text);
                    }
                }
            });
        }
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Location<'a> {
    #[serde(borrow)]
    country: Option<Cow<'a, str>>,
    #[serde(borrow)]
    region: Option<Cow<'a, str>>,
    #[serde(borrow)]
    city: Option<Cow<'a, str>>,
}

fn location(text: &str) -> Option<Location<'_>> {
    let location: Location<'_> = serde_json::from_str(text).ok()?;
    let any = location.country.is_some() || location.region.is_some() || location.city.is_some();
    any.then_some(location)
}

/// `dst_endpoint`: the host that was asked for.
pub(super) fn server(event: &mut Object<'_>, rest: &mut Rest<'_>) {
    event.object("dst_endpoint", |endpoint| rest.text(endpoint, "hostname", field!("host")));
}

/// `http_request` and `http_response`.
pub(super) fn http(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    event.object("http_request", |request| {
        if METHODS.contains(&record.method.as_str()) {
            rest.text(request, "http_method", field!("method"));
        }
        if !record.path.is_absent() {
            request.object("url", |url| {
                rest.text(url, "path", field!("path"));
                rest.text(url, "query_string", field!("query"));
                rest.text(url, "hostname", field!("host"));
            });
        }
        rest.text(request, "version", field!("http_version"));
        rest.text(request, "user_agent", field!("user_agent"));
        rest.text(request, "uid", field!("request_id"));
        rest.integer(request, "body_length", field!("request_bytes"));
    });
    // Without a status there is no such object.
    if record.status.is_some() {
        event.object("http_response", |response| {
            rest.integer(response, "code", field!("status"));
            rest.integer(response, "body_length", field!("response_bytes"));
            if let Some(duration) = record.duration_us {
                response.integer("latency", duration / 1_000);
            }
        });
    }
}

/// The methods that the schema knows.
const METHODS: [&str; 9] =
    ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH"];

/// `trace`, of the profile of this name.
pub(super) fn trace(event: &mut Object<'_>, record: &Record, rest: &mut Rest<'_>) {
    if record.trace_id.is_absent() {
        return;
    }
    event.object("trace", |trace| {
        rest.text(trace, "uid", field!("trace_id"));
        if let Some(span) = record.span_id.as_option() {
            let start = record.occurred_at.as_millis();
            let duration = record.duration_us.unwrap_or_default() / 1_000;
            trace.object("span", |object| {
                push_string(object.key("uid"), span);
                object.integer("start_time", start);
                object.integer("end_time", start.saturating_add(duration));
            });
            rest.taken(field!("span_id"));
        }
    });
}
