//! Whatever an export shows is held to its head: where it stands, how often, how it is written, and what stands beside it.

use std::fs;

use serde_json::{Value, json};

use crate::{
    bundle::{bundle, change, put, replaced, signed},
    run::Log,
    unpacked::Unpacked,
};

on_both!(
    an_entry_is_shown_once_and_where_it_stands,
    what_is_said_of_itself_is_no_less_than_there_is,
    a_record_has_one_way_to_be_written,
    a_group_has_one_seal,
    only_all_records_of_all_entries_are_all,
    an_anchor_that_no_trusted_key_signed_is_none,
    another_head_of_the_same_size_is_found,
    times_that_are_not_those_of_the_records_are_found,
);

async fn verify(log: &Log, file: &str, arguments: &[&str], code: i32) -> Value {
    let all = [&["verify", "--export", file], arguments].concat();
    log.run(&all).await.with(code).json().remove(0)
}

/// Asserts that something of this kind was found, and that it says so.
#[track_caller]
fn is_found(found: &Value, kind: &str, said: &str) {
    let all = found["altered"].as_array().unwrap().iter();
    let mut kinds = all.map(|one| one["kind"].as_str().unwrap());
    assert!(kinds.any(|one| one == kind), "{kind}: {found:#}");
    assert!(found["altered"].to_string().contains(said), "{said}: {found:#}");
}

/// Alters an unpacked bundle, of which this must be found.
async fn altered(log: &Log, trust: &str, kind: &str, said: &str, alter: impl FnOnce(&Unpacked)) {
    let unpacked = bundle(log, &[]).await;
    let folder = unpacked.path("").display().to_string();
    verify(log, &folder, &["--trust", trust], 0).await;
    alter(&unpacked);
    is_found(&verify(log, &folder, &["--trust", trust], 1).await, kind, said);
}

/// Exports JSON Lines with proofs, and returns where to.
async fn lines(log: &Log, arguments: &[&str]) -> String {
    let path = log.path("export.jsonl").to_str().unwrap().to_owned();
    let all = ["export", "--proofs", "--keys", "log.keys", "--out", &path];
    log.run(&[&all[..], arguments].concat()).await.with(0);
    path
}

async fn an_entry_is_shown_once_and_where_it_stands(log: Log) {
    let (log, trust) = signed(log).await;
    altered(&log, &trust, "entry_edited", "entries.jsonl, line 3: ", |found| {
        change(found, "entries.jsonl", 2, |line| line["position"] = json!(9));
    })
    .await;
    altered(&log, &trust, "entry_extra", "the entry stands here twice", |found| {
        let mut entries = found.lines("entries.jsonl");
        entries.push(entries[1].clone());
        put(found, "entries.jsonl", &entries);
        change(found, "manifest.json", 0, |manifest| manifest["entries"] = json!(5));
    })
    .await;
}

async fn what_is_said_of_itself_is_no_less_than_there_is(log: Log) {
    let (log, trust) = signed(log).await;
    for (member, count, kind) in [("records", 5, "row_extra"), ("entries", 3, "entry_extra")] {
        let said = format!("and it says itself that it has {count}");
        altered(&log, &trust, kind, &said, |found| {
            change(found, "manifest.json", 0, |manifest| manifest[member] = json!(count));
        })
        .await;
    }
}

/// Readers differ in what they take of a text that says something twice.
async fn a_record_has_one_way_to_be_written(log: Log) {
    let (log, trust) = signed(log).await;
    for (from, to) in [
        ("{\"action\":\"update\"", "{ \"action\":\"update\""),
        ("{\"action\":\"update\"", "{\"action\":\"delete\",\"action\":\"update\""),
    ] {
        altered(&log, &trust, "record_edited", "records.jsonl, line 2: ", |found| {
            change(found, "records.jsonl", 1, |line| {
                line["record"] = replaced(&line["record"], from, to);
            });
        })
        .await;
    }
    let said = "the fields of its group identity are not those that were written";
    for other in ["\"actor_id\": \"ana\"", "\"actor_id\":\"bob\",\"actor_id\":\"ana\""] {
        altered(&log, &trust, "record_edited", said, |found| {
            change(found, "records.jsonl", 1, |line| {
                let fields = &mut line["groups"]["identity"]["fields"];
                *fields = replaced(fields, "\"actor_id\":\"ana\"", other);
            });
        })
        .await;
    }
}

async fn a_group_has_one_seal(log: Log) {
    let (log, trust) = signed(log).await;
    let path = lines(&log, &[]).await;
    let text = fs::read_to_string(&path).unwrap();
    let commitments = format!("\"commitments\":{{\"identity\":\"{}\"}}", "00".repeat(32));
    let other = text.replacen("\"commitments\":{}", &commitments, 1);
    assert_ne!(other, text);
    fs::write(&path, other).unwrap();
    let found = verify(&log, &path, &["--trust", &trust], 1).await;
    is_found(&found, "record_edited", "the seal of its group identity is none");
}

async fn only_all_records_of_all_entries_are_all(log: Log) {
    let (log, trust) = signed(log).await;
    // One of the three of the first entry, and all of the others.
    for file in [lines(&log, &["entity_id:1,4,5,6"]).await, {
        bundle(&log, &["entity_id:1,4,5,6"]).await;
        log.path("evidence.zip").to_str().unwrap().to_owned()
    }] {
        let found = verify(&log, &file, &["--trust", &trust], 0).await;
        assert_eq!((&found["entries"], &found["records"]), (&json!(4), &json!(4)), "{found:#}");
        assert_eq!(found["export"]["complete"], false, "{found:#}");
    }
}

async fn an_anchor_that_no_trusted_key_signed_is_none(log: Log) {
    let (log, trust) = signed(log).await;
    let file = lines(&log, &[]).await;
    let anchor = format!("file:{}", log.path("anchor").display());
    tower_activity::Keys::open(log.path("other.keys")).unwrap();
    log.run(&["checkpoint", "--keys", "other.keys", "--anchor", &anchor]).await.with(0);
    let found = verify(&log, &file, &["--trust", &trust, "--anchor", &anchor], 1).await;
    is_found(&found, "head_forged", "anchored checkpoint 1");
    assert_eq!(found["anchored"], Value::Null, "{found:#}");
}

async fn another_head_of_the_same_size_is_found(log: Log) {
    let (log, trust) = signed(log).await;
    let anchor = format!("file:{}", log.path("anchor").display());
    log.run(&["checkpoint", "--keys", "log.keys", "--anchor", &anchor]).await.with(0);
    // Who holds the database and the key writes the last entry anew.
    forged(&log, "committed_at = committed_at + SECOND WHERE position = 4").await;
    let file = lines(&log, &["entity_id:6"]).await;
    let found = verify(&log, &file, &["--trust", &trust, "--anchor", &anchor], 1).await;
    is_found(&found, "history_rewritten", "another head of 4 entries was anchored");
}

async fn times_that_are_not_those_of_the_records_are_found(log: Log) {
    let (log, trust) = signed(log).await;
    let later = "first_at = first_at + SECOND, last_at = last_at + SECOND WHERE position = 2";
    forged(&log, later).await;
    let file = lines(&log, &[]).await;
    let found = verify(&log, &file, &["--trust", &trust], 1).await;
    is_found(&found, "entry_edited", "the times that it names are not those");
}

/// Changes the ledger, and lets go of the heads that were signed: the next export signs what is there.
async fn forged(log: &Log, change: &str) {
    let (heads, second) = match log.database {
        Some(_) => ("activity.checkpoints", "interval '1 second'"),
        None => ("activity_checkpoints", "1000000"),
    };
    let change = change.replace("SECOND", second);
    log.by_force(&format!("DELETE FROM {heads}; UPDATE activity_ledger SET {change}")).await;
}
