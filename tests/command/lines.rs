//! What is printed, for people and for programs.

use std::process::Stdio;

use tokio::io::AsyncReadExt as _;

use crate::run::{Ended, Log, activity, ended, record, set_metadata};

on_both!(
    a_query_prints_json_lines_in_a_pipe_and_lines_for_people,
    hostile_text_is_shown_and_never_acted_on,
    counts_are_those_of_the_records,
    a_closed_pipe_ends_it_without_a_word,
);

async fn a_query_prints_json_lines_in_a_pipe_and_lines_for_people(log: Log) {
    let log = log.with_three().await;
    let piped = log.run(&["query"]).await.with(0).json();
    let actions: Vec<_> = piped.iter().map(|record| record["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["delete", "cancel", "create"]);
    assert_eq!(piped[2]["metadata"]["amount"], 4900);
    let oldest = log.run(&["query", "--oldest", "-n", "1"]).await.with(0).json();
    assert_eq!((oldest.len(), oldest[0]["action"].as_str()), (1, Some("create")));

    let mut command = log.command(&["query", "action:cancel", "--output", "table"]);
    command.env("TZ", "UTC");
    let people = ended(&mut command).await.with(0);
    assert_eq!(
        people.stdout,
        " WHEN                 OUTCOME  STATUS  WHAT                                 FROM\n \
         2026-11-20 12:00:00  denied   403     bob tried to cancel order 2: denied  10.0.0.7\n"
    );
    for width in [40_usize, 80] {
        command.env("COLUMNS", width.to_string());
        let narrow = ended(&mut command).await.with(0).stdout;
        assert!(narrow.contains("2026-11-20 12:00:00"), "a moment is not broken: {narrow}");
        let wide = narrow.lines().filter(|line| line.chars().count() > width).count();
        assert!(wide == 0 || width == 40, "{narrow}");
    }
    let tail = ["tail", "--no-follow", "action:cancel", "--output", "table"];
    let mut command = log.command(&tail);
    let lines = ended(command.env("TZ", "UTC")).await.with(0).stdout;
    assert_eq!(
        lines,
        "2026-11-20 12:00:00  denied   bob tried to cancel order 2: denied  (403, 10.0.0.7)\n"
    );
    let none = log.run(&["query", "actor_id:nobody", "--output", "table"]).await.with(0);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "activity: nothing found\n"));
    let range = ["query", "--from", "2026-11-20", "--to", "2026-11-20"];
    assert_eq!(log.run(&range).await.with(0).json().len(), 2);
    let zone = ["query", "--from", "2026-11-20", "--to", "2026-11-20", "--tz", "Europe/Berlin"];
    assert_eq!(log.run(&zone).await.with(0).json().len(), 3);
}

async fn hostile_text_is_shown_and_never_acted_on(log: Log) {
    let hostile = "a\u{1b}[2J\u{9b}2J\r\n\u{202e}nimda";
    let records = [record(1, "2026-11-20T12:00:00Z", |record| {
        for text in [&mut record.actor_id, &mut record.entity_id, &mut record.tenant_id] {
            text.set(hostile);
        }
        record.action.set("login_failed");
        record.ip = Some("10.0.0.7".parse().unwrap());
        set_metadata(record, "{\"x\":\"\u{9b}\u{202e}\"}");
    })];
    log.append(&records).await;
    let day = ["report", "--day", "2026-11-20", "--format"];
    for arguments in [
        &["query"][..],
        &["query", "--output", "table"],
        &["tail", "--no-follow", "--output", "table"],
        &["stats"],
        &["stats", "--output", "table"],
        &[&day[..], &["text"]].concat(),
        &[&day[..], &["markdown"]].concat(),
        &[&day[..], &["json"]].concat(),
        &["doctor", "--output", "table"],
    ] {
        let Ended { stdout, stderr, .. } = log.run(arguments).await;
        assert!(!stdout.is_empty(), "{arguments:?}: {stderr}");
        for text in [&stdout, &stderr] {
            let acted = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(acted), "{arguments:?}: {text:?}");
        }
        let forged = |line: &str| line.trim_start().starts_with(r"\u{202e}nimda");
        assert!(!stdout.lines().any(forged), "no line is forged: {stdout}");
    }
    let read = log.run(&["query"]).await.json();
    assert_eq!(read[0]["actor_id"], hostile, "to a program it is what it was");
    assert_eq!(read[0]["metadata"]["x"], "\u{9b}\u{202e}");
}

async fn counts_are_those_of_the_records(log: Log) {
    let log = log.with_three().await;
    let counted = log.run(&["stats"]).await.with(0).json();
    assert_eq!(counted[0]["total"], 3);
    assert_eq!(counted[0]["by_actor"], serde_json::json!({ "ana": 2, "bob": 1 }));
    assert_eq!(counted[0]["by_outcome"], serde_json::json!({ "success": 2, "denied": 1 }));
    let people = log.run(&["stats", "actor_id:bob", "--output", "table"]).await.with(0);
    assert!(people.stdout.starts_with("1 record\n"), "{}", people.stdout);
}

async fn a_closed_pipe_ends_it_without_a_word(log: Log) {
    let records: Vec<_> =
        (1..=3_000).map(|seq| record(seq, "2026-11-20T12:00:00Z", |_| {})).collect();
    log.append(&records).await;
    for arguments in [&["query", "-n", "3000"][..], &["export"], &["export", "--format", "csv"]] {
        let mut child = log.command(arguments).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 10]).await.unwrap();
        drop(stdout);
        let ended = Ended::of(child.wait_with_output().await.unwrap()).with(0);
        assert_eq!(ended.stderr, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn scripts_and_pages_survive_a_closed_pipe_as_well() {
    let folder = tempfile::TempDir::new().unwrap();
    for arguments in [
        &["completions", "bash"][..],
        &["man"],
        &["man", "serve"],
        &["--help"],
        &["query", "--help"],
    ] {
        let whole = ended(&mut activity(folder.path(), arguments)).await.with(0);
        assert!(whole.stdout.contains("activity") && whole.stderr.is_empty(), "{arguments:?}");
        let mut command = activity(folder.path(), arguments);
        // Nobody reads either of them.
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let status = child.wait().await.unwrap();
        assert_ne!(status.code(), Some(101), "{arguments:?} panicked");
    }
}
