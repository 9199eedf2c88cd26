//! What an auditor runs into: nobody reads on, heads that were taken away, keys of something else, files that are damaged.

use std::{fs, process::Stdio};

use serde_json::Value;
use tower_activity::Keys;

use crate::{
    bundle::signed,
    run::{Log, activity, ended, record},
};

on_both!(
    a_log_without_a_head_of_a_trusted_key_is_not_whole,
    another_log_is_told_from_the_one_that_is_trusted,
    new_keys_are_not_made_beside_a_log_that_others_signed,
    pieces_in_an_anchor_that_are_no_notes_take_no_other_along,
    a_head_that_nobody_signed_is_found_when_it_is_new,
);

/// Runs a command whose output nobody reads, and returns its exit code.
async fn unread(log: &Log, arguments: &[&str]) -> Option<i32> {
    let mut child = log.command(arguments).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait().await.unwrap().code()
}

#[tokio::test]
async fn what_was_found_is_in_the_exit_code_when_nobody_reads_it() {
    let (log, _) = signed(Log::sqlite()).await;
    assert_eq!(unread(&log, &["verify"]).await, Some(0));
    log.by_force("UPDATE activity_records SET action = 'read' WHERE seq = 5").await;
    for output in ["json", "table"] {
        assert_eq!(unread(&log, &["verify", "--output", output]).await, Some(1), "{output}");
        let doctor = ["doctor", "--output", output];
        assert_eq!(unread(&log, &doctor).await, Some(1), "{output}: the triggers are gone");
        fs::write(log.path("rules.toml"), "nonsense").unwrap();
        let check = ["rules", "check", "rules.toml", "--output", output];
        assert_eq!(unread(&log, &check).await, Some(1), "{output}");
    }
    let ended = log.run(&["query"]).await;
    assert_eq!(unread(&log, &["query"]).await, Some(0), "it looked at nothing: {ended:?}");
}

async fn a_log_without_a_head_of_a_trusted_key_is_not_whole(log: Log) {
    let (log, trust) = signed(log).await;
    log.run(&["verify", "--state", "state"]).await.with(0);
    let with_state = ["verify", "--trust", &trust, "--state", "state"];
    let found = log.run(&with_state).await.with(0).json().remove(0);
    assert_eq!(found["since"], Value::Null, "nobody had vouched for what was verified before");
    assert_eq!(found["signed"]["position"], 4, "{found:#}");
    let found = log.run(&with_state).await.with(0).json().remove(0);
    assert_eq!((&found["since"]["position"], &found["records"]), (&4.into(), &0.into()));

    // Whoever owns the database takes the heads away.
    let checkpoints = match log.database {
        Some(_) => "activity.checkpoints",
        None => "activity_checkpoints",
    };
    log.by_force(&format!("DELETE FROM {checkpoints}")).await;
    log.run(&["verify"]).await.with(0);
    let found = log.run(&["verify", "--trust", &trust]).await.with(2).json().remove(0);
    assert_eq!((&found["result"], &found["trust"]), (&"incomplete".into(), &"none".into()));
    assert_eq!(found["incomplete"], serde_json::json!([{ "kind": "unsigned" }]), "{found:#}");
    let table = ["verify", "--trust", &trust, "--output", "table"];
    let people = log.run(&table).await.with(2).stdout;
    assert!(people.contains("\n  unsigned: no key of the trust file signed"), "{people}");
    // The state knows that there was one; another, which no key had a part in, stands for none.
    log.run(&with_state).await.with(0);
    log.run(&["verify", "--state", "unsigned"]).await.with(0);
    let with_unsigned = ["verify", "--trust", &trust, "--state", "unsigned"];
    let found = log.run(&with_unsigned).await.with(2).json().remove(0);
    assert_eq!((&found["trust"], &found["signed"]), (&"none".into(), &Value::Null), "{found:#}");
}

/// A verification that goes on reads what came since, and the heads that came since.
async fn a_head_that_nobody_signed_is_found_when_it_is_new(log: Log) {
    let (log, trust) = signed(log).await;
    let with_state = ["verify", "--trust", &trust, "--state", "state"];
    log.run(&with_state).await.with(0);
    log.append(&[record(7, "2026-11-20T12:00:07Z", |_| {})]).await;
    log.run(&["checkpoint", "--keys", "log.keys"]).await.with(0);
    let checkpoints = match log.database {
        Some(_) => "activity.checkpoints",
        None => "activity_checkpoints",
    };
    let state = fs::read(log.path("state")).unwrap();
    // Its text is another one than was signed, its size the same.
    let forge = "note = replace(note, 'time 20', 'time 19') WHERE number = 2";
    log.by_force(&format!("UPDATE {checkpoints} SET {forge}")).await;
    let found = log.run(&with_state).await.with(1).json().remove(0);
    assert_eq!(found["since"]["position"], 4, "{found:#}");
    assert_eq!(found["altered_total"], 1, "{found:#}");
    assert_eq!(found["altered"][0]["kind"], "head_forged", "{found:#}");
    assert_eq!(fs::read(log.path("state")).unwrap(), state, "it does not go on behind it");
}

async fn another_log_is_told_from_the_one_that_is_trusted(log: Log) {
    let (log, trust) = signed(log).await;
    let other = match log.database {
        Some(_) => Log::postgres().await,
        None => Log::sqlite(),
    };
    let other = other.with_six().await;
    let found = other.run(&["verify", "--trust", &trust]).await.with(1).json().remove(0);
    assert_eq!(found["altered_total"], 1, "{found:#}");
    let (kind, position) = (&found["altered"][0]["kind"], &found["altered"][0]["position"]);
    assert_eq!((kind, position), (&"history_rewritten".into(), &1.into()));
    assert!(found["altered"][0]["detail"].as_str().unwrap().contains("of another log"));
    log.run(&["verify", "--trust", &trust]).await.with(0);
}

async fn new_keys_are_not_made_beside_a_log_that_others_signed(log: Log) {
    let (log, trust) = signed(log).await;
    for arguments in [
        &["checkpoint"][..],
        &["checkpoint", "--trust-line"],
        &["consent", "ana", "news"],
        &["subject", "export", "ana", "--out", "ana.zip"],
        &["subject", "erase", "ana", "--basis", "x", "--alone"],
        &["subject", "erase", "ana", "--basis", "x", "--dry-run"],
    ] {
        let refused = log.run(&[arguments, &["--keys", "typo.keys"]].concat()).await.with(3);
        let why = "there is no key file `typo.keys`, and the log";
        assert!(refused.stderr.contains(why), "{arguments:?}: {}", refused.stderr);
        assert!(!log.path("typo.keys").exists(), "{arguments:?}");
    }
    log.run(&["verify", "--trust", &trust]).await.with(0);
    let same = log.run(&["checkpoint", "--keys", "log.keys"]).await.with(0);
    assert_eq!(same.stderr, "");
    Keys::open(log.path("other.keys")).unwrap();
    let other = log.run(&["checkpoint", "--keys", "other.keys"]).await.with(0);
    assert!(other.stderr.contains("was signed with another key"), "{}", other.stderr);
    log.run(&["verify", "--trust", &trust]).await.with(1);
}

async fn pieces_in_an_anchor_that_are_no_notes_take_no_other_along(log: Log) {
    let (log, trust) = signed(log).await;
    let anchor = format!("file:{}", log.path("anchor").display());
    let put = ["checkpoint", "--keys", "log.keys", "--anchor", &anchor];
    log.run(&put).await.with(0);
    let note = fs::read_to_string(log.path("anchor")).unwrap();
    // The disk was full for a moment, and then it was not.
    fs::write(log.path("anchor"), format!("{}\n\n", &note[..note.len() / 3])).unwrap();
    log.append(&[record(7, "2026-11-20T12:00:07Z", |_| {})]).await;
    log.run(&put).await.with(0);
    let verify = ["verify", "--trust", &trust, "--anchor", &anchor];
    let ended = log.run(&verify).await.with(0);
    assert_eq!(ended.json()[0]["anchored"]["position"], 5, "{ended:?}");
    assert!(ended.stderr.contains("holds 1 pieces that are no signed notes"), "{}", ended.stderr);
    // What is no anchor at all says nothing of the log.
    fs::write(log.path("anchor"), "no note\n").unwrap();
    let ended = log.run(&verify).await.with(3);
    assert!(ended.stderr.contains("there is no checkpoint in the anchor"), "{}", ended.stderr);
    // Another signature is something else than none.
    fs::write(log.path("anchor"), note.replace("\n4\n", "\n5\n")).unwrap();
    let found = log.run(&verify).await.with(1).json().remove(0);
    assert_eq!(found["altered"][0]["kind"], "head_forged", "{found:#}");
    let table = [&verify[..], &["--output", "table"]].concat();
    let people = log.run(&table).await.with(1).stdout;
    assert!(people.contains("\n  checkpoint forged: anchored checkpoint 1: "), "{people}");
}

#[tokio::test]
async fn a_state_that_cannot_be_written_is_refused_before_anything_is_read() {
    let (log, _) = signed(Log::sqlite()).await;
    log.by_force("UPDATE activity_records SET action = 'read' WHERE seq = 5").await;
    let refused = log.run(&["verify", "--state", "no-folder/state"]).await.with(3);
    assert!(refused.stderr.contains("could not write no-folder/state"), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    fs::create_dir(log.path("state.partial")).unwrap();
    log.run(&["verify", "--state", "state"]).await.with(3);
    fs::remove_dir(log.path("state.partial")).unwrap();
    log.by_force("UPDATE activity_records SET action = 'update' WHERE seq = 5").await;
    log.run(&["verify", "--state", "state"]).await.with(0);
    assert!(log.path("state").exists() && !log.path("state.partial").exists());
}

#[tokio::test]
async fn an_empty_certificate_is_none() {
    let (log, _) = signed(Log::sqlite()).await;
    fs::write(log.path("lost.json"), "").unwrap();
    let replay = ["subject", "erase", "--replay", "lost.json", "--alone", "--keys", "log.keys"];
    let refused = log.run(&replay).await.with(2);
    assert!(refused.stderr.contains("`lost.json` holds no certificate"), "{}", refused.stderr);
}

/// Whoever may read everything and write nothing hands on what the last head proves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_makes_a_bundle_of_what_is_signed() {
    let (log, trust) = signed(Log::postgres().await).await;
    log.run(&["migrate", "--roles"]).await.with(0);
    let database = log.database.as_ref().unwrap();
    let login = format!("{}_audit", database.name());
    database.execute(&format!("create role {login} login in role activity_auditor")).await;
    let (head, address) = log.url.split_once("//").unwrap();
    let address = address.split_once('@').map_or(address, |(_, address)| address);
    let url = format!("{head}//{login}@{address}");
    log.append(&[record(7, "2026-11-20T12:00:07Z", |_| {})]).await;
    let all = ["bundle", "--keys", "log.keys", "--out", "evidence.zip"];
    let made = ended(log.command(&all).env("ACTIVITY_STORE", &url)).await.with(0);
    let said =
        "activity: 1 record left out: committed after the last checkpoint\nactivity: 6 records\n";
    assert_eq!(made.stderr, said);
    log.run(&["verify", "--export", "evidence.zip", "--trust", &trust]).await.with(0);
    let sign = ["checkpoint", "--keys", "log.keys"];
    let refused = ended(log.command(&sign).env("ACTIVITY_STORE", &url)).await.with(3);
    assert!(refused.stderr.contains("docs/roles.md says which role may"), "{}", refused.stderr);
    database.execute(&format!("drop owned by {login}; drop role {login}")).await;
}

/// 1 is "altered" and nothing else: what Python says of a mistake of its own would be taken for it.
#[tokio::test]
async fn the_verifier_of_a_bundle_that_cannot_run_says_3() {
    let (log, trust) = signed(Log::sqlite()).await;
    let found = crate::bundle::bundle(&log, &[]).await;
    let line = fs::read_to_string(&trust).unwrap();
    let line = line.trim();
    for (text, why) in [
        (String::new(), "there is no key in the trust file"),
        ("# nothing\n\n".to_owned(), "there is no key in the trust file"),
        (line[..40].to_owned(), "the trust file holds what is no key"),
        (line.replacen('+', "-", 1), "the trust file holds what is no key"),
        (line.replace("activity/", "activitx/"), "the trust file holds what is no key"),
        (format!("{line} until=yesterday"), "yesterday"),
        (format!("{line} untl=2027-01-01T00:00:00Z"), "the trust file holds what is no key"),
        ("{\"a\": [1, 2]}".to_owned(), "the trust file holds what is no key"),
    ] {
        found.put("other", &text);
        let (code, said) = found.verify(&["--trust", found.path("other").to_str().unwrap()]).await;
        assert_eq!(code, Some(3), "{text}: {said}");
        assert!(said.contains(why) && !said.contains("Traceback"), "{text}: {said}");
    }
    for times in
        [" from=2020-01-01T00:00:00Z", " until=2099-01-01T00:00:00Z from=2020-01-01T00:00:00Z"]
    {
        found.put("other", &format!("# who may sign\n\n {line}{times}\n"));
        let (code, said) = found.verify(&["--trust", found.path("other").to_str().unwrap()]).await;
        assert_eq!(code, Some(0), "{said}");
    }
    for times in [" from=2098-01-01T00:00:00Z", " until=2020-01-01T00:00:00Z"] {
        found.put("other", &format!("{line}{times}\n"));
        let (code, said) = found.verify(&["--trust", found.path("other").to_str().unwrap()]).await;
        assert_eq!(code, Some(1), "{said}");
    }
    for arguments in [&["--trust"][..], &["--no-such-option"], &["one", "two"], &["no-such-file"]] {
        assert_eq!(found.verify(arguments).await.0, Some(3), "{arguments:?}");
    }
    for manifest in ["", "[]", "7", "{"] {
        found.put("manifest.json", manifest);
        let (code, said) = found.verify(&["--trust", &trust]).await;
        assert!(
            code == Some(3) || manifest == "[]" && code == Some(1),
            "{manifest}: {code:?} {said}"
        );
        assert!(!said.contains("Traceback"), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_is_damaged_is_to_be_restored() {
    let (log, _) = signed(Log::sqlite()).await;
    let file = log.path("activity.db");
    rusqlite::Connection::open(&file)
        .unwrap()
        .pragma_update(None, "journal_mode", "delete")
        .unwrap();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let ended =
        ended(&mut activity(log.path("").as_path(), &["verify", "--store", "sqlite:activity.db"]))
            .await
            .with(3);
    assert!(ended.stderr.contains("restore it from a backup"), "{}", ended.stderr);
}
