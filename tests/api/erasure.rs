//! People are erased over HTTP, by whoever may, from what he may see.

use hyper::Method;
use serde_json::json;
use tower_activity::{
    Keys,
    record::{Actor, Record},
};

use crate::{
    ingest::JSON,
    support::{Fixture, Service},
};

const PATH: &str = "/activity/subjects/ana/erasure";

on_every_store!(
    somebody_is_erased_by_whoever_may_from_the_tenant_that_he_sees,
    it_is_said_which_names_which_things_and_which_groups,
);

/// The same by a service that owns nothing.
#[cfg(feature = "postgres")]
mod with_roles {
    on_every_store!(@facts crate::support::OwnsNothing:
        somebody_is_erased_by_whoever_may_from_the_tenant_that_he_sees,
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
