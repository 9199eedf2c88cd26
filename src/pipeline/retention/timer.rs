//! Runs on a schedule, in one of several processes.

use std::{sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, time::sleep};

use super::{Schedule, run::Sweep};
use crate::{
    pipeline::core::Core,
    record::RecordId,
    store::{AnyStore, Claim, Claimed, IngestKey, Register as _, StoreError},
    time::Timestamp,
};

/// The clock is looked at this often: it may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(1);
/// A claim whose claimant did not come to the end within this time is that of a dead process.
const EXPIRES: Duration = Duration::from_secs(60 * 60);
/// So many looks later a policy that another process set gives records their classes.
const LOOKS: u32 = 60;

/// Looks for the policy that holds, and runs when it is time, until the pipeline has ended. Once for each pipeline.
pub(in crate::pipeline) fn keep(
    core: &Arc<Core>,
    store: &AnyStore,
    schedule: Option<Schedule>,
    ended: &watch::Receiver<bool>,
) {
    core.retaining.call_once(|| begin(core, store.clone(), schedule, ended.clone()));
}

fn begin(
    core: &Arc<Core>,
    store: AnyStore,
    schedule: Option<Schedule>,
    mut ended: watch::Receiver<bool>,
) {
    let (weak, begun) = (Arc::downgrade(core), core.clock.now());
    core.runtime.spawn(async move {
        let work = async {
            let mut due = schedule.map(|schedule| schedule.next(begun));
            for look in 0_u32.. {
                {
                    let Some(core) = weak.upgrade() else { return };
                    let now = core.clock.now();
                    if look % LOOKS == 0
                        && let Err(error) = core.policies.look(&store).await
                    {
                        complain("the retention policy could not be looked up", &error);
                    }
                    if let (Some(schedule), Some(at)) = (schedule, due)
                        && at <= now
                    {
                        due = Some(schedule.next(now));
                        if let Err(error) = at_last(&core, &store, at).await {
                            complain("expired records were not taken out", &error);
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
async fn at_last(core: &Arc<Core>, store: &AnyStore, at: Timestamp) -> Result<(), StoreError> {
    let now = core.clock.now();
    let key = key(at);
    let record_id = RecordId::from_bytes(core.ids.id(now));
    let fingerprint = Sha256::digest(record_id.as_bytes()).into();
    let expired_before = now.saturating_sub(EXPIRES);
    let claim = Claim { key, fingerprint, record_id, at: now, expired_before };
    let Some(Claimed::Yours { .. }) = store.claim(&[claim]).await?.first().copied() else {
        return Ok(());
    };
    let (policy, source) = core.policies.look(store).await?;
    let run = Sweep::new(core, store.clone()).run(&policy, now, |ended| {
        let (month, class) = (ended.removal.month, &*ended.removal.class);
        tracing::info!(%month, class, records = ended.removal.records, "expired records were taken out");
    });
    let run = run.await?;
    if !run.busy.is_empty() {
        tracing::warn!(
            units = run.busy.len(),
            policy = source.as_str(),
            "expired records are in use, and were left to the next run"
        );
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

fn complain(what: &'static str, error: &StoreError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "{what}");
}
