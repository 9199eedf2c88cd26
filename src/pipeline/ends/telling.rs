//! Telling of one end: who does it among several, and in whose place.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Search, Told};
use crate::{
    pipeline::{own, process::Life, starts::Start},
    record::RecordId,
    store::{Claim, Claimed, IngestKey, Read as _, Register as _, StoreError, StreamReport},
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
                (Claim { key, fingerprint, record_id, at: now, expired_before }, now)
            };
            let (record_id, may_be_told) = match self.store.claim(&[claim]).await?.first().copied()
            {
                Some(Claimed::Yours { record_id, taken_over }) => {
                    self.claimed.push(record_id);
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
                        self.store.settle(&[key]).await?;
                        return Ok(Told::All);
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
            self.store.settle(&[key]).await?;
            return Ok(Told::All);
        }
        Ok(Told::ByOthers)
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
            self.given.push(id);
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
