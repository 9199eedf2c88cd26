//! Evidence bundles over HTTP.

use hyper::Method;
use serde_json::{Value, json};
use tower_activity::{
    Filter, Keys,
    bundle::{self, Ask, Bundle},
    ledger::{Note, NoteSigner, verify::Verdict},
    query::{Direction, PageRequest},
    record::{Actor, Outcome, Record},
    store::{AnyStore, Read as _, make_checkpoint},
    time::Timestamp,
};

use crate::{
    support::{Answer, Fixture, Service},
    unpacked::Unpacked,
};

on_every_store! {
    a_bundle_holds_what_was_asked_for_with_its_proofs,
    a_bundle_is_recorded_as_an_export_is,
    nobody_bundles_what_he_may_not_export,
    the_head_of_a_bundle_is_that_of_its_answer,
    what_is_committed_meanwhile_is_not_part_of_a_bundle,
    an_export_brings_its_proofs_along_where_they_are_asked_for,
    nobody_gets_proofs_of_what_he_may_not_export,
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

/// Asks for it as who may not, and as who may see a part: `shown` takes out what an answer has, and how many records.
async fn only_who_may<F: Fixture>(
    service: &Service<F>,
    path: &str,
    shown: impl Fn(&Answer) -> (usize, String),
) {
    let refused = service.get_as("eve logs.actions.view", path).await.problem(403);
    assert!(refused["detail"].as_str().unwrap().contains("logs.export"), "{refused}");
    service.get_as("eve logs.export", path).await.problem(403);
    service.send(Method::GET, path, &[], "").await.problem(401);
    for (caller, expected) in [
        ("eve logs.export,logs.actions.view even", 600),
        ("eve logs.export,logs.actions.view nobody", 0),
        ("eve logs.export,logs.auth.view even", 0),
    ] {
        let (records, all) = shown(&service.get_as(caller, path).await);
        assert_eq!(records, expected, "{caller}");
        assert!(!all.contains("\"odd") && !all.contains("\\\"odd"), "{caller}");
    }
}

async fn nobody_bundles_what_he_may_not_export<F: Fixture>() {
    let service = filled::<F>().await;
    make_checkpoint(&service.store, &[SEED], Timestamp::default()).await.unwrap();
    let path = "/activity/bundle?action=cancel";
    only_who_may(&service, path, |answer| {
        let found = Unpacked::of(&answer.body);
        (found.lines("records.jsonl").len(), found.everything())
    })
    .await;
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

/// What no head covers yet is told of as left out; what came after its beginning is another one's.
async fn what_is_committed_meanwhile_is_not_part_of_a_bundle<F: Fixture>() {
    let service = filled::<F>().await;
    let more = async |id: &str| {
        service.pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", id));
        service.pipeline.flush().await;
    };
    let begun = async |seeds: &[[u8; 32]]| {
        let ask = Ask {
            filter: Filter::new().any_of("action", ["cancel"]).unwrap(),
            direction: Direction::Newer,
            asked: "action:cancel".to_owned(),
            now: Timestamp::default(),
        };
        let store = AnyStore::new(service.fixture.open().await);
        Bundle::begin(store, ask, seeds).await.unwrap().unwrap()
    };
    make_checkpoint(&service.store, &[SEED], Timestamp::default()).await.unwrap();
    more("not covered").await;
    let mut covered = begun(&[]).await;
    let mut signed = begun(&[SEED]).await;
    more("meanwhile").await;
    for (bundle, expected) in [(&mut covered, (1_200, 1)), (&mut signed, (1_201, 0))] {
        while bundle.next().await.unwrap().is_some() {}
        let counts = bundle.counts();
        assert_eq!((counts.records, counts.later), expected, "{counts:?}");
        assert_eq!(counts.unproved, 0, "{counts:?}");
    }
    service.stop().await;
}

/// The lines of an export with proofs but for the last, and the last, without what says when and how it was asked.
fn lines_and_head(text: &str) -> (Vec<&str>, Value) {
    let mut lines: Vec<_> = text.lines().collect();
    let mut head: Value = serde_json::from_str(lines.pop().unwrap()).unwrap();
    for own in ["made_at", "asked"] {
        assert!(head["ledger_head"].as_object_mut().unwrap().remove(own).is_some(), "{own}");
    }
    (lines, head)
}

async fn an_export_brings_its_proofs_along_where_they_are_asked_for<F: Fixture>() {
    let service = filled::<F>().await;
    let path = "/activity/export?action=cancel&proofs=true";
    service.get(path).await.problem(404);
    let kept =
        make_checkpoint(&service.store, &[SEED], Timestamp::default()).await.unwrap().unwrap();
    let answer = service.get_as("eve", path).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    let name = answer.headers["content-disposition"].to_str().unwrap();
    assert!(name.starts_with("attachment; filename=\"activity-20"), "{name}");
    assert!(name.ends_with("Z.jsonl\""), "{name}");
    // As the command writes it, byte for byte.
    let ask = Ask {
        filter: Filter::new().any_of("action", ["cancel"]).unwrap(),
        direction: Direction::Older,
        asked: "action:cancel".to_owned(),
        now: Timestamp::default(),
    };
    let store = AnyStore::new(service.fixture.open().await);
    let mut written = Bundle::begin(store, ask, &[]).await.unwrap().unwrap().as_lines();
    let mut bytes = Vec::new();
    while let Some(piece) = written.next().await.unwrap() {
        bytes.extend(piece);
    }
    let (lines, head) = lines_and_head(answer.text());
    let (expected, of_expected) = lines_and_head(std::str::from_utf8(&bytes).unwrap());
    assert!(lines == expected, "{} lines, {} expected", lines.len(), expected.len());
    assert_eq!(head, of_expected);
    assert_eq!(head["ledger_head"]["records"], 1_200);
    // And it is verified without the log.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.jsonl");
    std::fs::write(&file, &answer.body).unwrap();
    let trusted = trust(&kept.note).parse().unwrap();
    let found = bundle::verify(&file, Some(&trusted), &[], |_| {}).unwrap();
    assert_eq!((found.report.verdict(), found.report.records), (Verdict::Unaltered, 1_200));
    let altered = answer.text().replacen("\"action\":\"cancel\"", "\"action\":\"pay\"", 1);
    std::fs::write(&file, altered).unwrap();
    let found = bundle::verify(&file, Some(&trusted), &[], |_| {}).unwrap();
    assert_eq!(found.report.verdict(), Verdict::Altered);
    // Oldest first, and plain.
    let asc = service.get(&format!("{path}&order=asc&format=jsonl")).await;
    let first =
        |text: &str| -> Value { serde_json::from_str(text.lines().next().unwrap()).unwrap() };
    assert_eq!(first(asc.text())["entity_id"], "1");
    let plain = service.get("/activity/export?action=cancel&proofs=false&format=jsonl").await;
    assert_eq!(first(plain.text())["proof"], Value::Null);
    assert_eq!(plain.text().lines().count(), 1_200);
    for wrong in ["format=csv", "format=json", "limit=5", "cursor=x", "bom=true", "proofs=true"] {
        service.get(&format!("{path}&{wrong}")).await.problem(400);
    }
    service.get("/activity/export?proofs=perhaps").await.problem(400);
    service.get("/activity/bundle?proofs=true").await.problem(400);
    // Who it was is recorded as of any export.
    service.pipeline.flush().await;
    let exported = Filter::new().any_of("action", ["log_exported"]).unwrap();
    let exported = exported.any_of("actor_id", ["eve"]).unwrap();
    let page = service.store.records(&exported, &PageRequest::oldest(9)).await.unwrap();
    let told: Vec<Value> = page
        .records
        .iter()
        .map(|record| serde_json::from_str(record.metadata.as_str()).unwrap())
        .collect();
    assert_eq!((told.len(), &told[0]["endpoint"]), (2, &json!("export")), "{told:?}");
    assert_eq!((&told[1]["endpoint"], &told[1]["shown"]), (&json!("export_end"), &json!(1_200)));
    service.stop().await;
}

async fn nobody_gets_proofs_of_what_he_may_not_export<F: Fixture>() {
    let service = filled::<F>().await;
    make_checkpoint(&service.store, &[SEED], Timestamp::default()).await.unwrap();
    let path = "/activity/export?action=cancel&proofs=true";
    only_who_may(&service, path, |answer| {
        let records = answer.text().lines().filter(|line| line.starts_with("{\"id\":"));
        (records.count(), answer.text().to_owned())
    })
    .await;
    let head = service.send(Method::HEAD, path, &[("x-test-caller", "eve")], "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.headers["content-type"], "application/x-ndjson");
    service.stop().await;
}
