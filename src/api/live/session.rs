//! A live session: what it is sent, and how long it goes on.

use std::time::Duration;

use http::request::Parts;
use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep_until},
};

use super::{message::Message, tail::Tail};
use crate::api::{access::Grant, state::Api, watch};

/// A session goes on for so long: whoever wants more comes back with his cursor, and is asked anew.
pub(super) const MAX_AGE: Duration = Duration::from_secs(12 * 60 * 60);
/// How often access is asked whether the caller still may.
pub(super) const RECHECK: Duration = Duration::from_secs(5 * 60);

/// Somebody who listens, whatever he listens through.
pub(super) struct Session {
    /// Its own record, which is made before the rest is dropped: a shutdown waits for that.
    watch: watch::Session,
    tail: Tail,
    bounds: Bounds,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The service stops.
    HungUp,
    /// It went on for as long as one may.
    Aged,
    /// The caller may not listen any more, or not to this.
    Revoked,
    /// The ledger stands behind where it stood.
    Lost,
}

impl Ending {
    /// Returns the close code of RFC 6455 and the sentence that goes with it.
    pub(super) const fn close(self) -> (u16, &'static str) {
        match self {
            Self::HungUp => (1001, "the service stops; come back with your cursor"),
            Self::Aged => (1001, "a session ends after 12 hours; come back with your cursor"),
            Self::Revoked => (1008, "your access has changed; come back with your cursor"),
            Self::Lost => (1011, "the log was restored; begin again without a cursor"),
        }
    }
}

impl Session {
    pub(super) fn new(tail: Tail, bounds: Bounds, watch: watch::Session) -> Self {
        // It has no end that one could miss: whoever leaves has had what he came for.
        watch.complete();
        Self { watch, tail, bounds }
    }

    /// Returns the next message, or why there is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Message, Ending> {
        let next = tokio::select! {
            biased;
            ending = self.bounds.over() => Err(ending),
            message = self.tail.next() => message.map_err(|_| Ending::Lost),
        };
        if let Ok(message) = &next {
            self.watch.showed(message.records);
        }
        next
    }

    /// Waits until the session has to end, while it is busy with something else.
    pub(super) async fn over(&mut self) -> Ending {
        self.bounds.over().await
    }
}

/// What a session ends by.
pub(super) struct Bounds {
    hung_up: Receiver<bool>,
    ends_at: Instant,
    recheck_at: Instant,
    api: Api,
    /// The head of the request that access decided on: what it says now is what holds.
    head: Parts,
    grant: Grant,
}

impl Bounds {
    pub(super) fn new(api: Api, head: Parts, grant: Grant) -> Self {
        let now = Instant::now();
        let hung_up = api.hub().hung_up();
        let (ends_at, recheck_at) = (now + MAX_AGE, now + RECHECK);
        Self { hung_up, ends_at, recheck_at, api, head, grant }
    }

    async fn over(&mut self) -> Ending {
        loop {
            tokio::select! {
                biased;
                // An error would mean that the pipeline is gone altogether.
                _ = self.hung_up.wait_for(|hung_up| *hung_up) => return Ending::HungUp,
                () = sleep_until(self.ends_at) => return Ending::Aged,
                () = sleep_until(self.recheck_at) => {}
            }
            // If this is given up halfway, it is asked again.
            let still = self.api.access().grant(&self.head).await;
            if !still.is_ok_and(|grant| same(&grant, &self.grant)) {
                return Ending::Revoked;
            }
            self.recheck_at = Instant::now() + RECHECK;
        }
    }
}

/// Tells whether two grants show the same to the same caller.
fn same(one: &Grant, other: &Grant) -> bool {
    one.actor() == other.actor()
        && one.permissions() == other.permissions()
        && one.only_tenant() == other.only_tenant()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::access::Permissions, record::Actor};

    #[test]
    fn a_grant_that_shows_something_else_is_not_the_same() {
        let grant = || Grant::new(Actor::user("ana"), Permissions::viewer());
        assert!(same(&grant(), &grant()) && same(&grant().tenant("acme"), &grant().tenant("acme")));
        for other in [
            grant().tenant("acme"),
            grant().tenant(""),
            Grant::new(Actor::user("bob"), Permissions::viewer()),
            Grant::new(Actor::user("ana"), Permissions::admin()),
        ] {
            assert!(!same(&grant(), &other) && !same(&other, &grant()), "{other:?}");
        }
        assert!(!same(&grant().tenant("acme"), &grant().tenant("globex")));
    }
}
