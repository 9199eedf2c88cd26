//! What was exported is verified without the log: a bundle, the folder that it was unpacked into, and JSON Lines with
//! proofs.

use std::fs;

use serde_json::{Value, json};
use tower_activity::record::{Json, Origin, Record};

use crate::{
    bundle::{bundle, change, flipped, put, replaced, signed},
    run::{Log, gap, record},
    unpacked::Unpacked,
};

on_both!(
    what_was_exported_is_verified_without_the_log,
    what_was_altered_in_an_unpacked_bundle_is_found,
    what_was_altered_in_exported_lines_is_found,
    what_was_altered_in_the_log_does_not_pass_with_its_export,
    an_anchor_is_compared_as_far_as_the_entries_go,
    what_the_records_tell_is_missing_is_told_of_an_export,
    erased_groups_of_an_export_are_counted,
);

/// Exports records as JSON Lines with their proofs, and returns where to.
pub(crate) async fn lines(log: &Log, arguments: &[&str]) -> String {
    let path = log.path("export.jsonl").to_str().unwrap().to_owned();
    let all = ["export", "--proofs", "--keys", "log.keys", "--out", &path];
    log.run(&[&all[..], arguments].concat()).await.with(0);
    path
}

pub(crate) async fn zipped(log: &Log, arguments: &[&str]) -> String {
    bundle(log, arguments).await;
    log.path("evidence.zip").to_str().unwrap().to_owned()
}

pub(crate) async fn verify(log: &Log, file: &str, arguments: &[&str], code: i32) -> Value {
    let all = [&["verify", "--export", file], arguments].concat();
    log.run(&all).await.with(code).json().remove(0)
}

/// Returns the kinds of what was altered, and all of it as text.
pub(crate) fn altered(found: &Value) -> (Vec<String>, String) {
    assert_eq!(found["result"], "altered", "{found:#}");
    let all = found["altered"].as_array().unwrap();
    let kinds = all.iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect();
    (kinds, found["altered"].to_string())
}

async fn what_was_exported_is_verified_without_the_log(log: Log) {
    let (log, trust) = signed(log).await;
    let trusted = ["--trust", &trust];
    let unpacked = bundle(&log, &[]).await;
    for file in
        [zipped(&log, &[]).await, unpacked.path("").display().to_string(), lines(&log, &[]).await]
    {
        let found = verify(&log, &file, &trusted, 0).await;
        assert_eq!(
            (&found["result"], &found["trust"]),
            (&json!("unaltered"), &json!("self-signed"))
        );
        assert_eq!((&found["records"], &found["entries"]), (&json!(6), &json!(4)), "{found:#}");
        let export = &found["export"];
        assert_eq!((&export["complete"], &export["size"]), (&json!(true), &json!(4)), "{found:#}");
        assert_eq!((&export["file"], &found["store"]), (&json!(file), &Value::Null));
        assert_eq!(found["root"].as_str().unwrap().len(), 64);
        // Whose keys they are, the file cannot say.
        let found = verify(&log, &file, &[], 0).await;
        assert_eq!(found["trust"], "none");
        let all = ["verify", "--export", &file, "--output", "table", "--trust", &trust];
        let people = log.run(&all).await.with(0).stdout;
        assert!(people.starts_with("Self-signed up to entry 4, "), "{people}");
        assert!(people.contains("It has every record under its head."), "{people}");
        assert!(people.contains("\nUnaltered: 6 records in 4 entries"), "{people}");
    }
    for file in [zipped(&log, &["entity_id:2,5"]).await, lines(&log, &["entity_id:2,5"]).await] {
        let found = verify(&log, &file, &trusted, 0).await;
        assert_eq!((&found["records"], &found["entries"]), (&json!(2), &json!(2)), "{found:#}");
        assert_eq!(found["export"]["complete"], false);
        let said = found["not_excluded"].as_str().unwrap();
        assert!(said.contains("that nothing was left out of it is not shown"), "{said}");
    }
    // Another key than the one that is trusted.
    tower_activity::Keys::open(log.path("other.keys")).unwrap();
    log.run(&["checkpoint", "--keys", "other.keys"]).await.with(0);
    let line =
        log.run(&["checkpoint", "--keys", "other.keys", "--trust-line"]).await.with(0).stdout;
    fs::write(log.path("other"), line).unwrap();
    let other = log.path("other").display().to_string();
    let found = verify(&log, &lines(&log, &[]).await, &["--trust", &other], 1).await;
    assert_eq!(altered(&found).0, ["head_forged"]);
    assert_eq!(found["trust"], "none");
}

async fn what_was_altered_in_an_unpacked_bundle_is_found(log: Log) {
    type Alter = fn(&Unpacked);
    let (log, trust) = signed(log).await;
    let sound = bundle(&log, &[]).await;
    let names = ["records.jsonl", "entries.jsonl", "checkpoint.txt", "manifest.json"];
    let before = names.map(|name| sound.text(name));
    let alterations: [(&str, &str, Alter); 17] = [
        ("record_edited", "records.jsonl, line 2: ", |found| {
            change(found, "records.jsonl", 1, |line| {
                line["record"] = replaced(&line["record"], "update", "delete");
            });
        }),
        ("record_edited", "records.jsonl, line 5: ", |found| {
            change(found, "records.jsonl", 4, |line| line["path"][0] = flipped(&line["path"][0]));
        }),
        ("record_edited", "records.jsonl, line 5: ", |found| {
            change(found, "records.jsonl", 4, |line| line["path"] = json!([]));
        }),
        ("record_edited", "there are more than 64 texts", |found| {
            change(found, "records.jsonl", 4, |line| line["path"] = json!(vec!["00"; 65]));
        }),
        ("record_edited", "there are more than 4 texts", |found| {
            change(found, "records.jsonl", 4, |line| line["masked"] = json!(vec!["network"; 5]));
        }),
        ("record_edited", "records.jsonl, line 1: ", |found| {
            change(found, "records.jsonl", 0, |line| line["entry"] = json!(3));
        }),
        ("row_extra", "records.jsonl, line 1: ", |found| {
            change(found, "records.jsonl", 0, |line| line["entry"] = Value::Null);
        }),
        ("record_edited", "the fields of its group identity", |found| {
            change(found, "records.jsonl", 3, |line| {
                let fields = &mut line["groups"]["identity"]["fields"];
                *fields = replaced(fields, "ana", "bob");
            });
        }),
        ("record_edited", "the fields of its group target", |found| {
            change(found, "records.jsonl", 3, |line| {
                let salt = &mut line["groups"]["target"]["salt"];
                *salt = flipped(salt);
            });
        }),
        ("record_edited", "the fields of its group content", |found| {
            change(found, "records.jsonl", 3, |line| {
                line["groups"]["content"] = json!({ "salt": "00".repeat(16), "fields": "{}" });
            });
        }),
        ("record_edited", "under the id of another", |found| {
            change(found, "records.jsonl", 3, |line| line["id"] = json!("another"));
        }),
        ("row_duplicated", "records.jsonl, line 2: ", |found| {
            let mut lines = found.lines("records.jsonl");
            lines[1] = lines[0].clone();
            put(found, "records.jsonl", &lines);
        }),
        ("row_missing", "there are 5 records, and it says itself that it has 6", |found| {
            put(found, "records.jsonl", &found.lines("records.jsonl")[1..]);
        }),
        ("entry_edited", "entries.jsonl, line 3: ", |found| {
            change(found, "entries.jsonl", 2, |line| line["path"][0] = flipped(&line["path"][0]));
        }),
        ("entry_edited", "entries.jsonl, line 3: ", |found| {
            change(found, "entries.jsonl", 2, |line| {
                line["entry"] = replaced(&line["entry"], "\"epoch\":1", "\"epoch\":2");
            });
        }),
        ("head_forged", "signature is not that of the key", |found| {
            let text = found.text("checkpoint.txt").replace("epoch 1", "epoch 2");
            found.put("checkpoint.txt", &text);
        }),
        ("record_edited", "records.jsonl, line 1: it is not UTF-8", |found| {
            let mut bytes = fs::read(found.path("records.jsonl")).unwrap();
            bytes[20] = 0xff;
            fs::write(found.path("records.jsonl"), bytes).unwrap();
        }),
    ];
    let folder = sound.path("").display().to_string();
    for (index, (kind, place, alter)) in alterations.into_iter().enumerate() {
        alter(&sound);
        let (kinds, text) = altered(&verify(&log, &folder, &["--trust", &trust], 1).await);
        assert!(kinds.iter().any(|found| found == kind), "{index}: {place}: {text}");
        assert!(text.contains(place), "{index}: {place}: {text}");
        for (name, text) in names.iter().zip(&before) {
            sound.put(name, text);
        }
    }
    verify(&log, &folder, &["--trust", &trust], 0).await;
}

async fn what_was_altered_in_exported_lines_is_found(log: Log) {
    let (log, trust) = signed(log).await;
    let path = lines(&log, &[]).await;
    let sound = fs::read_to_string(&path).unwrap();
    let all: Vec<&str> = sound.lines().collect();
    assert_eq!(all.len(), 6 + 4 + 1, "{sound}");
    let edited = |line: usize, from: &str, to: &str| {
        assert!(all[line].contains(from), "{}", all[line]);
        let mut all = all.clone();
        let other = all[line].replacen(from, to, 1);
        all[line] = &other;
        all.join("\n") + "\n"
    };
    let without = |line: usize| {
        let mut all = all.clone();
        all.remove(line);
        all.join("\n") + "\n"
    };
    let twice = |line: usize| {
        let mut all = all.clone();
        all[0] = all[line];
        all.join("\n") + "\n"
    };
    let line = |line: usize| format!("export.jsonl, line {line}: ");
    for (kind, place, text) in [
        ("record_edited", line(1), edited(0, "\"action\":\"update\"", "\"action\":\"delete\"")),
        ("record_edited", line(2), edited(1, "\"actor_id\":\"ana\"", "\"actor_id\":\"bob\"")),
        ("record_edited", line(2), edited(1, "\"actor_name\":null", "\"actor_name\":\"Ana\"")),
        // Readers differ in which of the two they take.
        ("record_edited", line(2), edited(1, "{\"id\":", "{\"actor_id\":\"bob\",\"id\":")),
        ("record_edited", line(2), edited(1, "{\"id\":", "{\"more\":1,\"id\":")),
        ("record_edited", line(3), edited(2, "\"identity\":\"0101", "\"identity\":\"0201")),
        ("record_edited", line(3), edited(2, "\"occurred_at\":\"2026", "\"occurred_at\":\"2025")),
        ("row_extra", line(1), edited(0, "\"entry\":4", "\"entry\":null")),
        ("row_duplicated", line(2), twice(1)),
        ("row_missing", "there are 5 records".to_owned(), without(2)),
        ("entry_missing", "there are 3 entries".to_owned(), without(7)),
        ("row_extra", line(3), without(7)),
        ("entry_edited", line(8), edited(7, "\\\"epoch\\\":1", "\\\"epoch\\\":2")),
        (
            "head_forged",
            "signature is not that of the key".to_owned(),
            edited(10, "epoch 1", "epoch 2"),
        ),
        ("record_edited", line(2), edited(1, "{\"id\"", "\"id\"")),
    ] {
        fs::write(&path, text).unwrap();
        let (kinds, told) = altered(&verify(&log, &path, &["--trust", &trust], 1).await);
        assert!(kinds.iter().any(|found| found == kind), "{kind}, {place}: {told}");
        assert!(told.contains(&place), "{kind}, {place}: {told}");
    }
    fs::write(&path, &sound).unwrap();
    verify(&log, &path, &["--trust", &trust], 0).await;
    // Cut off, whether in the middle of a line or behind one, and continued.
    let whole = without(10);
    for (text, why) in [
        (&sound[..sound.len() - 30], "the head cannot be read"),
        (&whole[..], "does not end with the head"),
        (&whole[..100], "does not end with the head"),
        ("", "does not end with the head"),
        (&(sound.clone() + all[0]), "goes on behind its head"),
        (&(sound.clone() + all[10]), "has two heads"),
    ] {
        fs::write(&path, text).unwrap();
        let ended = log.run(&["verify", "--export", &path]).await.with(3);
        assert!(ended.stderr.contains(why), "{why}: {}", ended.stderr);
    }
    log.run(&["export", "--proofs", "--format", "csv"]).await.with(2);
}

async fn what_was_altered_in_the_log_does_not_pass_with_its_export(log: Log) {
    let (log, trust) = signed(log).await;
    log.by_force("UPDATE activity_records SET action = 'read' WHERE seq = 5").await;
    for file in [zipped(&log, &[]).await, lines(&log, &[]).await] {
        let found = verify(&log, &file, &["--trust", &trust], 1).await;
        assert_eq!(found["altered_total"], 1, "{found:#}");
        let one = &found["altered"][0];
        assert_eq!((&one["kind"], &one["position"]), (&json!("record_edited"), &json!(3)));
        assert_eq!((&one["first_seq"], &one["last_seq"]), (&json!(5), &json!(5)), "{one}");
        assert_eq!(found["export"]["complete"], false);
    }
}

async fn an_anchor_is_compared_as_far_as_the_entries_go(log: Log) {
    let (log, trust) = signed(log).await;
    let anchor = format!("file:{}", log.path("anchor").display());
    log.run(&["checkpoint", "--keys", "log.keys", "--anchor", &anchor]).await.with(0);
    let arguments = ["--trust", &trust[..], "--anchor", &anchor];
    let found = verify(&log, &zipped(&log, &["entity_id:2"]).await, &arguments, 0).await;
    assert_eq!((&found["trust"], &found["anchored"]["position"]), (&json!("anchored"), &json!(4)));
    let early = log.path("early.zip");
    fs::copy(log.path("evidence.zip"), &early).unwrap();
    // The head is a later one: what the anchor covers is known from all entries alone. Metadata that are null are not
    // those that are not there.
    let null = |record: &mut Record| record.metadata = Json::from_stored("null");
    log.append(&[record(7, "2026-11-20T12:00:07Z", null)]).await;
    for file in [zipped(&log, &[]).await, lines(&log, &[]).await] {
        let found = verify(&log, &file, &arguments, 0).await;
        assert_eq!(
            (&found["trust"], &found["anchored"]["position"]),
            (&json!("anchored"), &json!(4))
        );
        assert_eq!(found["export"]["not_compared"], 0);
    }
    for file in [zipped(&log, &["entity_id:2"]).await, lines(&log, &["entity_id:2"]).await] {
        let found = verify(&log, &file, &arguments, 0).await;
        assert_eq!((&found["trust"], &found["anchored"]), (&json!("self-signed"), &Value::Null));
        assert_eq!(found["export"]["not_compared"], 1, "{found:#}");
    }
    // All that it covers is there, and not all that came later.
    for file in [
        zipped(&log, &["entity_id:1,2,3,4,5,6"]).await,
        lines(&log, &["entity_id:1,2,3,4,5,6"]).await,
    ] {
        let found = verify(&log, &file, &arguments, 0).await;
        assert_eq!(found["anchored"]["position"], 4, "{found:#}");
        assert_eq!(found["export"]["not_compared"], 0);
    }
    // An anchor that is later than the file says nothing of it.
    log.run(&["checkpoint", "--keys", "log.keys", "--anchor", &anchor]).await.with(0);
    let found = verify(&log, early.to_str().unwrap(), &arguments, 0).await;
    assert_eq!(
        (&found["anchored"]["position"], &found["export"]["not_compared"]),
        (&json!(4), &json!(1))
    );
    // Who holds the database writes another history, and signs it with the key.
    let head = match log.database {
        Some(_) => "activity.checkpoints",
        None => "activity_checkpoints",
    };
    log.by_force(&format!(
        "DELETE FROM {head}; UPDATE activity_ledger SET class = 'other' WHERE position = 2"
    ))
    .await;
    let all = lines(&log, &[]).await;
    let (kinds, _) = altered(&verify(&log, &all, &arguments, 1).await);
    assert!(kinds.contains(&"history_rewritten".to_owned()), "{kinds:?}");
    // What an entry says of its records is compared with them, also without an anchor.
    for file in [all, zipped(&log, &[]).await] {
        let (kinds, told) = altered(&verify(&log, &file, &["--trust", &trust], 1).await);
        assert_eq!(kinds, ["entry_edited"]);
        assert!(told.contains("another month or retention class"), "{told}");
    }
}

async fn what_the_records_tell_is_missing_is_told_of_an_export(log: Log) {
    let (log, trust) = signed(log).await;
    let mut told = gap(7, "2026-11-20T12:00:07Z", 12);
    told.origin = Origin::System;
    log.append(&[told]).await;
    for file in
        [zipped(&log, &[]).await, lines(&log, &[]).await, lines(&log, &["action:gap"]).await]
    {
        let found = verify(&log, &file, &["--trust", &trust], 2).await;
        assert_eq!(
            (&found["result"], &found["incomplete_total"]),
            (&json!("incomplete"), &json!(1))
        );
        let one = &found["incomplete"][0];
        assert_eq!((&one["kind"], &one["count"]), (&json!("gap"), &json!(12)), "{found:#}");
        assert_eq!(one["position"], 5);
    }
}

async fn erased_groups_of_an_export_are_counted(log: Log) {
    let (log, trust) = signed(log).await;
    let erase = ["subject", "erase", "ana", "--basis", "GDPR Art. 17", "--alone"];
    let to = log.path("certificate").display().to_string();
    log.run(&[&erase[..], &["--keys", "log.keys", "--certificate", &to]].concat()).await.with(0);
    for file in [zipped(&log, &[]).await, lines(&log, &[]).await] {
        let found = verify(&log, &file, &["--trust", &trust], 0).await;
        assert_eq!((&found["erased"], &found["export"]["complete"]), (&json!(6), &json!(true)));
        assert_eq!(found["export"]["masked"], 0);
    }
    // A part does not have the record that tells of it.
    let part = lines(&log, &["action:update"]).await;
    assert_eq!(verify(&log, &part, &["--trust", &trust], 0).await["erased"], 6);
    // A name beside the commitment is none that was written.
    let text = fs::read_to_string(&part).unwrap();
    fs::write(&part, text.replacen("\"actor_id\":null", "\"actor_id\":\"bob\"", 1)).unwrap();
    let found = verify(&log, &part, &["--trust", &trust], 1).await;
    assert_eq!(altered(&found).0, ["record_edited"]);
}

/// A zip file of these files, with a manifest that fits.
fn archive(path: &std::path::Path, files: &[(&str, &dyn Fn(&mut dyn std::io::Write))]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, write) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        write(&mut zip);
    }
    zip.finish().unwrap();
}

#[tokio::test]
async fn a_hostile_file_is_refused_with_a_reason() {
    let (log, _trust) = signed(Log::sqlite()).await;
    let unpacked = bundle(&log, &[]).await;
    let note = unpacked.text("checkpoint.txt");
    let path = log.path("hostile");
    let refused = async |why: &str| {
        let ended = log.run(&["verify", "--export", path.to_str().unwrap()]).await.with(3);
        assert!(ended.stderr.contains(why), "{why}: {}", ended.stderr);
    };
    refused("cannot be read").await;
    fs::write(&path, b"PK\x03\x04 and then nothing").unwrap();
    refused("is no whole zip file").await;
    fs::write(&path, [0xff; 4096]).unwrap();
    refused("does not end with the head").await;
    let text = |text: &'static str| {
        move |out: &mut dyn std::io::Write| out.write_all(text.as_bytes()).unwrap()
    };
    let manifest = text(r#"{"records":1,"entries":1}"#);
    let note = move |out: &mut dyn std::io::Write| out.write_all(note.as_bytes()).unwrap();
    // Names that lead out of the folder are never followed, and stand for none of ours.
    archive(&path, &[("../manifest.json", &manifest), ("/etc/passwd", &text("x"))]);
    refused("there is no manifest.json in it").await;
    assert!(!log.path("../manifest.json").exists());
    archive(&path, &[("manifest.json", &text("[]")), ("checkpoint.txt", &note)]);
    refused("manifest.json is not that of a bundle").await;
    // 70 MiB in one line, packed into a few kilobytes.
    let bomb = |out: &mut dyn std::io::Write| {
        let zeros = [b'0'; 1 << 16];
        (0..70 * 16).for_each(|_| out.write_all(&zeros).unwrap());
    };
    archive(
        &path,
        &[
            ("manifest.json", &manifest),
            ("checkpoint.txt", &note),
            ("entries.jsonl", &bomb),
            ("records.jsonl", &text("")),
        ],
    );
    refused("entries.jsonl, line 1 is longer than 64 MiB").await;
    archive(&path, &[("manifest.json", &bomb)]);
    refused("manifest.json is longer than any").await;
    let whole = fs::read(log.path("evidence.zip")).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    refused("is no whole zip file").await;
    // How many files it has is asked before its directory is read.
    let mut crowded = whole.clone();
    let end = crowded.len() - 22;
    crowded[end + 8..end + 12].copy_from_slice(&[0xff, 0x7f, 0xff, 0x7f]);
    fs::write(&path, crowded).unwrap();
    refused("has 32767 files, and is no bundle").await;
    // A file in it that is damaged, behind a directory that is not: for its own verifier too it is none of ours.
    let at = whole.windows(13).position(|name| name == b"records.jsonl").unwrap();
    for byte in [60, 100, 200, 300, 400] {
        let mut damaged = whole.clone();
        damaged[at + byte] ^= 0xff;
        fs::write(&path, damaged).unwrap();
        log.run(&["verify", "--export", path.to_str().unwrap()]).await.with(3);
        let (code, said) = unpacked.verify(&[path.to_str().unwrap()]).await;
        assert_eq!(code, Some(3), "{byte}: {said}");
    }
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let empty = text("");
    let many: Vec<(&str, &dyn Fn(&mut dyn std::io::Write))> =
        many.iter().map(|name| (&name[..], &empty as _)).collect();
    archive(&path, &many);
    refused("has 101 files, and is no bundle").await;
}

/// Replaces text in bytes by other text of its length, in the first so many places.
fn patched(bytes: &[u8], from: &str, to: &str, places: usize) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut left = places;
    for at in 0..bytes.len() - from.len() {
        if left > 0 && bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            left -= 1;
        }
    }
    assert!(left < places, "there is no {from}");
    bytes
}

/// Readers differ in which of two files of one name they take: then each of them verifies another bundle.
#[tokio::test]
async fn a_bundle_with_two_files_of_one_name_is_refused() {
    let (log, trust) = signed(Log::sqlite()).await;
    let unpacked = bundle(&log, &[]).await;
    let sound = fs::read(log.path("evidence.zip")).unwrap();
    let path = log.path("twice.zip");
    // A record that was altered, in a file of another name.
    let with_another = |name: &str| {
        fs::write(&path, &sound).unwrap();
        let file = fs::File::options().read(true).write(true).open(&path).unwrap();
        let mut zip = zip::ZipWriter::new_append(file).unwrap();
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        let forged = unpacked.text("records.jsonl").replacen("update", "delete", 1);
        std::io::Write::write_all(&mut zip, forged.as_bytes()).unwrap();
        zip.finish().unwrap();
        fs::read(&path).unwrap()
    };
    let file = path.to_str().unwrap();
    let verify = ["verify", "--export", file, "--trust", &trust];
    with_another("more.jsonl");
    log.run(&verify).await.with(0);
    let other = with_another("records.jsonX");
    let twice = patched(&other, "records.jsonX", "records.jsonl", usize::MAX);
    for bundle in [twice, with_another("./records.jsonl"), with_another("RECORDS.jsonl")] {
        fs::write(&path, bundle).unwrap();
        let refused = log.run(&verify).await.with(3);
        assert!(refused.stderr.contains("two files of one name"), "{}", refused.stderr);
        let (code, said) = unpacked.verify(&[file, "--trust", &trust]).await;
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("two files of one name"), "{said}");
    }
    // The directory knows one file, and who reads from the beginning to the end finds another.
    fs::write(&path, patched(&other, "records.jsonX", "records.jsonl", 1)).unwrap();
    let refused = log.run(&verify).await.with(3);
    assert!(refused.stderr.contains("is no whole zip file"), "{}", refused.stderr);
}
