//! Faults between the writer and a file that other processes use as well. The numbers in parentheses are
//! those of the project's list of faults.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use tower_activity::{
    pipeline::Pipeline,
    record::{Actor, Record, WriterId},
    store::{Append as _, Appender as _, Batch, Read as _, StoreErrorKind, sqlite::SqliteStore},
};

use super::InFile;
use crate::{
    records::stream,
    suite::{Fixture as _, all, append},
    tried::Tried,
};

async fn started(store: &Tried<SqliteStore>) -> Pipeline {
    let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
    create(&pipeline, 0..10);
    pipeline.flush().await;
    pipeline
}

fn create(pipeline: &Pipeline, orders: std::ops::Range<usize>) {
    for order in orders {
        let record = Record::by(Actor::user("ana")).created("order", &order.to_string());
        assert!(pipeline.recorder().record(record).is_accepted(), "order {order}");
    }
}

/// Asserts that ten records are held and none was given up; then ends the pipeline.
async fn held(pipeline: &Pipeline, store: &Tried<SqliteStore>) {
    store.in_vain(3).await;
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.queued, tally.quarantined), (10, 10, 0));
    assert_eq!(tally.dropped.total(), 0);
}

async fn assert_all_arrive(pipeline: Pipeline, store: &SqliteStore) {
    let report = pipeline.shutdown(Duration::from_secs(30)).await;
    assert_eq!((report.received, report.stored, report.quarantined), (20, 20, 0), "{report}");
    let mut orders: Vec<usize> = all(store)
        .await
        .iter()
        .filter(|record| record.action == "create")
        .map(|record| record.entity_id.parse().unwrap())
        .collect();
    orders.sort_unstable();
    assert!(orders.into_iter().eq(0..20), "each order once");
    let entries = store.entries(0, 1_000).await.unwrap();
    assert!(entries.iter().map(|entry| entry.position).eq(1..=entries.len() as i64));
}

/// (11) A table that is missing for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_table_holds_the_records_until_it_is_back() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let tried = Tried::of(&store);
    let pipeline = started(&tried).await;
    let by_hand = fixture.by_hand();
    by_hand.execute_batch("ALTER TABLE activity_ledger RENAME TO elsewhere").unwrap();
    create(&pipeline, 10..20);
    held(&pipeline, &tried).await;
    by_hand.execute_batch("ALTER TABLE elsewhere RENAME TO activity_ledger").unwrap();
    assert_all_arrive(pipeline, &store).await;
}

/// (11) A trigger of somebody else's, which refuses every row: no row is to blame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_that_refuses_holds_the_records_until_it_is_gone() {
    for table in ["activity_records", "activity_ledger"] {
        let fixture = InFile::new().await;
        let store = fixture.open().await;
        let tried = Tried::of(&store);
        let pipeline = started(&tried).await;
        let by_hand = fixture.by_hand();
        let refuse = format!(
            "CREATE TRIGGER frozen BEFORE INSERT ON {table} \
             BEGIN SELECT RAISE(ABORT, 'no more of it'); END"
        );
        by_hand.execute_batch(&refuse).unwrap();
        let refused = append(&store, &stream(5, 1..=3)).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Configuration, "{refused:?}");
        create(&pipeline, 10..20);
        held(&pipeline, &tried).await;
        by_hand.execute_batch("DROP TRIGGER frozen").unwrap();
        assert_all_arrive(pipeline, &store).await;
    }
}

/// (8) Another process holds the lock for longer than a connection waits, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_costs_nothing_but_time() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let tried = Tried::of(&store);
    let pipeline = started(&tried).await;
    let by_hand = fixture.by_hand();
    by_hand.execute_batch("BEGIN IMMEDIATE").unwrap();
    create(&pipeline, 10..20);
    tried.in_vain(1).await;
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.queued, tally.dropped.total()), (10, 10, 0));
    by_hand.execute_batch("ROLLBACK").unwrap();
    assert_all_arrive(pipeline, &store).await;
}

/// (24) Bad rows among good ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_become_stubs_and_good_ones_are_stored() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    // An index that somebody added, on which a value may be there once.
    fixture
        .by_hand()
        .execute_batch(
            "CREATE UNIQUE INDEX once ON activity_records (description) \
             WHERE description IS NOT NULL",
        )
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for bad in [1_usize, 10, 100] {
        let kept = folder.path().join(format!("{bad}.jsonl"));
        let pipeline = Pipeline::builder(store.clone())
            .batch_rows(500)
            .batch_age(Duration::from_secs(60))
            .quarantine(&kept)
            .start()
            .await
            .unwrap();
        let entity = format!("batch-of-{bad}");
        for order in 0..500_usize {
            let mut record = Record::by(Actor::user("ana")).created(&entity, &order.to_string());
            if order == 0 || order % (500 / bad) == (500 / bad) - 1 {
                record = record.describe(&entity);
            }
            assert!(pipeline.recorder().record(record).is_accepted());
        }
        let report = pipeline.shutdown(Duration::from_secs(60)).await;
        assert_eq!((report.received, report.stored, report.dropped.total()), (500, 500, 0));
        assert_eq!(report.quarantined, bad as u64);
        assert_eq!(fs::read_to_string(&kept).unwrap().lines().count(), bad);
        let stored = all(&store).await;
        let mine = stored.iter().filter(|record| record.entity_type == entity.as_str());
        assert_eq!(mine.clone().count(), 500);
        assert_eq!(mine.filter(|record| record.outcome_reason == "quarantined").count(), bad);
    }
    for entry in store.entries(0, 10_000).await.unwrap() {
        let stored = store.entry_records(&entry).await.unwrap();
        let seqs = stored.iter().map(|record| record.seq);
        assert!(seqs.eq(entry.new.first_seq..=entry.new.last_seq));
    }
}

const FILE: &str = "ACTIVITY_TEST_KILLED_FILE";
const WRITER: &str = "ACTIVITY_TEST_KILLED_WRITER";
const ROWS: i64 = 40;

/// Appends without end, and says on stdout how far it has come. Does nothing but in a process that was
/// started to be killed.
#[tokio::test]
async fn killed() {
    let (Ok(file), Ok(writer)) = (env::var(FILE), env::var(WRITER)) else { return };
    let writer: i64 = writer.parse().unwrap();
    let mut appender = SqliteStore::open(&file).await.unwrap().connect().await.unwrap();
    for first in (1..).step_by(ROWS as usize) {
        let records = stream(writer, first..first + ROWS);
        appender.append(Batch::new(&records).unwrap()).await.unwrap();
        writeln!(std::io::stdout(), "stored {}", first + ROWS - 1).unwrap();
    }
}

/// (33) Processes on one file, killed one after the other, beside one that lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_its_stream_whole_and_the_others_alone() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let stop = tokio::sync::watch::Sender::new(false);
    let survivor = tokio::spawn({
        let (store, stop) = (store.clone(), stop.subscribe());
        async move {
            let mut appender = store.connect().await.unwrap();
            let mut first = 1;
            while !*stop.borrow() {
                let records = stream(1, first..first + 5);
                appender.append(Batch::new(&records).unwrap()).await.unwrap();
                first += 5;
            }
            first - 1
        }
    });
    let mut killed = Vec::new();
    for kill in 0..4_usize {
        let (file, writer) = (fixture.path(), 100 + kill as i64);
        let said = tokio::task::spawn_blocking(move || {
            let mut child = Command::new(env::current_exe().unwrap())
                .args(["--exact", "sqlite::faults::killed", "--nocapture"])
                .env(FILE, file)
                .env(WRITER, writer.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut stored = || {
                let line = lines.by_ref().map_while(Result::ok).find(|l| l.contains("stored "));
                line?.rsplit(' ').next()?.parse::<i64>().ok()
            };
            let mut last = 0;
            for _ in 0..=kill * 3 {
                last = stored().expect("the process works until it is killed");
            }
            child.kill().unwrap();
            child.wait().unwrap();
            while let Some(said) = stored() {
                last = said;
            }
            last
        });
        killed.push((writer, said.await.unwrap()));
    }
    stop.send_replace(true);
    let mut rows = survivor.await.unwrap();
    let mut asked = store.connect().await.unwrap();
    for (writer, said) in killed {
        let last = asked.position(WriterId::new(writer)).await.unwrap();
        assert!((said..=said + ROWS).contains(&last), "said {said}, stored {last}");
        assert_eq!(last % ROWS, 0, "all of a batch or nothing");
        rows += last;
    }
    let entries = store.entries(0, 1_000_000).await.unwrap();
    assert!(entries.iter().map(|entry| entry.position).eq(1..=entries.len() as i64));
    let mut found = 0;
    for entry in &entries {
        let stored = store.entry_records(entry).await.unwrap();
        assert!(stored.iter().map(|r| r.seq).eq(entry.new.first_seq..=entry.new.last_seq));
        found += stored.len() as i64;
    }
    assert_eq!(found, rows);
}
