//! What must not be kept does not come in by this door either.

use serde_json::{Value, json};
use tower_activity::{
    privacy::{AddressPolicy, Keys},
    record::{Category, Kind, Record},
};

use super::{handed_in, post, ship};
use crate::support::{Fixture, Service};

on_every_store! {
    no_secret_reaches_the_store_in_any_field,
    sessions_and_addresses_are_hidden_as_in_process,
    without_keys_sessions_are_left_out,
}

const SECRETS: &[(&str, &str)] = &[
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "eyJzdWIiOiIx"),
    ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "42F292c69"),
    ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "HqLyjWDarj"),
    ("4111111111111111", "4111111111111111"),
    ("postgres://app:s3cretpw@db.internal:5432/shop", "s3cretpw"),
];

async fn no_secret_reaches_the_store_in_any_field<F: Fixture>() {
    let service = Service::<F>::set(|builder| builder.keys(Keys::ephemeral())).await;
    let mut items = Vec::new();
    for (secret, _) in SECRETS {
        for field in Record::FIELDS {
            let value = match (field.kind(), field.name()) {
                (Kind::Text, "service" | "rule" | "retention_class") => continue,
                (Kind::Text, "path") => json!(format!("/a/{secret}")),
                (Kind::Text, _) => json!(secret),
                (Kind::Json, "metadata") => json!({"note": secret, "deep": [{"a": secret}]}),
                (Kind::Json, "changes") => {
                    json!([{"op": "replace", "path": "/a", "old": secret, "new": secret}])
                }
                (Kind::Json, "targets") => json!([{"type": "a", "id": secret, "name": secret}]),
                (Kind::Json, "location") => json!({"city": secret}),
                (Kind::Json, "subject_ids" | "forwarded") => json!([secret]),
                _ => continue,
            };
            let mut item = json!({"action": "ship", "actor_id": "ana", "entity_type": "order"});
            item[field.name()] = value;
            items.push(item);
        }
    }
    // Under keys that name secrets, whatever their values look like.
    for key in
        ["password", "apiKey", "client_secret", "ssn", "session_id", "recovery-code", "cvv", "iban"]
    {
        let mut item = ship(1);
        item["metadata"] = json!({key: "hunter2"});
        item["changes"] = json!([{"op": "replace", "path": format!("/login/{key}"), "old": "hunter2", "new": "hunter3"}]);
        item["request_body"] = json!(format!("{{\"{key}\":\"hunter2\"}}"));
        item["description"] = json!("reset with password=hunter2");
        items.push(item);
    }
    let answer = post(&service, Value::from(items)).await.json();
    // Fields of a fixed form refuse them; all others take them in, without the secret.
    for refused in answer["rejected"].as_array().unwrap() {
        let detail = refused["detail"].as_str().unwrap();
        assert!(
            ["`trace_id`", "`span_id`", "`ip_pseudonym`", "`method`"]
                .iter()
                .any(|f| detail.starts_with(f)),
            "{detail}"
        );
        assert!(refused["detail"].as_str().unwrap().len() < 250);
    }
    assert!(answer["accepted"].as_u64().unwrap() > 220, "{}", answer["accepted"]);
    let stored = handed_in(&service.store).await;
    for record in &stored {
        let all = serde_json::to_string(record).unwrap();
        for hidden in SECRETS.iter().map(|(_, hidden)| *hidden).chain(["hunter"]) {
            assert!(!all.contains(hidden), "{hidden} in {all}");
        }
    }
    assert!(stored.iter().any(|record| !record.redactions.is_absent()));
    service.stop().await;
}

async fn sessions_and_addresses_are_hidden_as_in_process<F: Fixture>() {
    let keys = Keys::ephemeral();
    let given = keys.clone();
    let service = Service::<F>::set(move |builder| {
        builder
            .keys(given)
            .address_policy(AddressPolicy::Truncate)
            .address_policy_for(Category::Authentication, AddressPolicy::Hmac)
    })
    .await;
    let pseudonym = keys.pseudonym(Keys::SESSION, Some("acme"), "other");
    let mut items = [ship(1), ship(2)];
    for item in &mut items {
        item["ip"] = json!("192.0.2.7");
        item["forwarded"] = json!(["192.0.2.7"]);
        item["tenant_id"] = json!("acme");
        item["session_id"] = json!("raw-session");
        item["credential_id"] = json!("raw-credential");
    }
    items[1]["category"] = json!("authentication");
    items[1]["session_id"] = json!(pseudonym);
    assert_eq!(post(&service, json!(items)).await.json()["accepted"], 2);
    let stored = handed_in(&service.store).await;
    let of = |number: &str| stored.iter().find(|record| record.entity_id == number).unwrap();
    let (one, two) = (of("1"), of("2"));
    assert_eq!(one.ip.unwrap().to_string(), "192.0.2.0/24");
    assert_eq!(one.session_id, *keys.pseudonym(Keys::SESSION, Some("acme"), "raw-session"));
    assert_eq!(
        one.credential_id,
        *keys.pseudonym(Keys::CREDENTIAL, Some("acme"), "raw-credential")
    );
    assert_eq!((two.ip, two.session_id.as_str()), (None, pseudonym.as_str()));
    assert_eq!(two.ip_pseudonym, *keys.pseudonym(Keys::ADDRESS, Some("acme"), "192.0.2.7"));
    for record in &stored {
        let all = serde_json::to_string(record).unwrap();
        assert!(!all.contains("raw-") && !all.contains("192.0.2.7"), "{all}");
    }
    service.stop().await;
}

async fn without_keys_sessions_are_left_out<F: Fixture>() {
    let service = Service::<F>::start().await;
    let mut item = ship(1);
    item["session_id"] = json!("raw-session");
    post(&service, item).await.json();
    let mut by_hand = Record::by("ana").cancelled("order", "55");
    by_hand.session_id.set("raw-session");
    service.pipeline.recorder().record(by_hand);
    service.pipeline.flush().await;
    assert!(handed_in(&service.store).await[0].session_id.is_absent());
    let list = service.get("/activity/records?action=cancel,ship").await;
    assert!(!list.text().contains("raw-session"));
    service.stop().await;
}
