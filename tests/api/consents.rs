//! Consents are handed in, and what stood at a time is told from the records alone.

use hyper::Method;
use serde_json::{Value, json};
use tower_activity::{
    record::{Actor, Consent, Record},
    time::Timestamp,
};

use crate::{
    ingest::JSON,
    support::{Fixture, Service},
};

on_every_store! {
    what_stood_at_a_time_is_told_by_the_records_until_then,
    a_consent_that_is_handed_in_is_a_record_before_it_is_acknowledged,
    consents_of_another_tenant_are_not_found,
}

const PATH: &str = "/activity/consents";

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + second * 1_000_000)
}

fn said(consent: Consent, second: i64) -> Record {
    Record::from(consent.of("ana").tenant("acme")).occurred_at(at(second))
}

/// Returns purpose and state of each that stood.
fn stood(answer: &Value) -> Vec<(String, String)> {
    let text = |said: &Value, name: &str| said[name].as_str().unwrap().to_owned();
    let all = answer["consents"].as_array().unwrap();
    all.iter().map(|said| (text(said, "purpose"), text(said, "state"))).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(purpose, state)| ((*purpose).to_owned(), (*state).to_owned())).collect()
}

async fn what_stood_at_a_time_is_told_by_the_records_until_then<F: Fixture>() {
    let (service, clock) = Service::<F>::at(at(0)).await;
    clock.set(at(100));
    let ana = || Actor::user("ana");
    for record in [
        said(Consent::given(ana(), "newsletter").version("1").basis("Art. 6").channel("web"), 10),
        said(Consent::given(Actor::user("desk"), "profiling"), 20),
        said(Consent::withdrawn(ana(), "newsletter").channel("phone"), 30),
        said(Consent::given(ana(), "newsletter").version("2"), 40),
        Record::from(Consent::given(Actor::user("bob"), "newsletter")).occurred_at(at(50)),
    ] {
        assert!(service.pipeline.recorder().record(record).is_accepted());
    }
    service.pipeline.flush().await;
    for (second, expected) in [
        (9, &[][..]),
        (10, &[("newsletter", "given")]),
        (29, &[("newsletter", "given"), ("profiling", "given")]),
        (30, &[("newsletter", "withdrawn"), ("profiling", "given")]),
        (40, &[("newsletter", "given"), ("profiling", "given")]),
    ] {
        let answer = service.get(&format!("{PATH}?subject_id=ana&at={}", at(second))).await.json();
        assert_eq!(stood(&answer), pairs(expected), "{second}");
        assert_eq!((&answer["complete"], &answer["at"]), (&json!(true), &json!(at(second))));
    }
    let now = service.get(&format!("{PATH}?subject_id=ana")).await.json();
    assert_eq!(now["history"].as_array().unwrap().len(), 4);
    assert_eq!(
        (&now["history"][0]["version"], &now["history"][1]["channel"]),
        (&json!("2"), &json!("phone"))
    );
    assert_eq!(
        (&now["consents"][1]["by"], &now["consents"][1]["tenant_id"]),
        (&json!("desk"), &json!("acme"))
    );
    let one = service.get(&format!("{PATH}?subject_id=ana&purpose=profiling")).await.json();
    assert_eq!(
        (stood(&one), one["history"].as_array().unwrap().len()),
        (pairs(&[("profiling", "given")]), 1)
    );
    for wrong in [
        "",
        "subject_id=",
        "subject_id=ana&subject_id=bob",
        "subject_id=ana&at=soon",
        "subject_id=ana&q=x",
        "subject_id=ana&purpose=%20",
    ] {
        service.get(&format!("{PATH}?{wrong}")).await.problem(400);
    }
    let viewer = "eve logs.export,logs.configure";
    service.get_as(viewer, &format!("{PATH}?subject_id=ana")).await.problem(403);
    service.stop().await;
}

async fn a_consent_that_is_handed_in_is_a_record_before_it_is_acknowledged<F: Fixture>() {
    let service = Service::<F>::start().await;
    let post = async |caller: &str, body: Value| {
        let headers = [("x-test-caller", caller), JSON];
        service.send(Method::POST, PATH, &headers, body.to_string()).await
    };
    let given = json!({ "subject_id": "ana", "purpose": "newsletter", "state": "given", "version": "3",
        "basis": "GDPR Art. 6(1)(a)", "channel": "web", "by": "desk" });
    let with = |name: &str, value: Value| {
        let mut changed = given.clone();
        changed[name] = value;
        changed
    };
    let may = "shop logs.ingest,logs.actions.view acme";
    for (caller, body, status) in [
        ("eve logs.actions.view acme", given.clone(), 403),
        (may, with("state", json!("perhaps")), 400),
        (may, with("subject_id", json!(" ")), 400),
        (may, with("purpose", json!("x".repeat(513))), 400),
        (may, with("version", json!("")), 400),
        (may, with("tenant_id", json!("globex")), 400),
        (may, with("extra", json!(1)), 400),
        (may, json!({ "subject_id": "ana" }), 400),
    ] {
        post(caller, body).await.problem(status);
    }
    let answer = post(may, given.clone()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let told = answer.json();
    // It is there, without anybody waiting for it.
    let record =
        service.get(&format!("/activity/records/{}", told["id"].as_str().unwrap())).await.json();
    assert_eq!((&record["category"], &record["action"]), (&json!("consent"), &told["action"]));
    assert_eq!((&record["tenant_id"], &record["actor_id"]), (&json!("acme"), &json!("desk")));
    assert_eq!((&record["subject_ids"], &record["origin"]), (&json!(["ana"]), &json!("ingest")));
    let list = service.get(&format!("{PATH}?subject_id=ana")).await.json();
    assert_eq!(stood(&list), pairs(&[("newsletter", "given")]));
    assert_eq!(list["consents"][0]["record"], told["id"]);
    assert_eq!(post(may, with("state", json!("withdrawn"))).await.status, 201);
    let list = service.get(&format!("{PATH}?subject_id=ana")).await.json();
    assert_eq!(stood(&list), pairs(&[("newsletter", "withdrawn")]));
    let no_json =
        service.send(Method::POST, PATH, &[("x-test-caller", may)], given.to_string()).await;
    no_json.problem(415);
    service.stop().await;
}

async fn consents_of_another_tenant_are_not_found<F: Fixture>() {
    let service = Service::<F>::start().await;
    for (caller, state) in [("a logs.ingest acme", "given"), ("b logs.ingest globex", "withdrawn")]
    {
        let body = json!({ "subject_id": "ana", "purpose": "newsletter", "state": state });
        let headers = [("x-test-caller", caller), JSON];
        assert_eq!(service.send(Method::POST, PATH, &headers, body.to_string()).await.status, 201);
    }
    for (tenant, expected) in [
        ("acme", &[("newsletter", "given")][..]),
        ("globex", &[("newsletter", "withdrawn")]),
        ("initech", &[]),
    ] {
        let caller = format!("eve logs.actions.view {tenant}");
        let list = service.get_as(&caller, &format!("{PATH}?subject_id=ana")).await.json();
        assert_eq!(stood(&list), pairs(expected), "{tenant}");
        assert_eq!(list["history"].as_array().unwrap().len(), expected.len());
    }
    // Whoever sees all of them sees one for each.
    let all = service.get(&format!("{PATH}?subject_id=ana")).await.json();
    assert_eq!(stood(&all).len(), 2);
    service.stop().await;
}
