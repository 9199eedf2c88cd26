//! Appending: COPY into leaves, entries, COMMIT.

use std::{
    error,
    fmt::{self, Write as _},
    future::poll_fn,
    str::FromStr,
};

use sqlx::{AssertSqlSafe, Either, PgConnection, Row as _, postgres::PgRow, raw_sql};

use super::{
    column::COLUMNS,
    encode,
    error::is_duplicate,
    leaf::leaf_name,
    literal::text_literal,
    restrict,
    store::{Access, Failure, Limits, PostgresStore},
};
use crate::{
    ledger::{
        Entry, Hash, NewEntry,
        folded::{fold, is_kept},
        leaf_hash, runs,
    },
    record::{Canonical, Record, WriterId, hex},
    store::{AnyStore, Append, Appended, Appender, Batch, StoreError, StoreErrorKind},
    time::Month,
};

/// Rows are sent in pieces of this size, so that the server works on one while the next is made.
const CHUNK_BYTES: usize = 64 * 1024;

/// More leaves than this are forgotten: their number is bounded by the months and classes in use.
const KNOWN_LEAVES: usize = 256;

/// The writer's connection to Postgres.
///
/// After any error, and when a call is cancelled, its connection is closed; each further call fails.
pub struct PostgresAppender {
    store: PostgresStore,
    /// Taken for the time of a call, so that a call that ends early closes it.
    connection: Option<PgConnection>,
    /// Leaves that were seen to be there.
    leaves: Vec<(Month, String)>,
    scratch: Scratch,
}

/// Buffers that appends reuse.
#[derive(Default)]
struct Scratch {
    rows: Vec<u8>,
    hashes: Vec<Hash>,
    canonical: Canonical,
    /// Nothing is hashed, which is for measuring what that costs.
    unproved: bool,
    /// The values that a statement inserts: the roots of every 64 records of each entry.
    folded: String,
}

impl Append for PostgresStore {
    type Appender = PostgresAppender;

    async fn connect(&self) -> Result<PostgresAppender, StoreError> {
        let connection =
            self.bounded("connect to the database", async { Ok(self.dial().await?) }).await?;
        Ok(PostgresAppender {
            store: self.clone(),
            connection: Some(connection),
            leaves: Vec::new(),
            scratch: Scratch::default(),
        })
    }

    fn reader(&self) -> Option<AnyStore> {
        Some(AnyStore::new(self.clone()))
    }
}

#[cfg(feature = "internals")]
impl PostgresAppender {
    /// Hashes nothing from here on: what it appends cannot be proved, and nothing but a measurement wants that.
    #[doc(hidden)]
    #[must_use]
    pub fn without_proofs(mut self) -> Self {
        self.scratch.unproved = true;
        self
    }
}

impl Appender for PostgresAppender {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        let limits = self.store.limits();
        let call = async {
            let mut connection = take(&mut self.connection)?;
            let position = position(&mut connection, limits, writer_id).await?;
            self.connection = Some(connection);
            Ok(position)
        };
        limits.bounded("read the position of a stream", call).await
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        let limits = self.store.limits();
        let call = async {
            let mut connection = take(&mut self.connection)?;
            make_leaves(&mut connection, limits, &mut self.leaves, batch).await?;
            let appended = append(&mut connection, limits, &mut self.scratch, batch).await;
            if let Err(Failure::Database(source)) = &appended
                && is_duplicate(source)
            {
                // The keys of the leaf speak before the ledger does. Were these rows appended before,
                // or has one of them the id of another? The stream's position tells.
                drop(connection);
                let mut fresh = self.store.dial().await?;
                let last_seq = position(&mut fresh, limits, batch.writer_id()).await?;
                if last_seq.checked_add(1) != Some(batch.first_seq()) {
                    return Err(Failure::Kind(StoreErrorKind::Position { last_seq }, None));
                }
                return appended;
            }
            let appended = appended?;
            self.connection = Some(connection);
            Ok(appended)
        };
        limits.bounded("append a batch", call).await
    }
}

impl fmt::Debug for PostgresAppender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresAppender")
            .field("store", &self.store)
            .field("connected", &self.connection.is_some())
            .finish_non_exhaustive()
    }
}

fn take(connection: &mut Option<PgConnection>) -> Result<PgConnection, Failure> {
    connection.take().ok_or_else(|| {
        Failure::new(StoreErrorKind::Transient, "the connection was closed after an error")
    })
}

async fn position(
    connection: &mut PgConnection,
    limits: Limits,
    writer_id: WriterId,
) -> Result<i64, Failure> {
    let begin = limits.begin(Access::AsAllowed);
    let sql = format!("{begin}; select activity.stream_position({writer_id}); commit");
    let row = raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await?;
    number(&row, 0)
}

/// Makes the leaves that the batch needs and that were not seen yet, each in a transaction of its own.
async fn make_leaves(
    connection: &mut PgConnection,
    limits: Limits,
    known: &mut Vec<(Month, String)>,
    batch: Batch<'_>,
) -> Result<(), Failure> {
    for run in runs(batch.records()) {
        let Some((month, class)) = run.first().map(|record| leaf_of(record)) else { continue };
        if known.iter().any(|(m, c)| *m == month && c == class) {
            continue;
        }
        let (begin, literal) = (limits.begin(Access::AsAllowed), text_literal(class));
        let sql = format!("{begin}; select activity.make_leaf('{month}', {literal}); commit");
        raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
        if known.len() >= KNOWN_LEAVES {
            known.clear();
        }
        known.push((month, class.to_owned()));
    }
    Ok(())
}

fn leaf_of(record: &Record) -> (Month, &str) {
    (record.occurred_at.month(), record.retention_class.as_str())
}

async fn append(
    connection: &mut PgConnection,
    limits: Limits,
    scratch: &mut Scratch,
    batch: Batch<'_>,
) -> Result<Appended, Failure> {
    // READ COMMITTED is said, not assumed: under another level the trigger would check an old state. The
    // stream's lock makes whoever asks for its position wait until this transaction has ended.
    let begin = limits.begin(Access::AsAllowed);
    let mut sql = format!("{begin}; select pg_advisory_xact_lock({})", batch.writer_id());
    if let Some(seen) = batch.lost_in() {
        // The trigger that gives entries their epoch reads it, once, and only in this transaction.
        let _infallible = write!(sql, "; set local activity.lost_in = '{seen}'");
    }
    raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    let mut entries = Vec::with_capacity(1);
    scratch.folded.clear();
    for run in runs(batch.records()) {
        entries.extend(copy(connection, scratch, run).await?);
    }
    let restricted: Vec<_> = batch.restricted().collect();
    if !restricted.is_empty() {
        restrict::keep(connection, &restricted).await?;
    }
    commit(connection, entries, &scratch.folded).await
}

/// Copies a run into its leaf and returns its entry.
async fn copy(
    connection: &mut PgConnection,
    scratch: &mut Scratch,
    run: &[Box<Record>],
) -> Result<Option<NewEntry>, Failure> {
    let Some((month, class)) = run.first().map(|record| leaf_of(record)) else { return Ok(None) };
    // Into the leaf itself: COPY is refused on a table with row-level security, which leaves have not.
    let leaf = leaf_name(month, class);
    let statement =
        format!("copy activity.{leaf} ({}) from stdin (format binary)", COLUMNS.as_str());
    let mut copy = connection.copy_in_raw(&statement).await?;
    let Scratch { rows, hashes, canonical, unproved, folded } = scratch;
    rows.clear();
    hashes.clear();
    encode::begin(rows);
    // Encoding and hashing row by row, so that both happen while the server works on what it has.
    for record in run {
        encode::row(rows, record);
        if !*unproved {
            hashes.push(leaf_hash(canonical.encode(record)));
        }
        if rows.len() >= CHUNK_BYTES {
            copy.send(&rows[..]).await?;
            rows.clear();
        }
    }
    encode::end(rows);
    copy.send(&rows[..]).await?;
    rows.clear();
    fold(hashes);
    if let Some(first) = run.first().filter(|_| is_kept(hashes)) {
        push_folded(folded, first, hashes);
    }
    let entry = NewEntry::of_run(run, hashes);
    copy.finish().await?;
    Ok(entry)
}

/// Inserts the entries, commits, and reads back what the server gave them: in one message, and after
/// COMMIT, since that is when they get it.
async fn commit(
    connection: &mut PgConnection,
    entries: Vec<NewEntry>,
    folded: &str,
) -> Result<Appended, Failure> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return Ok(Appended { entries: Vec::new() });
    };
    let (writer_id, first_seq, last_seq) = (first.writer_id, first.first_seq, last.first_seq);
    let mut sql = String::from(
        "insert into activity.ledger_entries (writer_id, first_seq, last_seq, month, class, \
         first_at, last_at, batch_root) values ",
    );
    for (index, entry) in entries.iter().enumerate() {
        push_values(&mut sql, index, entry);
    }
    let mut statements = INSERT_AND_COMMIT;
    if !folded.is_empty() {
        statements += 1;
        sql.push_str("; insert into activity.folded_roots (writer_id, first_seq, roots) values ");
        sql.push_str(folded);
        // Of an entry that was lost with the end of the ledger there may be others: those lead to no proof.
        sql.push_str(" on conflict do nothing");
    }
    let _infallible = write!(
        sql,
        "; commit; select position, epoch, \
         to_char(committed_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
         from activity.ledger_entries where writer_id = {writer_id} \
         and first_seq between {first_seq} and {last_seq} order by first_seq",
    );
    let rows = committed(connection, sql, statements).await?;
    // The rows are there, whatever is wrong with the reply: never bad data, but an outcome to ask for.
    let unread = |source: Failure| match source {
        Failure::Database(source) => Failure::new(StoreErrorKind::Transient, source),
        Failure::Kind(_, source) => Failure::Kind(StoreErrorKind::Transient, source),
    };
    if rows.len() != entries.len() {
        return Err(Failure::new(
            StoreErrorKind::Transient,
            format!("{} of {} entries came back", rows.len(), entries.len()),
        ));
    }
    let sealed = entries.into_iter().zip(&rows).map(|(new, row)| {
        Ok::<_, Failure>(Entry {
            position: number(row, 0)?,
            epoch: number(row, 1)?,
            new,
            committed_at: parsed(row, 2)?,
        })
    });
    Ok(Appended { entries: sealed.collect::<Result<_, _>>().map_err(unread)? })
}

/// How many statements the entries take, and the commit.
const INSERT_AND_COMMIT: usize = 2;

/// Runs INSERT, COMMIT and a SELECT, and returns the rows of the last. So many `statements` end with the COMMIT.
///
/// An error after the COMMIT says nothing about the batch, of whatever class it is.
async fn committed(
    connection: &mut PgConnection,
    sql: String,
    statements: usize,
) -> Result<Vec<PgRow>, Failure> {
    let mut replies = raw_sql(AssertSqlSafe(sql)).fetch_many(connection);
    let (mut rows, mut done) = (Vec::new(), 0);
    while let Some(reply) = poll_fn(|context| replies.as_mut().poll_next(context)).await {
        match reply {
            Ok(Either::Left(_)) => done += 1,
            Ok(Either::Right(row)) => rows.push(row),
            Err(source) if done >= statements => {
                return Err(Failure::new(StoreErrorKind::Transient, source));
            }
            Err(source) => return Err(source.into()),
        }
    }
    Ok(rows)
}

fn push_values(sql: &mut String, index: usize, entry: &NewEntry) {
    let NewEntry { writer_id, first_seq, last_seq, month, class, first_at, last_at, batch_root } =
        entry;
    let comma = if index > 0 { ", " } else { "" };
    let (class, root) = (text_literal(class), hex(batch_root));
    let _infallible = write!(
        sql,
        "{comma}({writer_id}, {first_seq}, {last_seq}, '{month}', {class}, '{first_at}', \
         '{last_at}', decode('{root}', 'hex'))"
    );
}

fn push_folded(sql: &mut String, first: &Record, folded: &[Hash]) {
    let comma = if sql.is_empty() { "" } else { ", " };
    let Record { writer_id, seq, .. } = first;
    let _infallible = write!(sql, "{comma}({writer_id}, {seq}, decode('");
    for hash in folded {
        sql.push_str(&hex(hash));
    }
    sql.push_str("', 'hex'))");
}

/// Reads a number from a reply in text form.
fn number(row: &PgRow, index: usize) -> Result<i64, Failure> {
    parsed(row, index)
}

fn parsed<T>(row: &PgRow, index: usize) -> Result<T, Failure>
where
    T: FromStr<Err: error::Error + Send + Sync + 'static>,
{
    let value = row.try_get_raw(index)?;
    let text = value.as_str().map_err(sqlx::Error::Decode)?;
    text.parse().map_err(|source: T::Err| sqlx::Error::Decode(source.into()).into())
}
