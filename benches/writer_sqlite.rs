//! Rows per second into SQLite: ours against a prepared loop of rusqlite on the same table, with the
//! same indexes and triggers, and what ledger and commitments take of it.
//!
//! `cargo bench --bench writer_sqlite [-- --rounds 15]`

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::{hint::black_box, path::Path, time::Instant};

use common::{Case, argument, interleave, is_test, paired, sample::Stream};
use rusqlite::types::Value as Sql;
use tower_activity::{
    ledger::new_entries,
    record::{Canonical, Group, Record, Seal, Value},
    store::{Append as _, Appender as _, Batch, sqlite::SqliteStore},
};

fn main() {
    let rounds = argument("--rounds", if is_test() { 1 } else { 15 });
    let batches = if is_test() { 1 } else { 4 };
    let folder = tempfile::tempdir().unwrap();
    println!(
        "writer_sqlite: WAL, synchronous NORMAL, {} columns, eleven indexes, {rounds} rounds",
        Record::FIELDS.len() + 8
    );
    for rows in [1_000, 5_000] {
        let rows = if is_test() { 10 } else { rows };
        measure(folder.path(), rows, batches, rounds);
    }
}

fn measure(folder: &Path, rows: usize, batches: usize, rounds: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = |name: &str| {
        let path = folder.join(format!("{name}-{rows}.db"));
        let store = runtime.block_on(SqliteStore::open(path.to_str().unwrap())).unwrap();
        (path, store)
    };

    let (_, store) = open("ours");
    let mut appender = runtime.block_on(store.connect()).unwrap();
    let mut stream = Stream::new(1);
    let ours = Case::new("ours: append, with ledger and commitments", || {
        let input: Vec<_> = (0..batches).map(|_| stream.batch(rows)).collect();
        let start = Instant::now();
        for batch in &input {
            runtime.block_on(appender.append(Batch::new(batch).unwrap())).unwrap();
        }
        ((rows * batches) as u64, start.elapsed())
    });

    let (path, _kept) = open("rival");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON;",
        )
        .unwrap();
    let columns: Vec<String> = Record::FIELDS
        .iter()
        .map(|field| field.name().to_owned())
        .chain(["salt", "commitment"].iter().flat_map(|suffix| {
            Group::ERASABLE.iter().map(move |group| format!("{}_{suffix}", group.as_str()))
        }))
        .collect();
    let sql = format!(
        "INSERT INTO activity_records ({}) VALUES ({})",
        columns.join(","),
        vec!["?"; columns.len()].join(",")
    );
    let mut rival_stream = Stream::new(2);
    let rival = Case::new("rusqlite: prepared INSERT per row, no ledger", || {
        let input: Vec<_> = (0..batches).map(|_| rival_stream.batch(rows)).collect();
        let start = Instant::now();
        for batch in &input {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut statement = connection.prepare_cached(&sql).unwrap();
            for record in batch {
                bind(&mut statement, record);
                statement.raw_execute().unwrap();
            }
            drop(statement);
            connection.execute_batch("COMMIT").unwrap();
        }
        ((rows * batches) as u64, start.elapsed())
    });

    let mut hashed = Stream::new(3);
    let mut canonical = Canonical::new();
    let hashing = Case::new("ledger and commitments alone", || {
        let input: Vec<_> = (0..batches).map(|_| hashed.batch(rows)).collect();
        let start = Instant::now();
        for batch in &input {
            black_box(new_entries(batch, &mut canonical));
        }
        ((rows * batches) as u64, start.elapsed())
    });

    let mut cases = [ours, rival, hashing];
    interleave(&mut cases, rounds);
    println!("\n{rows} rows a batch, {} rows a round", rows * batches);
    for case in &cases {
        println!("  {}", case.line());
    }
    let (ratio, low, high) = paired(&cases[1], &cases[0], |rival, ours| rival / ours);
    println!("  ratio ours / rusqlite: {ratio:.2} ({low:.2}–{high:.2}), target ≥ 0.55");
    let (share, low, high) = paired(&cases[2], &cases[0], |hash, ours| 100.0 * hash / ours);
    println!(
        "  share of ledger and commitments: {share:.1} % ({low:.1}–{high:.1}), target ≤ 5 % and ≤ 1 000 ns"
    );
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, record: &Record) {
    let mut index = 0;
    let mut put = |value: &dyn rusqlite::ToSql| {
        index += 1;
        statement.raw_bind_parameter(index, value).unwrap();
    };
    for field in Record::FIELDS {
        match field.value(record) {
            Value::Id(id) => put(&&id.as_bytes()[..]),
            Value::Time(at) => put(&at.as_micros()),
            Value::Integer(number) => put(&number),
            Value::Stream(id) => put(&id.get()),
            Value::Text(text) | Value::Json(text) => put(&text),
            Value::Address(address) => put(&address.to_string()),
            _ => put(&Sql::Null),
        }
    }
    for group in Group::ERASABLE {
        match record.seals.of(group) {
            Seal::Salted(salt) => put(&&salt[..]),
            _ => put(&Sql::Null),
        }
    }
    for group in Group::ERASABLE {
        match record.seals.of(group) {
            Seal::Erased(commitment) => put(&&commitment[..]),
            _ => put(&Sql::Null),
        }
    }
}
