//! `activity subject erase` reaches what lies outside of the log: spools of processes that are down, and quarantine files.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::process::Command;
use tower_activity::{
    Keys, Pipeline, PostgresStore, SqliteStore,
    record::{Actor, Record},
    store::Append,
};

use crate::{
    away::Away,
    run::{Log, PATIENCE, record},
};

on_both!(
    a_spool_at_rest_is_emptied_and_what_is_sent_later_was_erased,
    a_spool_in_use_is_refused_and_nobody_is_erased,
    a_quarantine_file_is_emptied_line_by_line,
);

const NAME: &str = "Annabel Featherstonehaugh";

/// Begins to record with a store that is away: six records, every other one of hers.
async fn recording(folder: &Path, keys: &Keys) -> Pipeline {
    let pipeline = Pipeline::builder(Away).keys(keys.clone()).spool(folder).start().await.unwrap();
    for thing in 0..6 {
        let actor =
            if thing % 2 == 0 { Actor::user("ana").named(NAME) } else { Actor::user("bob") };
        let record = Record::by(actor).verb("update").on("order", &thing.to_string());
        pipeline.recorder().record(record.metadata(&"x".repeat(2_000)));
    }
    pipeline
}

/// Leaves these records in a spool.
async fn left(log: &Log) -> PathBuf {
    let keys = Keys::open(log.path("log.keys")).unwrap();
    let folder = log.path("spool");
    let report = recording(&folder, &keys).await.shutdown(Duration::ZERO).await;
    assert_eq!(report.spooled, 6);
    // The folder is given back by a thread that syncs first.
    let lock = fs::File::open(folder.join("lock")).unwrap();
    tokio::task::spawn_blocking(move || lock.lock()).await.unwrap().unwrap();
    folder
}

fn names_her_in(path: &Path) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().any(|entry| names_her_in(&entry.unwrap().path()));
    }
    let bytes = fs::read(path).unwrap();
    bytes.windows(NAME.len()).any(|part| part == NAME.as_bytes())
}

const ERASE: [&str; 8] =
    ["subject", "erase", "ana", "--keys", "log.keys", "--basis", "GDPR Art. 17", "--alone"];

fn erase<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&ERASE[..], more].concat()
}

fn place<'v>(told: &'v Value, name: &str) -> &'v Value {
    told["places"].as_array().unwrap().iter().find(|place| place["place"] == name).unwrap()
}

/// Sends what waits in a spool, as the service does that is started again.
async fn sent<S: Append>(store: S, folder: &Path, keys: Keys, log: &Log) -> Vec<Value> {
    let pipeline = Pipeline::builder(store).keys(keys).spool(folder).start().await.unwrap();
    let begun = std::time::Instant::now();
    loop {
        pipeline.flush().await;
        let query = ["query", "entity_type:order", "--oldest", "--output", "json"];
        let stored = log.run(&query).await.with(0).json();
        if stored.len() >= 6 {
            pipeline.shutdown(PATIENCE).await;
            return stored;
        }
        assert!(begun.elapsed() < PATIENCE, "{stored:?}");
    }
}

async fn a_spool_at_rest_is_emptied_and_what_is_sent_later_was_erased(log: Log) {
    log.run(&["migrate"]).await.with(0);
    let folder = left(&log).await;
    assert!(names_her_in(&folder));
    let plan = log.run(&erase(&["--spool", "spool", "--dry-run"])).await.with(0);
    let told = &plan.json()[0];
    assert_eq!((&told["records"], &told["spools"][0]["records"]), (&json!(0), &json!(3)));
    assert!(names_her_in(&folder), "a dry run changes nothing");

    let done = log.run(&erase(&["--spool", "spool", "--certificate", "ana.json"])).await.with(0);
    let told = &done.json()[0];
    let spool = &told["spools"][0];
    assert_eq!(
        (&spool["location"], &spool["files"], &spool["records"], &spool["unreadable"]),
        (&json!("spool"), &json!(1), &json!(3), &json!(0))
    );
    assert_eq!(place(told, "spool")["reached"], json!(true));
    assert_eq!(place(told, "quarantine")["reached"], json!(false));
    assert!(!names_her_in(&folder));
    let kept: Value = serde_json::from_slice(&fs::read(log.path("ana.json")).unwrap()).unwrap();
    assert_eq!(&kept, told);

    let keys = Keys::open(log.path("log.keys")).unwrap();
    let stored = match &log.database {
        None => sent(SqliteStore::open(&log.url).await.unwrap(), &folder, keys, &log).await,
        Some(_) => sent(PostgresStore::open(&log.url).await.unwrap(), &folder, keys, &log).await,
    };
    for (thing, record) in stored.iter().enumerate() {
        assert_eq!(record["entity_id"], json!(thing.to_string()));
        let is_hers = thing % 2 == 0;
        let actor = if is_hers { Value::Null } else { json!("bob") };
        assert_eq!((&record["actor_id"], record["metadata"].is_null()), (&actor, is_hers));
        assert_eq!(record["redactions"].to_string().contains("erased"), is_hers);
    }
    let verified = log.run(&["verify", "--keys", "log.keys"]).await;
    assert!(matches!(verified.code, Some(0 | 2)), "{verified:?}");
    // On a terminal it is said in words.
    let said = log.run(&erase(&["--spool", "spool", "--output", "table"])).await.with(0).stdout;
    assert!(said.contains("In the spool spool: 0 records were erased from"), "{said}");
}

async fn a_spool_in_use_is_refused_and_nobody_is_erased(log: Log) {
    log.append(&[record(1, "2026-11-20T12:00:01Z", |_| {})]).await;
    let keys = Keys::open(log.path("log.keys")).unwrap();
    let running = recording(&log.path("spool"), &keys).await;
    for more in [&["--spool", "spool"][..], &["--spool", "spool", "--dry-run"]] {
        let refused = log.run(&erase(more)).await.with(3);
        assert!(refused.stderr.contains("stop that one first"), "{}", refused.stderr);
        assert!(refused.stderr.contains("nobody was erased"), "{}", refused.stderr);
    }
    for more in [&["--spool", "nothing"][..], &["--spool", "."], &["--quarantine", "nothing"]] {
        let refused = log.run(&erase(more)).await.with(3);
        assert!(refused.stderr.contains("cannot erase in"), "{}", refused.stderr);
    }
    running.shutdown(Duration::ZERO).await;
    let query = ["query", "actor_id:ana", "--output", "json"];
    assert_eq!(log.run(&query).await.with(0).json().len(), 1, "nothing of the log is gone either");
}

async fn a_quarantine_file_is_emptied_line_by_line(log: Log) {
    log.append(&[record(1, "2026-11-20T12:00:01Z", |_| {})]).await;
    let of = |seq, name: &str| {
        let record = record(seq, "2026-11-20T12:00:02Z", |record| {
            record.actor_id.set(name);
            record.actor_name.set(NAME);
        });
        json!({ "quarantined_at": "2026-11-20T12:00:03Z", "error": "no", "record": *record })
    };
    let lines = [of(2, "ana").to_string(), of(3, "bob").to_string(), "not JSON".to_owned()];
    fs::write(log.path("quarantine.jsonl"), lines.join("\n")).unwrap();
    let done = log.run(&erase(&["--quarantine", "quarantine.jsonl"])).await.with(0);
    let told = &done.json()[0];
    let file = &told["quarantines"][0];
    assert_eq!((&file["records"], &file["unreadable"]), (&json!(1), &json!(1)));
    assert_eq!(place(told, "quarantine")["reached"], json!(false), "of a line nobody knows");
    let text = fs::read_to_string(log.path("quarantine.jsonl")).unwrap();
    let after: Vec<_> = text.split('\n').collect();
    assert_eq!(after[1..], lines[1..]);
    let line: Value = serde_json::from_str(after[0]).unwrap();
    assert_eq!((&line["record"]["actor_id"], &line["record"]["seq"]), (&Value::Null, &json!(2)));
    assert!(!after[0].contains(NAME) && after[0].contains("\"erased\""), "{}", after[0]);
}

/// Runs the command under strace, which kills it at the nth call that is about a file.
async fn killed(log: &Log, arguments: &[&str], file: &Path, nth: usize) -> Option<i32> {
    let strace = env::var_os("TEST_STRACE").map_or_else(|| "strace".into(), PathBuf::from);
    let mut command = Command::new(strace);
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-P"])
        .arg(file)
        .args(["-e", "trace=%file,%desc", "-e"])
        .arg(format!("inject=%file,%desc:signal=KILL:when={nth}"))
        .arg(env!("CARGO_BIN_EXE_activity"))
        .args(arguments)
        .env("ACTIVITY_STORE", &log.url)
        .current_dir(log.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.status()).await.expect("it ends");
    ended.expect("no strace: install the Debian package, or set TEST_STRACE to its path").code()
}

/// Returns the files of the only stream, and the frames of its only segment.
fn frames(folder: &Path) -> (Vec<PathBuf>, Vec<Vec<u8>>) {
    let stream = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let stream = stream.filter(|path| path.is_dir() && !path.ends_with("quarantine")).last();
    let files = fs::read_dir(stream.unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.collect();
    let segment = files.iter().find(|path| path.extension().unwrap() == "seg").unwrap();
    let bytes = fs::read(segment).unwrap();
    let (mut at, mut frames) = (1_024, Vec::new());
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize + 20;
        frames.push(bytes[at..at + len].to_vec());
        at += len;
    }
    (files, frames)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => fs::copy(&path, target).map(drop).unwrap(),
        }
    }
}

/// Whichever call about the copy of a segment is its last one: the segment is what it was or what it is to be, and the
/// next attempt comes to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_is_killed_amid_a_spool_loses_nothing() {
    let log = Log::sqlite();
    log.run(&["migrate"]).await.with(0);
    let left = left(&log).await;
    let (_, before) = frames(&left);
    let mut kills = 0;
    loop {
        // By its whole name, which is how strace knows it.
        let folder = log.path(&format!("spool{kills}"));
        let name = folder.to_str().unwrap();
        copy(&left, &folder);
        let (files, _) = frames(&folder);
        let mut fresh = files[0].clone().into_os_string();
        fresh.push(".new");
        let arguments = erase(&["--spool", name]);
        let code = killed(&log, &arguments, Path::new(&fresh), kills + 1).await;
        let (_, now) = frames(&folder);
        assert_eq!(now.len(), before.len(), "{kills}");
        let changed = now.iter().zip(&before).filter(|(now, before)| now != before).count();
        assert!([0, 3].contains(&changed), "all of it or nothing: {changed}");
        if code == Some(0) {
            assert_eq!(changed, 3);
            break;
        }
        assert_eq!(code, None, "it was killed");
        kills += 1;
        log.run(&arguments).await.with(0);
        let (files, now) = frames(&folder);
        assert_eq!((files.len(), now.len()), (1, before.len()), "{kills}");
        assert!(!names_her_in(&folder), "{kills}");
    }
    // Removed, made, written, synced, read back, given its mode, renamed.
    assert!(kills >= 6, "{kills}");
    let keys = Keys::open(log.path("log.keys")).unwrap();
    let folder = log.path("spool0");
    let stored = sent(SqliteStore::open(&log.url).await.unwrap(), &folder, keys, &log).await;
    assert_eq!(stored.len(), 6);
}
