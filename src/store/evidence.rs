//! What proofs need of a store: rows as they stand there, whatever somebody made of them, and checkpoints.

use std::{
    future::Future,
    ops::{Range, RangeInclusive},
};

use super::{Restricted, Scratch, StoreError};
use crate::{
    ledger::{
        Entry, Hash, KeptCheckpoint, TreeNode,
        verify::{LedgerRow, RecordRow, StreamRows, Verified},
    },
    record::{Groups, RecordId, WriterId},
    time::Timestamp,
};

/// A store that shows its rows to whoever verifies them, and keeps the ledger's signed heads.
///
/// A row that is nothing which an append writes is an answer here and not an error: it is what is looked for.
/// Each call is one short transaction.
pub trait Evidence: Send + Sync + 'static {
    /// Refuses where this store shows a part of the log alone, as to a role that sees one tenant: what is hidden would
    /// read as what is missing. By default it shows all.
    ///
    /// # Errors
    ///
    /// [`Configuration`](super::StoreErrorKind::Configuration) when it shows a part, and when it cannot be asked.
    fn expect_all(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Returns what this says of itself where it is a scratch copy of an archive, and no log. By default it is none.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn scratch(&self) -> impl Future<Output = Result<Option<Scratch>, StoreError>> + Send {
        std::future::ready(Ok(None))
    }

    /// Returns the path from an entry of a scratch copy to the head that it lies under, and which of its
    /// [heads](Scratch::heads) that is. By default there is none.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn scratch_path(
        &self,
        position: i64,
    ) -> impl Future<Output = Result<Option<(usize, Vec<Hash>)>, StoreError>> + Send {
        let _ = position;
        std::future::ready(Ok(None))
    }

    /// Returns numbers and hashes of the records of a stream that a scratch copy leaves out, from one number to another,
    /// in their order. By default there are none.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn scratch_leaves(
        &self,
        stream: WriterId,
        from: i64,
        to: i64,
    ) -> impl Future<Output = Result<Vec<(i64, Hash)>, StoreError>> + Send {
        let _ = (stream, from, to);
        std::future::ready(Ok(Vec::new()))
    }

    /// Returns the ledger's rows after position `after`, in the order of their positions, at most `limit`; from
    /// [`i64::MIN`] on, rows without a position too, as far as there is one.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn ledger_rows(
        &self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<LedgerRow>, StoreError>> + Send;

    /// Returns the rows of a stream's records from one number to another, in whichever leaf they lie, in the
    /// order of their numbers, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn record_rows(
        &self,
        stream: WriterId,
        from: i64,
        to: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<RecordRow>, StoreError>> + Send;

    /// Returns from which number to which each stream has rows, for the streams after `after` in the order of
    /// their names, at most `limit`; by an index, hence without reading the rows.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn stream_rows(
        &self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StreamRows>, StoreError>> + Send;

    /// Returns the last number of a stream that the ledger accounts for; 0 when it has none.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn committed(&self, stream: WriterId) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Returns the entry of the ledger that accounts for a record, if there is one.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn entry_of(
        &self,
        stream: WriterId,
        seq: i64,
    ) -> impl Future<Output = Result<Option<Entry>, StoreError>> + Send;

    /// Returns the roots of every 64 records of an entry, as far as they are kept; whoever uses them holds them to the
    /// entry's root. By default none are.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn folded_roots(
        &self,
        _entry: &Entry,
    ) -> impl Future<Output = Result<Vec<Hash>, StoreError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Returns what is kept aside of records under a legal hold, after a number, each with its own, at most so many. By
    /// default nothing is.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, and when there is something that whoever asks may not see.
    fn restricted(
        &self,
        _after: i64,
        _limit: usize,
    ) -> impl Future<Output = Result<Vec<(i64, Restricted)>, StoreError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Returns what is kept aside of one record.
    ///
    /// # Errors
    ///
    /// As [`restricted`](Self::restricted).
    fn restricted_of(
        &self,
        _id: RecordId,
    ) -> impl Future<Output = Result<Vec<Restricted>, StoreError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Returns which groups are kept aside of some records, for whoever may not see what is in them.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn restricted_marks(
        &self,
        _ids: &[RecordId],
    ) -> impl Future<Output = Result<Vec<(RecordId, Groups)>, StoreError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Keeps a checkpoint, whose number follows that of the last, and the roots of the subtrees that became whole
    /// since; `false`, and nothing is kept, when somebody else made one of this number.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses.
    fn add_checkpoint(
        &self,
        checkpoint: &KeptCheckpoint,
        nodes: &[TreeNode],
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns the checkpoint that was kept last.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn last_checkpoint(
        &self,
    ) -> impl Future<Output = Result<Option<KeptCheckpoint>, StoreError>> + Send;

    /// Returns the checkpoints after number `after`, in their order, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn checkpoints(
        &self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<KeptCheckpoint>, StoreError>> + Send;

    /// Returns the roots of the whole subtrees of a height from one number to before another, as far as they are
    /// kept.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn tree_nodes(
        &self,
        height: u32,
        from: i64,
        before: i64,
    ) -> impl Future<Output = Result<Vec<(i64, Hash)>, StoreError>> + Send;

    /// Returns the last checkpoint and the entry that accounts for a record; `None` unless the entry lies under it. By
    /// default each is asked for by itself, at the same time.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked; as [`expect_all`](Self::expect_all) where there is something to prove.
    fn covered(
        &self,
        stream: WriterId,
        seq: i64,
    ) -> impl Future<Output = Result<Option<(KeptCheckpoint, Entry)>, StoreError>> + Send {
        async move {
            let (checkpoint, entry, sees_all) =
                tokio::join!(self.last_checkpoint(), self.entry_of(stream, seq), self.expect_all());
            let covered = covered(checkpoint?, entry?);
            if covered.is_some() {
                sees_all?;
            }
            Ok(covered)
        }
    }

    /// Returns some rows of an entry, in the order of their numbers, and its [roots](Self::folded_roots) where these are
    /// not all of its records: what proves one of them. Rows of these numbers in other leaves than the entry's may be left
    /// out, as they prove nothing. By default both are asked for by themselves, at the same time.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn entry_parts(
        &self,
        entry: &Entry,
        numbers: RangeInclusive<i64>,
    ) -> impl Future<Output = Result<(Vec<RecordRow>, Vec<Hash>), StoreError>> + Send {
        async move {
            let limit = most(&numbers);
            let (stream, is_all) = (entry.new.writer_id, is_all_of(entry, &numbers));
            let rows = self.record_rows(stream, *numbers.start(), *numbers.end(), limit);
            if is_all {
                return Ok((rows.await?, Vec::new()));
            }
            tokio::try_join!(rows, self.folded_roots(entry))
        }
    }

    /// Returns the nodes of some runs of the ledger's tree, as [`tiles`](crate::ledger::tiles) names them, each with its
    /// height and number, as far as they are there: at height 0 the leaf hashes of entries, above it the roots that are
    /// kept. By default run by run.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn tree_runs(
        &self,
        runs: &[(u32, Range<u64>)],
    ) -> impl Future<Output = Result<Vec<(u32, u64, Hash)>, StoreError>> + Send {
        async move {
            let mut nodes = Vec::new();
            for (height, run) in runs {
                let (start, end) = (number(run.start), number(run.end));
                if *height > 0 {
                    let kept = self.tree_nodes(*height, start, end).await?;
                    nodes.extend(
                        kept.into_iter().map(|(at, hash)| (*height, at.unsigned_abs(), hash)),
                    );
                } else {
                    let count = usize::try_from(run.end - run.start).unwrap_or(usize::MAX);
                    let rows = self.ledger_rows(start, count).await?;
                    nodes.extend(rows.into_iter().filter_map(leaf_node));
                }
            }
            Ok(nodes)
        }
    }

    /// Keeps a signed head of another log, for good.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses.
    fn add_anchor(
        &self,
        note: &str,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the heads of other logs after number `after`, each with its number, in their order, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn anchors(
        &self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(i64, String)>, StoreError>> + Send;

    /// Keeps what a verification came to, in the place of the one before.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses.
    fn keep_verified(
        &self,
        verified: &Verified,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns what the last verification came to.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn last_verified(&self) -> impl Future<Output = Result<Option<Verified>, StoreError>> + Send;
}

/// Returns a checkpoint and an entry, where the one covers the other.
pub(super) fn covered(
    checkpoint: Option<KeptCheckpoint>,
    entry: Option<Entry>,
) -> Option<(KeptCheckpoint, Entry)> {
    checkpoint.zip(entry).filter(|(checkpoint, entry)| entry.position <= checkpoint.size)
}

/// Tells whether these are the numbers of all records of an entry, of which no roots are needed then.
pub(super) fn is_all_of(entry: &Entry, numbers: &RangeInclusive<i64>) -> bool {
    *numbers == (entry.new.first_seq..=entry.new.last_seq)
}

/// So many rows these numbers have at most, and one more, so that it shows where there is one twice.
pub(super) fn most(numbers: &RangeInclusive<i64>) -> usize {
    let count = numbers.end().saturating_sub(*numbers.start()).saturating_add(2);
    usize::try_from(count).unwrap_or(0)
}

/// Returns the node that an entry is in the ledger's tree.
pub(super) fn leaf_node(row: LedgerRow) -> Option<(u32, u64, Hash)> {
    let entry = row.entry.ok()?;
    Some((0, (entry.position - 1).unsigned_abs(), entry.leaf_hash()))
}

/// Returns a number as databases have it.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
