//! Telling of one end: who does it among several, and in whose place.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Search, Told, stored};
use crate::{
    pipeline::{own, process::Life, starts::Start},
    record::RecordId,
    store::{
        Claim, Claimed, Holding, IngestKey, Read as _, Register as _, StoreError, StreamReport,
    },
    time::Timestamp,
};

/// A claim whose claimant did not come back within this time is that of another dead process, wherever it ran.
const EXPIRES: Duration = Duration::from_secs(60 * 60);
/// Of so many processes one after the other that died while they told of the same end the places are taken.
const SUCCESSORS: usize = 64;

impl Search {
    /// Tells of one, unless somebody else does.
    pub(super) async fn tell_of(
        &mut self,
        stream: &StreamReport,
        starts: &[Start],
    ) -> Result<Told, StoreError> {
        let mut key = key(stream);
        for _ in 0..SUCCESSORS {
            let (claim, now) = {
                let Some(core) = self.core.upgrade() else { return Ok(Told::Ended) };
                let now = core.clock.now();
                let record_id = RecordId::from_bytes(core.ids.id(now));
                let expired_before = now.saturating_sub(EXPIRES);
                let fingerprint = self.this.digest();
                // Before the answer, which may be lost on its way.
                self.claimed.push(record_id);
                self.held.push(Holding { key, record_id, at: now });
                (Claim { key, fingerprint, record_id, at: now, expired_before }, now)
            };
            let answer = self.store.claim(&[claim]).await?.first().copied();
            // What was just noted is held only where it was answered so.
            self.held.pop();
            let (record_id, may_be_told) = match answer {
                Some(Claimed::Yours { record_id, taken_over }) => {
                    self.claimed.push(record_id);
                    self.held.push(Holding { key, record_id, at: now });
                    (record_id, taken_over)
                }
                Some(Claimed::Busy { record_id, .. }) if self.claimed.contains(&record_id) => {
                    (record_id, true)
                }
                Some(Claimed::Busy { record_id, fingerprint }) => {
                    if !self.is_over(fingerprint, starts).await? {
                        return Ok(Told::ByOthers);
                    }
                    if self.store.record(record_id).await?.is_some() {
                        return self.settle(key).await;
                    }
                    // One of its successors takes its place, and which one, a claim decides as well.
                    key = succession(key, fingerprint);
                    continue;
                }
                Some(Claimed::Done { .. }) | None => return Ok(Told::All),
            };
            if (!may_be_told || self.store.record(record_id).await?.is_none())
                && !self.write(stream, record_id, now).await?
            {
                return Ok(Told::Ended);
            }
            return self.settle(key).await;
        }
        Ok(Told::ByOthers)
    }

    /// Takes note that one was told of.
    async fn settle(&mut self, key: IngestKey) -> Result<Told, StoreError> {
        self.store.settle(&[key]).await?;
        self.held.retain(|held| held.key != key);
        Ok(Told::All)
    }

    /// Gives up what it has claimed and not told of, once the pipeline has ended: its process may go on, and whoever else
    /// starts would wait for it. Of what the writer had been given and what is not stored nobody knows whether it still
    /// comes: that claim expires.
    pub(super) async fn let_go(&mut self) {
        for held in std::mem::take(&mut self.held) {
            let told = match self.store.record(held.record_id).await {
                Ok(Some(_)) => self.store.settle(&[held.key]).await,
                Ok(None) if self.given.contains(&held.record_id) => Ok(()),
                Ok(None) => self.store.release(&[held]).await,
                Err(error) => Err(error),
            };
            if let Err(error) = told {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "a claim is left to expire");
            }
        }
    }

    /// Tells whether a process is gone and nothing of it can come any more, not out of its spool either.
    pub(super) async fn is_over(
        &self,
        process: [u8; 32],
        starts: &[Start],
    ) -> Result<bool, StoreError> {
        let its = starts.iter().filter(|start| start.process == process);
        let its: Vec<_> = its.copied().collect();
        if its.is_empty() || its.iter().any(|start| start.life != Life::Gone) {
            return Ok(false);
        }
        let spooled = its.iter().filter(|start| start.has_spool).map(|start| start.stream);
        Ok(self.open(spooled.collect()).await?.is_empty())
    }

    /// Gives the gap record to the writer and waits until it is stored; returns false when the pipeline has
    /// ended.
    async fn write(
        &mut self,
        stream: &StreamReport,
        id: RecordId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if !self.given.contains(&id) {
            let Some(core) = self.core.upgrade() else { return Ok(false) };
            tracing::warn!(
                stream = %stream.writer_id, last_seq = stream.last_seq, silent_since = %stream.last_at,
                "a process of this service ended without a word; activity records that it held are lost"
            );
            let mut record = own::unclean_end(stream, now);
            // The id holds the milliseconds of the time.
            (record.id, record.occurred_at) = (id, id.at());
            if !core.tell(record) {
                return Ok(false);
            }
            self.given.push(id);
        }
        let store = &self.store;
        let is_there = || async move { Ok(store.record(id).await?.is_some()) };
        stored(&mut self.committed, is_there).await
    }
}

/// The claim's name: of one stream at one number, so that each is told of once.
pub(super) fn key(stream: &StreamReport) -> IngestKey {
    let mut digest = Sha256::new();
    digest.update(b"tower-activity unclean end\0");
    digest.update(stream.writer_id.get().to_be_bytes());
    digest.update(stream.last_seq.to_be_bytes());
    digest.finalize().into()
}

/// The name of the claim of whoever takes the place of a claimant that died.
pub(super) fn succession(key: IngestKey, claimant: [u8; 32]) -> IngestKey {
    let mut digest = Sha256::new();
    digest.update(b"tower-activity unclean end, in place of\0");
    digest.update(key);
    digest.update(claimant);
    digest.finalize().into()
}
