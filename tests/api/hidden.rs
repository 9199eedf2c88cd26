//! What the log keeps as a pseudonym is found by its text, and the text is written down nowhere for that.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tower_activity::{
    Keys,
    pipeline::ErasureRequest,
    privacy::{AddressPolicy, KeyUse},
    query::{Filter, PageRequest},
    record::{Actor, Category, Record},
    store::Read as _,
};

use crate::support::{Fixture, Service};

on_every_store! {
    a_pseudonym_is_found_by_its_text_under_each_key_and_tenant,
    a_question_is_kept_without_what_the_log_hides,
    a_question_is_kept_so_wherever_it_is_asked,
    without_keys_a_question_is_kept_with_a_mark_in_its_place,
    a_hold_holds_what_comes_after_it_too,
    a_hold_holds_what_its_text_stands_for,
}

const PATIENCE: Duration = Duration::from_secs(60);

const ALICE: &str = "alice@example.com";

/// A login that failed, as the layer records it.
fn failed(keys: &Keys, tenant: Option<&str>) -> Record {
    let mut record = Record::by(Actor::anonymous()).verb("login_failed");
    record.category = Category::Authentication;
    record.entity_type.set("user");
    record.entity_id.set(&keys.pseudonym(Keys::ACCOUNT, tenant, ALICE));
    record.tenant_id.set(tenant.unwrap_or_default());
    record
}

/// Keys of two epochs, and the older of them alone.
fn two_epochs() -> (Keys, Keys) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("activity.keys");
    let old = Keys::open(&path).unwrap();
    (old, Keys::rotate(&path, &[KeyUse::Pseudonym]).unwrap())
}

/// Failed logins of Alice: of two tenants, of none, and one under the key of before; and what was done in a session.
async fn filled<F: Fixture>() -> Service<F> {
    let (old, keys) = two_epochs();
    let given = keys.clone();
    let service = Service::<F>::set(|builder| {
        builder.keys(given).address_policy_for(Category::Activity, AddressPolicy::Hmac)
    })
    .await;
    let recorder = service.pipeline.recorder();
    let mut in_session = Record::by(Actor::user("bob")).verb("pay").on("order", "7").tenant("acme");
    in_session.session_id.set("raw-session-1");
    in_session.ip = Some("192.0.2.7".parse().unwrap());
    for record in [
        failed(&keys, Some("acme")),
        failed(&keys, Some("globex")),
        failed(&keys, None),
        failed(&old, Some("acme")),
        in_session,
        Record::by(Actor::user("bob")).verb("pay").on("order", "8").tenant("acme"),
    ] {
        assert!(recorder.record(record).is_accepted());
    }
    service.pipeline.flush().await;
    service
}

async fn a_pseudonym_is_found_by_its_text_under_each_key_and_tenant<F: Fixture>() {
    let service = filled::<F>().await;
    let count = async |caller: &str, question: &str| {
        let answer = service.get_as(caller, &format!("/activity/records?{question}")).await.json();
        answer["records"].as_array().unwrap().len()
    };
    let all = "logs.auth.view,logs.actions.view";
    for (caller, question, found) in [
        ("admin", "entity_id=alice%40example.com", 4),
        ("admin", "entity_type=user&entity_id=alice%40example.com&count=exact", 4),
        ("admin", "q=entity_id:alice%40example.com+tenant_id:acme", 2),
        ("admin", "entity_id=bob%40example.com,alice%40example.com&tenant_id=globex", 1),
        ("admin", "q=-entity_id:alice%40example.com+action:login_failed", 0),
        ("admin", "session_id=raw-session-1", 1),
        ("admin", "session_id=raw-session-2", 0),
        ("admin", "ip=192.0.2.7", 1),
        ("admin", "ip=192.0.2.8", 0),
    ] {
        assert_eq!(count(caller, question).await, found, "{question}");
    }
    // Whoever is limited to a tenant finds what is that one's.
    for (tenant, found) in [("acme", 2), ("globex", 1), ("initech", 0)] {
        let caller = format!("vic {all} {tenant}");
        assert_eq!(count(&caller, "entity_id=alice%40example.com").await, found, "{tenant}");
    }
    // However it is asked.
    let get = async |path: &str| service.get(&format!("/activity/{path}")).await;
    let trail = get("entities/user/alice%40example.com").await.json();
    assert_eq!(trail["records"].as_array().unwrap().len(), 4);
    let session = get("sessions/raw-session-1").await.json();
    assert_eq!(session["records"].as_array().unwrap().len(), 1);
    assert_eq!(get("stats?entity_id=alice%40example.com").await.json()["total"], 4);
    let facets = get("facets?fields=action&entity_id=alice%40example.com").await.json();
    assert_eq!(facets["facets"]["action"], json!([{ "value": "login_failed", "count": 4 }]));
    let export = get("export?format=jsonl&entity_id=alice%40example.com").await;
    assert_eq!(export.text().lines().count(), 4);
    // A page further on is of the same question.
    let first = get("records?entity_id=alice%40example.com&limit=3").await.json();
    let next = first["next"].as_str().unwrap();
    let rest = get(&format!("records?entity_id=alice%40example.com&limit=3&cursor={next}")).await;
    assert_eq!(rest.json()["records"].as_array().unwrap().len(), 1);
    service.stop().await;
}

async fn a_question_is_kept_without_what_the_log_hides<F: Fixture>() {
    let service = filled::<F>().await;
    for (caller, path) in [
        ("a", "records?entity_id=alice%40example.com&limit=2"),
        ("b", "records?q=session_id:raw-session-1+OR+actor_id:bob"),
        ("c", "sessions/raw-session-1"),
        ("d", "entities/user/alice%40example.com"),
        ("e", "stats?ip=192.0.2.7"),
        ("f", "export?format=csv&q=entity_id:%22alice@example.com%22"),
        ("g", "facets?fields=action&session_id=raw-session-1"),
        // Nobody answers these.
        ("h logs.export", "records?session_id=raw-session-1"),
        ("i logs.export", "records?session_id=raw-session-1&nothing=1"),
        ("j", "records?actor_id=bob"),
        ("k", "records?q=actor_id:alice@example.com*+OR+session_id:raw*+OR+action:pa*"),
        ("l", "consents?subject_id=alice%40example.com&purpose=news"),
        ("m", "consents?subject_id=bob"),
    ] {
        service.get_as(caller, &format!("/activity/{path}")).await;
    }
    service.pipeline.flush().await;
    let uses = Filter::new().any_of("action", ["log_viewed", "log_exported"]).unwrap();
    let page = service.store.records(&uses, &PageRequest::oldest(99)).await.unwrap();
    let asked = |caller: &str| {
        let of_caller = page.records.iter().find(|record| record.actor_id == caller).unwrap();
        let facts: Value = serde_json::from_str(of_caller.metadata.as_str()).unwrap();
        facts["asked"].as_str().unwrap_or_default().to_owned()
    };
    for record in &page.records {
        let text = serde_json::to_string(record).unwrap();
        for hidden in ["alice", "raw-session", "\"192.0.2.7", "=192.0.2.7"] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
    let of_alice = asked("a");
    assert!(of_alice.starts_with("/records?q=entity%5Fid%3Ap1%2E"), "{of_alice}");
    assert!(of_alice.ends_with("&limit=2"), "{of_alice}");
    assert!(asked("b").contains("actor%5Fid%3Abob"), "{}", asked("b"));
    assert!(asked("c").starts_with("/sessions/p1."), "{}", asked("c"));
    assert!(asked("d").starts_with("/entities/user/p1."), "{}", asked("d"));
    assert_eq!(asked("j"), "/records?actor_id=bob", "what is no pseudonym stays");
    let patterns = asked("k");
    assert!(patterns.contains("%5BREDACTED%5D") && patterns.contains("pa%2A"), "{patterns}");
    let consents = asked("l");
    assert!(consents.starts_with("/consents?subject%5Fid=p1%2E"), "{consents}");
    assert!(consents.ends_with("&purpose=news"), "{consents}");
    assert_eq!(asked("m"), "/consents?subject_id=bob");
    // And who erases her finds the questions about her.
    let request = ErasureRequest::new(ALICE, "GDPR Art. 17").alone();
    let eraser = service.pipeline.eraser().unwrap();
    let plan = eraser.plan(&request).await.unwrap();
    assert_eq!(plan.records, 4 + 5, "four logins, and five records of four questions");
    service.stop().await;
}

/// Returns what the records of uses say that was asked; what the log hides stands in none of them.
async fn all_asked<F: Fixture>(service: &Service<F>) -> Vec<String> {
    service.pipeline.flush().await;
    let uses = Filter::new().any_of("action", ["log_viewed", "log_exported"]).unwrap();
    let page = service.store.records(&uses, &PageRequest::oldest(99)).await.unwrap();
    let asked = page.records.iter().map(|record| {
        let text = serde_json::to_string(record).unwrap();
        assert!(!text.contains("alice") && !text.contains("raw-session"), "{text}");
        let facts: Value = serde_json::from_str(record.metadata.as_str()).unwrap();
        facts["asked"].as_str().unwrap_or_default().to_owned()
    });
    asked.collect()
}

async fn a_question_is_kept_so_wherever_it_is_asked<F: Fixture>() {
    let (_, keys) = two_epochs();
    let given = keys.clone();
    let service = Service::<F>::set(|builder| builder.keys(given)).await;
    // Of an empty log there is no bundle.
    service.pipeline.flush().await;
    // What stands there as it is is not hidden once more: nobody could look for it then.
    let own = format!("/sessions/{}", keys.pseudonym(Keys::SESSION, None, "raw-session-1"));
    for (caller, path) in [
        ("a", "/actors/alice%40example.com"),
        ("b", "/bundle?entity_id=alice%40example.com"),
        ("c", "/facets?fields=action&session_id=raw-session-1"),
        ("d", &*own),
    ] {
        let answer = service.get_as(caller, &format!("/activity{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    // Whoever is not let in is recorded with what he wanted.
    for path in [
        "/live?session_id=raw-session-1",
        "/consents?subject_id=alice%40example.com&x=%zz",
        "/records?entity_id=alice%40example.com&nothing=1",
    ] {
        let path = format!("/activity{path}");
        let refused = service.send(Method::GET, &path, &[], "").await;
        assert_eq!(refused.status, 401, "{path}");
    }
    let expected = [
        "/actors/p1.",
        "/bundle?q=entity%5Fid%3Ap1%2E",
        "/live?q=session%5Fid%3Ap1%2E",
        "/facets?q=session%5Fid%3Ap1%2E",
        "/consents?",
        "/records?",
    ];
    let mut asked = Vec::new();
    // Who was refused is recorded behind his answer.
    let all = async {
        let is_there = |asked: &[String], begin| asked.iter().any(|asked| asked.starts_with(begin));
        while !expected.iter().all(|begin| is_there(&asked, *begin)) {
            asked = all_asked(&service).await;
        }
    };
    let all = tokio::time::timeout(PATIENCE, all).await;
    assert!(all.is_ok(), "{asked:#?}");
    assert!(asked.contains(&own), "{asked:#?}");
    service.stop().await;
}

async fn without_keys_a_question_is_kept_with_a_mark_in_its_place<F: Fixture>() {
    let service = Service::<F>::start().await;
    for path in [
        "records?session_id=raw-session-1",
        "sessions/raw-session-1",
        "consents?subject_id=alice%40example.com",
    ] {
        service.get_as("admin", &format!("/activity/{path}")).await;
    }
    let asked = all_asked(&service).await;
    let marked = asked.iter().filter(|asked| asked.contains("REDACTED")).count();
    assert_eq!((asked.len(), marked), (3, 3), "{asked:#?}");
    service.stop().await;
}

/// Also of an address that is to be kept as a pseudonym, where none is yet.
async fn a_hold_holds_what_comes_after_it_too<F: Fixture>() {
    let (_, keys) = two_epochs();
    let service = Service::<F>::set(|builder| {
        builder.keys(keys).address_policy_for(Category::Activity, AddressPolicy::Hmac)
    })
    .await;
    let headers = [("x-test-caller", "admin"), ("content-type", "application/json")];
    let body = json!({ "query": "ip:192.0.2.7", "reason": "case 7" }).to_string();
    let placed = service.send(Method::POST, "/activity/holds", &headers, body).await.json();
    assert_eq!((&placed["records"]["value"], &placed["pseudonyms"]), (&json!(0), &json!("whole")));
    let mut paid = Record::by(Actor::user("bob")).verb("pay").on("order", "7");
    paid.ip = Some("192.0.2.7".parse().unwrap());
    assert!(service.pipeline.recorder().record(paid).is_accepted());
    service.pipeline.flush().await;
    let bob = ErasureRequest::new("bob", "GDPR Art. 17");
    let plan = service.pipeline.eraser().unwrap().plan(&bob).await.unwrap();
    assert_eq!((plan.records, plan.held), (0, 1));
    service.stop().await;
}

async fn a_hold_holds_what_its_text_stands_for<F: Fixture>() {
    let service = filled::<F>().await;
    let headers = [("x-test-caller", "admin"), ("content-type", "application/json")];
    let body = json!({ "query": "entity_id:alice@example.com", "reason": "case 7" }).to_string();
    let placed = service.send(Method::POST, "/activity/holds", &headers, body).await.json();
    assert_eq!(placed["records"], json!({ "value": 4, "relation": "eq" }));
    assert_eq!(placed["query"], "entity_id:alice@example.com");
    assert_eq!(placed["pseudonyms"], "whole");
    let body = json!({ "query": "action:pay", "reason": "case 8" }).to_string();
    let of_none = service.send(Method::POST, "/activity/holds", &headers, body).await.json();
    assert!(of_none["pseudonyms"].is_null(), "{of_none}");
    // More names than there is room for are held as they stand, and that is said.
    let names: Vec<_> = (0..100).map(|n| format!("n{n}")).collect();
    let names = names.join(",");
    let query = format!("entity_id:{names} OR actor_id:{names} OR impersonator_id:{names}");
    let body = json!({ "query": query, "reason": "case 9" }).to_string();
    let of_many = service.send(Method::POST, "/activity/holds", &headers, body).await.json();
    assert_eq!(of_many["pseudonyms"], "none", "{of_many}");
    let eraser = service.pipeline.eraser().unwrap();
    let plan = eraser.plan(&ErasureRequest::new(ALICE, "GDPR Art. 17")).await.unwrap();
    assert_eq!((plan.records, plan.held), (0, 4));
    service.stop().await;
}
