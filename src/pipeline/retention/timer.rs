//! Runs on a schedule, in one of several processes; and as soon as the log is as large as it may get.

use std::{future::Future, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, time::sleep};

use super::{
    RetentionRun, RetentionStep, Schedule,
    agenda::{Agenda, Watchman},
    run::Sweep,
};
use crate::{
    pipeline::{core::Core, meters},
    record::RecordId,
    store::{
        AnyStore, Claim, Claimed, Holding, IngestKey, Maintain as _, Register as _, StoreError,
        policy_set,
    },
    time::Timestamp,
};

/// The clock is looked at this often: it may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(1);
/// How large the log is, this often.
const MEASURE: Duration = Duration::from_secs(60);
/// Runs for the size of the log are told apart by this much: within it one process runs.
const ROUND: i64 = 60 * 60 * 1_000_000;
/// A claim whose claimant did not come to the end within this time is that of a dead process.
const EXPIRES: Duration = Duration::from_secs(60 * 60);

/// Runs whenever it is time, until the pipeline has ended.
pub(in crate::pipeline) fn keep(
    core: &Arc<Core>,
    store: AnyStore,
    schedule: Schedule,
    ended: watch::Receiver<bool>,
) {
    // Keeps no pipeline alive.
    let (weak, begun) = (Arc::downgrade(core), core.clock.now());
    until(core, ended, async move {
        let mut agenda = Agenda::new(schedule, begun);
        loop {
            {
                let Some(core) = weak.upgrade() else { return };
                if let Some(at) = agenda.due(core.clock.now()) {
                    let done = run(&core, &store, key("", at.as_micros())).await;
                    let again = agenda.ran(at, done.is_ok(), core.clock.now());
                    if let Err(error) = done {
                        let error = &error as &dyn std::error::Error;
                        let again =
                            again.map_or("at its next time".to_owned(), |at| at.to_string());
                        tracing::warn!(error, again, "expired records were not taken out");
                    }
                }
            }
            sleep(LOOK).await;
        }
    });
}

/// Looks how large the log is, as long as its policy limits that, until the pipeline has ended; says so before it is too
/// large, and runs at once when it is, where there is a schedule to run on at all.
pub(in crate::pipeline) fn watch_size(
    core: &Arc<Core>,
    store: AnyStore,
    is_scheduled: bool,
    ended: watch::Receiver<bool>,
) {
    let weak = Arc::downgrade(core);
    until(core, ended, async move {
        let (mut watchman, mut due) = (Watchman::default(), None);
        loop {
            {
                let Some(core) = weak.upgrade() else { return };
                let now = core.clock.now();
                let limit = core.policies.now().0.size_limit();
                if due.is_none_or(|due| due <= now)
                    && let Some(limit) = limit
                {
                    due = Some(now.saturating_add(MEASURE));
                    // What is wrong with a store that cannot be asked others say.
                    if let Ok(storage) = store.storage().await {
                        let full = limit.filled(storage.used);
                        meters::size(full);
                        let alarm = watchman.look(full, now);
                        if alarm.warn {
                            let next = match (full.is_over(), is_scheduled, limit.is_forced()) {
                                (false, ..) => "it is to stay below",
                                (true, false, _) => "nothing is taken out: there is no schedule",
                                (true, true, false) => "expired records are taken out, no others",
                                (true, true, true) => "the oldest records are taken out",
                            };
                            let (percent, limit) = (full.percent(), limit.to_string());
                            tracing::warn!(
                                bytes = full.bytes(),
                                percent,
                                limit,
                                "the log is large: {next}"
                            );
                        }
                        if alarm.run && is_scheduled {
                            let round = now.as_micros().div_euclid(ROUND);
                            if let Err(error) = run(&core, &store, key("size", round)).await {
                                let error = &error as &dyn std::error::Error;
                                tracing::warn!(
                                    error,
                                    "the log is too large, and nothing was taken out"
                                );
                            }
                        }
                    }
                }
            }
            sleep(LOOK).await;
        }
    });
}

/// Works until the pipeline has ended.
fn until(
    core: &Core,
    mut ended: watch::Receiver<bool>,
    work: impl Future<Output = ()> + Send + 'static,
) {
    core.runtime.spawn(async move {
        tokio::select! {
            _ended = ended.wait_for(|ended| *ended) => {}
            () = work => {}
        }
    });
}

/// Runs under a claim, unless another process has it.
async fn run(core: &Arc<Core>, store: &AnyStore, key: IngestKey) -> Result<(), StoreError> {
    let now = core.clock.now();
    let record_id = RecordId::from_bytes(core.ids.id(now));
    let fingerprint = Sha256::digest(record_id.as_bytes()).into();
    let expired_before = now.saturating_sub(EXPIRES);
    let claim = Claim { key, fingerprint, record_id, at: now, expired_before };
    let Some(Claimed::Yours { record_id, .. }) = store.claim(&[claim]).await?.first().copied()
    else {
        return Ok(());
    };
    match sweep(core, store, now).await {
        Ok(run) => {
            said(&run);
            store.settle(&[key]).await
        }
        Err(error) => {
            // Whoever tries again does not wait until it expires.
            let _released_or_expires = store.release(&[Holding { key, record_id, at: now }]).await;
            Err(error)
        }
    }
}

async fn sweep(
    core: &Arc<Core>,
    store: &AnyStore,
    now: Timestamp,
) -> Result<RetentionRun, StoreError> {
    let (policy, _) = core.policies.under(&policy_set(store).await?)?;
    let sweep = Sweep::new(core, store.clone(), now);
    let run = sweep.run(&policy, |step| match step {
        RetentionStep::Ended(ended) => {
            let (month, class) = (ended.removal.month, &*ended.removal.class);
            let (records, forced) = (ended.removal.records, ended.forced);
            tracing::info!(%month, class, records, forced, "records were taken out");
        }
        RetentionStep::Addresses(ended) => {
            let (unit, records, held) = (ended.unit.to_string(), ended.records, ended.held);
            tracing::info!(unit, records, held, "expired addresses were taken out");
        }
        RetentionStep::ArchivedAddresses(ended) => {
            let (part, records, held) = (&*ended.part, ended.records, ended.held);
            tracing::info!(part, records, held, "expired addresses were taken out of the archive");
        }
    });
    run.await
}

fn said(run: &RetentionRun) {
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
    if let Some(full) = run.size.filter(|full| full.is_over()) {
        let (percent, limit) = (full.percent(), full.limit().to_string());
        tracing::warn!(
            percent,
            limit,
            "the log is too large, and nothing that may go is left; raise `max_size`, or keep records for less time"
        );
    }
}

/// The claim's name: of one moment of the schedule, or of one round for the size.
fn key(why: &str, at: i64) -> IngestKey {
    let mut digest = Sha256::new();
    digest.update(b"tower-activity retention run\0");
    digest.update(why);
    digest.update(at.to_be_bytes());
    digest.finalize().into()
}
