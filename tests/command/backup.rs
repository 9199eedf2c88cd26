//! Each command of `docs/backup.md` does what the page says.

use std::{env, path::PathBuf, process::Stdio};

use tokio::process::Command;

use crate::run::{Ended, Log, ended, record};

/// Returns the commands of a section of the page, a text for each block.
fn blocks(section: &str) -> Vec<String> {
    let page = include_str!("../../docs/backup.md");
    let mut here = page.split("\n## ").filter(|part| part.lines().next() == Some(section));
    let part = here.next().expect("the section is there");
    let blocks = part.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// Runs a block as somebody does who pastes it into a shell, in the folder of the log.
pub(crate) async fn shell(log: &Log, block: &str) -> Ended {
    let activity = PathBuf::from(env!("CARGO_BIN_EXE_activity"));
    let mut path = activity.parent().unwrap().as_os_str().to_owned();
    for folder in [env::var_os("TEST_POSTGRES_BIN"), env::var_os("PATH")].into_iter().flatten() {
        path.push(":");
        path.push(folder);
    }
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", block]).current_dir(log.path("."));
    command.env("PATH", path).env("ACTIVITY_STORE", &log.url);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    ended(&mut command).await
}

/// Three records, a backup, somebody who is erased, and one more record.
async fn told(log: &Log, blocks: &[String]) {
    log.run(&["migrate"]).await.with(0);
    let some = |seq: i64| record(seq, &format!("2026-11-20T12:00:0{seq}Z"), |_record| {});
    log.append(&[some(1), some(2), some(3)]).await;
    let [once, back_up, erase, restore, check] = blocks else {
        panic!("the page has other blocks: {blocks:?}")
    };
    shell(log, once).await.with(0);
    shell(log, back_up).await.with(0);
    shell(log, erase).await.with(0);
    log.append(&[some(4)]).await;
    let now = log.run(&["query", "actor_id:ana"]).await.with(0).json();
    assert_eq!(now.len(), 1, "she came again: {now:?}");
    shell(log, restore).await.with(0);
    let back = log.run(&["query", "entity_type:order"]).await.with(0).json();
    assert_eq!(back.len(), 3, "what came after the backup is not in it");
    let found = log.run(&["query", "actor_id:ana entity_type:order"]).await.with(0).json();
    assert_eq!(found.len(), 3, "and knows nothing of the erasure");
    shell(log, check).await.with(0);
    let found = log.run(&["query", "actor_id:ana"]).await.with(0).json();
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn a_backup_of_sqlite_comes_back_as_the_page_says() {
    let log = Log::sqlite();
    told(&log, &blocks("SQLite")).await;
}

#[tokio::test]
async fn a_dump_of_postgres_comes_back_as_the_page_says() {
    let log = Log::postgres().await;
    told(&log, &blocks("Postgres: a dump")).await;
}
