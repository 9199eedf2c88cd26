//! What the database holds, read with SQL of the tests' own, against what the clients wrote down.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
};

use sqlx::{Connection as _, PgConnection, Row as _};

use super::load::{Book, NAME};
use crate::{
    oracle::{Stored, compare, in_file, in_postgres},
    process::reached,
};

/// A database that holds a log.
#[derive(Debug, Clone)]
pub(crate) enum Log {
    Sqlite(PathBuf),
    Postgres(String),
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

const ENTRIES: &str = "position, epoch, writer_id, first_seq, last_seq";

impl Log {
    /// Returns every record.
    pub(crate) async fn records(&self) -> Vec<Stored> {
        match self {
            Self::Sqlite(file) => in_file(file),
            Self::Postgres(url) => in_postgres(url).await,
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
        let of = |table| format!("select count(*) from {table} where request_id like '{NAME}%'");
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
        let seen: HashSet<_> = book.notes().seen.keys().cloned().collect();
        let mut missing = seen.clone();
        let stored = reached(seen.len(), async || {
            for record in self.records().await {
                missing.remove(&record.request_id);
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
    let (mut rows, notes) = (records.clone(), book.notes());
    // Tests also ask for the log, and hand records in: not by a name from the book.
    rows.iter_mut().filter(|r| !r.request_id.starts_with(NAME)).for_each(|r| r.request_id.clear());
    let mut found = compare(&notes, &rows);
    assert!(rows.iter().all(|row| !stubs.contains(&row.request_id)), "a stub, and the record too");
    found.lost.retain(|id| !stubs.contains(id));
    found.stored += stubs.len() as u64;
    found.row(fault, runs, &notes).report();
    found.assert_whole();
    assert_eq!(found.gaps, 0, "nothing is missing");
    assert_in_ledger(&records, &entries);
    Verdict { records, entries }
}

/// Asserts that the ledger is whole, and knows of every record.
fn assert_in_ledger(records: &[Stored], entries: &[Entry]) {
    let mut streams: BTreeMap<i64, i64> = BTreeMap::new();
    for record in records {
        let last = streams.entry(record.writer_id).or_default();
        *last = record.seq.max(*last);
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
