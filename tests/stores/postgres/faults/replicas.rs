//! Several processes on one database (33).

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use tower_activity::{
    record::WriterId,
    store::{Append as _, Appender as _, postgres::PostgresStore},
};

use super::{assert_streams_are_whole, report};
use crate::{
    postgres::{batch, store},
    records::stream,
    table::times,
};

const URL: &str = "ACTIVITY_TEST_REPLICA_URL";
const WRITER: &str = "ACTIVITY_TEST_REPLICA_WRITER";
const ROWS: i64 = 40;

/// Appends without end, and says on stdout how far it has come. Does nothing but in a process that
/// was started to be killed.
#[tokio::test]
async fn replica() {
    let (Ok(url), Ok(writer)) = (env::var(URL), env::var(WRITER)) else { return };
    let writer: i64 = writer.parse().unwrap();
    let pool = sqlx::PgPool::connect_lazy(&url).unwrap();
    let mut appender = PostgresStore::from_pool(pool).connect().await.unwrap();
    for first in (1..).step_by(ROWS as usize) {
        appender.append(batch(&stream(writer, first..first + ROWS))).await.unwrap();
        writeln!(std::io::stdout(), "stored {}", first + ROWS - 1).unwrap();
    }
}

/// (33) Four writers, one of which is killed again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_writer_leaves_its_stream_whole_and_the_others_alone() {
    let (database, store) = store().await;
    let stop = tokio::sync::watch::Sender::new(false);
    let survivors: Vec<_> = (1..=3_i64)
        .map(|writer| {
            let (store, stop) = (store.clone(), stop.subscribe());
            tokio::spawn(async move {
                let mut appender = store.connect().await.unwrap();
                let mut first = 1;
                while !*stop.borrow() {
                    appender.append(batch(&stream(writer, first..first + 25))).await.unwrap();
                    first += 25;
                }
                first - 1
            })
        })
        .collect();

    let mut killed = Vec::new();
    let kills = times(4, 60);
    for kill in 0..kills {
        let (url, writer) = (database.url(), 100 + kill as i64);
        let said = tokio::task::spawn_blocking(move || {
            let mut child = Command::new(env::current_exe().unwrap())
                .args(["--exact", "postgres::faults::replicas::replica", "--nocapture"])
                .env(URL, url)
                .env(WRITER, writer.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut stored = || {
                let line = lines.by_ref().map_while(Result::ok).find(|l| l.contains("stored "));
                let number = line?.rsplit(' ').next()?.parse::<i64>();
                number.ok()
            };
            let mut last = 0;
            for _ in 0..=kill * 2 {
                last = stored().expect("the replica works until it is killed");
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // What it said between the last line that was read and its end.
            while let Some(said) = stored() {
                last = said;
            }
            last
        })
        .await
        .unwrap();
        killed.push((writer, said));
    }
    stop.send_replace(true);
    let mut rows = 0;
    for survivor in survivors {
        rows += survivor.await.unwrap();
    }
    assert!(rows > 0);

    for (writer, said) in killed {
        // Asked under the lock: what the killed one had under way has ended by then.
        let mut appender = store.connect().await.unwrap();
        let last = appender.position(WriterId::new(writer)).await.unwrap();
        assert!((said..=said + ROWS).contains(&last), "said {said}, stored {last}");
        assert_eq!(last % ROWS, 0, "all of a batch or nothing");
        rows += last;
    }
    assert_eq!(assert_streams_are_whole(&store).await as i64, rows);
    report("33 writers, one killed", kills, usize::try_from(rows).unwrap());
}
