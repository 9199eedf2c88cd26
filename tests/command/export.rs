//! An export is whole, or not there.

use std::{fs, path::Path, process::Stdio};

use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    time::timeout,
};

use crate::run::{Ended, Log, PATIENCE, record, set_metadata};

on_both!(
    an_export_has_every_record_in_each_format,
    what_cannot_be_written_leaves_nothing,
    what_is_no_file_is_written_and_not_replaced,
    an_interrupted_export_leaves_nothing,
);

async fn an_export_has_every_record_in_each_format(log: Log) {
    let log = log.with_three().await;
    for (format, begins) in [
        ("jsonl", "{"),
        ("json", "{\"records\":["),
        ("csv", "id,"),
        ("ocsf", "{"),
        ("cloudevents", "["),
    ] {
        let piped = log.run(&["export", "--format", format]).await.with(0);
        assert!(piped.stdout.starts_with(begins), "{format}: {}", piped.stdout);
        assert_eq!(piped.stderr, "activity: 3 records\n");
        let file = format!("out.{format}");
        let written = log.run(&["export", "--format", format, "--out", &file]).await.with(0);
        assert_eq!(written.stdout, "");
        assert_eq!(fs::read_to_string(log.path(&file)).unwrap(), piped.stdout);
    }
    let narrowed = log.run(&["export", "tenant_id:north"]).await.with(0).json();
    assert_eq!(narrowed.len(), 1);
    let excel = log.run(&["export", "--format", "csv", "--bom"]).await.with(0).stdout;
    assert!(excel.starts_with('\u{feff}'));
}

async fn what_cannot_be_written_leaves_nothing(log: Log) {
    let log = log.with_three().await;
    let refused = log.run(&["export", "--out", "no/such/folder.csv"]).await.with(3);
    assert!(refused.stderr.contains("could not write no/such/folder.csv"), "{}", refused.stderr);
    fs::create_dir(log.path("folder")).unwrap();
    let refused = log.run(&["export", "--out", "folder"]).await.with(3);
    assert!(refused.stderr.contains("could not write folder"), "{}", refused.stderr);
    assert!(!log.path("folder.partial").exists());
}

async fn what_is_no_file_is_written_and_not_replaced(log: Log) {
    use std::os::unix::fs::FileTypeExt as _;

    let log = log.with_three().await;
    let pipe = log.path("pipe");
    let cat = read_from(&pipe).await;
    log.run(&["export", "--out", "pipe"]).await.with(0);
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    let read = timeout(PATIENCE, cat.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(read.stdout).unwrap().lines().count(), 3);

    fs::write(log.path("real.jsonl"), "old").unwrap();
    std::os::unix::fs::symlink("real.jsonl", log.path("link.jsonl")).unwrap();
    log.run(&["export", "--out", "link.jsonl"]).await.with(0);
    assert!(fs::symlink_metadata(log.path("link.jsonl")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(log.path("real.jsonl")).unwrap().lines().count(), 3);

    for arguments in [&["export"][..], &["query"], &["report", "--day", "today"], &["man"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = log.command(arguments).stdout(full).spawn().unwrap();
        let ended = Ended::of(child.wait_with_output().await.unwrap()).with(3);
        assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
    }
}

async fn an_interrupted_export_leaves_nothing(log: Log) {
    // Several pages, each of which is more than the pipes take that hold it up.
    let many: Vec<_> = (1..=8_000)
        .map(|seq| {
            record(seq, "2026-11-20T12:00:00Z", |record| {
                set_metadata(record, &format!("{{\"x\":\"{}\"}}", "a".repeat(400)));
            })
        })
        .collect();
    for batch in many.chunks(1_000) {
        log.append(batch).await;
    }
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        interrupted(&log, signal, code).await;
    }
}

async fn interrupted(log: &Log, signal: &str, code: i32) {
    let partial = log.path("all.jsonl.partial");
    let mut cat = read_from(&partial).await;
    let child = log.command(&["export", "--out", "all.jsonl"]).spawn().unwrap();
    let pid = child.id().unwrap().to_string();
    let mut written = cat.stdout.take().unwrap();
    let begins = timeout(PATIENCE, written.read_u8()).await.expect("it begins");
    assert_eq!(begins.unwrap(), b'{');
    // It is in its first page, and cannot go on until somebody reads it.
    let sent = Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap();
    assert!(sent.success());
    let mut rest = Vec::new();
    timeout(PATIENCE, written.read_to_end(&mut rest)).await.expect("it ends").unwrap();
    let ended = Ended::of(child.wait_with_output().await.unwrap()).with(code);
    assert_eq!(
        ended.stderr,
        "activity: interrupted: the export is not whole, and no file was made of it\n"
    );
    assert!(!partial.exists() && !log.path("all.jsonl").exists());
}

/// Makes a named pipe, and a program that reads from it and prints that. A thread of our own that waited for a
/// writer could not be given up.
async fn read_from(pipe: &Path) -> Child {
    let made = Command::new("mkfifo").arg(pipe).status().await.unwrap();
    assert!(made.success());
    let mut cat = Command::new("cat");
    cat.arg(pipe).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}
