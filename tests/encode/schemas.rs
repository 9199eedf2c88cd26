//! OCSF and CloudEvents against the schemas that their makers publish, and against loss.

use std::collections::HashSet;

use jsonschema::Validator;
use serde_json::{Value as Json, json};
use tower_activity::{
    encode::Format,
    record::{Outcome, Record, Value},
};

use crate::samples::{all, encode, golden, parse};

fn events(records: &[Record]) -> Vec<Json> {
    let text = String::from_utf8(encode(Format::Ocsf, records)).unwrap();
    assert_eq!(text.lines().count(), records.len());
    text.lines().map(parse).collect()
}

fn cloud_events(records: &[Record]) -> Vec<Json> {
    let text = String::from_utf8(encode(Format::CloudEvents, records)).unwrap();
    let Json::Array(events) = parse(&text) else { panic!("a batch is an array") };
    assert_eq!(events.len(), records.len());
    events
}

fn holds(validator: &Validator, event: &Json) {
    let errors: Vec<String> = validator
        .iter_errors(event)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}\n{event}", errors.join("\n"));
}

/// The validators of the classes, by their uid.
fn classes() -> [(i64, Validator); 3] {
    let schema: Json = serde_json::from_str(include_str!("../schemas/ocsf-1.8.0.json")).unwrap();
    [(6003, "api_activity"), (3002, "authentication"), (3004, "entity_management")].map(
        |(uid, name)| {
            let mut class = schema.clone();
            class["$ref"] = json!(format!("#/$defs/{name}"));
            (uid, jsonschema::validator_for(&class).unwrap())
        },
    )
}

#[test]
fn ocsf_events_hold_to_the_published_schema() {
    let classes = classes();
    let mut seen = HashSet::new();
    for event in events(&all()) {
        let uid = event["class_uid"].as_i64().unwrap();
        seen.insert(uid);
        let (_, validator) = classes.iter().find(|(class, _)| *class == uid).unwrap();
        holds(validator, &event);
        let activity = event["activity_id"].as_i64().unwrap();
        assert_eq!(event["type_uid"], json!(uid * 100 + activity));
        assert_eq!(event["metadata"]["version"], "1.8.0");
        // What a schema cannot say: a label beside an id of the schema's is the schema's.
        if let (Some(1), status) = (event["status_id"].as_i64(), &event["status"]) {
            assert_eq!(status, "Success");
        }
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn the_published_schema_refuses_what_is_wrong() {
    let classes = classes();
    let event = &events(&golden()[..1])[0];
    for (path, wrong) in [
        ("/time", json!("2026-01-01T00:00:00Z")),
        ("/api", Json::Null),
        ("/src_endpoint", json!({"ip": "192.0.2.0/24"})),
        ("/actor", json!({"user": {"type_id": 1}})),
        ("/metadata/product", json!({})),
    ] {
        let mut event = event.clone();
        *event.pointer_mut(path).unwrap() = wrong;
        assert!(!classes[0].1.is_valid(&event), "{path}");
    }
}

#[test]
fn records_become_the_classes_and_activities_that_fit_them() {
    let records = golden();
    let records = &records[records.len() - 7..];
    let types: Vec<_> =
        events(records).iter().map(|event| event["type_uid"].as_i64().unwrap()).collect();
    assert_eq!(types, [600_303, 300_201, 300_201, 300_202, 300_299, 300_403, 300_404]);
    let events = events(records);
    assert_eq!(events[0]["api"]["operation"], "order.cancel");
    assert_eq!(
        events[0]["resources"][1],
        json!({"type":"user","uid":"77","role_id":99,"role":"customer"})
    );
    assert_eq!(events[0]["src_endpoint"]["location"]["city"], "Köln");
    assert_eq!(events[0]["trace"]["uid"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(events[1]["user"]["uid"], "pseudonym");
    assert_eq!(events[1]["status"], "Failure");
    assert_eq!(events[1]["unmapped"]["outcome"], "denied");
    assert_eq!(events[1]["src_endpoint"]["name"], "192.0.2.0/24");
    assert_eq!(events[5]["entity"]["type_id"], 2);
    assert_eq!(events[6]["status"], "aborted");
}

#[test]
fn cloud_events_hold_to_the_published_schema() {
    let schema = serde_json::from_str(include_str!("../schemas/cloudevents-1.0.json")).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for event in cloud_events(&all()) {
        holds(&validator, &event);
        assert_eq!(event["specversion"], "1.0");
        for (name, value) in event.as_object().unwrap() {
            // The specification beyond its schema: how attributes are called, and what they hold.
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{name}");
            if name != "data" {
                let text = value.as_str().expect("attributes are strings");
                assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
            }
        }
    }
    assert!(!validator.is_valid(&json!({"id": "1", "source": "/", "specversion": "1.0"})));
    let odd_time =
        json!({"id": "1", "source": "/", "specversion": "1.0", "type": "t", "time": "now"});
    assert!(!validator.is_valid(&odd_time), "formats are looked at");
}

#[test]
fn cloud_events_carry_what_others_look_for() {
    let records = golden();
    let event = &cloud_events(&records[records.len() - 7..])[0];
    assert_eq!(event["type"], "order.cancel");
    assert_eq!(event["subject"], "order/55");
    assert_eq!(event["source"], "/shop/shop%201");
    assert_eq!(event["traceparent"], "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
    assert_eq!((&event["authtype"], &event["authid"]), (&json!("app_user"), &json!("ana")));
    assert_eq!(event["data"]["metadata"]["parcels"], 2);
}

/// Every text and number in an event, but what is under `apart`.
fn leaves(event: &Json, apart: &str, found: &mut HashSet<String>) {
    match event {
        Json::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != apart)
            .for_each(|(_, value)| leaves(value, apart, found)),
        Json::Array(items) => items.iter().for_each(|item| leaves(item, apart, found)),
        Json::String(text) => drop(found.insert(text.clone())),
        other => drop(found.insert(other.to_string())),
    }
}

/// Asserts that each field stands among the rest, or with the same value in a place of its own.
fn nothing_is_lost(record: &Record, event: &Json, rest: &str) {
    let mut mapped = HashSet::new();
    leaves(event, rest, &mut mapped);
    let whole: Json = parse(&serde_json::to_string(record).unwrap());
    for field in Record::FIELDS {
        if field.value(record).is_null() {
            continue;
        }
        let value = &whole[field.name()];
        if let Some(left) = event[rest].get(field.name()) {
            assert_eq!(left, value, "{}", field.name());
            continue;
        }
        match field.value(record) {
            Value::Json(_) => {
                let mut inner = HashSet::new();
                leaves(value, "", &mut inner);
                assert!(inner.is_subset(&mapped), "{} is lost: {event}", field.name());
            }
            Value::Time(at) => {
                let millis = at.as_millis().to_string();
                let exact = mapped.contains(&at.to_string());
                let whole = at.as_micros() % 1_000 == 0 && mapped.contains(&millis);
                assert!(exact || whole, "{} is lost: {event}", field.name());
            }
            _ => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let traced = format!("00-{}-{}-00", record.trace_id, record.span_id);
                let found = mapped.contains(&text)
                    || (matches!(field.name(), "trace_id" | "span_id") && mapped.contains(&traced));
                assert!(found, "{} is lost: {event}", field.name());
            }
        }
    }
}

#[test]
fn no_field_is_lost_on_the_way() {
    let mut records = all();
    // Numbers that are not told apart from others by chance.
    for (index, record) in (0_i64..).zip(&mut records) {
        record.duration_us = Some(7_000_001 + index);
        record.outcome = Outcome::ALL[index as usize % Outcome::ALL.len()];
    }
    for (record, event) in records.iter().zip(events(&records)) {
        nothing_is_lost(record, &event, "unmapped");
    }
    for (record, event) in records.iter().zip(cloud_events(&records)) {
        nothing_is_lost(record, &event, "data");
    }
}
