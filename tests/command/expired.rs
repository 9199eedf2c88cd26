//! A log of which months have expired is whole in a file all the same, and nobody makes records expire by saying so.

use std::fs;

use serde_json::{Value, json};
use tower_activity::{
    ledger::{Entry, Removal},
    record::{Category, Origin, Record},
};

use crate::{
    bundle::bundle,
    exported::{altered, lines, verify, zipped},
    run::{Log, record, set_metadata},
};

on_both!(
    a_log_of_which_months_have_expired_is_whole_in_a_file,
    what_is_said_to_have_expired_and_has_not_is_found,
    only_the_log_itself_tells_what_expired,
    a_record_that_tells_of_other_entries_lets_nothing_expire,
);

/// A log of which two months with six records have expired, and the path of its trust file. One record is left, beside
/// those that tell of it.
async fn expired(log: Log) -> (Log, String) {
    log.run(&["migrate"]).await.with(0);
    let old = |seq| record(seq, &format!("2024-02-10T12:00:0{seq}Z"), |_| {});
    log.append(&[old(1), old(2), old(3)]).await;
    log.append(&[old(4), old(5)]).await;
    log.append(&[record(6, "2024-03-10T12:00:00Z", |_| {})]).await;
    log.append(&[record(7, "2026-11-20T12:00:00Z", |_| {})]).await;
    log.run(&["checkpoint", "--keys", "log.keys"]).await.with(0);
    let line = log.run(&["checkpoint", "--keys", "log.keys", "--trust-line"]).await.with(0).stdout;
    let trust = log.path("trust");
    fs::write(&trust, line).unwrap();
    let run = ["retention", "run", "--preset", "default", "--keys", "log.keys"];
    assert_eq!(log.run(&run).await.with(0).json().len(), 2);
    (log, trust.to_str().unwrap().to_owned())
}

/// Returns the exported lines without some of the records, with a head that fits but for what has expired.
fn without(sound: &str, left_out: impl Fn(&str) -> bool, expired: u64) -> String {
    let mut kept: Vec<String> =
        sound.lines().filter(|line| !left_out(line)).map(str::to_owned).collect();
    let gone = sound.lines().count() - kept.len();
    assert!(gone > 0, "{sound}");
    let mut head: Value = serde_json::from_str(&kept.pop().unwrap()).unwrap();
    let told = &mut head["ledger_head"];
    told["records"] = json!(told["records"].as_u64().unwrap() - gone as u64);
    told["expired"] = json!(expired);
    kept.push(head.to_string());
    kept.join("\n") + "\n"
}

fn is_the_order(line: &str) -> bool {
    line.starts_with("{\"id\":") && line.contains("\"entity_type\":\"order\"")
}

async fn a_log_of_which_months_have_expired_is_whole_in_a_file(log: Log) {
    let (log, trust) = expired(log).await;
    let trusted = ["--trust", &trust];
    let stored = log.run(&["verify", "--trust", &trust]).await.with(0).json().remove(0);
    assert_eq!(stored["expired"], 6);
    let unpacked = bundle(&log, &[]).await;
    assert_eq!(unpacked.lines("manifest.json")[0]["expired"], 6);
    assert!(unpacked.text("index.html").contains("6 records of its entries are not in it"));
    let (code, said) = unpacked.verify(&["--trust", &trust]).await;
    assert_eq!(code, Some(0), "{said}");
    for file in
        [zipped(&log, &[]).await, unpacked.path("").display().to_string(), lines(&log, &[]).await]
    {
        let found = verify(&log, &file, &trusted, 0).await;
        for same in ["expired", "records", "entries", "streams", "root"] {
            assert_eq!(found[same], stored[same], "{same}: {found:#}");
        }
        assert_eq!(found["export"]["complete"], true, "{found:#}");
        let all = ["verify", "--export", &file, "--output", "table", "--trust", &trust];
        let people = log.run(&all).await.with(0).stdout;
        assert!(people.contains("but for 6 records whose time was over"), "{people}");
        assert!(people.contains("6 records expired"), "{people}");
    }
    // A part of the log has the entries of its records alone, whatever they tell.
    for asked in ["entity_type:order", "action:retention_run"] {
        for file in [zipped(&log, &[asked]).await, lines(&log, &[asked]).await] {
            let found = verify(&log, &file, &trusted, 0).await;
            assert_eq!(
                (&found["expired"], &found["export"]["complete"]),
                (&json!(0), &json!(false))
            );
        }
    }
    // What was committed later than the months went is in it too.
    log.append(&[record(8, "2026-11-20T13:00:00Z", |_| {})]).await;
    let found = verify(&log, &lines(&log, &[]).await, &trusted, 0).await;
    assert_eq!((&found["expired"], &found["export"]["complete"]), (&json!(6), &json!(true)));
}

async fn what_is_said_to_have_expired_and_has_not_is_found(log: Log) {
    let (log, trust) = expired(log).await;
    let trusted = ["--trust", &trust];
    let path = lines(&log, &[]).await;
    let sound = fs::read_to_string(&path).unwrap();
    let told = |line: &str| line.starts_with("{\"id\":") && line.contains("\"retention_run\"");
    for (forged, so_many) in [(without(&sound, is_the_order, 7), 7), (without(&sound, told, 6), 6)]
    {
        fs::write(&path, forged).unwrap();
        let (kinds, text) = altered(&verify(&log, &path, &trusted, 1).await);
        assert_eq!(kinds, ["row_missing"], "{text}");
        assert!(text.contains(&format!("{so_many} records have expired")), "{text}");
    }
    // Who says nothing of it has a part of the log.
    for (part, expired) in [(without(&sound, is_the_order, 6), 6), (without(&sound, told, 0), 0)] {
        fs::write(&path, part).unwrap();
        let found = verify(&log, &path, &trusted, 0).await;
        assert_eq!(
            (&found["expired"], &found["export"]["complete"]),
            (&json!(expired), &json!(false))
        );
    }
    // The record that tells of it, made to tell of another month.
    let line = sound.lines().position(told).unwrap() + 1;
    fs::write(&path, sound.replacen("\"month\":\"2024-0", "\"month\":\"2026-0", 1)).unwrap();
    let (kinds, text) = altered(&verify(&log, &path, &trusted, 1).await);
    assert!(kinds.contains(&"record_edited".to_owned()), "{text}");
    assert!(text.contains(&format!("line {line}: ")), "{text}");
}

/// Appends a record that tells of the removal of the last order's entry, and returns an export of all.
async fn telling(log: &Log, of: Origin, change: impl FnOnce(&mut Removal)) -> (String, String) {
    let path = lines(log, &[]).await;
    let sound = fs::read_to_string(&path).unwrap();
    let entries = sound.lines().filter(|line| line.starts_with("{\"ledger_entry\":"));
    let mut entries = entries.map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        Entry::from_canonical(line["ledger_entry"]["entry"].as_str().unwrap().as_bytes()).unwrap()
    });
    let entry = entries.find(|entry| entry.new.first_seq == 7 && entry.new.count() == 1).unwrap();
    let mut removal = Removal {
        month: entry.new.month,
        class: entry.new.class.clone(),
        records: 1,
        entries: 1,
        first: entry.position,
        last: entry.position,
        root: entry.leaf_hash(),
    };
    change(&mut removal);
    let tells = |record: &mut Record| {
        record.category = Category::System;
        record.origin = of;
        record.retention_class.set("system");
        record.action.set("retention_run");
        record.entity_type.clear();
        record.entity_id.clear();
        set_metadata(record, &removal.to_json().to_string());
    };
    log.append(&[record(8, "2026-11-20T13:00:00Z", tells)]).await;
    let path = lines(log, &[]).await;
    let sound = fs::read_to_string(&path).unwrap();
    assert_eq!(sound.lines().filter(|line| is_the_order(line)).count(), 1, "{sound}");
    (path, sound)
}

async fn only_the_log_itself_tells_what_expired(log: Log) {
    let (log, trust) = expired(log).await;
    let (path, sound) = telling(&log, Origin::Manual, |_| {}).await;
    let trusted = ["--trust", &trust];
    assert_eq!(verify(&log, &path, &trusted, 0).await["expired"], 6);
    fs::write(&path, without(&sound, is_the_order, 7)).unwrap();
    let (kinds, text) = altered(&verify(&log, &path, &trusted, 1).await);
    assert_eq!(kinds, ["row_missing"], "{text}");
    fs::write(&path, without(&sound, is_the_order, 6)).unwrap();
    assert_eq!(verify(&log, &path, &trusted, 0).await["export"]["complete"], false);
}

async fn a_record_that_tells_of_other_entries_lets_nothing_expire(log: Log) {
    let (log, trust) = expired(log).await;
    let other = |removal: &mut Removal| removal.root = [7; 32];
    let (path, sound) = telling(&log, Origin::System, other).await;
    let trusted = ["--trust", &trust];
    assert_eq!(verify(&log, &path, &trusted, 0).await["expired"], 6, "nothing of it is gone");
    fs::write(&path, without(&sound, is_the_order, 6)).unwrap();
    let (kinds, text) = altered(&verify(&log, &path, &trusted, 1).await);
    assert_eq!(kinds, ["row_missing"], "{text}");
    assert!(text.contains("accounts for others than the record that tells of it"), "{text}");
}
