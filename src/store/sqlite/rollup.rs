//! Folding the ledger into the rollups, each record exactly once.
//!
//! A step is one short transaction: it looks where the fold stands, counts some further records and says how
//! far it came. Two that fold at once take turns under SQLite's write lock, and whoever finds that the fold
//! has moved on under him leaves it to the other. What dies in the middle has changed nothing.

use std::collections::VecDeque;

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::{error::store_error, rows, rows::SELECT_ENTRIES, store::SqliteStore};
use crate::{
    ledger::Entry,
    store::{Folded, Read as _, StoreError},
};

/// Records of a step. The write lock is held for it, and whoever appends waits as long: some tens of
/// milliseconds at worst.
pub(super) const STEP: i64 = 500;
/// Pieces of a step: each takes statements of its own.
const PIECES: usize = 100;

/// The name of the fold.
pub(super) const NAME: &str = "rollups";

/// How far a fold has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stand {
    /// The last entry that is folded in whole.
    pub(super) position: i64,
    /// Of the one after it, the last number that is.
    pub(super) seq: i64,
}

/// Consecutive records of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) writer_id: i64,
    pub(super) first_seq: i64,
    pub(super) last_seq: i64,
}

/// Takes the next records to be folded off the entries after `stand`; `None` when there are none.
pub(super) fn step(entries: &mut VecDeque<Entry>, stand: Stand) -> Option<(Vec<Piece>, Stand)> {
    let (mut pieces, mut to, mut room) = (Vec::new(), stand, STEP);
    while let Some(entry) = entries.front().filter(|_| room > 0 && pieces.len() < PIECES) {
        let first_seq = entry.new.first_seq.max(to.seq + 1);
        let last_seq = entry.new.last_seq.min(first_seq + room - 1);
        pieces.push(Piece { writer_id: entry.new.writer_id.get(), first_seq, last_seq });
        room -= last_seq - first_seq + 1;
        if last_seq < entry.new.last_seq {
            to.seq = last_seq;
        } else {
            to = Stand { position: entry.position, seq: 0 };
            entries.pop_front();
        }
    }
    (!pieces.is_empty()).then_some((pieces, to))
}

/// The first moment and the last that a bucket may lie at: the years that SQLite's calendar knows.
const WITHIN: &str = "min(max(occurred_at, -62135596800000000), 253402300799999999)";

/// Records that pass a condition, with the beginning of the hour, day or month that they lie in.
pub(super) fn bucketed(grains: &str, condition: &str) -> String {
    let floor = |unit: &str| format!("({WITHIN} - ({WITHIN} % {unit} + {unit}) % {unit})");
    let (second, hour, day) = (floor("1000000"), floor("3600000000"), floor("86400000000"));
    format!(
        "FROM (SELECT *, CASE grain WHEN 1 THEN {hour} WHEN 2 THEN {day} ELSE \
             unixepoch({second} / 1000000, 'unixepoch', 'start of month') * 1000000 END AS bucket \
           FROM activity_records CROSS JOIN (SELECT column1 AS grain FROM (VALUES {grains})) \
           WHERE {condition})"
    )
}

const KEY: &str = "category, coalesce(entity_type, ''), coalesce(action, ''), operation, outcome";

fn statements() -> [String; 2] {
    let group = "category, coalesce(entity_type, '') COLLATE BINARY, \
         coalesce(action, '') COLLATE BINARY, operation, outcome";
    let conflict = "ON CONFLICT DO UPDATE SET records = records + excluded.records";
    let piece = "writer_id = ? AND seq BETWEEN ? AND ?";
    let (all, persons) = (bucketed("(1), (2), (3)", piece), bucketed("(2), (3)", piece));
    [
        format!(
            "INSERT INTO activity_rollup SELECT grain, tenant, bucket, {KEY}, count(*) \
             FROM (SELECT *, '' AS tenant {all} \
               UNION ALL SELECT *, tenant_id AS tenant {all} WHERE tenant_id IS NOT NULL) \
             WHERE true GROUP BY grain, tenant, bucket, {group} {conflict}"
        ),
        format!(
            "INSERT INTO activity_rollup_persons SELECT grain, bucket, actor_id, \
               coalesce(tenant_id, ''), {KEY}, count(*) {persons} WHERE actor_id IS NOT NULL \
             GROUP BY grain, bucket, actor_id, coalesce(tenant_id, ''), {group} {conflict}"
        ),
    ]
}

async fn count(connection: &mut SqliteConnection, pieces: &[Piece]) -> Result<(), sqlx::Error> {
    // The records of one statement are written twice in the first of them.
    for (sql, times) in statements().into_iter().zip([2, 1]) {
        for piece in pieces {
            let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
            for _ in 0..times {
                query = query.bind(piece.writer_id).bind(piece.first_seq).bind(piece.last_seq);
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Returns where a fold stands; `None` when there is none of this name.
pub(super) async fn stand(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<Stand>, sqlx::Error> {
    let sql = "SELECT position, seq FROM activity_folds WHERE name = ?";
    let row = sqlx::query(sql).bind(name).fetch_optional(connection).await?;
    row.map(|row| Ok(Stand { position: row.try_get(0)?, seq: row.try_get(1)? })).transpose()
}

/// Says how far a fold has come, and which row was the last.
pub(super) async fn stands_at(
    connection: &mut SqliteConnection,
    name: &str,
    to: Stand,
    last: Piece,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE activity_folds SET position = ?, seq = ?, last_row = max(last_row, coalesce( \
           (SELECT rowid FROM activity_records WHERE writer_id = ? AND seq <= ? \
            ORDER BY seq DESC LIMIT 1), 0)) WHERE name = ?";
    sqlx::query(sql)
        .bind(to.position)
        .bind(to.seq)
        .bind(last.writer_id)
        .bind(last.last_seq)
        .bind(name)
        .execute(connection)
        .await
        .map(|_| ())
}

impl SqliteStore {
    /// Returns where a fold stands, without the write lock.
    pub(super) async fn fold_stands(&self, name: &str) -> Result<Option<Stand>, StoreError> {
        let failed = |error| store_error("read how far a fold has come", error);
        let mut connection = self.pool().acquire().await.map_err(failed)?;
        stand(&mut connection, name).await.map_err(failed)
    }

    /// Reads the entries after a stand.
    pub(super) async fn entries_after(
        &self,
        stand: Stand,
        limit: usize,
    ) -> Result<VecDeque<Entry>, StoreError> {
        let failed = |error| store_error("read the ledger", error);
        let sql = format!("{SELECT_ENTRIES} WHERE position > ? ORDER BY position LIMIT ?");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(stand.position)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.pool())
            .await
            .map_err(failed)?;
        rows.iter().map(rows::entry).collect::<Result<_, _>>().map_err(failed)
    }

    /// Folds at most so many further entries into the rollups.
    pub(super) async fn fold_rollups(&self, entries: usize) -> Result<Folded, StoreError> {
        let mut at = self.fold_stands(NAME).await?.unwrap_or_default();
        let mut entries = self.entries_after(at, entries).await?;
        let mut led = true;
        while let Some((pieces, to)) = step(&mut entries, at) {
            let Some(last) = pieces.last().copied() else { break };
            let done = self
                .write_step("fold records into the rollups", async |connection| {
                    if stand(connection, NAME).await? != Some(at) {
                        return Ok(false);
                    }
                    count(connection, &pieces).await?;
                    stands_at(connection, NAME, to, last).await?;
                    Ok(true)
                })
                .await?;
            if !done {
                led = false;
                at = self.fold_stands(NAME).await?.unwrap_or_default();
                break;
            }
            at = to;
        }
        Ok(Folded { position: at.position, head: self.head().await?, led })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::NewEntry,
        record::WriterId,
        time::{Month, Timestamp},
    };

    fn entry(position: i64, first_seq: i64, last_seq: i64) -> Entry {
        let at = Timestamp::default();
        let new = NewEntry {
            writer_id: WriterId::new(7),
            first_seq,
            last_seq,
            month: Month::from_index(0),
            class: String::new(),
            first_at: at,
            last_at: at,
            batch_root: [0; 32],
        };
        Entry { position, epoch: 1, new, committed_at: at }
    }

    #[test]
    fn steps_are_bounded_and_leave_nothing_out() {
        let mut entries: VecDeque<_> =
            [entry(3, 10, 10), entry(4, 11, 10 + 2 * STEP), entry(5, 11 + 2 * STEP, 12 + 2 * STEP)]
                .into();
        let mut at = Stand { position: 2, seq: 0 };
        let mut next = 10;
        let mut steps = 0;
        while let Some((pieces, to)) = step(&mut entries, at) {
            let mut rows = 0;
            for piece in pieces {
                assert_eq!(piece.first_seq, next);
                next = piece.last_seq + 1;
                rows += piece.last_seq - piece.first_seq + 1;
            }
            assert!(rows <= STEP && to != at);
            at = to;
            steps += 1;
        }
        assert_eq!((next, at, steps), (13 + 2 * STEP, Stand { position: 5, seq: 0 }, 3));
    }
}
