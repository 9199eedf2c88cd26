//! Rows as they stand, for a verification.

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    bunches,
    error::store_error,
    rows::{self, SELECT_ENTRIES},
    store::SqliteStore,
};
use crate::{
    ledger::{
        Entry, Hash, KeptCheckpoint, TreeNode,
        folded::folded_bytes,
        verify::{LedgerRow, RecordRow, StreamRows, Verdict, Verified},
    },
    record::{Groups, RecordId, WriterId},
    store::{Evidence, Restricted, Scratch, StoreError},
    time::Timestamp,
};

/// Like [`SELECT_ENTRIES`](super::rows::SELECT_ENTRIES), and with what follows from the rest.
const SELECT_LEDGER: &str = "SELECT position, epoch, writer_id, first_seq, last_seq, \
     month, class, first_at, last_at, batch_root, committed_at, count FROM activity_ledger \
     WHERE position > ? ORDER BY position LIMIT ?";

/// From stream to stream along the index, without a look at what lies between.
const SELECT_STREAMS: &str = "\
     WITH RECURSIVE streams (writer_id) AS ( \
         SELECT min(writer_id) FROM activity_records WHERE writer_id > ? \
         UNION ALL \
         SELECT (SELECT min(r.writer_id) FROM activity_records AS r \
             WHERE r.writer_id > s.writer_id) \
         FROM streams AS s WHERE s.writer_id IS NOT NULL \
     ) \
     SELECT writer_id, \
         (SELECT min(seq) FROM activity_records AS r WHERE r.writer_id = s.writer_id), \
         (SELECT max(seq) FROM activity_records AS r WHERE r.writer_id = s.writer_id) \
     FROM streams AS s WHERE writer_id IS NOT NULL LIMIT ?";

impl Evidence for SqliteStore {
    async fn restricted(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Restricted)>, StoreError> {
        self.ask_restricted("number > ? ORDER BY number LIMIT ?", |query| {
            query.bind(after).bind(bounded(limit))
        })
        .await
    }

    async fn restricted_of(&self, id: RecordId) -> Result<Vec<Restricted>, StoreError> {
        let kept = self
            .ask_restricted("id = ? ORDER BY number", |query| query.bind(id.as_bytes().to_vec()))
            .await?;
        Ok(kept.into_iter().map(|(_, kept)| kept).collect())
    }

    async fn restricted_marks(
        &self,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, Groups)>, StoreError> {
        self.ask_restricted_marks(ids).await
    }

    async fn scratch(&self) -> Result<Option<Scratch>, StoreError> {
        self.ask_scratch().await
    }

    async fn scratch_path(&self, position: i64) -> Result<Option<(usize, Vec<Hash>)>, StoreError> {
        self.ask_scratch_path(position).await
    }

    async fn scratch_leaves(
        &self,
        stream: WriterId,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, Hash)>, StoreError> {
        self.ask_scratch_leaves(stream, from, to).await
    }

    async fn ledger_rows(&self, after: i64, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
        let rows = sqlx::query(SELECT_LEDGER).bind(after).bind(bounded(limit));
        let rows = rows.fetch_all(self.pool()).await;
        let rows = rows.map_err(|error| store_error("read the ledger", error))?;
        Ok(rows.iter().map(ledger_row).collect())
    }

    async fn record_rows(
        &self,
        stream: WriterId,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let rows = bunches::record_rows(self.pool(), stream, from..=to, limit).await;
        rows.map_err(|error| store_error("read the records of an entry", error))
    }

    async fn stream_rows(&self, after: i64, limit: usize) -> Result<Vec<StreamRows>, StoreError> {
        let failed = |error| store_error("read the streams", error);
        let rows = sqlx::query(SELECT_STREAMS).bind(after).bind(bounded(limit));
        let rows = rows.fetch_all(self.pool()).await.map_err(failed)?;
        let stream = |row: &SqliteRow| {
            let (writer_id, first_seq) = (row.try_get(0)?, row.try_get(1)?);
            Ok(StreamRows { writer_id, first_seq, last_seq: row.try_get(2)? })
        };
        rows.iter().map(stream).collect::<Result<_, _>>().map_err(failed)
    }

    async fn committed(&self, stream: WriterId) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(last_seq), 0) FROM activity_ledger WHERE writer_id = ?";
        let query = sqlx::query_scalar(sql).bind(stream.get()).fetch_one(self.pool());
        query.await.map_err(|error| store_error("read the ledger", error))
    }

    async fn entry_of(&self, stream: WriterId, seq: i64) -> Result<Option<Entry>, StoreError> {
        let failed = |error| store_error("read the ledger", error);
        let sql = format!(
            "{SELECT_ENTRIES} WHERE writer_id = ? AND last_seq >= ? ORDER BY last_seq LIMIT 1"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(stream.get()).bind(seq);
        let row = query.fetch_optional(self.pool()).await.map_err(failed)?;
        let entry = row.as_ref().map(rows::entry).transpose().map_err(failed)?;
        Ok(entry.filter(|entry| entry.new.first_seq <= seq))
    }

    async fn folded_roots(&self, entry: &Entry) -> Result<Vec<Hash>, StoreError> {
        let failed = |error| store_error("read the ledger", error);
        let sql =
            "SELECT roots FROM activity_folded_roots WHERE position = ? AND length(roots) = ?";
        let query = sqlx::query(sql).bind(entry.position).bind(folded_bytes(entry));
        let row = query.fetch_optional(self.pool()).await;
        let Some(row) = row.map_err(failed)? else { return Ok(Vec::new()) };
        let (roots, _rest) = row.try_get::<&[u8], _>(0).map_err(failed)?.as_chunks::<32>();
        Ok(roots.to_vec())
    }

    async fn add_checkpoint(
        &self,
        checkpoint: &KeptCheckpoint,
        nodes: &[TreeNode],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write("keep a checkpoint", async |connection| {
            let sql = "SELECT coalesce(max(number), 0) FROM activity_checkpoints";
            let last: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
            if last + 1 != checkpoint.number {
                return Ok(false);
            }
            let sql = "INSERT INTO activity_checkpoints (number, size, frontier, note, made_at) \
                 VALUES (?, ?, ?, ?, ?)";
            sqlx::query(sql)
                .bind(checkpoint.number)
                .bind(checkpoint.size)
                .bind(checkpoint.frontier.concat())
                .bind(checkpoint.note.as_str())
                .bind(at.as_micros())
                .execute(&mut *connection)
                .await?;
            let sql = "INSERT OR REPLACE INTO activity_ledger_nodes (height, number, hash) \
                 VALUES (?, ?, ?)";
            for node in nodes {
                let query = sqlx::query(sql).bind(node.height).bind(node.number);
                query.bind(&node.hash[..]).execute(&mut *connection).await?;
            }
            Ok(true)
        })
        .await
    }

    async fn last_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        let failed = |error| store_error("read the checkpoints", error);
        let sql = "SELECT number, size, frontier, note FROM activity_checkpoints \
             ORDER BY number DESC LIMIT 1";
        let row = sqlx::query(sql).fetch_optional(self.pool()).await.map_err(failed)?;
        row.as_ref().map(checkpoint).transpose().map_err(failed)
    }

    async fn checkpoints(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        let failed = |error| store_error("read the checkpoints", error);
        let sql = "SELECT number, size, frontier, note FROM activity_checkpoints \
             WHERE number > ? ORDER BY number LIMIT ?";
        let query = sqlx::query(sql).bind(after).bind(bounded(limit));
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(checkpoint).collect::<Result<_, _>>().map_err(failed)
    }

    async fn tree_nodes(
        &self,
        height: u32,
        from: i64,
        before: i64,
    ) -> Result<Vec<(i64, Hash)>, StoreError> {
        let failed = |error| store_error("read the ledger", error);
        let sql = "SELECT number, hash FROM activity_ledger_nodes \
             WHERE height = ? AND number >= ? AND number < ?";
        let query = sqlx::query(sql).bind(height).bind(from).bind(before);
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        let node = |row: &SqliteRow| Ok((row.try_get(0)?, rows::array(row.try_get(1)?)?));
        rows.iter().map(node).collect::<Result<_, _>>().map_err(failed)
    }

    async fn add_anchor(&self, note: &str, at: Timestamp) -> Result<(), StoreError> {
        self.write("keep an anchor", async |connection| {
            let sql = "INSERT INTO activity_anchors (note, kept_at) VALUES (?, ?)";
            sqlx::query(sql).bind(note).bind(at.as_micros()).execute(&mut *connection).await?;
            Ok(())
        })
        .await
    }

    async fn anchors(&self, after: i64, limit: usize) -> Result<Vec<(i64, String)>, StoreError> {
        let failed = |error| store_error("read the anchors", error);
        let sql =
            "SELECT number, note FROM activity_anchors WHERE number > ? ORDER BY number LIMIT ?";
        let query = sqlx::query(sql).bind(after).bind(bounded(limit));
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        let anchor = |row: &SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(anchor).collect::<Result<_, _>>().map_err(failed)
    }

    async fn keep_verified(&self, verified: &Verified) -> Result<(), StoreError> {
        self.write("keep what was verified", async |connection| {
            let sql = "INSERT OR REPLACE INTO activity_verified (one, verified_at, position, result) \
                 VALUES (1, ?, ?, ?)";
            let query = sqlx::query(sql).bind(verified.at.as_micros()).bind(verified.position);
            query.bind(verified.result.as_str()).execute(&mut *connection).await?;
            Ok(())
        })
        .await
    }

    async fn last_verified(&self) -> Result<Option<Verified>, StoreError> {
        let failed = |error| store_error("read what was verified", error);
        let sql = "SELECT verified_at, position, result FROM activity_verified";
        let row = sqlx::query(sql).fetch_optional(self.pool()).await.map_err(failed)?;
        let verified = |row: SqliteRow| {
            let at = Timestamp::from_micros(row.try_get(0)?);
            let (position, result) = (row.try_get(1)?, Verdict::from_word(row.try_get(2)?));
            Ok(result.map(|result| Verified { at, position, result }))
        };
        Ok(row.map(verified).transpose().map_err(failed)?.flatten())
    }
}

fn checkpoint(row: &SqliteRow) -> Result<KeptCheckpoint, sqlx::Error> {
    let (hashes, _rest) = row.try_get::<&[u8], _>(2)?.as_chunks::<32>();
    Ok(KeptCheckpoint {
        number: row.try_get(0)?,
        size: row.try_get(1)?,
        frontier: hashes.to_vec(),
        note: row.try_get(3)?,
    })
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn ledger_row(row: &SqliteRow) -> LedgerRow {
    LedgerRow { position: row.try_get(0).ok(), entry: entry(row) }
}

fn entry(row: &SqliteRow) -> Result<Entry, String> {
    let entry = rows::entry(row).map_err(|error| error.to_string())?;
    let written = |column: &str, same: bool| {
        if same { Ok(()) } else { Err(format!("`{column}` holds what is never written there")) }
    };
    let number = |index: usize| row.try_get::<i64, _>(index).ok();
    written("writer_id", number(2) == Some(entry.new.writer_id.get()))?;
    written("month", row.try_get::<&str, _>(5).ok() == Some(&*entry.new.month.to_string()))?;
    written("count", number(11) == Some(entry.new.count()))?;
    Ok(entry)
}
