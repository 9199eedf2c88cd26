//! The command, a log to run it on, and records to find there.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{process::Command, time::timeout};
use tower_activity::{
    PostgresStore, SqliteStore,
    record::{ActorType, Category, Field, Outcome, Record, RecordId, Value, WriterId},
    store::{Append, Appender as _, Batch},
    time::Timestamp,
};

use crate::server::Database;

/// Far longer than anything here takes on a busy machine: only a defect meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs each fact on a log in SQLite and on one in Postgres.
macro_rules! on_both {
    ($($fact:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() { super::$fact($crate::run::Log::sqlite()).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() { super::$fact($crate::run::Log::postgres().await).await; })*
        }
    };
}

/// A place for a log, gone at the end of the test, and a folder to run the command in.
pub(crate) struct Log {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    pub(crate) database: Option<Database>,
}

impl Log {
    pub(crate) fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("activity.db").display());
        Self { folder, url, database: None }
    }

    pub(crate) async fn postgres() -> Self {
        let database = Database::new().await;
        Self { folder: TempDir::new().unwrap(), url: database.url(), database: Some(database) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the command on this log.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = activity(self.folder.path(), arguments);
        command.env("ACTIVITY_STORE", &self.url);
        command
    }

    /// Runs the command on this log to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.command(arguments)).await
    }

    /// Appends records, as a service does.
    pub(crate) async fn append(&self, records: &[Box<Record>]) {
        if self.database.is_some() {
            let store = PostgresStore::open(&self.url).await.unwrap();
            // Longer than any stall of a busy machine.
            append(&store.with_deadline(PATIENCE), records).await;
        } else {
            append(&SqliteStore::open(&self.url).await.unwrap(), records).await;
        }
    }

    /// Returns a log with three records.
    pub(crate) async fn with_three(self) -> Self {
        let records = [
            record(1, "2026-11-19T23:30:00Z", |record| {
                record.action.set("create");
                set_metadata(record, r#"{"amount":4900}"#);
            }),
            record(2, "2026-11-20T12:00:00Z", |record| {
                record.action.set("cancel");
                record.outcome = Outcome::Denied;
                record.actor_id.set("bob");
                record.status = Some(403);
                record.ip = Some("10.0.0.7".parse().unwrap());
            }),
            record(3, "2026-11-20T13:00:00Z", |record| {
                record.action.set("delete");
                record.tenant_id.set("north");
            }),
        ];
        self.append(&records).await;
        self
    }
}

async fn append<S: Append>(store: &S, records: &[Box<Record>]) {
    let mut appender = store.connect().await.unwrap();
    appender.append(Batch::new(records).unwrap()).await.unwrap();
}

/// The record of this number in the only stream.
pub(crate) fn record(seq: i64, at: &str, change: impl FnOnce(&mut Record)) -> Box<Record> {
    let mut record = Record::default();
    record.occurred_at = at.parse().unwrap();
    record.recorded_at = record.occurred_at;
    record.retention_class.set("activity");
    record.action.set("update");
    record.entity_type.set("order");
    record.entity_id.set(&seq.to_string());
    record.actor_id.set("ana");
    record.actor_type = ActorType::User;
    record.outcome = Outcome::Success;
    record.writer_id = WriterId::new(7);
    record.seq = seq;
    change(&mut record);
    let mut random = [7; 10];
    random[2..].copy_from_slice(&seq.to_be_bytes());
    record.id = RecordId::new(record.occurred_at, random);
    record.seal([[1; 16], [2; 16], [3; 16], [4; 16]]);
    Box::new(record)
}

/// Sets the metadata, as JSON.
pub(crate) fn set_metadata(record: &mut Record, json: &str) {
    let field = Field::named("metadata").unwrap();
    field.set(record, Value::Json(json)).unwrap();
}

/// A record that says that others are missing.
pub(crate) fn gap(seq: i64, at: &str, count: u64) -> Box<Record> {
    record(seq, at, |record| {
        record.category = Category::System;
        record.retention_class.set("system");
        record.action.set("gap");
        record.outcome = Outcome::Failure;
        record.outcome_reason.set("queue_full");
        set_metadata(record, &format!(r#"{{"count":{count}}}"#));
    })
}

/// Returns the moment that is so many seconds from now.
pub(crate) fn from_now(seconds: i64) -> String {
    use tower_activity::time::{Clock as _, SystemClock};
    let now = SystemClock::default().now().as_micros();
    Timestamp::from_micros(now + seconds * 1_000_000).to_string()
}

/// Returns the command in `folder`, with nothing of ours in its environment.
pub(crate) fn activity(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_activity"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in [
        "ACTIVITY_ARCHIVE",
        "ACTIVITY_STORE",
        "ACTIVITY_KEYS",
        "ACTIVITY_MODE",
        "ACTIVITY_RULES",
        "ACTIVITY_SPOOL",
        "NO_COLOR",
        "PGPASSWORD",
        "PORT",
        "RUST_LOG",
        "TZ",
    ] {
        command.env_remove(name);
    }
    command
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self { code: output.status.code(), stdout, stderr }
    }

    /// Returns it, if it ended with this code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Reads what was printed as JSON, a value a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

/// Runs a command to its end.
pub(crate) async fn ended(command: &mut Command) -> Ended {
    Ended::of(timeout(PATIENCE, command.output()).await.expect("it ends").expect("it starts"))
}
