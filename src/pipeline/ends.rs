//! Ends without a word: at the start, streams of this service whose process is gone and that nobody stopped
//! get a gap record, since what that process had not stored is lost.
//!
//! It happens behind the first commit, away from the start: the store may be away. Of several processes that
//! start at once one tells, by a claim; who starts later finds the gap record. What is read is bounded: the
//! newest starts, and of those the ones of this machine.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, time::sleep};

use super::{
    core::Core,
    own,
    process::{self, Process},
};
use crate::{
    query::PageRequest,
    record::{Record, RecordId, WriterId},
    rules::Delivery,
    store::{
        AnyStore, Claim, Claimed, CompletenessRequest, IngestKey, Maintain as _, Read as _,
        Register as _, StoreError, StreamEnd, StreamReport, own_filter,
    },
    time::Timestamp,
};

/// So many starts are looked at: those of a service of a hundred replicas that was deployed five times.
const STARTS: usize = 500;
/// So many of them are told of at one start.
const TOLD: usize = 64;
/// A claim whose claimant did not come back within this time is that of another dead process.
const EXPIRES: Duration = Duration::from_secs(60 * 60);
/// What waits between two attempts while the store is away.
const BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Gap records that wait for the writer.
#[derive(Debug, Default)]
pub(super) struct Ends(Mutex<Vec<Box<Record>>>);

impl Ends {
    fn put(&self, record: Box<Record>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Takes what is to be written.
    pub(super) fn take(&self) -> Vec<Box<Record>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells whether there is something to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Looks for ends without a word once the store has answered, until the pipeline has ended.
pub(super) fn look_later(
    core: &Arc<Core>,
    store: AnyStore,
    this: Process,
    mut ended: watch::Receiver<bool>,
) {
    let search = Search {
        committed: core.committed.subscribe(),
        // Keeps no pipeline alive.
        core: Arc::downgrade(core),
        store,
        this,
    };
    core.runtime.spawn(async move {
        tokio::select! {
            _ended = ended.wait_for(|ended| *ended) => {}
            () = search.run() => {}
        }
    });
}

struct Search {
    core: Weak<Core>,
    committed: watch::Receiver<()>,
    store: AnyStore,
    this: Process,
}

impl Search {
    async fn run(mut self) {
        // The store is reached, and holds the start of this very process.
        if self.committed.changed().await.is_err() {
            return;
        }
        let mut backoff = BACKOFF;
        while let Err(error) = self.tell().await {
            complain(&error);
            if !error.is_transient() {
                return;
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// Tells of every end without a word that nobody has told of.
    async fn tell(&mut self) -> Result<(), StoreError> {
        let gone = self.gone().await?;
        if gone.is_empty() {
            return Ok(());
        }
        let found = self.store.completeness(&CompletenessRequest::of(gone)).await?;
        if !found.complete {
            // Somebody may have told of it: better a stream that is shown as silent than one told of twice.
            tracing::warn!("too many records about streams to see which ended without a word");
            return Ok(());
        }
        for stream in found.streams.iter().filter(|stream| stream.end == StreamEnd::Open) {
            if !self.tell_of(stream).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Returns the streams of this service whose processes are gone, the newest first.
    async fn gone(&self) -> Result<Vec<WriterId>, StoreError> {
        let Some(core) = self.core.upgrade() else { return Ok(Vec::new()) };
        let Some(filter) = own_filter(&[own::STARTED, own::RESTORED]) else {
            return Ok(Vec::new());
        };
        let service = core.origins.service.as_str();
        let filter = if service.is_empty() {
            filter
        } else {
            let narrowed = filter.clone().any_of("service", [service]);
            narrowed.unwrap_or(filter)
        };
        let page = self.store.records(&filter, &PageRequest::newest(STARTS)).await?;
        let is_gone = |record: &&Record| {
            let facts: Value = serde_json::from_str(record.metadata.as_str()).unwrap_or_default();
            // What has a spool is ended by whoever drains that.
            record.service.as_str() == service
                && facts["mode"] == Delivery::BestEffort.as_str()
                && Process::told(&facts["process"])
                    .is_some_and(|process| process.is_gone(&self.this, process::look))
        };
        let gone = page.records.iter().filter(is_gone).map(|record| record.writer_id);
        Ok(gone.take(TOLD).collect())
    }

    /// Tells of one, unless somebody else does; returns false when the pipeline has ended.
    async fn tell_of(&mut self, stream: &StreamReport) -> Result<bool, StoreError> {
        let key = key(stream);
        let (claim, now) = {
            let Some(core) = self.core.upgrade() else { return Ok(false) };
            let now = core.clock.now();
            let record_id = RecordId::from_bytes(core.ids.id(now));
            let expired_before = now.saturating_sub(EXPIRES);
            (Claim { key, fingerprint: key, record_id, at: now, expired_before }, now)
        };
        let Some(Claimed::Yours { record_id, taken_over }) =
            self.store.claim(&[claim]).await?.first().copied()
        else {
            return Ok(true);
        };
        if !taken_over || self.store.record(record_id).await?.is_none() {
            tracing::warn!(
                stream = %stream.writer_id, last_seq = stream.last_seq, silent_since = %stream.last_at,
                "a process of this service ended without a word; activity records that it held are lost"
            );
            if !self.write(stream, record_id, now).await? {
                return Ok(false);
            }
        }
        self.store.settle(&[key]).await?;
        Ok(true)
    }

    /// Gives the gap record to the writer and waits until it is stored; returns false when the pipeline has
    /// ended.
    async fn write(
        &mut self,
        stream: &StreamReport,
        id: RecordId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        {
            let Some(core) = self.core.upgrade() else { return Ok(false) };
            let mut record = own::unclean_end(stream, now);
            // The id holds the milliseconds of the time.
            (record.id, record.occurred_at) = (id, id.at());
            core.ends.put(record);
            core.queue.nudge();
        }
        loop {
            if self.committed.changed().await.is_err() {
                return Ok(false);
            }
            if self.store.record(id).await?.is_some() {
                return Ok(true);
            }
        }
    }
}

fn complain(error: &StoreError) {
    let shown = error as &dyn std::error::Error;
    if error.is_transient() {
        tracing::debug!(error = shown, "looking for ends without a word later");
    } else {
        tracing::warn!(
            error = shown,
            "could not look for activity streams that ended without a word"
        );
    }
}

/// The claim's name: of one stream at one number, so that each is told of once.
fn key(stream: &StreamReport) -> IngestKey {
    let mut digest = Sha256::new();
    digest.update(b"tower-activity unclean end\0");
    digest.update(stream.writer_id.get().to_be_bytes());
    digest.update(stream.last_seq.to_be_bytes());
    digest.finalize().into()
}
