//! How fast months go into an archive: read from the log, written, read back from the disk and verified; against plain
//! Parquet, the same rows in the same columns with the same zstd, to the same disk, and nothing more.
//!
//! `scripts/bench archive [--rows 200000] [--rounds 9]`
//!
//! The rival is handed its records in memory. It writes with the column writers of the crate `parquet`, which are those
//! that its `ArrowWriter` writes with: once from columns that lie ready, as batches of Arrow would, once from records.
//! Ours is asked of a log in memory, so that both begin alike, and of one in SQLite.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::{
    cell::Cell,
    fs::File,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{Case, argument, interleave, is_test, paired, sample::Stream};
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};
use tokio::runtime::Runtime;
use tower_activity::{
    SqliteStore,
    archive::{Archive, ArchiveAudit},
    ledger::verify::Verdict,
    record::{Canonical, Group, Kind, Record, Value},
    store::{AnyStore, Append, Appender as _, Batch, Evidence as _, MemoryStore, Retain as _},
    time::{Clock as _, SystemClock},
};

const BATCH: usize = 5_000;
/// Rows of a row group, as an archive has them.
const GROUP: usize = 10_000;
const SEED: [u8; 32] = [9; 32];

/// What came of it beside the time.
#[derive(Default)]
struct Seen {
    verified: Cell<Duration>,
    /// Bytes of the files.
    ours: Cell<u64>,
    plain: Cell<u64>,
}

fn main() {
    let rows = argument("--rows", if is_test() { 1_000 } else { 200_000 });
    let rounds = argument("--rounds", if is_test() { 1 } else { 9 });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    println!("archive: {rows} records, {rounds} rounds, in {}", folder.path().display());
    let records = Stream::new(1).batch(rows);
    let mut canonical = Canonical::new();
    let commitments: Vec<_> = records
        .iter()
        .map(|record| Group::ERASABLE.map(|group| canonical.commitment(record, group)))
        .collect();
    let memory = MemoryStore::new();
    let path = folder.path().join("log.db");
    let sqlite = runtime.block_on(SqliteStore::open(path.to_str().unwrap())).unwrap();
    runtime.block_on(async {
        fill(&memory, &records).await;
        fill(&sqlite, &records).await;
    });
    let (memory, sqlite) = (AnyStore::new(memory), AnyStore::new(sqlite));
    let (to, seen) = (folder.path().join("to"), Seen::default());
    let ours = |name: &str, log: AnyStore| {
        let (runtime, to, seen) = (&runtime, &to, &seen);
        Case::new(name, move || (rows as u64, archived(runtime, &log, to, rows, seen)))
    };
    let plain = |name: &str, ready: bool| {
        let (records, commitments, to, seen) = (&records, &commitments, &to, &seen);
        Case::new(name, move || (rows as u64, written(records, commitments, to, ready, seen)))
    };
    let mut cases = [
        ours("archive, from memory", memory),
        ours("archive, from SQLite", sqlite.clone()),
        plain("plain Parquet, from columns", true),
        plain("plain Parquet, from records", false),
        Case::new("reading the log in SQLite, alone", || {
            (rows as u64, read(&runtime, &sqlite, rows))
        }),
    ];
    interleave(&mut cases, rounds);
    for case in &cases {
        println!("  {}", case.line());
    }
    for (ours, rival) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        let (ratio, low, high) = paired(&cases[ours], &cases[rival], |ours, rival| rival / ours);
        println!(
            "  {} / {}: {ratio:.2} ({low:.2} to {high:.2}), target ≥ 0.25",
            cases[ours].name, cases[rival].name
        );
    }
    let verified = seen.verified.get().as_nanos() as f64 / (2 * (rounds + 1) * rows) as f64;
    println!(
        "  verifying once more, alone: {verified:.0} ns/row; {} bytes a row, plain {}",
        seen.ours.get() / rows as u64,
        seen.plain.get() / rows as u64
    );
}

async fn fill<S: Append>(store: &S, records: &[Box<Record>]) {
    let mut appender = store.connect().await.unwrap();
    for batch in records.chunks(BATCH) {
        appender.append(Batch::new(batch).unwrap()).await.unwrap();
    }
}

/// Archives the month into an empty folder; the head is signed anew, everything is synced, read back and verified.
fn archived(runtime: &Runtime, log: &AnyStore, to: &Path, rows: usize, seen: &Seen) -> Duration {
    let now = SystemClock::default().now();
    let archive = Archive::open(to.to_str().unwrap()).unwrap();
    let took = runtime.block_on(async {
        let unit = log.units().await.unwrap().remove(0).unit;
        let start = Instant::now();
        let session = archive.begin(log, &[SEED], now).await.unwrap().unwrap();
        let parts = session.unit(&unit, |_part| {}).await.unwrap();
        let took = start.elapsed();
        assert_eq!(parts.iter().map(|part| part.manifest.records).sum::<u64>(), rows as u64);
        let files = parts.iter().map(|part| &part.manifest.files);
        seen.ours.set(files.map(|files| files.records.bytes + files.personal.bytes).sum());
        let start = Instant::now();
        let report = archive.verify(&ArchiveAudit::new(), |_records| {}).await.unwrap();
        seen.verified.set(seen.verified.get() + start.elapsed());
        assert_eq!((report.verdict(), report.records), (Verdict::Unaltered, rows as u64));
        took
    });
    std::fs::remove_dir_all(to).unwrap();
    took
}

/// Reads all records as the archive does, and does nothing with them.
fn read(runtime: &Runtime, log: &AnyStore, rows: usize) -> Duration {
    runtime.block_on(async {
        let stream = log.ledger_rows(0, 1).await.unwrap().remove(0).entry.unwrap().new.writer_id;
        let start = Instant::now();
        let mut next = 1;
        loop {
            let page = log.record_rows(stream, next, rows as i64, 2_000).await.unwrap();
            let Some(last) = page.last() else { break };
            next = last.seq + 1;
        }
        assert_eq!(next, rows as i64 + 1);
        start.elapsed()
    })
}

type Commitments = [Option<[u8; 32]>; 4];

/// A column of a row group, and which of its rows have a value.
#[derive(Default)]
struct Column {
    name: String,
    logical: Option<LogicalType>,
    is_number: bool,
    numbers: Vec<i64>,
    bytes: Vec<ByteArray>,
    levels: Vec<i16>,
}

impl Column {
    fn new(name: &str, is_number: bool, logical: Option<LogicalType>) -> Self {
        Self { name: name.to_owned(), is_number, logical, ..Self::default() }
    }

    fn number(&mut self, number: i64) {
        self.numbers.push(number);
        self.levels.push(1);
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.levels.push(i16::from(bytes.is_some()));
        self.bytes.extend(bytes.map(|bytes| Bytes::copy_from_slice(bytes).into()));
    }
}

/// The columns of both files of an archive, without anything in them.
fn columns() -> Vec<Column> {
    let mut columns =
        vec![Column::new("position", true, None), Column::new("entry_index", true, None)];
    columns.extend(Record::FIELDS.iter().map(|field| match field.kind() {
        Kind::Time => {
            Column::new(field.name(), true, Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
        }
        Kind::Integer | Kind::Stream => Column::new(field.name(), true, None),
        _ => Column::new(field.name(), false, Some(LogicalType::String)),
    }));
    for group in Group::ERASABLE {
        for what in ["salt", "commitment"] {
            columns.push(Column::new(&format!("{}_{what}", group.as_str()), false, None));
        }
    }
    columns
}

fn turned(first: usize, records: &[Box<Record>], commitments: &[Commitments]) -> Vec<Column> {
    let mut all = columns();
    for (index, (record, commitments)) in (first..).zip(records.iter().zip(commitments)) {
        let mut columns = all.iter_mut();
        let mut next = || columns.next().unwrap();
        next().number((index / BATCH) as i64 + 1);
        next().number((index % BATCH) as i64);
        for field in Record::FIELDS {
            let column = next();
            match field.value(record) {
                Value::Null => column.levels.push(0),
                Value::Id(id) => column.bytes(Some(id.to_string().as_bytes())),
                Value::Time(at) => column.number(at.as_micros()),
                Value::Integer(number) => column.number(number),
                Value::Stream(id) => column.number(id.get()),
                Value::Text(text) | Value::Json(text) => column.bytes(Some(text.as_bytes())),
                Value::Address(ip) => column.bytes(Some(ip.to_string().as_bytes())),
                _ => unreachable!("a value of another kind"),
            }
        }
        for (group, commitment) in Group::ERASABLE.into_iter().zip(commitments) {
            next().bytes(record.seals.salt(group).map(|salt| &salt[..]));
            next().bytes(commitment.as_ref().map(|commitment| &commitment[..]));
        }
    }
    all
}

/// Writes a file and syncs it; what it takes to turn records into columns counts unless they lie ready.
fn written(
    records: &[Box<Record>],
    commitments: &[Commitments],
    to: &Path,
    ready: bool,
    seen: &Seen,
) -> Duration {
    let fields = columns().into_iter().map(|column| {
        let physical = if column.is_number { Physical::INT64 } else { Physical::BYTE_ARRAY };
        let field = Type::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(column.logical);
        Arc::new(field.build().unwrap())
    });
    let schema = Type::group_type_builder("records").with_fields(fields.collect()).build();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut took = Duration::ZERO;
    let mut start = Instant::now();
    let file = File::create(to).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema.unwrap()), Arc::new(properties)).unwrap();
    for (group, (records, commitments)) in
        records.chunks(GROUP).zip(commitments.chunks(GROUP)).enumerate()
    {
        took += start.elapsed();
        start = Instant::now();
        let columns = turned(group * GROUP, records, commitments);
        if ready {
            start = Instant::now();
        }
        let mut rows = writer.next_row_group().unwrap();
        for column in &columns {
            let mut out = rows.next_column().unwrap().unwrap();
            let levels = Some(&*column.levels);
            match out.untyped() {
                ColumnWriter::Int64ColumnWriter(out) => {
                    out.write_batch(&column.numbers, levels, None).unwrap();
                }
                ColumnWriter::ByteArrayColumnWriter(out) => {
                    out.write_batch(&column.bytes, levels, None).unwrap();
                }
                _ => unreachable!("a column of another type"),
            }
            out.close().unwrap();
        }
        rows.close().unwrap();
    }
    writer.into_inner().unwrap().sync_all().unwrap();
    took += start.elapsed();
    seen.plain.set(std::fs::metadata(to).unwrap().len());
    std::fs::remove_file(to).unwrap();
    took
}
