//! The tail goes on while others write.

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::timeout,
};

use crate::run::{Log, PATIENCE, record};

on_both!(each_record_is_printed_once_as_it_is_committed);

async fn each_record_is_printed_once_as_it_is_committed(log: Log) {
    let log = log.with_three().await;
    let mut child = log.command(&["tail", "-n", "2", "-actor_id:bot"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    for seq in 4..40 {
        // The bot's are left out.
        let mine = [record(seq, "2026-11-20T14:00:00Z", |record| {
            record.actor_id.set(if seq % 2 == 0 { "bot" } else { "ana" });
        })];
        log.append(&mine).await;
        while seen.last() != Some(&(seq - 1 + seq % 2)) {
            let line =
                timeout(PATIENCE, lines.next_line()).await.expect("in time").unwrap().unwrap();
            let record: serde_json::Value = serde_json::from_str(&line).unwrap();
            seen.push(record["seq"].as_i64().unwrap());
        }
    }
    let expected: Vec<_> = [2, 3].into_iter().chain((4..40).filter(|seq| seq % 2 == 1)).collect();
    assert_eq!(seen, expected);
    let pid = child.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success()
    );
    assert!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
    let last = log.run(&["tail", "-n", "1", "--no-follow"]).await.with(0).json();
    assert_eq!(last[0]["seq"], 39);
}
