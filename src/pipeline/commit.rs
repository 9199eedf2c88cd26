//! Commits: what one append left in the ledger, with its records.
//!
//! Who follows the ledger has to know the place of each record in it, which a record does not say. Here
//! the place comes along, so that nothing has to be read back that this process has just written.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use super::feed::lock;
use crate::{ledger::Entry, record::Record};

/// What waits for one follower: a few full batches. It is emptied within moments, unless the follower
/// itself waits for the store, and then what is left out here is read from there as well.
const QUEUED_RECORDS: usize = 16_384;
/// The same in bytes.
const QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// One entry of the ledger with its records. Cheap to clone.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the live stream"))]
pub(crate) struct Committed {
    /// Its place in the ledger.
    pub(crate) position: i64,
    /// The number of the entry's first record.
    pub(crate) first_seq: i64,
    /// In the order of their numbers.
    pub(crate) records: Arc<[Arc<Record>]>,
    /// What the records occupy.
    pub(crate) bytes: usize,
}

impl Committed {
    /// Puts records to their entry. What the store no longer holds may be missing.
    pub(crate) fn new(position: i64, first_seq: i64, records: Arc<[Arc<Record>]>) -> Self {
        let bytes = records.iter().map(|record| record.footprint()).sum();
        Self { position, first_seq, records, bytes }
    }
}

/// What one append committed: it became visible at once, and is handed on at once.
#[derive(Debug, Clone)]
pub(super) struct Commit(Arc<[Committed]>);

impl Commit {
    /// Puts records to their entries; `None` when these do not name exactly those.
    pub(super) fn new(records: &[Arc<Record>], entries: &[Entry]) -> Option<Self> {
        let mut rest = records;
        let mut commit = Vec::with_capacity(entries.len());
        for entry in entries {
            let count = usize::try_from(entry.new.count()).ok().filter(|count| *count > 0)?;
            let (own, later) = rest.split_at_checked(count)?;
            let is_its = |(record, seq): (&Arc<Record>, i64)| {
                record.writer_id == entry.new.writer_id && record.seq == seq
            };
            if !own.iter().zip(entry.new.first_seq..).all(is_its) {
                return None;
            }
            commit.push(Committed::new(entry.position, entry.new.first_seq, own.into()));
            rest = later;
        }
        (rest.is_empty() && !commit.is_empty()).then(|| Self(commit.into()))
    }
}

/// What waits for one follower.
#[derive(Debug, Default)]
pub(super) struct CommitQueue {
    inner: Mutex<Queued>,
    changed: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct Queued {
    commits: VecDeque<Commit>,
    records: usize,
    bytes: usize,
    ended: bool,
}

impl CommitQueue {
    /// Adds a commit, or leaves it out when too many wait: the positions show that one is missing.
    pub(super) fn push(&self, commit: &Commit) {
        let (mut records, mut bytes) = (0, 0);
        for committed in &*commit.0 {
            records += committed.records.len();
            bytes += committed.bytes;
        }
        {
            let mut inner = lock(&self.inner);
            let fits = inner.records + records <= QUEUED_RECORDS
                && inner.bytes.saturating_add(bytes) <= QUEUED_BYTES;
            if !fits && !inner.commits.is_empty() {
                return;
            }
            inner.records += records;
            inner.bytes += bytes;
            inner.commits.push_back(commit.clone());
        }
        self.changed.notify_one();
    }

    pub(super) fn end(&self) {
        lock(&self.inner).ended = true;
        self.changed.notify_one();
    }
}

/// Commits of this process from the moment of the subscription on, in the order of the ledger. Those of
/// other processes are not among them, nor those whose place did not become known, nor those that a slow
/// follower left waiting: positions have no holes, so a follower sees that, and reads the store.
#[derive(Debug)]
pub(crate) struct Commits {
    queue: Arc<CommitQueue>,
}

impl Commits {
    pub(super) const fn new(queue: Arc<CommitQueue>) -> Self {
        Self { queue }
    }

    /// Returns the entries of the next commit; `None` after the last.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the live stream"))]
    pub(crate) async fn next(&mut self) -> Option<Arc<[Committed]>> {
        loop {
            {
                let mut inner = lock(&self.queue.inner);
                if let Some(Commit(commit)) = inner.commits.pop_front() {
                    for committed in &*commit {
                        inner.records -= committed.records.len();
                        inner.bytes -= committed.bytes;
                    }
                    return Some(commit);
                }
                if inner.ended {
                    return None;
                }
            }
            self.queue.changed.notified().await;
        }
    }
}

/// Where commits come from. Cheap to clone.
#[cfg(feature = "api")]
#[derive(Clone, Debug)]
pub(crate) struct CommitSource(Arc<super::core::Core>);

#[cfg(feature = "api")]
impl CommitSource {
    pub(super) const fn new(core: Arc<super::core::Core>) -> Self {
        Self(core)
    }

    /// Returns the commits from now on.
    pub(crate) fn subscribe(&self) -> Commits {
        self.0.feed.commits()
    }

    /// Returns what becomes true when whoever listens has to go.
    pub(crate) fn hung_up(&self) -> tokio::sync::watch::Receiver<bool> {
        self.0.hung_up.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::new_entries,
        record::{Canonical, WriterId},
        time::Timestamp,
    };

    fn commit(seqs: std::ops::RangeInclusive<i64>) -> (Vec<Arc<Record>>, Vec<Entry>) {
        let records: Vec<_> = seqs
            .map(|seq| {
                let month = if seq % 10 < 5 { 0 } else { 40 * 86_400_000_000 };
                let (writer_id, occurred_at) = (WriterId::new(3), Timestamp::from_micros(month));
                Arc::new(Record { writer_id, seq, occurred_at, ..Record::default() })
            })
            .collect();
        let entries = new_entries(&records, &mut Canonical::new()).into_iter().enumerate();
        let entries = entries.map(|(at, new)| Entry {
            position: 7 + i64::try_from(at).unwrap(),
            epoch: 1,
            new,
            committed_at: Timestamp::default(),
        });
        (records, entries.collect())
    }

    #[test]
    fn a_commit_keeps_its_records_by_entry() {
        let (records, entries) = commit(3..=7);
        let commit = Commit::new(&records, &entries).unwrap();
        let shape: Vec<_> =
            commit.0.iter().map(|c| (c.position, c.first_seq, c.records.len())).collect();
        assert_eq!(shape, [(7, 3, 2), (8, 5, 3)]);
    }

    #[test]
    fn entries_that_name_other_records_make_no_commit() {
        let (records, entries) = commit(3..=7);
        assert!(Commit::new(&records[1..], &entries).is_none());
        assert!(Commit::new(&records[..4], &entries).is_none());
        assert!(Commit::new(&records, &entries[..1]).is_none());
        assert!(Commit::new(&records, &[]).is_none());
        let (others, _) = commit(4..=8);
        assert!(Commit::new(&others, &entries).is_none());
    }

    #[tokio::test]
    async fn a_follower_that_is_behind_keeps_so_many_records_and_no_more() {
        let queue = Arc::new(CommitQueue::default());
        let mut commits = Commits::new(Arc::clone(&queue));
        let (records, entries) = commit(10..=14);
        let one = Commit::new(&records, &entries).unwrap();
        for _ in 0..QUEUED_RECORDS {
            queue.push(&one);
        }
        queue.end();
        let mut kept = 0;
        while let Some(commit) = commits.next().await {
            kept += commit[0].records.len();
        }
        assert!(kept > 0 && kept <= QUEUED_RECORDS, "{kept}");
        assert_eq!(lock(&queue.inner).bytes, 0);
    }
}
