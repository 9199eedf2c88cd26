//! One-use tickets, for those who cannot set headers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderName, HeaderValue, request::Parts};
use rand::RngExt as _;
use tokio::time::Instant;

use crate::{api::access::Grant, record::hex};

/// A ticket is good for so long: it is used right after it was fetched.
pub(super) const LIFETIME: Duration = Duration::from_secs(30);
/// How many are kept; the oldest gives way.
const MAX_TICKETS: usize = 10_000;
/// What the requests that fetched them may occupy: a head takes some hundred kilobytes if its sender likes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What a ticket stands for: who fetched it, and what he was granted.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) grant: Grant,
    /// The head of the request that fetched it, for asking access again.
    pub(super) head: Parts,
}

impl Fetched {
    fn bytes(&self) -> usize {
        let uri = &self.head.uri;
        let uri = uri.path().len() + uri.query().map_or(0, str::len);
        let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        size_of::<Self>() + uri + self.head.headers.iter().map(line).sum::<usize>()
    }
}

/// The tickets that are out. In memory: one that was fetched from another replica, or before a restart, is
/// unknown here, and the client fetches another.
#[derive(Debug, Default)]
pub(in crate::api) struct Tickets {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    out: HashMap<String, Fetched>,
    /// What those in `out` occupy.
    bytes: usize,
    /// When each was made, oldest first, the used ones among them.
    made: VecDeque<(Instant, String)>,
}

impl Tickets {
    /// Makes a ticket.
    pub(super) fn issue(&self, fetched: Fetched, now: Instant) -> String {
        let ticket = hex(&rand::rng().random::<[u8; 32]>());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.tidy(now);
        inner.bytes += fetched.bytes();
        while (inner.made.len() >= MAX_TICKETS || inner.bytes > MAX_BYTES)
            && let Some((_, oldest)) = inner.made.pop_front()
        {
            inner.take(&oldest);
        }
        inner.made.push_back((now, ticket.clone()));
        inner.out.insert(ticket.clone(), fetched);
        ticket
    }

    /// Takes a ticket; `None` when it was used, is too old, or never was.
    pub(super) fn redeem(&self, ticket: &str, now: Instant) -> Option<Fetched> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.tidy(now);
        inner.take(ticket)
    }
}

impl Inner {
    fn take(&mut self, ticket: &str) -> Option<Fetched> {
        let fetched = self.out.remove(ticket)?;
        self.bytes -= fetched.bytes();
        Some(fetched)
    }

    fn tidy(&mut self, now: Instant) {
        while let Some((_, old)) = self.made.pop_front_if(|(made, _)| now >= *made + LIFETIME) {
            self.take(&old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::access::Permissions, record::Actor};

    fn fetched(name: &str) -> Fetched {
        let grant = Grant::new(Actor::user(name), Permissions::viewer());
        Fetched { grant, head: http::Request::new(()).into_parts().0 }
    }

    #[test]
    fn a_ticket_is_good_once() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let (ana, bob) = (tickets.issue(fetched("ana"), now), tickets.issue(fetched("bob"), now));
        assert_eq!(ana.len(), 64);
        assert_eq!(tickets.redeem(&bob, now).unwrap().grant.actor().id(), "bob");
        assert_eq!(tickets.redeem(&ana, now).unwrap().grant.actor().id(), "ana");
        assert!(tickets.redeem(&ana, now).is_none());
        assert!(tickets.redeem("", now).is_none());
    }

    #[test]
    fn a_ticket_is_good_for_thirty_seconds() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let (early, late) =
            (tickets.issue(fetched("ana"), now), tickets.issue(fetched("ana"), now));
        let almost = now + LIFETIME - Duration::from_millis(1);
        assert!(tickets.redeem(&early, almost).is_some());
        assert!(tickets.redeem(&late, now + LIFETIME).is_none());
    }

    #[test]
    fn of_too_many_tickets_the_oldest_gives_way() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let first = tickets.issue(fetched("ana"), now);
        let second = tickets.issue(fetched("ana"), now);
        for _ in 0..MAX_TICKETS - 1 {
            tickets.issue(fetched("bob"), now);
        }
        assert!(tickets.redeem(&first, now).is_none());
        assert!(tickets.redeem(&second, now).is_some());
        let inner = tickets.inner.lock().unwrap();
        assert!(inner.made.len() <= MAX_TICKETS && inner.out.len() < MAX_TICKETS);
    }

    #[test]
    fn heads_of_any_size_occupy_no_more_than_there_is_room_for() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let mut last = String::new();
        for _ in 0..300 {
            let head = http::Request::builder().header("cookie", "x".repeat(300_000));
            let head = head.body(()).unwrap().into_parts().0;
            last = tickets.issue(Fetched { head, ..fetched("bob") }, now);
            let inner = tickets.inner.lock().unwrap();
            assert!(inner.bytes <= MAX_BYTES && inner.made.len() == inner.out.len());
        }
        assert!(tickets.redeem(&last, now).is_some());
        let mut inner = tickets.inner.lock().unwrap();
        inner.tidy(now + LIFETIME);
        assert_eq!((inner.bytes, inner.out.len()), (0, 0));
    }
}
