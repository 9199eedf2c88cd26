//! Taking up what other processes set.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use crate::{
    pipeline::core::Core,
    store::{AnyStore, Read as _, policy_set},
};

/// A policy that was set elsewhere holds here this much later at most, as long as the store answers.
const LOOK: Duration = Duration::from_secs(5);

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
                // The writer says what is wrong with the store; until it is well, the policy stays as it is.
                if let Err(error) = looked.await {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "could not look for changes of the retention policy");
                }
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
