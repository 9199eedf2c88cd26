//! People are erased over HTTP, by whoever may, from what he may see.

use std::path::Path;

use hyper::Method;
use serde_json::json;
use tower_activity::{
    Keys, bundle,
    ledger::verify::Verdict,
    record::{Actor, Record},
};

use crate::{
    ingest::JSON,
    support::{Fixture, Service},
};

const PATH: &str = "/activity/subjects/ana/erasure";
const NAME: &str = "Featherstonehaugh";

on_every_store!(
    somebody_is_erased_by_whoever_may_from_the_tenant_that_he_sees,
    it_is_said_which_names_which_things_and_which_groups,
    what_a_hold_keeps_of_somebody_is_shown_to_whoever_may_see_holds_alone,
);

/// The same by a service that owns nothing.
#[cfg(feature = "postgres")]
mod with_roles {
    on_every_store!(@facts crate::support::OwnsNothing:
        somebody_is_erased_by_whoever_may_from_the_tenant_that_he_sees,
        what_a_hold_keeps_of_somebody_is_shown_to_whoever_may_see_holds_alone,
    );
}

async fn somebody_is_erased_by_whoever_may_from_the_tenant_that_he_sees<F: Fixture>() {
    let service = Service::<F>::set(|builder| builder.keys(Keys::ephemeral())).await;
    for tenant in ["acme", "globex"] {
        for order in 0..3 {
            let record =
                Record::by(Actor::user("ana")).verb("ship").on("order", &order.to_string());
            service.pipeline.recorder().record(record.tenant(tenant));
        }
    }
    service.pipeline.flush().await;
    let ask = async |method: Method, caller: &str, body: serde_json::Value| {
        let headers = [("x-test-caller", caller), JSON];
        let body = if method == Method::GET { String::new() } else { body.to_string() };
        service.send(method, PATH, &headers, body).await
    };
    let basis = json!({ "basis": "GDPR Art. 17(1)(b)" });
    let viewer = "vic logs.actions.view,logs.configure,logs.export";
    let acme = "dpo logs.actions.view,logs.delete acme";
    for (method, caller, body, status) in [
        (Method::GET, viewer, json!(null), 403),
        (Method::POST, viewer, basis.clone(), 403),
        (Method::POST, acme, json!({}), 400),
        (Method::POST, acme, json!({ "basis": " " }), 400),
        (Method::POST, acme, json!({ "basis": "x", "groups": ["name"] }), 400),
        (Method::POST, acme, json!({ "basis": "x", "wrong": 1 }), 400),
    ] {
        ask(method, caller, body).await.problem(status);
    }
    let no_json = [("x-test-caller", acme)];
    service.send(Method::POST, PATH, &no_json, basis.to_string()).await.problem(415);

    let plan = ask(Method::GET, acme, json!(null)).await.json();
    assert_eq!((&plan["records"], &plan["groups"]), (&json!(3), &json!({ "identity": 3 })));
    assert!(plan["places"].as_array().unwrap().iter().all(|place| place["count"].is_null()));
    let certificate = ask(Method::POST, acme, basis.clone()).await.json();
    assert_eq!((&certificate["records"], &certificate["by"]), (&json!(3), &json!("user:dpo")));
    service.pipeline.flush().await;

    let list = service.get("/activity/actors/ana").await.json();
    let tenants: Vec<_> =
        list["records"].as_array().unwrap().iter().map(|r| &r["tenant_id"]).collect();
    assert_eq!(tenants, ["globex"; 3], "{list}");
    // Neither the questions nor the record of it name her anew.
    let own = service.get("/activity/records?category=system&limit=1000").await.text().to_owned();
    assert!(own.contains("\"erased\"") && !own.contains("subjects/ana"), "{own}");
    let seen = async |tenant: &str| {
        let caller = format!("eve logs.actions.view,logs.configure,logs.auth.view {tenant}");
        let told = service.get_as(&caller, "/activity/records?action=erased").await.json();
        told["records"].as_array().unwrap().len()
    };
    assert_eq!((seen("acme").await, seen("globex").await), (1, 0));
    let again = ask(Method::POST, acme, basis).await.json();
    assert_eq!(again["records"], 0);
    service.stop().await;
}

async fn what_a_hold_keeps_of_somebody_is_shown_to_whoever_may_see_holds_alone<F: Fixture>() {
    let service = Service::<F>::set(|builder| builder.keys(Keys::ephemeral())).await;
    for tenant in ["acme", "globex"] {
        for order in ["1", "2"] {
            let ana = Actor::user("ana").named(NAME);
            let record = Record::by(ana).verb("ship").on("order", order).tenant(tenant);
            service.pipeline.recorder().record(record);
        }
    }
    service.pipeline.flush().await;
    let send = async |method: Method, path: &str, caller: &str, body: serde_json::Value| {
        let headers = [("x-test-caller", caller), JSON];
        service.send(method, &format!("/activity/{path}"), &headers, body.to_string()).await
    };
    let acme = "ada logs.actions.view,logs.configure,logs.export acme";
    let hold = json!({ "query": "actor_id:ana entity_id:1", "reason": "a lawsuit" });
    let hold = send(Method::POST, "holds", "admin", hold).await.json();
    let basis = json!({ "basis": "GDPR Art. 17(1)(b)" });
    let done = send(Method::POST, "subjects/ana/erasure", "admin", basis).await.json();
    let id = hold["id"].as_str().unwrap();
    assert_eq!((&done["records"], &done["held"]), (&json!(2), &json!(2)), "{done}");
    assert_eq!(done["held_by"], json!({ id: 2 }));

    // Whatever shows the log shows nobody.
    let first = service.get("/activity/records?entity_id=1").await.json();
    let first = first["records"][0]["id"].as_str().unwrap().to_owned();
    let paths = [
        "records?limit=1000&action=ship".to_owned(),
        format!("records/{first}"),
        format!("records?q={NAME}"),
        "actors/ana".to_owned(),
        "stats".to_owned(),
        "facets".to_owned(),
        "export?format=jsonl&action=ship".to_owned(),
        "export?format=csv&action=ship".to_owned(),
        "export?proofs=true&action=ship".to_owned(),
        format!("records/{first}/proof"),
    ];
    for path in paths {
        let shown = service.get(&format!("/activity/{path}")).await;
        // What was asked for may be said again.
        let text = shown.text().replace(&format!("q={NAME}"), "");
        assert_eq!(shown.status, 200, "{path}: {text}");
        assert!(!text.contains(NAME) && !text.contains("\"ana\""), "{path}: {text}");
    }
    let alone = service.get(&format!("/activity/records/{first}")).await.json();
    assert_eq!(alone["restricted"], json!(["identity"]), "{alone}");
    let nothing = service.get("/activity/subjects/ana/export?also=nobody").await;
    if nothing.status == 200 {
        let found = crate::unpacked::Unpacked::of(&nothing.body).everything();
        assert!(!found.contains(NAME), "{found}");
    }

    let kept = async |caller: &str, query: &str| {
        let path = format!("holds/restricted{query}");
        let shown = send(Method::GET, &path, caller, json!("")).await.json();
        let records = shown["records"].as_array().unwrap().clone();
        (records, shown["next"].clone())
    };
    let viewer = "vic logs.actions.view,logs.delete,logs.export";
    send(Method::GET, "holds/restricted", viewer, json!("")).await.problem(403);
    send(Method::GET, "holds/restricted?cursor=x", "admin", json!("")).await.problem(400);
    let (records, next) = kept("admin", "?actor_id=ana").await;
    assert_eq!((records.len(), next), (2, json!(null)));
    assert!(records.iter().all(|r| r["actor_name"] == NAME && r["restricted"][0] == "identity"));
    let (one, next) = kept("admin", "?limit=1").await;
    let (other, _) = kept("admin", &format!("?limit=1&cursor={}", next.as_str().unwrap())).await;
    assert_ne!(one[0]["id"], other[0]["id"]);
    let (own, _) = kept(acme, "").await;
    assert_eq!((own.len(), &own[0]["tenant_id"]), (1, &json!("acme")));
    assert!(kept(acme, "?tenant_id=globex").await.0.is_empty());

    // Which hold it is that is not his own, a tenant is not told.
    let eraser = "ada logs.actions.view,logs.delete acme";
    let plan = send(Method::GET, "subjects/ana/erasure", eraser, json!("")).await.json();
    assert_eq!((&plan["held"], &plan["held_by"]), (&json!(1), &json!({ "other": 1 })), "{plan}");
    what_is_kept_is_exported_whole_and_proved(&service).await;

    let lifted = format!("holds/{id}?reason=settled");
    let lifted = send(Method::DELETE, &lifted, "admin", json!("")).await.json();
    assert_eq!((&lifted["erased"], &lifted["archive"]), (&json!(2), &json!(null)), "{lifted}");
    assert_eq!(lifted["left"], json!([]));
    assert!(kept("admin", "").await.0.is_empty());
    let alone = service.get(&format!("/activity/records/{first}")).await.json();
    assert_eq!((&alone["restricted"], &alone["erased"]), (&json!(null), &json!(["identity"])));
    service.stop().await;
}

/// What a court asks for: every form of an export has it for whoever may export and see holds, as far as he sees the log.
async fn what_is_kept_is_exported_whole_and_proved<F: Fixture>(service: &Service<F>) {
    let get = async |caller: &str, path: &str| {
        let headers = [("x-test-caller", caller)];
        service.send(Method::GET, &format!("/activity/{path}"), &headers, "").await
    };
    let exporter = "vic logs.actions.view,logs.delete,logs.export";
    let custodian = "cus logs.actions.view,logs.configure";
    for path in
        ["export?restricted=true", "export?restricted=true&proofs=true", "bundle?restricted=true"]
    {
        get(exporter, path).await.problem(403);
        get(custodian, path).await.problem(403);
        let wrong = get("admin", &format!("{path}&order=asc")).await.problem(400);
        assert!(wrong["detail"].as_str().unwrap().contains("`order`"), "{wrong}");
    }
    let acme = "ada logs.actions.view,logs.configure,logs.export acme";
    for format in ["csv", "json", "jsonl", "ocsf", "cloudevents"] {
        let path = format!("export?restricted=true&format={format}");
        let all = get("admin", &path).await;
        assert_eq!((all.status.as_u16(), all.text().contains("globex")), (200, true), "{path}");
        assert!(all.text().contains(NAME), "{path}: {}", all.text());
        let own = get(acme, &path).await.text().to_owned();
        assert!(own.contains(NAME) && !own.contains("globex"), "{path}: {own}");
        let none = get("admin", &format!("{path}&actor_id=bob")).await.text().to_owned();
        assert!(!none.contains(NAME), "{path}: {none}");
    }
    let lines =
        get("admin", "export?restricted=true&format=jsonl&actor_id=ana").await.text().to_owned();
    assert_eq!((lines.lines().count(), lines.matches(NAME).count()), (2, 2), "{lines}");

    let proved = get("admin", "export?restricted=true&proofs=true").await.text().to_owned();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &proved).unwrap();
    let verified = |path: &Path| bundle::verify(path, None, &[], |_| {}).unwrap().report;
    let report = verified(file.path());
    assert_eq!((report.verdict(), report.records), (Verdict::Unaltered, 2), "{report:#?}");
    // As it was recorded, and not otherwise.
    std::fs::write(file.path(), proved.replacen(NAME, "Somebody Else", 1)).unwrap();
    assert_eq!(verified(file.path()).verdict(), Verdict::Altered);

    let bundle = crate::unpacked::Unpacked::of(&get(acme, "bundle?restricted=true").await.body);
    assert!(bundle.everything().contains(NAME));
    let (code, said) = bundle.verify(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    let manifest = &bundle.lines("manifest.json")[0];
    assert_eq!(manifest["records"], json!(1), "{manifest}");
    assert!(manifest["asked"].as_str().unwrap().contains("legal holds keep aside"), "{manifest}");
}

async fn it_is_said_which_names_which_things_and_which_groups<F: Fixture>() {
    let service = Service::<F>::set(|builder| builder.keys(Keys::ephemeral())).await;
    let by = |id: &str| Record::by(Actor::user(id).named("Ana")).verb("ship");
    service.pipeline.recorder().record(by("ana").on("order", "1"));
    service.pipeline.recorder().record(by("ana@example.com").on("order", "2"));
    service.pipeline.recorder().record(by("bob").on("member", "ana"));
    service.pipeline.flush().await;
    let asked = json!({
        "basis": "x", "also": ["ana@example.com"], "person_types": ["member"], "groups": ["target"],
    });
    // The dry run is of the same records and groups.
    let same = format!("{PATH}?also=ana%40example.com&person_type=member&group=target");
    let plan = service.get(&same).await.json();
    assert_eq!((&plan["records"], &plan["groups"]), (&json!(3), &json!({ "target": 3 })), "{plan}");
    assert_eq!(service.get(PATH).await.json()["records"], 1);
    service.get(&format!("{PATH}?group=name")).await.problem(400);
    service.get(&format!("{PATH}?basis=x")).await.problem(400);
    let headers = [("x-test-caller", "admin"), JSON];
    let done = service.send(Method::POST, PATH, &headers, asked.to_string()).await.json();
    assert_eq!((&done["records"], &done["groups"]), (&json!(3), &json!({ "target": 3 })), "{done}");
    let list = service.get("/activity/records?action=ship").await.json();
    for record in list["records"].as_array().unwrap() {
        assert_eq!((&record["entity_id"], &record["actor_name"]), (&json!(null), &json!("Ana")));
    }
    service.stop().await;
}

#[tokio::test]
async fn without_keys_nobody_is_erased() {
    let service = Service::<crate::support::InMemory>::start().await;
    let headers = [("x-test-caller", "admin"), JSON];
    let answer = service.send(Method::POST, PATH, &headers, "{\"basis\":\"x\"}").await;
    assert_eq!(answer.problem(501)["type"], "urn:tower-activity:problem:no-keys");
    service.stop().await;
}
