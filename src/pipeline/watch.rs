//! The log watches itself: who viewed it, who took it away, and who was refused.
//!
//! What one person does at one place of the interface is recorded at once the first time; what he repeats
//! within a minute becomes one further record with a count when the minute is over. So looking at the
//! records of who looked does not make more of them than one a minute. Refusals of nobody in particular
//! are counted by network, and when there are too many networks, together.
//!
//! Exports are never counted together: each takes records away, and what it took must be told by its own record
//! and not hide behind others of the same minute.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::fold::network;
use crate::{
    record::{ActorType, Address, Json, Outcome, Record},
    time::Timestamp,
};

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(60);
/// So many are told apart. Beyond that, people are recorded one by one and nobodies together.
const KINDS: usize = 1_024;
/// So many different questions are kept in the record that stands for many.
const ASKED: usize = 8;
/// A question is kept so far, in bytes.
const LONGEST_ASKED: usize = 512;
/// The end of one that was longer.
const CUT: &str = "…";
/// That of an export is kept whole, as long as one may be: what matters may stand at its end.
const LONGEST_EXPORT: usize = 20 * 1024;
/// A full table is searched for windows that are over at most this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// One use of the log.
#[derive(Debug)]
pub(crate) struct Use {
    /// Who, from where, what and how it ended: everything but the metadata.
    pub(crate) record: Box<Record>,
    /// Which part of the interface, as in `records` or `stats`.
    pub(crate) endpoint: &'static str,
    /// What was asked, as text.
    pub(crate) asked: String,
    /// How many records were shown, where that is known.
    pub(crate) shown: Option<u64>,
}

/// What is counted together.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    action: Box<str>,
    endpoint: &'static str,
    denied: bool,
    status: Option<u16>,
    tenant: Box<str>,
    who: Who,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Who {
    Known {
        kind: ActorType,
        id: Box<str>,
        ip: Option<Address>,
        pseudonym: Box<str>,
    },
    Nobody {
        network: Option<Address>,
    },
    /// Of too many nobodies.
    Others,
}

#[derive(Debug)]
struct Count {
    began: Duration,
    first_at: Timestamp,
    last_at: Timestamp,
    /// The last repetition, without its metadata; none while there was no repetition.
    last: Option<Box<Record>>,
    count: u64,
    shown: Option<u64>,
    asked: Vec<String>,
    /// Questions that were left out of `asked`.
    more: u64,
}

/// What became of a use.
#[derive(Debug)]
#[cfg_attr(not(feature = "api"), allow(dead_code, reason = "only the interface is watched"))]
pub(super) enum Seen {
    /// It is recorded.
    Singly(Box<Record>),
    /// It was counted. True when it is the first of its window, so that the writer has to learn of it.
    Counted { first: bool },
}

/// The table.
#[derive(Debug)]
pub(super) struct Watched {
    table: Mutex<Table>,
    /// When the first window with a count ends, in microseconds; `MAX` when there is none.
    due_at: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    counts: HashMap<Kind, Count>,
    swept_at: Option<Duration>,
}

impl Default for Watched {
    fn default() -> Self {
        Self { table: Mutex::default(), due_at: AtomicU64::new(u64::MAX) }
    }
}

impl Watched {
    /// Counts a use of the log.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "only the interface is watched"))]
    pub(super) fn count(&self, mut seen: Use, at: Timestamp, now: Duration) -> Seen {
        let exported = seen.is_export();
        let longest = if exported { LONGEST_EXPORT } else { LONGEST_ASKED };
        if seen.asked.len() > longest {
            seen.asked.truncate(seen.asked.floor_char_boundary(longest - CUT.len()));
            seen.asked.push_str(CUT);
        }
        if exported {
            return Seen::Singly(seen.once(at));
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let table = &mut *table;
        let mut kind = Kind::of(&seen);
        if table.counts.len() >= KINDS && !table.counts.contains_key(&kind) {
            table.sweep(now);
            if table.counts.len() >= KINDS {
                if matches!(kind.who, Who::Known { .. }) {
                    return Seen::Singly(seen.once(at));
                }
                kind.who = Who::Others;
                kind.tenant = Box::default();
            }
        }
        let Some(count) = table.counts.get_mut(&kind).filter(|count| !count.is_over(now)) else {
            table.counts.insert(kind, Count::begin(at, now));
            return Seen::Singly(seen.once(at));
        };
        // A window that is over but not reported yet goes on counting: nothing is ever lost.
        let first = count.last.is_none();
        if first {
            count.first_at = at;
            self.due_at.fetch_min(micros(count.began + WINDOW), Ordering::SeqCst);
        }
        count.add(seen, at);
        Seen::Counted { first }
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
        let due = self.due_at();
        if due.is_none_or(|due| due > now && !all) {
            return Vec::new();
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut records, mut next) = (Vec::new(), u64::MAX);
        table.counts.retain(|kind, count| {
            let over = now >= count.began + WINDOW;
            if (all || over) && count.last.is_some() {
                // A window that goes on has had its single one.
                records.extend(count.take(kind));
            } else if count.last.is_some() {
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
            self.counts.retain(|_, count| !count.is_over(now));
        }
    }
}

impl Kind {
    fn of(seen: &Use) -> Self {
        let record = &*seen.record;
        let who = if record.actor_type == ActorType::Anonymous {
            Who::Nobody { network: record.ip.map(network) }
        } else {
            Who::Known {
                kind: record.actor_type,
                id: record.actor_id.as_str().into(),
                ip: record.ip,
                pseudonym: record.ip_pseudonym.as_str().into(),
            }
        };
        Self {
            action: record.action.as_str().into(),
            endpoint: seen.endpoint,
            denied: record.outcome == Outcome::Denied,
            status: record.status,
            tenant: record.tenant_id.as_str().into(),
            who,
        }
    }
}

impl Use {
    /// Tells whether somebody took records away, or is about to.
    fn is_export(&self) -> bool {
        self.record.action == "log_exported" && self.record.outcome != Outcome::Denied
    }

    /// Returns the record of a use that stands for itself.
    pub(super) fn once(self, at: Timestamp) -> Box<Record> {
        let Self { mut record, endpoint, asked, shown } = self;
        let metadata = serde_json::json!({
            "endpoint": endpoint,
            "asked": (!asked.is_empty()).then_some(asked),
            "shown": shown,
            "count": 1,
        });
        record.occurred_at = at;
        record.metadata = Json::from_stored(metadata.to_string());
        record
    }
}

impl Count {
    const fn begin(at: Timestamp, now: Duration) -> Self {
        Self {
            began: now,
            first_at: at,
            last_at: at,
            last: None,
            count: 0,
            shown: None,
            asked: Vec::new(),
            more: 0,
        }
    }

    /// Tells whether the window has ended and owes no record.
    fn is_over(&self, now: Duration) -> bool {
        now >= self.began + WINDOW && self.last.is_none()
    }

    fn add(&mut self, seen: Use, at: Timestamp) {
        self.count += 1;
        self.last_at = at;
        if let Some(shown) = seen.shown {
            self.shown = Some(self.shown.unwrap_or(0).saturating_add(shown));
        }
        if !seen.asked.is_empty() && !self.asked.contains(&seen.asked) {
            if self.asked.len() < ASKED {
                self.asked.push(seen.asked);
            } else {
                self.more += 1;
            }
        }
        self.last = Some(seen.record);
    }

    /// Takes the record that stands for the repetitions.
    fn take(&mut self, kind: &Kind) -> Option<Box<Record>> {
        let mut record = self.last.take()?;
        let metadata = serde_json::json!({
            "endpoint": kind.endpoint,
            "asked": std::mem::take(&mut self.asked),
            "more": std::mem::take(&mut self.more),
            "shown": self.shown.take(),
            "count": std::mem::take(&mut self.count),
            "first_at": self.first_at,
            "last_at": self.last_at,
            "prefix": match kind.who {
                Who::Nobody { network } => network,
                Who::Known { .. } | Who::Others => None,
            },
        });
        if !matches!(kind.who, Who::Known { .. }) {
            // It stands for many, who have no address, no program and no request in common.
            record.ip = None;
            for text in [
                &mut record.ip_pseudonym,
                &mut record.user_agent,
                &mut record.request_id,
                &mut record.trace_id,
                &mut record.span_id,
            ] {
                text.clear();
            }
        }
        record.occurred_at = self.last_at;
        record.metadata = Json::from_stored(metadata.to_string());
        Some(record)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Actor;

    fn view(actor: &Actor, ip: &str, asked: &str) -> Use {
        let mut record = Box::<Record>::default();
        record.set_actor(actor);
        record.ip = ip.parse().ok();
        record.action.set("log_viewed");
        Use { record, endpoint: "records", asked: asked.to_owned(), shown: Some(2) }
    }

    fn metadata(record: &Record) -> serde_json::Value {
        serde_json::from_str(record.metadata.as_str()).unwrap()
    }

    fn count(watched: &Watched, seen: Use, second: u64) -> bool {
        let at = Timestamp::from_micros(i64::try_from(second).unwrap() * 1_000_000);
        matches!(watched.count(seen, at, Duration::from_secs(second)), Seen::Singly(_))
    }

    #[test]
    fn the_first_is_single_and_the_rest_of_the_minute_is_one_record() {
        let (watched, ana) = (Watched::default(), Actor::user("ana"));
        for second in 0..30 {
            let asked = format!("q={}", second % 12);
            let single = count(&watched, view(&ana, "192.0.2.7", &asked), second);
            assert_eq!(single, second == 0);
        }
        assert_eq!(watched.due_at(), Some(Duration::from_secs(60)));
        assert!(watched.take(Duration::from_secs(59), false).is_empty());
        let records = watched.take(Duration::from_secs(60), false);
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].actor_id.as_str(), records[0].ip.is_some()), ("ana", true));
        let metadata = metadata(&records[0]);
        assert_eq!((&metadata["count"], &metadata["shown"]), (&29.into(), &58.into()));
        assert_eq!(metadata["asked"].as_array().unwrap().len(), ASKED);
        assert!(metadata["more"].as_u64().unwrap() > 0);
        assert_eq!(metadata["first_at"], "1970-01-01T00:00:01.000000Z");
        assert!(count(&watched, view(&ana, "192.0.2.7", ""), 61), "a new minute has begun");
    }

    #[test]
    fn each_export_stands_for_itself_with_all_that_it_asked() {
        let (watched, ana) = (Watched::default(), Actor::user("ana"));
        for n in 0..30 {
            let asked = format!("/export?q={}{n}", "-actor_id:nobody%20".repeat(100));
            let mut export = Use { endpoint: "export", ..view(&ana, "192.0.2.7", &asked) };
            export.record.action.set("log_exported");
            let Seen::Singly(record) =
                watched.count(export, Timestamp::default(), Duration::from_secs(1))
            else {
                panic!("export {n} hides behind another");
            };
            assert_eq!(metadata(&record)["asked"], asked);
        }
        assert!(watched.take(Duration::from_secs(1), true).is_empty());
        let refused = || {
            let mut refused = view(&ana, "192.0.2.7", "");
            refused.record.action.set("log_exported");
            refused.record.outcome = Outcome::Denied;
            refused
        };
        assert!(count(&watched, refused(), 2));
        assert!(!count(&watched, refused(), 2), "refusals take nothing away");
    }

    #[test]
    fn people_addresses_and_places_are_told_apart() {
        let watched = Watched::default();
        let (ana, bob) = (Actor::user("ana"), Actor::user("bob"));
        assert!(count(&watched, view(&ana, "192.0.2.7", ""), 0));
        assert!(count(&watched, view(&bob, "192.0.2.7", ""), 0));
        assert!(count(&watched, view(&ana, "192.0.2.8", ""), 0));
        let stats = Use { endpoint: "stats", ..view(&ana, "192.0.2.7", "") };
        assert!(count(&watched, stats, 0));
        let mut other_tenant = view(&ana, "192.0.2.7", "");
        other_tenant.record.tenant_id.set("t2");
        assert!(count(&watched, other_tenant, 0));
        let mut refused = view(&ana, "192.0.2.7", "");
        refused.record.outcome = Outcome::Denied;
        assert!(count(&watched, refused, 0));
        assert!(!count(&watched, view(&ana, "192.0.2.7", ""), 0));
    }

    #[test]
    fn a_flood_of_nobodies_is_bounded_and_counted_and_people_stay_apart() {
        let watched = Watched::default();
        let mut single = 0;
        for n in 0..20_000_u32 {
            let ip = format!("10.{}.{}.1", n % 200, n / 200);
            single += u64::from(count(&watched, view(&Actor::anonymous(), &ip, ""), 1));
        }
        assert!(watched.table.lock().unwrap().counts.len() <= KINDS + 1);
        for _ in 0..3 {
            assert!(count(&watched, view(&Actor::user("ana"), "192.0.2.7", ""), 1));
        }
        let records = watched.take(Duration::from_secs(1), true);
        let folded: u64 = records.iter().map(|r| metadata(r)["count"].as_u64().unwrap()).sum();
        assert_eq!(single + folded, 20_000);
        assert!(records.iter().all(|record| record.ip.is_none()));
    }

    #[test]
    fn whoever_takes_the_counts_early_begins_no_new_minute() {
        let (watched, ana) = (Watched::default(), Actor::user("ana"));
        for _ in 0..3 {
            count(&watched, view(&ana, "192.0.2.7", ""), 0);
        }
        assert_eq!(watched.take(Duration::from_secs(1), true).len(), 1);
        assert!(watched.take(Duration::from_secs(1), true).is_empty());
        assert!(!count(&watched, view(&ana, "192.0.2.7", ""), 2));
        assert_eq!(watched.due_at(), Some(Duration::from_secs(60)));
        let records = watched.take(Duration::from_secs(61), false);
        assert_eq!(metadata(&records[0])["count"], 1);
        assert_eq!(watched.due_at(), None);
    }

    #[test]
    fn what_was_asked_is_bounded() {
        let (watched, ana) = (Watched::default(), Actor::user("ana"));
        let long = "ä".repeat(100_000);
        let Seen::Singly(record) =
            watched.count(view(&ana, "192.0.2.7", &long), Timestamp::default(), Duration::ZERO)
        else {
            panic!("the first is single");
        };
        assert!(record.metadata.as_str().len() < 2 * LONGEST_ASKED);
        let asked = metadata(&record)["asked"].as_str().unwrap().to_owned();
        assert!(asked.len() <= LONGEST_ASKED && asked.ends_with("ä…"), "it says that it was cut");
    }
}
