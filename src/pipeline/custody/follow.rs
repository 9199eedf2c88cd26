//! Taking up what other processes set.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    pipeline::core::Core,
    store::{AnyStore, Read as _, policy_set},
};

/// A policy that was set elsewhere holds here this much later at most, as long as the store answers.
const LOOK: Duration = Duration::from_secs(5);

/// So long the start waits for what is set: a store that is away does not keep a service from starting.
const AT_START: Duration = Duration::from_secs(2);

/// Takes up what is set before the first record is classified, if the store says so in time.
pub(in crate::pipeline) async fn look(core: &Core, store: &AnyStore) {
    // What is wrong with it, `follow` says.
    if let Ok(Ok(set)) = timeout(AT_START, policy_set(store)).await {
        let _kept_as_before = core.policies.take(&set);
    }
}

/// Looks for changes of the policy whenever the log has grown, until the pipeline has ended.
pub(in crate::pipeline) fn follow(
    core: &Arc<Core>,
    store: AnyStore,
    mut ended: watch::Receiver<bool>,
) {
    // Keeps no pipeline alive.
    let weak = Arc::downgrade(core);
    core.runtime.spawn(async move {
        let work = async {
            let mut seen = 0;
            let mut is_well = true;
            loop {
                let looked = async {
                    let head = store.head().await?;
                    // Of a store that was rolled back too.
                    if head != seen {
                        let set = policy_set(&store).await?;
                        let Some(core) = weak.upgrade() else { return Ok(()) };
                        core.policies.take(&set)?;
                        seen = head;
                    }
                    Ok::<_, crate::store::StoreError>(())
                };
                // Until the store is well, the policy stays as it is.
                let looked = looked.await;
                if let (Err(error), true) = (&looked, is_well) {
                    let error = error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "what was set of the retention could not be read: until it can, records are kept as rules and code say"
                    );
                }
                is_well = looked.is_ok();
                if weak.strong_count() == 0 {
                    return;
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
