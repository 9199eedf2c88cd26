//! What is encoded: the golden records, ordinary ones of each category, and hostile ones.

use std::{fs, path::PathBuf};

use serde_json::Value as Json;
use tower_activity::{
    encode::{Encoder, Format},
    record::{
        Actor, ActorType, Address, Category, Kind, Operation, Outcome, Record, RecordId, Value,
        WriterId,
    },
    time::Timestamp,
};

use crate::records::{self, NOON, hostile};

pub(crate) fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden"].iter().collect()
}

/// The records of `records.jsonl`, and some that a service would make.
pub(crate) fn golden() -> Vec<Record> {
    let rows = fs::read_to_string(folder().join("records.jsonl")).unwrap();
    let rows = rows.lines().map(|row| serde_json::from_str::<Json>(row).unwrap());
    let mut records: Vec<Record> = rows.filter_map(|row| read(&row["record"])).collect();
    assert!(records.len() > 20, "the golden records are there");
    records.extend(ordinary());
    records
}

/// Reads a row of the golden file: moments in microseconds, JSON fields as text.
fn read(row: &Json) -> Option<Record> {
    let row = row.as_object()?;
    let mut record = Record::default();
    for field in Record::FIELDS {
        let Some(value) = row.get(field.name()) else { continue };
        let text = value.as_str().unwrap_or_default();
        let number = value.as_i64().unwrap_or_default();
        let value = match field.kind() {
            Kind::Id => Value::Id(text.parse().unwrap()),
            Kind::Time => Value::Time(Timestamp::from_micros(number)),
            Kind::Integer => Value::Integer(number),
            Kind::Stream => Value::Stream(text.parse().unwrap()),
            Kind::Word | Kind::Text => Value::Text(text),
            Kind::Json => Value::Json(text),
            Kind::Address => Value::Address(text.parse().unwrap()),
            other => panic!("a new kind: {other:?}"),
        };
        field.set(&mut record, value).unwrap();
    }
    Some(record)
}

/// What a shop would record.
fn ordinary() -> Vec<Record> {
    let mut cancelled = Record::by(Actor::user("ana").named("Ana Ünal"))
        .cancelled("order", "55")
        .titled("Order 55")
        .target("user", "77", "customer")
        .target("invoice", "9", "invoice")
        .tenant("acme")
        .because("the customer changed her mind")
        .metadata(&serde_json::json!({"parcels": 2, "note": "=HYPERLINK(\"http://x\")"}));
    cancelled.ip = Some(Address::new([192, 0, 2, 7].into()));
    cancelled.location =
        tower_activity::record::Json::from_stored(r#"{"country":"DE","city":"Köln"}"#);
    cancelled.session_id.set("s1");
    cancelled.forwarded = tower_activity::record::Json::from_stored(r#"["192.0.2.7, 10.0.0.1"]"#);

    let mut failed = Record::by(Actor::anonymous())
        .verb("login_failed")
        .on("user", "pseudonym")
        .category(Category::Authentication)
        .outcome(Outcome::Denied, "wrong_password");
    failed.auth_method.set("password");
    failed.operation = Operation::Authenticate;
    failed.ip = Some(Address::truncated([192, 0, 2, 7].into(), 24));

    let login = Record::by("ana").verb("login").category(Category::Authentication);
    let logout = Record::by("ana").verb("logout").category(Category::Authentication);
    let reset = Record::by("ana").verb("password_reset").category(Category::Authentication);

    let granted = Record::by("root")
        .verb("update_role")
        .on("user", "bob")
        .category(Category::Administration)
        .because("=cmd|' /C calc'!A0")
        .status_changed("user", "bob", "guest", "admin");
    let mut policy = Record::by(Actor::service("deployer"))
        .deleted("retention_policy", "90d")
        .category(Category::Administration);
    policy.outcome = Outcome::Aborted;

    let mut records = vec![cancelled, failed, login, logout, reset, granted, policy];
    for (seq, record) in (1..).zip(&mut records) {
        record.occurred_at = Timestamp::from_micros(NOON + seq * 1_000_001);
        record.recorded_at = Timestamp::from_micros(NOON + seq * 1_000_000 + 200_000);
        record.id = records::id(record.occurred_at, 7, seq);
        record.writer_id = WriterId::new(7);
        record.seq = seq;
        record.severity = 1;
        record.duration_us = Some(1_234);
        record.method.set("POST");
        record.route.set("/api/orders/{id}/cancel");
        record.path.set("/api/orders/55/cancel");
        record.host.set("shop.example.com");
        record.status = Some(200);
        record.service.set("shop");
        record.instance.set("shop 1");
        record.trace_id.set("4bf92f3577b34da6a3ce929d0e0e4736");
        record.span_id.set("00f067aa0ba902b7");
    }
    records
}

/// Golden, hostile and random records.
pub(crate) fn all() -> Vec<Record> {
    let mut records = golden();
    records.extend(hostile(9, 150).into_iter().map(|record| *record));
    // Every value of every vocabulary in every category.
    for category in Category::ALL {
        for operation in Operation::ALL {
            for outcome in Outcome::ALL {
                for actor in ActorType::ALL {
                    let mut record = Record::default();
                    (record.category, record.operation) = (category, operation);
                    (record.outcome, record.actor_type) = (outcome, actor);
                    record.id = RecordId::from_bytes([7; 16]);
                    records.push(record);
                }
            }
        }
    }
    records
}

pub(crate) fn encode(format: Format, records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(format);
    encoder.begin(&mut out);
    for record in records {
        encoder.record(record, &mut out);
    }
    encoder.end(&mut out);
    out
}

/// Reads JSON whose numbers may be beyond a double: they become 1.
pub(crate) fn parse(text: &str) -> Json {
    let text = text.replace("1e999999", "1").replace("1e999", "1");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
