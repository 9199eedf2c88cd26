//! Rows as they stand, for a verification.

use std::ops::{Range, RangeInclusive};

use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow, query};

use super::{
    column::COLUMNS,
    decode::{self, Cells as _, ENTRY_COLUMNS},
    error::is_duplicate,
    facts::SEES_ALL,
    literal::time_text,
    page::bounded,
    store::{Failure, PostgresStore, done},
};
use crate::{
    ledger::{
        Entry, Hash, KeptCheckpoint, TreeNode,
        folded::folded_bytes,
        verify::{LedgerRow, RecordRow, StreamRows, Verdict, Verified},
    },
    record::{Groups, RecordId, WriterId},
    store::{Evidence, Restricted, StoreError, StoreErrorKind},
    time::Timestamp,
};

impl Evidence for PostgresStore {
    async fn restricted(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Restricted)>, StoreError> {
        self.ask_restricted(format!("number > {after} order by number limit {}", bounded(limit)))
            .await
    }

    async fn restricted_of(&self, id: RecordId) -> Result<Vec<Restricted>, StoreError> {
        let kept = self.ask_restricted(format!("id = '{id}' order by number")).await?;
        Ok(kept.into_iter().map(|(_, kept)| kept).collect())
    }

    async fn restricted_marks(
        &self,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, Groups)>, StoreError> {
        self.ask_restricted_marks(ids).await
    }

    async fn expect_all(&self) -> Result<(), StoreError> {
        self.bounded("look whether all of the log can be seen", async {
            let mut transaction = self.reading().await?;
            let sql = format!("select {SEES_ALL}");
            let row =
                query(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut *transaction).await?;
            done(transaction);
            if row.try_get(0)? { Ok(()) } else { Err(sees_a_part()) }
        })
        .await
    }

    async fn ledger_rows(&self, after: i64, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
        let limit = bounded(limit);
        let ledger = "activity.ledger_entries";
        let mut sql = format!(
            "(select {ENTRY_COLUMNS}, count from {ledger} where position > {after} \
             order by position limit {limit})"
        );
        if after == i64::MIN {
            // Between INSERT and COMMIT an entry has no position, and then nobody else sees it. The literal has
            // no positive counterpart, so it cannot be written with a sign.
            sql = format!(
                "(select {ENTRY_COLUMNS}, count from {ledger} where position is null limit 1) \
                 union all \
                 (select {ENTRY_COLUMNS}, count from {ledger} order by position nulls last limit {limit})"
            );
        }
        self.bounded("read the ledger", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            let mut rows: Vec<_> = rows.iter().map(decode::ledger_row).collect();
            // Behind the others stand those without a position, which the first half has told of.
            let lonely = rows.iter().take_while(|row| row.position.is_none()).count();
            let mut index = 0;
            rows.retain(|row| {
                index += 1;
                index <= lonely || row.position.is_some()
            });
            Ok(rows)
        })
        .await
    }

    async fn record_rows(
        &self,
        stream: WriterId,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<RecordRow>, StoreError> {
        // Whatever leaf they lie in: a copy of a row in another leaf is a second row of its number.
        let sql = format!(
            "select {} from activity.records where writer_id = {stream} \
             and seq between {from} and {to} order by seq limit {}",
            COLUMNS.as_str(),
            bounded(limit),
        );
        self.bounded("read the records of an entry", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            Ok(rows.into_iter().map(decode::record_row).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn stream_rows(&self, after: i64, limit: usize) -> Result<Vec<StreamRows>, StoreError> {
        // From stream to stream along the indexes, without a look at what lies between.
        let first = match after {
            i64::MIN => String::new(),
            after => format!("where writer_id > {after}"),
        };
        let sql = format!(
            "with recursive streams as ( \
                 (select writer_id from activity.records {first} order by writer_id limit 1) \
                 union all \
                 select (select r.writer_id from activity.records r \
                     where r.writer_id > s.writer_id order by r.writer_id limit 1) \
                 from streams s where s.writer_id is not null \
             ) \
             select s.writer_id, \
                 (select r.seq from activity.records r where r.writer_id = s.writer_id \
                     order by r.seq limit 1), \
                 (select r.seq from activity.records r where r.writer_id = s.writer_id \
                     order by r.seq desc limit 1) \
             from streams s where s.writer_id is not null limit {}",
            bounded(limit),
        );
        self.bounded("read the streams", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            let stream = |row| {
                let number = |index| decode::integer(row, index);
                let (writer_id, first_seq) = (number(0)?, number(1)?);
                Ok(StreamRows { writer_id, first_seq, last_seq: number(2)? })
            };
            Ok(rows.iter().map(stream).collect::<Result<_, sqlx::Error>>()?)
        })
        .await
    }

    async fn committed(&self, stream: WriterId) -> Result<i64, StoreError> {
        let sql = format!(
            "select coalesce(max(last_seq), 0)::bigint from activity.ledger_entries \
             where writer_id = {stream} and position is not null"
        );
        self.bounded("read the ledger", async {
            let mut transaction = self.reading().await?;
            let row =
                query(AssertSqlSafe(sql)).persistent(false).fetch_one(&mut *transaction).await?;
            done(transaction);
            Ok(decode::integer(&row, 0)?)
        })
        .await
    }

    async fn entry_of(&self, stream: WriterId, seq: i64) -> Result<Option<Entry>, StoreError> {
        let entry = self.ledger_row(select_entry_of(stream, seq), decode::entry).await?;
        Ok(entry.filter(|entry| seq <= entry.new.last_seq))
    }

    async fn folded_roots(&self, entry: &Entry) -> Result<Vec<Hash>, StoreError> {
        let roots = self.ledger_row(select_folded(entry), folded).await?;
        Ok(roots.unwrap_or_default())
    }

    async fn add_checkpoint(
        &self,
        checkpoint: &KeptCheckpoint,
        nodes: &[TreeNode],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.bounded("keep a checkpoint", async {
            let mut transaction = self.writing().await?;
            let added = query(
                "insert into activity.checkpoints (number, size, frontier, note, made_at) \
                 values ($1, $2, $3, $4, $5::timestamptz)",
            )
            .bind(checkpoint.number)
            .bind(checkpoint.size)
            .bind(checkpoint.frontier.concat())
            .bind(checkpoint.note.as_str())
            .bind(time_text(at))
            .persistent(false)
            .execute(&mut *transaction)
            .await;
            match added {
                Err(source) if is_duplicate(&source) => return Ok(false),
                Err(source) => return Err(source.into()),
                Ok(_) => {}
            }
            let heights: Vec<_> = nodes.iter().map(|node| i64::from(node.height)).collect();
            let numbers: Vec<_> = nodes.iter().map(|node| node.number).collect();
            let hashes: Vec<_> = nodes.iter().map(|node| node.hash.to_vec()).collect();
            query(
                "insert into activity.ledger_nodes (height, number, hash) \
                 select * from unnest($1::bigint[], $2::bigint[], $3::bytea[]) \
                 on conflict do nothing",
            )
            .bind(heights)
            .bind(numbers)
            .bind(hashes)
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn last_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        let sql = format!("{SELECT_CHECKPOINTS} order by number desc limit 1");
        Ok(self.read_checkpoints(sql).await?.pop())
    }

    async fn checkpoints(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        let limit = bounded(limit);
        let sql =
            format!("{SELECT_CHECKPOINTS} where number > {after} order by number limit {limit}");
        self.read_checkpoints(sql).await
    }

    async fn tree_nodes(
        &self,
        height: u32,
        from: i64,
        before: i64,
    ) -> Result<Vec<(i64, Hash)>, StoreError> {
        let sql = format!(
            "select number, hash from activity.ledger_nodes \
             where height = {height} and number >= {from} and number < {before}"
        );
        self.bounded("read the ledger", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            let node = |row: &PgRow| Ok((decode::integer(row, 0)?, row.array(1)?));
            Ok(rows.iter().map(node).collect::<Result<_, sqlx::Error>>()?)
        })
        .await
    }

    async fn covered(
        &self,
        stream: WriterId,
        seq: i64,
    ) -> Result<Option<(KeptCheckpoint, Entry)>, StoreError> {
        self.ask_covered(stream, seq).await
    }

    async fn entry_parts(
        &self,
        entry: &Entry,
        numbers: RangeInclusive<i64>,
    ) -> Result<(Vec<RecordRow>, Vec<Hash>), StoreError> {
        self.ask_entry_parts(entry, numbers).await
    }

    async fn tree_runs(
        &self,
        runs: &[(u32, Range<u64>)],
    ) -> Result<Vec<(u32, u64, Hash)>, StoreError> {
        self.ask_tree_runs(runs).await
    }

    async fn add_anchor(&self, note: &str, at: Timestamp) -> Result<(), StoreError> {
        let sql = "insert into activity.anchors (note, kept_at) values ($1, $2::timestamptz)";
        self.bounded("keep an anchor", async {
            let mut transaction = self.writing().await?;
            let query = query(sql).bind(note).bind(time_text(at)).persistent(false);
            query.execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn anchors(&self, after: i64, limit: usize) -> Result<Vec<(i64, String)>, StoreError> {
        let sql = format!(
            "select number, note from activity.anchors where number > {after} order by number limit {}",
            bounded(limit)
        );
        self.bounded("read the anchors", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            let anchor = |row: &PgRow| Ok((decode::integer(row, 0)?, row.try_get(1)?));
            Ok(rows.iter().map(anchor).collect::<Result<_, sqlx::Error>>()?)
        })
        .await
    }

    async fn keep_verified(&self, verified: &Verified) -> Result<(), StoreError> {
        let sql = "insert into activity.verified (verified_at, position, result) \
             values ($1::timestamptz, $2, $3) on conflict (one) do update set \
             verified_at = excluded.verified_at, position = excluded.position, result = excluded.result";
        self.bounded("keep what was verified", async {
            let mut transaction = self.writing().await?;
            let query = query(sql).bind(time_text(verified.at)).bind(verified.position);
            let query = query.bind(verified.result.as_str()).persistent(false);
            query.execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn last_verified(&self) -> Result<Option<Verified>, StoreError> {
        let sql = "select verified_at, position, result from activity.verified";
        self.bounded("read what was verified", async {
            let mut transaction = self.reading().await?;
            let row = query(sql).persistent(false).fetch_optional(&mut *transaction).await?;
            done(transaction);
            let Some(row) = row else { return Ok(None) };
            let at = row.moment(0)?.unwrap_or_default();
            let (position, result) =
                (decode::integer(&row, 1)?, Verdict::from_word(row.try_get(2)?));
            Ok(result.map(|result| Verified { at, position, result }))
        })
        .await
    }
}

/// Why nothing is verified or proved by a role that sees a part of the log.
pub(super) fn sees_a_part() -> Failure {
    Failure::new(
        StoreErrorKind::Configuration,
        "tenants are kept apart, and this role does not see them all; ask as activity_auditor",
    )
}

/// Asks for the last entry of a stream that begins with a number or before it.
pub(super) fn select_entry_of(stream: WriterId, seq: i64) -> String {
    format!(
        "select {ENTRY_COLUMNS} from activity.ledger_entries where writer_id = {stream} \
         and first_seq <= {seq} and position is not null order by first_seq desc limit 1"
    )
}

/// Asks for the roots of every 64 records of an entry.
pub(super) fn select_folded(entry: &Entry) -> String {
    format!(
        "select roots from activity.folded_roots where writer_id = {} and first_seq = {} \
         and octet_length(roots) = {}",
        entry.new.writer_id,
        entry.new.first_seq,
        folded_bytes(entry)
    )
}

/// Reads the row of [`select_folded`].
pub(super) fn folded(row: &PgRow) -> Result<Vec<Hash>, sqlx::Error> {
    Ok(row.bytes(0)?.as_chunks::<32>().0.to_vec())
}

pub(super) const SELECT_CHECKPOINTS: &str =
    "select number, size, frontier, note from activity.checkpoints";

impl PostgresStore {
    /// Reads a row of the ledger, if there is one.
    async fn ledger_row<T>(
        &self,
        sql: String,
        read: impl FnOnce(&PgRow) -> Result<T, sqlx::Error>,
    ) -> Result<Option<T>, StoreError> {
        self.bounded("read the ledger", async {
            let mut transaction = self.reading().await?;
            let row = query(AssertSqlSafe(sql))
                .persistent(false)
                .fetch_optional(&mut *transaction)
                .await?;
            done(transaction);
            Ok(row.as_ref().map(read).transpose()?)
        })
        .await
    }

    async fn read_checkpoints(&self, sql: String) -> Result<Vec<KeptCheckpoint>, StoreError> {
        self.bounded("read the checkpoints", async {
            let mut transaction = self.reading().await?;
            let rows =
                query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await?;
            done(transaction);
            Ok(rows.iter().map(checkpoint).collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Reads a row of [`SELECT_CHECKPOINTS`].
pub(super) fn checkpoint(row: &PgRow) -> Result<KeptCheckpoint, sqlx::Error> {
    let (hashes, _rest) = row.bytes(2)?.as_chunks::<32>();
    Ok(KeptCheckpoint {
        number: decode::integer(row, 0)?,
        size: decode::integer(row, 1)?,
        frontier: hashes.to_vec(),
        note: row.text(3)?.unwrap_or_default().to_owned(),
    })
}
