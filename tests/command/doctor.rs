//! What is broken is found, said in words, and comes with a way to mend it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::run::{Ended, Log, from_now, gap, record};

/// Returns the finding about `what`.
#[track_caller]
fn finding(ended: &Ended, what: &str) -> Value {
    let found = ended.json().into_iter().find(|finding| finding["what"] == what);
    let found = found.unwrap_or_else(|| panic!("nothing about {what}: {}", ended.stdout));
    assert!(
        found["state"] == "fine" || found["mend"].as_str().is_some_and(|mend| !mend.is_empty()),
        "a way to mend it: {found}"
    );
    found
}

#[track_caller]
fn is_wrong(ended: &Ended, what: &str, words: &str) {
    let found = finding(ended, what);
    assert!(
        found["state"] == "wrong" && found["said"].as_str().unwrap().contains(words),
        "{found}"
    );
}

on_both!(
    a_sound_log_is_well,
    gaps_and_clocks_are_found,
    a_trigger_that_is_gone_is_found,
    a_row_that_somebody_edited_is_found,
);

async fn a_sound_log_is_well(log: Log) {
    let log = log.with_three().await;
    let looked = log.run(&["doctor"]).await.with(0);
    for what in ["store", "triggers", "records", "rows", "gaps", "rollups", "index", "clock"] {
        assert_ne!(finding(&looked, what)["state"], "wrong");
    }
    assert!(finding(&looked, "records")["said"].as_str().unwrap().starts_with("3 in "));
    let people = log.run(&["doctor", "--output", "table"]).await.with(0).stdout;
    let sound = |line: &str| {
        line.split_whitespace().eq(["ok", "triggers", "the", "log", "is", "append-only"])
    };
    assert!(people.lines().any(sound), "{people}");
    log.run(&["migrate", "--index", "text"]).await.with(0);
    assert_eq!(finding(&log.run(&["doctor"]).await, "index")["state"], "fine");
}

async fn gaps_and_clocks_are_found(log: Log) {
    log.append(&[gap(1, &from_now(-3_600), 41), record(2, &from_now(7_200), |_| {})]).await;
    let looked = log.run(&["doctor"]).await.with(1);
    is_wrong(&looked, "gaps", "41 records are missing");
    is_wrong(&looked, "clock", "still to come");
}

async fn a_trigger_that_is_gone_is_found(log: Log) {
    let log = log.with_three().await;
    match &log.database {
        Some(database) => {
            database.execute("alter table activity.ledger_entries disable trigger guard").await;
            database.execute("drop trigger guard on activity.erased_subjects").await;
            database.execute("alter table activity.restricted disable trigger guard").await;
        }
        None => {
            let file = rusqlite::Connection::open(log.path("activity.db")).unwrap();
            file.execute("DROP TRIGGER activity_ledger_update", ()).unwrap();
            file.execute("DROP TRIGGER activity_erased_subjects_delete", ()).unwrap();
            file.execute("DROP TRIGGER activity_restricted_delete", ()).unwrap();
            // As in the shell of SQLite: what refuses to leave a permit behind is off there.
            file.pragma_update(None, "foreign_keys", false).unwrap();
            let permit = "INSERT INTO activity_permits (permit, retention_class, before) VALUES (1, 'activity', 1)";
            file.execute(permit, ()).unwrap();
        }
    }
    let looked = log.run(&["doctor"]).await.with(1);
    is_wrong(&looked, "triggers", "ledger");
    is_wrong(&looked, "triggers", "erased_subjects");
    is_wrong(&looked, "triggers", "restricted");
    if log.database.is_none() {
        is_wrong(&looked, "triggers", "activity_permits, in which a permit was left");
    }
}

async fn a_row_that_somebody_edited_is_found(log: Log) {
    let log = log.with_three().await;
    match &log.database {
        Some(database) => {
            database
                .execute(
                    "do $$ declare leaf regclass; begin for leaf in select relid from \
                     pg_partition_tree('activity.records') where isleaf loop execute format('alter table %s \
                     disable trigger all', leaf); end loop; end $$; update activity.records set outcome = 'splendid' where seq = 2",
                )
                .await;
        }
        None => {
            let file = rusqlite::Connection::open(log.path("activity.db")).unwrap();
            file.execute_batch(
                "DROP TRIGGER activity_records_sealed; DROP TRIGGER activity_records_groups; \
                 PRAGMA ignore_check_constraints = ON; \
                 UPDATE activity_records SET outcome = 'splendid' WHERE seq = 2",
            )
            .unwrap();
        }
    }
    is_wrong(&log.run(&["doctor"]).await.with(1), "rows", "1 of the newest rows");
}

/// What the doctor looks at, and nothing else, is in `docs/troubleshooting.md`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_finding_is_in_the_document() {
    let document = include_str!("../../docs/troubleshooting.md");
    let (_, table) = document.split_once("## What the doctor looks at").unwrap();
    let mut written: Vec<_> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut found = Vec::new();
    for log in [Log::sqlite(), Log::postgres().await] {
        let log = log.with_three().await;
        fs::write(log.path("rules.toml"), "").unwrap();
        let line = ["doctor", "--rules", "rules.toml", "--url", "https://x/"];
        for finding in log.run(&line).await.with(1).json() {
            found.push(finding["what"].as_str().unwrap().to_owned());
        }
    }
    found.sort_unstable();
    found.dedup();
    written.sort_unstable();
    assert_eq!(written, found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_single_role_gives_up_is_told() {
    let log = Log::postgres().await.with_three().await;
    let looked = log.run(&["doctor"]).await.with(0);
    let role = finding(&looked, "role");
    assert_eq!(role["state"], "note");
    assert!(role["mend"].as_str().unwrap().contains("activity migrate --roles"), "{role}");
    for what in ["server", "connections", "db clock"] {
        finding(&looked, what);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_others_may_read_are_found() {
    let log = Log::sqlite().with_three().await;
    let keys = log.path("activity.keys");
    fs::write(&keys, "not keys").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(log.path("activity.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let looked = log.run(&["doctor"]).await.with(1);
    is_wrong(&looked, "keys", "activity.keys");
    assert_eq!(finding(&looked, "file")["state"], "note");
    let other = rusqlite::Connection::open(log.path("activity.db")).unwrap();
    other.query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(())).unwrap();
    drop(other);
    assert_eq!(finding(&log.run(&["doctor"]).await, "journal")["state"], "note");
    fs::write(log.path("activity.db"), "by far not a database, and longer than a header would be")
        .unwrap();
    is_wrong(&log.run(&["doctor"]).await.with(1), "store", "not a SQLite database");
    fs::write(log.path("rules.toml"), "[[rule]]\nroute = 5\n").unwrap();
    is_wrong(&log.run(&["doctor", "--rules", "rules.toml"]).await.with(1), "rules", "rules.toml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_no_log_is_found() {
    let log = Log::sqlite().with_three().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/activity", listener.local_addr().unwrap());
    let answers = [
        ("200 OK", r#"{"status":"ok"}"#, "fine", "well"),
        ("200 OK", r#"{"status":"failing"}"#, "wrong", "failing"),
        ("404 Not Found", "{}", "wrong", "has no log"),
        ("200 OK", "<html>", "wrong", "not as a log does"),
    ];
    for (status, body, state, words) in answers {
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /activity/health HTTP/1.0\r\n"));
            stream.write_all(format!("HTTP/1.0 {status}\r\n\r\n{body}").as_bytes()).await.unwrap();
        };
        let line = ["doctor", "--url", url.as_str()];
        let (looked, ()) = tokio::join!(log.run(&line), answering);
        let found = finding(&looked, "service");
        assert!(
            found["state"] == state && found["said"].as_str().unwrap().contains(words),
            "{found}"
        );
    }
    drop(listener);
    is_wrong(&log.run(&["doctor", "--url", &url]).await.with(1), "service", "refused");
    is_wrong(&log.run(&["doctor", "--url", "https://x/"]).await.with(1), "service", "no address");
}
