//! Keeping the store's rollups up to date, in the background.
//!
//! Stats and facets come from rollups that are folded by the ledger's position. Of several processes one
//! folds at a time; the store sees to that.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::core::Core;
use crate::store::{AnyStore, Maintain as _, StoreError};

/// Entries for one call: a short transaction, so that the writer never waits long behind it.
const ENTRIES: usize = 64;
/// Time for the writer between two calls while there is much to fold.
const BREATH: Duration = Duration::from_millis(20);
/// Commits closer together than this are folded together.
const PAUSE: Duration = Duration::from_millis(250);
/// Entries of other processes are looked for so often.
const TICK: Duration = Duration::from_secs(1);
/// What waits between two attempts while the store is away, at most.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Folds until the pipeline has ended. Once for each pipeline, however many routers it has.
pub(super) fn keep(core: &Arc<Core>, store: &AnyStore, ended: &watch::Receiver<bool>) {
    core.folding.call_once(|| {
        let committed = core.committed.subscribe();
        // Holds nothing of the core: whoever folds keeps no pipeline alive.
        core.runtime.spawn(fold(store.clone(), committed, ended.clone()));
    });
}

async fn fold(
    store: AnyStore,
    mut committed: watch::Receiver<bool>,
    mut ended: watch::Receiver<bool>,
) {
    tokio::select! {
        _ended = ended.wait_for(|ended| *ended) => {}
        () = async {
            let mut backoff = TICK;
            loop {
                match store.fold(ENTRIES).await {
                    Ok(folded) => {
                        backoff = TICK;
                        if folded.led && folded.behind() > 0 {
                            sleep(BREATH).await;
                            continue;
                        }
                        sleep(PAUSE).await;
                    }
                    Err(error) => {
                        complain(&error);
                        sleep(backoff).await;
                        backoff = (backoff * 2).min(MAX_BACKOFF);
                    }
                }
                // An error means that the writer is gone: then `ended` says so too.
                let _commit = tokio::time::timeout(TICK, committed.changed()).await;
            }
        } => {}
    }
}

fn complain(error: &StoreError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "stats and facets stand still: could not fold");
}
