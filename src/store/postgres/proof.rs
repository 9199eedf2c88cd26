//! What proves a record, in two round trips: what covers it, and then what lies beside it and beside its entry.

use std::ops::{Range, RangeInclusive};

use sqlx::postgres::PgRow;

use super::{
    column::COLUMNS,
    decode::{self, Cells as _, ENTRY_COLUMNS},
    evidence::{
        SELECT_CHECKPOINTS, checkpoint, folded, sees_a_part, select_entry_of, select_folded,
    },
    facts::SEES_ALL,
    literal::{text_literal, time_literal},
    page::bounded,
    store::PostgresStore,
};
use crate::{
    ledger::{Entry, Hash, KeptCheckpoint, verify::RecordRow},
    record::WriterId,
    store::{
        StoreError,
        evidence::{covered, is_all_of, leaf_node, most, number},
    },
};

/// A height and a number as the server writes them, and a hash.
const NODES: &str = "select height::bigint, number, hash from activity.ledger_nodes";

impl PostgresStore {
    pub(super) async fn ask_covered(
        &self,
        stream: WriterId,
        seq: i64,
    ) -> Result<Option<(KeptCheckpoint, Entry)>, StoreError> {
        self.bounded("read the ledger", async {
            let questions = [
                format!("{SELECT_CHECKPOINTS} order by number desc limit 1"),
                select_entry_of(stream, seq),
                format!("select ({SEES_ALL})::integer::bigint"),
            ];
            let [checkpoints, entries, sees_all] = self.ask(questions).await?;
            let last = checkpoints.first().map(checkpoint).transpose()?;
            let entry = entries.first().map(decode::entry).transpose()?;
            let covered = covered(last, entry.filter(|entry| seq <= entry.new.last_seq));
            let sees_all = sees_all.first().map(|row| decode::integer(row, 0)).transpose()?;
            match covered {
                Some(_) if sees_all != Some(1) => Err(sees_a_part()),
                covered => Ok(covered),
            }
        })
        .await
    }

    pub(super) async fn ask_entry_parts(
        &self,
        entry: &Entry,
        numbers: RangeInclusive<i64>,
    ) -> Result<(Vec<RecordRow>, Vec<Hash>), StoreError> {
        let new = &entry.new;
        // Constants that leave one leaf: planning over all of them takes longer than the rest.
        let select_rows = format!(
            "select {} from activity.records where occurred_at >= {} and occurred_at < {} \
             and retention_class = {} and writer_id = {} and seq between {} and {} \
             order by seq limit {}",
            COLUMNS.as_str(),
            time_literal(new.month.start()),
            time_literal(new.month.next().start()),
            text_literal(&new.class),
            new.writer_id,
            numbers.start(),
            numbers.end(),
            bounded(most(&numbers)),
        );
        self.bounded("read the records of an entry", async {
            let (rows, roots) = if is_all_of(entry, &numbers) {
                let [rows] = self.ask([select_rows]).await?;
                (rows, Vec::new())
            } else {
                let [rows, roots] = self.ask([select_rows, select_folded(entry)]).await?;
                (rows, roots)
            };
            let rows = rows.into_iter().map(decode::record_row).collect::<Result<_, _>>()?;
            Ok((rows, roots.first().map_or(Ok(Vec::new()), folded)?))
        })
        .await
    }

    pub(super) async fn ask_tree_runs(
        &self,
        runs: &[(u32, Range<u64>)],
    ) -> Result<Vec<(u32, u64, Hash)>, StoreError> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        // Each by its index: OR would be one condition.
        let (mut entries, mut kept) = (Vec::new(), Vec::new());
        for (height, run) in runs {
            let (start, end) = (number(run.start), number(run.end));
            if *height > 0 {
                kept.push(format!(
                    "{NODES} where height = {height} and number >= {start} and number < {end}"
                ));
            } else {
                entries.push(format!(
                    "(select {ENTRY_COLUMNS}, count from activity.ledger_entries \
                     where position > {start} and position <= {end})"
                ));
            }
        }
        let node = |row: &PgRow| {
            let height = u32::try_from(decode::integer(row, 0)?).unwrap_or_default();
            Ok((height, decode::integer(row, 1)?.unsigned_abs(), row.array(2)?))
        };
        self.bounded("read the ledger", async {
            let entries = entries.join(" union all ");
            let (entries, kept) = if kept.is_empty() {
                let [entries] = self.ask([entries]).await?;
                (entries, Vec::new())
            } else {
                let [entries, kept] = self.ask([entries, kept.join(" union all ")]).await?;
                (entries, kept)
            };
            let mut nodes = kept.iter().map(node).collect::<Result<Vec<_>, sqlx::Error>>()?;
            nodes.extend(entries.iter().map(decode::ledger_row).filter_map(leaf_node));
            Ok(nodes)
        })
        .await
    }
}
