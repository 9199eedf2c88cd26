//! Records that exist if and only if a transaction of the application commits.
//!
//! [`Recorder::record_in`](super::Recorder::record_in) puts a record into the outbox, beside what the
//! application changes and in the same transaction. A worker moves what was committed into the log: see
//! [`store::Outbox`](crate::store::Outbox) for why each row gets there exactly once.
//!
//! Nobody but the application knows when its transaction commits, so the worker looks: soon after somebody
//! recorded, then now and then.

mod error;
mod record;
mod worker;

use std::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use tokio::sync::Notify;

pub use error::{RecordInError, WriteInError};
pub use record::BoxFuture;
pub(super) use worker::{Handle, Worker};

use crate::{
    store::{Backlog, Database},
    time::Timestamp,
};

/// What recorders, workers and whoever asks share about outboxes.
#[derive(Debug, Default)]
pub(super) struct Outboxes {
    each: Vec<Shared>,
    recorded: AtomicU64,
    stored: AtomicU64,
    quarantined: AtomicU64,
}

/// What is shared about one outbox.
#[derive(Debug)]
pub(super) struct Shared {
    database: Database,
    /// Somebody has recorded, and will perhaps commit.
    recorded: Notify,
    rows: AtomicU64,
    /// Microseconds; `MAX` when there is none.
    oldest: AtomicI64,
    /// Whether the last look found something.
    busy: AtomicBool,
}

impl Outboxes {
    pub(super) fn new(databases: impl IntoIterator<Item = Database>) -> Self {
        let each = databases.into_iter().map(|database| Shared {
            database,
            recorded: Notify::new(),
            rows: AtomicU64::new(0),
            oldest: AtomicI64::new(i64::MAX),
            busy: AtomicBool::new(false),
        });
        Self { each: each.collect(), ..Self::default() }
    }

    fn of(&self, index: usize) -> &Shared {
        &self.each[index]
    }

    /// Tells whether there is an outbox in a database of this kind.
    fn has(&self, database: Database) -> bool {
        self.each.iter().any(|outbox| outbox.database == database)
    }

    /// Counts a row that was put into a transaction, and wakes whoever may find it once it is committed.
    fn record(&self, database: Database) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
        for outbox in self.each.iter().filter(|outbox| outbox.database == database) {
            outbox.recorded.notify_one();
        }
    }

    pub(super) fn store(&self, records: u64) {
        self.stored.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn quarantine(&self) {
        self.quarantined.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how things stand; `None` without an outbox.
    pub(super) fn tally(&self, now: Timestamp) -> Option<OutboxTally> {
        if self.each.is_empty() {
            return None;
        }
        let oldest = self.each.iter().map(|outbox| outbox.oldest.load(Ordering::Relaxed)).min();
        let oldest = oldest.filter(|at| *at != i64::MAX).map(Timestamp::from_micros);
        let age = oldest.map(|at| now.as_micros().saturating_sub(at.as_micros()).max(0));
        Some(OutboxTally {
            recorded: self.recorded.load(Ordering::Relaxed),
            stored: self.stored.load(Ordering::Relaxed),
            quarantined: self.quarantined.load(Ordering::Relaxed),
            pending: self.each.iter().map(|outbox| outbox.rows.load(Ordering::Relaxed)).sum(),
            oldest: age.map(|micros| Duration::from_micros(micros.unsigned_abs())),
        })
    }
}

impl Shared {
    fn found(&self, backlog: Backlog) {
        self.rows.store(backlog.rows, Ordering::Relaxed);
        let oldest = backlog.oldest.map_or(i64::MAX, Timestamp::as_micros);
        self.oldest.store(oldest, Ordering::Relaxed);
        self.busy.store(backlog.rows > 0, Ordering::Relaxed);
    }
}

/// The accounting of outboxes, apart from the [`Tally`](super::Tally): a transaction that rolls back takes
/// its records with it, and rows may be written and moved by different processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutboxTally {
    /// Records that this process put into transactions, whatever became of these.
    pub recorded: u64,
    /// Records that this process moved into the log, the stubs of quarantined ones included.
    pub stored: u64,
    /// Records of which the log holds only a stub.
    pub quarantined: u64,
    /// Records that were committed and wait for the log, when somebody last looked.
    pub pending: u64,
    /// How long the oldest of them has waited.
    pub oldest: Option<Duration>,
}
