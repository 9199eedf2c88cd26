//! Whoever has a bundle, a trust file and Python verifies it without us, and sees where it was altered.

use serde_json::{Value, json};

use crate::{
    run::{Log, record},
    unpacked::Unpacked,
};

on_both!(
    a_bundle_is_verified_by_its_own_verifier,
    what_was_altered_in_a_bundle_is_found_with_its_place,
    what_was_altered_in_the_store_does_not_pass_with_a_bundle,
    without_keys_a_bundle_rests_on_the_last_checkpoint,
    a_record_of_a_large_entry_is_proved_by_those_beside_it,
);

/// A log of six records with a key file, and the path of its trust file.
pub(crate) async fn signed(log: Log) -> (Log, String) {
    let log = log.with_six().await;
    log.run(&["checkpoint", "--keys", "log.keys"]).await.with(0);
    let line = log.run(&["checkpoint", "--keys", "log.keys", "--trust-line"]).await.with(0).stdout;
    let trust = log.path("trust");
    std::fs::write(&trust, line).unwrap();
    (log, trust.to_str().unwrap().to_owned())
}

pub(crate) async fn bundle(log: &Log, arguments: &[&str]) -> Unpacked {
    let all = [&["bundle", "--keys", "log.keys", "--out", "evidence.zip"], arguments].concat();
    log.run(&all).await.with(0);
    Unpacked::of(&std::fs::read(log.path("evidence.zip")).unwrap())
}

async fn a_bundle_is_verified_by_its_own_verifier(log: Log) {
    let (log, trust) = signed(log).await;
    let found = bundle(&log, &[]).await;
    let zip = log.path("evidence.zip");
    for bundle in [zip.to_str().unwrap(), found.path("").to_str().unwrap()] {
        let (code, said) = found.verify(&[bundle, "--trust", &trust]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.starts_with("Unaltered: 6 records in 4 entries, 0 personal groups"), "{said}");
    }
    // Keys that come along with it prove nothing by themselves, and it says so.
    let (code, said) = found.verify(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("Not excluded: whoever made the bundle may have made the key"),
        "{said}"
    );
    let (_, shown) = found.verify(&["--trust", &trust, "--print"]).await;
    let first: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    assert_eq!((&first["seq"], &first["actor_id"]), (&6.into(), &"ana".into()), "{shown}");

    let page = found.text("index.html");
    assert!(page.contains("6, in 4 entries") && page.contains("ana updated order 5"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    let lines = include_str!("../../src/bundle/verify.py").lines().count();
    assert!(lines < 200, "an auditor reads {lines} lines");

    let few = bundle(&log, &["entity_id:2,5"]).await;
    let ids: Vec<_> = few.lines("records.jsonl").iter().map(|line| line["entry"].clone()).collect();
    assert_eq!(ids, [3, 1], "the newest first");
    assert_eq!(few.lines("entries.jsonl").len(), 2);
    assert_eq!(few.lines("manifest.json")[0]["asked"], "entity_id:2,5");
    let (code, said) = few.verify(&["--trust", &trust]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("Unaltered: 2 records in 2 entries"), "{said}");
    let none = bundle(&log, &["entity_id:99"]).await.verify(&["--trust", &trust]).await;
    assert_eq!(none.0, Some(0), "{none:?}");
}

/// Changes one line of a file of JSON Lines.
pub(crate) fn change(found: &Unpacked, name: &str, line: usize, change: impl FnOnce(&mut Value)) {
    let mut lines = found.lines(name);
    change(&mut lines[line]);
    put(found, name, &lines);
}

pub(crate) fn put(found: &Unpacked, name: &str, lines: &[Value]) {
    found.put(name, &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
}

pub(crate) fn replaced(value: &Value, from: &str, to: &str) -> Value {
    let text = value.as_str().unwrap();
    assert!(text.contains(from), "{text}");
    json!(text.replacen(from, to, 1))
}

/// Turns the first character of a hash into another.
pub(crate) fn flipped(value: &Value) -> Value {
    let text = value.as_str().unwrap();
    let other = if text.starts_with('0') { "1" } else { "0" };
    json!(format!("{other}{}", &text[1..]))
}

async fn what_was_altered_in_a_bundle_is_found_with_its_place(log: Log) {
    type Alteration = fn(&Unpacked);
    let (log, trust) = signed(log).await;
    let sound = bundle(&log, &[]).await;
    let names = ["records.jsonl", "entries.jsonl", "checkpoint.txt", "manifest.json"];
    let before = names.map(|name| sound.text(name));
    let alterations: [(&str, Alteration); 15] = [
        ("records.jsonl, line 2, ", |found| {
            change(found, "records.jsonl", 1, |line| {
                line["record"] = replaced(&line["record"], "update", "delete");
            });
        }),
        // The last three lie in one entry, and have paths.
        ("records.jsonl, line 5, ", |found| {
            change(found, "records.jsonl", 4, |line| line["path"][0] = flipped(&line["path"][0]));
        }),
        ("records.jsonl, line 5, ", |found| {
            change(found, "records.jsonl", 4, |line| line["path"] = json!([]));
        }),
        ("records.jsonl, line 1, ", |found| {
            change(found, "records.jsonl", 0, |line| line["entry"] = json!(3));
        }),
        ("records.jsonl, line 1, ", |found| {
            change(found, "records.jsonl", 0, |line| line["entry"] = Value::Null);
        }),
        ("the fields of its group identity", |found| {
            change(found, "records.jsonl", 3, |line| {
                let fields = &mut line["groups"]["identity"]["fields"];
                *fields = replaced(fields, "ana", "bob");
            });
        }),
        ("the fields of its group target", |found| {
            change(found, "records.jsonl", 3, |line| {
                let salt = &mut line["groups"]["target"]["salt"];
                *salt = flipped(salt);
            });
        }),
        ("the fields of its group content", |found| {
            // Something that was never said.
            change(found, "records.jsonl", 3, |line| {
                line["groups"]["content"] = json!({ "salt": "00".repeat(16), "fields": "{}" });
            });
        }),
        ("under the id of another", |found| {
            change(found, "records.jsonl", 3, |line| line["id"] = json!("another"));
        }),
        ("records.jsonl, line 2, ", |found| {
            let mut lines = found.lines("records.jsonl");
            lines[1] = lines[0].clone();
            put(found, "records.jsonl", &lines);
        }),
        ("records.jsonl has 5 lines; the manifest says 6", |found| {
            put(found, "records.jsonl", &found.lines("records.jsonl")[1..]);
        }),
        ("entries.jsonl, line 3, entry 3", |found| {
            change(found, "entries.jsonl", 2, |line| line["path"][0] = flipped(&line["path"][0]));
        }),
        ("entries.jsonl, line 3, entry 3", |found| {
            change(found, "entries.jsonl", 2, |line| {
                line["entry"] = replaced(&line["entry"], "\"epoch\":1", "\"epoch\":2");
            });
        }),
        ("checkpoint.txt: the signature is not", |found| {
            found
                .put("checkpoint.txt", &found.text("checkpoint.txt").replace("epoch 1", "epoch 2"));
        }),
        ("checkpoint.txt: no trusted key signed it", |found| {
            found.put("checkpoint.txt", &found.text("checkpoint.txt").replace("activity/", "act/"));
        }),
    ];
    for (index, (place, alter)) in alterations.into_iter().enumerate() {
        alter(&sound);
        let (code, said) = sound.verify(&["--trust", &trust]).await;
        assert_eq!(code, Some(1), "{index}: {place}: {said}");
        assert!(said.contains("ALTERED") && said.contains(place), "{index}: {place}: {said}");
        for (name, text) in names.iter().zip(&before) {
            sound.put(name, text);
        }
    }
    assert_eq!(sound.verify(&["--trust", &trust]).await.0, Some(0));
    // Another key than the one that is trusted.
    tower_activity::Keys::open(log.path("other.keys")).unwrap();
    log.run(&["checkpoint", "--keys", "other.keys"]).await.with(0);
    let line =
        log.run(&["checkpoint", "--keys", "other.keys", "--trust-line"]).await.with(0).stdout;
    sound.put("other", &line);
    let (code, said) = sound.verify(&["--trust", sound.path("other").to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = sound.verify(&["--trust", "no-such-file"]).await;
    assert_eq!(code, Some(3), "{said}");
}

async fn what_was_altered_in_the_store_does_not_pass_with_a_bundle(log: Log) {
    let (log, trust) = signed(log).await;
    log.by_force("UPDATE activity_records SET action = 'read' WHERE seq = 5").await;
    let all = ["bundle", "--keys", "log.keys", "--out", "evidence.zip"];
    let ended = log.run(&all).await.with(0);
    assert!(ended.stderr.contains("1 record cannot be proved"), "{}", ended.stderr);
    let found = Unpacked::of(&std::fs::read(log.path("evidence.zip")).unwrap());
    let (code, said) = found.verify(&["--trust", &trust]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ALTERED in 1 place(s):\n  records.jsonl, line 2, "), "{said}");
    assert!(said.contains("it is not what was written"), "{said}");

    // A record that no entry accounts for.
    log.by_force("UPDATE activity_records SET action = 'update' WHERE seq = 5").await;
    log.by_force("UPDATE activity_records SET writer_id = 8 WHERE seq = 4").await;
    let found = bundle(&log, &["entity_id:4"]).await;
    let (code, said) = found.verify(&["--trust", &trust]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no entry of the ledger that was proved accounts for it"), "{said}");

    // Numbers that no entry has. Postgres counts them by itself, and takes none that it cannot count.
    if log.database.is_none() {
        let least = "first_seq = -9223372036854775807 - 1";
        log.by_force(&format!("UPDATE activity_ledger SET {least} WHERE position = 1")).await;
        let found = bundle(&log, &["entity_id:2"]).await;
        let (code, said) = found.verify(&["--trust", &trust]).await;
        assert_eq!(code, Some(1), "{said}");
    }
}

async fn without_keys_a_bundle_rests_on_the_last_checkpoint(log: Log) {
    log.run(&["bundle", "--out", "evidence.zip"]).await.with(3);
    log.run(&["migrate"]).await.with(0);
    let ended = log.run(&["bundle", "--out", "evidence.zip"]).await.with(3);
    assert!(ended.stderr.contains("there is no checkpoint"), "{}", ended.stderr);
    let (log, trust) = signed(log).await;
    log.append(&[record(7, "2026-11-20T12:00:07Z", |_| {})]).await;
    let ended = log.run(&["bundle", "--out", "evidence.zip"]).await.with(0);
    let said = "1 record left out: committed after the last checkpoint";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let found = Unpacked::of(&std::fs::read(log.path("evidence.zip")).unwrap());
    assert!(!found.path("trust.txt").exists());
    let (code, said) = found.verify(&["--trust", &trust]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("Not in the bundle: 1 found by its query, committed after"), "{said}");
    // And nobody names the keys.
    assert_eq!(found.verify(&[]).await.0, Some(3));
}

/// Of a large entry the few records beside one prove it, so that one is proved of which others were altered.
async fn a_record_of_a_large_entry_is_proved_by_those_beside_it(log: Log) {
    let many: Vec<_> = (1..=1_000)
        .map(|seq| record(seq, &format!("2026-11-20T12:{:02}:{:02}Z", seq / 60, seq % 60), |_| {}))
        .collect();
    log.append(&many).await;
    log.run(&["checkpoint", "--keys", "log.keys"]).await.with(0);
    let line = log.run(&["checkpoint", "--keys", "log.keys", "--trust-line"]).await.with(0).stdout;
    std::fs::write(log.path("trust"), line).unwrap();
    let trust = log.path("trust").display().to_string();
    let verified = async |query: &str, altered: bool, records: usize| {
        let found = bundle(&log, &[query]).await;
        assert_eq!(found.lines("records.jsonl").len(), records);
        let (code, said) = found.verify(&["--trust", &trust]).await;
        assert_eq!(code, Some(i32::from(altered)), "{query}: {said}");
        assert_eq!(found.lines("manifest.json")[0]["unproved"] != 0, altered, "{query}");
    };
    let many = format!(
        "entity_id:{}",
        (1..=20).map(|n| (n * 50).to_string()).collect::<Vec<_>>().join(",")
    );
    for query in ["entity_id:1", "entity_id:64,65,1000"] {
        verified(query, false, query.split(',').count()).await;
    }
    verified(&many, false, 20).await;
    log.by_force("UPDATE activity_records SET action = 'read' WHERE seq = 900").await;
    verified("entity_id:1", false, 1).await;
    verified("entity_id:64,65,1000", false, 3).await;
    verified("entity_id:900", true, 1).await;
    verified("entity_id:899", true, 1).await;
    verified(&many, true, 20).await;
}
