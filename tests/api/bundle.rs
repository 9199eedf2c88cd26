//! Evidence bundles over HTTP.

use hyper::Method;
use serde_json::Value;
use tower_activity::{
    Filter, Keys,
    ledger::{Note, NoteSigner},
    query::PageRequest,
    record::{Actor, Outcome, Record},
    store::{Read as _, make_checkpoint},
    time::Timestamp,
};

use crate::{
    support::{Fixture, Service},
    unpacked::Unpacked,
};

on_every_store! {
    a_bundle_holds_what_was_asked_for_with_its_proofs,
    a_bundle_is_recorded_as_an_export_is,
    nobody_bundles_what_he_may_not_export,
    the_head_of_a_bundle_is_that_of_its_answer,
}

const SEED: [u8; 32] = [7; 32];

async fn filled<F: Fixture>() -> Service<F> {
    let service = Service::<F>::start().await;
    for id in 1..=1_200 {
        let mut record = Record::by(Actor::user("ana")).cancelled("order", &id.to_string());
        record.tenant_id.set(if id % 2 == 0 { "even" } else { "odd" });
        service.pipeline.recorder().record(record);
        if id % 100 == 0 {
            service.pipeline.flush().await;
        }
    }
    service
}

/// Returns the line of the trust file for the key that signed.
fn trust(note: &str) -> String {
    let note: Note = note.parse().unwrap();
    let signer = NoteSigner::new(note.text().lines().next().unwrap(), &SEED).unwrap();
    signer.key().to_string()
}

async fn a_bundle_holds_what_was_asked_for_with_its_proofs<F: Fixture>() {
    let service = filled::<F>().await;
    service.get("/activity/bundle").await.problem(404);
    let kept =
        make_checkpoint(&service.store, &[SEED], Timestamp::default()).await.unwrap().unwrap();
    let answer = service.get("/activity/bundle?action=cancel&order=asc").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"application/zip".parse().unwrap())
    );
    let name = answer.headers["content-disposition"].to_str().unwrap();
    assert!(name.starts_with("attachment; filename=\"activity-evidence-"), "{name}");
    let found = Unpacked::of(&answer.body);
    found.put("trusted", &trust(&kept.note));
    let trusted = found.path("trusted");
    let (code, said) = found.verify(&["--trust", trusted.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("Unaltered: 1200 records in "), "{said}");
    let first: Value =
        serde_json::from_str(found.lines("records.jsonl")[0]["record"].as_str().unwrap()).unwrap();
    let cancelled = Filter::new().any_of("action", ["cancel"]).unwrap();
    let oldest = service.store.records(&cancelled, &PageRequest::oldest(1)).await.unwrap();
    assert_eq!(first["id"], oldest.records[0].id.to_string());
    for part in ["limit=5", "cursor=x", "page=2", "offset=1", "count=exact", "format=csv", "q=(("] {
        service.get(&format!("/activity/bundle?{part}")).await.problem(400);
    }
    service.stop().await;
}

async fn a_bundle_is_recorded_as_an_export_is<F: Fixture>() {
    let service = filled::<F>().await;
    make_checkpoint(&service.store, &[SEED], Timestamp::default()).await.unwrap();
    let path = "/activity/bundle?entity_id=1,2,3";
    assert_eq!(service.get_as("eve", path).await.status, 200);
    service.pipeline.flush().await;
    let exported = Filter::new().any_of("action", ["log_exported"]).unwrap();
    let page = service.store.records(&exported, &PageRequest::oldest(9)).await.unwrap();
    let told: Vec<_> = page
        .records
        .iter()
        .map(|record| {
            let metadata: Value = serde_json::from_str(record.metadata.as_str()).unwrap();
            assert_eq!((record.actor_id.as_str(), record.outcome), ("eve", Outcome::Success));
            (metadata["endpoint"].clone(), metadata["shown"].clone())
        })
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0].0, "bundle");
    assert_eq!(told[1], ("bundle_end".into(), 3.into()));
    service.stop().await;
}

async fn nobody_bundles_what_he_may_not_export<F: Fixture>() {
    let service = filled::<F>().await;
    make_checkpoint(&service.store, &[SEED], Timestamp::default()).await.unwrap();
    let path = "/activity/bundle?action=cancel";
    let refused = service.get_as("eve logs.actions.view", path).await.problem(403);
    assert!(refused["detail"].as_str().unwrap().contains("logs.export"), "{refused}");
    service.get_as("eve logs.export", path).await.problem(403);
    service.send(Method::GET, path, &[], "").await.problem(401);
    for (caller, expected) in [
        ("eve logs.export,logs.actions.view even", 600),
        ("eve logs.export,logs.actions.view nobody", 0),
        ("eve logs.export,logs.auth.view even", 0),
    ] {
        let found = Unpacked::of(&service.get_as(caller, path).await.body);
        assert_eq!(found.lines("records.jsonl").len(), expected, "{caller}");
        assert!(!found.everything().contains("\\\"odd"), "{caller}");
    }
    let head = service.send(Method::HEAD, path, &[("x-test-caller", "eve")], "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    service.stop().await;
}

/// The first bundle signs the first checkpoint; who wants the head alone is told what he would get, and signs nothing.
async fn the_head_of_a_bundle_is_that_of_its_answer<F: Fixture>() {
    let service = Service::<F>::set(|builder| builder.keys(Keys::ephemeral())).await;
    service.pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", "1"));
    service.pipeline.flush().await;
    for method in [Method::HEAD, Method::GET, Method::HEAD] {
        let answer =
            service.send(method.clone(), "/activity/bundle", &[("x-test-caller", "eve")], "").await;
        assert_eq!(answer.status, 200, "{method}");
        assert_eq!(answer.headers["content-type"], "application/zip", "{method}");
        assert!(answer.headers.contains_key("activity-position"), "{method}");
        assert_eq!(answer.body.is_empty(), method == Method::HEAD);
    }
    service.stop().await;
}
