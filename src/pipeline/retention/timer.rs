//! Runs on a schedule, in one of several processes.

use std::{sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, time::sleep};

use super::{Schedule, run::Sweep};
use crate::{
    pipeline::core::Core,
    record::RecordId,
    store::{AnyStore, Claim, Claimed, IngestKey, Register as _, StoreError, policy_set},
    time::Timestamp,
};

/// The clock is looked at this often: it may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(1);
/// A claim whose claimant did not come to the end within this time is that of a dead process.
const EXPIRES: Duration = Duration::from_secs(60 * 60);

/// Runs whenever it is time, until the pipeline has ended.
pub(in crate::pipeline) fn keep(
    core: &Arc<Core>,
    store: AnyStore,
    schedule: Schedule,
    mut ended: watch::Receiver<bool>,
) {
    // Keeps no pipeline alive.
    let (weak, begun) = (Arc::downgrade(core), core.clock.now());
    core.runtime.spawn(async move {
        let work = async {
            let mut due = schedule.next(begun);
            loop {
                {
                    let Some(core) = weak.upgrade() else { return };
                    let now = core.clock.now();
                    if due <= now {
                        let at = std::mem::replace(&mut due, schedule.next(now));
                        if let Err(error) = run(&core, &store, at).await {
                            let error = &error as &dyn std::error::Error;
                            tracing::warn!(error, "expired records were not taken out");
                        }
                    }
                }
                sleep(LOOK).await;
            }
        };
        tokio::select! {
            _ended = ended.wait_for(|ended| *ended) => {}
            () = work => {}
        }
    });
}

/// Runs for the moment `at` of the schedule, unless another process does.
async fn run(core: &Arc<Core>, store: &AnyStore, at: Timestamp) -> Result<(), StoreError> {
    let now = core.clock.now();
    let key = key(at);
    let record_id = RecordId::from_bytes(core.ids.id(now));
    let fingerprint = Sha256::digest(record_id.as_bytes()).into();
    let expired_before = now.saturating_sub(EXPIRES);
    let claim = Claim { key, fingerprint, record_id, at: now, expired_before };
    let Some(Claimed::Yours { .. }) = store.claim(&[claim]).await?.first().copied() else {
        return Ok(());
    };
    let (policy, _) = core.policies.under(&policy_set(store).await?)?;
    let run = Sweep::new(core, store.clone()).run(&policy, now, |ended| {
        let (month, class) = (ended.removal.month, &*ended.removal.class);
        tracing::info!(%month, class, records = ended.removal.records, "expired records were taken out");
    });
    let run = run.await?;
    if !run.busy.is_empty() {
        tracing::warn!(
            units = run.busy.len(),
            "expired records are in use, and were left to the next run"
        );
    }
    for held in &run.held {
        let (unit, hold) = (held.unit.to_string(), held.by.id);
        tracing::info!(unit, %hold, name = held.by.name, "expired records are held, and stay");
    }
    store.settle(&[key]).await
}

/// The claim's name: of one moment of the schedule.
fn key(at: Timestamp) -> IngestKey {
    let mut digest = Sha256::new();
    digest.update(b"tower-activity retention run\0");
    digest.update(at.as_micros().to_be_bytes());
    digest.finalize().into()
}
