//! Holds are placed and lifted, and policies set, by whoever may, for what he may see.

use hyper::Method;
use serde_json::{Value, json};
use tower_activity::record::{Actor, Record};

use crate::{
    ingest::JSON,
    support::{Answer, Fixture, Service},
};

on_every_store!(
    a_hold_is_placed_and_lifted_by_whoever_may_and_tenants_see_their_own,
    a_policy_is_set_for_all_or_for_ones_own_tenant,
);

/// The same where the database keeps tenants apart too.
#[cfg(feature = "postgres")]
mod kept_apart {
    on_every_store!(@facts crate::support::KeptApart<true>:
        a_hold_is_placed_and_lifted_by_whoever_may_and_tenants_see_their_own,
        a_policy_is_set_for_all_or_for_ones_own_tenant,
    );
}

const VIEWER: &str = "vic logs.actions.view,logs.delete,logs.export";
const ACME: &str = "ada logs.actions.view,logs.configure acme";
const GLOBEX: &str = "gus logs.actions.view,logs.configure globex";

async fn ask<F: Fixture>(
    service: &Service<F>,
    method: Method,
    path: &str,
    caller: &str,
    body: &Value,
) -> Answer {
    let body = if body == "" { String::new() } else { body.to_string() };
    let headers = [("x-test-caller", caller), JSON];
    service.send(method, &format!("/activity/{path}"), &headers, body).await
}

async fn a_hold_is_placed_and_lifted_by_whoever_may_and_tenants_see_their_own<F: Fixture>() {
    let service = Service::<F>::start().await;
    for tenant in ["acme", "acme", "globex"] {
        let record = Record::by(Actor::user("ana")).verb("ship").on("order", "1").tenant(tenant);
        service.pipeline.recorder().record(record);
    }
    service.pipeline.flush().await;
    let hold = json!({ "query": "action:ship", "reason": "a lawsuit", "name": "case 7" });
    ask(&service, Method::POST, "holds", VIEWER, &hold).await.problem(403);
    ask(&service, Method::GET, "holds", VIEWER, &json!("")).await.problem(403);
    for wrong in [
        json!({}),
        json!({ "query": "action:ship" }),
        json!({ "query": " ", "reason": "x" }),
        json!({ "query": "*", "reason": " " }),
        json!({ "query": "*", "reason": "x", "name": "n".repeat(200) }),
        json!({ "query": "*", "reason": "x", "until": "tomorrow" }),
    ] {
        ask(&service, Method::POST, "holds", ACME, &wrong).await.problem(400);
    }
    let wrong = json!({ "query": "action:ship actoin:x", "reason": "x" });
    let problem = ask(&service, Method::POST, "holds", ACME, &wrong).await.problem(400);
    assert_eq!(problem["column"], 13, "{problem}");

    let placed = ask(&service, Method::POST, "holds", ACME, &hold).await;
    assert_eq!(placed.status, 201);
    let placed = placed.json();
    assert_eq!(placed["records"], json!({ "value": 2, "relation": "eq" }));
    assert_eq!(
        (&placed["tenant"], &placed["by"], &placed["lifted"]),
        (&json!("acme"), &json!("user:ada"), &json!(null))
    );
    let names = async |caller: &str| {
        let list = ask(&service, Method::GET, "holds", caller, &json!("")).await.json();
        let list = list["holds"].as_array().unwrap();
        list.iter().map(|hold| hold["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let everybodys = json!({ "q": "*", "reason": "all of it", "name": "all" });
    let all = ask(&service, Method::POST, "holds", "admin", &everybodys).await.json();
    assert_eq!(names("admin").await, ["all", "case 7"]);
    assert_eq!(names(ACME).await, ["case 7"]);
    assert_eq!(names(GLOBEX).await, [""; 0]);

    let one = |hold: &Value| format!("holds/{}?reason=settled+it", hold["id"].as_str().unwrap());
    let none = json!("");
    for (caller, path, status) in [
        (VIEWER, one(&placed), 403),
        (GLOBEX, one(&placed), 404),
        (ACME, one(&all), 404),
        (ACME, "holds/x".to_owned(), 404),
        (ACME, one(&placed).replace("reason", "why"), 400),
    ] {
        ask(&service, Method::DELETE, &path, caller, &none).await.problem(status);
    }
    let lifted = ask(&service, Method::DELETE, &one(&placed), ACME, &none).await.json();
    assert_eq!(
        (&lifted["lifted"]["reason"], &lifted["lifted"]["by"]),
        (&json!("settled it"), &json!("user:ada"))
    );
    // What went of others with it is not his to know.
    assert_eq!((&lifted["erased"], &lifted["archive"]), (&json!(null), &json!(null)));
    let again = ask(&service, Method::DELETE, &one(&placed), "admin", &none).await.json();
    assert_eq!((&again["lifted"], &again["erased"]), (&lifted["lifted"], &json!(0)));
    let told = service.get("/activity/records?action=held,released&category=system").await.json();
    assert_eq!(told["records"].as_array().map(Vec::len), Some(3), "{told}");
    service.stop().await;
}

async fn a_policy_is_set_for_all_or_for_ones_own_tenant<F: Fixture>() {
    let service = Service::<F>::start().await;
    let none = json!("");
    let get = async |caller: &str| ask(&service, Method::GET, "retention", caller, &none).await;
    let put = async |caller: &str, body: Value| {
        ask(&service, Method::PUT, "retention", caller, &body).await
    };
    get(VIEWER).await.problem(403);
    put(VIEWER, json!({})).await.problem(403);
    let before = get("admin").await.json();
    assert_eq!((&before["source"], &before["changed"]), (&json!("default"), &json!(null)));
    assert_eq!(before["policy"]["authentication"], "90d");
    for (wrong, says) in [
        (json!([]), "a table"),
        (json!({ "system": 9 }), "verification needs"),
        (json!({ "activity": "soon" }), "never"),
        (json!({ "activty": 9 }), "did you mean `activity`"),
        (json!({ "preset": "hippa" }), "hipaa"),
        (json!({ "addresses": 0 }), "0 days"),
        (json!({ "max_size": "20" }), "`20` is no size"),
        (json!({ "max_size": "20GB", "force": 1 }), "true or false"),
        (json!({ "force": true }), "there is none"),
        (json!({ "tenant": [{ "name": "a", "tenants": [] }] }), "`tenants` is empty"),
    ] {
        let problem = put("admin", wrong).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    for wrong in
        [json!({ "preset": "pci" }), json!({ "tenant": [] }), json!({ "system": 1 }), json!(7)]
            .into_iter()
            .chain([json!({ "addresses": 0 }), json!({ "max_size": "20GB" })])
    {
        put(ACME, wrong).await.problem(400);
    }

    let policy = json!({
        "preset": "hipaa", "authentication": 180, "addresses": "60d",
        "max_size": "3000MB", "force": true,
        "tenant": [{ "name": "health", "tenants": ["clinic"], "activity": "10y" }],
    });
    let set = put("admin", policy).await.json();
    assert_eq!((&set["source"], &set["policy"]["authentication"]), (&json!("api"), &json!("180d")));
    assert_eq!(set["policy"]["tenant"][0]["tenants"], json!(["clinic"]));
    let limits = ["addresses", "max_size", "force"].map(|key| set["policy"][key].clone());
    assert_eq!(limits, [json!("60d"), json!("3GB"), json!(true)]);
    let health = ask(&service, Method::GET, "health", "admin", &none).await.json();
    assert_eq!(health["storage"]["max_bytes"], 3_000_000_000_u64, "{health}");
    assert!(health["storage"]["used_bytes"].as_i64() > Some(0), "{health}");
    assert_eq!(get("admin").await.json(), set);
    put(ACME, json!({ "activity": "30d", "addresses": 7 })).await.json();
    let own = get(ACME).await.json();
    assert_eq!((&own["tenant"], &own["source"]), (&json!("acme"), &json!("api")));
    assert_eq!(
        (&own["policy"]["activity"], &own["policy"]["authentication"]),
        (&json!("30d"), &json!("180d"))
    );
    assert_eq!(own["policy"]["addresses"], "7d");
    let other = get(GLOBEX).await;
    assert!(!other.text().contains("acme") && !other.text().contains("clinic"), "{}", other.text());
    let other = other.json();
    assert_eq!(
        (&other["policy"]["activity"], &other["policy"]["addresses"]),
        (&json!("2196d"), &json!("60d"))
    );
    let all = get("admin").await.json();
    assert_eq!(
        (&all["tenants"][0]["tenant"], &all["tenants"][0]["policy"]["activity"]),
        (&json!("acme"), &json!("30d"))
    );

    put("admin", json!(null)).await.json();
    let back = get("admin").await.json();
    assert_eq!((&back["source"], &back["policy"]), (&json!("default"), &before["policy"]));
    assert_eq!(get(ACME).await.json()["policy"]["activity"], "30d");
    let told =
        service.get("/activity/records?action=retention_changed&category=system").await.json();
    let told = told["records"].as_array().unwrap();
    assert_eq!(told.len(), 3);
    assert_eq!(told[0]["metadata"]["old"]["authentication"], "180d", "{}", told[0]);
    service.stop().await;
}
