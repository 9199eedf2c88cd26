//! Folding of floods: a scanner that asks for a thousand things that are not there leaves a handful of
//! records and exact counts.
//!
//! Only what nobody in particular did is folded: anonymous refusals (401, 403, 429), and 404 and 405 of
//! requests that matched no route. Known actors and login routes are recorded one by one, whatever they
//! do. Of each kind (network, route, status) the first ten in a minute are recorded singly; the others
//! become one record with their count when the minute is over.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::own;
use crate::{
    record::{Actor, ActorType, Address, Category, Operation, Origin, Outcome, Record},
    rules::UNMATCHED,
    time::Timestamp,
};

/// So many of one kind are recorded singly in each window.
const SINGLY: u32 = 10;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(60);
/// So many kinds are told apart; a flood from more networks than that folds into one record.
const KINDS: usize = 1_024;

/// A full table is searched for windows that are over at most this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind<R> {
    /// /24 or /48 of the client; none when its address is not kept.
    network: Option<Address>,
    /// None when the table is full: then all further kinds are one.
    route: Option<R>,
    status: u16,
}

#[derive(Debug)]
struct Count {
    kind: Kind<Box<str>>,
    began: Duration,
    singly: u32,
    folded: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

/// What became of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// It is recorded.
    Singly,
    /// It was counted. True when it is the first of its window, so that the writer has to learn of it.
    Counted { first: bool },
}

/// The table. Its lock is held for a look-up, and only by requests that are refusals of nobody in
/// particular.
#[derive(Debug)]
pub(super) struct Folds {
    table: Mutex<Table>,
    /// When the first window with a count ends, in microseconds; `MAX` when there is none.
    due_at: AtomicU64,
}

/// The counts by the hash of their kind, so that a look-up copies nothing. The hash is keyed at random:
/// nobody outside can make two kinds meet.
#[derive(Debug, Default)]
struct Table {
    counts: HashMap<u64, Count>,
    hasher: RandomState,
    swept_at: Option<Duration>,
}

impl Default for Folds {
    fn default() -> Self {
        Self { table: Mutex::default(), due_at: AtomicU64::new(u64::MAX) }
    }
}

/// Tells whether a record may be folded at all.
pub(super) fn is_anonymous_refusal(record: &Record) -> bool {
    record.origin == Origin::Request
        && record.category == Category::Activity
        && record.actor_type == ActorType::Anonymous
        && record.actor_id.is_absent()
        && record.impersonator_id.is_absent()
        && match record.status {
            Some(401 | 403 | 429) => true,
            Some(404 | 405) => record.route == UNMATCHED,
            _ => false,
        }
}

impl Folds {
    /// Counts an anonymous refusal.
    pub(super) fn count(&self, record: &Record, at: Timestamp, now: Duration) -> Fold {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let table = &mut *table;
        let mut kind = Kind {
            network: record.ip.map(network),
            route: Some(record.route.as_str()),
            status: record.status.unwrap_or(0),
        };
        let mut key = table.hasher.hash_one(&kind);
        if table.counts.len() >= KINDS && !table.counts.contains_key(&key) {
            table.sweep(now);
            if table.counts.len() >= KINDS {
                kind = Kind { network: None, route: None, status: 0 };
                key = table.hasher.hash_one(&kind);
            }
        }
        let fresh = || Count {
            kind: Kind {
                network: kind.network,
                route: kind.route.map(Into::into),
                status: kind.status,
            },
            began: now,
            singly: if kind.route.is_none() { SINGLY } else { 0 },
            folded: 0,
            first_at: at,
            last_at: at,
        };
        let count = table.counts.entry(key).or_insert_with(fresh);
        if now >= count.began + WINDOW && count.folded == 0 {
            *count = fresh();
        }
        // A window that is over but not reported yet goes on counting: nothing is ever lost.
        if count.singly < SINGLY {
            count.singly += 1;
            return Fold::Singly;
        }
        let first = count.folded == 0;
        if first {
            count.first_at = at;
            let ends = micros(count.began + WINDOW);
            self.due_at.fetch_min(ends, Ordering::SeqCst);
        }
        count.folded += 1;
        count.last_at = at;
        Fold::Counted { first }
    }

    /// Returns when the next window with a count ends.
    pub(super) fn due_at(&self) -> Option<Duration> {
        match self.due_at.load(Ordering::SeqCst) {
            u64::MAX => None,
            due => Some(Duration::from_micros(due)),
        }
    }

    /// Takes the records of the windows that are over, or of all.
    pub(super) fn take(&self, now: Duration, all: bool) -> Vec<Box<Record>> {
        if !all && self.due_at().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = Vec::new();
        let mut next = u64::MAX;
        table.counts.retain(|_, count| {
            let over = now >= count.began + WINDOW;
            if count.folded > 0 && (all || over) {
                records.push(folded(count));
                // A window that goes on has had its single ones.
                count.folded = 0;
            } else if count.folded > 0 {
                next = next.min(micros(count.began + WINDOW));
            }
            !over
        });
        // Under the lock, so that no window that begins to count meanwhile is forgotten.
        self.due_at.store(next, Ordering::SeqCst);
        records
    }
}

impl Table {
    /// Windows that are over and hold no count make room.
    fn sweep(&mut self, now: Duration) {
        if self.swept_at.is_none_or(|at| now >= at + SWEEP_EVERY) {
            self.swept_at = Some(now);
            self.counts.retain(|_, count| count.folded > 0 || now < count.began + WINDOW);
        }
    }
}

pub(super) fn network(address: Address) -> Address {
    let prefix = if address.ip().is_ipv4() { 24 } else { 48 };
    Address::truncated(address.ip(), prefix.min(address.prefix()))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX - 1)
}

fn folded(count: &Count) -> Box<Record> {
    let kind = &count.kind;
    let metadata = serde_json::json!({
        "count": count.folded,
        "route": kind.route.as_deref(),
        "status": (kind.status != 0).then_some(kind.status),
        "prefix": kind.network,
        "first_at": count.first_at,
        "last_at": count.last_at,
    });
    let mut record = own::record(own::FOLDED, 2, &metadata);
    record.set_actor(&Actor::anonymous());
    record.operation = Operation::Execute;
    record.outcome = Outcome::Denied;
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(ip: &str, status: u16) -> Record {
        let mut record = Record { status: Some(status), ..Record::default() };
        record.ip = Some(ip.parse().unwrap());
        record.route.set(UNMATCHED);
        record
    }

    fn counts(records: &[Box<Record>]) -> Vec<u64> {
        let count = |record: &Record| {
            let metadata: serde_json::Value =
                serde_json::from_str(record.metadata.as_str()).unwrap();
            metadata["count"].as_u64().unwrap()
        };
        records.iter().map(|record| count(record)).collect()
    }

    #[test]
    fn known_actors_logins_and_matched_404s_are_never_folded() {
        assert!(is_anonymous_refusal(&refusal("192.0.2.7", 404)));
        let mut known = refusal("192.0.2.7", 403);
        known.set_actor(&Actor::user("ana"));
        let mut login = refusal("192.0.2.7", 401);
        login.category = Category::Authentication;
        let mut matched = refusal("192.0.2.7", 404);
        matched.route.set("/orders/{id}");
        let mut by_hand = refusal("192.0.2.7", 403);
        by_hand.origin = Origin::Manual;
        for record in [known, login, matched, by_hand, refusal("192.0.2.7", 500)] {
            assert!(!is_anonymous_refusal(&record));
        }
    }

    #[test]
    fn ten_in_a_minute_are_single_and_the_rest_is_one_record() {
        let folds = Folds::default();
        let at = |second: u64| Duration::from_secs(second);
        let mut single = 0;
        for n in 0..100_u64 {
            // One network, whatever the last byte says.
            let record = refusal(&format!("192.0.2.{n}"), 404);
            let fold = folds.count(&record, Timestamp::default(), at(n / 4));
            single += u32::from(fold == Fold::Singly);
            assert_eq!(fold == Fold::Counted { first: true }, n == 10);
        }
        assert_eq!(single, 10);
        assert_eq!(folds.due_at(), Some(at(60)));
        assert!(folds.take(at(59), false).is_empty());
        assert_eq!(counts(&folds.take(at(60), false)), [90]);
        assert_eq!(folds.due_at(), None);
        let again = folds.count(&refusal("192.0.2.1", 404), Timestamp::default(), at(61));
        assert_eq!(again, Fold::Singly, "a new minute has begun");
    }

    #[test]
    fn who_asks_for_the_counts_early_begins_no_new_minute() {
        let folds = Folds::default();
        let count = |second| {
            folds.count(
                &refusal("192.0.2.1", 404),
                Timestamp::default(),
                Duration::from_secs(second),
            )
        };
        for _ in 0..15 {
            count(0);
        }
        assert_eq!(counts(&folds.take(Duration::from_secs(1), true)), [5]);
        assert!(folds.take(Duration::from_secs(1), true).is_empty() && folds.due_at().is_none());
        assert_eq!(count(2), Fold::Counted { first: true });
        assert_eq!(folds.due_at(), Some(Duration::from_secs(60)));
        assert_eq!(counts(&folds.take(Duration::from_secs(60), false)), [1]);
        assert_eq!(count(61), Fold::Singly);
    }

    #[test]
    fn a_hundred_thousand_from_everywhere_stay_bounded_and_counted() {
        let folds = Folds::default();
        let mut single = 0;
        for n in 0..100_000_u32 {
            let record = refusal(&format!("10.{}.{}.1", n % 200, n / 200 % 100), 401);
            let fold =
                folds.count(&record, Timestamp::default(), Duration::from_millis(u64::from(n) / 2));
            single += u64::from(fold == Fold::Singly);
        }
        assert!(folds.table.lock().unwrap().counts.len() <= KINDS + 1);
        let records = folds.take(Duration::from_secs(200), true);
        assert!(records.len() <= KINDS + 1);
        assert_eq!(single + counts(&records).iter().sum::<u64>(), 100_000);
    }
}
