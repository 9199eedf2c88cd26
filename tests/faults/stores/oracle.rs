//! What the database holds, read with SQL of the tests' own, against what the clients wrote down.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::Value;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::load::Book;
use crate::{process::reached, table::Row};

/// A database that holds a log.
#[derive(Debug, Clone)]
pub(crate) enum Log {
    Sqlite(PathBuf),
    Postgres(String),
}

/// What matters of a record here.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) writer: i64,
    pub(crate) seq: i64,
    pub(crate) action: String,
    pub(crate) outcome: String,
    pub(crate) reason: String,
    pub(crate) request: String,
    pub(crate) status: Option<i64>,
    pub(crate) metadata: Value,
}

/// An entry of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) position: i64,
    pub(crate) epoch: i64,
    writer: i64,
    first: i64,
    last: i64,
}

const COLUMNS: &str = "writer_id, seq, action, outcome, outcome_reason, request_id, \
                       cast(status as bigint), metadata";
const ENTRIES: &str = "position, epoch, writer_id, first_seq, last_seq";

impl Log {
    /// Returns every record, by stream and number.
    pub(crate) async fn records(&self) -> Vec<Stored> {
        let order = "order by writer_id, seq";
        match self {
            Self::Sqlite(file) => {
                let file = by_hand(file);
                let sql = format!("select {COLUMNS} from activity_records {order}");
                let mut rows = file.prepare(&sql).unwrap();
                let rows = rows.query_map([], |row| {
                    Ok(Stored {
                        writer: row.get(0)?,
                        seq: row.get(1)?,
                        action: row.get::<_, Option<_>>(2)?.unwrap_or_default(),
                        outcome: row.get(3)?,
                        reason: row.get::<_, Option<_>>(4)?.unwrap_or_default(),
                        request: row.get::<_, Option<_>>(5)?.unwrap_or_default(),
                        status: row.get(6)?,
                        metadata: json(row.get(7)?),
                    })
                });
                rows.unwrap().map(Result::unwrap).collect()
            }
            Self::Postgres(url) => {
                let sql = format!("select {COLUMNS}::text from activity.records {order}");
                let text = |row: &sqlx::postgres::PgRow, index| {
                    row.get::<Option<String>, _>(index).unwrap_or_default()
                };
                let stored = |row: &sqlx::postgres::PgRow| Stored {
                    writer: row.get(0),
                    seq: row.get(1),
                    action: text(row, 2),
                    outcome: text(row, 3),
                    reason: text(row, 4),
                    request: text(row, 5),
                    status: row.get(6),
                    metadata: json(row.get(7)),
                };
                query(url, &sql).await.iter().map(stored).collect()
            }
        }
    }

    /// Returns the ledger.
    pub(crate) async fn entries(&self) -> Vec<Entry> {
        match self {
            Self::Sqlite(file) => {
                let file = by_hand(file);
                let sql = format!("select {ENTRIES} from activity_ledger order by position");
                let mut rows = file.prepare(&sql).unwrap();
                let rows = rows.query_map([], |row| {
                    Ok(Entry {
                        position: row.get(0)?,
                        epoch: row.get(1)?,
                        writer: row.get(2)?,
                        first: row.get(3)?,
                        last: row.get(4)?,
                    })
                });
                rows.unwrap().map(Result::unwrap).collect()
            }
            Self::Postgres(url) => {
                let sql =
                    format!("select {ENTRIES} from activity.ledger_entries order by position");
                let entry = |row: &sqlx::postgres::PgRow| Entry {
                    position: row.get(0),
                    epoch: row.get(1),
                    writer: row.get(2),
                    first: row.get(3),
                    last: row.get(4),
                };
                query(url, &sql).await.iter().map(entry).collect()
            }
        }
    }

    /// Returns all records, and the ledger as it was when they were read: somebody may still write.
    async fn whole(&self) -> (Vec<Stored>, Vec<Entry>) {
        let mut before = self.entries().await;
        for _ in 0..1_000 {
            let (records, after) = (self.records().await, self.entries().await);
            if before == after {
                return (records, after);
            }
            before = after;
        }
        panic!("the log grows and grows: it has {} entries", before.len());
    }

    /// Returns how many requests are stored.
    pub(crate) async fn count(&self) -> usize {
        let of = |table| format!("select count(*) from {table} where request_id like 'r-%'");
        let count: i64 = match self {
            Self::Sqlite(file) => {
                by_hand(file).query_row(&of("activity_records"), [], |row| row.get(0)).unwrap()
            }
            Self::Postgres(url) => query(url, &of("activity.records")).await[0].get(0),
        };
        usize::try_from(count).unwrap()
    }

    /// Waits until the requests are stored that were answered up to now.
    pub(crate) async fn arrived(&self, book: &Book) {
        let seen = book.notes().seen.clone();
        let mut missing = seen.clone();
        let stored = reached(seen.len(), async || {
            for record in self.records().await {
                missing.remove(&record.request);
            }
            seen.len() - missing.len()
        });
        let stored = stored.await;
        assert!(stored.is_ok(), "stored of {}: {stored:?}; missing are {missing:?}", seen.len());
    }
}

fn by_hand(file: &Path) -> rusqlite::Connection {
    let file = rusqlite::Connection::open(file).unwrap();
    file.busy_timeout(super::PATIENCE).unwrap();
    file
}

async fn query(url: &str, sql: &str) -> Vec<sqlx::postgres::PgRow> {
    let mut connection = PgConnection::connect(url).await.expect("the test's server answers");
    sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap()
}

fn json(text: Option<String>) -> Value {
    text.map(|text| serde_json::from_str(&text).expect("metadata is JSON")).unwrap_or_default()
}

/// What came of a fault.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) records: Vec<Stored>,
    pub(crate) entries: Vec<Entry>,
}

impl Verdict {
    pub(crate) fn of<'a>(&'a self, action: &'a str) -> impl Iterator<Item = &'a Stored> {
        self.records.iter().filter(move |record| record.action == action)
    }
}

/// Compares, reports the line of the table, and asserts: whatever was answered is stored once, nothing is made up,
/// each stream and the ledger are whole, and nothing is told of as missing.
pub(crate) async fn judge(fault: &'static str, runs: usize, book: &Book, log: &Log) -> Verdict {
    judge_with_stubs(fault, runs, book, log, &BTreeSet::new()).await
}

/// Likewise, where stubs stand for the requests `stubs`.
pub(crate) async fn judge_with_stubs(
    fault: &'static str,
    runs: usize,
    book: &Book,
    log: &Log,
    stubs: &BTreeSet<String>,
) -> Verdict {
    let (records, entries) = log.whole().await;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for record in records.iter().filter(|record| record.request.starts_with("r-")) {
        *counts.entry(&record.request).or_default() += 1;
    }
    for stub in stubs {
        *counts.entry(stub).or_default() += 1;
    }
    let notes = book.notes();
    let lost: Vec<_> = notes.seen.iter().filter(|id| !counts.contains_key(id.as_str())).collect();
    let missing = |record: &Stored| record.metadata["count"].as_u64();
    let gaps = records.iter().filter(|record| record.action == "gap").filter_map(missing).sum();
    let row = Row {
        fault,
        runs: runs as u64,
        sent: notes.sent.len() as u64,
        stored: counts.values().sum(),
        lost: lost.len() as u64,
        duplicated: counts.values().map(|count| count - 1).sum(),
        gaps,
    };
    row.report();
    assert!(lost.is_empty(), "answered and not stored: {lost:?}");
    assert_eq!(row.duplicated, 0);
    assert_eq!(gaps, 0, "nothing is missing");
    let sent: BTreeSet<_> = notes.sent.iter().map(String::as_str).collect();
    assert!(counts.keys().all(|id| sent.contains(id)), "nothing is made up");
    assert_whole(&records, &entries);
    Verdict { records: records.clone(), entries: entries.clone() }
}

/// Asserts that each stream and the ledger are whole.
fn assert_whole(records: &[Stored], entries: &[Entry]) {
    let mut streams: BTreeMap<i64, i64> = BTreeMap::new();
    for record in records {
        let last = streams.entry(record.writer).or_default();
        assert_eq!(record.seq, *last + 1, "stream {}", record.writer);
        *last = record.seq;
    }
    let mut told: BTreeMap<i64, i64> = BTreeMap::new();
    for (entry, position) in entries.iter().zip(1..) {
        assert_eq!(entry.position, position);
        let last = told.entry(entry.writer).or_default();
        assert_eq!(entry.first, *last + 1, "the ledger of stream {}", entry.writer);
        *last = entry.last;
    }
    assert_eq!(streams, told, "the ledger knows of every record");
}
