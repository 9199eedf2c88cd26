//! The connection to the store: calls that are bounded, whose panics are failures, and that end with the
//! deadline of a shutdown.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::retry::{Backoff, Complaints};
use crate::{
    record::WriterId,
    store::{Append, Appended, Appender, Batch, StoreError, StoreErrorKind},
};

/// The deadline of the shutdown has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

/// The connection to the store, and what is remembered about its failures.
pub(super) struct Link<S: Append> {
    store: S,
    /// Lives only as long as every call on it succeeds.
    pub(super) appender: Option<S::Appender>,
    stop: watch::Receiver<Option<Instant>>,
    call_deadline: Duration,
    /// How many connections were made.
    pub(super) connections: u64,
    pub(super) backoff: Backoff,
    pub(super) complaints: Complaints,
    /// Apart from the others: a store that was away first and refuses then has something new to say.
    pub(super) refusals: Complaints,
}

/// Why a call has no result.
pub(super) enum Cut {
    Store(StoreError),
    Stopped,
}

impl<S: Append> Link<S> {
    pub(super) fn new(
        store: S,
        stop: watch::Receiver<Option<Instant>>,
        call_deadline: Duration,
    ) -> Self {
        Self {
            store,
            appender: None,
            stop,
            call_deadline,
            connections: 0,
            backoff: Backoff::default(),
            complaints: Complaints::default(),
            refusals: Complaints::default(),
        }
    }

    /// Returns the connection, or makes one that has been asked where `stream` stands: under the lock of the
    /// appends, so that one whose answer never came has ended by then.
    pub(super) async fn connect(&mut self, stream: WriterId) -> Result<(S::Appender, i64), Cut> {
        let limit = self.call_deadline;
        let mut appender = bounded(self.store.connect(), "connect", limit, &mut self.stop).await?;
        let position = position(&mut appender, stream, limit, &mut self.stop).await?;
        self.connections += 1;
        Ok((appender, position))
    }

    /// Returns where `stream` stands, on the connection that there is or on a new one.
    pub(super) async fn position(&mut self, stream: WriterId) -> Result<i64, Cut> {
        let limit = self.call_deadline;
        let (appender, position) = match self.appender.take() {
            Some(mut appender) => {
                let position = position(&mut appender, stream, limit, &mut self.stop).await?;
                (appender, position)
            }
            None => self.connect(stream).await?,
        };
        self.appender = Some(appender);
        self.succeeded();
        Ok(position)
    }

    /// Appends on a connection that is then good for another call.
    pub(super) async fn append(
        &mut self,
        mut appender: S::Appender,
        batch: Batch<'_>,
    ) -> Result<Appended, Cut> {
        let call = appender.append(batch);
        // Left out of `self` after a failure: after a deadline it may be one reply off.
        let appended = bounded(call, "append a batch", self.call_deadline, &mut self.stop).await?;
        self.appender = Some(appender);
        self.succeeded();
        Ok(appended)
    }

    /// Tells whether the deadline of the shutdown has passed.
    pub(super) fn is_past(&self) -> bool {
        self.stop.borrow().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Completes when the deadline of the shutdown has passed.
    pub(super) async fn past(&mut self) {
        past(&mut self.stop).await;
    }

    /// Bounds a call to something else than the store by the same deadlines.
    pub(super) async fn bounded<T>(
        &mut self,
        doing: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Cut> {
        bounded(call, doing, self.call_deadline, &mut self.stop).await
    }

    /// Waits before the next attempt.
    pub(super) async fn pause(&mut self) -> Result<(), Stopped> {
        let wait = self.backoff.next(rand::random());
        self.sleep(wait).await
    }

    /// Waits for so long, or until the deadline of the shutdown has passed.
    pub(super) async fn sleep(&mut self, wait: Duration) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = sleep(wait) => Ok(()),
            () = past(&mut self.stop) => Err(Stopped),
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
        self.complaints.reset();
        self.refusals.reset();
    }
}

async fn position<A: Appender>(
    appender: &mut A,
    stream: WriterId,
    limit: Duration,
    stop: &mut watch::Receiver<Option<Instant>>,
) -> Result<i64, Cut> {
    bounded(appender.position(stream), "read the position", limit, stop).await
}

/// Completes when the deadline of the shutdown has passed.
async fn past(stop: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let deadline = *stop.borrow_and_update();
        tokio::select! {
            () = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            } => return,
            // An earlier deadline may have been set. The sender lives as long as the writer.
            _ = stop.changed() => {}
        }
    }
}

/// Bounds a call to the store: a database that hangs is one that has failed.
async fn bounded<T>(
    call: impl Future<Output = Result<T, StoreError>>,
    doing: &'static str,
    limit: Duration,
    stop: &mut watch::Receiver<Option<Instant>>,
) -> Result<T, Cut> {
    tokio::select! {
        biased;
        result = unpanicked(call, doing) => result.map_err(Cut::Store),
        () = sleep(limit) => {
            let doing = format!("{doing} within {limit:?}");
            Err(Cut::Store(StoreError::new(StoreErrorKind::Transient, doing)))
        }
        () = past(stop) => Err(Cut::Stopped),
    }
}

/// A store may be the application's, and a panic in it must not end everybody's audit trail: it is a
/// failure like others, whose connection is not used again and whose outcome is asked for.
async fn unpanicked<T>(
    call: impl Future<Output = Result<T, StoreError>>,
    doing: &'static str,
) -> Result<T, StoreError> {
    let mut call = pin!(call);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
        polled.unwrap_or_else(|_panic| {
            let doing = format!("{doing}: the store panicked");
            Poll::Ready(Err(StoreError::new(StoreErrorKind::Transient, doing)))
        })
    })
    .await
}
