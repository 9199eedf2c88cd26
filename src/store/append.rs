//! Taking batches, exactly once.

use std::{future::Future, sync::Arc};

use super::{AnyStore, Restricted, StoreError};
use crate::{
    ledger::Entry,
    record::{Record, WriterId},
    time::Timestamp,
};

/// Consecutive records of one stream, numbered and sealed.
///
/// What holds: at least one record; all of one `writer_id`; `seq` without a gap; `recorded_at`,
/// `retention_class` and the seals are set; records of one leaf (month and retention class) stand
/// together.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    records: &'a [Box<Record>],
    /// The newest epoch that its writer knows of, when it found that the store has lost something.
    lost_in: Option<i64>,
    /// What goes aside of some of the records, and maybe of others: of people who were erased, under a hold.
    restricted: &'a [Restricted],
}

impl<'a> Batch<'a> {
    /// Makes a batch of numbered records; `None` when they are not one gapless run of one stream.
    #[must_use]
    pub fn new(records: &'a [Box<Record>]) -> Option<Self> {
        let first = records.first()?;
        let gapless = records.windows(2).all(|pair| {
            pair[0].writer_id == pair[1].writer_id
                && pair[0].seq.checked_add(1) == Some(pair[1].seq)
        });
        (gapless && first.seq >= 1).then_some(Self { records, lost_in: None, restricted: &[] })
    }

    /// Has what was taken out of records kept aside, in the transaction that appends them: see
    /// [`Erase::restrict`](super::Erase::restrict). What is of other records stays out of it.
    #[must_use]
    pub const fn restricting(self, restricted: &'a [Restricted]) -> Self {
        Self { restricted, ..self }
    }

    /// Returns what is to be kept aside of these records, as they are numbered now.
    pub fn restricted(&self) -> impl Iterator<Item = Restricted> {
        self.restricted.iter().filter_map(|kept| {
            let record = self.records.iter().find(|record| record.id == kept.id)?;
            kept.renewed(record)
        })
    }

    /// Marks the batch as the first after its writer found the store behind: a backup was restored, or a
    /// replica that lacks the newest commits took over. Its entries open another epoch of the ledger,
    /// unless that was opened since: `seen` is the newest epoch that the writer knows of, 0 for none.
    ///
    /// So of several writers that find out about the same loss, the first opens the epoch, and the others
    /// go on in it.
    #[must_use]
    pub const fn after_loss(self, seen: i64) -> Self {
        Self { lost_in: Some(seen), ..self }
    }

    /// Returns the newest epoch that the writer knows of, 0 for none, when this is its first batch
    /// [after a loss](Self::after_loss).
    #[must_use]
    pub const fn lost_in(&self) -> Option<i64> {
        self.lost_in
    }

    /// Returns the epoch of this batch's entries in a ledger whose last entry is of epoch `head`; an empty
    /// ledger stands in epoch 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use tower_activity::{record::{Record, WriterId}, store::Batch};
    ///
    /// let mut record = Box::<Record>::default();
    /// (record.writer_id, record.seq) = (WriterId::new(7), 1);
    /// let records = [record];
    /// let batch = Batch::new(&records).unwrap();
    /// assert_eq!(batch.epoch(1), 1);
    /// assert_eq!(batch.after_loss(1).epoch(1), 2);
    /// // Somebody else found out before.
    /// assert_eq!(batch.after_loss(1).epoch(2), 2);
    /// // The restored ledger is of an older epoch than the one that was lost.
    /// assert_eq!(batch.after_loss(4).epoch(2), 5);
    /// ```
    #[must_use]
    pub fn epoch(&self, head: i64) -> i64 {
        match self.lost_in {
            None => head,
            Some(seen) if seen < 1 => head.saturating_add(1),
            Some(seen) => head.max(seen.saturating_add(1)),
        }
    }

    /// Returns the records.
    #[must_use]
    pub const fn records(&self) -> &'a [Box<Record>] {
        self.records
    }

    /// Returns the stream.
    #[must_use]
    pub fn writer_id(&self) -> WriterId {
        self.records.first().map_or_else(WriterId::default, |record| record.writer_id)
    }

    /// Returns the number of the first record.
    #[must_use]
    pub fn first_seq(&self) -> i64 {
        self.records.first().map_or(1, |record| record.seq)
    }

    /// Returns the number of the last record.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        self.records.last().map_or(0, |record| record.seq)
    }
}

/// What an append left in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The entries, in the order of their positions.
    pub entries: Vec<Entry>,
}

impl Appended {
    /// Returns the last position.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.position)
    }

    /// Returns the time of the commit.
    #[must_use]
    pub fn committed_at(&self) -> Timestamp {
        self.entries.last().map_or_else(Timestamp::default, |entry| entry.committed_at)
    }
}

/// A store that takes records.
pub trait Append: Send + Sync + 'static {
    /// A connection for appending.
    type Appender: Appender;

    /// Opens a connection of its own for one writer.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached or refuses.
    fn connect(&self) -> impl Future<Output = Result<Self::Appender, StoreError>> + Send;

    /// Asks for commits that survive a power cut, where the store has a choice: what gave a record away after its
    /// commit may not have it any more. Called before the first connection. Defaults to nothing.
    fn keep_commits(&self) {}

    /// Returns the store as one that can be read, for the API and the background work on it; `None` for a
    /// store that only takes records. Defaults to `None`.
    fn reader(&self) -> Option<AnyStore> {
        None
    }
}

impl<S: Append> Append for Arc<S> {
    type Appender = S::Appender;

    fn connect(&self) -> impl Future<Output = Result<S::Appender, StoreError>> + Send {
        (**self).connect()
    }

    fn keep_commits(&self) {
        (**self).keep_commits();
    }

    fn reader(&self) -> Option<AnyStore> {
        (**self).reader()
    }
}

/// A connection for appending, owned by one writer.
///
/// After any error, deadline or cancellation the writer drops it and connects anew: a connection that
/// was left in the middle may be one reply off.
pub trait Appender: Send + 'static {
    /// Returns the number of the last record of a stream that the store holds; 0 when it holds none.
    ///
    /// Reads **under the lock that an append holds**, so that a commit in flight has ended, one way or
    /// the other, when this returns.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn position(
        &mut self,
        writer_id: WriterId,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Appends a batch in one transaction: all rows and their ledger entries, or nothing.
    ///
    /// When it returns `Ok`, the records are committed. Sending the same batch again is refused with
    /// [`StoreErrorKind::Position`](super::StoreErrorKind::Position) and changes nothing.
    ///
    /// # Errors
    ///
    /// See [`StoreErrorKind`](super::StoreErrorKind) for what each kind asks of the writer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether the batch was committed: ask a new connection.
    fn append(
        &mut self,
        batch: Batch<'_>,
    ) -> impl Future<Output = Result<Appended, StoreError>> + Send;
}
