//! Starting, stopping, starting again, and what is said when it does not start.

use std::{net::TcpListener, path::Path};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::running::{Running, ends, example};

fn quickstart(folder: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = example("quickstart", folder);
    command.envs(environment.iter().copied());
    command
}

#[tokio::test]
async fn a_signal_drains_and_a_restart_keeps_the_records() {
    let folder = TempDir::new().unwrap();
    for (round, signal) in [(1, "TERM"), (2, "INT")] {
        let shop = Running::start(quickstart(folder.path(), &[])).await;
        let token = shop.log_in("ana").await;
        let (status, _) = shop.send("POST", "/api/orders/55/cancel", Some(&token), None).await;
        assert_eq!(status, 200);
        // A page that is open somewhere holds nothing up.
        let mut page = tokio::net::TcpStream::connect(&shop.address).await.unwrap();
        let live = b"GET /activity/live/sse HTTP/1.1\r\nhost: localhost\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut page, live).await.unwrap();
        let mut head = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut page, &mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");

        // At once: what is in the queue is stored before the end.
        let (last, status) = shop.stop(signal).await;
        assert!(status.success(), "{status}");
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut page, &mut rest).await.unwrap();
        assert!(rest.ends_with(b"\r\n0\r\n\r\n"), "it came to its end, and was not cut off");
        // The login, the order, and that somebody began and ceased to follow the log.
        assert_eq!(last, "stored 4 · dropped 0 · gaps 0", "round {round}");
    }
    let shop = Running::start(quickstart(folder.path(), &[])).await;
    assert_eq!(shop.records("action=cancel&entity_id=55").await.len(), 2);
}

#[tokio::test]
async fn the_terminal_tells_the_time_of_its_place() {
    let folder = TempDir::new().unwrap();
    // A zone without daylight saving and in nobody's data base: 5½ hours ahead of UTC.
    let zone = [("TZ", "<+0530>-5:30")];
    let mut shop = Running::start(quickstart(folder.path(), &zone)).await;
    shop.line("(times in local time, UTC+05:30)").await;
    shop.log_in("ana").await;
    let line = shop.line("ana logged in").await;
    let login = shop.records("action=login").await;
    let at: jiff::Timestamp = login[0]["occurred_at"].as_str().unwrap().parse().unwrap();
    let ahead = at + jiff::SignedDuration::from_mins(330);
    assert!(line.starts_with(&ahead.strftime("%H:%M:%S").to_string()), "{line}: {at}");
}

async fn refused(command: Command, sentence: &str) {
    let (status, stdout, stderr) = ends(command).await;
    assert_eq!(status.code(), Some(1), "{stdout}{stderr}");
    assert!(stderr.contains(sentence), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "one sentence: {stderr}");
    assert!(!stderr.contains("panicked") && stdout.is_empty(), "{stdout}{stderr}");
}

#[tokio::test]
async fn a_busy_port_is_told_with_the_way_out() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(
        quickstart(folder.path(), &[("PORT", &port)]),
        &format!("port {port} is taken: end the program that has it, or set PORT"),
    )
    .await;
    assert!(!folder.path().join("activity.db").exists(), "nothing was made before the start");
    refused(quickstart(folder.path(), &[("PORT", "http")]), "PORT is `http`").await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_with_the_way_out() {
    let folder = TempDir::new().unwrap();
    let missing = "sqlite:no/such/folder/activity.db";
    refused(quickstart(folder.path(), &[("ACTIVITY_STORE", missing)]), "does not exist; create it")
        .await;
    // /proc takes no files, not even from root, as whom tests may run.
    refused(
        quickstart(folder.path(), &[("ACTIVITY_STORE", "sqlite:/proc/activity.db")]),
        "name another file",
    )
    .await;
    std::fs::write(folder.path().join("note.db"), "not a database, by far not a database").unwrap();
    refused(
        quickstart(folder.path(), &[("ACTIVITY_STORE", "sqlite:note.db")]),
        "not a SQLite database",
    )
    .await;
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_told_with_the_way_out() {
    let folder = TempDir::new().unwrap();
    Running::start(quickstart(folder.path(), &[])).await.stop("TERM").await;
    let file = rusqlite::Connection::open(folder.path().join("activity.db")).unwrap();
    let columns: String = file
        .query_row("SELECT group_concat(name) FROM pragma_table_info('activity_migrations') WHERE name <> 'version'", [], |row| row.get(0))
        .unwrap();
    file.execute(
        &format!("INSERT INTO activity_migrations (version, {columns}) SELECT 99, {columns} FROM activity_migrations LIMIT 1"),
        [],
    )
    .unwrap();
    drop(file);
    refused(quickstart(folder.path(), &[]), "newer build").await;
}

#[tokio::test]
async fn what_this_version_cannot_do_is_told() {
    let folder = TempDir::new().unwrap();
    refused(
        quickstart(folder.path(), &[("ACTIVITY_MODE", "durable")]),
        "name one in ACTIVITY_SPOOL",
    )
    .await;
    refused(
        quickstart(folder.path(), &[("ACTIVITY_MODE", "carefree")]),
        "set it to best_effort, durable, strict",
    )
    .await;
    let spool = [("ACTIVITY_SPOOL", "missing/spool")];
    refused(quickstart(folder.path(), &spool), "the folder `missing/spool` cannot be made").await;
    let mysql = [("ACTIVITY_STORE", "mysql://localhost/log")];
    refused(quickstart(folder.path(), &mysql), "begins with `mysql://`: name a store").await;
    if cfg!(not(feature = "postgres")) {
        let postgres = [("ACTIVITY_STORE", "postgres://localhost/log")];
        refused(quickstart(folder.path(), &postgres), "--features postgres").await;
    }
}

#[tokio::test]
async fn the_demo_fills_an_empty_store_and_no_other() {
    let folder = TempDir::new().unwrap();
    let mut command = quickstart(folder.path(), &[]);
    command.arg("--demo");
    let shop = Running::start(command).await;

    let newest = shop.records("limit=1000").await;
    assert_eq!(newest.len(), 1000);
    let of = |filter: &'static str| async { shop.records(filter).await };
    assert!(of("action=login_failed&limit=1000").await.len() >= 260);
    assert_eq!(of("action=gap").await.len(), 1);
    assert!(!of("tenant_id=north").await.is_empty() && !of("tenant_id=south").await.is_empty());
    assert_eq!(of("q=impersonator_id:mira").await.len(), 3);
    let deleted = of("action=delete&limit=1000").await;
    let bulk = deleted
        .iter()
        .find(|record| record["targets"].as_array().is_some_and(|targets| targets.len() == 40));
    assert!(bulk.is_some());
    assert!(newest.iter().any(|record| record["changes"][0]["old"] != Value::Null));
    let (_, status) = shop.stop("TERM").await;
    assert!(status.success());

    let file = rusqlite::Connection::open(folder.path().join("activity.db")).unwrap();
    let ask = |sql: &str| -> i64 { file.query_row(sql, [], |row| row.get(0)).unwrap() };
    let count = ask("SELECT count(*) FROM activity_records");
    assert!((4_500..=5_500).contains(&count), "about 5 000: {count}");
    let actors = ask("SELECT count(DISTINCT actor_id) FROM activity_records");
    assert!((11..=14).contains(&actors), "a dozen: {actors}");
    let days =
        ask("SELECT (max(occurred_at) - min(occurred_at)) / 86400000000 FROM activity_records");
    assert!((28..=30).contains(&days), "30 days: {days}");
    drop(file);

    let mut again = quickstart(folder.path(), &[]);
    again.arg("--demo");
    refused(again, "--demo fills an empty one only").await;
}
