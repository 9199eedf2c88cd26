//! Records for a verification, many to a row.
//!
//! The library hands each row of SQLite from one thread to another, which costs more than to read a record: so SQLite writes
//! some hundred records into one row, a line for each.

use std::{fmt, future::poll_fn, ops::RangeInclusive, str, sync::Arc, sync::LazyLock};

use futures_core::Stream as _;
use sqlx::{AssertSqlSafe, Row as _, SqlitePool};

use super::packed::{self, PACKED};
use crate::{
    ledger::verify::{RecordRow, WrittenRow},
    record::{Record, RecordId, WriterId, unhex},
};

/// So many numbers lie in one row at most. There may be more records of them, if somebody made a second one of a number.
const NUMBERS: i64 = 250;

/// Of stream `?1` the records from `?2` to `?3`, at most `?4` of them but for others of the last number; and all that was there
/// at one moment.
///
/// A line has the number, the id as hexadecimal digits, and the record. The last is JSON: it has no line feed.
static SELECT_BUNCHES: LazyLock<String> = LazyLock::new(|| {
    let of_stream = "activity_records WHERE writer_id = ?1 AND seq";
    let last = NUMBERS - 1;
    format!(
        "WITH RECURSIVE \
         bound (up_to) AS MATERIALIZED ( \
             SELECT coalesce((SELECT seq FROM {of_stream} BETWEEN ?2 AND ?3 \
                 ORDER BY seq LIMIT 1 OFFSET ?4 - 1), ?3) \
         ), \
         bunch (first) AS ( \
             SELECT min(seq) FROM {of_stream} BETWEEN ?2 AND (SELECT up_to FROM bound) \
             UNION ALL \
             SELECT (SELECT min(seq) FROM {of_stream} > first + {last} \
                 AND seq <= (SELECT up_to FROM bound)) \
             FROM bunch WHERE first IS NOT NULL \
         ) \
         SELECT (SELECT CAST(group_concat(line, char(10)) AS BLOB) FROM ( \
             SELECT seq || ' ' || hex(id) || ' ' || {PACKED} AS line \
             FROM {of_stream} BETWEEN first AND min(first + {last}, up_to) ORDER BY seq LIMIT ?4 \
         )) FROM bunch, bound WHERE first IS NOT NULL",
        PACKED = *PACKED
    )
});

/// Reads the records of some numbers of a stream, in the order of these.
pub(super) async fn record_rows(
    pool: &SqlitePool,
    stream: WriterId,
    numbers: RangeInclusive<i64>,
    limit: usize,
) -> Result<Vec<RecordRow>, sqlx::Error> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let query = sqlx::query(AssertSqlSafe(SELECT_BUNCHES.as_str()))
        .bind(stream.get())
        .bind(*numbers.start())
        .bind(*numbers.end())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut bunches = std::pin::pin!(query.fetch(pool));
    let mut rows = Vec::new();
    while let Some(bunch) = poll_fn(|context| bunches.as_mut().poll_next(context)).await {
        let bunch = bunch?;
        let lines = bunch.try_get::<Option<&[u8]>, _>(0)?;
        // Between two looks of one statement nothing goes; of nothing, there are no lines.
        lines.into_iter().try_for_each(|lines| push_lines(&mut rows, lines))?;
    }
    // In the order of the index, which SQLite promises of what it puts together as little as that it used it.
    rows.sort_by_key(|row: &RecordRow| row.seq);
    rows.truncate(limit);
    Ok(rows)
}

fn push_lines(rows: &mut Vec<RecordRow>, lines: &[u8]) -> Result<(), sqlx::Error> {
    let no_line = || sqlx::Error::Decode("a line lacks its number or its id".into());
    let bunch: Arc<[u8]> = lines.into();
    let mut at = 0;
    for line in lines.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (Some(seq), Some(id), Some(record)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(no_line());
        };
        let seq = str::from_utf8(seq).ok().and_then(|seq| seq.parse().ok()).ok_or_else(no_line)?;
        let id = str::from_utf8(id).ok().and_then(unhex).map(RecordId::from_bytes);
        let end = at + line.len();
        rows.push(RecordRow::new(
            seq,
            Written { id, bunch: bunch.clone(), from: end - record.len(), to: end },
        ));
        at = end + 1;
    }
    Ok(())
}

/// A record within its bunch.
struct Written {
    id: Option<RecordId>,
    bunch: Arc<[u8]>,
    from: usize,
    to: usize,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Written").field(&self.id).finish()
    }
}

impl WrittenRow for Written {
    fn id(&self) -> Option<RecordId> {
        self.id
    }

    fn record(&self) -> Result<Box<Record>, String> {
        let packed = self.bunch.get(self.from..self.to).unwrap_or_default();
        let packed = str::from_utf8(packed).map_err(|error| error.to_string())?;
        packed::as_written(packed).map(Box::new).map_err(|error| error.to_string())
    }
}
