//! From the head of a request to an open draft: copying what the record needs, nothing more.

use std::sync::Arc;

use http::{HeaderValue, Request, Uri, Version, header};

use super::{
    Activity, client,
    config::Config,
    draft::{Draft, Open, Said, State},
    with_axum,
};
use crate::{
    record::{Actor, Origin, traceparent},
    rules::{CompiledRules, Delivery, Mask, Plan, Route},
};

/// Copied text is cut here; what a field holds is bounded more tightly when the record is finished.
const LONGEST_HEADER: usize = 4 * 1024;

/// What is known of a request before its draft is opened.
pub(super) struct Planned<'a> {
    plan: Arc<Plan>,
    mask: Mask,
    route: Route<'a>,
    vouched: Said,
    uri: &'a Uri,
}

impl Planned<'_> {
    /// Returns the class that the request is delivered in: the strictest of the rules that may record it, and
    /// of the pipeline.
    pub(super) fn class(&self, config: &Config) -> Delivery {
        self.plan.delivery(&self.mask).max(config.recorder.mode())
    }

    /// Tells whether the service may be called only once the spool has the intent.
    ///
    /// A read that only a refusal would make a record of is no operation to be announced; with the intent
    /// of each of them every read would wait for the disk twice.
    pub(super) fn must_be_announced(&self, class: Delivery) -> bool {
        class == Delivery::Strict && self.plan.foreseen(&self.mask).is_some()
    }
}

/// Looks the plan of a request up; `None` when no ending of it can make a record.
pub(super) fn plan<'a, B>(
    rules: &'a CompiledRules,
    request: &'a Request<B>,
) -> Option<Planned<'a>> {
    let (route, vouched) = route(rules, request);
    let narrow = |plan: &Arc<Plan>| {
        if plan.is_none() {
            return None;
        }
        let uri = raw_uri(request);
        let mask = mask(plan, request, uri.path());
        let plan = (!plan.is_none_for(&mask)).then(|| Arc::clone(plan))?;
        Some(Planned { plan, mask, route, vouched, uri })
    };
    match route {
        Route::Template(name) if vouched.has(Said::GRPC_ROUTE) => {
            narrow(&rules.plan_named(request.method(), name))
        }
        route => rules.with_plan(request.method(), route, narrow),
    }
}

/// Asks the head which candidates stay, where the plan has a question at all.
fn mask<B>(plan: &Plan, request: &Request<B>, path: &str) -> Mask {
    if !plan.asks() {
        return Mask::default();
    }
    let host = match request.headers().get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => authority(request.uri()),
    };
    plan.applicable(request.headers(), host, path)
}

/// Returns the route, and what vouches for it.
fn route<'a, B>(rules: &'a CompiledRules, request: &'a Request<B>) -> (Route<'a>, Said) {
    let matched = with_axum::matched_path(request.extensions());
    // tonic serves each service under a template that ends in a wildcard: there the method is in the path.
    if let Some(matched) = matched.filter(|matched| !matched.ends_with("{*rest}")) {
        return (Route::Template(matched), Said::ROUTED);
    }
    // A route that the rules know stays what it is, whatever content type a client claims: otherwise one
    // header would be enough to slip past a rule.
    let known = rules.template_for(raw_uri(request).path());
    if let Some(known) = known.filter(|_| matched.is_none()).filter(|known| !known.contains('*')) {
        return (Route::Template(known), Said::default());
    }
    // gRPC paths are made of names, and the names are the route.
    if is_grpc(request)
        && let Some(template) = grpc_route(request.uri().path())
    {
        return (Route::Template(template), Said::GRPC_ROUTE);
    }
    if let Some(matched) = matched {
        return (Route::Template(matched), Said::ROUTED);
    }
    match known {
        Some(template) => (Route::Template(template), Said::default()),
        None => (Route::Unmatched, Said::default()),
    }
}

/// Returns the path of a gRPC call as its route, if it has the form `/package.Service/Method`.
///
/// A client may have made the names up. Plans are bounded, and a call that no service implements loses its
/// route when it is finished.
fn grpc_route(path: &str) -> Option<&str> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let (service, method) = (segments.next()?, segments.next()?);
    let name = |part: &str| {
        !part.is_empty()
            && part.len() <= 128
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_'))
    };
    (segments.next().is_none() && name(service) && name(method)).then_some(path)
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Returns the URI as the client sent it: nested routers strip their prefix from that of the request.
fn raw_uri<B>(request: &Request<B>) -> &Uri {
    with_axum::original_uri(request.extensions()).unwrap_or(request.uri())
}

/// Returns the host where HTTP/2 has it; user information in front of it is nobody's business.
fn authority(uri: &Uri) -> Option<&str> {
    uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default())
}

/// Opens the draft of a request.
pub(super) fn open<B>(
    config: &Arc<Config>,
    request: &Request<B>,
    planned: Planned<'_>,
    class: Delivery,
) -> Draft {
    let recorder = &config.recorder;
    let (headers, extensions) = (request.headers(), request.extensions());
    let mut record = recorder.draft();
    let started = recorder.clock().monotonic();
    record.origin = Origin::Request;
    record.method.set(request.method().as_str());
    record.http_version.set(version(request.version()));
    record.route.set(cut(planned.route.as_str()));
    Draft::open(&config.pool, |state| {
        state.target.push_str(planned.uri.path());
        state.path_len = state.target.len();
        if config.query
            && let Some(query) = planned.uri.query()
        {
            state.target.push('?');
            state.target.push_str(query);
        }
        let request_body = planned.plan.request_body(&planned.mask);
        let mut hosted = false;
        let (mut hops, mut last_hops) = (0, None);
        // One pass over the headers: a lookup per field would hash seven names.
        for (name, value) in headers {
            if value.is_sensitive() {
                continue;
            }
            match name.as_str() {
                "host" if !hosted => {
                    hosted = true;
                    record.host.set(value.to_str().map(cut).unwrap_or_default());
                }
                "user-agent" if record.user_agent.is_absent() => {
                    set_lossy(record.user_agent.buffer(), value);
                }
                "traceparent" => {
                    if let Some((trace, span)) = traceparent(value.as_bytes()) {
                        record.trace_id.set(trace);
                        record.span_id.set(span);
                    }
                }
                "content-type" => {
                    state.grpc |= value.as_bytes().starts_with(b"application/grpc");
                    if request_body.is_some() && state.request.content_type.is_empty() {
                        set_lossy(&mut state.request.content_type, value);
                    }
                }
                "x-forwarded-for" | "forwarded" => (hops, last_hops) = (hops + 1, Some(value)),
                _ => {}
            }
            if *name == config.request_id && record.request_id.is_absent() {
                // An id is a word; anything else is not worth answering or searching for.
                if let Some(id) = value.to_str().ok().filter(|id| id.len() <= 128) {
                    record.request_id.set(id);
                }
            }
        }
        if !hosted && let Some(host) = authority(request.uri()) {
            record.host.set(cut(host));
        }
        state.client = config.trust.client(headers, client::peer(extensions));
        if hops > 0 {
            let only = last_hops.filter(|_| hops == 1);
            state.chained = client::copy_chain(headers, only, &mut state.chain);
        }
        if let Some(actor) = extensions.get::<Actor>() {
            record.set_actor(actor);
        }
        if let Some(limit) = request_body {
            state.request.start(limit);
        }
        state.said.add(planned.vouched);
        state.open = Some(Open {
            config: Arc::clone(config),
            record,
            plan: planned.plan,
            mask: planned.mask,
            started,
            class,
            ticket: None,
        });
    })
}

/// Adds what a layer inside another of ours knows to the outer draft: the route, which a layer
/// outside the router cannot see. If that makes it an operation that has to be announced first, returns the
/// configuration of the outer layer, whose record it is.
pub(super) fn add_to_outer<B>(
    rules: &CompiledRules,
    request: &Request<B>,
    outer: &Activity,
) -> Option<Arc<Config>> {
    let mut announced = None;
    outer.with(|state: &mut State| {
        let Some(open) = state.open.as_mut() else { return };
        if state.said.has(Said::ROUTED) || state.said.has(Said::GRPC_ROUTE) {
            return;
        }
        let path = raw_uri(request).path();
        let (route, Said::ROUTED) = route(rules, request) else { return };
        let plan = rules.plan(request.method(), route);
        open.mask = mask(&plan, request, path);
        open.plan = plan;
        open.class = open.class.max(open.plan.delivery(&open.mask));
        let wanted = open.class == Delivery::Strict
            && open.ticket.is_none()
            && open.plan.foreseen(&open.mask).is_some();
        announced = wanted.then(|| Arc::clone(&open.config));
        open.record.route.set(cut(route.as_str()));
        state.said.add(Said::ROUTED);
    });
    announced
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// Copies a header's text; bytes that are no UTF-8 become U+FFFD.
pub(super) fn set_lossy(buffer: &mut String, value: &HeaderValue) {
    let bytes = value.as_bytes();
    buffer.clear();
    match std::str::from_utf8(bytes) {
        Ok(text) => buffer.push_str(cut(text)),
        Err(_) => {
            let bytes = &bytes[..bytes.len().min(LONGEST_HEADER)];
            buffer.push_str(&String::from_utf8_lossy(bytes));
        }
    }
}

pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_HEADER)]
}
