//! What went from a log without a word, or by a word that does not count, is found in what was exported of all of it.

use serde_json::{Value, json};
use tower_activity::{
    ledger::AddressExpiry,
    record::{Canonical, Category, Group, Origin, Record},
    time::Timestamp,
};

use crate::{
    bundle::{bundle, signed},
    run::{Log, record, set_metadata},
};

on_both!(
    addresses_are_gone_from_an_export_in_their_time_alone,
    addresses_that_went_by_a_record_dated_ahead_are_found_in_an_export,
    what_was_erased_without_a_record_is_found_in_an_export,
);

/// Verifies a bundle, and JSON Lines with proofs, of all of a log; each must come to this.
async fn exported(log: &Log, trust: &str, code: i32) -> [Value; 2] {
    bundle(log, &[]).await;
    let lines = log.path("export.jsonl").to_str().unwrap().to_owned();
    let export = ["export", "--proofs", "--keys", "log.keys", "--out", &lines];
    log.run(&export).await.with(0);
    let zip = log.path("evidence.zip").to_str().unwrap().to_owned();
    let verify = async |file: &str| {
        let ended = log.run(&["verify", "--export", file, "--trust", trust]).await.with(code);
        ended.json().remove(0)
    };
    [verify(&zip).await, verify(&lines).await]
}

/// Empties a group as an erasure does, and writes no record of it.
async fn nulled(log: &Log, record: &Record, group: Group, columns: &str) {
    let commitment = Canonical::new().commitment(record, group).expect("it holds something");
    let hex: String = commitment.iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = match log.database {
        Some(_) => format!("decode('{hex}', 'hex')"),
        None => format!("x'{hex}'"),
    };
    let (name, seq) = (group.as_str(), record.seq);
    log.by_force(&format!(
        "UPDATE activity_records SET {columns} = NULL, {name}_salt = NULL, \
         {name}_commitment = {bytes} WHERE seq = {seq}"
    ))
    .await;
}

/// The kinds of what was altered.
fn kinds(found: &Value) -> Vec<&str> {
    found["altered"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect()
}

/// A record that says that these addresses went, as the pipeline writes it; or of another time, if one is named.
fn telling(seq: i64, at: &str, days: u32) -> Box<Record> {
    let expiry = AddressExpiry {
        month: "2024-09".parse().unwrap(),
        class: "activity".to_owned(),
        first: 1,
        last: 5,
        days,
    };
    record(seq, at, |record| {
        record.category = Category::System;
        record.origin = Origin::System;
        record.retention_class.set("system");
        record.action.set("addresses_expired");
        set_metadata(record, &expiry.to_json().to_string());
    })
}

/// A log of which one record had an address, and what tells that it went.
async fn without_an_address(log: Log, told: Box<Record>) -> (Log, String) {
    let (log, trust) = signed(log).await;
    let address = record(7, "2024-09-10T12:00:00Z", |record| {
        record.ip = Some("192.0.2.7".parse().unwrap());
    });
    log.append(std::slice::from_ref(&address)).await;
    log.append(&[told]).await;
    exported(&log, &trust, 0).await;
    // Behind this nothing is appended any more: the triggers are off.
    nulled(&log, &address, Group::Network, "ip").await;
    (log, trust)
}

async fn addresses_are_gone_from_an_export_in_their_time_alone(log: Log) {
    let told = telling(8, "2026-11-20T12:00:09Z", 30);
    let (log, trust) = without_an_address(log, told).await;
    for found in exported(&log, &trust, 0).await {
        assert_eq!((&found["erased"], &found["export"]["complete"]), (&json!(1), &json!(true)));
    }
}

/// It was committed before their time is over, whatever it says itself of when that was.
async fn addresses_that_went_by_a_record_dated_ahead_are_found_in_an_export(log: Log) {
    let ahead = Timestamp::from_micros(4_900_000_000_000_000).to_string();
    let (log, trust) = without_an_address(log, telling(8, &ahead, 36_500)).await;
    for found in exported(&log, &trust, 1).await {
        assert_eq!(kinds(&found), ["erased_unrecorded"], "{found:#}");
    }
}

async fn what_was_erased_without_a_record_is_found_in_an_export(log: Log) {
    let (log, trust) = signed(log).await;
    let second = record(2, "2026-11-20T12:00:02Z", |_| {});
    nulled(&log, &second, Group::Identity, "actor_id").await;
    for found in exported(&log, &trust, 1).await {
        assert_eq!(kinds(&found), ["erased_unrecorded"], "{found:#}");
        assert_eq!(found["altered"][0]["first_seq"], 2, "{found:#}");
    }
}
