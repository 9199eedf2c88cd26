//! What the log holds about a person is exported for that person, with proofs and without what is about others.

use hyper::Method;
use serde_json::{Value, json};
use tower_activity::{
    Filter, Keys,
    pipeline::ErasureRequest,
    query::PageRequest,
    record::{Actor, Category, Json, Outcome, Record},
    store::{Evidence as _, Read as _},
};

use crate::{
    support::{Fixture, Service},
    unpacked::Unpacked,
};

on_every_store! {
    a_person_gets_all_that_is_about_him_and_nothing_about_others,
    an_export_of_a_person_is_recorded_and_found_by_his_erasure,
    nobody_exports_a_person_beyond_what_he_may_see,
    the_head_of_an_export_signs_nothing_and_takes_nothing,
    a_long_export_has_every_record_once_in_each_of_its_files,
}

/// The same by a service that owns nothing.
#[cfg(feature = "postgres")]
mod with_roles {
    on_every_store!(@facts crate::support::OwnsNothing:
        a_person_gets_all_that_is_about_him_and_nothing_about_others,
        an_export_of_a_person_is_recorded_and_found_by_his_erasure,
        nobody_exports_a_person_beyond_what_he_may_see,
    );
}

const PATH: &str = "/activity/subjects/ana/export";

fn about(by: &str, kind: &str, id: &str) -> Record {
    Record::by(Actor::user(by).named(format!("{by} by name")))
        .verb("update")
        .on(kind, id)
        .tenant("acme")
        .describe(&format!("{by} by name updated {id}"))
        .metadata(&json!({ "by": by, "of": id }))
}

/// A log in which Ana acts, is acted on, is the subject of data, gives a consent, and fails to log in.
async fn filled<F: Fixture>() -> (Service<F>, Keys) {
    let keys = Keys::ephemeral();
    let given = keys.clone();
    let service = Service::<F>::set(|builder| builder.keys(given)).await;
    let recorder = service.pipeline.recorder();
    let mut of_hers = about("bob", "file", "7");
    of_hers.subject_ids = Json::of(&["eve", "ana"]).unwrap();
    let mut failed = Record::by(Actor::anonymous()).verb("login_failed").tenant("acme");
    failed.category = Category::Authentication;
    failed.entity_type.set("user");
    failed.entity_id.set(&keys.pseudonym(Keys::ACCOUNT, Some("acme"), "ana"));
    let consent = tower_activity::record::Consent::given(Actor::user("ana"), "newsletter");
    for record in [
        about("ana", "order", "55"),
        about("ana", "user", "bob"),
        about("bob", "user", "ana"),
        of_hers,
        failed,
        consent.tenant("acme").into(),
        about("bob", "order", "56"),
        about("ana", "order", "57").tenant("globex"),
    ] {
        assert!(recorder.record(record).is_accepted());
    }
    service.pipeline.flush().await;
    (service, keys)
}

async fn a_person_gets_all_that_is_about_him_and_nothing_about_others<F: Fixture>() {
    let (service, _) = filled::<F>().await;
    let answer = service.get(&format!("{PATH}?also=ana%40example.com&person_type=customer")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/zip");
    let name = answer.headers["content-disposition"].to_str().unwrap();
    assert!(name.starts_with("attachment; filename=\"activity-subject-"), "{name}");
    let found = Unpacked::of(&answer.body);

    let data: Value = serde_json::from_str(&found.text("data.json")).unwrap();
    let records = data["records"].as_array().unwrap();
    let seen: Vec<_> = records.iter().map(|record| record["action"].as_str().unwrap()).collect();
    let all = ["update", "update", "update", "update", "login_failed", "consent_given", "update"];
    assert_eq!(seen, all, "the oldest first");
    let masked = json!("[MASKED]");
    assert_eq!((&records[1]["actor_id"], &records[1]["entity_id"]), (&json!("ana"), &masked));
    assert_eq!((&records[2]["actor_id"], &records[2]["entity_id"]), (&masked, &json!("ana")));
    assert_eq!(records[2]["metadata"], json!({ "by": "[MASKED]", "of": "ana" }));
    assert_eq!(records[2]["description"], "[MASKED] updated ana");
    assert_eq!(records[3]["subject_ids"], json!(["[MASKED]", "ana"]));
    assert!(records[2]["redactions"].to_string().contains("\"masked\""));
    assert_eq!(records[0]["metadata"], json!({ "by": "ana", "of": "55" }));
    assert_eq!(found.text("data.csv").lines().count(), 1 + records.len());
    // Nobody else is in it, in whatever file.
    let everything = found.everything();
    for other in ["bob", "eve"] {
        let named = everything.split(|c: char| !c.is_ascii_alphanumeric()).any(|one| one == other);
        assert!(!named, "{other}");
    }
    assert!(!everything.contains("updated 56"));

    // And the proofs hold.
    let (code, said) = found.verify(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Unaltered: 7 records in ") && said.contains(" masked"), "{said}");
    let manifest = &found.lines("manifest.json")[0];
    assert_eq!((&manifest["records"], &manifest["left_out"]), (&json!(7), &json!([])));
    assert!(manifest["masked"].as_u64().unwrap() >= 6, "{manifest}");
    let (_, printed) = found.verify(&["--print"]).await;
    assert!(!printed.contains("bob") && printed.contains("ana"), "{printed}");
    // What was masked by hand does not pass.
    let mut lines = found.lines("records.jsonl");
    lines[0]["groups"]["identity"]["fields"] = json!("{}");
    found.put("records.jsonl", &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    assert_eq!(found.verify(&[]).await.0, Some(1));
    service.stop().await;
}

async fn an_export_of_a_person_is_recorded_and_found_by_his_erasure<F: Fixture>() {
    let (service, _) = filled::<F>().await;
    assert_eq!(service.get_as("eve", PATH).await.status, 200);
    service.pipeline.flush().await;
    let exported = Filter::new().any_of("action", ["log_exported"]).unwrap();
    let told = || async {
        let page = service.store.records(&exported, &PageRequest::oldest(9)).await.unwrap();
        let told = page.records.into_iter().map(|record| {
            assert_eq!((record.actor_id.as_str(), record.outcome), ("eve", Outcome::Success));
            serde_json::from_str::<Value>(record.metadata.as_str()).unwrap_or_default()
        });
        told.collect::<Vec<_>>()
    };
    let before = told().await;
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!(
        (&before[0]["endpoint"], &before[0]["asked"]),
        (&json!("subject_export"), &json!("/subjects/ana/export"))
    );
    assert_eq!(
        (&before[1]["endpoint"], &before[1]["shown"]),
        (&json!("subject_export_end"), &json!(7))
    );
    // Another one looks for her, by the language, and then her name is nowhere but in what is kept as evidence.
    service.get_as("vic", "/activity/records?q=actor_id:ana").await;
    service.pipeline.flush().await;
    let eraser = service.pipeline.eraser().unwrap();
    let request = ErasureRequest::new("ana", "GDPR Art. 17").alone();
    let certificate = eraser.erase(&request, |_step| {}).await.unwrap();
    assert_eq!(certificate.records, 9, "six records about her, and three questions");
    assert_eq!(told().await, [Value::Null, Value::Null]);
    let mut page = service.store.records(&Filter::new(), &PageRequest::oldest(99)).await.unwrap();
    page.records.retain(|record| record.category != Category::Consent);
    let text = serde_json::to_string(&page.records).unwrap();
    assert!(!text.contains("ana"), "{text}");
    assert!(text.contains("\"eve\"") && text.contains("\"vic\""), "who looked stays");
    service.stop().await;
}

async fn nobody_exports_a_person_beyond_what_he_may_see<F: Fixture>() {
    let (service, _) = filled::<F>().await;
    service.get_as("eve logs.actions.view,logs.delete", PATH).await.problem(403);
    service.get_as("eve logs.export", PATH).await.problem(403);
    service.send(Method::GET, PATH, &[], "").await.problem(401);
    for wrong in ["limit=5", "q=x", "also=", "also=%20", "person_type=", "cursor=x"] {
        service.get(&format!("{PATH}?{wrong}")).await.problem(400);
    }
    let rights = "logs.export,logs.actions.view,logs.auth.view";
    // Of another tenant she is nobody.
    let stranger = format!("eve {rights} initech");
    let nobody = service.get_as(&stranger, PATH).await.problem(404);
    let unknown = service.get_as(&stranger, "/activity/subjects/zoe/export").await.problem(404);
    assert_eq!(nobody["detail"], unknown["detail"]);
    for (caller, records, left_out) in [
        (format!("eve {rights} acme"), 6, json!(["system"])),
        (format!("eve {rights} globex"), 1, json!(["system"])),
        (
            "eve logs.export,logs.actions.view acme".to_owned(),
            5,
            json!(["authentication", "system"]),
        ),
    ] {
        let found = Unpacked::of(&service.get_as(&caller, PATH).await.body);
        let manifest = &found.lines("manifest.json")[0];
        assert_eq!((&manifest["records"], &manifest["left_out"]), (&json!(records), &left_out));
        let data: Value = serde_json::from_str(&found.text("data.json")).unwrap();
        assert_eq!(data["records"].as_array().unwrap().len(), records, "{caller}");
        let other = if caller.contains("acme") { "globex" } else { "acme" };
        assert!(!found.everything().contains(other), "{caller}");
    }
    service.stop().await;
}

/// Whoever asks for the head alone learns whether there is something, which is a view of the log.
async fn the_head_of_an_export_signs_nothing_and_takes_nothing<F: Fixture>() {
    let (service, _) = filled::<F>().await;
    let head = async |caller: &str, path: &str| {
        service.send(Method::HEAD, path, &[("x-test-caller", caller)], "").await
    };
    let answer = head("eve", PATH).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.headers["content-type"], "application/zip");
    assert!(answer.headers.contains_key("activity-position"));
    assert_eq!(head("eve", "/activity/subjects/zoe/export").await.status, 404);
    let stranger = "eve logs.export,logs.actions.view initech";
    assert_eq!(head(stranger, PATH).await.status, 404);
    assert_eq!(head("eve logs.actions.view", PATH).await.status, 403);
    service.pipeline.flush().await;
    assert!(service.store.last_checkpoint().await.unwrap().is_none(), "it was signed for nothing");
    let told = async |action: &str| {
        let asked = Filter::new().any_of("action", [action]).unwrap();
        let asked = asked.any_of("outcome", ["success"]).unwrap();
        service.store.records(&asked, &PageRequest::oldest(9)).await.unwrap().records.len()
    };
    assert_eq!((told("log_exported").await, told("log_viewed").await), (0, 1));
    assert_eq!(service.get_as("eve", PATH).await.status, 200);
    service.pipeline.flush().await;
    assert!(service.store.last_checkpoint().await.unwrap().is_some());
    assert_eq!((told("log_exported").await, told("log_viewed").await), (2, 1));
    service.stop().await;
}

async fn a_long_export_has_every_record_once_in_each_of_its_files<F: Fixture>() {
    let (service, _) = filled::<F>().await;
    for order in 0..2_500 {
        let by = if order % 2 == 0 { "ana" } else { "bob" };
        service.pipeline.recorder().record(about(by, "order", &format!("n{order}")));
        if order % 500 == 0 {
            service.pipeline.flush().await;
        }
    }
    service.pipeline.flush().await;
    let found = Unpacked::of(&service.get(PATH).await.body);
    let data: Value = serde_json::from_str(&found.text("data.json")).unwrap();
    let ids = |records: &[Value]| -> Vec<String> {
        records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    };
    let ids_of_data = ids(data["records"].as_array().unwrap());
    assert_eq!(ids_of_data.len(), 7 + 1_250);
    assert_eq!(ids_of_data, ids(&found.lines("records.jsonl")));
    let rows = found.text("data.csv");
    assert!(ids_of_data.iter().zip(rows.lines().skip(1)).all(|(id, row)| row.starts_with(id)));
    assert_eq!(found.verify(&[]).await.0, Some(0));
    service.stop().await;
}

#[tokio::test]
async fn without_keys_nobody_is_exported() {
    let service = Service::<crate::support::InMemory>::start().await;
    let answer = service.get(PATH).await.problem(501);
    assert_eq!(answer["type"], "urn:tower-activity:problem:no-keys");
    service.stop().await;
}
