//! What the worker asks the outbox, and how patiently.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::Instant;

use super::{Flush, Worker};
use crate::{
    pipeline::{
        link::{Cut, Stopped},
        meters, number,
        outbox::record::Encoded,
        own,
        retry::{Backoff, Complaints},
    },
    record::WriterId,
    store::{Append, Backlog, ClaimRows, ClaimedRows, Look, StoreError, StoreErrorKind},
};

/// After so long without a sign of life from one worker another one takes over.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// What is remembered about failures of the outbox's database.
pub(super) struct Patience {
    backoff: Backoff,
    complaints: Complaints,
    begun: Instant,
}

impl<S: Append> Worker<S> {
    /// Looks what there is, and answers those who wait for what is no longer there.
    pub(super) async fn look(&mut self) -> Result<Look, Stopped> {
        while let Ok(reply) = self.flushes.try_recv() {
            self.waiting.push(Flush { upto: None, reply });
        }
        let outbox = self.outbox.clone();
        let look = self.ask("look into the outbox", || outbox.look()).await?;
        let shared = self.core.outboxes.of(self.index);
        match look.places {
            None => {
                shared.found(Backlog::default());
                meters::publish(&self.core);
            }
            Some(_) => shared.busy.store(true, Ordering::Relaxed),
        }
        for mut flush in std::mem::take(&mut self.waiting) {
            match look.places {
                Some((first, last)) if first <= *flush.upto.get_or_insert(last) => {
                    self.waiting.push(flush);
                }
                // Whoever gave up waiting does not need the answer.
                _ => drop(flush.reply.send(())),
            }
        }
        Ok(look)
    }

    pub(super) async fn claim(
        &mut self,
        writer_id: WriterId,
        position: i64,
    ) -> Result<ClaimedRows, Stopped> {
        let ask = ClaimRows {
            writer_id,
            position,
            worker: self.id,
            lease: LEASE,
            now: self.core.clock.now(),
            rows: self.limits.rows,
            bytes: self.limits.bytes,
        };
        let outbox = self.outbox.clone();
        self.ask("claim rows of the outbox", || outbox.claim(ask)).await
    }

    /// Goes on under another name, after the log or the outbox was put back to an earlier state: the numbers
    /// of the two no longer fit together. A record of the pipeline's own says so.
    pub(super) async fn rename(
        &mut self,
        from: WriterId,
        committed: i64,
        found: i64,
    ) -> Result<(), Stopped> {
        tracing::error!(
            stream = %from, committed, found,
            "the store does not hold what was committed to it; the outbox goes on under another stream"
        );
        let mut restored = own::restored(&from.to_string(), committed, found);
        let encoded = Encoded::new(&self.core, &mut restored);
        let to = number::random_id();
        let outbox = self.outbox.clone();
        self.ask("rename the outbox's stream", || outbox.rename(from, to, encoded.row())).await?;
        Ok(())
    }

    /// Asks the outbox until it answers.
    async fn ask<T, F>(&mut self, doing: &'static str, call: impl Fn() -> F) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match self.settler.link.bounded(doing, call()).await {
                Ok(answer) => {
                    self.patience.succeeded();
                    return Ok(answer);
                }
                Err(Cut::Stopped) => return Err(Stopped),
                Err(Cut::Store(error)) => {
                    self.core.counters.retry();
                    self.patience.complain(&error);
                    let wait = self.patience.backoff.next(rand::random());
                    self.settler.link.sleep(wait).await?;
                }
            }
        }
    }
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            backoff: Backoff::default(),
            complaints: Complaints::default(),
            begun: Instant::now(),
        }
    }

    pub(super) fn pass(&mut self) -> bool {
        self.complaints.pass(self.begun.elapsed())
    }

    fn succeeded(&mut self) {
        self.backoff.reset();
        self.complaints.reset();
    }

    fn complain(&mut self, error: &StoreError) {
        if !self.pass() {
            return;
        }
        let kind = error.kind();
        let error: &dyn std::error::Error = error;
        match kind {
            StoreErrorKind::Configuration | StoreErrorKind::Data => tracing::error!(
                error,
                "the outbox refuses; what was committed stays in it until it is put right"
            ),
            _ => tracing::warn!(error, "the outbox is away; trying again"),
        }
    }
}
