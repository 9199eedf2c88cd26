//! Following the ledger: commits of this process as they come, those of others by looking.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::{hub::Hub, place::Place, reader};
use crate::{
    pipeline::{Commits, Committed},
    store::{AnyStore, Read as _, StoreError},
};

/// How often to look for commits of other processes: a fifth of a second is no delay to a reader, and five
/// questions a second for one number are nothing to a database.
const LOOK: Duration = Duration::from_millis(200);
/// How often to try when the store does not answer.
const RETRY: Duration = Duration::from_secs(2);

/// Follows the ledger until nobody listens any more.
pub(super) async fn follow(hub: &Hub, store: &AnyStore, mut commits: Commits) {
    let mut changes = hub.moves();
    let (heads, mut looked) = watch::channel(None);
    let look = look(store, || hub.position(), &heads);
    let mut look = std::pin::pin!(look);
    let mut more = true;
    loop {
        changes.mark_unchanged();
        if hub.is_deserted() {
            // Noted under the lock: whoever comes now starts another task.
            return;
        }
        tokio::select! {
            biased;
            commit = commits.next(), if more => match commit {
                Some(commit) => take(hub, store, &commit).await,
                // The writer has ended; others may go on.
                None => more = false,
            },
            _ = looked.changed() => {
                let head = *looked.borrow_and_update();
                if let Some(head) = head {
                    arrive(hub, store, head).await;
                }
            }
            never = &mut look => match never {},
            _ = changes.changed() => {}
        }
    }
}

/// Where the ledger ends, as the store said.
#[derive(Debug, Clone, Copy)]
struct Head {
    position: i64,
    /// What was known before it was asked.
    known: Option<i64>,
}

/// Asks for the end of the ledger again and again.
async fn look(
    store: &AnyStore,
    known: impl Fn() -> Option<i64>,
    heads: &watch::Sender<Option<Head>>,
) -> std::convert::Infallible {
    let mut complained = false;
    loop {
        let known = known();
        let wait = match store.head().await {
            Ok(position) => {
                complained = false;
                if known != Some(position) {
                    heads.send_replace(Some(Head { position, known }));
                }
                LOOK
            }
            Err(error) => {
                if !std::mem::replace(&mut complained, true) {
                    complain(&error);
                }
                RETRY
            }
        };
        sleep(wait).await;
    }
}

/// Takes what this process has committed, and before it what it does not know of.
async fn take(hub: &Hub, store: &AnyStore, commit: &Arc<[Committed]>) {
    // Until the end of the ledger is known there is nothing to add to: the head will cover this.
    let (Some(position), Some(first)) = (hub.position(), commit.first()) else { return };
    if position + 1 < first.position {
        fill(hub, store, first.position - 1).await;
    }
    // Those that are known already change nothing, and those after a gap neither.
    hub.push(commit);
}

/// Takes note of where the ledger ends.
async fn arrive(hub: &Hub, store: &AnyStore, head: Head) {
    match (hub.position(), head.known) {
        (None, _) => hub.begin(head.position),
        (Some(_), Some(known)) if head.position < known => {
            tracing::warn!(
                known,
                head = head.position,
                "the ledger stands behind what was seen of it: the store was restored; live sessions end"
            );
            hub.begin(head.position);
        }
        (Some(_), _) => fill(hub, store, head.position).await,
    }
}

/// Reads what is missing up to `position`. What cannot be read now is missing still when the head is looked
/// at the next time.
async fn fill(hub: &Hub, store: &AnyStore, position: i64) {
    while let Some(known) = hub.position().filter(|known| *known < position) {
        match reader::entries(store, Place::behind(known)).await {
            Ok(entries) if entries.is_empty() => return,
            Ok(entries) => hub.push(&entries),
            Err(error) => return complain(&error),
        }
    }
}

fn complain(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "could not read on in the ledger for the live sessions; trying again"
    );
}
