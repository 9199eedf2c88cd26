//! Records and entries as rows; how a record is read is in [`packed`](super::packed).
//!
//! Columns come from [`Record::FIELDS`], in its order, followed by the four salts and the four
//! commitments; a test holds the schema file to the same table.

use std::{fmt::Write as _, sync::Arc, sync::LazyLock};

use sqlx::{
    Arguments as _, Row as _,
    error::BoxDynError,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{
    ledger::{Entry, NewEntry},
    record::{Group, Record, Seal, Value, WriterId},
    time::Timestamp,
};

/// Number of columns of `activity_records`.
const COLUMNS: usize = Record::FIELDS.len() + 2 * Group::ERASABLE.len();

/// How many rows one INSERT takes at most. SQLite would allow 461 (32 766 values), but above a hundred a
/// row costs no less, and the values of a statement are allocated as one piece.
pub(super) const MAX_ROWS: usize = 128;

const _: () = assert!(MAX_ROWS * COLUMNS <= 32_766);

/// The columns, as they stand in statements.
static COLUMN_LIST: LazyLock<String> = LazyLock::new(|| {
    let mut list = String::new();
    for field in Record::FIELDS {
        list.push_str(field.name());
        list.push_str(", ");
    }
    for group in Group::ERASABLE {
        let _infallible = write!(list, "{}_salt, ", group.as_str());
    }
    for group in Group::ERASABLE {
        let _infallible = write!(list, "{}_commitment, ", group.as_str());
    }
    list.truncate(list.len() - 2);
    list
});

/// INSERT statements of 1, 2, 4, … [`MAX_ROWS`] rows: few texts, so that each is prepared once for each
/// connection.
///
/// `OR ROLLBACK`, because a bad row ends the transaction anyway: without it, SQLite copies every page
/// that a statement changes into a journal of that statement, which costs as much as the pages.
static INSERTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let row = format!("({})", vec!["?"; COLUMNS].join(","));
    (0..=MAX_ROWS.ilog2())
        .map(|power| {
            let values = vec![row.as_str(); 1 << power].join(",");
            format!("INSERT OR ROLLBACK INTO activity_records ({}) VALUES {values}", *COLUMN_LIST)
        })
        .collect()
});

/// One INSERT with its values.
pub(super) struct Insert {
    pub(super) sql: &'static str,
    pub(super) arguments: SqliteArguments,
}

impl Insert {
    /// Takes as many records from the front of `records` as one statement takes; `None` when none are
    /// left.
    pub(super) fn next(records: &mut &[Box<Record>]) -> Result<Option<Self>, BoxDynError> {
        if records.is_empty() {
            return Ok(None);
        }
        // The largest power of two that there are records for.
        let power = records.len().min(MAX_ROWS).ilog2();
        let (now, later) = records.split_at(1 << power);
        *records = later;
        let mut arguments = SqliteArguments::default();
        arguments.reserve(now.len() * COLUMNS, 0);
        for record in now {
            bind(&mut arguments, record)?;
        }
        Ok(Some(Self { sql: &INSERTS[power as usize], arguments }))
    }
}

fn bind(arguments: &mut SqliteArguments, record: &Record) -> Result<(), BoxDynError> {
    for field in Record::FIELDS {
        match field.value(record) {
            Value::Null => arguments.add(None::<i64>),
            Value::Id(id) => arguments.add(&id.as_bytes()[..]),
            Value::Time(at) => arguments.add(at.as_micros()),
            Value::Integer(number) => arguments.add(number),
            Value::Stream(id) => arguments.add(id.get()),
            Value::Text(text) | Value::Json(text) => arguments.add(Arc::<str>::from(text)),
            Value::Address(address) => arguments.add(address.to_string()),
        }?;
    }
    for group in Group::ERASABLE {
        match record.seals.of(group) {
            Seal::Salted(salt) => arguments.add(&salt[..]),
            Seal::Empty | Seal::Erased(_) => arguments.add(None::<i64>),
        }?;
    }
    for group in Group::ERASABLE {
        match record.seals.of(group) {
            Seal::Erased(commitment) => arguments.add(&commitment[..]),
            Seal::Empty | Seal::Salted(_) => arguments.add(None::<i64>),
        }?;
    }
    Ok(())
}

/// The beginning of every query for entries.
pub(super) const SELECT_ENTRIES: &str = "SELECT position, epoch, writer_id, first_seq, last_seq, \
     month, class, first_at, last_at, batch_root, committed_at FROM activity_ledger";

/// Adds an entry; its values are bound by [`entry_arguments`].
pub(super) const INSERT_ENTRY: &str = "INSERT INTO activity_ledger (position, epoch, writer_id, \
     first_seq, last_seq, count, month, class, first_at, last_at, batch_root, committed_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(super) fn entry_arguments(entry: &Entry) -> Result<SqliteArguments, BoxDynError> {
    let new = &entry.new;
    let mut arguments = SqliteArguments::default();
    arguments.add(entry.position)?;
    arguments.add(entry.epoch)?;
    arguments.add(new.writer_id.get())?;
    arguments.add(new.first_seq)?;
    arguments.add(new.last_seq)?;
    arguments.add(new.count())?;
    arguments.add(new.month.to_string())?;
    arguments.add(new.class.as_str())?;
    arguments.add(new.first_at.as_micros())?;
    arguments.add(new.last_at.as_micros())?;
    arguments.add(&new.batch_root[..])?;
    arguments.add(entry.committed_at.as_micros())?;
    Ok(arguments)
}

/// Reads a row that [`SELECT_ENTRIES`] asked for.
pub(super) fn entry(row: &SqliteRow) -> Result<Entry, sqlx::Error> {
    let time = |index: usize| row.try_get(index).map(Timestamp::from_micros);
    Ok(Entry {
        position: row.try_get(0)?,
        epoch: row.try_get(1)?,
        new: NewEntry {
            writer_id: WriterId::new(row.try_get(2)?),
            first_seq: row.try_get(3)?,
            last_seq: row.try_get(4)?,
            month: row.try_get::<&str, _>(5)?.parse().map_err(decode)?,
            class: row.try_get(6)?,
            first_at: time(7)?,
            last_at: time(8)?,
            batch_root: array(row.try_get(9)?)?,
        },
        committed_at: time(10)?,
    })
}

pub(super) fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], sqlx::Error> {
    bytes.try_into().map_err(decode)
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_into_few_sizes_of_statements() {
        let records: Vec<Box<Record>> = (0..MAX_ROWS + 11).map(|_| Box::default()).collect();
        let mut left = &records[..];
        let mut sizes = Vec::new();
        while let Some(insert) = Insert::next(&mut left).unwrap() {
            sizes.push(insert.arguments.len() / COLUMNS);
            assert_eq!(insert.sql.matches('?').count(), insert.arguments.len());
        }
        assert_eq!(sizes, [MAX_ROWS, 8, 2, 1]);
    }
}
