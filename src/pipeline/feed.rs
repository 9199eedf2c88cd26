//! The feed: what has been committed, in commit order.
//!
//! What one append committed became visible at once, in the store as here, so the order within it is free
//! to choose: it is that in which things occurred. The numbers follow the leaves instead (an entry of the
//! ledger never spans two), which would show what somebody did before his login.

use std::{
    collections::VecDeque,
    error, fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

use super::commit::{Commit, CommitQueue, Commits};
use crate::{ledger::Entry, query::Filter, record::Record};

/// A subscriber that is further behind than this has lagged: about a second of a busy service.
pub const DEFAULT_SUBSCRIPTION_CAPACITY: usize = 4_096;
/// What a subscriber that is behind may keep in memory: a full count of ordinary records.
const SUBSCRIPTION_BYTES: usize = 16 * 1024 * 1024;

/// The subscribers, and the place where the writer publishes.
#[derive(Debug, Default)]
pub(super) struct Feed {
    listeners: Mutex<Listeners>,
    /// Asked for each append, without a lock: mostly there are none.
    count: AtomicUsize,
}

/// Whoever listens, for as long as he keeps his end.
#[derive(Debug, Default)]
struct Listeners {
    /// To single records.
    records: Vec<Weak<Shared>>,
    /// To whole commits.
    commits: Vec<Weak<CommitQueue>>,
    /// There is nothing to listen to any more.
    ended: bool,
}

impl Listeners {
    /// Forgets those who have gone, and returns how many are left.
    fn tidy(&mut self) -> usize {
        self.records.retain(|listener| listener.strong_count() > 0);
        self.commits.retain(|listener| listener.strong_count() > 0);
        self.records.len() + self.commits.len()
    }
}

#[derive(Debug)]
struct Shared {
    filter: Filter,
    capacity: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    /// What the records among them occupy, were they this subscriber's alone.
    bytes: usize,
    waker: Option<Waker>,
    ended: bool,
}

#[derive(Debug)]
enum Item {
    Record(Arc<Record>),
    Missed(u64),
}

impl Feed {
    pub(super) fn subscribe(&self, filter: Filter, capacity: usize) -> Subscription {
        let mut listeners = lock(&self.listeners);
        // Who comes too late is not told of the end by anybody.
        let inner = Mutex::new(Inner { ended: listeners.ended, ..Inner::default() });
        let shared = Arc::new(Shared { filter, capacity, inner });
        listeners.records.push(Arc::downgrade(&shared));
        self.count.store(listeners.tidy(), Ordering::Release);
        Subscription { shared }
    }

    /// Returns whole commits from now on, with their places in the ledger.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the live stream"))]
    pub(super) fn commits(&self) -> Commits {
        let queue = Arc::new(CommitQueue::default());
        let mut listeners = lock(&self.listeners);
        if listeners.ended {
            queue.end();
        }
        listeners.commits.push(Arc::downgrade(&queue));
        self.count.store(listeners.tidy(), Ordering::Release);
        Commits::new(queue)
    }

    /// Hands on what one append has committed, and gives back what nobody keeps.
    ///
    /// `entries` are what the append left in the ledger; none when that is not known.
    pub(super) fn publish(
        &self,
        mut committed: Vec<Box<Record>>,
        entries: &[Entry],
        give_back: impl Fn(Box<Record>),
    ) -> Vec<Box<Record>> {
        if self.count.load(Ordering::Acquire) == 0 {
            committed.drain(..).for_each(give_back);
            return committed;
        }
        let (subscribers, queues): (Vec<_>, Vec<_>) = {
            let mut listeners = lock(&self.listeners);
            self.count.store(listeners.tidy(), Ordering::Release);
            (
                listeners.records.iter().filter_map(Weak::upgrade).collect(),
                listeners.commits.iter().filter_map(Weak::upgrade).collect(),
            )
        };
        if !queues.is_empty() {
            let mut records: Vec<_> = committed.drain(..).map(|record| Arc::new(*record)).collect();
            if let Some(commit) = Commit::new(&records, entries) {
                queues.iter().for_each(|queue| queue.push(&commit));
            }
            records.sort_by_key(|record| record.occurred_at);
            for record in &records {
                let wanted = subscribers.iter().filter(|s| s.filter.matches(record));
                wanted.for_each(|subscriber| subscriber.push(record));
            }
            return committed;
        }
        // Stable: what occurred in the same microsecond stays in the order of its numbers.
        committed.sort_by_key(|record| record.occurred_at);
        for record in committed.drain(..) {
            let mut wanted = subscribers.iter().filter(|s| s.filter.matches(&record)).peekable();
            if wanted.peek().is_none() {
                give_back(record);
                continue;
            }
            let wanted: Vec<_> = wanted.collect();
            let record = Arc::new(*record);
            wanted.into_iter().for_each(|subscriber| subscriber.push(&record));
        }
        committed
    }

    /// Ends every subscription once it has been read to its end.
    pub(super) fn end(&self) {
        let none = Listeners { ended: true, ..Listeners::default() };
        let listeners = std::mem::replace(&mut *lock(&self.listeners), none);
        listeners.commits.iter().filter_map(Weak::upgrade).for_each(|queue| queue.end());
        for subscriber in listeners.records.iter().filter_map(Weak::upgrade) {
            let waker = {
                let mut inner = lock(&subscriber.inner);
                inner.ended = true;
                inner.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        self.count.store(0, Ordering::Release);
    }
}

impl Shared {
    fn push(&self, record: &Arc<Record>) {
        let waker = {
            let mut inner = lock(&self.inner);
            let bytes = record.footprint();
            // One record of any size is always taken: otherwise there would be no way past it.
            let full = inner.items.len() >= self.capacity
                || (inner.bytes > 0 && inner.bytes + bytes > SUBSCRIPTION_BYTES);
            if !full {
                inner.bytes += bytes;
            }
            match inner.items.back_mut() {
                // What is missing is said at the place where it is missing.
                Some(Item::Missed(missed)) if full => *missed = missed.saturating_add(1),
                _ if full => inner.items.push_back(Item::Missed(1)),
                _ => inner.items.push_back(Item::Record(Arc::clone(record))),
            }
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A subscriber was too slow: so many records are missing at this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged(pub u64);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the subscriber was too slow and missed {} records", self.0)
    }
}

impl error::Error for Lagged {}

/// Committed records that pass a filter, in commit order.
///
/// A stream: [`next`](Self::next), or any combinator for [`Stream`]. Ends after the pipeline has been shut
/// down.
///
/// # Loss
///
/// Bounded by count and by bytes: whoever reads too slowly finds [`Lagged`] in the place of what was missed, and can read that
/// back from the store. The pipeline never waits for a subscriber.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
}

impl Subscription {
    /// Returns the next record, or `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Lagged`] where records are missing; the next call goes on behind them.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Arc<Record>, Lagged>> {
        std::future::poll_fn(|cx| self.poll_record(cx)).await
    }

    fn poll_record(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Arc<Record>, Lagged>>> {
        let mut inner = lock(&self.shared.inner);
        match inner.items.pop_front() {
            Some(Item::Record(record)) => {
                inner.bytes = inner.bytes.saturating_sub(record.footprint());
                Poll::Ready(Some(Ok(record)))
            }
            Some(Item::Missed(missed)) => Poll::Ready(Some(Err(Lagged(missed)))),
            None if inner.ended => Poll::Ready(None),
            None => {
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Arc<Record>, Lagged>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_record(cx)
    }
}

/// Takes a lock that guards plain data: whatever a panic elsewhere left is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(action: &str) -> Box<Record> {
        let mut record = Record::default();
        record.action.set(action);
        Box::new(record)
    }

    fn publish(feed: &Feed, actions: &[&str]) -> usize {
        let back = std::cell::Cell::new(0);
        let records = actions.iter().map(|action| record(action)).collect();
        let emptied = feed.publish(records, &[], |_| back.set(back.get() + 1));
        assert!(emptied.is_empty());
        back.get()
    }

    async fn texts(subscription: &mut Subscription) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(next) = subscription.next().await {
            out.push(next.map_or_else(|lagged| lagged.0.to_string(), |r| r.action.to_string()));
        }
        out
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_where_how_many_are_missing() {
        let feed = Feed::default();
        let mut slow = feed.subscribe(Filter::new(), 2);
        publish(&feed, &["a", "b", "c", "d"]);
        assert_eq!(slow.next().await.unwrap().unwrap().action, "a");
        assert_eq!(slow.next().await.unwrap().unwrap().action, "b");
        assert_eq!(slow.next().await.unwrap().unwrap_err(), Lagged(2));
        publish(&feed, &["e"]);
        feed.end();
        assert_eq!(texts(&mut slow).await, ["e"]);
    }

    #[tokio::test]
    async fn each_subscriber_gets_what_passes_his_filter() {
        let feed = Feed::default();
        let filter = Filter::new().any_of("action", ["b"]).unwrap();
        let mut some = feed.subscribe(filter, 8);
        let mut all = feed.subscribe(Filter::new(), 8);
        assert_eq!(publish(&feed, &["a", "b"]), 0);
        feed.end();
        assert_eq!(texts(&mut some).await, ["b"]);
        assert_eq!(texts(&mut all).await, ["a", "b"]);
    }

    #[tokio::test]
    async fn who_subscribes_after_the_end_does_not_wait_for_it() {
        let feed = Feed::default();
        feed.end();
        let mut late = feed.subscribe(Filter::new(), 8);
        let mut commits = feed.commits();
        let both = async { (late.next().await.is_none(), commits.next().await.is_none()) };
        let both = tokio::time::timeout(std::time::Duration::from_secs(60), both).await;
        assert_eq!(both.expect("nobody waits"), (true, true));
    }

    #[tokio::test]
    async fn who_waits_when_the_end_comes_is_told_of_it() {
        let feed = Feed::default();
        let (mut records, mut commits) = (feed.subscribe(Filter::new(), 8), feed.commits());
        // Each for himself: nobody hears of it through the other.
        let waits = [
            tokio::spawn(async move { records.next().await.is_none() }),
            tokio::spawn(async move { commits.next().await.is_none() }),
        ];
        tokio::task::yield_now().await;
        feed.end();
        for waits in waits {
            let told = tokio::time::timeout(std::time::Duration::from_secs(60), waits).await;
            assert!(told.expect("nobody waits on").unwrap());
        }
    }

    #[test]
    fn without_a_subscriber_a_record_comes_back_for_the_pool() {
        let feed = Feed::default();
        drop(feed.subscribe(Filter::new(), 8));
        assert_eq!(publish(&feed, &["a"]), 1);
    }

    #[tokio::test]
    async fn what_was_committed_at_once_comes_in_the_order_in_which_it_occurred() {
        let feed = Feed::default();
        let mut all = feed.subscribe(Filter::new(), 8);
        let at = |action, micros| {
            let mut record = record(action);
            record.occurred_at = crate::time::Timestamp::from_micros(micros);
            record
        };
        feed.publish(
            vec![at("order", 2), at("pay", 3), at("login", 1), at("ship", 3)],
            &[],
            |_| {},
        );
        feed.publish(vec![at("late", 0)], &[], |_| {});
        feed.end();
        assert_eq!(texts(&mut all).await, ["login", "order", "pay", "ship", "late"]);
    }

    #[tokio::test]
    async fn a_subscriber_that_is_behind_keeps_so_many_bytes_and_no_more() {
        let feed = Feed::default();
        let mut slow = feed.subscribe(Filter::new(), 1_000);
        let large = || {
            let mut record = record("a");
            record.request_body.buffer().reserve_exact(SUBSCRIPTION_BYTES / 4);
            record
        };
        for _ in 0..2 {
            feed.publish((0..10).map(|_| large()).collect(), &[], |_| {});
            let mut kept = 0;
            while kept < 3 {
                assert!(slow.next().await.unwrap().is_ok());
                kept += 1;
            }
            assert_eq!(slow.next().await.unwrap().unwrap_err(), Lagged(7));
        }
    }
}
