//! The log watches itself.

use hyper::Method;
use serde_json::Value;
use tower_activity::{
    Filter, Keys,
    query::PageRequest,
    record::{Actor, Origin, Outcome, Record},
    store::Read as _,
};

use crate::{
    live::Socket,
    support::{Fixture, Service, described},
};

on_every_store! {
    who_looks_is_recorded_once_and_his_repetitions_are_counted,
    what_an_export_or_a_view_was_refused_is_recorded_with_who_asked,
    nobodies_are_counted_and_do_not_fill_the_log,
}

/// What the log holds about its own use, oldest first.
async fn uses<F: Fixture>(service: &Service<F>) -> Vec<Record> {
    service.pipeline.flush().await;
    let actions = ["log_viewed", "log_exported", "log_ingested", "log_changed"];
    let filter = Filter::new().any_of("action", actions).unwrap();
    let mut page = service.store.records(&filter, &PageRequest::newest(1_000)).await.unwrap();
    page.records.reverse();
    page.records
}

fn metadata(record: &Record) -> Value {
    serde_json::from_str(record.metadata.as_str()).unwrap()
}

async fn who_looks_is_recorded_once_and_his_repetitions_are_counted<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", "55"));
    service.pipeline.flush().await;

    let path = "/activity/records?action=cancel&token=hunter2";
    let headers =
        [("x-test-caller", "eve"), ("user-agent", "curl/8"), ("x-request-id", "request-1")];
    service.send(Method::GET, "/activity/records?action=cancel", &headers, "").await.json();
    let first = uses(&service).await.pop().expect("at once");
    assert_eq!((first.action.as_str(), first.actor_id.as_str()), ("log_viewed", "eve"));
    assert_eq!((first.origin, first.outcome), (Origin::System, Outcome::Success));
    assert_eq!((first.route.as_str(), first.status), ("/activity/records", Some(200)));
    assert_eq!((first.user_agent.as_str(), first.request_id.as_str()), ("curl/8", "request-1"));
    assert_eq!(first.ip.map(|ip| ip.to_string()).as_deref(), Some("127.0.0.1"));
    assert_eq!(metadata(&first)["endpoint"], "records");
    assert_eq!(metadata(&first)["asked"], "/records?action=cancel");

    // Also looking at who looked, page after page, makes one record more and no others.
    service.get_as("eve", path).await;
    for n in 0..20 {
        let path = format!("/activity/records?action=log_viewed&limit={}", 1 + n % 2);
        service.get_as("eve", &path).await.json();
    }
    let uses = uses(&service).await;
    assert_eq!(uses.len(), 2, "{uses:?}");
    assert!(uses.iter().all(|record| record.origin == Origin::System), "{uses:?}");
    let second = metadata(&uses[1]);
    assert_eq!(second["count"], 20);
    assert_eq!(second["asked"].as_array().unwrap().len(), 2, "{second}");
    assert!(!uses[1].metadata.as_str().contains("hunter2"));
    assert!(uses[1].sentence().to_string().contains("viewed the log"));
    service.stop().await;
}

async fn what_an_export_or_a_view_was_refused_is_recorded_with_who_asked<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.get_as("ana logs.export t1", "/activity/records?action=cancel").await.problem(403);
    let uses = uses(&service).await;
    assert_eq!(uses.len(), 1, "{uses:?}");
    let refused = &uses[0];
    assert_eq!((refused.outcome, refused.status), (Outcome::Denied, Some(403)));
    assert_eq!((refused.actor_id.as_str(), refused.tenant_id.as_str()), ("ana", "t1"));
    assert_eq!(metadata(refused)["asked"], "/records?action=cancel");
    service.stop().await;
}

async fn nobodies_are_counted_and_do_not_fill_the_log<F: Fixture>() {
    let service = Service::<F>::start().await;
    for n in 0..50 {
        let path = format!("/activity/records?actor_id={n}");
        service.send(Method::GET, &path, &[], "").await.problem(401);
    }
    let uses = uses(&service).await;
    assert_eq!(uses.len(), 2, "{uses:?}");
    assert!(uses.iter().all(|record| record.outcome == Outcome::Denied));
    assert_eq!(uses[0].ip.map(|ip| ip.to_string()).as_deref(), Some("127.0.0.1"));
    let rest = metadata(&uses[1]);
    assert_eq!((&rest["count"], &rest["prefix"]), (&Value::from(49), &Value::from("127.0.0.0/24")));
    let tally = service.pipeline.tally();
    assert_eq!((tally.received, tally.stored, tally.folded), (2, 2, 49));
    service.stop().await;
}

#[tokio::test]
async fn what_is_still_being_counted_is_not_lost_at_the_end() {
    let service = Service::<crate::support::InMemory>::start().await;
    for _ in 0..5 {
        service.get_as("eve", "/activity/records").await.json();
    }
    let store = service.store.clone();
    let pipeline = std::sync::Arc::clone(&service.pipeline);
    service.stop().await;
    let count = |record: &Record| {
        (record.action == "log_viewed").then(|| metadata(record)["count"].as_u64().unwrap())
    };
    assert_eq!(store.all().iter().filter_map(count).sum::<u64>(), 5);
    let tally = pipeline.tally();
    assert_eq!((tally.queued, tally.stored, tally.dropped.total()), (0, 2, 0));
}

#[tokio::test]
async fn a_record_by_hand_cannot_pass_itself_off_as_one_of_who_looked() {
    let service = Service::<crate::support::InMemory>::start().await;
    let mut record = Record::by(Actor::user("mallory")).cancelled("order", "55");
    record.action.set("log_viewed");
    record.origin = Origin::System;
    service.pipeline.recorder().record(record);
    assert_eq!(uses(&service).await[0].origin, Origin::Manual);
    service.stop().await;
}

/// How each endpoint is called, by somebody of his own for each, and what the log says of it.
const CALLS: [(&str, &str, &str, &str); 29] = [
    ("GET /records", "records", "log_viewed", "records"),
    ("GET /records/{id}", "records/ID", "log_viewed", "record"),
    ("GET /records/{id}/proof", "records/ID/proof", "log_viewed", "proof"),
    ("GET /checkpoint", "checkpoint", "log_viewed", "checkpoint"),
    ("GET /entities/{type}/{id}", "entities/order/55", "log_viewed", "entity"),
    ("GET /actors/{id}", "actors/ana", "log_viewed", "actor"),
    ("GET /sessions/{id}", "sessions/s", "log_viewed", "session"),
    ("GET /stats", "stats", "log_viewed", "stats"),
    ("GET /facets", "facets", "log_viewed", "facets"),
    ("GET /completeness", "completeness", "log_viewed", "completeness"),
    ("GET /export", "export?format=csv", "log_exported", "export"),
    ("GET /export", "export?proofs=true", "log_exported", "export"),
    ("GET /export", "export?restricted=true", "log_exported", "export"),
    ("GET /live", "live", "log_viewed", "live"),
    ("GET /live/sse", "live/sse", "log_viewed", "live"),
    ("POST /records", "records", "log_ingested", "ingest"),
    ("POST /tickets", "tickets", "log_viewed", "ticket"),
    ("GET /bundle", "bundle", "log_exported", "bundle"),
    ("GET /consents", "consents?subject_id=ana", "log_viewed", "consents"),
    ("POST /consents", "consents", "log_ingested", "consent"),
    ("GET /subjects/{id}/export", "subjects/ana/export", "log_exported", "subject_export"),
    ("GET /subjects/{id}/erasure", "subjects/ana/erasure", "log_viewed", "erasure_plan"),
    ("POST /subjects/{id}/erasure", "subjects/ana/erasure", "log_changed", "erasure"),
    ("GET /holds", "holds", "log_viewed", "holds"),
    ("GET /holds/restricted", "holds/restricted", "log_viewed", "restricted"),
    ("POST /holds", "holds", "log_changed", "hold"),
    ("DELETE /holds/{id}", "holds/HELD", "log_changed", "hold_lift"),
    ("GET /retention", "retention", "log_viewed", "retention"),
    ("PUT /retention", "retention", "log_changed", "retention_change"),
];

/// Asks for an endpoint as `caller`, and returns the status. What goes on for ever is left at once.
async fn call<F: Fixture>(service: &Service<F>, call: usize, caller: &str, id: &str) -> u16 {
    let (endpoint, path, ..) = CALLS[call];
    let mut path = format!("/activity/{}", path.replace("ID", id));
    if path.ends_with("HELD") {
        let holds = service.get("/activity/holds").await.json();
        path = path.replace("HELD", holds["holds"][0]["id"].as_str().unwrap());
    }
    let headers = [("x-test-caller", caller), ("content-type", "application/json")];
    match endpoint {
        "GET /live" => match Socket::try_open(service.address, &path, &headers[..1]).await {
            Ok(_left) => 200,
            Err(status) => status.as_u16(),
        },
        "GET /live/sse" => service.send(Method::HEAD, &path, &headers, "").await.status.as_u16(),
        _ => {
            let (method, _) = endpoint.split_once(' ').unwrap();
            let body = match endpoint {
                "POST /records" => "[]",
                "POST /consents" => {
                    "{\"subject_id\":\"zoe\",\"purpose\":\"x\",\"state\":\"given\"}"
                }
                "POST /subjects/{id}/erasure" => "{\"basis\":\"GDPR Art. 17\"}",
                "POST /holds" => "{\"query\":\"*\",\"reason\":\"a lawsuit\"}",
                "PUT /retention" => "{}",
                _ => "",
            };
            let method = method.parse().unwrap();
            service.send(method, &path, &headers, body).await.status.as_u16()
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_shows_the_log_is_recorded_and_so_is_whoever_is_refused_it() {
    let keys = Keys::ephemeral();
    let service = Service::<crate::support::InMemory>::set(|builder| builder.keys(keys)).await;
    service.pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", "55"));
    service.pipeline.flush().await;
    let all = service.store.all();
    let id = all.iter().find(|r| r.action == "cancel").unwrap().id.to_string();
    let now = all[0].recorded_at;
    tower_activity::store::make_checkpoint(&service.store, &[[1; 32]], now).await.unwrap().unwrap();
    // A new address is called here too, or this fails.
    let mut rest = described(&service).await;
    rest.retain(|endpoint| CALLS.iter().all(|(called, ..)| called != endpoint));
    // None of these shows anything of the log.
    let none =
        ["GET /", "GET /assets/{revision}/{file}", "GET /health", "GET /me", "GET /openapi.json"];
    assert!(rest.iter().eq(none), "{rest:?}");

    for (n, (endpoint, _, action, name)) in CALLS.into_iter().enumerate() {
        let is_success = (200..300).contains(&call(&service, n, &format!("eve{n}"), &id).await);
        assert!(is_success, "{endpoint}");
        // Known, and without any permission that would do.
        let other = if name.starts_with("erasure") { "logs.export" } else { "logs.delete" };
        let refused = call(&service, n, &format!("mallory{n} {other} acme"), &id).await;
        assert_eq!(refused, 403, "{endpoint}");
        let uses = uses(&service).await;
        let of = |actor: String| uses.iter().filter(move |record| record.actor_id == *actor);
        let views: Vec<_> = of(format!("eve{n}")).collect();
        if matches!(name, "ingest" | "consent" | "ticket" | "checkpoint") || action == "log_changed"
        {
            // What was handed in is in the log itself, and so is who was erased by whom; a ticket and a head show
            // nothing.
            assert!(views.is_empty(), "{endpoint}: {views:?}");
        } else {
            let first = views.first().unwrap_or_else(|| panic!("{endpoint}: nothing"));
            assert_eq!((first.action.as_str(), first.outcome), (action, Outcome::Success));
            assert_eq!(metadata(first)["endpoint"], name, "{endpoint}");
        }
        let refusals: Vec<_> = of(format!("mallory{n}")).collect();
        assert_eq!(refusals.len(), 1, "{endpoint}: {refusals:?}");
        let refusal = refusals[0];
        assert_eq!((refusal.action.as_str(), refusal.outcome), (action, Outcome::Denied));
        assert_eq!((refusal.status, refusal.tenant_id.as_str()), (Some(403), "acme"));
        assert_eq!(metadata(refusal)["endpoint"], name, "{endpoint}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_says_not_who_he_is_is_recorded_at_every_door() {
    let service = Service::<crate::support::InMemory>::start().await;
    for (endpoint, path, ..) in CALLS {
        let (method, _) = endpoint.split_once(' ').unwrap();
        let path = format!("/activity/{path}");
        if endpoint == "GET /live" {
            let refused = Socket::try_open(service.address, &path, &[]).await.err();
            assert_eq!(refused.map(|status| status.as_u16()), Some(401));
        } else {
            service.send(method.parse().unwrap(), &path, &[], "").await.problem(401);
        }
    }
    let uses = uses(&service).await;
    let is_anonymous = |r: &Record| r.actor_id.is_absent() && r.outcome == Outcome::Denied;
    assert!(uses.iter().all(is_anonymous), "{uses:?}");
    // One for each, however they are counted together.
    let count: u64 =
        uses.iter().map(|record| metadata(record)["count"].as_u64().unwrap_or(1)).sum();
    assert_eq!(count, CALLS.len() as u64, "{uses:?}");
    service.stop().await;
}
